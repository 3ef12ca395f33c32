"""RURK Explorer's core: what does a machine-unlearned image classifier still know?

The science of Hsu et al., "The Unseen Threat: Residual Knowledge in Machine Unlearning under Perturbed
Samples" (NeurIPS 2025, arXiv 2601.22359), importable without the app.
"""

import os

# Threads that wait for each other spin; where something else wants the cores (a browser, a second run) they spin
# against it: two threads took 65 to 95 s then for what one did in 5. This many turns keep it at 6; it must be said
# before torch is loaded.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

__version__ = "0.1.0"
