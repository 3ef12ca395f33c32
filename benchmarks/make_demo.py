"""Make the small finished digits experiment that the app opens with, into ``assets/demo``."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

from rurk_core.run.experiment import run
from rurk_core.run.spec import make_spec
from rurk_core.store.store import Store

TARGET = Path(__file__).parents[1] / "assets" / "demo"


def main() -> None:
    spec = make_spec("digits", attacks="gaussian,fgsm", title="Handwritten digits: half of the zeros forgotten")
    with tempfile.TemporaryDirectory() as folder:
        made = Store(folder)
        run(spec, made)
        shutil.rmtree(TARGET, ignore_errors=True)
        demo = Store(TARGET)
        for entry in reversed(made.list()):
            about = json.loads(made.read(entry.key, "spec.json"))
            # features are the largest part and quickly made again from the models
            kept = {name: made.read(entry.key, name) for name in about["files"] if name != "features.safetensors"}
            demo.put(entry.key, about["spec"], kept)
        (TARGET / "index.sqlite").unlink(missing_ok=True)
    size = sum(file.stat().st_size for file in TARGET.rglob("*") if file.is_file())
    print(f"{TARGET}: {size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
