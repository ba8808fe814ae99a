"""What would go wrong with a notebook at night, found by reading it; nothing of it is run."""
