"""What stands behind `%dagster`, one file for each word."""
