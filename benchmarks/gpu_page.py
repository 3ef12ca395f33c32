"""docs/gpu.md from what :mod:`benchmarks.gpu` measured: ``python -m benchmarks.gpu_page [gpu.json]``.

The file, where one is named, is kept as docs/gpu.json, from which the page is made.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[1] / "docs"
HEAD = """# On a GPU

Made by `python -m benchmarks.gpu_page` from what `python -m benchmarks gpu --out DIR` measured.
"""
NOTHING = """
**Not measured yet.** All of this runs on CPUs in the tests, in a tiny form; no line of it has been timed on a GPU.
Where one is at hand, with torch 2.11 or newer and nothing else of the app, the command takes under 8 minutes and goes
on where it was cut:

```sh
python -m benchmarks gpu --out gpu && python -m benchmarks.gpu_page gpu/gpu.json
```

Verdicts start every kernel of a pass anew. Passes of small networks recorded once as CUDA graphs may be faster; that is
a variant in the part `graphs` of the benchmark and not in the core, since it cannot be tried without a GPU: it is built
in if the first run on one shows at least 1.5 times as many images a second.
"""


def page(found: dict[str, Any] | None) -> str:
    """The page: of measurements as ``gpu.json`` holds them, or of none."""
    return HEAD + (NOTHING if found is None else "\n" + "\n".join(_lines(found)) + "\n")


def _lines(found: dict[str, Any]) -> Iterator[str]:
    at, parts = found["machine"], found["parts"]
    memory = f", {at['memory_gb']} GB" if at["memory_gb"] else ""
    yield f"{at['device']}{memory}; Python {at['python']}, torch {at['torch']}, torchvision {at['torchvision']}."
    if at["tiny"]:
        yield "\nA tiny run: it shows that every part runs, and its numbers mean nothing."
    yield "\n| part | measured | bar |\n| --- | --- | --- |"
    for name, part in parts.items():
        if "failed" in part:
            yield f"| {name} | failed: {part['failed']} | |"
        else:
            yield from (f"| {what} | {said} | {bar} |" for what, said, bar in _ROWS[name](part["found"]))
    missing = [name for name in _ROWS if name not in parts]
    if missing:
        yield f"\nNot measured: {', '.join(missing)}."
    yield (
        f"\nAll of it took {sum(part['seconds'] for part in parts.values()):.0f} s; peak memory by part: "
        + ", ".join(f"{name} {part['peak_mb']:,.0f} MB" for name, part in parts.items() if part["peak_mb"] is not None)
    )


def _range(of: dict[str, Any]) -> str:
    return f"{of['ratio']:.2f}× ({of['low']:.2f} to {of['high']:.2f})"


Rows = Iterator[tuple[str, str, str]]


def _same(found: dict[str, Any]) -> Rows:
    yield (
        "the same numbers as on the CPU",
        f"{'yes' if found['holds'] else '**no**'}: logits at most {found['logits']:.1e} apart, "
        f"{found['share_of_counts']:.2%} of verdict counts equal, log-odds {found['margins']:.3f} apart on average",
        ", ".join(f"{name} {value:g}" for name, value in found["within"].items()),
    )


def _verdicts(found: dict[str, Any]) -> Rows:
    for attack, of in found.items():
        bar = "≥ 0.90×" if attack == "gaussian" else ""
        yield (
            f"verdicts ÷ raw float32 forward passes, {attack}",
            f"{_range(of)}; {of['verdicts_per_s']:,} a second",
            bar,
        )


def _formats(found: dict[str, Any]) -> Rows:
    for name, rate in found["images_per_s"].items():
        yield f"images a second, {name}", f"{rate:,}", ""


def _graphs(found: dict[str, Any]) -> Rows:
    for name, of in found["images_per_s"].items():
        said = f"{of['played'] / of['plain']:.2f}×, {of['played']:,} a second" + (
            "" if of["same"] else ", **other logits**"
        )
        yield f"a pass recorded as a CUDA graph ÷ started anew, {name}", said, "≥ 1.5× to be built in"


def _accuracy(found: dict[str, Any]) -> Rows:
    for recipe, of in found.items():
        for which in ("original", "retrain"):
            one = of[which]
            yield (
                f"CIFAR-10 {which}, {of['network']}, {recipe}",
                f"{one['seconds']:.1f} s, {one['test_accuracy']:.2%} of the test set",
                "≤ 15 s, 94%",
            )


def _references(found: dict[str, Any]) -> Rows:
    for name, of in found.items():
        yield f"{of['k']} references one by one ÷ together, {name}", _range(of), "≥ 4×"


def _gradients(found: dict[str, Any]) -> Rows:
    yield "gradients of single samples: loop ÷ together", _range(found), "≥ 5×"


def _methods(found: dict[str, Any]) -> Rows:
    for key, of in found["methods"].items():
        said = f"{of['seconds']:.1f} s" if "seconds" in of else of["says"]
        yield f"{key}, {found['network']}, {found['forget']} of {found['forget'] + found['retain']} samples", said, ""


def _memory(found: dict[str, Any]) -> Rows:
    if "says" in found:
        yield "out of memory", found["says"], ""
        return
    equal = "equal counts" if found["counts_equal"] else "**other counts**"
    yield f"out of memory at {found['limit_mb']:,} MB", f"{len(found['notes'])} times smaller batches, {equal}", "equal"


def _reproduce(found: dict[str, Any]) -> Rows:
    if found["finished"]:
        yield f"{found['target']} at the paper's scale", f"{len(found['lines'])} lines", ""
    else:
        done = found.get("overall")
        said = found.get("says") or f"{done or 0:.0%} done when the time was over; the rest goes on from there"
        yield f"{found['target']} at the paper's scale", said, ""


_ROWS = {
    "same_numbers": _same,
    "verdicts": _verdicts,
    "formats": _formats,
    "graphs": _graphs,
    "to_accuracy": _accuracy,
    "references": _references,
    "gradients": _gradients,
    "methods": _methods,
    "out_of_memory": _memory,
    "reproduce": _reproduce,
}


def main(file: str = "") -> None:
    kept = DOCS / "gpu.json"
    if file:
        shutil.copyfile(file, kept)
    found = json.loads(kept.read_text()) if kept.exists() else None
    (DOCS / "gpu.md").write_text(page(found), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
