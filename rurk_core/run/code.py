"""Which code makes what: a digest that is part of every key, so that changed code never answers with old numbers.

A digest is of the source of the modules that decide the numbers, found by following their imports; comments,
docstrings and blank lines do not count, nor does what only reads, stores, reports or draws. The data are not code:
their fingerprint is in the keys already. Neither are the versions of Python and torch: a store may hold what several
made, and a result says so (:mod:`rurk_core.run.provenance`).
"""

from __future__ import annotations

import ast
import hashlib
import inspect
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

from ..unlearning import METHODS

PACKAGE = Path(__file__).parents[1]
FLOORS = ("models", "device", "perturb", "training", "unlearning", "measure")
"""Folders whose code decides numbers; imports are followed into these alone."""
ALWAYS = ("data.dataset", "data.stream", "run.stages")
"""What every stage goes through; looked at without what it imports."""
ROOTS: dict[str, tuple[str, ...]] = {
    "pretrained": ("training.fit",),
    "original": ("training.fit",),
    "reference": ("training.references",),
    "unlearned": ("unlearning.base", "run.auto"),
    "scores": ("measure.scores",),
    "relearned": ("measure.relearn",),
    "verdicts": ("measure.verdicts",),
    "peers": ("measure.verdicts",),
    "members": ("measure.verdicts",),
    "audited": ("models.checkpoints", "models.exported_file"),
    "run": ("run.plan", "run.result", "run.standing"),
    "more_verdicts": ("measure.verdicts", "evidence.case"),
    "radii": ("measure.radius", "evidence.radii"),
    "wholeset": ("evidence.whole_set",),
    "map": ("explore.maps",),
    "lesson": ("explore.lessons",),
    "tuning": ("tune.tune", "tune.search", "tune.bench", "tune.aims"),
}
"""Kind of entry → the modules that make it."""
SAYS = ("acceptance", "kept_lines", "numbers", "parts", "reviews", "slices", "whole_words", "words")
"""Modules of the evidence that word it or keep what people say of it, and decide no number."""


def code_of(kind: str, method: str = "") -> str:
    """Digest of the code that makes entries of a kind today, of the method too for what is unlearned: 16 hex digits.

    A method of the user's own counts with its file, one that a program registers with its function.
    """
    roots = ROOTS[kind]
    if kind in ("wholeset", "tuning"):
        names_ = sorted(path.stem for path in (PACKAGE / "evidence").glob("[a-z]*.py"))
        roots += tuple(f"evidence.{name}" for name in names_ if name not in SAYS)
    own = ""
    if method:
        known = METHODS[method]
        package, _, module = known.run.__module__.partition(".")
        own = "" if package == PACKAGE.name else known.digest or _source(known.run)
        roots += () if own else (module,)
    return _digest(PACKAGE, roots, own)


def _source(run: object) -> str:
    try:
        return inspect.getsource(run)  # type: ignore[arg-type]
    except (OSError, TypeError):  # typed into a console
        return repr(run)


def code_of_run(methods: Iterable[str]) -> str:
    """Digest of all that makes a run of these methods."""
    kinds = ("pretrained", "original", "reference", "scores", "relearned", "verdicts", "run")
    parts = [code_of(kind) for kind in kinds] + [code_of("unlearned", method) for method in sorted(set(methods))]
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()[:16]


@lru_cache(maxsize=256)
def _digest(package: Path, roots: tuple[str, ...], more: str) -> str:
    known = names(package)
    listed = frozenset(known)
    prefix = f"{package.name}."
    todo = [prefix + root for root in roots]
    found = {prefix + name for name in ALWAYS}
    while todo:
        name = todo.pop()
        if name in found:
            continue
        found.add(name)
        text, is_package = known[name].read_text(encoding="utf-8"), known[name].name == "__init__.py"
        todo += [other for other in _imports(text, name, is_package, listed) if _decides(other)]
    digest = hashlib.sha256(more.encode())
    for name in sorted(found):
        digest.update(f"\0{name}\0".encode())
        digest.update(plain_source(known[name].read_text(encoding="utf-8")).encode())
    return digest.hexdigest()[:16]


def _decides(name: str) -> bool:
    return name.split(".")[1:2] != [] and name.split(".")[1] in FLOORS


@lru_cache(maxsize=1024)
def _imports(text: str, name: str, is_package: bool, known: frozenset[str]) -> tuple[str, ...]:
    return tuple(sorted(set(imported(ast.parse(text), name, is_package, known))))


@lru_cache(maxsize=1024)
def plain_source(text: str) -> str:
    """A module without docstrings, without lines that are comments and without blank lines.

    >>> plain_source('"About."\\n# why\\nx = 1\\n')
    'x = 1'
    """
    gone: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        for inner in getattr(node, "body", None) or () if not isinstance(node, ast.Lambda | ast.IfExp) else ():
            if (
                isinstance(inner, ast.Expr)
                and isinstance(inner.value, ast.Constant)
                and isinstance(inner.value.value, str)
            ):
                gone.update(range(inner.lineno, (inner.end_lineno or inner.lineno) + 1))
    lines = (line.rstrip() for at, line in enumerate(text.splitlines(), 1) if at not in gone)
    return "\n".join(line for line in lines if line and not line.lstrip().startswith("#"))


# --- who imports whom ---------------------------------------------------------------------------------------


@lru_cache(maxsize=4)
def names(package: Path) -> dict[str, Path]:
    """The modules of a package by their dotted names."""
    return {_name(path, package): path for path in sorted(package.rglob("*.py"))}


def _name(path: Path, package: Path) -> str:
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(tree: ast.AST, name: str, is_package: bool, known: Iterable[str]) -> Iterator[str]:
    """Modules among ``known`` that a module imports, also inside functions and for types; nothing is run."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom):
            here = name.split(".") if is_package else name.split(".")[:-1]
            base = here[: len(here) - node.level + 1] if node.level else []
            source = ".".join([*base, *filter(None, [node.module])])
            for alias in node.names:
                inner = f"{source}.{alias.name}"
                if inner in known:
                    yield inner
                elif source in known:
                    yield source
