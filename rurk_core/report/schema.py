"""What of the report's schema follows from the list of statistics: ``python -m benchmarks.schema`` writes it."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from ..evidence.acceptance import Met
from ..evidence.findings import STATISTICS, Statistic
from ..evidence.law import FINDINGS
from ..evidence.reviews import VERDICTS, Declaration, Note, Signature
from ..evidence.whole import Whole


def evidence_schema() -> dict[str, Any]:
    """JSON schema of a row's ``evidence``: one property for each of :data:`STATISTICS`, null where it is undefined."""
    return _object({statistic.name: _property(statistic) for statistic in STATISTICS}, null=True)


def findings_schema() -> dict[str, Any]:
    """JSON schema of what is said of a set, as :meth:`~rurk_core.evidence.findings.Findings.to_dict` has it."""
    number = {"type": ["number", "null"]}
    words = {name: {"type": ["number", "string", "null"]} for name in Whole.__dataclass_fields__}
    return _object(
        {
            "findings": _object({name: {"type": "integer"} for name in FINDINGS}),
            "remembered": {"type": "integer", "description": "residual samples of which memory of the sample is shown"},
            "references": {"type": "integer"},
            "rate": {"type": "number", "description": "false-discovery rate of the lists"},
            "held_out": {"type": "integer", "description": "held-out samples of the classes"},
            "set": _object(words),
            "set_specific": _object({name: number for name in ("excess", "low", "high", "p")}),
            "settling": {
                "type": "array",
                "items": _object(
                    {"what": {"enum": ["references", "draws", "members"]}}
                    | {name: {"type": "integer"} for name in ("number", "now", "samples")}
                ),
            },
            "missing": {"type": "array", "items": {"type": "string"}},
        }
    )


def retained_schema() -> dict[str, Any]:
    """JSON schema of :meth:`~rurk_core.evidence.retained.Retained.to_dict`; null where it was not measured."""
    row = {
        "sample": {"type": "integer"},
        "label": {"type": "integer"},
        **evidence_schema()["properties"],
        "distance": {"type": "number", "description": "of the Original's features, 1 − cosine, to the nearest"},
        "nearest": {"type": "integer", "description": "forget sample"},
        "shift": {"type": ["number", "null"], "description": "clean log-odds, in deviations of one more re-training"},
        "q_shift": {"type": "number"},
    }
    return _object(
        {
            "references": {"type": "integer"},
            "rate": {"type": "number"},
            "samples": {"type": "array", "items": _object(row)},
            "changed": {"type": "array", "items": {"type": "integer"}},
        },
        null=True,
    )


def review_schema() -> dict[str, Any]:
    """JSON schema of what reviewers declared, wrote and signed."""

    def rows(kind: type) -> dict[str, Any]:
        types = {
            "int": "integer",
            "float": "number",
            "str": "string",
            "bool": "boolean",
            "bool | None": ["boolean", "null"],
        }
        each = {field.name: {"type": types[str(field.type)]} for field in fields(kind)}
        return {"type": "array", "items": _object(each)}

    text = {"type": "string"}
    return _object(
        {
            "declared_words": text,
            "declared": rows(Declaration),
            "conditions": {
                "type": "array",
                "items": _object({"method": text, "attack": text, "rows": rows(Met)}),
            },
            "decided": {
                "type": "object",
                "additionalProperties": _object({name: {"type": "integer"} for name in VERDICTS}),
                "description": "samples with each decision, by model",
            },
            "signed": rows(Signature),
            "notes": rows(Note),
        }
    )


def _property(statistic: Statistic) -> dict[str, Any]:
    if isinstance(statistic.kind, tuple):
        return {"enum": [*statistic.kind, None], "description": statistic.meaning}
    return {"type": [statistic.kind, "null"], "description": statistic.meaning}


def _object(properties: dict[str, Any], *, null: bool = False) -> dict[str, Any]:
    about = {"properties": properties, "required": list(properties), "additionalProperties": False}
    return {"type": ["object", "null"] if null else "object", **about}
