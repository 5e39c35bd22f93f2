"""The report as CSV."""

from __future__ import annotations

import csv
import io
from typing import Any

COLUMNS = ("learner", "name", "puzzle", "part", "outcome", "symptom", "points", "attempts", "minutes", "hints")


def table(known: dict[str, Any]) -> str:
    """A document's learners as CSV, a row for each learner and part; no cell of it is a formula to a spreadsheet."""
    file = io.StringIO()
    rows = csv.writer(file, lineterminator="\n")
    rows.writerow(COLUMNS)
    for learner in known["learners"]:
        who = _no_formula(learner["learner"]), _no_formula(learner["name"])
        for slug, parts in learner["parts"].items():
            for part, entry in parts.items():
                rows.writerow((*who, slug, part, *("" if one is None else one for one in entry.values())))
    return file.getvalue()


def _no_formula(text: str) -> str:
    return f"'{text}" if text.lstrip()[:1] in ("=", "+", "-", "@") else text
