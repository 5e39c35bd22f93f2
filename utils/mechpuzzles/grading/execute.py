"""Between nbgrader's notebooks and a grader's jobs; and the preprocessor by which nbgrader itself uses the grader.

    from mechpuzzles.grading import execute

    execute.configure(c)

in nbgrader_config.py puts it in the place of nbgrader's Execute, so that the formgrader's button grades as
`mechpuzzles grade` does (without its pre-check and its speed).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import nbformat
from nbconvert.preprocessors import ClearMetadataPreprocessor
from nbformat import NotebookNode
from nbgrader import preprocessors, utils
from nbgrader.api import Gradebook
from traitlets import Bool, Dict, Float
from traitlets.config import Config

from mechpuzzles.grading import worker
from mechpuzzles.grading.jobs import Bounds, Cell, Job

FINDINGS = "findings"
NOT_GRADED = "This check was not run: the grader could not finish. It counts as not graded."


def configure(c: Config) -> None:
    """Have `nbgrader autograde` and the formgrader's button use the sandbox and the trusted grader."""
    c.Autograde.autograde_preprocessors = [
        TrustedExecute,
        ClearMetadataPreprocessor,
        preprocessors.LimitOutput,
        preprocessors.SaveAutoGrades,
        preprocessors.AssignLatePenalties,
        preprocessors.CheckCellMetadata,
    ]


class NotGraded(RuntimeError):
    """The grader found nothing out about a submission; nothing is known against the learner. The message says why."""


@dataclass(frozen=True)
class SourceCell:
    """What the gradebook keeps of a cell: its text with hidden tests, as released where the learner writes."""

    source: str
    locked: bool
    check: bool  # graded by running it
    solution: bool


def source_cells(book: Gradebook, slug: str) -> dict[str, SourceCell]:
    """The code cells of an assignment's notebook by grade id."""
    notebook = book.find_notebook(slug, slug)
    graded = {cell.name for cell in notebook.grade_cells}
    solutions = {cell.name for cell in notebook.solution_cells}
    return {
        cell.name: SourceCell(
            cell.source, cell.locked, cell.name in graded and cell.name not in solutions, cell.name in solutions
        )
        for cell in notebook.source_cells
        if cell.cell_type == "code"
    }


def job_of(
    notebook: NotebookNode, sources: dict[str, SourceCell], released: NotebookNode | None, slug: str, **settings: Any
) -> Job:
    """What there is to grade in a notebook that was brought into the release's form.

    Locked cells are taken from the gradebook, whatever the notebook has in their place. ``released`` tells which other
    cells the learner left alone.
    """
    as_released = {cell.id: cell.source for cell in released.cells} if released else {}
    cells = [cell for cell in (_cell(c, sources, as_released) for c in notebook.cells) if cell]
    author = []
    for c in (released or notebook).cells:
        if cell := _cell(c, sources, as_released):
            source = _source(c, sources)
            # What the learner wrote into it must not decide which names the checks take from whom.
            author.append(replace(cell, source=source.source) if source and source.solution else cell)
    return Job(cells, author, slug, **settings)


def _cell(cell: NotebookNode, sources: dict[str, SourceCell], as_released: dict[str, str]) -> Cell | None:
    if cell.cell_type != "code":
        return None
    source = _source(cell, sources)
    if source is None:
        return Cell(cell.id, cell.source, fixed=as_released.get(cell.id) == cell.source)
    if source.check:
        return Cell(cell.id, "", fixed=True, tests=source.source)
    if source.locked:
        return Cell(cell.id, source.source, fixed=True)
    return Cell(cell.id, cell.source, fixed=cell.source == source.source, solution=source.solution)


def _source(cell: NotebookNode, sources: dict[str, SourceCell]) -> SourceCell | None:
    return sources.get(cell.metadata.get("nbgrader", {}).get("grade_id"))


def fill(notebook: NotebookNode, found: dict[str, Any], findings: tuple[str, ...] = ()) -> None:
    """Put the outputs that a grader found into a notebook's cells, and the sentences into its metadata.

    Raises NotGraded if a check has no result: nbgrader would give an empty cell all its points.
    """
    if "failed" in found:
        raise NotGraded(str(found["failed"]))
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        cell.execution_count = None
        cell.outputs = [nbformat.from_dict(output) for output in found["outputs"].get(cell.id, [])]
        if utils.is_grade(cell) and not utils.is_solution(cell) and cell.id not in found["outputs"]:
            raise NotGraded(f"the check {cell.metadata.nbgrader['grade_id']} was not run")
    notebook.metadata["mechpuzzles"] = {FINDINGS: [*findings, *found["findings"]]}


def puzzle_files(folder: Path) -> dict[str, bytes]:
    """The files that a puzzle's checks need: its declaration."""
    path = folder / "puzzle.py"
    return {"puzzle.py": path.read_bytes()} if path.is_file() else {}


class TrustedExecute(preprocessors.NbGraderPreprocessor):
    """In place of nbgrader's Execute: the learner's code runs in a sandbox, checks where it cannot reach them."""

    sandbox = Bool(True, help="Run the learner's code in a sandbox; without one only for a class you trust.").tag(
        config=True
    )
    all_cells = Bool(False, help="Run every cell, also those that no check depends on.").tag(config=True)
    policy = Dict(help="Limits of the sandbox, see mechpuzzles.grading.sandbox.Policy.").tag(config=True)
    cell_seconds = Float(Bounds.cell_seconds, help="Wall time for one cell.").tag(config=True)
    call_seconds = Float(Bounds.call_seconds, help="Wall time for one call of a learner's function.").tag(config=True)
    notebook_seconds = Float(Bounds.notebook_seconds, help="Wall time for all the learner's code.").tag(config=True)

    def settings(self) -> dict[str, Any]:
        """What a job is given."""
        bounds = Bounds(self.cell_seconds, self.call_seconds, self.notebook_seconds)
        return {"bounds": bounds, "policy": dict(self.policy), "sandbox": self.sandbox, "all_cells": self.all_cells}

    def preprocess(self, nb: NotebookNode, resources: dict[str, Any]) -> tuple[NotebookNode, dict[str, Any]]:
        """Grade the notebook and put the outputs into its cells; raises NotGraded."""
        with Gradebook(resources["nbgrader"]["db_url"]) as book:
            sources = source_cells(book, resources["nbgrader"]["assignment"])
        folder = Path(resources["metadata"]["path"])
        nb.nbformat_minor = max(nb.nbformat_minor, 5)
        for number, cell in enumerate(nb.cells):  # a learner may have left out the ids, or given a check's to another
            cell.id = f"cell-{number}"
        job = job_of(nb, sources, None, resources["nbgrader"]["assignment"], **self.settings())
        fill(nb, worker.grade_job(asdict(job), puzzle_files(folder)))
        return nb, resources
