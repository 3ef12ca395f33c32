"""The law of evidence: what can be said of a sample, a forget set and a model beside re-trained ones."""
