"""The page of a class: one file of HTML that asks for nothing, holds no script and reads in light and dark."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from mechpuzzles import cards
from mechpuzzles.report.records import ABSENT, BLANK, RAISED, RIGHT, UNGRADED, WRONG

# Sign and class of an outcome.
LOOKS = {
    RIGHT: ("✓", "r"),
    WRONG: ("✗", "w"),
    RAISED: ("!", "e"),
    BLANK: ("○", "b"),
    UNGRADED: ("?", "u"),
    ABSENT: ("·", "a"),
}
BLOCK = 100  # learners in one table: only those that are unfolded are drawn
DESCRIBED = 5_000  # cells that each carry their own words; of more, the heads of row and column and the sign have to do
SHOWN = 25  # rows of a list that are not folded away


def page(known: dict[str, Any]) -> str:
    """A document of `mechpuzzles.report` as a page."""
    folder = jinja2.FileSystemLoader(Path(__file__).parent / "templates")
    environment = jinja2.Environment(
        loader=folder, autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= {"percent": _percent, "number": _number, "words": _words, "learners": _learners}
    environment.filters["inline"] = lambda text: Markup(cards.inline(text))
    template = environment.get_template("page.html.j2")
    titles = {puzzle["slug"]: puzzle["title"] for puzzle in known["puzzles"]}
    names = {row["learner"]: row["name"] for row in known["learners"]}
    return template.render(known, looks=LOOKS, titles=titles, names=names, blocks=list(_blocks(known)), shown=SHOWN)


def _percent(share: float | int) -> str:
    return f"{100 * share:.0f}\N{NO-BREAK SPACE}%"


def _number(value: float | int) -> str:
    return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"


def _words(name: str) -> str:
    """A slug as words."""
    return name.replace("_", " ")


def _learners(count: int) -> str:
    return f"{count:,} learner" + ("" if count == 1 else "s")


# The heat map -----------------------------------------------------------------------------------------------------


def _blocks(known: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The rows of learners in tables of at most `BLOCK`, with what they are about."""
    rows, sentences = known["learners"], _sentences(known)
    cells = len(rows) * sum(len(puzzle["parts"]) for puzzle in known["puzzles"])
    for first in range(0, len(rows), BLOCK):
        block = rows[first : first + BLOCK]
        yield {
            "first": first + 1,
            "last": first + len(block),
            "most": _number(block[0]["points"]),
            "least": _number(block[-1]["points"]),
            "shares": _shares(block),
            "rows": Markup("\n").join(_row(row, sentences if cells <= DESCRIBED else None) for row in block),
        }


def _shares(block: list[dict[str, Any]]) -> list[int | None]:
    """For each part, how many of a hundred learners of a block who were graded had it right."""
    shares: list[int | None] = []
    for entries in zip(
        *(tuple(one for of in row["parts"].values() for one in of.values()) for row in block), strict=True
    ):
        graded = [one["outcome"] for one in entries if one["outcome"] not in (UNGRADED, ABSENT)]
        shares.append(round(100 * graded.count(RIGHT) / len(graded)) if graded else None)
    return shares


def _sentences(known: dict[str, Any]) -> dict[tuple[str, str, str | None], str]:
    return {
        (puzzle["slug"], part["name"], symptom["name"]): symptom["sentence"]
        for puzzle in known["puzzles"]
        for part in puzzle["parts"]
        for symptom in part["symptoms"]
    }


def _row(row: dict[str, Any], sentences: dict[tuple[str, str, str | None], str] | None) -> Markup:
    """A learner's row; the ends of cells may be left out in HTML, and there are many."""
    cells = [
        _cell(entry, "" if sentences is None else _said(slug, part, entry, sentences))
        for slug, parts in row["parts"].items()
        for part, entry in parts.items()
    ]
    name = f" <bdi>({escape(row['name'])})</bdi>" if row["name"] else ""
    head = f"<tr><th scope=row><bdi>{escape(row['learner'])}</bdi>{name}<td class=n>{_number(row['points'])}"
    return Markup(head + "".join(cells))


def _cell(entry: dict[str, Any], says: str) -> str:
    sign, look = LOOKS[entry["outcome"]]
    return f'<td class={look} title="{escape(says)}">{sign}' if says else f"<td class={look}>{sign}"


def _said(slug: str, part: str, entry: dict[str, Any], sentences: dict[tuple[str, str, str | None], str]) -> str:
    words = f"{part}: {entry['outcome']}"
    if entry["outcome"] == WRONG:
        words += f". {sentences[slug, part, entry['symptom']]}"
    return words
