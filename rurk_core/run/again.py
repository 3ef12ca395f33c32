"""What makes a finished result and the view of it again: lines of Python and commands, in full, for people to copy."""

from __future__ import annotations

import pprint
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..unlearning import METHODS


def as_python(result: Mapping[str, Any], store: str = "rurk-store") -> str:
    """A program that makes a result again, or finds it in the store; ``result`` is then its document.

    >>> print(as_python({"audit": {"files": {"original": {"file": "o.pt"}, "unlearned": {"file": "u.pt"}}},
    ...     "spec": {"dataset": "digits", "forget": "class:0"}}).splitlines()[0])
    from rurk_core.run.audit import audit
    """
    values, files = _values(result), result.get("audit", {}).get("files")
    if files:
        values |= _files(files)
        lines = ["from rurk_core.run.audit import audit", "from rurk_core.store import Store", ""]
        call = ("result = audit(", [f"Store({store!r})"], ")")
    else:
        lines = ["from rurk_core.experiment import run", "from rurk_core.spec import make_spec"]
        lines += ["from rurk_core.store import Store", ""]
        call = ("spec = make_spec(", [], ")")
    arguments = call[1] + [f"{name}={_plain(value)}" for name, value in values.items()]
    lines += [call[0], *(f"    {argument}," for argument in arguments), call[2]]
    if not files:
        lines.append(f"result = run(spec, Store({store!r}))")
    return "\n".join(lines) + "\n"


def as_command(result: Mapping[str, Any], store: str = "rurk-store") -> str:
    """The command that makes a result again, for a POSIX shell."""
    values, files = _values(result), result.get("audit", {}).get("files")
    words = ["rurk", "audit" if files else "run"]
    values |= _files(files) if files else {}
    if not files:
        values["methods"] = ",".join(map(_method, values["methods"]))
    flags = {"attacks": "attack", "taus": "tau"}
    for name, value in values.items():
        if name in ("train", "pretrain"):
            for setting, held in value.items():
                words += [f"--{name}", f"{setting}={held}"]
        elif name in ("unlearned", "retrained"):
            words += [f"--{name}", *value]
        else:
            text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
            words += [f"--{flags.get(name, name)}", text]
    return shlex.join([*words, "--store", store])


@dataclass(frozen=True)
class View:
    """What a page shows of a result: a model under an attack, and one sample (None: all of them)."""

    method: str = ""
    attack: str = ""
    sample: int | None = None


def view_of(result: Mapping[str, Any], asked: Mapping[str, str]) -> View:
    """What of ``asked`` (the words of a link) there is in a result; the first of each where a link says none."""
    pairs = [(row["method"], row["attack"]) for row in result["residual"]]
    attacks, methods = [attack for _, attack in pairs], [name for name, _ in pairs if name != "original"]
    attack = asked["attack"] if asked.get("attack") in attacks else next(iter(attacks), "")
    method = asked["method"] if asked.get("method") in methods else next(iter(methods), "original")
    text = asked.get("sample", "")
    known = text.isdecimal() and int(text) in result["forget"]["indices"]
    return View(method, attack, int(text) if known else None)


def view_as_python(view: View, store: str = "rurk-store") -> str:
    """Lines to follow :func:`as_python`: the finding of the model in view, and of the sample."""
    lines = [
        "",
        "from rurk_core.evidence.case import open_case",
        "from rurk_core.evidence.findings import find",
        "from rurk_core.evidence.words import sample_words, set_words",
        "",
        f"case = open_case(Store({store!r}), result['key'], method={view.method!r}, attack={view.attack!r})",
        "found = find(case)",
        "print(set_words(found))",
    ]
    if view.sample is not None:
        lines += [
            f"one = next(one for one in found.samples if one.sample == {view.sample})",
            "print(sample_words(one, found))",
        ]
    return "\n".join(lines) + "\n"


def view_as_command(key: str, view: View, store: str = "rurk-store") -> str:
    """Commands to follow :func:`as_command`: the findings in view, and the report on the sample."""
    said = ["rurk", "evidence", key, "--method", view.method, "--attack", view.attack, "--store", store]
    report = ["rurk", "report", key, "--sample", str(view.sample), "--store", store]
    return "\n".join(shlex.join(words) for words in ([said] if view.sample is None else [said, report]))


def _values(result: Mapping[str, Any]) -> dict[str, Any]:
    """What was asked for, less what is not there."""
    spec = dict(result["spec"])
    if result.get("audit"):
        asked = ("dataset", "forget", "model", "attacks", "taus", "draws", "seed", "title")
        spec = {name: spec[name] for name in asked if name in spec} | result["audit"].get("options", {})
        if str(spec.get("forget", "")).startswith("file:"):
            spec["forget"] = spec["forget"].removeprefix("file:")
    return {name: value for name, value in spec.items() if value not in ("", {}, None)}


def _files(files: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """The files of an audit by what they were handed in as."""
    found: dict[str, Any] = {"original": files["original"]["file"], "unlearned": [], "retrained": []}
    for name, about in files.items():
        if name != "original":
            found["retrained" if name.startswith("reference-") else "unlearned"].append(about["file"])
    return {name: value for name, value in found.items() if value}


def _method(about: Mapping[str, Any]) -> str:
    """A method as a command names it, with the settings that are not the defaults."""
    method = METHODS[about["method"]]
    defaults = method.config.from_dict({}).to_dict()
    changed = {name: value for name, value in about["config"].items() if value != defaults.get(name)}
    # the default preset by name: else that of the data set would be taken where there is one
    return ":".join([f"{about['method']}@default", *(f"{name}={value}" for name, value in changed.items())])


def _plain(value: Any) -> str:
    return pprint.pformat(value, width=96, sort_dicts=False).replace("\n", "\n        ")
