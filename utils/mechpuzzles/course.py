"""An instructor's course: a directory that nbgrader's commands and the formgrader use as it is.

It holds nbgrader_config.py (the checkout's, and below it the course's own lines), solutions/ and puzzles/ (the release,
made by nbgrader's generate_assignment), gradebook.db with the roster and due dates, schedule.csv for people, and
course_secret, from which each learner's variants come.
"""

from __future__ import annotations

import copy
import csv
import datetime
import re
import shutil
import warnings
import zoneinfo
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from mechpuzzles import folders, variants
from mechpuzzles.grading import driver
from mechpuzzles.roster import Learner

CONFIG, SCHEDULE = "nbgrader_config.py", "schedule.csv"
OWN = """
# This course's own.
c.CourseDirectory.course_id = {course!r}
c.Exchange.timezone = {timezone!r}
"""
MOST_DAYS = 366


class Refused(ValueError):
    """A course cannot be made or changed so; the message says why, and nothing was changed."""


@dataclass(frozen=True)
class Plan:
    """When the puzzles of a course are handed out and due: one every so many days from ``start``, in a time zone."""

    start: datetime.date
    every: int = 7
    timezone: str = "UTC"

    def __post_init__(self) -> None:
        if not 1 <= self.every <= MOST_DAYS:
            raise Refused(f"a puzzle every {self.every} days is no plan: 1 to {MOST_DAYS}")
        zone(self.timezone)

    def opens(self, number: int) -> datetime.date:
        """The day on which the puzzle of that number, from 0, is handed out."""
        return self.start + datetime.timedelta(days=number * self.every)

    def due(self, number: int) -> datetime.datetime:
        """The last minute for it: 23:59 on the evening before the next one is handed out."""
        evening = self.opens(number + 1) - datetime.timedelta(days=1)
        return datetime.datetime.combine(evening, datetime.time(23, 59), zone(self.timezone))


def zone(name: str) -> datetime.tzinfo:
    """A time zone by its name in the tz database, such as Europe/Vienna; raises `Refused`."""
    if name == "UTC":  # also where there is no tz database
        return datetime.UTC
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise Refused(f"there is no time zone {name!r}; they are written like Europe/Vienna, or UTC") from None


def init(
    folder: Path,
    learners: list[Learner],
    wanted: list[str],
    plan: Plan,
    course_id: str = "",
    checkout: Path | None = None,
    secret: str | None = None,
) -> list[str]:
    """Make a course of puzzles of a checkout; warnings. Nothing is left of a course that could not be finished.

    ``course_id`` is the folder's name without one; ``secret`` is drawn by lot without one. Raises `Refused`.
    """
    folder = folder.absolute()
    course_id = course_id or folder.name
    if not re.fullmatch(r"\w[\w.-]*", course_id):
        raise Refused(f"a course id is letters, digits, '-', '_' and '.', such as mech-interp-2026; not {course_id!r}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Refused(f"{folder} is there already and not empty; `mechpuzzles course roster` adds learners to a course")
    if not wanted:
        raise Refused("a course has at least one puzzle")
    try:
        root = checkout or folders.checkout()
        folders.chosen(root, wanted)
    except (FileNotFoundError, ValueError) as error:
        raise Refused(str(error)) from None
    slugs = [slug for slug in folders.slugs(root) if slug in wanted]
    half_made = folder.with_name(f".{folder.name}.half-made")
    shutil.rmtree(half_made, ignore_errors=True)  # of a run that was stopped
    half_made.mkdir(parents=True)
    try:
        _make(half_made, root, slugs, learners, plan, course_id, secret)
        if folder.exists():
            folder.rmdir()
        half_made.rename(folder)
    finally:
        shutil.rmtree(half_made, ignore_errors=True)
    return _unprepared(root, slugs)


def _make(
    folder: Path, root: Path, slugs: list[str], learners: list[Learner], plan: Plan, course_id: str, secret: str | None
) -> None:
    own = OWN.format(course=course_id, timezone=plan.timezone)
    (folder / CONFIG).write_text((root / CONFIG).read_text(encoding="utf-8") + own, encoding="utf-8")
    variants.keep_secret(folder, secret)
    for slug in slugs:
        hidden = shutil.ignore_patterns("__pycache__", ".*")
        shutil.copytree(root / "solutions" / slug, folder / "solutions" / slug, ignore=hidden)
    _write_schedule(folder, slugs, plan)
    course = driver.Course(folder)
    with driver.one_engine(), warnings.catch_warnings():
        warnings.simplefilter("ignore", driver.SAWarning)
        _give_variants(course, [learner.id for learner in learners])
        for number, slug in enumerate(slugs):
            _release(course, slug)
            with course.book() as book:
                book.update_or_create_assignment(slug, duedate=plan.due(number))
        _enrol(course, learners)


def _release(course: driver.Course, slug: str) -> None:
    """What `nbgrader generate_assignment` does; raises `Refused` with what it said."""
    config = copy.deepcopy(course.config)
    config.CourseDirectory.assignment_id = slug
    converter = driver.GenerateAssignment(coursedir=driver.CourseDirectory(config=config), config=config)
    converter.log, driver.heard.last = driver.log, ""
    try:
        converter.start()
    except driver.NbGraderException as error:
        raise Refused(f"nbgrader could not make the release of {slug}: {driver.heard.last or error}") from error


def _unprepared(root: Path, slugs: list[str]) -> list[str]:
    """A sentence for each puzzle that builds on one which is not in the course."""
    said = []
    for slug in slugs:
        if missing := [name for name in folders.declared(root, slug).after if name not in slugs]:
            said.append(f"{slug} builds on {' and '.join(missing)}, which this course does not have.")
    return said


def _write_schedule(folder: Path, slugs: list[str], plan: Plan) -> None:
    with (folder / SCHEDULE).open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["puzzle", "title", "minutes", "opens", "due", "timezone", "due in UTC"])
        for number, slug in enumerate(slugs):
            puzzle, due = folders.declared(folder, slug), plan.due(number)
            utc = due.astimezone(datetime.UTC)
            days = [plan.opens(number).isoformat(), f"{due:%Y-%m-%d %H:%M}", plan.timezone, f"{utc:%Y-%m-%d %H:%M}"]
            table.writerow([slug, puzzle.title, puzzle.minutes, *days])


# The roster ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Enrolled:
    """What a roster changed: new learners, those who changed, those of the gradebook whom the table does not name."""

    new: list[str]
    changed: list[str]
    not_named: list[str]


def enrol(course: driver.Course, learners: list[Learner]) -> Enrolled:
    """Enter learners into a course's gradebook and give them variants; nobody and no mark is removed.

    It may be done again at any time. Raises `Refused` for a directory that is no course with a secret, or where an id
    differs only by capitals from one that is there.
    """
    if not (course.root / CONFIG).is_file() or course.secret is None:
        raise Refused(
            f"{course.root} is no course that `mechpuzzles course init` made: {CONFIG} or its secret is missing"
        )
    before = {one.id: one for one in on_roster(course)}
    folded = {learner.casefold(): learner for learner in before}
    for one in learners:
        if (other := folded.get(one.id.casefold(), one.id)) != one.id:
            raise Refused(f"the id {one.id!r} differs only by capitals from {other!r}, who is in the course")
    _enrol(course, learners)
    everyone = [*before, *(one.id for one in learners if one.id not in before)]
    _give_variants(course, everyone)
    after = {one.id: one for one in on_roster(course)}
    return Enrolled(
        new=[one.id for one in learners if one.id not in before],
        changed=[one.id for one in learners if one.id in before and after[one.id] != before[one.id]],
        not_named=sorted(set(before) - {one.id for one in learners}),
    )


def _enrol(course: driver.Course, learners: Iterable[Learner]) -> None:
    """What `nbgrader db student import` does, but what the table leaves empty stays as it is."""
    with course.book() as book:
        for learner in learners:
            told = {name: field for name, field in asdict(learner).items() if name != "id" and field is not None}
            book.update_or_create_student(learner.id, **told)


def on_roster(course: driver.Course) -> list[Learner]:
    """The learners whom the gradebook knows."""
    with course.book() as book:
        return [Learner(one.id, one.first_name, one.last_name, one.email, one.lms_user_id) for one in book.students]


def _give_variants(course: driver.Course, learners: list[str]) -> None:
    """Write everybody's keys beside each puzzle that draws a variant, and into its release if there is one."""
    name = course.coursedir.course_id
    for source in sorted((course.root / "solutions").iterdir()):
        if not (source / "puzzle.py").is_file() or folders.declared(course.root, source.name).draw is None:
            continue
        for folder in (source, course.folder("release_directory", ".", source.name)):
            if folder.is_dir():
                variants.write(folder, name, course.secret or "", learners)
