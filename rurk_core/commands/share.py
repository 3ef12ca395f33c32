"""``rurk share``: the stages of some samples as one HTML file, for lectures, supplements and colleagues."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..errors import UsageError
from . import Command
from .output import answer, live, named_run, where, writable


def register(command: Command) -> None:
    share = command("share", _share, "Write one HTML file in which samples can be explored without Python or network.")
    share.add_argument("run", help="the key of a run or audit, or 'latest'")
    share.add_argument("--out", type=Path, default=Path("stage.html"), help="the file to write (default: stage.html)")
    share.add_argument("--method", help="the model in question (default: the first unlearned one)")
    share.add_argument("--attack", default="", help="one the run was measured under (default: its first)")
    share.add_argument("--samples", help='training indices, as "3, 5-9" (default: those most beyond a re-training)')
    share.add_argument("--count", type=int, default=20, help="how many of those (default: 20)")
    where(share, device=False)


def _share(options: argparse.Namespace) -> int:
    from ..data.forget import parse_indices
    from ..progress import Tracker
    from ..report.share import scene_for, share
    from ..run.result import load_result
    from ..run.stored import data_of

    writable(options.out)
    if options.out.is_dir() or not options.out.absolute().parent.is_dir():
        raise UsageError(f"{options.out} is no name for a file in a folder that there is.")
    store, run = named_run(options)
    result = load_result(store, run)
    methods = [entry["method"] for entry in result["residual"]]
    method = options.method or next((name for name in methods if name != "original"), methods[0])
    with live(quiet=options.json) as progress:
        tracker = Tracker(progress)
        with tracker.stage("Reading data"):
            data = data_of(result, options.data)
        scene = scene_for(store, result, data, method, options.attack)
        order = [one.sample for one in scene.found.samples] if scene.found else result["forget"]["indices"]
        samples = order[: max(0, options.count)]
        if options.samples:
            samples = [int(i) for i in parse_indices(options.samples, limit=len(data.train_labels))]
            if strange := sorted(set(samples) - set(result["forget"]["indices"])):
                raise UsageError(f"Sample {strange[0]} is not one of those that the run was to forget.")
        tracker.expect({"Asking the models": len(samples)})  # time left counts from here
        with tracker.stage("Asking the models"):
            page = share(scene, samples, on_sample=tracker.step)
    try:
        options.out.write_text(page, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{options.out} cannot be written ({error.strerror}); name another file.") from None
    said = {"file": str(options.out), "bytes": options.out.stat().st_size, "samples": samples, "method": method}
    text = f"{options.out} ({said['bytes'] / 1e6:.1f} MB, {len(samples)} sample{'s' * (len(samples) != 1)})"
    return answer(options, said, lambda _, out: out.print(text))
