"""The export: as nbgrader's where there are marks, empty where there are none."""

import csv
import datetime
import os
import sys
from pathlib import Path

import pytest
from nbgrader.api import Gradebook
from nbgrader.plugins import CsvExportPlugin

from mechpuzzles.grading.export import COLUMNS, MarksExportPlugin

LEARNERS = ("absent", "failed", "graded", "late", "waiting", "by-hand")


# nbgrader's own, when a student's first submission is added.
pytestmark = pytest.mark.filterwarnings("ignore:Object of type <Submitted:sqlalchemy.exc.SAWarning")


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """An assignment with a check and a free text, and learners at every stage of being graded."""
    folder = tmp_path_factory.mktemp("gradebook")
    beside = str(Path(sys.executable).parent)  # nbgrader calls `alembic` by name
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", beside + os.pathsep + os.environ["PATH"])
        book = Gradebook(f"sqlite:///{folder}/gradebook.db")
    with book:
        book.add_assignment("circuits", duedate=datetime.datetime(2026, 1, 1))
        book.add_notebook("circuits", "circuits")
        for cell, points in (("check", 4), ("free-text", 3)):
            book.add_grade_cell(cell, "circuits", "circuits", max_score=points, cell_type="code")
        marks = {"graded": (4, 0), "late": (4, 0), "waiting": (4, None)}
        marks |= dict.fromkeys(("failed", "by-hand"), (None, None))
        for learner in LEARNERS:
            book.add_student(learner, last_name="O'Hara, Jr")
            if learner not in marks:
                continue
            submission = book.add_submission("circuits", learner, timestamp=datetime.datetime(2025, 12, 31))
            notebook = submission.notebooks[0]
            for cell, mark in zip(("check", "free-text"), marks[learner], strict=True):
                grade = book.find_grade(cell, "circuits", "circuits", learner)
                grade.auto_score, grade.needs_manual_grade = mark, mark is None
            if learner == "late":
                notebook.late_submission_penalty = 1.5
            if learner == "by-hand":
                book.find_grade("check", "circuits", "circuits", learner).manual_score = 2
        book.db.commit()
        yield book


def exported(plugin: type, book, path, **more) -> dict[str, dict[str, str]]:
    plugin(to=str(path), **more).export(book)
    with path.open(newline="") as file:
        return {row["student_id"]: row for row in csv.DictReader(file)}


def test_scores(book, tmp_path):
    rows = exported(MarksExportPlugin, book, tmp_path / "marks.csv")
    scores = {learner: (row["raw_score"], row["score"], row["needs_manual_grade"]) for learner, row in rows.items()}
    assert scores == {
        "absent": ("", "", ""),
        "failed": ("", "", "True"),
        "graded": ("4.0", "4.0", "False"),
        "late": ("4.0", "2.5", "False"),
        "waiting": ("4.0", "4.0", "True"),
        "by-hand": ("2.0", "2.0", "True"),
    }
    assert {row["max_score"] for row in rows.values()} == {"7.0"}
    assert {row["last_name"] for row in rows.values()} == {"O'Hara, Jr"}


def test_nbgraders_own_columns_and_numbers(book, tmp_path):
    for student in book.students:
        student.last_name = "Hara"  # nbgrader's table breaks at a comma
    theirs = exported(CsvExportPlugin, book, tmp_path / "theirs.csv")
    ours = exported(MarksExportPlugin, book, tmp_path / "ours.csv")
    assert theirs["failed"]["score"] == theirs["absent"]["score"] == "0.0"
    assert list(theirs["graded"]) == COLUMNS[:-1]
    for learner in ("graded", "late", "waiting", "by-hand"):
        assert {**ours[learner], **theirs[learner]} == ours[learner]
    book.db.rollback()


def test_only_some(book, tmp_path):
    path = tmp_path / "some.csv"
    assert set(exported(MarksExportPlugin, book, path, student=["late"], assignment=["circuits"])) == {"late"}
    assert not exported(MarksExportPlugin, book, path, assignment=["other"])
