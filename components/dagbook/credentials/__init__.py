"""Credentials: what a run is entitled to, fetched for it alone, and nothing of it left behind."""
