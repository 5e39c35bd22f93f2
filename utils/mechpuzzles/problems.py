"""The open problems that the series leads into: a catalogue, and which part of which puzzle is a first step of each.

The problems and their numbers are those of Neel Nanda's "200 Concrete Open Problems in Mechanistic Interpretability"
(2022-2023) and of the table that goes with it, nine categories in all. The wording, and what each needs, is ours.

A row counts as covered when a graded part has the learner take its first concrete step; a puzzle says so itself, in
``Puzzle.problems``.
"""

from __future__ import annotations

import csv
import functools
import html
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mechpuzzles.puzzle import Puzzle

FILE = Path(__file__).with_name("problems.tsv")
Steps = Mapping[str, list[tuple["Puzzle", str]]]  # by a problem's id: puzzles, and the part of each


@dataclass(frozen=True)
class Problem:
    """An open problem: its number, where it stands in the list, our wording of it, and what it takes to begin."""

    id: str
    category: str
    section: str
    title: str
    models: tuple[str, ...]
    data: tuple[str, ...]
    compute: str

    @property
    def number(self) -> int:
        """Of its category, from 1 to 9."""
        return int(self.id.split(".")[0])

    @property
    def needs(self) -> dict[str, Any]:
        """As `mechpuzzles problems --json` has it."""
        return {"models": list(self.models), "data": list(self.data), "compute": self.compute}


@functools.cache
def catalogue() -> dict[str, Problem]:
    """All problems by id, in the order of the list."""
    with FILE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    made = (
        Problem(**row | {several: tuple(row[several].split(",")) for several in ("models", "data")}) for row in rows
    )
    return {problem.id: problem for problem in made}


def steps(puzzles: Iterable[Puzzle]) -> Steps:
    """Which puzzles lead into each problem, and by which part; problems without one are not in it.

    Raises `ValueError` for a puzzle that names a problem which is not in the list.
    """
    found: dict[str, list[tuple[Puzzle, str]]] = {}
    for puzzle in puzzles:
        for number, part in puzzle.problems.items():
            if number not in catalogue():
                raise ValueError(f"{puzzle.slug} leads into problem {number!r}, which is not in the list")
            found.setdefault(number, []).append((puzzle, part))
    return found


def document(puzzles: Iterable[Puzzle], category: int | None = None, uncovered: bool = False) -> list[dict[str, Any]]:
    """What `mechpuzzles problems --json` prints: problems with the puzzles that lead into each.

    Of one ``category`` or all; with ``uncovered`` only those that no puzzle leads into. `ValueError` as in `steps`.
    """
    leading = steps(puzzles)
    return [
        {
            "id": problem.id,
            "category": problem.category,
            "section": problem.section,
            "title": problem.title,
            "needs": problem.needs,
            "puzzles": [{"slug": puzzle.slug, "part": part} for puzzle, part in leading.get(problem.id, [])],
        }
        for problem in catalogue().values()
        if category in (None, problem.number) and not (uncovered and problem.id in leading)
    ]


def after(puzzle: Puzzle) -> str:
    """The Markdown that ends a puzzle's notebook: the problems that it was a first step of; empty if there are none."""
    if not puzzle.problems:
        return ""
    rows = [f"- **{number}** {catalogue()[number].title} (`{part}`)" for number, [(_, part)] in steps([puzzle]).items()]
    lead = "Each begins with the part that is named. What comes after it is open, and the index shows all there are."
    return "\n".join(["### Open problems from here", "", lead, "", *rows])


def page(puzzles: Iterable[Puzzle]) -> list[str]:
    """The list as Markdown: what is covered of each category, and each category's problems folded away."""
    leading = steps(puzzles)
    table = ["| | category | problems | with a puzzle |", "|-|-|-|-|"]
    folded = []
    for category, members in groupby(catalogue().values(), lambda problem: problem.category):
        rows = list(members)
        covered = sum(row.id in leading for row in rows)
        table.append(f"| {rows[0].number} | {category} | {len(rows)} | {covered} |")
        folded.append(_folded(category, rows, leading))
    begun = sum(number in leading for number in catalogue())
    lead = f"""## The open problems

Neel Nanda listed {len(catalogue())} open problems for whoever wants to begin, in nine categories (2022-2023).
The wording here is ours. Of these, {begun} begin with something that you write in a puzzle.
"""
    return ["\n".join([lead, *table]), *folded]


def _folded(category: str, rows: list[Problem], leading: Steps) -> str:
    lines = [f"<details><summary>{rows[0].number}. {html.escape(category)}</summary>", ""]
    for section, members in groupby(rows, lambda row: row.section):
        lines += [f"**{section}**", ""] if section else []
        lines += [_line(row, leading) for row in members]
        lines.append("")
    return "\n".join([*lines, "</details>"])


def _line(row: Problem, leading: Steps) -> str:
    ways = [f"[{p.title}]({p.slug}/{p.slug}.ipynb), `{part}`" for p, part in leading.get(row.id, [])]
    begin = f" → {'; '.join(ways)}" if ways else ""
    return f"- {row.id} {row.title}{begin}"
