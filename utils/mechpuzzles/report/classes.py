"""A class as a course's gradebook and folders hold it, read in a few queries and one pass over the files.

What came of a part is in the note that `mechpuzzles grade` left; where nbgrader graded alone, in the mark and in what
the check printed. Of a submitted notebook only the text is read, never run.
"""

from __future__ import annotations

import functools
import json
import os
import re
import stat
import string
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
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
from mechpuzzles.parts import Part, grade_id
from mechpuzzles.puzzle import Puzzle, load_module
from mechpuzzles.report.handed_in import read_log, read_notebook
from mechpuzzles.report.records import BLANK, OUTCOMES, RAISED, RIGHT, UNGRADED, WRONG, Cell, Class, Work

LARGEST = 30_000_000  # bytes of a notebook or log that are read


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
    return grade_id("check", part.name)


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
    if status != "rejected" and not os.path.islink(handed_in):
        # Graded, it has its name again, whatever it was called.
        read_notebook(work, puzzle, _raw(f"{handed_in}/{slug}.ipynb") or _raw(f"{graded_in}/{slug}.ipynb"))
        read_log(work, puzzle, _raw(f"{handed_in}/journal.jsonl"))
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
