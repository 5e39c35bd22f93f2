"""What a submitted notebook and a log beside it tell; of a notebook only the text is read, never run."""

from __future__ import annotations

import ast
import functools
import json
import math
import re
from collections.abc import Iterator
from typing import Any

from mechpuzzles.puzzle import Puzzle
from mechpuzzles.report.records import BLANK, RIGHT, Effort, Work
from mechpuzzles.verdicts import PlainError

PAUSE = 10  # minutes: a longer gap in a log counts as so many
LONGEST = 5_000  # characters of a cell that is parsed
_SOURCE, _CALLS = re.compile(r'"source"\s*:\s*'), re.compile(r"puzzle\s*\.\s*(?:predict|variant)\s*\(")


def read_notebook(work: Work, puzzle: Puzzle, raw: bytes) -> None:
    """Enter the predictions and the name that a notebook holds; a later one counts, one that is not valid does not."""
    for source in _sources(raw.decode("utf-8", "replace")):
        for kind, words in _calls(source):
            if kind == "variant":
                work.typed = words[0]
                continue
            name, value, sure = words
            prediction = next((one for one in puzzle.predictions if one.name == name), None)
            try:
                if prediction is not None:
                    prediction.check(value, sure)
                    work.guesses[name] = value, sure
            except (PlainError, TypeError, OverflowError):
                continue


def _sources(text: str) -> Iterator[str]:
    """The cells that hold such a call. Only these are decoded: a notebook with its pictures is large."""
    seen = -1
    for call in _CALLS.finditer(text):
        # Within a string of JSON the quotes would be escaped, so this is a cell's own.
        start = _SOURCE.match(text, max(0, text.rfind('"source"', 0, call.start())))
        if start is None or start.end() == seen:
            continue
        seen = start.end()
        try:
            found, _ = json.JSONDecoder().raw_decode(text, seen)
        except (ValueError, RecursionError):
            continue
        source = "".join(map(str, found)) if isinstance(found, list) else found
        if isinstance(source, str) and len(source) <= LONGEST and "puzzle" in source:
            yield source


@functools.lru_cache(4096)
def _calls(source: str) -> tuple[tuple[str, tuple[Any, ...]], ...]:
    """The statements that are ``puzzle.predict`` or ``puzzle.variant``, with their literal arguments."""
    try:
        statements = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    values = [line.value for line in statements if isinstance(line, ast.Expr | ast.Assign | ast.AnnAssign)]
    return tuple(filter(None, (_call(value) for value in values if isinstance(value, ast.Call))))


def _call(node: ast.Call) -> tuple[str, tuple[Any, ...]] | None:
    function = node.func
    if not (isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name)):
        return None
    if function.value.id != "puzzle" or function.attr not in ("predict", "variant"):
        return None
    try:
        given = [ast.literal_eval(argument) for argument in node.args]
        named = {word.arg: ast.literal_eval(word.value) for word in node.keywords}
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
        return None
    if function.attr == "variant":
        learner = (given or [named.get("learner")])[0]
        return ("variant", (learner.strip(),)) if isinstance(learner, str) else None
    words = dict(zip(("name", "value", "because", "sure"), given, strict=False)) | named
    value, sure = words.get("value"), words.get("sure")
    if value is ... or not isinstance(value, str | int | float):
        return None
    return "predict", (words.get("name"), value, None if sure is ... else sure)


# The log ----------------------------------------------------------------------------------------------------------


def read_log(work: Work, puzzle: Puzzle, raw: bytes) -> None:
    """Enter what a log beside the notebook tells of this puzzle."""
    if not raw:
        return
    work.efforts, last, done = {}, None, set()
    parts = {part.name for part in puzzle.parts}
    slug = json.dumps(puzzle.slug).encode()
    for line in raw.splitlines():
        entry = _entry(line) if slug in line else {}
        time = entry.get("time")
        if entry.get("puzzle") != puzzle.slug or isinstance(time, bool) or not isinstance(time, int | float):
            continue
        if not math.isfinite(time):
            continue
        gap, last = (0.0 if last is None else min(max(0.0, time - last) / 60, PAUSE)), time
        if entry.get("kind") == "found" and isinstance(entry.get("name"), str):
            work.found[entry["name"]] = entry.get("value")
        part, outcome = entry.get("part"), entry.get("outcome")
        if not isinstance(part, str) or part not in parts:
            continue
        effort = work.efforts.setdefault(part, Effort())
        if entry.get("kind") == "check" and outcome != BLANK:
            effort.wrong_in_a_row = 0 if outcome == RIGHT else effort.wrong_in_a_row + 1
        if part not in done:
            effort.minutes += gap
            effort.hints += entry.get("kind") == "hint"
            effort.attempts += entry.get("kind") == "check" and outcome != BLANK
            if entry.get("kind") == "check" and outcome == RIGHT:
                done.add(part)


def _entry(line: bytes) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return entry if isinstance(entry, dict) else {}
