"""``python -m benchmarks.schema``: writes what follows from the list of statistics into docs/report.schema.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rurk_core.evidence.law import FINDINGS
from rurk_core.report.document import FORMAT
from rurk_core.report.schema import evidence_schema, findings_schema, retained_schema, review_schema

TARGET = Path(__file__).parents[1] / "docs" / "report.schema.json"


def written(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with the generated parts as they are now."""
    properties = schema["properties"]
    properties["format"] = {"const": FORMAT}
    answer = properties["answers"]["items"]
    answer["properties"] |= {"evidence": findings_schema(), "short": {"type": "string"}, "share": {"type": "string"}}
    answer["required"] = list(answer["properties"])
    properties["review"] = review_schema()
    schema["required"] = list(dict.fromkeys([*schema["required"], "review"]))
    row = properties["samples"]["items"]["properties"]
    row["evidence"], row["finding"] = evidence_schema(), {"enum": list(FINDINGS)}
    whole = properties["whole_set"]["items"]["properties"]["found"]["anyOf"][0]["properties"]
    whole["retained"] = retained_schema()
    return schema


def main() -> None:
    found = written(json.loads(TARGET.read_text()))
    TARGET.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
