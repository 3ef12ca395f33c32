"""How threads wait for each other, alone and beside other work: GOMP_SPINCOUNT as the core sets it, and without it."""

from __future__ import annotations

import os
import subprocess
import sys
import time

ASKED = """
import os, sys
if sys.argv[1]: os.environ["GOMP_SPINCOUNT"] = sys.argv[1]
import rurk_core.explore.lessons as teaching
import time, torch
torch.set_num_threads(int(sys.argv[2]))
inputs = teaching.lesson_key({"plane": "moons", "method": "rurk", "forget": list(range(1, 11)), "seed": 7})[1]
started = time.perf_counter()
teaching.teach(**inputs)
print(time.perf_counter() - started)
"""
UNSET = "300000"
"""What libgomp does of its own accord."""


def main() -> None:
    threads = min(2, os.cpu_count() or 1)
    for beside in (0, 2 * (os.cpu_count() or 1)):
        busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(beside)]
        try:
            time.sleep(0.5)
            for words, spin, number in (
                ("as the core sets it", "", threads),
                ("as libgomp does", UNSET, threads),
                ("one thread", "", 1),
            ):
                took = subprocess.run(
                    [sys.executable, "-c", ASKED, spin, str(number)], capture_output=True, text=True, check=True
                )
                print(f"a lesson beside {beside} busy processes, {number} threads, {words}: {float(took.stdout):.1f} s")
        finally:
            for process in busy:
                process.kill()
                process.wait()


if __name__ == "__main__":
    main()
