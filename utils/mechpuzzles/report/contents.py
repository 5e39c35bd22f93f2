"""The report's contents; see `mechpuzzles.report`."""

from __future__ import annotations

import contextlib
import datetime
import gc
import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from mechpuzzles.grading import driver
from mechpuzzles.report import advice, values
from mechpuzzles.report.classes import read
from mechpuzzles.report.rates import entry, of_puzzle
from mechpuzzles.report.records import RIGHT, Class


def document(course: driver.Course, slugs: list[str] | None = None, anonymous: bool = False) -> dict[str, Any]:
    """All that is known of a class; raises `driver.Unusable` where that is nothing."""
    with _no_search_for_cycles():
        return _document(course, slugs, anonymous)


@contextlib.contextmanager
def _no_search_for_cycles() -> Iterator[None]:
    """A large class is millions of objects without a cycle; to look for some takes a quarter of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _document(course: driver.Course, slugs: list[str] | None, anonymous: bool) -> dict[str, Any]:
    known = read(course, slugs)
    called = _pseudonyms(known) if anonymous else {learner: plain(learner) for learner in known.learners}
    shared, compared = values.found(course, known)
    rows, totals = _learners(known), _totals(known)
    return {
        "course": plain(str(course.coursedir.course_id)),
        "made": datetime.datetime.now().astimezone().isoformat(timespec="minutes"),
        "anonymous": anonymous,
        "left_out": [plain(name) for name in known.left_out],
        "puzzles": [of_puzzle(known, puzzle, totals) for puzzle in known.puzzles],
        "learners": [
            {"learner": called[learner], "name": "" if anonymous else plain(known.learners[learner]), **row}
            for learner, row in sorted(rows.items(), key=lambda one: (-one[1]["points"], called[one[0]]))
        ],
        "stuck": sorted(
            ({"learner": called[learner], **row} for learner, row in advice.stuck(known).items()),
            key=lambda row: (-row["behind"], -(row["attempts"] or 0), row["learner"]),
        ),
        "teach": {"rule": advice.RULE, "things": advice.to_teach(known)},
        "values": {
            "shared": [
                {
                    "learner": called[one.learner],
                    "puzzle": one.puzzle,
                    "part": one.part,
                    "owners": sorted(called[owner] for owner in one.owners),
                    "chance": round(one.chance, 4),
                }
                for one in sorted(shared, key=lambda one: (one.chance, one.puzzle, called[one.learner]))
            ],
            "compared": [
                {"puzzle": slug, "part": part, "learners": number, "of": len(known.handed_in(slug))}
                for (slug, part), number in compared.items()
            ],
        },
        "waits": _waits(known, called, anonymous),
    }


def plain(text: str) -> str:
    """A text in one line, without what is no letter and could rearrange or hide others."""
    text = re.sub(r"\s+", " ", text)
    return re.sub(
        "[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff\ufeff]", "\ufffd", text
    )


def _pseudonyms(known: Class) -> dict[str, str]:
    """Names in an order that only who has the gradebook can work out, the same at every run."""

    def order(learner: str) -> str:
        return hashlib.sha256(f"{known.salt}/{learner}".encode("utf-8", "surrogateescape")).hexdigest()

    width = max(2, len(str(len(known.learners))))
    shuffled = sorted(known.learners, key=order)
    return {learner: f"learner {number:0{width}}" for number, learner in enumerate(shuffled, start=1)}


def _learners(known: Class) -> dict[str, dict[str, Any]]:
    full = sum(known.points.values())
    rows = {}
    for learner in known.learners:
        works = {puzzle.slug: known.works.get((learner, puzzle.slug)) for puzzle in known.puzzles}
        parts = {p.slug: {part.name: entry(works[p.slug], part) for part in p.parts} for p in known.puzzles}
        rows[learner] = {
            "points": round(sum((work.score for work in works.values() if work), 0.0), 4),
            "max_points": full,
            "right": sum(one["outcome"] == RIGHT for of in parts.values() for one in of.values()),
            "handed_in": sum(work is not None for work in works.values()),
            "parts": parts,
        }
    return rows


def _totals(known: Class) -> dict[str, float]:
    """The points of all parts, without texts, by learner."""
    totals = dict.fromkeys(known.learners, 0.0)
    for (learner, _), work in known.works.items():
        totals[learner] += sum(cell.points or 0.0 for cell in work.cells.values())
    return totals


def _waits(known: Class, called: dict[str, str], anonymous: bool) -> dict[str, Any]:
    texts = Counter((slug, text) for (_, slug), work in known.works.items() for text in work.texts)
    names = {word.lower() for learner, name in known.learners.items() for word in (learner, *name.split())}
    submissions = [
        {
            "learner": called[learner],
            "puzzle": slug,
            "status": work.status,
            "message": _without_names(work.message, names) if anonymous else plain(work.message),
        }
        for (learner, slug), work in known.works.items()
        if work.status in ("ungraded", "rejected")
    ]
    return {
        "texts": [{"puzzle": slug, "text": plain(text), "learners": n} for (slug, text), n in sorted(texts.items())],
        "submissions": sorted(submissions, key=lambda one: (one["status"], one["puzzle"], one["learner"])),
    }


def _without_names(message: str, names: Iterable[str]) -> str:
    """A message without what it quotes, or none if a name of the class is left in it."""
    unquoted = re.sub(r'"[^"]*"', '"..."', plain(message))
    held = any(name in unquoted.lower() or plain(name) in unquoted.lower() for name in names)
    return "(The message is left out: a learner's name is in it.)" if held else unquoted
