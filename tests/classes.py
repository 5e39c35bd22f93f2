"""Graded classes, written straight into a gradebook and its folders: nothing is graded."""

import contextlib
import functools
import json
import shutil
import tempfile
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import nbformat
from nbgrader import api
from sqlalchemy import insert

from mechpuzzles import folders
from mechpuzzles.grading import driver

from .courses import check_cell

CONFIG = """c = get_config()
c.CourseDirectory.course_id = "a class"
c.CourseDirectory.source_directory = "solutions"
c.CourseDirectory.release_directory = "puzzles"
"""
AUTO = {"right": 1.0, "wrong": 0.0, "raised": 0.0, "not attempted": 0.0}


class MadeClass:
    """A course with the puzzles of ``origin``, and what is handed in; `enter` writes the gradebook."""

    def __init__(self, root: Path, origin: Path, slugs: Iterable[str]):
        self.root, self.rows = root, {table: [] for table in TABLES}
        self.puzzles = {slug: folders.declared(origin, slug) for slug in slugs}
        self.numbers: dict[tuple[str, ...], str] = {}
        root.mkdir(parents=True, exist_ok=True)
        (root / "nbgrader_config.py").write_text(CONFIG)
        for slug, puzzle in self.puzzles.items():
            (root / "solutions" / slug).mkdir(parents=True)
            shutil.copy(origin / "solutions" / slug / "puzzle.py", root / "solutions" / slug)
            self.row(api.Assignment, slug, name=slug, course_id="a class")
            self.row(api.Notebook, slug, name=slug, assignment_id=self.number(api.Assignment, slug))
            cells = {check_cell(part.name): part.points for part in puzzle.parts}
            for name, points in (cells | {f"free-text-{text.name}": text.points for text in puzzle.free_text}).items():
                where = {"notebook_id": self.number(api.Notebook, slug)}
                self.row(api.BaseCell, slug, name, name=name, type="GradeCell", **where)
                kind = "code" if name in cells else "markdown"
                number = self.number(api.BaseCell, slug, name)
                self.rows[api.GradeCell].append({"id": number, "max_score": points, "cell_type": kind})

    def number(self, table: Any, *key: str) -> str:
        return self.numbers.setdefault((table.__name__, *key), uuid.uuid4().hex)

    def row(self, table: Any, *key: str, **values: Any) -> None:
        self.rows[table].append({"id": self.number(table, *key), **values})

    def learner(self, who: str, first: str = "", last: str = "") -> None:
        """Put somebody on the roster."""
        self.rows[api.Student].append({"id": who, "first_name": first, "last_name": last})

    def hand_in(
        self,
        who: str,
        slug: str,
        parts: dict[str, dict[str, Any]] | None,
        status: str = "graded",
        message: str = "",
        note: bool = True,
        text: float | None = 0.0,
        penalty: float = 0.0,
    ) -> None:
        """What the grader noted of a submission; without ``parts``, nothing was graded; ``text`` is a person's mark."""
        self.row(api.SubmittedAssignment, who, slug, assignment_id=self.number(api.Assignment, slug), student_id=who)
        entry = {"assignment_id": self.number(api.SubmittedAssignment, who, slug)}
        entry |= {"notebook_id": self.number(api.Notebook, slug), "late_submission_penalty": penalty}
        self.row(api.SubmittedNotebook, who, slug, **entry)
        puzzle = self.puzzles[slug]
        for part in puzzle.parts:
            found = (parts or {}).get(part.name)
            auto = None if found is None else AUTO[found["outcome"]] * part.points
            self.mark(who, slug, check_cell(part.name), auto_score=auto, needs_manual_grade=auto is None)
        for one in puzzle.free_text:
            name = f"free-text-{one.name}"
            self.mark(who, slug, name, manual_score=text, needs_manual_grade=text is None)
        folder = self.root / "autograded" / who / slug
        folder.mkdir(parents=True, exist_ok=True)
        if note:
            told = {"submission": "", "assignment": "", "status": status, "message": message, "parts": parts or {}}
            (folder / driver.MARK).write_text(json.dumps(told))

    def mark(self, who: str, slug: str, cell: str, **marks: Any) -> None:
        blank = {"auto_score": None, "manual_score": None, "extra_credit": None, "needs_manual_grade": False}
        where = {"cell_id": self.number(api.BaseCell, slug, cell)}
        where["notebook_id"] = self.number(api.SubmittedNotebook, who, slug)
        self.row(api.Grade, who, slug, cell, **blank | where | marks)

    def write(self, who: str, slug: str, *sources: str, log: Iterable[dict[str, Any]] = ()) -> Path:
        """Put a notebook of these cells into submitted/, and a log beside it; the notebook's path."""
        folder = self.root / "submitted" / who / slug
        folder.mkdir(parents=True, exist_ok=True)
        cells = [nbformat.v4.new_code_cell(source) for source in sources]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / f"{slug}.ipynb")
        if lines := [json.dumps({"puzzle": slug, **entry}) + "\n" for entry in log]:
            (folder / "journal.jsonl").write_text("".join(lines))
        return folder / f"{slug}.ipynb"

    def enter(self) -> driver.Course:
        """Write the gradebook."""
        course = driver.Course(self.root)
        (self.root / "gradebook.db").write_bytes(_empty())
        with contextlib.closing(course.book()) as book:
            for table in TABLES:
                if self.rows[table]:
                    book.db.execute(insert(table.__table__), self.rows[table])
            book.db.commit()
        return course


@functools.cache
def _empty() -> bytes:
    """A gradebook of nothing; making one takes a second."""
    with tempfile.TemporaryDirectory() as scratch:
        Path(scratch, "nbgrader_config.py").write_text(CONFIG)
        driver.Course(Path(scratch)).book().close()
        return Path(scratch, "gradebook.db").read_bytes()


TABLES = (
    *(api.Assignment, api.Notebook, api.BaseCell, api.GradeCell, api.Student),
    *(api.SubmittedAssignment, api.SubmittedNotebook, api.Grade),
)
