"""The ``mechpuzzles`` command."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mechpuzzles import folders

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Mech Interp Puzzles: build, verify and measure the series.",
)
zoo_app = typer.Typer(no_args_is_help=True, help="The bundled models: their recipes and weights.")
bench_app = typer.Typer(no_args_is_help=True, help="Measure, as ratios within one run.")
app.add_typer(zoo_app, name="zoo")
app.add_typer(bench_app, name="bench")

Slugs = Annotated[list[str] | None, typer.Argument(metavar="[SLUG]...", help="Which puzzles; all without any.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]

console = Console()
errors = Console(stderr=True)


def _print_json(document: Any) -> None:
    typer.echo(json.dumps(document, indent=2))


def _root_and(wanted: list[str] | None) -> tuple[Path, list[str]]:
    try:
        root = folders.checkout()
        return root, folders.chosen(root, wanted)
    except (FileNotFoundError, ValueError) as error:
        raise _refused(str(error)) from None


def _refused(why: str) -> typer.Exit:
    errors.print(why, style="red", markup=False, soft_wrap=True)
    return typer.Exit(2)


@app.command("list")
def list_puzzles(as_json: AsJson = False) -> None:
    """The puzzles, prerequisites first."""
    root, slugs = _root_and(None)
    puzzles = [folders.declared(root, slug) for slug in slugs]
    if as_json:
        keys = ("slug", "title", "question", "principle", "after", "minutes", "models")
        _print_json([{key: getattr(p, key) for key in keys} | {"progress": _progress(p)} for p in puzzles])
        return
    table = Table("puzzle", "question", "minutes", "after", "parts right")
    for p in puzzles:
        done = _progress(p)
        table.add_row(p.slug, p.question, str(p.minutes), ", ".join(p.after), f"{done['right']} of {done['parts']}")
    console.print(table)


def _progress(puzzle: Any) -> dict[str, int]:
    from mechpuzzles import journal

    right = {e.get("part") for e in journal.entries(puzzle.slug, "check") if e.get("outcome") == "right"}
    return {"right": len(right & {part.name for part in puzzle.parts}), "parts": len(puzzle.parts)}


@app.command()
def new(slug: str) -> None:
    """A folder for a new puzzle: a small working one, to be replaced."""
    root, _ = _root_and(None)
    try:
        for path in folders.new(root, slug):
            console.print(str(path.relative_to(root)), markup=False)
    except FileExistsError:
        raise _refused(f"there is a solutions/{slug} already") from None
    except ValueError as error:
        raise _refused(str(error)) from None


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
def verify(slugs: Slugs = None, as_json: AsJson = False) -> None:
    """Hold puzzles to the gate: mutants, alternatives, impostors, points, leaks, time."""
    import torch

    from mechpuzzles.verify import verify as verify_one

    torch.set_num_threads(1)
    root, chosen = _root_and(slugs)
    reports = [verify_one(root, slug) for slug in chosen]
    if as_json:
        _print_json([report.row() for report in reports])
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
    as_json: AsJson = False,
) -> None:
    """Grade a course's submissions in sandboxes, and enter the marks into nbgrader's gradebook."""
    try:
        from mechpuzzles.grading import driver
    except ImportError as error:
        raise _refused(f"grading needs the extra [course]: {error}") from None
    from mechpuzzles.grading.progress import Progress

    try:
        settings = driver.Settings(workers, scheduler, sandbox=not no_sandbox, all_cells=all_cells, again=again)
        if no_sandbox:
            errors.print(driver.NO_SANDBOX, style="bold red", markup=False)
        with Progress(errors, quiet=as_json) as progress:
            rows = driver.grade(driver.Course(course), puzzle, settings, progress.row)
    except driver.Unusable as error:
        raise _refused(str(error)) from None
    if as_json:
        _print_json([row.data() for row in rows])
    else:
        _print_rows(rows)
    if any(row.status == "ungraded" for row in rows):
        raise typer.Exit(1)


def _print_rows(rows: list[Any]) -> None:
    table = Table("learner", "puzzle", "score", "status", "message")
    for row in rows:
        score = "" if row.score is None else f"{row.score:g} of {row.max_score:g}"
        status = row.status.replace("_", " ")
        table.add_row(escape(row.learner), escape(row.puzzle), score, status, escape(row.message))
    console.print(table)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def start(context: typer.Context) -> None:
    """Open JupyterLab on the series. Further options go to JupyterLab, such as --no-browser or --port=8890."""
    root, _ = _root_and(None)
    os.chdir(root / "puzzles")
    os.execv(sys.executable, [sys.executable, "-m", "jupyterlab", *context.args, "README.md"])


@zoo_app.command("list")
def zoo_list(as_json: AsJson = False) -> None:
    """The bundled models."""
    from mechpuzzles import zoo

    cards = [zoo.card(name) for name in zoo.bundled()]
    if as_json:
        _print_json(cards)
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
        _print_json(result)
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

    result = run(submissions, puzzle, stock)
    if as_json:
        _print_json(result)
        return
    table = Table("per submission", "wall s", "CPU s")
    rows = {"stock": "stock nbgrader", "ours": "ours, with all starts", "steady": "ours, fork server running"}
    for key, name in rows.items():
        if key in result:
            table.add_row(name, f"{result[key]['wall_s']:.2f}", f"{result[key]['cpu_s']:.2f}")
    console.print(table)
    if stock:
        console.print(f"{result['wall_ratio']:.1f} times less wall, {result['cpu_ratio']:.1f} times less CPU time")


if __name__ == "__main__":
    app()
