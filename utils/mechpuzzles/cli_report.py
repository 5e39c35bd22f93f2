"""``mechpuzzles report``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from mechpuzzles.terminal import AsJson, console, refused


def report_command(
    course: Annotated[Path, typer.Option(help="A course directory that was graded.")] = Path(),
    out: Annotated[Path | None, typer.Option(help="The page, such as report.html.", show_default=False)] = None,
    csv: Annotated[Path | None, typer.Option(help="Also a table: a row for each learner and part.")] = None,
    as_json: AsJson = False,
    anonymous: Annotated[bool, typer.Option("--anonymous", help="Numbers in place of names and ids.")] = False,
    puzzle: Annotated[list[str] | None, typer.Option(help="Which puzzles; all without any.")] = None,
) -> None:
    """What a class understood and misunderstood: a page for whoever teaches it."""
    if not (out or csv or as_json):
        raise refused("say where the page goes, --out report.html; or ask for --csv FILE or --json")
    try:
        from mechpuzzles import report
        from mechpuzzles.grading import driver
    except ImportError as error:
        raise refused(f"a report needs the extra [course]: {error}") from None
    try:
        known = report.document(driver.Course(course), puzzle, anonymous)
        if out:
            out.write_text(report.page(known), encoding="utf-8")
        if csv:
            csv.write_text(report.table(known), encoding="utf-8", newline="")
    except (ValueError, OSError) as error:
        raise refused(error) from None
    if as_json:
        typer.echo(json.dumps(known, indent=1))
        return
    for path in filter(None, (out, csv)):
        console.print(str(path), markup=False, soft_wrap=True)
