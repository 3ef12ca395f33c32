"""Reports of a run or a sample: one JSON document, one page."""
