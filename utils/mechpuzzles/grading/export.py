"""Marks as a table: nbgrader's columns, in which what nobody has graded is empty and not 0."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import Any

from nbgrader.api import Assignment, Gradebook, MissingEntry, Student, SubmittedAssignment
from nbgrader.plugins import ExportPlugin

COLUMNS = [
    "assignment",
    "duedate",
    "timestamp",
    "student_id",
    "last_name",
    "first_name",
    "email",
    "raw_score",
    "late_submission_penalty",
    "score",
    "max_score",
    "needs_manual_grade",
]


class MarksExportPlugin(ExportPlugin):
    """Like nbgrader's `CsvExportPlugin`, but empty scores stay empty, and a column says whose marks are partial.

    Scores are in points. They are empty if nothing was handed in, or if no cell has a mark yet; where only some have,
    the score counts those and ``needs_manual_grade`` is True.
    """

    def export(self, gradebook: Gradebook) -> None:
        """Write one row for each assignment and student to the file ``to``, grades.csv unless told."""
        path = self.to or "grades.csv"
        self.log.info("Exporting grades to %s", path)
        with open(path, "w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            table.writeheader()
            table.writerows(self._rows(gradebook))

    def _rows(self, gradebook: Gradebook) -> Iterator[dict[str, Any]]:
        students, assignments = ({str(name) for name in names} for names in (self.student, self.assignment))
        for assignment in gradebook.assignments:
            for student in gradebook.students:
                if (not assignments or assignment.name in assignments) and (not students or student.id in students):
                    try:
                        submission = gradebook.find_submission(assignment.name, student.id)
                    except MissingEntry:
                        submission = None
                    yield _row(assignment, student, submission)


def _row(assignment: Assignment, student: Student, submission: SubmittedAssignment | None) -> dict[str, Any]:
    row = {name: getattr(student, name) for name in ("last_name", "first_name", "email")}
    row |= {"assignment": assignment.name, "duedate": assignment.duedate, "student_id": student.id}
    row["max_score"] = assignment.max_score
    if submission is not None:
        row |= {"timestamp": submission.timestamp, "needs_manual_grade": submission.needs_manual_grade}
        grades = [grade for notebook in submission.notebooks for grade in notebook.grades]
        if any(mark is not None for grade in grades for mark in (grade.auto_score, grade.manual_score)):
            penalty = submission.late_submission_penalty
            row |= {"raw_score": submission.score, "late_submission_penalty": penalty}
            row["score"] = max(0.0, submission.score - (penalty or 0.0))
    return row
