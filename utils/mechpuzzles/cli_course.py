"""The commands of an instructor's week: ``mechpuzzles course ...``."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from mechpuzzles.terminal import AsJson, console, errors, print_json, refused

course_app = typer.Typer(no_args_is_help=True, help="An nbgrader course of puzzles: make it, fill it, collect for it.")

Course = Annotated[Path, typer.Option(help="The course's directory.")]
Encoding = Annotated[
    str | None, typer.Option(help="Of the roster, where it is neither UTF-8 nor UTF-16.", show_default=False)
]


def _needs_the_extra(error: ImportError) -> typer.Exit:
    return refused(f"a course needs the extra [course]: {error}")


def _next_monday() -> str:
    today = datetime.date.today()
    return str(today + datetime.timedelta(days=7 - today.weekday()))


def _day(written: str) -> datetime.date:
    try:
        return datetime.date.fromisoformat(written)
    except ValueError:
        raise refused(f"a day is written like 2026-12-01, not {written!r}") from None


def _slugs(written: str) -> list[str]:
    return [slug.strip() for slug in written.split(",") if slug.strip()]


@course_app.command("init")
def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The new course's directory.")],
    roster: Annotated[Path, typer.Option(help="A CSV table: id, first_name, last_name, email, lms_user_id.")],
    puzzles: Annotated[str, typer.Option(help="Which puzzles, with commas between them.")],
    start: Annotated[str, typer.Option(help="The first puzzle's day.", show_default="next Monday")] = "",
    every: Annotated[int, typer.Option(min=1, help="Days from one puzzle to the next.")] = 7,
    timezone: Annotated[str, typer.Option(help="Of the due dates, such as Europe/Vienna.")] = "UTC",
    course_id: Annotated[str, typer.Option(help="As nbgrader has it.", show_default="the folder's name")] = "",
    encoding: Encoding = None,
) -> None:
    """A new course: configuration, puzzles and their release, roster, due dates, a variant for each learner."""
    from mechpuzzles import roster as rosters

    try:
        from mechpuzzles import course
    except ImportError as error:
        raise _needs_the_extra(error) from None
    try:
        learners = rosters.read(roster, encoding)
        plan = course.Plan(_day(start or _next_monday()), every, timezone)
        said = course.init(folder, learners, _slugs(puzzles), plan, course_id)
    except (OSError, ValueError) as error:
        raise refused(error) from None
    for warning in said:
        errors.print(warning, style="yellow", markup=False, soft_wrap=True)
    console.print(f"{folder}: {len(learners)} learners; the plan is in {course.SCHEDULE}", markup=False, soft_wrap=True)


@course_app.command("roster")
def add_learners(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The course's directory.")],
    roster: Annotated[Path, typer.Argument(help="A CSV table, as for init.")],
    encoding: Encoding = None,
) -> None:
    """Add learners to a course, or change their names; nobody and no mark is removed."""
    from mechpuzzles import roster as rosters

    try:
        from mechpuzzles import course
        from mechpuzzles.grading.driver import Course as Opened
    except ImportError as error:
        raise _needs_the_extra(error) from None
    try:
        done = course.enrol(Opened(folder), rosters.read(roster, encoding))
    except (OSError, ValueError) as error:
        raise refused(error) from None
    console.print(f"{len(done.new)} new, {len(done.changed)} changed", markup=False)
    if done.new:
        console.print("Hand out variants.json again: the new learners' variants are in it now.", soft_wrap=True)
    if done.not_named:
        names = ", ".join(done.not_named)
        console.print(f"In the course, and left there, though not in {roster.name}: {names}", markup=False)


@course_app.command("collect")
def collect(
    slug: Annotated[str, typer.Argument(help="Which puzzle.")],
    source: Annotated[Path, typer.Argument(help="The folder or zip that the learning platform exported.")],
    course: Course = Path(),
    as_json: AsJson = False,
) -> None:
    """Put what Canvas, Moodle, Blackboard or a folder holds into submitted/; what cannot be placed is listed."""
    try:
        from mechpuzzles import collect as collecting
        from mechpuzzles.grading.driver import Course as Opened
    except ImportError as error:
        raise _needs_the_extra(error) from None
    try:
        lines = collecting.collect(Opened(course), slug, source)
    except (OSError, ValueError) as error:
        raise refused(error) from None
    if as_json:
        print_json([line.data() for line in lines])
    else:
        table = Table("learner", "file", "status", "message")
        for line in lines:
            table.add_row(*(escape(word) for word in (line.learner or "", line.file, line.status, line.message)))
        console.print(table)
    if any(line.status in collecting.FOR_A_PERSON for line in lines):
        raise typer.Exit(1)


@course_app.command("demo")
def demo(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The new course's directory.")],
    learners: Annotated[int, typer.Option(min=2, help="How many.")] = 40,
    puzzles: Annotated[
        str, typer.Option(help="Which puzzles, with commas between them.", show_default="all of them")
    ] = "",
    seed: Annotated[int, typer.Option(help="Another number is another class.")] = 0,
) -> None:
    """A course with a made-up class whose true marks are known: they are in truth.json. Needs the checkout."""
    try:
        from mechpuzzles import demo as demonstration
    except ImportError as error:
        raise _needs_the_extra(error) from None
    try:
        truth = demonstration.make(folder, learners, _slugs(puzzles), seed)
    except (OSError, ValueError) as error:
        raise refused(error) from None
    handed_in = sum(len(by_puzzle) for by_puzzle in truth["learners"].values())
    console.print(f"{folder}: {learners} learners, {handed_in} submissions, {demonstration.TRUTH}", markup=False)
