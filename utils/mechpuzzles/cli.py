"""The ``mechpuzzles`` command."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from mechpuzzles import folders
from mechpuzzles.cli_course import course_app
from mechpuzzles.cli_report import report_command
from mechpuzzles.terminal import AsJson, console, errors, print_json, refused

# jsonschema, imported with nbformat, would build a grammar of international web addresses, in more than a second. No
# schema of a notebook has any; without the grammar it leaves that format out.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Mech Interp Puzzles: build, verify and measure the series.",
)
zoo_app = typer.Typer(no_args_is_help=True, help="The bundled models: their recipes and weights.")
bench_app = typer.Typer(no_args_is_help=True, help="Measure, as ratios within one run.")
journal_app = typer.Typer(
    no_args_is_help=True, help="Your log of guesses, attempts and hints; it stays on this machine."
)
app.add_typer(zoo_app, name="zoo")
app.add_typer(journal_app, name="journal")
app.add_typer(course_app, name="course")
app.command("report")(report_command)
app.add_typer(bench_app, name="bench")

Slugs = Annotated[list[str] | None, typer.Argument(metavar="[SLUG]...", help="Which puzzles; all without any.")]


def _root_and(wanted: list[str] | None) -> tuple[Path, list[str]]:
    try:
        root = folders.checkout()
        return root, folders.chosen(root, wanted)
    except (FileNotFoundError, ValueError) as error:
        raise refused(str(error)) from None


@app.command("list")
def list_puzzles(as_json: AsJson = False) -> None:
    """The puzzles, prerequisites first, with your progress."""
    from mechpuzzles import progress

    puzzles = folders.released()
    so_far = progress.overview(puzzles)
    if as_json:
        keys = ("slug", "title", "question", "principle", "after", "minutes", "models")
        done = {
            p.slug: {"right": had.right, "parts": had.parts} for p, had in zip(puzzles, so_far.values(), strict=True)
        }
        print_json([{key: getattr(p, key) for key in keys} | {"progress": done[p.slug]} for p in puzzles])
        return
    table = Table("puzzle", "question", "minutes", "after", "parts right")
    for p in puzzles:
        had = so_far[p.slug]
        table.add_row(p.slug, p.question, str(p.minutes), ", ".join(p.after), f"{had.right} of {had.parts}")
    console.print(table)
    if upcoming := progress.following(puzzles, so_far):
        console.print(f"next: mechpuzzles start {upcoming.slug}", markup=False)


@app.command("problems")
def list_problems(
    category: Annotated[int | None, typer.Option(min=1, max=9, help="Of one category; all without.")] = None,
    uncovered: Annotated[bool, typer.Option("--uncovered", help="Only those that no puzzle leads into.")] = False,
    as_json: AsJson = False,
) -> None:
    """The open problems of the field, and the puzzles that lead into them."""
    from mechpuzzles import problems

    found = problems.document(folders.released(), category, uncovered)
    if as_json:
        print_json(found)
        return
    for name, rows in itertools.groupby(found, lambda row: row["category"]):
        table = Table("", "problem", "needs", "begin with", title=name, title_justify="left")
        for row in rows:
            needs = ", ".join([*row["needs"]["models"], row["needs"]["compute"]])
            table.add_row(row["id"], row["title"], needs, ", ".join(one["slug"] for one in row["puzzles"]))
        console.print(table)
    covered = sum(bool(row["puzzles"]) for row in found)
    console.print(f"{len(found)} problems; a puzzle leads into {covered} of them")


@app.command()
def new(slug: str) -> None:
    """A folder for a new puzzle: a small working one, to be replaced."""
    root, _ = _root_and(None)
    try:
        for path in folders.new(root, slug):
            console.print(str(path.relative_to(root)), markup=False)
    except FileExistsError:
        raise refused(f"there is a solutions/{slug} already") from None
    except ValueError as error:
        raise refused(str(error)) from None


@app.command()
def build(
    slugs: Slugs = None,
    check: Annotated[bool, typer.Option("--check", help="Change nothing; fail if anything is not as built.")] = False,
) -> None:
    """Make the source notebooks, the release and the index from the puzzle folders."""
    from mechpuzzles import build as builder
    from mechpuzzles import index

    root, chosen = _root_and(slugs)
    said = []
    for slug in chosen:
        said += builder.stale(root, slug) if check else builder.build(root, slug)
    try:
        said += index.stale(root) if check else index.write(root)
    except Exception as error:  # whatever a half-written folder beside the wanted ones raises
        if not slugs:
            raise
        said.append(f"the index is left as it is: {error}")
    for line in said:
        console.print(line, markup=False)
    if check and said:
        raise typer.Exit(1)


@app.command()
def verify(
    slugs: Slugs = None,
    draws: Annotated[int, typer.Option(min=1, help="How often to draw what a grader draws.")] = 1,
    run: Annotated[bool, typer.Option(help="Run the notebooks.")] = True,
    as_json: AsJson = False,
) -> None:
    """Hold puzzles to the gate: mutants, alternatives, impostors, points, leaks, time."""
    import torch

    from mechpuzzles.verify import verify as verify_one

    torch.set_num_threads(1)
    root, chosen = _root_and(slugs)
    reports = [verify_one(root, slug, run, draws=draws) for slug in chosen]
    if as_json:
        print_json([report.row() for report in reports])
    else:
        table = Table(
            "puzzle",
            "parts",
            "symptoms",
            "mutants killed",
            "alternatives passing",
            "power",
            "release",
            "solution",
            "seconds",
        )
        for r in reports:
            answers = (f"{r.killed} of {r.mutants}", f"{r.passing} of {r.alternatives}", f"{r.power:g}")
            points = (f"{r.release_points:g}", f"{r.solution_points:g}", f"{r.seconds:g}")
            table.add_row(r.slug, str(r.parts), str(r.symptoms), *answers, *points)
        console.print(table)
        killed, mutants = sum(r.killed for r in reports), sum(r.mutants for r in reports)
        console.print(f"kill rate: {killed} of {mutants} mutants met their own sentence")
    for report in reports:
        for problem in report.problems:
            errors.print(f"{report.slug}: {problem}", style="red", markup=False)
    if any(report.problems for report in reports):
        raise typer.Exit(1)


@app.command()
def grade(
    course: Annotated[Path, typer.Option(help="A course directory: submitted/<learner>/<puzzle>/.")] = Path(),
    puzzle: Annotated[
        list[str] | None, typer.Option(help="Which puzzles; all that were submitted without any.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Graders at a time; as many as cores without.")] = None,
    scheduler: Annotated[str | None, typer.Option(help="Grade on a Dask cluster, at tcp://host:port.")] = None,
    no_sandbox: Annotated[bool, typer.Option("--no-sandbox", help="Run the learners' code as yourself.")] = False,
    all_cells: Annotated[
        bool, typer.Option("--all-cells", help="Run every cell, needed for the checks or not.")
    ] = False,
    again: Annotated[bool, typer.Option("--again", help="Grade also what has not changed.")] = False,
    regrade: Annotated[
        str | None, typer.Option(metavar="SLUG", help="Grade a puzzle anew: first show whose marks change.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="With --regrade: enter the marks without asking.")] = False,
    as_json: AsJson = False,
) -> None:
    """Grade a course's submissions in sandboxes, and enter the marks into nbgrader's gradebook."""
    try:
        from mechpuzzles.grading import driver
    except ImportError as error:
        raise refused(f"grading needs the extra [course]: {error}") from None
    from mechpuzzles.grading.progress import Progress

    try:
        settings = driver.Settings(workers, scheduler, sandbox=not no_sandbox, all_cells=all_cells, again=again)
        if no_sandbox:
            errors.print(driver.NO_SANDBOX, style="bold red", markup=False)
        if regrade is not None:
            rows = _regraded(driver.Course(course), regrade, settings, yes, as_json)
        else:
            with Progress(errors, quiet=as_json) as progress:
                rows = driver.grade(driver.Course(course), puzzle, settings, progress.row)
    except driver.Unusable as error:
        raise refused(str(error)) from None
    if as_json:
        print_json([row.data() for row in rows])
    else:
        _print_rows(rows)
    if any(row.status == "ungraded" for row in rows):
        raise typer.Exit(1)


def _regraded(course: Any, slug: str, settings: Any, yes: bool, quiet: bool) -> list[Any]:
    """Grade anew, show on standard error whose marks change, and enter them if that is wanted."""
    from mechpuzzles.grading.progress import Progress
    from mechpuzzles.grading.regrade import regrade

    with Progress(errors, quiet=quiet) as progress:
        regrading = regrade(course, slug, settings, progress.row)
    table = Table("learner", "check", "points before", "points now")
    for change in regrading.changes:
        points = ("none" if mark is None else f"{mark:g}" for mark in (change.before, change.after))
        table.add_row(escape(change.learner), change.check, *points)
    errors.print(table if regrading.changes else f"No mark of {slug} changes.")
    if regrading.changes and not yes and not typer.confirm("Enter these marks?", err=True):
        raise typer.Exit(1)
    return regrading.enter()


def _print_rows(rows: list[Any]) -> None:
    table = Table("learner", "puzzle", "score", "status", "message")
    for row in rows:
        score = "" if row.score is None else f"{row.score:g} of {row.max_score:g}"
        status = row.status.replace("_", " ")
        table.add_row(escape(row.learner), escape(row.puzzle), score, status, escape(row.message))
    console.print(table)


Work = Annotated[
    Path | None,
    typer.Option(help="Your folder: work/ in a checkout, else mechpuzzles/ in your home.", show_default=False),
]


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def start(
    context: typer.Context,
    work: Work = None,
    lab: Annotated[
        bool, typer.Option("--lab/--no-lab", help="Or only fill your folder, and say what to open in VS Code.")
    ] = True,
) -> None:
    """Open JupyterLab on the series, or on a puzzle: start SLUG.

    It opens in a folder of yours: what you do not have yet is copied there, what you have is left alone. Further
    options go to JupyterLab, such as --no-browser or --port=8890.
    """
    from mechpuzzles import workspace

    folder = (work or workspace.default()).absolute()
    options = [word for word in context.args if word.startswith("-")]
    named = [word for word in context.args if word not in options]
    slug = named[0] if named else ""
    there = workspace.slugs()
    if unknown := [word for word in named if word not in there]:
        known = ", ".join(there)
        raise refused(f"no puzzle {unknown[0]!r}; there are {known}. Options for JupyterLab are written --port=8890.")
    if named[1:]:
        raise refused("start opens one puzzle at a time")
    if options and not lab:
        raise refused(f"{options[0]} is an option of JupyterLab, and --no-lab opens none")
    try:
        workspace.prepare(folder)
    except ImportError as error:
        raise refused(f"JupyterLab comes with the extra [lab]: {error}") from None
    except (OSError, ValueError) as error:
        raise refused(f"your folder {folder} cannot be used: {error}") from None
    if slug and workspace.outdated(slug, folder):
        fresh = f"`mechpuzzles reset {slug}` gives a fresh copy and keeps yours"
        errors.print(f"{slug} has changed since you began; {fresh}.", soft_wrap=True, markup=False)
    page = f"{slug}/{slug}.ipynb" if slug else workspace.INDEX
    if not lab:
        console.print(f"Open {folder / page} with the Python {sys.executable}.", markup=False, soft_wrap=True)
        return
    from mechpuzzles.grading import warm

    warm.serve_learners()
    os.chdir(folder)
    command = [sys.executable, "-m", "jupyterlab", *options, page]
    if os.name == "nt":  # where execv comes back at once
        raise typer.Exit(subprocess.call(command))
    os.execv(sys.executable, command)


@app.command()
def reset(slug: str, work: Work = None) -> None:
    """A fresh copy of a puzzle in your folder; the old one is kept beside it."""
    from mechpuzzles import workspace

    folder = (work or workspace.default()).absolute()
    try:
        kept = workspace.reset(slug, folder)
    except (OSError, ValueError) as error:
        raise refused(str(error)) from None
    kept_in = f" Yours is kept in {kept}." if kept else ""
    console.print(f"{folder / slug} is fresh.{kept_in}", markup=False, soft_wrap=True)


@app.command()
def colab(
    repository: Annotated[str, typer.Option(help="The URL that git clones, such as https://github.com/owner/name.")],
    ref: Annotated[str, typer.Option(help="The branch, tag or commit that is installed.")],
    out: Annotated[Path, typer.Option(help="The folder for the notebooks.")],
    slugs: Slugs = None,
    path: Annotated[str, typer.Option(help="Where that folder is in the repository, for links to Colab.")] = "colab",
) -> None:
    """Write the released puzzles as notebooks for Google Colab, each with all that it needs."""
    from mechpuzzles.colab import Place, write

    try:
        for file in write(folders.checkout(), Place(repository, ref, path), out, slugs):
            console.print(str(file), markup=False, soft_wrap=True)
    except (OSError, ValueError) as error:
        raise refused(str(error)) from None


@journal_app.command("show")
def journal_show() -> None:
    """Your log, as it is: a line of JSON for each guess, attempt and hint."""
    from mechpuzzles import journal

    for entry in journal.everything():
        typer.echo(json.dumps(entry))
    errors.print(f"It is in {journal.path()}, and nowhere else.", markup=False, soft_wrap=True)


@journal_app.command("export")
def journal_export(to: Path) -> None:
    """Copy your log to a file, to keep it or to hand it to somebody."""
    from mechpuzzles import journal

    try:
        with to.open("x", encoding="utf-8") as file:
            file.writelines(json.dumps(entry) + "\n" for entry in journal.everything())
    except FileExistsError:
        raise refused(f"there is a {to} already") from None
    except OSError as error:
        raise refused(str(error)) from None


@journal_app.command("delete")
def journal_delete(
    slug: Annotated[str, typer.Argument(help="Of which puzzle; everything without.", show_default=False)] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete your log, or what it holds of one puzzle."""
    from mechpuzzles import journal

    if not yes:
        typer.confirm(f"Delete {slug or 'everything'} from {journal.path()}?", abort=True)
    try:
        console.print(f"{journal.delete(slug)} entries deleted.")
    except OSError as error:
        raise refused(str(error)) from None


@zoo_app.command("list")
def zoo_list(as_json: AsJson = False) -> None:
    """The bundled models."""
    from mechpuzzles import zoo

    cards = [zoo.card(name) for name in zoo.bundled()]
    if as_json:
        print_json(cards)
        return
    for name, card in zip(zoo.bundled(), cards, strict=True):
        console.print(f"[bold]{name}[/bold]  {card['description']}")


@zoo_app.command("train")
def zoo_train(name: str, into: Annotated[Path, typer.Option(help="Where the model's folder is written.")]) -> None:
    """Train a bundled model again by its recipe."""
    from mechpuzzles import zoo

    zoo.train(name, into)


@zoo_app.command("verify")
def zoo_verify() -> None:
    """Hold the bundled weights to their checksums and measured metrics."""
    from mechpuzzles import zoo

    problems = [f"{name}: {problem}" for name in zoo.bundled() for problem in zoo.verify(name)]
    for problem in problems:
        errors.print(problem, style="red", markup=False)
    if problems:
        raise typer.Exit(1)


@bench_app.command("geometry")
def bench_geometry(as_json: AsJson = False) -> None:
    """The exact histogram of all pairs against the matrix product alone, and against the post's snippet."""
    from mechpuzzles.bench import bench_geometry as run

    result = run()
    if as_json:
        print_json(result)
        return
    table = Table("", "rows", "CPU s", "figure, bytes", "extra MB")
    for name, row in (("all pairs", result), ("the post's snippet", result["post"])):
        table.add_row(
            name, f"{row['n']:,}", f"{row['cpu_s']:.1f}", f"{row['figure_bytes']:,}", f"{row['extra_mb']:.0f}"
        )
    console.print(table)
    console.print(
        f"CPU time over the fastest matrix product alone ({result['matmul_cpu_s']:.1f} s): {result['ratio']:.3f}"
    )


@bench_app.command("grading")
def bench_grading(
    submissions: Annotated[int, typer.Option(min=4)] = 20,
    puzzle: Annotated[str, typer.Option()] = "similar_embeddings",
    stock: Annotated[bool, typer.Option(help="Run stock nbgrader too, some ten seconds for each submission.")] = True,
    as_json: AsJson = False,
) -> None:
    """A class graded by stock nbgrader and by `mechpuzzles grade`, per submission."""
    from mechpuzzles.grading.bench import bench_grading as run

    result = run(submissions, puzzle, submissions if stock else 0)
    if as_json:
        print_json(result)
        return
    table = Table("per submission", "wall s", "CPU s")
    rows = {"stock": "stock nbgrader", "ours": "ours, with all starts", "steady": "ours, fork server running"}
    for key, name in rows.items():
        if key in result:
            table.add_row(name, f"{result[key]['wall_s']:.2f}", f"{result[key]['cpu_s']:.2f}")
    console.print(table)
    if stock:
        console.print(f"{result['wall_ratio']:.1f} times less wall, {result['cpu_ratio']:.1f} times less CPU time")


@bench_app.command("startup")
def bench_startup(puzzle: Annotated[str | None, typer.Option()] = None, as_json: AsJson = False) -> None:
    """How long a learner waits: for the first cell, the first picture, a check. All puzzles without --puzzle."""
    from mechpuzzles.bench import bench_startup as run

    result = run(*_root_and([puzzle] if puzzle else None))
    if as_json:
        print_json(result)
        return
    table = Table("puzzle", "first cell s", "first picture s", "opened by start", "slowest check s")
    for row in [*result["puzzles"], {"puzzle": "slowest", **result}]:
        pictures = (f"{row['first_picture_s']:.1f}", f"{row['warm_picture_s'] or row['first_picture_s']:.1f}")
        table.add_row(row["puzzle"], f"{row['import_s']:.1f}", *pictures, f"{row['check_s']:.2f}")
    console.print(table)


if __name__ == "__main__":
    app()
