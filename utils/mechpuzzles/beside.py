"""What made-up learners hand in beside their answers: texts for a person to mark, predictions, their id, their log."""

from __future__ import annotations

import ast
import datetime
import math
import random
from typing import Any

from mechpuzzles.made_up import Answered, Bank
from mechpuzzles.parts import Prediction, grade_id
from mechpuzzles.verdicts import Outcome

REASONS = ("the first picture looks like it", "it was so in another model", "I would guess so")


def write_texts(bank: Bank, answered: Answered, rng: random.Random) -> dict[str, float]:
    """Write some of each rubric's points, and the marks for them by grade id; now and then nothing is written."""
    marks = {}
    for text in bank.puzzle.free_text:
        said = rng.randint(0, len(text.rubric))
        if rng.random() < 0.15:
            continue
        cell = grade_id("free_text", text.name)
        answered.cells[cell] = " ".join(text.rubric[:said]) or "I could not say why."
        marks[cell] = float(round(text.points * said / len(text.rubric)))
    return marks


def guess(bank: Bank, answered: Answered, rng: random.Random) -> dict[str, dict[str, Any]]:
    """Fill in predictions; most learners make them, some of those do not say how sure they are."""
    made: dict[str, dict[str, Any]] = {}
    for cell, source in _calls(bank, "predict").items():
        [call] = called(source, "predict")
        prediction = next(one for one in bank.puzzle.predictions if one.name == ast.literal_eval(call.args[0]))
        if rng.random() < 0.15:
            continue
        value = _guess(prediction, rng)
        sure = rng.choice((0.3, 0.5, 0.6, 0.7, 0.8, 0.9, None))
        surely = "..." if sure is None else repr(sure)
        new = f"puzzle.predict({prediction.name!r}, {value!r}, because={rng.choice(REASONS)!r}, sure={surely})"
        answered.cells[cell] = source.replace(ast.get_source_segment(source, call) or "", new)
        made[prediction.name] = {"value": value, "sure": sure}
    return made


def _guess(prediction: Prediction, rng: random.Random) -> Any:
    if prediction.choices:
        return rng.choice(prediction.choices)
    low, high = (edge if math.isfinite(edge) else sign for edge, sign in zip(prediction.between, (0, 1), strict=True))
    return round(rng.uniform(low, max(low, high)), 2)


def named(bank: Bank, learner: str) -> dict[str, str]:
    """The cell that draws the variant, with the learner's id in it."""
    filled = {}
    for cell, source in _calls(bank, "variant").items():
        [call] = called(source, "variant")
        filled[cell] = source.replace(ast.get_source_segment(source, call) or "", f"puzzle.variant({learner!r})")
    return filled


def _calls(bank: Bank, method: str) -> dict[str, str]:
    """The release's open cells that call a method of the puzzle, by id."""
    return {cell: source for cell, source in bank.open.items() if f"puzzle.{method}(" in source}


def called(source: str, method: str) -> list[ast.Call]:
    nodes = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    return [node for node in nodes if isinstance(node.func, ast.Attribute) and node.func.attr == method]


def journal(
    bank: Bank,
    answered: Answered,
    predictions: dict[str, dict[str, Any]],
    until: datetime.datetime,
    rng: random.Random,
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """A log of an evening that ends with what was handed in, and what is true of it."""
    events: list[dict[str, Any]] = [
        {"kind": "prediction", "name": name, "value": made["value"], "because": "", "sure": made["sure"]}
        for name, made in predictions.items()
    ]
    attempts, hints = {}, {}
    for part in bank.puzzle.parts:
        final = answered.parts[part.name]
        tries = 0 if final["outcome"] == Outcome.NOT_ATTEMPTED.value else rng.choice((1, 1, 2, 3, 5))
        hints[part.name] = rng.choice((0, 0, 1, min(2, len(part.hints)))) if tries > 1 else 0
        for number in range(tries - 1):
            symptom = rng.choice(part.symptoms).name
            events.append({"kind": "check", "part": part.name, "outcome": Outcome.WRONG.value, "symptom": symptom})
            if number < 1:
                events += [{"kind": "hint", "part": part.name, "number": n + 1} for n in range(hints[part.name])]
        events += [{"kind": "check", "part": part.name, **final}] if tries else []
        attempts[part.name] = tries
    gaps = [rng.randrange(20, 240) for _ in events]
    time, entries = until.timestamp() - 60 - sum(gaps), []
    for gap, event in zip(gaps, events, strict=True):
        entries.append({"time": round(time, 3), "puzzle": bank.slug, **event})
        time += gap
    minutes = (entries[-1]["time"] - entries[0]["time"]) / 60 if entries else 0.0
    return entries, {"minutes": round(minutes, 2), "attempts": attempts, "hints": hints}
