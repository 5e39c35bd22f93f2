"""What a class understood and misunderstood, as one document of plain data.

``document(course)`` is what `mechpuzzles report --json` prints and what the page is made of:

- ``course``, ``made`` (when), ``anonymous``, ``left_out`` (assignments that are not in it)
- ``puzzles``: in the order of the series ``{slug, title, principle, points, handed_in, parts, predictions}``; a part is
  ``{name, points, outcomes, graded, right, rate, low, high, discrimination, symptoms, log}``: ``outcomes`` counts the
  learners by outcome, ``rate`` is right of graded with a Wilson interval of 95 % (null where none is graded),
  ``discrimination`` the point-biserial correlation of being right with the learner's points for all other parts (null
  where the class is too small, or where all or none are right), ``symptoms`` is ``[{name, sentence, learners}]`` of
  the wrong answers, most frequent first, and ``log`` is ``{learners, attempts, minutes, hints}``, medians of those who
  shared their log, or null; a prediction is ``{name, guesses, bars: [{label, learners, right}], sure, truth, source,
  right, share}``, with ``source`` "puzzle" or "logs" or null where no truth is known
- ``learners``: by points, the most first, ``{learner, name, points, max_points, right, handed_in, parts}``, where
  ``parts`` is ``{slug: {part: {outcome, symptom, points, attempts, minutes, hints}}}``, the last three from a log
- ``stuck``: ``[{learner, puzzle, part, outcome, sentence, behind, attempts}]``, who is furthest behind first
- ``teach``: ``{rule, things: [{puzzle, part, points, symptom, sentence, principle, learners, graded, cost}]}``
- ``values``: ``{shared: [{learner, puzzle, part, owners, chance}], compared: [{puzzle, part, learners, of}]}``
- ``waits``: ``{texts: [{puzzle, text, learners}], submissions: [{learner, puzzle, status, message}]}``

``table(document)`` is the CSV: a row for each learner and part.
"""

from __future__ import annotations

import contextlib
import csv
import datetime
import gc
import hashlib
import io
import math
import re
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from mechpuzzles import report_values
from mechpuzzles.grading import driver
from mechpuzzles.parts import Part, Prediction
from mechpuzzles.puzzle import Puzzle
from mechpuzzles.report_read import ABSENT, BLANK, OUTCOMES, RAISED, RIGHT, UNGRADED, WRONG, Class, Work, read, sizes

FEWEST = 20  # learners, for a correlation to say anything
THINGS = 3  # to teach
COMMON, SEVERAL = 0.1, 2  # a symptom is worth teaching that this share shows, and this many
FAR = 3  # parts: half of a class is always a little behind its middle
OFTEN = 3  # wrong attempts in a row at the end of a log: stuck
BARS = 10
RULE = (
    f"Of the symptoms that at least {SEVERAL} learners and {100 * COMMON:.0f} % of those graded show, the {THINGS} "
    "with the most points times learners; one for each part."
)
_WITHOUT_SENTENCE = {
    None: "Wrong in a way that no symptom describes.",
    "wrong_type": "The answer is of another type, or has another shape, than was asked for.",
    "changes_its_input": "The function changes its input.",
}


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
    shared, compared = report_values.found(course, known)
    rows, totals = _learners(known), _totals(known)
    return {
        "course": plain(str(course.coursedir.course_id)),
        "made": datetime.datetime.now().astimezone().isoformat(timespec="minutes"),
        "anonymous": anonymous,
        "left_out": [plain(name) for name in known.left_out],
        "puzzles": [_puzzle(known, puzzle, totals) for puzzle in known.puzzles],
        "learners": [
            {"learner": called[learner], "name": "" if anonymous else plain(known.learners[learner]), **row}
            for learner, row in sorted(rows.items(), key=lambda one: (-one[1]["points"], called[one[0]]))
        ],
        "stuck": sorted(
            ({"learner": called[learner], **row} for learner, row in _stuck(known).items()),
            key=lambda row: (-row["behind"], -(row["attempts"] or 0), row["learner"]),
        ),
        "teach": {"rule": RULE, "things": _teach(known)},
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
                {"puzzle": slug, "part": part, "learners": number, "of": len(_works(known, slug))}
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


def _works(known: Class, slug: str) -> dict[str, Work]:
    """What was handed in of a puzzle, by learner."""
    return {learner: work for (learner, of), work in known.works.items() if of == slug}


# Learners ---------------------------------------------------------------------------------------------------------


def _learners(known: Class) -> dict[str, dict[str, Any]]:
    full = sum(known.points.values())
    rows = {}
    for learner in known.learners:
        works = {puzzle.slug: known.works.get((learner, puzzle.slug)) for puzzle in known.puzzles}
        parts = {p.slug: {part.name: _entry(works[p.slug], part) for part in p.parts} for p in known.puzzles}
        rows[learner] = {
            "points": round(sum((work.score for work in works.values() if work), 0.0), 4),
            "max_points": full,
            "right": sum(one["outcome"] == RIGHT for of in parts.values() for one in of.values()),
            "handed_in": sum(work is not None for work in works.values()),
            "parts": parts,
        }
    return rows


def _entry(work: Work | None, part: Part) -> dict[str, Any]:
    cell = work.cells[part.name] if work else None
    effort = work.efforts.get(part.name) if work and work.efforts else None
    return {
        "outcome": cell.outcome if cell else ABSENT,
        "symptom": cell.symptom if cell else None,
        "points": cell.points if cell else None,
        "attempts": effort.attempts if effort else None,
        "minutes": round(effort.minutes, 1) if effort else None,
        "hints": effort.hints if effort else None,
    }


def _totals(known: Class) -> dict[str, float]:
    """The points of all parts, without texts, by learner."""
    totals = dict.fromkeys(known.learners, 0.0)
    for (learner, _), work in known.works.items():
        totals[learner] += sum(cell.points or 0.0 for cell in work.cells.values())
    return totals


# Parts ------------------------------------------------------------------------------------------------------------


def _puzzle(known: Class, puzzle: Puzzle, totals: dict[str, float]) -> dict[str, Any]:
    works = _works(known, puzzle.slug)
    return {
        "slug": puzzle.slug,
        "title": puzzle.title,
        "principle": puzzle.principle,
        "points": known.points[puzzle.slug],
        "handed_in": len(works),
        "parts": [_part(known, part, works, totals) for part in puzzle.parts],
        "predictions": [_prediction(prediction, works) for prediction in puzzle.predictions],
    }


def _part(known: Class, part: Part, works: dict[str, Work], totals: dict[str, float]) -> dict[str, Any]:
    counted = Counter({ABSENT: len(known.learners) - len(works)})
    counted.update(work.cells[part.name].outcome for work in works.values())
    graded = sum(counted[outcome] for outcome in (RIGHT, WRONG, RAISED, BLANK))
    right = counted[RIGHT]
    low, high = wilson(right, graded) if graded else (None, None)
    return {
        "name": part.name,
        "points": part.points,
        "outcomes": {outcome: counted[outcome] for outcome in OUTCOMES},
        "graded": graded,
        "right": right,
        "rate": right / graded if graded else None,
        "low": low,
        "high": high,
        "discrimination": discrimination(*_with_the_rest(part, works, totals)),
        "symptoms": _symptoms(part, works.values()),
        "log": _log(part, works.values()),
    }


def wilson(right: int, of: int) -> tuple[float, float]:
    """The interval of a share, at 95 %. Source: Wilson (1927), "Probable inference, the law of succession"."""
    z = 1.959964
    share, spread = right / of, z * z / of
    middle = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / of + spread / (4 * of))
    return (middle - half if right else 0.0), (middle + half if right < of else 1.0)


def discrimination(right: Sequence[bool], rest: Sequence[float]) -> float | None:
    """The point-biserial correlation; None for few learners, or where either is the same for all."""
    if len(right) < FEWEST or len(set(right)) < 2 or len(set(rest)) < 2:
        return None
    return float(np.corrcoef(np.array(right, float), np.array(rest, float))[0, 1])


def _with_the_rest(part: Part, works: dict[str, Work], totals: dict[str, float]) -> tuple[list[bool], list[float]]:
    """Of each learner who was graded, whether the part is right, and the points for all other parts."""
    rights, rests = [], []
    for learner, work in works.items():
        if (cell := work.cells[part.name]).outcome != UNGRADED:
            rights.append(cell.outcome == RIGHT)
            rests.append(round(totals[learner] - (cell.points or 0.0), 6))
    return rights, rests


def sentence(part: Part, symptom: str | None) -> str:
    """A symptom's own sentence, with a letter or a name where a learner reads the size of an axis."""
    says = next((one.says for one in part.symptoms if one.name == symptom), None)
    if says is None:
        return _WITHOUT_SENTENCE.get(symptom, _WITHOUT_SENTENCE[None])
    named = {name: _size(name) for name in sizes(says)}
    return says.format(**named | {"broke": "it goes past a limit"})


def _size(axis: str) -> str:
    """What stands for an axis's size: its name if it reads as a number's, such as d_model."""
    return axis if len(axis) == 1 or axis.startswith(("d_", "n_")) else "N"


def _symptoms(part: Part, works: Iterable[Work]) -> list[dict[str, Any]]:
    wrong = (work.cells[part.name] for work in works if work.cells[part.name].outcome == WRONG)
    counted = Counter(cell.symptom for cell in wrong)
    ranked = sorted(counted.items(), key=lambda one: (one[0] is None, -one[1], one[0] or ""))
    return [{"name": name, "sentence": sentence(part, name), "learners": number} for name, number in ranked]


def _log(part: Part, works: Iterable[Work]) -> dict[str, Any] | None:
    efforts = [work.efforts[part.name] for work in works if work.efforts and part.name in work.efforts]
    if not efforts:
        return None
    return {
        "learners": len(efforts),
        "attempts": statistics.median(effort.attempts for effort in efforts),
        "minutes": round(statistics.median(effort.minutes for effort in efforts), 1),
        "hints": statistics.median(effort.hints for effort in efforts),
    }


# Predictions ------------------------------------------------------------------------------------------------------


def _prediction(prediction: Prediction, works: dict[str, Work]) -> dict[str, Any]:
    guesses = [work.guesses[prediction.name] for work in works.values() if prediction.name in work.guesses]
    truth, source = _truth(prediction, works.values())
    sure = [how for _, how in guesses if how is not None]
    hits = None if truth is None else sum(prediction.hit(value, truth) for value, _ in guesses)
    return {
        "name": prediction.name,
        "guesses": len(guesses),
        "bars": _bars(prediction, [value for value, _ in guesses], truth),
        "sure": statistics.fmean(sure) if sure else None,
        "truth": truth,
        "source": source,
        "right": hits,
        "share": hits / len(guesses) if guesses and hits is not None else None,
    }


def _truth(prediction: Prediction, works: Iterable[Work]) -> tuple[str | float | None, str | None]:
    """The right choice, else what the shared logs found: the commonest choice, the middle number."""
    if prediction.right is not None:
        return prediction.right, "puzzle"
    found = [prediction.plain(work.found.get(prediction.name)) for work in works]
    known = [one for one in found if one is not None]
    if not known:
        return None, None
    if prediction.choices:
        return Counter(known).most_common(1)[0][0], "logs"
    return float(statistics.median(map(float, known))), "logs"


def _bars(prediction: Prediction, values: list[Any], truth: Any) -> list[dict[str, Any]]:
    """How many guessed what: by choice, or in equal steps."""
    if prediction.choices:
        counted = Counter(values)
        return [{"label": one, "learners": counted[one], "right": one == truth} for one in prediction.choices]
    if not values:
        return []
    low, high = prediction.between
    if not math.isfinite(high - low):
        low, high = min(values), max(values)
    if low == high:
        return [{"label": f"{low:.3g}", "learners": len(values), "right": low == truth}]
    edges = [low, *(round(low + (high - low) * n / BARS, 9) for n in range(1, BARS)), high]
    counts, _ = np.histogram(np.array(values, float), edges)
    return [
        {
            "label": f"{a:.3g} to {b:.3g}",
            "learners": int(count),
            "right": truth is not None and (a <= truth < b or truth == b == edges[-1]),
        }
        for a, b, count in zip(edges[:-1], edges[1:], counts, strict=True)
    ]


# What follows from it ---------------------------------------------------------------------------------------------


def _stuck(known: Class) -> dict[str, dict[str, Any]]:
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
    entry = _entry(work, part)
    wrong = entry["outcome"] == WRONG
    return {
        "puzzle": puzzle.slug,
        "part": part.name,
        "outcome": entry["outcome"],
        "sentence": sentence(part, entry["symptom"]) if wrong else "",
        "behind": behind,
        "attempts": entry["attempts"],
    }


def _teach(known: Class) -> list[dict[str, Any]]:
    best = []
    for puzzle in known.puzzles:
        works = _works(known, puzzle.slug)
        for part in puzzle.parts:
            graded = sum(work.cells[part.name].outcome != UNGRADED for work in works.values())
            for symptom in _symptoms(part, works.values()):
                shown = symptom["learners"]
                if symptom["name"] is not None and shown >= max(SEVERAL, COMMON * graded):
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


# CSV --------------------------------------------------------------------------------------------------------------

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
