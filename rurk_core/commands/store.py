"""``rurk store ls | rm | gc | verify | export | import``: what is kept, and handing it on."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..errors import UsageError
from . import Command
from .output import answer, answer_list, named_run, where

SHOWN = 50
"""Entries that a list shows unless asked for all."""


def register(command: Command) -> None:
    store = command("store", lambda options: options.act(options), "List, check, clean, export and import results.")
    acts = store.add_subparsers(required=True, metavar="ACTION")

    def act(name: str, run: Any, help: str, *, also: tuple[str, ...] = ()) -> argparse.ArgumentParser:
        parser = acts.add_parser(name, help=help, description=help, aliases=also)
        parser.set_defaults(act=run)
        parser.add_argument("--json", action="store_true", help="print one JSON document on standard output")
        where(parser, data=False)
        return parser

    ls = act("ls", _ls, "List entries, newest first.", also=("list",))
    ls.add_argument("--kind", help="only of this kind, for example run")
    ls.add_argument("--all", action="store_true", help=f"all of them, not the newest {SHOWN} (JSON always has all)")
    rm = act("rm", _rm, "Delete entries.")
    rm.add_argument("keys", nargs="+", metavar="KEY", help="as 'rurk store ls' names them")
    gc = act("gc", _gc, "Delete stages that no finished experiment rests on.")
    gc.add_argument("--dry-run", action="store_true", help="only say what would go")
    verify = act(
        "verify", _verify, "Read everything and compare it with its names and hashes; exit code 1 where one is wrong."
    )
    verify.add_argument(
        "--deep",
        action="store_true",
        help="also compute results anew from their tables, and count some copies again where the data can be read",
    )
    verify.add_argument("--data", help="where data sets lie (default: the variable RURK_DATA)")
    export = act("export", _export, "Write one experiment with all its stages to one file.")
    export.add_argument("run", metavar="KEY", help="an experiment: run-..., or 'latest'")
    export.add_argument("file", type=Path, metavar="FILE")
    export.add_argument(
        "--sign", action="store_true", help="vouch for it with your key, which is made if there is none"
    )
    take = act("import", _import, "Take in an exported experiment; what nobody vouches for can only be read.")
    take.add_argument("file", type=Path, metavar="FILE")
    take.add_argument(
        "--trust",
        nargs="?",
        const="own",
        default="",
        metavar="KEY",
        help="take it as your own if this public key signed it (a key, a file with keys; without one: your own key)",
    )


def _open(options: argparse.Namespace) -> Any:
    from ..store.store import Store

    return Store(options.store)


def _ls(options: argparse.Namespace) -> int:
    store, newest = _open(options), -1 if options.all or options.json else SHOWN
    rows = [
        {"key": entry.key, "kind": entry.kind, "created": entry.created, "bytes": entry.bytes, "title": entry.title}
        | ({"imported": True} if entry.imported else {})
        for entry in store.list(options.kind, newest=newest)
    ]
    if not rows:
        return _say(options, [], f"There is no '{options.kind}'." if options.kind else "The store holds nothing yet.")
    count = store.count(options.kind)
    title = _entries(len(rows)) if len(rows) >= count else f"The newest {len(rows)} of {count:,} entries (--all)"
    return answer_list(options, title, rows)


def _rm(options: argparse.Namespace) -> int:
    store = _open(options)
    for key in options.keys:
        if not store.has(key):
            raise UsageError(f"There is no entry {key} in the store {store.url}.")
    for key in options.keys:
        store.delete(key)
    return _say(options, {"deleted": options.keys}, f"Deleted {len(options.keys)}; 'rurk store gc' frees their stages.")


def _gc(options: argparse.Namespace) -> int:
    from ..jobs.control import list_jobs
    from ..run.archive import unused

    store = _open(options)
    if any(job.alive for job in list_jobs(store)):
        raise UsageError("A job is running on this store; wait for it or cancel it first.")
    sizes = {entry.key: entry.bytes for entry in store.list()}
    keys = unused(store)
    if not options.dry_run:
        for key in keys:
            store.delete(key)
    freed = sum(sizes.get(key, 0) for key in keys)
    verb = "would go" if options.dry_run else "deleted"
    return _say(options, {verb.replace(" ", "_"): keys, "bytes": freed}, f"{len(keys)} {verb}, {freed / 1e6:.1f} MB.")


def _verify(options: argparse.Namespace) -> int:
    from ..run.archive import verify, verify_deep

    store = _open(options)
    wrong, count = verify(store), len(store.list())
    about: dict[str, Any] = {"entries": count, "damaged": wrong}
    lines = [*wrong.values(), f"{_entries(count)}, {len(wrong)} damaged."]
    if options.deep:
        against, unread = verify_deep(store, options.data)
        about |= {"contradictions": against, "not_counted_again": unread}
        lines += [*against.values(), *(f"Not counted again: {why}" for why in unread)]
        lines.append(f"{len(against)} results contradict what they rest on.")
        wrong = wrong | against
    _say(options, about, "\n".join(lines))
    return 1 if wrong else 0


def _export(options: argparse.Namespace) -> int:
    from ..run.archive import export
    from ..run.signing import own_key

    count = export(*named_run(options), options.file, signed=options.sign)
    size = options.file.stat().st_size
    about: dict[str, Any] = {"file": str(options.file), "entries": count, "bytes": size}
    text = f"{options.file}: {_entries(count)}, {size / 1e6:.1f} MB."
    if options.sign:
        about["signer"] = own_key()
        text += f"\nSigned. Who trusts you imports it with --trust {own_key()}"
    return _say(options, about, text)


def _import(options: argparse.Namespace) -> int:
    from ..run.archive import import_apart
    from ..run.signing import own_key

    trust = own_key() if options.trust == "own" else options.trust
    found = import_apart(_open(options), options.file, trust=trust)
    lines = [f"{found.key}: {_entries(found.new, 'new ')}."]
    if not trust:
        lines.append("Nobody vouches for it: it can be looked at and compared, and no run builds on it (--trust KEY).")
    if differ := len(found.differs):
        are, kept = ("is", "was") if differ == 1 else ("are", "were")
        lines.append(f"{_entries(differ)} {are} here already with other content; yours {kept} kept.")
    return _say(options, asdict(found), "\n".join(lines))


def _entries(count: int, which: str = "") -> str:
    return f"{count} {which}{'entry' if count == 1 else 'entries'}"


def _say(options: argparse.Namespace, document: Any, text: str) -> int:
    return answer(options, document, lambda _, out: out.print(text))
