"""A class as a course's gradebook and folders hold it, read in a few queries and one pass over the files.

What came of a part is in the note that `mechpuzzles grade` left; where nbgrader graded alone, in the mark and in what
the check printed. Of a submitted notebook only the text is read, never run.
"""

from __future__ import annotations

import ast
import functools
import json
import math
import os
import re
import stat
import string
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from nbgrader.api import (
    Assignment,
    BaseCell,
    Grade,
    GradeCell,
    Notebook,
    Student,
    SubmittedAssignment,
    SubmittedNotebook,
)
from sqlalchemy import select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from mechpuzzles import folders
from mechpuzzles.grading import driver
from mechpuzzles.grading.execute import FINDINGS
from mechpuzzles.parts import Part
from mechpuzzles.puzzle import Puzzle, load_module
from mechpuzzles.verdicts import PlainError

RIGHT, WRONG, RAISED, BLANK, UNGRADED, ABSENT = OUTCOMES = (
    *("right", "wrong", "raised", "not attempted"),
    *("ungraded", "not handed in"),
)
PAUSE = 10  # minutes: a longer gap in a log counts as so many
LARGEST = 30_000_000  # bytes of a notebook or log that are read
LONGEST = 5_000  # characters of a cell that is parsed


@dataclass(slots=True)
class Effort:
    """What a shared log tells of one part, up to the first right answer; then how often it ends wrong in a row."""

    attempts: int = 0
    minutes: float = 0.0
    hints: int = 0
    wrong_in_a_row: int = 0


@dataclass(slots=True)
class Cell:
    """What came of one learner's part; ``value`` of a variant where the note has it."""

    outcome: str
    symptom: str | None = None
    points: float | None = None
    value: Any = None


@dataclass(slots=True)
class Work:
    """What a learner handed in of one puzzle; ``efforts`` and ``found`` only from a shared log."""

    status: str  # graded, needs_manual, ungraded or rejected
    message: str
    score: float
    cells: dict[str, Cell]
    texts: list[str]  # that a person has still to mark
    guesses: dict[str, tuple[Any, float | None]] = field(default_factory=dict)
    typed: str | None = None  # the name given for the variant
    efforts: dict[str, Effort] | None = None
    found: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Class:
    """Puzzles in the order of the series, learners with their names, and what they handed in, by learner and slug."""

    puzzles: list[Puzzle]
    points: dict[str, float]  # of each puzzle, texts included
    learners: dict[str, str]
    works: dict[tuple[str, str], Work]
    left_out: list[str]  # assignments that are no puzzles, or that nobody handed in
    salt: str  # random, and kept in the gradebook


def read(course: driver.Course, slugs: list[str] | None = None) -> Class:
    """The class; raises `driver.Unusable` where there is no gradebook, no puzzle of that slug, or no submission."""
    url = make_url(course.coursedir.db_url)
    if url.get_backend_name() == "sqlite" and not (url.database and Path(url.database).is_file()):
        raise driver.Unusable(f"{course.root} has no gradebook yet: first `mechpuzzles grade`")
    try:
        book = _Book(course)
    except SQLAlchemyError as error:
        raise driver.Unusable(f"the gradebook cannot be read: {str(error).splitlines()[0]}") from error
    declared = {slug: puzzle for slug in sorted(book.assignments) if (puzzle := declaration(course, slug))}
    if slugs and (unknown := [slug for slug in slugs if slug not in declared]):
        there = ", ".join(declared) or "none"
        raise driver.Unusable(f"{unknown[0]} is no puzzle that this course has graded; there are {there}")
    handed_in = _handed_in(course)
    wanted = {slug for slug in slugs or declared if slug in declared}
    pairs = {pair for pair in {*handed_in, *book.entered} if pair[1] in wanted}
    if not pairs:
        raise driver.Unusable("nothing was handed in yet")
    in_use = {slug: puzzle for slug, puzzle in declared.items() if any(slug == pair[1] for pair in pairs)}
    order = folders.ordered(
        {slug: replace(one, after=tuple(name for name in one.after if name in in_use)) for slug, one in in_use.items()}
    )
    places = _Places(course)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what Python thinks of a learner's text
        works = {pair: _work(places, book, in_use[pair[1]], pair) for pair in sorted(pairs)}
    learners = book.learners | {who: "" for who, _ in sorted(pairs) if who not in book.learners}
    left_out = sorted(set(book.assignments) - set(in_use)) if not slugs else []
    points = {slug: sum(book.full[slug].values()) for slug in in_use}
    return Class([in_use[slug] for slug in order], points, learners, works, left_out, book.salt)


def declaration(course: driver.Course, slug: str) -> Puzzle | None:
    """What the course's own ``puzzle.py`` declares, from its source or its release; `driver.Unusable` if it fails."""
    for step in ("source_directory", "release_directory"):
        path = course.folder(step, ".", slug) / "puzzle.py"
        if path.is_file():
            try:
                puzzle = getattr(load_module(path), "PUZZLE", None)
            except Exception as error:  # it is a program
                raise driver.Unusable(f"{path} cannot be used: {type(error).__name__}: {error}") from error
            if isinstance(puzzle, Puzzle) and puzzle.slug == slug:
                return puzzle
    return None


# The gradebook ----------------------------------------------------------------------------------------------------


class _Book:
    """What the gradebook holds: every mark, by few queries."""

    def __init__(self, course: driver.Course):
        with driver.one_engine(), course.book() as book:
            rows = book.db.execute
            self.assignments = dict(tuple(row) for row in rows(select(Assignment.name, Assignment.id)))
            names = rows(select(Student.id, Student.first_name, Student.last_name).order_by(Student.id))
            self.learners = {who: " ".join(filter(None, (first, last))) for who, first, last in names}
            self.full: dict[str, dict[str, float]] = defaultdict(dict)
            cells = select(Assignment.name, GradeCell.name, GradeCell.max_score)
            for slug, cell, points in rows(cells.join(GradeCell.notebook).join(Notebook.assignment)):
                self.full[slug][cell] = float(points)
            self.entered: dict[tuple[str, str], float] = {}
            late = select(SubmittedAssignment.student_id, Assignment.name, SubmittedNotebook.late_submission_penalty)
            late = late.join(SubmittedAssignment.assignment).outerjoin(SubmittedAssignment.notebooks)
            for who, slug, penalty in rows(late):
                self.entered[who, slug] = self.entered.get((who, slug), 0.0) + (penalty or 0.0)
            self.marks: dict[tuple[str, str], dict[str, tuple[Any, ...]]] = defaultdict(dict)
            marks = select(
                *(SubmittedAssignment.student_id, SubmittedAssignment.assignment_id, BaseCell.name),
                *(Grade.auto_score, Grade.manual_score, Grade.extra_credit, Grade.needs_manual_grade),
            )
            marks = marks.join(BaseCell, Grade.cell_id == BaseCell.id).join(
                SubmittedNotebook, Grade.notebook_id == SubmittedNotebook.id
            )
            marks = marks.join(SubmittedAssignment, SubmittedNotebook.assignment_id == SubmittedAssignment.id)
            slug_of = {number: name for name, number in self.assignments.items()}
            for who, number, cell, *mark in rows(marks):
                self.marks[who, slug_of[number]][cell] = tuple(mark)
        self.salt = self.assignments[min(self.assignments)] if self.assignments else ""


def _score(mark: tuple[Any, ...]) -> float | None:
    auto, manual, extra, _ = mark
    given = auto if manual is None else manual
    return None if given is None else given + (extra or 0.0)


def check_cell(part: Part) -> str:
    """The grade id of a part's check."""
    return f"check-{part.name}".replace("_", "-")


# One submission ---------------------------------------------------------------------------------------------------


def _handed_in(course: driver.Course) -> list[tuple[str, str]]:
    try:
        return course.submitted(None)
    except driver.Unusable:
        return []


class _Places:
    """The folders of submissions; as text, for there are many."""

    def __init__(self, course: driver.Course):
        steps = ("submitted", "autograded")
        self.forms = {step: str(course.folder(f"{step}_directory", "<learner>", "<slug>")) for step in steps}

    def __call__(self, step: str, learner: str, slug: str) -> str:
        return self.forms[step].replace("<slug>", slug).replace("<learner>", learner)


def _work(places: _Places, book: _Book, puzzle: Puzzle, pair: tuple[str, str]) -> Work:
    learner, slug = pair
    graded_in, handed_in = places("autograded", learner, slug), places("submitted", learner, slug)
    marks, note = book.marks.get(pair, {}), _note(graded_in)
    status, message = str(note.get("status", "")), str(note.get("message", ""))
    checks = {check_cell(part) for part in puzzle.parts}
    texts = [name for name, mark in marks.items() if name not in checks and mark[3] and mark[1] is None]
    unknown = [name for name in checks if _score(marks.get(name, (None,) * 4)) is None]
    autograded = functools.cache(lambda: _autograded(f"{graded_in}/{slug}.ipynb"))
    if status == "rejected":
        texts = []
    elif pair not in book.entered:
        status, message, texts = "ungraded", "It was handed in and not graded yet.", []
    elif len(unknown) == len(checks) and checks:
        status, message, texts = "ungraded", message or autograded()[1], []
    else:
        status = "needs_manual" if texts else "graded"
    cells = {}
    for part in puzzle.parts:
        mark, full = marks.get(check_cell(part)), book.full[slug].get(check_cell(part), part.points)
        noted = note.get("parts", {}).get(part.name) if status not in ("ungraded", "rejected") else None
        cells[part.name] = _cell(part, mark, full, noted, autograded)
    total = sum(filter(None, map(_score, marks.values())))
    work = Work(status, message, max(0.0, total - book.entered.get(pair, 0.0)), cells, sorted(texts))
    if not os.path.islink(handed_in):
        _read_text(work, puzzle, _raw(f"{handed_in}/{slug}.ipynb"))
        _read_log(work, puzzle, _raw(f"{handed_in}/journal.jsonl"))
    return work


def _note(folder: str) -> dict[str, Any]:
    """As `driver.notes`; empty without one."""
    try:
        note = json.loads(_raw(f"{folder}/{driver.MARK}"))
        return note if isinstance(note["parts"], dict) else {}
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}


def _cell(part: Part, mark: tuple[Any, ...] | None, full: float, noted: Any, autograded: Any) -> Cell:
    score = None if mark is None else _score(mark)
    if isinstance(noted, dict) and noted.get("outcome") in OUTCOMES:
        symptom = noted.get("symptom")
        return Cell(noted["outcome"], symptom if isinstance(symptom, str) else None, score, noted.get("value"))
    auto = None if mark is None else mark[0]
    if auto is None:
        return Cell(UNGRADED, points=score)
    if auto >= full:
        return Cell(RIGHT, points=score)
    return Cell(*recognised(part, autograded()[0].get(check_cell(part), "")), points=score)


def _autograded(path: str) -> tuple[dict[str, str], str]:
    """The error that each check of an autograded notebook shows, and what the grader said of the submission."""
    try:
        document = json.loads(_raw(path))
        said = document["metadata"].get("mechpuzzles", {}).get(FINDINGS, [])
        return dict(_errors(document["cells"])), " ".join(map(str, said))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}, ""


def _errors(cells: Iterable[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    for cell in cells:
        for output in cell.get("outputs", []):
            if output["output_type"] == "error":
                yield cell["metadata"].get("nbgrader", {}).get("grade_id"), " ".join(str(output["evalue"]).split())


def recognised(part: Part, text: str) -> tuple[str, str | None]:
    """Outcome and symptom of a part from what its check printed."""
    if text.startswith(f"{part.name}: not attempted yet"):
        return BLANK, None
    said = text.removeprefix(f"{part.name}: not yet. ")
    if said == text:
        return (RAISED, None) if text.startswith(f"{part.name}: your code raised") else (WRONG, None)
    fitting = [symptom for symptom in part.symptoms if _pattern(symptom.says).match(said)]
    return WRONG, max(fitting, key=lambda symptom: len(symptom.says)).name if fitting else None


def sizes(says: str) -> set[str]:
    """The axes whose sizes a symptom's sentence names."""
    return {name for _, name, *_ in string.Formatter().parse(says) if name}


@functools.cache
def _pattern(says: str) -> re.Pattern[str]:
    """What a symptom's sentence looks like with the axes' sizes in it."""
    pieces = ""
    for words, name, *_ in string.Formatter().parse(says):
        pieces += re.escape(" ".join(f"|{words}|".split())[1:-1])
        pieces += {None: "", "broke": ".+?"}.get(name, r"[\d,]+")
    return re.compile(pieces)


def _raw(path: str) -> bytes:
    """The bytes of a plain file; none of anything else."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        return b""
    with open(descriptor, "rb", buffering=0) as file:
        about = os.fstat(descriptor)
        return file.read() if stat.S_ISREG(about.st_mode) and about.st_size <= LARGEST else b""


# The notebook's text ----------------------------------------------------------------------------------------------

_SOURCE, _CALLS = re.compile(r'"source"\s*:\s*'), re.compile(r"puzzle\s*\.\s*(?:predict|variant)\s*\(")


def _read_text(work: Work, puzzle: Puzzle, raw: bytes) -> None:
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


def _read_log(work: Work, puzzle: Puzzle, raw: bytes) -> None:
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
