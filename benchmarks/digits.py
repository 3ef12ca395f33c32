"""Digits end to end on this machine, cold store, as a fresh process: the bar is 20 seconds on two cores."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile

from .timing import seconds


def main(rounds: int = 3) -> None:
    times, parts = [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as store:
            command = [sys.executable, "-m", "rurk_core", "run", "--store", store, "--json"]
            done: list[subprocess.CompletedProcess] = []
            times.append(
                seconds(lambda: done.append(subprocess.run(command, capture_output=True, text=True, check=True)))  # noqa: B023
            )
            parts.append(json.loads(done[0].stdout)["seconds"])
    print("digits end to end (Original + 3 references + 3 methods + 11 radii × 100 draws)")
    print(f"  whole process: median {statistics.median(times):.1f} s of {[round(t, 1) for t in times]}; bar 20 s")
    print(f"  without starting Python and loading data: median {statistics.median(parts):.1f} s")


if __name__ == "__main__":
    main()
