"""Reading what others made in a process that may be ended: bounded in time, and in memory where the system has limits.

    with Reading() as reading:
        reading.ask("rurk_core.models.checkpoints:read_apart", [str(path), folder], size=path.stat().st_size, what=...)

The process knows this package alone, gets plain JSON values and gives one back; tensors go through files. Whatever
becomes of it, the caller has a value or one sentence.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import multiprocessing
import os
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import psutil

from ..errors import RurkError, UsageError

GROWTH, SPARE = 10, 200e6
"""Bytes that reading may take: so many times the file's, and as many on top."""
SECONDS, BYTES_PER_SECOND = 30.0, 20e6
"""How long it may take: so long, and for large files what a slow disk takes on top."""


POLITE = 5
"""Steps by which its claim to the processor is lower, so that a server goes on answering others meanwhile."""
MOST_FILES = 2**20
"""Numbers of open files are below this."""


class Reading:
    """A process that reads; made at the first question, ended with the ``with`` block."""

    def __init__(self) -> None:
        self._process: Any = None
        self._pipe: Connection | None = None

    def __enter__(self) -> Reading:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def ask(
        self, call: str, arguments: list[Any], *, size: int, what: str, told: Callable[..., None] | None = None
    ) -> Any:
        """What the function ``"module:name"`` of this package returns, a plain JSON value.

        Args:
            size: bytes of what is read, by which time and memory are bounded.
            what: begins the sentence of a refusal: "The checkpoint a.pt".
            told: the function has a last argument more, and what it calls that with is told here; its time then begins
                anew, so that reading may go on for as long as it gets on.

        Raises:
            UsageError: the function refused, or it took too long or too much.
        """
        pipe, seconds = self._pipe or self._start(), SECONDS + size / BYTES_PER_SECOND
        request = {"call": call, "arguments": arguments, "memory": int(GROWTH * size + SPARE), "tells": bool(told)}
        try:
            pipe.send_bytes(json.dumps(request).encode())
            found = self._heard(pipe, seconds, what)
            while told and "told" in found:
                told(*found["told"])
                found = self._heard(pipe, seconds, what)
        except (OSError, EOFError, ValueError):
            self._end()
            raise UsageError(f"{what} ended the process that read it; it is given up.") from None
        if "value" in found:
            return found["value"]
        if found["refused"]:
            raise UsageError(found["refused"])
        self._end()  # what it had allocated goes with it
        raise UsageError(f"{what} takes more memory than {GROWTH} times its size; it is given up.")

    def _heard(self, pipe: Connection, seconds: float, what: str) -> Any:
        if not pipe.poll(seconds):
            self._end()
            raise UsageError(f"{what} takes longer than {seconds:.0f} s to be read; it is given up.")
        return json.loads(pipe.recv_bytes())

    def _start(self) -> Connection:
        # forked where that can be, since libraries are loaded then; bytes go through the pipe, never objects
        kind = "fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn"
        context: Any = multiprocessing.get_context(kind)
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
        try:
            self._process.start()
        except OSError as error:
            self._process = None
            raise RurkError(f"No process could be started to read with ({error.strerror or error}).") from None
        theirs.close()
        return self._pipe

    def _end(self) -> None:
        process, pipe = self._process, self._pipe
        self._process = self._pipe = None
        if process is not None:
            process.kill()
            process.join()
        if pipe is not None:
            pipe.close()


def die_with_parent() -> None:
    """Have the kernel kill this process when the thread that started it ends (Linux; elsewhere nothing happens)."""
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _limit(memory: int) -> None:
    """Have allocations fail beyond what the process has now and ``memory`` bytes."""
    with contextlib.suppress(ImportError, OSError, ValueError, psutil.Error):
        import resource  # not on Windows

        now = psutil.Process().memory_info()
        resource.setrlimit(resource.RLIMIT_DATA, (int(getattr(now, "data", now.vms)) + memory, resource.RLIM_INFINITY))


def _answer(request: dict[str, Any], tell: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    module, _, name = request["call"].partition(":")
    _limit(request["memory"])
    further = [lambda *told: tell({"told": told})] if request["tells"] else []
    try:
        return {"value": getattr(importlib.import_module(module), name)(*request["arguments"], *further)}
    except RurkError as error:
        return {"refused": str(error)}
    except MemoryError:
        return {"refused": ""}
    except RuntimeError as error:  # torch's own word for it
        if "allocate memory" in str(error) or "not enough memory" in str(error):
            return {"refused": ""}
        raise


def _serve(pipe: Connection) -> None:
    """Answer one question after another; what else is printed goes nowhere."""
    import torch

    die_with_parent()
    # sockets and pipes of the other process would stay open here after it has closed them
    os.closerange(3, pipe.fileno())
    os.closerange(pipe.fileno() + 1, MOST_FILES)
    torch.set_num_threads(1)  # threads of the other process do not survive a fork
    with contextlib.suppress(AttributeError, OSError):  # not on Windows
        os.nice(POLITE)

    def tell(what: dict[str, Any]) -> None:
        pipe.send_bytes(json.dumps(what).encode())

    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1), os.dup2(nowhere, 2)
    with contextlib.suppress(EOFError, OSError):
        while True:
            tell(_answer(json.loads(pipe.recv_bytes()), tell))
