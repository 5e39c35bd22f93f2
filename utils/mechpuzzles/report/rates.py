"""What came of each part and each prediction, over a class."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from mechpuzzles.parts import Part, Prediction
from mechpuzzles.puzzle import Puzzle
from mechpuzzles.report.classes import sizes
from mechpuzzles.report.records import ABSENT, BLANK, OUTCOMES, RAISED, RIGHT, UNGRADED, WRONG, Class, Work

FEWEST = 20  # learners, for a correlation to say anything
BARS = 10
_WITHOUT_SENTENCE = {
    None: "Wrong in a way that no symptom describes.",
    "wrong_type": "The answer is of another type, or has another shape, than was asked for.",
    "changes_its_input": "The function changes its input.",
}


def entry(work: Work | None, part: Part) -> dict[str, Any]:
    """What came of one learner's part."""
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


# Parts ------------------------------------------------------------------------------------------------------------


def of_puzzle(known: Class, puzzle: Puzzle, totals: dict[str, float]) -> dict[str, Any]:
    """What came of a puzzle; ``totals`` are the learners' points for all parts."""
    works = known.handed_in(puzzle.slug)
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
        "symptoms": symptoms(part, works.values()),
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


def symptoms(part: Part, works: Iterable[Work]) -> list[dict[str, Any]]:
    """The symptoms of a part's wrong answers, most frequent first, those without a name last."""
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
