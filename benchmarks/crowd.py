"""Many visitors at once: ``python -m benchmarks crowd [minutes] [visitors]``, an hour of fifty by default.

A visitor is what a browser is to the server, a socket of Streamlit's without the drawing, for which two cores would
not do: it opens a page, rests, goes to another, and in time leaves for a new one to come. What is timed is a whole run
of a page, from the request to the last of its messages. Beside it the server's memory is noted every half minute. The
bar: 95% of waits within 1.5 s, and memory that does not grow (as ``soak`` has it).
"""

from __future__ import annotations

import asyncio
import random
import statistics
import tempfile
import time
from pathlib import Path

from .soak import EVERY, judge, look

BAR, REST, STAY = 1.5, 10.0, 12
"""Seconds; mean seconds between two moves of a visitor; pages seen before leaving, on average."""


def main(minutes: int = 60, visitors: int = 50) -> None:
    from tests.e2e.conftest import server_process

    with tempfile.TemporaryDirectory() as folder, server_process(Path(folder) / "store") as (url, pid):
        waits, notes = asyncio.run(_crowd(url, pid, minutes * 60.0, visitors))
    ordered = sorted(waits)
    tail = [ordered[int(len(ordered) * share)] for share in (0.95, 0.99)]
    print(
        f"{visitors} visitors for {minutes} minutes, {len(waits)} pages: median {statistics.median(waits):.2f} s, "
        f"95% within {tail[0]:.2f} s (bar {BAR:g} s), 99% within {tail[1]:.2f} s, longest {ordered[-1]:.1f} s"
    )
    judge(notes)


async def _crowd(url: str, pid: int, seconds: float, visitors: int) -> tuple[list[float], list[dict[str, float]]]:
    """All waits, and what the server took every half minute."""
    began, waits, notes = time.monotonic(), list[float](), list[dict[str, float]]()
    end = began + seconds
    async with asyncio.TaskGroup() as group:
        for number in range(visitors):
            group.create_task(_visitors(url, end, random.Random(number), waits))
        print("| minute | MB | files | threads | pages |\n|---:|---:|---:|---:|---:|")
        while time.monotonic() < end:
            await asyncio.sleep(min(EVERY, max(0.1, end - time.monotonic())))
            note = look(pid)
            notes.append(note)
            minute = (time.monotonic() - began) / 60
            print(
                f"| {minute:.1f} | {note['MB']:.0f} | {note['files']} | {note['threads']} | {len(waits)} |", flush=True
            )
    return waits, notes


async def _visitors(url: str, end: float, rng: random.Random, waits: list[float]) -> None:
    """One visitor after another until the end."""
    from websockets.asyncio.client import connect

    await asyncio.sleep(rng.uniform(0, REST))
    while time.monotonic() < end:
        socket = url.replace("http", "ws") + "/_stcore/stream"
        async with connect(socket, subprotocols=["streamlit"], origin=url, max_size=None) as connection:
            pages = [""]
            while time.monotonic() < end and rng.random() > 1 / STAY:
                started = time.monotonic()
                found = await _run(connection, rng.choice(pages))
                waits.append(time.monotonic() - started)
                pages = found or pages
                await asyncio.sleep(rng.uniform(0, 2 * REST))


async def _run(connection, page: str) -> list[str]:
    """Ask for a page and take all it says; the pages there are, by what the server calls them."""
    from streamlit.proto.BackMsg_pb2 import BackMsg
    from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

    asked = BackMsg()
    asked.rerun_script.query_string = ""
    asked.rerun_script.page_script_hash = page
    await connection.send(asked.SerializeToString())
    pages: list[str] = []
    while True:
        told = ForwardMsg.FromString(await connection.recv())
        kind = told.WhichOneof("type")
        if kind == "navigation":
            pages = [each.page_script_hash for each in told.navigation.app_pages]
        if kind == "delta" and told.delta.new_element.WhichOneof("type") == "exception":
            raise RuntimeError(told.delta.new_element.exception.message)
        if kind == "script_finished":
            return pages


if __name__ == "__main__":
    main()
