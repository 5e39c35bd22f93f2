"""From a puzzle's percent text to its executed source notebook, and from that to the nbgrader release.

The text marks its cells in their ``# %%`` lines:

========================  ==========================================================================================
``stub="centre"``         the learner writes that part here; the text between SOLUTION marks is taken out
``check="centre"``        locked and graded, with the part's points; HIDDEN TESTS are taken out
``free_text="why"``       a Markdown cell that a person marks, with the points of the puzzle's `FreeText`; its rubric
                          is put below the model answer, and is taken out with it
``reveal="answer"``       Markdown that becomes a ``puzzle.reveal`` cell in rot13
``open="play"``           a code cell that learners may change; it is not graded
========================  ==========================================================================================

Every other code cell is read-only. The release is what nbgrader's own ``generate_assignment`` makes of the source
notebook, so an instructor who runs that command gets the same bytes.
"""

from __future__ import annotations

import codecs
import logging
import os
import shutil
import tempfile
import textwrap
import time
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from mechpuzzles import folders, problems
from mechpuzzles.parts import FreeText, grade_id
from mechpuzzles.puzzle import Puzzle

FURTHER = "open-problems"  # the cell that is made from `Puzzle.problems`
_MARKS = ("stub", "check", "free_text", "reveal", "open")
_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def assemble(root: Path, slug: str) -> NotebookNode:
    """The source notebook of a puzzle, not executed, with nbgrader's metadata and lasting cell ids.

    Raises `ValueError` for a mark that names no part, a part without its cells, or a reveal that is not text.
    """
    import jupytext

    puzzle = folders.declared(root, slug)
    text = (root / "solutions" / slug / f"{slug}.py").read_text(encoding="utf-8")
    cells = [_cell(cell, number, puzzle) for number, cell in enumerate(jupytext.reads(text, "py:percent").cells)]
    _every_part_has_its_cells(puzzle, cells)
    if further := problems.after(puzzle):
        cells.append(nbformat.v4.new_markdown_cell(further, id=FURTHER))
    notebook = nbformat.v4.new_notebook(cells=cells, metadata=_METADATA)
    nbformat.validate(notebook)
    return notebook


def _cell(cell: NotebookNode, number: int, puzzle: Puzzle) -> NotebookNode:
    marks = {mark: cell.metadata[mark] for mark in _MARKS if mark in cell.metadata}
    if len(marks) > 1 or set(cell.metadata) - set(_MARKS) - {"lines_to_next_cell"}:
        raise ValueError(f"{puzzle.slug}: cell {number} has the marks {dict(cell.metadata)}")
    mark, name = next(iter(marks.items()), ("code" if cell.cell_type == "code" else "text", str(number)))
    new = nbformat.v4.new_code_cell if cell.cell_type == "code" else nbformat.v4.new_markdown_cell
    source = cell.source
    if mark == "reveal":
        new, source = nbformat.v4.new_code_cell, _in_rot13(source)
    if mark == "free_text":
        source = _with_rubric(source, name, puzzle)
    cell_id = grade_id(mark, name)
    made = new(source, id=cell_id)
    if metadata := _nbgrader(mark, name, puzzle):
        made.metadata["nbgrader"] = {"grade_id": cell_id, "schema_version": 3, "task": False, **metadata}
    return made


def _nbgrader(mark: str, name: str, puzzle: Puzzle) -> dict[str, Any] | None:
    """nbgrader's role for a cell; all four keys are required although some have defaults."""
    if mark == "check":
        points = puzzle.part(name).points
        return {"grade": True, "locked": True, "points": points, "solution": False}
    if mark == "free_text":
        return {"grade": True, "locked": False, "points": _text(name, puzzle).points, "solution": True}
    if mark == "stub":
        puzzle.part(name)  # raises for a name that is no part
        return {"grade": False, "locked": False, "solution": True}
    if mark in ("code", "reveal"):
        return {"grade": False, "locked": True, "solution": False}
    return None


def _text(name: str, puzzle: Puzzle) -> FreeText:
    declared = {free.name: free for free in puzzle.free_text}
    if name not in declared:
        raise ValueError(f"{puzzle.slug} declares no free text {name!r}")
    return declared[name]


def _with_rubric(source: str, name: str, puzzle: Puzzle) -> str:
    """A model answer with what it is marked by: the formgrader shows both beside what a learner wrote."""
    text, end = _text(name, puzzle), "### END SOLUTION"
    if source.count(end) != 1:
        raise ValueError(f"{puzzle.slug}: the free text {name!r} has no model answer between SOLUTION marks")
    scheme = "\n".join(f"- {point}" for point in text.rubric)
    return source.replace(end, f"\n**Marking scheme**, {text.points} points:\n\n{scheme}\n{end}")


def _in_rot13(markdown: str) -> str:
    if '"""' in markdown or "\\" in markdown:
        raise ValueError("a reveal holds neither triple quotes nor backslashes")
    wrapped = "\n\n".join(
        textwrap.fill(paragraph, 90, break_on_hyphens=False, break_long_words=False)
        for paragraph in markdown.split("\n\n")
    )
    return f'puzzle.reveal("""\n{codecs.encode(wrapped, "rot13")}\n""")'


def _every_part_has_its_cells(puzzle: Puzzle, cells: list[NotebookNode]) -> None:
    ids = [cell.id for cell in cells]
    wanted = [f"{mark}-{part.name}" for part in puzzle.parts for mark in ("stub", "check")]
    wanted += [f"free_text-{free.name}" for free in puzzle.free_text]
    for want in wanted:
        if (found := ids.count(want.replace("_", "-"))) != 1:
            raise ValueError(f"{puzzle.slug}: {found} cells are marked {want.replace('-', '=', 1)}, not one")


def execute(notebook: NotebookNode, folder: Path, *, allow_errors: bool = False, kernel: str = "python3") -> float:
    """Run a notebook in place from a clean ``kernel``, offline, in ``folder``; the seconds it took.

    One torch thread and an empty log: the outputs are to be the same at every build.
    """
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    with tempfile.TemporaryDirectory() as home:
        settings = {"MECHPUZZLES_HOME": home, "MECHPUZZLES_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
        client = NotebookClient(
            notebook,
            timeout=300,
            kernel_name=kernel,
            allow_errors=allow_errors,
            record_timing=False,
            coalesce_streams=True,
            extra_arguments=["--log-level=ERROR"],
            resources={"metadata": {"path": str(folder)}},
        )
        start = time.perf_counter()
        try:
            client.execute(env={**os.environ, **settings}, cleanup_kc=True)
        except CellExecutionError as error:  # where a card has said what is wrong, its traceback does not
            raise CellExecutionError(f"{error}\n{error.ename}: {error.evalue}", error.ename, error.evalue) from None
        seconds = time.perf_counter() - start
    notebook.metadata = nbformat.from_dict(_METADATA)  # without the versions of this machine
    return seconds


def release(root: Path, slug: str, into: Path) -> None:
    """Write the release of ``solutions/<slug>`` to ``into/<slug>`` with nbgrader's ``generate_assignment``."""
    from nbgrader.converters import GenerateAssignment
    from nbgrader.coursedir import CourseDirectory
    from nbgrader.preprocessors import SaveCells
    from traitlets.config import PyFileConfigLoader

    config = PyFileConfigLoader("nbgrader_config.py", path=str(root)).load_config()
    with tempfile.TemporaryDirectory() as course:
        shutil.copytree(
            root / "solutions" / slug,
            Path(course, "solutions", slug),
            ignore=shutil.ignore_patterns("__pycache__", ".*"),
        )
        config.CourseDirectory.root = course
        config.CourseDirectory.assignment_id = slug
        converter = GenerateAssignment(coursedir=CourseDirectory(config=config), config=config)
        converter.no_database = True
        converter.preprocessors = [p for p in converter.preprocessors if p is not SaveCells]
        converter.log = logging.getLogger("mechpuzzles.build")
        converter.log.setLevel(logging.ERROR)
        converter.start()
        shutil.rmtree(into / slug, ignore_errors=True)
        shutil.copytree(Path(course, "puzzles", slug), into / slug, copy_function=shutil.copyfile)


def build(root: Path, slug: str) -> list[str]:
    """Build one puzzle; the paths that changed, relative to ``root``. The old files stay if anything fails."""
    notebook = assemble(root, slug)
    execute(notebook, root / "solutions" / slug)
    source = root / "solutions" / slug / f"{slug}.ipynb"
    changed = [_write(source, nbformat.writes(notebook), root)]
    with tempfile.TemporaryDirectory() as scratch:
        release(root, slug, Path(scratch))
        changed += _replace(Path(scratch, slug), root / "puzzles" / slug, root)
    return [path for path in changed if path]


def stale(root: Path, slug: str) -> list[str]:
    """What is not as `build` would leave it, without executing: the source's cells and the release's bytes."""
    source = root / "solutions" / slug / f"{slug}.ipynb"
    if not source.is_file():
        return [f"{source.relative_to(root)} is missing"]
    said: list[str] = []
    built = nbformat.read(source, as_version=4)
    if _without_outputs(built) != _without_outputs(assemble(root, slug)):
        said.append(f"{source.relative_to(root)} is older than {slug}.py")
    with tempfile.TemporaryDirectory() as scratch:
        release(root, slug, Path(scratch))
        fresh, kept = _files(Path(scratch, slug)), _files(root / "puzzles" / slug)
    said += [f"puzzles/{slug}/{name} is not what build makes" for name in fresh if kept.get(name) != fresh[name]]
    said += [f"puzzles/{slug}/{name} is no part of the release" for name in kept if name not in fresh]
    return said


def _without_outputs(notebook: NotebookNode) -> list[tuple[str, str, str, dict[str, Any]]]:
    return [(c.id, c.cell_type, c.source, dict(c.metadata.get("nbgrader", {}))) for c in notebook.cells]


def _files(folder: Path) -> dict[str, bytes]:
    """Every file below a folder but the ones that opening it makes."""
    skip = {".ipynb_checkpoints", "__pycache__"}
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not skip & set(path.relative_to(folder).parts)
    }


def _write(path: Path, text: str, root: Path) -> str | None:
    text = text if text.endswith("\n") else text + "\n"
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return None
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return str(path.relative_to(root))


def _replace(fresh: Path, kept: Path, root: Path) -> list[str]:
    new, old = _files(fresh), _files(kept)
    for name in old.keys() - new.keys():
        (kept / name).unlink()
    for name, content in new.items():
        if old.get(name) != content:
            (kept / name).parent.mkdir(parents=True, exist_ok=True)
            (kept / name).write_bytes(content)
    return [
        str((kept / name).relative_to(root))
        for name in sorted(new.keys() | old.keys())
        if old.get(name) != new.get(name)
    ]
