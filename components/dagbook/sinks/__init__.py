"""Where measurements of runs go: one file per integration, named after it."""
