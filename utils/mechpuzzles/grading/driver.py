"""Grade a course directory: read each submission, hand it to a grader, and enter what it found by nbgrader's own means.

Graders run side by side; this process alone writes the gradebook and the course's folders. What was graded leaves a
mark beside the autograded notebook, so that the next run grades what changed, and so that a run that was stopped at any
point is continued by the next.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import copy
import functools
import hashlib
import json
import logging
import os
import re
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

import nbformat
import nbgrader.api
from nbconvert.preprocessors import ClearMetadataPreprocessor
from nbformat import NotebookNode
from nbgrader import utils
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.converters import Autograde, GenerateAssignment
from nbgrader.converters.base import NbGraderException
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import AssignLatePenalties, LimitOutput, SaveAutoGrades
from nbgrader.utils import parse_utc, rmtree
from sqlalchemy.exc import SAWarning, SQLAlchemyError
from traitlets.config import Config, PyFileConfigLoader

import mechpuzzles
from mechpuzzles import variants
from mechpuzzles.grading import execute, sandbox, submissions, worker

MARK = ".mechpuzzles.json"
TRIES, PAUSE = 4, 0.5  # of writing the gradebook; seconds before the second, doubled each time

T = TypeVar("T")

log = logging.getLogger("mechpuzzles.nbgrader")


class _Heard(logging.Handler):
    """Keeps the last error that nbgrader logged: its exceptions only say to look there."""

    last = ""

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.ERROR and "Traceback" in record.getMessage():
            # Not the last line: SQLAlchemy adds the statement and a link.
            said = re.findall(r"^[\w.]+: .+", record.getMessage(), re.MULTILINE)
            self.last = said[-1] if said else ""


heard = _Heard()
log.addHandler(heard)
log.propagate = False


@contextlib.contextmanager
def one_engine() -> Iterator[None]:
    """Let nbgrader keep its connection to the gradebook: it makes one for each look, which doubles its cost."""
    made = nbgrader.api.create_engine
    nbgrader.api.create_engine = functools.cache(made)
    try:
        yield
    finally:
        nbgrader.api.create_engine = made


class Unusable(ValueError):
    """The course directory cannot be graded; the message says why."""


@runtime_checkable
class Pool(Protocol):
    """Where jobs run: threads that wait for graders of this machine, or a cluster."""

    size: int

    def submit(self, job: dict[str, Any], puzzle: dict[str, bytes]) -> concurrent.futures.Future:
        """Grade a job; the future of `mechpuzzles.grading.worker.grade_job`."""

    def close(self) -> None:
        """Give up what has not begun."""


class LocalPool:
    """Graders on this machine."""

    def __init__(self, size: int):
        self.size = size
        self.threads = concurrent.futures.ThreadPoolExecutor(size, thread_name_prefix="grader")

    def submit(self, job: dict[str, Any], puzzle: dict[str, bytes]) -> concurrent.futures.Future:
        return self.threads.submit(worker.grade_job, job, puzzle)

    def close(self) -> None:
        self.threads.shutdown(cancel_futures=True)


NO_SANDBOX = (
    "NO SANDBOX: the learners' code runs as you, on this machine, with your files and your network. "
    "Only for code that you have read, or in a virtual machine that you will throw away."
)


@dataclass(frozen=True)
class Settings:
    """How a course is graded. Without ``workers``, as many graders at a time as this machine has cores."""

    workers: int | None = None
    scheduler: str | None = None
    sandbox: bool = True
    all_cells: bool = False
    again: bool = False

    def pool(self) -> Pool:
        """Where the jobs run; raises Unusable where nothing may run."""
        if self.scheduler is not None:
            from mechpuzzles.grading import cluster

            return cluster.connect(self.scheduler, self.sandbox)
        if self.sandbox and (problem := sandbox.problem()):
            raise Unusable(f"{problem} Nothing was graded. (--no-sandbox grades without; read what it says.)")
        return LocalPool(self.workers or os.cpu_count() or 1)


@dataclass(frozen=True)
class Row:
    """How one submission came out. ``status`` is graded, needs_manual (a person has still to mark a text), ungraded
    (nothing is known against the learner; grade again) or rejected (there was nothing to grade); the last two have no
    score."""

    learner: str
    puzzle: str
    score: float | None
    max_score: float
    status: str
    message: str
    graded_now: bool = True

    def data(self) -> dict[str, Any]:
        """The row as `mechpuzzles grade --json` prints it."""
        return {key: value for key, value in asdict(self).items() if key != "graded_now"}


@dataclass(frozen=True)
class Assignment:
    """A puzzle as the course has it."""

    slug: str
    released: NotebookNode
    sources: dict[str, execute.SourceCell]
    files: dict[str, bytes]
    max_score: float
    digest: str


class Course:
    """A course directory, by its nbgrader configuration."""

    def __init__(self, root: Path):
        self.root = root.resolve()
        beside = str(Path(sys.executable).parent)
        if beside not in os.environ["PATH"].split(os.pathsep):  # nbgrader calls alembic by name
            os.environ["PATH"] = beside + os.pathsep + os.environ["PATH"]
        self.config = Config()
        if (self.root / "nbgrader_config.py").is_file():
            try:
                self.config = PyFileConfigLoader("nbgrader_config.py", path=str(self.root)).load_config()
            except Exception as error:  # it is a program
                raise Unusable(f"{self.root}/nbgrader_config.py cannot be used: {_first_line(error)}") from error
        self.config.CourseDirectory.root = str(self.root)
        self.coursedir = CourseDirectory(config=self.config)
        self.settings = execute.TrustedExecute(config=self.config).settings()

    @functools.cached_property
    def secret(self) -> str | None:
        """The course's secret, from which each learner's variants come; None in a course without one."""
        return variants.secret(self.root)

    def variant(self, learner: str) -> str | None:
        """The key of a learner's variants."""
        return None if self.secret is None else variants.key(self.secret, learner)

    def folder(self, step: str, learner: str, slug: str) -> Path:
        """The course's folder of a step ("submitted_directory", ...) for a learner and a puzzle."""
        return Path(self.coursedir.format_path(getattr(self.coursedir, step), learner, slug))

    def book(self) -> Gradebook:
        """The gradebook."""
        return Gradebook(self.coursedir.db_url, self.coursedir.course_id)

    def has(self, slug: str) -> bool:
        """Whether there is such a puzzle."""
        return bool(slug) and (self.folder("source_directory", ".", slug) / f"{slug}.ipynb").is_file()

    def submitted(self, slugs: list[str] | None) -> list[tuple[str, str]]:
        """What there is in learners' folders, by learner and puzzle, in order; raises Unusable if that is nothing.

        With ``slugs`` only of these puzzles; else also what is in the place of a puzzle and is none, and "" for what is
        in the place of a learner's folder and is none.
        """
        folder = Path(self.coursedir.format_path(self.coursedir.submitted_directory, ".", ".")).resolve()
        if not folder.is_dir():
            raise Unusable(f"{self.root} has no {self.coursedir.submitted_directory}/<learner>/<puzzle>/ to grade")
        excluded = set(filter(None, self.coursedir.student_id_exclude.split(",")))
        there: list[tuple[str, str]] = []
        for learner in sorted(folder.iterdir()):
            if learner.name.startswith(".") or learner.name in excluded:
                continue
            try:
                names = [name for name in sorted(os.listdir(learner)) if not name.startswith(".")]
            except OSError:
                names = [""]
            if learner.is_symlink():  # it may lead anywhere, and none but a submission is to be told of
                names = [name for name in names if self.has(name)] or [""]
            there += [(learner.name, name) for name in names if slugs is None or name in slugs]
        if not there:
            which = f" of {', '.join(slugs)}" if slugs else ""
            raise Unusable(f"there is no submission{which} in {folder}")
        return there

    def assignment(self, slug: str) -> Assignment:
        """The puzzle, entered into the gradebook if it is not there yet; raises Unusable if that cannot be."""
        source = self.folder("source_directory", ".", slug)
        if not self.has(slug):
            raise Unusable(f"{slug} is no puzzle of this course: {source / slug}.ipynb is missing")
        try:
            return _patiently(lambda: self._assignment(slug, source))
        except Exception as error:  # of the gradebook, of nbgrader, of a notebook that is none
            raise Unusable(f"{slug} cannot be graded: {_why(error)}") from error

    def _assignment(self, slug: str, source: Path) -> Assignment:
        released = self._release(slug, enter=not self._is_entered(slug, source))
        with self.book() as book:
            sources = execute.source_cells(book, slug)
            max_score = float(book.find_assignment(slug).max_score)
        files = execute.puzzle_files(source)
        told = {"cells": {k: asdict(v) for k, v in sources.items()}, "settings": str(self.settings)}
        digest = hashlib.sha256(json.dumps([told, mechpuzzles.__version__], sort_keys=True).encode())
        for name, content in sorted(files.items()):
            digest.update(name.encode() + content)
        return Assignment(slug, released, sources, files, max_score, digest.hexdigest())

    def _is_entered(self, slug: str, source: Path) -> bool:
        """Whether all of the puzzle is in the gradebook: nbgrader enters cell by cell, and may have been stopped."""
        cells = nbformat.read(source / f"{slug}.ipynb", as_version=4).cells
        kinds = (utils.is_grade, utils.is_solution, utils.is_locked, utils.is_task)
        kept = {cell.metadata.nbgrader.grade_id for cell in cells if any(kind(cell) for kind in kinds)}
        with self.book() as book:
            try:
                return kept <= {cell.name for cell in book.find_notebook(slug, slug).source_cells}
            except MissingEntry:
                return False

    def _release(self, slug: str, enter: bool) -> NotebookNode:
        """The notebook that learners got; to enter it into the gradebook nbgrader's generate_assignment makes it."""
        path = self.folder("release_directory", ".", slug) / f"{slug}.ipynb"
        if path.is_file() and not enter:
            return nbformat.read(path, as_version=4)
        heard.last = ""
        with tempfile.TemporaryDirectory() as scratch:
            config = copy.deepcopy(self.config)
            config.CourseDirectory.release_directory = scratch
            config.CourseDirectory.assignment_id = slug
            converter = GenerateAssignment(coursedir=CourseDirectory(config=config), config=config)
            converter.log, converter.force = log, True
            converter.no_database = not enter
            converter.start()
            made = nbformat.read(Path(scratch, slug, f"{slug}.ipynb"), as_version=4)
        return nbformat.read(path, as_version=4) if path.is_file() else made


Take = Callable[[Course, str, Assignment, submissions.Submission, dict[str, Any]], Row]


def grade(
    course: Course,
    slugs: list[str] | None,
    settings: Settings,
    progress: Callable[[Row, int], None] = lambda row, total: None,
    take: Take | None = None,
) -> list[Row]:
    """Grade what was submitted and has changed since it was graded; a row for each submission, in order.

    ``progress`` hears of each row as it comes, and how many there will be. With ``take``, everything is graded, and
    what was found is handed to it in place of being entered. Raises Unusable where nothing can be graded.
    """
    with one_engine():
        return _grade(course, slugs, settings, progress, take)


def _grade(
    course: Course,
    slugs: list[str] | None,
    settings: Settings,
    progress: Callable[[Row, int], None],
    take: Take | None,
) -> list[Row]:
    there = course.submitted(slugs)
    pool = settings.pool()
    run = {**course.settings, "sandbox": settings.sandbox and course.settings["sandbox"]}
    run["all_cells"] = settings.all_cells or run["all_cells"]
    rows: list[Row] = []

    def note(row: Row) -> None:
        rows.append(row)
        progress(row, len(there))

    waiting: dict[concurrent.futures.Future, tuple[str, Assignment, submissions.Submission]] = {}
    try:
        wanted = {slug for _, slug in there}
        assignments = {slug: course.assignment(slug) for slug in sorted(wanted) if slugs or course.has(slug)}
        for learner, slug in there:
            if slug not in assignments or not _usable(learner):
                note(_stray(learner, slug))
                continue
            assignment = assignments[slug]
            submission = _read(course, learner, assignment)
            if not (settings.again or take) and (row := known(course, learner, assignment, submission)):
                note(row)
            elif submission.notebook is None and take:
                continue
            elif submission.notebook is None:
                note(_refuse(course, learner, assignment, submission, "rejected", submission.findings))
            else:
                job = execute.job_of(submission.notebook, assignment.sources, assignment.released, slug, **run)
                job = replace(job, files=submission.files, variant=course.variant(learner))
                waiting[pool.submit(asdict(job), assignment.files)] = (learner, assignment, submission)
            while len(waiting) >= 2 * pool.size:
                _collect(course, waiting, note, take or enter)
        while waiting:
            _collect(course, waiting, note, take or enter)
    finally:
        pool.close()
    return sorted(rows, key=lambda row: (row.learner, row.puzzle))


def _usable(learner: str) -> bool:
    """Whether nbgrader finds the folder of a learner of this name: it takes names for patterns."""
    return learner.isprintable() and learner == learner.strip() and not set(learner) & set("*?[")


def _stray(learner: str, name: str) -> Row:
    """The row of what is in the place of a submission and cannot be one."""
    usable = _usable(learner)
    learner, name = (
        "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in each)
        for each in (learner, name)
    )
    if not usable:
        why = f'nbgrader cannot use the name of the folder "{learner}"'
    else:
        why = f'"{learner}/{name}" is no puzzle of this course' if name else f'"{learner}" is no folder of a learner\'s'
    return Row(learner, name, None, 0.0, "rejected", f"Not graded: {why}.", graded_now=False)


def _read(course: Course, learner: str, assignment: Assignment) -> submissions.Submission:
    """What was handed in, without what would stand in the way of the course's own files."""
    slug = assignment.slug
    try:
        found = submissions.read(course.folder("submitted_directory", learner, slug), assignment.released, slug)
    except ValueError as error:
        raise Unusable(f"the release of {slug} cannot be used: {error}") from error
    ours = {f"{slug}.ipynb", "timestamp.txt", *assignment.files}
    theirs = {name: content for name, content in found.files.items() if name.split("/")[0] not in ours}
    if theirs == found.files:
        return found
    said = "Left out: folders with the names of the puzzle's files."
    return replace(found, files=theirs, findings=(*found.findings, said))


def _collect(course: Course, waiting: dict, note: Callable[[Row], None], take: Take) -> None:
    """Take the results of the jobs that are done, once there is one."""
    done, _ = concurrent.futures.wait(waiting, return_when=concurrent.futures.FIRST_COMPLETED)
    for future in done:
        learner, assignment, submission = waiting.pop(future)
        try:
            found = future.result()
        except Exception as error:  # of a pool: a lost worker, a broken connection
            found = {"failed": f"{type(error).__name__}: {error}"}
        note(take(course, learner, assignment, submission, found))


def enter(
    course: Course, learner: str, assignment: Assignment, submission: submissions.Submission, found: dict[str, Any]
) -> Row:
    """Enter a grader's result into the gradebook and the course's folders."""
    if "failed" in found:
        return _refuse(course, learner, assignment, submission, "ungraded", (*submission.findings, found["failed"]))
    findings = (*submission.findings, *found["findings"])
    try:
        _autograde(course, learner, assignment, submission, found)
        score, waits = _patiently(lambda: _marks(course, learner, assignment))
        status = "needs_manual" if waits else "graded"
        row = Row(learner, assignment.slug, score, assignment.max_score, status, " ".join(findings))
        _leave_mark(course, assignment, submission, row, found["parts"])
    except Exception as error:  # whatever it is, the others are to be graded
        return _refuse(course, learner, assignment, submission, "ungraded", (*findings, _not_entered(error)))
    return row


def _not_entered(error: Exception) -> str:
    return f"The marks could not be entered: {_why(error)}"


def _why(error: Exception) -> str:
    """An error in a line; nbgrader's own only say that there was one."""
    return heard.last if isinstance(error, NbGraderException) and heard.last else _first_line(error)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or repr(error)).splitlines()[0]


def _patiently(act: Callable[[], T]) -> T:
    """Do something with the database, again after a pause if it is locked or away."""
    for attempt in range(TRIES - 1):
        with contextlib.suppress(NbGraderException, SQLAlchemyError):
            return act()
        time.sleep(PAUSE * 2**attempt)
    return act()


def _autograde(
    course: Course, learner: str, assignment: Assignment, submission: submissions.Submission, found: dict[str, Any]
) -> None:
    """nbgrader's own autograding of one submission, with a grader's outputs in the place of execution."""

    def fill(notebook: NotebookNode, resources: dict[str, Any]) -> tuple[NotebookNode, dict[str, Any]]:
        execute.fill(notebook, found, submission.findings)
        return notebook, resources

    with tempfile.TemporaryDirectory() as staged:
        _stage(course, Path(staged, learner, assignment.slug), learner, assignment.slug, submission)
        config = copy.deepcopy(course.config)
        config.CourseDirectory.submitted_directory = staged
        config.CourseDirectory.db_url = course.coursedir.db_url
        config.CourseDirectory.assignment_id = assignment.slug
        config.CourseDirectory.student_id = learner
        config.Autograde.autograde_preprocessors = [
            *(fill, ClearMetadataPreprocessor, LimitOutput, SaveAutoGrades, AssignLatePenalties)
        ]  # without CheckCellMetadata: nbgrader has just sanitised the notebook and checked it, and nothing ran since

        def convert() -> None:
            heard.last = ""
            converter = Autograde(coursedir=CourseDirectory(config=config), config=config)
            converter.log, converter.force = log, True
            converter.start()

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SAWarning)  # nbgrader's, at a learner's first submission
            _patiently(convert)


def _stage(course: Course, folder: Path, learner: str, slug: str, submission: submissions.Submission) -> None:
    """Write the notebook for nbgrader to read. The learner's other files stay where they are: Jupyter serves what lies
    in autograded/ to whoever marks."""
    folder.mkdir(parents=True, exist_ok=True)
    assert submission.notebook is not None
    nbformat.write(submission.notebook, folder / f"{slug}.ipynb")
    if stamp := _timestamp(course.folder("submitted_directory", learner, slug) / "timestamp.txt"):
        (folder / "timestamp.txt").write_text(stamp)


def _timestamp(path: Path) -> str | None:
    """nbgrader's note of when a submission was collected, if it is one."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(descriptor, encoding="utf-8") as file:
            stamp = file.read(200).strip()
        parse_utc(stamp)
    except (OSError, ValueError, OverflowError):
        return None
    return stamp


def _marks(course: Course, learner: str, assignment: Assignment) -> tuple[float, bool]:
    """The score, less what being late costs, and whether a person has still to mark something."""
    with course.book() as book:
        submission = book.find_submission(assignment.slug, learner)
        score = max(0.0, submission.score - submission.late_submission_penalty)
        return score, bool(submission.needs_manual_grade)


def _refuse(
    course: Course,
    learner: str,
    assignment: Assignment,
    submission: submissions.Submission,
    status: str,
    findings: tuple[str, ...],
) -> Row:
    """Enter a submission without marks: none of its checks has a score, and a person is to look at it."""

    def enter() -> None:
        with course.book() as book, warnings.catch_warnings():
            warnings.simplefilter("ignore", SAWarning)
            book.update_or_create_student(learner)
            entry = book.update_or_create_submission(assignment.slug, learner)
            for notebook in entry.notebooks:
                for mark in notebook.grades:
                    mark.auto_score, mark.needs_manual_grade = None, True
            book.db.commit()

    row = Row(learner, assignment.slug, None, assignment.max_score, status, " ".join(findings))
    try:
        _patiently(enter)
        folder = course.folder("autograded_directory", learner, assignment.slug)
        if folder.exists():
            rmtree(str(folder))
        folder.mkdir(parents=True)
        notebook = copy.deepcopy(assignment.released)
        notebook.metadata["mechpuzzles"] = {execute.FINDINGS: list(findings), "status": status}
        nbformat.write(notebook, folder / f"{assignment.slug}.ipynb")
        if status == "rejected":
            _leave_mark(course, assignment, submission, row)
    except Exception as error:
        said = f"{row.message} {_not_entered(error)}" if status == "rejected" else row.message
        return replace(row, status="ungraded", message=said)
    return row


# What was graded before ------------------------------------------------------------------------------------------


def _leave_mark(
    course: Course,
    assignment: Assignment,
    submission: submissions.Submission,
    row: Row,
    parts: dict[str, dict[str, Any]] | None = None,
) -> None:
    """Note what was graded, and what came of each part, when everything else is written."""
    path = course.folder("autograded_directory", row.learner, row.puzzle) / MARK
    note = {"submission": submission.digest, "assignment": assignment.digest, "status": row.status}
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(note | {"message": row.message, "parts": parts or {}}))
    fresh.replace(path)


def notes(course: Course, learner: str, slug: str) -> dict[str, Any] | None:
    """What `grade` noted of a submission: {"submission", "assignment", "status", "message", "parts"}; None if nothing.

    "parts" has for each part that was checked its "outcome" (`mechpuzzles.verdicts.Outcome`) and "symptom", and for a
    wrong value of a variant the "value".
    """
    note = _mark_left(course, learner, slug)
    return note if isinstance(note.get("parts"), dict) else None


def _mark_left(course: Course, learner: str, slug: str) -> dict[str, Any]:
    """What the mark beside a submission's notebook holds; nothing where there is none, or a damaged one."""
    try:
        note = json.loads((course.folder("autograded_directory", learner, slug) / MARK).read_text())
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


def known(course: Course, learner: str, assignment: Assignment, submission: submissions.Submission) -> Row | None:
    """The row of a submission that was graded as it is now, with the marks that the gradebook has by now."""
    note = _mark_left(course, learner, assignment.slug)
    try:
        if (note["submission"], note["assignment"]) != (submission.digest, assignment.digest):
            return None
        message, status = str(note["message"]), str(note["status"])
    except KeyError:
        return None
    row = Row(learner, assignment.slug, None, assignment.max_score, status, message, graded_now=False)
    try:
        score, waits = _patiently(lambda: _marks(course, learner, assignment))
    except MissingEntry:
        return None
    except SQLAlchemyError as error:
        return replace(row, status="ungraded", message=f"The marks could not be read: {_first_line(error)}")
    if status == "rejected":
        return row
    return replace(row, score=score, status="needs_manual" if waits else "graded")
