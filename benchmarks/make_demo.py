"""Make the small finished digits experiment that the app opens with, into ``assets/demo``."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from rurk_core.experiment import run
from rurk_core.spec import make_spec
from rurk_core.store import Store

TARGET = Path(__file__).parents[1] / "assets" / "demo"


def main() -> None:
    spec = make_spec("digits", attacks="gaussian,fgsm", title="Handwritten digits: half of the zeros forgotten")
    with tempfile.TemporaryDirectory() as folder:
        run(spec, Store(folder), progress=lambda event: None)
        shutil.rmtree(TARGET, ignore_errors=True)
        shutil.copytree(Path(folder) / "runs", TARGET / "runs")
    size = sum(file.stat().st_size for file in TARGET.rglob("*") if file.is_file())
    print(f"{TARGET}: {size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
