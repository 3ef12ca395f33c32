"""Background work as the pages show it: starting, watching, tuning, reports."""
