"""Course directories, made for tests and graded in them."""

import contextlib
import functools
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mechpuzzles import folders
from mechpuzzles.grading import driver

from .submissions import mutant_source, right_value_source, solutions_of, submit, value_source

ROOT = Path(__file__).parents[1]


def make_course(course: Path, *slugs: str, config: str = "") -> Path:
    """A course of some puzzles, which the gradebook knows already; ``config`` is added to its configuration."""
    copy_course(course, *slugs, config=config)
    (course / "gradebook.db").write_bytes(entered(slugs))
    return course


def copy_course(course: Path, *slugs: str, config: str = "") -> Path:
    """A course of some puzzles whose gradebook is still to be made."""
    course.mkdir(parents=True)
    (course / "nbgrader_config.py").write_text((ROOT / "nbgrader_config.py").read_text() + "\n" + config)
    for slug in slugs:
        for step in ("solutions", "puzzles"):
            shutil.copytree(ROOT / step / slug, course / step / slug, ignore=shutil.ignore_patterns("__pycache__"))
    return course


@functools.cache
def entered(slugs: tuple[str, ...]) -> bytes:
    """A gradebook with some puzzles; nbgrader takes seconds to make one."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = copy_course(Path(scratch, "course"), *slugs)
        course, gradebook = driver.Course(folder), folder / "gradebook.db"
        if slugs:
            gradebook.write_bytes(entered(()))
        course.book().close()
        for slug in slugs:
            course.assignment(slug)
        return gradebook.read_bytes()


def stub(part: str) -> str:
    """The id of the cell where a part is to be written."""
    return f"stub-{part}".replace("_", "-")


def check_cell(part: str) -> str:
    """The grade id of a part's check."""
    return f"check-{part}".replace("_", "-")


@functools.cache
def _right(slug: str) -> dict[str, str]:
    return solutions_of(ROOT, slug)


def right(slug: str, text: bool = False) -> dict[str, str]:
    """The right answers by cell; with ``text`` also those that a person marks."""
    return {cell: source for cell, source in _right(slug).items() if text or cell.startswith("stub-")}


def wrong(slug: str, parts: Iterable[str]) -> dict[str, str]:
    """The right answers, but for some parts what shows their first symptom."""
    answers = right(slug)
    for part in map(folders.declared(ROOT, slug).part, parts):
        source = value_source if part.value else mutant_source
        answers[stub(part.name)] = source(ROOT, slug, part, part.symptoms[0].name)
    return answers


def typed(slug: str) -> dict[str, str]:
    """The right answers, values as literals: nothing in them depends on other cells."""
    parts = [part for part in folders.declared(ROOT, slug).parts if part.value]
    return right(slug) | {stub(part.name): right_value_source(ROOT, slug, part) for part in parts}


def hand_in(course: Path, learner: str, slug: str, answers: dict[str, str]) -> Path:
    """Put a learner's notebook into the course; its path."""
    return submit(ROOT, slug, course / "submitted" / learner / slug, answers)


def grades(course: Path | driver.Course) -> dict[tuple[str, str, str], tuple[Any, ...]]:
    """All that the gradebook has of every mark, by learner, puzzle and cell; AssertionError if it has one twice."""
    opened = course if isinstance(course, driver.Course) else driver.Course(course)
    found: dict[tuple[str, str, str], tuple[Any, ...]] = {}
    with contextlib.closing(opened.book()) as book:
        for assignment in book.assignments:
            for submission in book.assignment_submissions(assignment.name):
                for notebook in submission.notebooks:
                    for grade in notebook.grades:
                        key = (submission.student.id, assignment.name, grade.name)
                        assert key not in found
                        found[key] = (
                            *(grade.auto_score, grade.manual_score, grade.extra_credit, grade.needs_manual_grade),
                            *(notebook.late_submission_penalty, submission.timestamp),
                        )
    return found


def auto_scores(course: Path | driver.Course) -> dict[tuple[str, str, str], float | None]:
    """The automatic marks by learner, puzzle and cell."""
    return {key: mark[0] for key, mark in grades(course).items()}
