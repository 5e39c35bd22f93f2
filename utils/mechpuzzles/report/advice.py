"""What follows from it for whoever teaches: who is stuck where, and what to teach next."""

from __future__ import annotations

import statistics
from typing import Any

from mechpuzzles.parts import Part
from mechpuzzles.puzzle import Puzzle
from mechpuzzles.report.rates import entry, sentence, symptoms
from mechpuzzles.report.records import RIGHT, UNGRADED, WRONG, Class

THINGS = 3  # to teach
SEVERAL = 2  # learners, for a symptom to be worth teaching
FAR = 3  # parts: half of a class is always a little behind its middle
OFTEN = 3  # wrong attempts in a row at the end of a log: stuck
RULE = (
    f"Of the symptoms that at least {SEVERAL} learners show, the {THINGS} with the most points times learners; "
    "one for each part."
)


def stuck(known: Class) -> dict[str, dict[str, Any]]:
    """Who is far behind the middle of the class, or whose log ends in wrong attempts at one part."""
    places = [(puzzle, part) for puzzle in known.puzzles for part in puzzle.parts]
    reached = {learner: _reached(known, learner, places) for learner in known.learners}
    middle = statistics.median_low(reached.values())
    rows = {}
    for learner, so_far in reached.items():
        if middle - so_far >= FAR:
            rows[learner] = _place(known, learner, *places[so_far], middle - so_far)
        elif hard := _hard(known, learner, places):
            rows[learner] = _place(known, learner, *hard, 0)
    return rows


def _reached(known: Class, learner: str, places: list[tuple[Puzzle, Part]]) -> int:
    """How many parts there are up to the last one that is right."""
    right = 0
    for number, (puzzle, part) in enumerate(places, start=1):
        work = known.works.get((learner, puzzle.slug))
        if work and work.cells[part.name].outcome == RIGHT:
            right = number
    return right


def _hard(known: Class, learner: str, places: list[tuple[Puzzle, Part]]) -> tuple[Puzzle, Part] | None:
    for puzzle, part in places:
        work = known.works.get((learner, puzzle.slug))
        effort = work.efforts.get(part.name) if work and work.efforts else None
        if work and effort and effort.wrong_in_a_row >= OFTEN and work.cells[part.name].outcome != RIGHT:
            return puzzle, part
    return None


def _place(known: Class, learner: str, puzzle: Puzzle, part: Part, behind: int) -> dict[str, Any]:
    work = known.works.get((learner, puzzle.slug))
    found = entry(work, part)
    wrong = found["outcome"] == WRONG
    return {
        "puzzle": puzzle.slug,
        "part": part.name,
        "outcome": found["outcome"],
        "sentence": sentence(part, found["symptom"]) if wrong else "",
        "behind": behind,
        "attempts": found["attempts"],
    }


def to_teach(known: Class) -> list[dict[str, Any]]:
    """The symptoms that cost the class most, by `RULE`."""
    best = []
    for puzzle in known.puzzles:
        works = known.handed_in(puzzle.slug)
        for part in puzzle.parts:
            graded = sum(work.cells[part.name].outcome != UNGRADED for work in works.values())
            for symptom in symptoms(part, works.values()):
                shown = symptom["learners"]
                if symptom["name"] is not None and shown >= SEVERAL:
                    best.append(
                        {
                            "puzzle": puzzle.slug,
                            "part": part.name,
                            "points": part.points,
                            "symptom": symptom["name"],
                            "sentence": symptom["sentence"],
                            "principle": puzzle.principle,
                            "learners": shown,
                            "graded": graded,
                            "cost": part.points * shown,
                        }
                    )
                    break  # the most frequent of the part
    return sorted(best, key=lambda one: (-one["cost"], one["puzzle"], one["part"]))[:THINGS]
