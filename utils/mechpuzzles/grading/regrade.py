"""Grade a puzzle's submissions anew, after its checks were mended: first see whose marks change, then enter them.

A mark that a person gave stays, and stays settled where the submission is the one that they marked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import nbformat
from nbgrader import utils
from nbgrader.api import MissingEntry

from mechpuzzles.grading import driver, execute
from mechpuzzles.grading.driver import Assignment, Course, Row, Settings
from mechpuzzles.grading.submissions import Submission


@dataclass(frozen=True)
class Change:
    """A check whose points would change; None for no points yet, or none any more."""

    learner: str
    check: str
    before: float | None
    after: float | None


@dataclass
class Regrading:
    """What grading anew has found, and has not entered yet."""

    course: Course
    slug: str
    changes: list[Change] = field(default_factory=list)
    failed: list[Row] = field(default_factory=list)  # of whom nothing was found out; their marks stay
    held: list[tuple[str, Assignment, Submission, dict[str, Any]]] = field(default_factory=list)

    def enter(self) -> list[Row]:
        """Enter the marks; the rows, those that failed as well."""
        with driver.one_engine():
            return sorted([*map(self._enter, self.held), *self.failed], key=lambda row: row.learner)

    def _enter(self, held: tuple[str, Assignment, Submission, dict[str, Any]]) -> Row:
        learner, assignment, submission, found = held
        settled = self._settled(learner, submission)
        row = driver.enter(self.course, learner, assignment, submission, found)
        if settled and row.status == "needs_manual":
            self._settle(learner, settled)
            return driver.known(self.course, learner, assignment, submission) or row
        return row

    def _settled(self, learner: str, submission: Submission) -> set[str]:
        """The cells that a person has marked, in the very submission that is graded now."""
        note = driver.notes(self.course, learner, self.slug)
        if note is None or note.get("submission") != submission.digest:
            return set()
        with self.course.book() as book:
            grades = book.find_submission(self.slug, learner).notebooks[0].grades
            return {g.name for g in grades if g.manual_score is not None and not g.needs_manual_grade}

    def _settle(self, learner: str, cells: set[str]) -> None:
        with self.course.book() as book:
            for grade in book.find_submission(self.slug, learner).notebooks[0].grades:
                if grade.name in cells:
                    grade.needs_manual_grade = False
            book.db.commit()


def regrade(
    course: Course, slug: str, settings: Settings, progress: Callable[[Row, int], None] = lambda row, total: None
) -> Regrading:
    """Grade all submissions of a puzzle anew and enter nothing. Raises `driver.Unusable` as `driver.grade` does."""
    regrading = Regrading(course, slug)

    def hold(
        course: Course, learner: str, assignment: Assignment, submission: Submission, found: dict[str, Any]
    ) -> Row:
        if "failed" in found:
            row = Row(learner, slug, None, assignment.max_score, "ungraded", str(found["failed"]))
            regrading.failed.append(row)
            return row
        regrading.held.append((learner, assignment, submission, found))
        regrading.changes += _changes(course, learner, slug, submission, found)
        return Row(learner, slug, None, assignment.max_score, "graded", "")

    driver.grade(course, [slug], settings, progress, take=hold)
    regrading.changes.sort(key=lambda change: (change.learner, change.check))
    return regrading


def _changes(course: Course, learner: str, slug: str, submission: Submission, found: dict[str, Any]) -> list[Change]:
    assert submission.notebook is not None
    notebook = nbformat.from_dict(submission.notebook)
    execute.fill(notebook, found)
    kept = _kept(course, learner, slug)
    changes = []
    for cell in notebook.cells:
        if utils.is_grade(cell) and not utils.is_solution(cell):
            name = cell.metadata.nbgrader["grade_id"]
            after, _ = utils.determine_grade(cell, driver.log)
            if kept.get(name) != after:
                changes.append(Change(learner, name, kept.get(name), after))
    return changes


def _kept(course: Course, learner: str, slug: str) -> dict[str, float | None]:
    """The automatic marks that the gradebook has by now."""
    try:
        with course.book() as book:
            return {g.name: g.auto_score for g in book.find_submission(slug, learner).notebooks[0].grades}
    except (MissingEntry, IndexError):
        return {}
