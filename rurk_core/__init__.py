"""RURK Explorer's core: what does a machine-unlearned image classifier still know?

The science of Hsu et al., "The Unseen Threat: Residual Knowledge in Machine Unlearning under Perturbed
Samples" (NeurIPS 2025, arXiv 2601.22359), importable without the app.
"""

__version__ = "0.1.0"
