"""Perturbed copies of samples: random draws and attacks, planes around a sample, and what theory says."""
