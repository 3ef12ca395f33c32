"""RURK Explorer's core: what does a machine-unlearned image classifier still know?

The science of Hsu et al., "The Unseen Threat: Residual Knowledge in Machine Unlearning under Perturbed
Samples" (NeurIPS 2025, arXiv 2601.22359), importable without the app.
"""

import os
from pathlib import Path

# Threads that wait for each other spin; where something else wants the cores (a browser, a second run) they spin
# against it, and a run takes several times as long as with one thread. This many turns and no more cost a little on an
# idle machine (`python -m benchmarks threads` shows both). It must be said before torch is loaded.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

__version__ = "0.1.0"


def default_store() -> str:
    """Where results live unless told otherwise: the variable RURK_STORE, or the folder ``rurk-store`` here."""
    return os.environ.get("RURK_STORE") or "rurk-store"


def bundled_stores() -> list[str]:
    """Read-only stores that came along: the finished experiment beside the source, where there is one."""
    demo = Path(__file__).parents[1] / "assets" / "demo"
    return [str(demo)] if demo.is_dir() else []
