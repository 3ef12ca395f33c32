"""A report on a run or on one of its samples: one document of plain JSON values, which also becomes one HTML page.

    report = make_report(store, "run-0123456789abcdef")
    write_report(report, "folder")      report.html, report.json, experiment.json

The document holds all numbers that the page shows and all that is needed to compute them again; its schema is
``docs/report.schema.json``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..data import Dataset
from ..device import logits_of
from ..errors import RurkError, UsageError
from ..evidence.acceptance import against, declared_words
from ..evidence.case import Case, open_case
from ..evidence.findings import Findings, find, plain
from ..evidence.law import Judged
from ..evidence.null import NEEDED
from ..evidence.reviews import VERDICTS, declarations, history, latest, notes, signatures
from ..evidence.tables import moving
from ..evidence.whole_set import find_whole_set, other_siblings
from ..evidence.whole_words import not_measured, siblings_words
from ..evidence.words import caveats, sample_words, set_words, share_words, short_words
from ..measure.frozen import frozen_copy
from ..measure.judged import drawn
from ..measure.residual import Verdicts
from ..run.again import as_command
from ..run.provenance import makers, words
from ..run.result import load_result
from ..run.stored import data_of, load_model, load_verdicts, versions
from ..store.names import explain
from ..store.store import Store
from .figures import Copies
from .page import page

FORMAT = "rurk-report/3"
COPIES = 40
"""Copies of a sample shown as pictures."""
READABLE = 1_000_000
"""Letters of a document that is still set in lines; beyond, a third is saved by leaving them out."""
FILES = ("report.html", "report.json", "experiment.json")


@dataclass(frozen=True)
class Report:
    """A finished report.

    Attributes:
        html: one page that needs nothing else; document: the same as plain JSON values.
    """

    html: str
    document: dict[str, Any]

    @property
    def json(self) -> str:
        """The document as text, in lines where it is short enough to be read."""
        text = json.dumps(self.document, indent=1, ensure_ascii=False, allow_nan=False)
        return text if len(text) <= READABLE else json.dumps(self.document, separators=(",", ":"), ensure_ascii=False)

    @property
    def experiment(self) -> str:
        """The file that the re-run command of an experiment reads."""
        return json.dumps(self.document["rerun"]["experiment"], indent=1, ensure_ascii=False)


def make_report(store: Store, run: str, *, sample: int | None = None, root: str | None = None) -> Report:
    """A report on a finished run or audit, or on one of its forget samples.

    Args:
        run: its key; sample: a training index of its forget set, or None for the whole run.
        root: where data sets lie; where the data cannot be read the report has no pictures and says so.

    Raises:
        UsageError: there is no such run, or the sample is not in its forget set.
        RurkError: the run is damaged.
    """
    if not run.startswith("run-") or not store.has(run):
        raise UsageError(
            f"There is no run '{run[:60]}' in the store {store.url}; 'rurk store ls --kind run' lists those there are."
        )
    result = load_result(store, run)
    indices = result["forget"]["indices"]
    if sample is not None and sample not in indices:
        raise UsageError(f"Sample {sample} is not among the {len(indices)} samples to forget of {run}.")
    # the Original last: it is what the others are to be told from
    result |= {"residual": sorted(result["residual"], key=lambda entry: entry["method"] == "original")}
    tables = {entry["verdicts"]: load_verdicts(store, entry["verdicts"]) for entry in result["residual"]}
    document = _document(store, result, tables, sample)
    data, why = _data(result, root)
    if data is None:
        document["notes"].append(why)
    copies = {} if sample is None or data is None else _copies_of(store, result, tables, data, sample)
    return Report(page(document, result, tables, data, copies), document)


def write_report(report: Report, folder: str | Path) -> list[Path]:
    """Write the files of a report into a folder, which is made if it is not there; returns their paths.

    Raises:
        RurkError: they cannot be written.
    """
    contents = dict(zip(FILES, (report.html, report.json, report.experiment), strict=True))
    if report.document["rerun"]["experiment"] is None:
        del contents["experiment.json"]
    paths = []
    try:
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        for name, text in contents.items():
            (target / name).write_text(text, encoding="utf-8")
            paths.append(target / name)
    except OSError as error:
        raise RurkError(explain(error, "The report", folder)) from None
    return paths


def latest_run(store: Store) -> str:
    """The key of the newest run that was made here, or else that came with the app; UsageError where there is none."""
    entries = sorted(store.list("run"), key=lambda entry: entry.bundled)
    if not entries:
        raise UsageError(f"There is no run in the store {store.url}; make one with 'rurk run' or 'rurk audit'.")
    return entries[0].key


def _document(store: Store, result: dict[str, Any], tables: dict[str, Verdicts], sample: int | None) -> dict[str, Any]:
    spec, forget, run = result["spec"], result["forget"], result["key"]
    cases = [open_case(store, run, method=entry["method"], attack=entry["attack"]) for entry in result["residual"]]
    found = [find(case) for case in cases]
    pairs, made = list(zip(cases, found, strict=True)), makers(store, result)
    classes = result["dataset"]["classes"]
    return {
        "format": FORMAT,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "kind": "audit" if "audit" in result else "experiment",
        "run": run,
        "sample": sample,
        "title": next((entry.title for entry in store.list("run") if entry.key == run), ""),
        "question": _question(result, sample),
        "caveats": caveats(result),
        "answers": [_answer(case, of, sample) for case, of in pairs],
        "data": result["dataset"],
        "forget": {
            "rule": forget["rule"],
            "count": len(forget["indices"]),
            "sha256": hashlib.sha256(",".join(map(str, forget["indices"])).encode()).hexdigest(),
            "indices": forget["indices"],
        },
        "models": [_model(store, row) for row in result["models"]],
        "residual": result["residual"],
        "samples": [row for case, of in pairs for row in _samples(case, of, classes, sample)],
        "whole_set": [] if sample is not None else [_whole(case) for case in cases],
        "judgements": [asdict(one) for one in history(store, run) if sample in (None, one.sample)],
        "review": _review(store, run, pairs, sample),
        "made_with": {
            "versions": result["versions"],
            "device": result["device"],
            "seconds": result["seconds"],
            "seed": result["seed"],
            "report_versions": versions(),
        },
        "makers": {"sentences": words(made), "entries": [one.to_dict() for one in made]},
        "settings": {name: spec[name] for name in sorted(spec) if name != "title"},
        "rerun": _rerun(result),
        "limits": _limits(result, found),
        "notes": list(result.get("notes", [])),
    }


def _review(store: Store, run: str, pairs: list[tuple[Case, Findings]], sample: int | None) -> dict[str, Any]:
    """What was declared before looking and how the findings stand to it, notes, decisions counted, who signed off."""
    past, declared = history(store, run), declarations(store, run)
    counted = [one for (_, of), one in latest(past).items() if sample in (None, of)]
    return {
        "declared_words": declared_words(declared, past),
        "declared": [asdict(one) for one in declared],
        "conditions": [
            {"method": case.method, "attack": case.attack, "rows": [asdict(row) for row in against(declared[-1], of)]}
            for case, of in pairs
            if declared
        ],
        "decided": {
            case.method: {
                name: sum((one.method, one.verdict) == (case.method, name) for one in counted) for name in VERDICTS
            }
            for case, _ in pairs
        },
        "signed": [asdict(one) for one in signatures(store, run)],
        "notes": [asdict(one) for one in notes(store, run).values() if sample in (None, one.sample)],
    }


def _whole(case: Case) -> dict[str, Any]:
    """What was measured of the forget set as a whole for one model and attack; a sentence where nothing was."""
    found = find_whole_set(case)
    about = {"method": case.method, "attack": case.attack}
    about["sentence"] = not_measured(case.run, case.method, case.attack)
    if found:
        apart = other_siblings(case, found["key"])
        about["sentence"] = siblings_words(*apart) if apart else ""
    return about | {"found": found and {name: found[name] for name in found if name not in (*about, "samples")}}


def _question(result: dict[str, Any], sample: int | None) -> str:
    data, count = result["dataset"], len(result["forget"]["indices"])
    if sample is not None:
        return (
            f"Training sample {sample} of {data['name']} was to be forgotten. Do the unlearned models still recognise "
            "perturbed copies of it that models re-trained without it do not?"
        )
    were, them = ("was", "it") if count == 1 else ("were", "them")
    return (
        f"{count:,} of {data['train']:,} training samples of {data['name']} {were} to be forgotten. Do the unlearned "
        f"models still recognise perturbed copies of {them} that models re-trained without {them} do not?"
    )


def _answer(case: Case, found: Findings, sample: int | None) -> dict[str, Any]:
    """What one model under one attack amounts to: findings counted, the evidence as a whole, and a sentence."""
    if sample is None:
        sentence = set_words(found)
    else:
        sentence = sample_words(next(one for one in found.samples if one.sample == sample), found)
    about = {"method": case.method, "attack": case.attack, "samples": len(found.samples)}
    about |= {"short": short_words(found), "share": share_words(found)[1]}
    return about | {"sentence": sentence, "evidence": found.to_dict()}


def _limits(result: dict[str, Any], found: Sequence[Findings]) -> list[str]:
    """What the numbers cannot say, with numbers where there are any."""
    limits = []
    judged = next((of.judged for of in found if of.judged and of.judged.references >= NEEDED), None)
    if judged:
        limits += [
            f"{judged.references} re-trained models stand for all that retraining could give. {_detectable(judged)}",
            "Findings compare the model with the law of one more re-training, fitted to those there are and held "
            "against each of them in turn; a kind of samples on which re-trainings differ otherwise may be misjudged.",
        ]
        if judged.shift is not None and judged.shift.p <= 0.05:
            limits.append(
                "Re-trained models are better or worse as a whole here, more than chance would make them, so samples "
                "are misjudged together rather than one by one."
            )
    draws = result["spec"]["draws"]
    return [
        *limits,
        f"Counts are of {'one copy' if draws == 1 else f'{draws} copies'} at each radius; other draws may give other "
        "counts, the more so the fewer there are.",
        "Only the perturbations and radii listed here were looked at; a model may still know a sample in other ways.",
        "The measurement takes the data set, the forget set and the models as they were given; it cannot tell whether "
        "a re-trained model has really never seen the forget set.",
    ]


def _detectable(judged: Judged) -> str:
    """What could have been found with the re-trained models that there are."""
    seen = judged.detectable[np.isfinite(judged.detectable)]
    n = len(judged.detectable)
    if not len(seen):
        return "On no sample could any log-odds have been found residual in 4 of 5 cases."
    takes = f"it takes log-odds of {np.median(seen):.1f} beyond a re-training (median) to be found residual"
    if len(seen) == n:
        return f"{takes[0].upper()}{takes[1:]} in 4 of 5 cases."
    none = f"On {n - len(seen)} of the {n} samples no log-odds could have been found residual in 4 of 5 cases"
    return f"{none}; on the {'other' if len(seen) == 1 else 'others'} {takes}."


def _model(store: Store, row: dict[str, Any]) -> dict[str, Any]:
    """A row of the result with the fingerprint of the weights that were judged."""
    found = dict(row)
    if row.get("key"):
        noted = json.loads(store.read(row["key"], "spec.json"))["files"]["model.safetensors"]
        found["weights_sha256"] = noted["sha256"]
    return found


def _samples(case: Case, found: Findings, classes: Sequence[str], sample: int | None) -> list[dict[str, Any]]:
    """Every sample under one model and attack, the most beyond a re-training first.

    Of one sample alone the references' counts are given by radius, otherwise their sums over the radii above 0.
    """
    u, v, at = case.verdicts.recognised(case.method), case.verdicts.reference_recognised(), moving(case.verdicts.taus)
    return [
        {
            "sample": one.sample,
            "class": classes[one.label],
            "attack": case.attack,
            "method": case.method,
            "recognised": u[one.place].tolist(),
            "over_radii": one.recognised,
            "references": list(one.references) if sample is None else v[:, one.place].tolist(),
            "references_over_radii": v[:, one.place][:, at].sum(1).tolist(),
            "excess": plain(one.excess),
            "finding": one.finding,
            "evidence": one.row or None,
        }
        for one in found.samples
        if sample in (None, one.sample)
    ]


def _rerun(result: dict[str, Any]) -> dict[str, Any]:
    """How to compute the same numbers again: a command, and for an experiment the file it reads."""
    spec = dict(result["spec"])
    if spec["forget"].startswith("file:"):  # that file may be gone; the indices are all that mattered in it
        spec["forget"] = "indices:" + ",".join(map(str, result["forget"]["indices"]))
    if "audit" not in result:
        return {"command": "rurk run --spec experiment.json --store rurk-store", "experiment": spec}
    return {"command": as_command(result | {"spec": spec}), "experiment": None}


def _copies_of(
    store: Store, result: dict[str, Any], tables: dict[str, Verdicts], data: Dataset, sample: int
) -> dict[str, Copies]:
    """The first copies of a sample at the radius where models and references differ most, for every table."""
    keys = {row["name"]: row["key"] for row in result["models"]}
    found = {}
    for key, v in tables.items():
        place = v.samples.tolist().index(sample)
        others = [name for name in v.models if name not in v.references and name != "original"] or ["original"]
        each = v.reference_recognised()[:, place]
        base = each.mean(0) if len(each) else np.zeros(len(v.taus))
        apart = np.max([np.abs(v.recognised(name)[place] - base) for name in others], axis=0)
        apart[(v.taus == 0) & (len(v.taus) > 1)] = -1  # without a radius all copies are alike
        at = int(np.argmax(apart))
        models = {name: frozen_copy(load_model(store, keys[name]), torch.device("cpu")) for name in v.models}
        moved = drawn(v, data.train_images[sample], place, float(v.taus[at]), models.get(v.source), len(data.classes))
        moved = moved[:COPIES]
        right = torch.stack([logits_of(model, moved).argmax(1) == int(v.labels[place]) for model in models.values()])
        found[key] = Copies(float(v.taus[at]), moved, right.numpy())
    return found


def _data(result: dict[str, Any], root: str | None) -> tuple[Dataset | None, str]:
    """The data of a run where it can be read and is the same; otherwise None and why."""
    try:
        found = data_of(result, root)
    except RurkError as error:
        return None, f"The report has no pictures: {error}"
    if found.fingerprint != result["dataset"]["fingerprint"]:
        return None, "The report has no pictures: the data set here is not the one of the run."
    return found, ""
