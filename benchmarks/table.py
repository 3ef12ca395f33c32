"""The whole digits table, every method × 3 seeds with all metrics, as a fresh process: the bar is 4 minutes."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile

from .timing import seconds


def main(seeds: str = "131,42,7") -> None:
    with tempfile.TemporaryDirectory() as store:
        command = [sys.executable, "-m", "rurk_core", "compare", "--methods", "all", "--seeds", seeds]
        done: list[subprocess.CompletedProcess] = []
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        time = seconds(
            lambda: done.append(
                subprocess.run([*command, "--store", store, "--json"], capture_output=True, text=True, check=True)
            )
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    rows = [row for row in json.loads(done[0].stdout)["rows"] if row["role"] == "unlearned"]
    failed = [row["name"] for row in rows if row["failed"]]
    print(f"digits table: {len(rows)} methods × {len(seeds.split(','))} seeds, all metrics, 11 radii × 100 draws")
    print(f"  {time:.0f} s, bar 240 s; {after.ru_utime - before.ru_utime:.0f} s of CPU; failed: {failed or 'none'}")


if __name__ == "__main__":
    main()
