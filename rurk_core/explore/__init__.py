"""Maps of samples and small lessons."""
