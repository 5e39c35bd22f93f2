"""Where a learner works: copies of the released notebooks; the release stays clean, and a fresh copy is at hand."""

from __future__ import annotations

import contextlib
import filecmp
import os
import shutil
import time
from pathlib import Path

from mechpuzzles import folders

INDEX = "index.ipynb"


def default() -> Path:
    """``MECHPUZZLES_WORK``, else ``work`` in a checkout, else ``mechpuzzles`` in the user's home."""
    if chosen := os.environ.get("MECHPUZZLES_WORK"):
        return Path(chosen).expanduser()
    root = folders.series().parent
    return root / "work" if (root / "solutions").is_dir() else Path.home() / "mechpuzzles"


def prepare(work: Path) -> None:
    """Copy what ``work`` does not have yet, the learner's own untouched, and write the index with their progress.

    Raises `OSError` where that cannot be written, and where ``work`` has an index that is not of this series.
    """
    work.mkdir(parents=True, exist_ok=True)
    _write_index(work / INDEX)
    for slug in slugs():
        if not (work / slug / f"{slug}.ipynb").exists():
            _copy_puzzle(slug, work)


def slugs() -> list[str]:
    """The released puzzles, by name."""
    return sorted(folder.parent.name for folder in folders.series().glob("*/puzzle.py"))


def _copy_puzzle(slug: str, work: Path) -> None:
    for path in sorted((folders.series() / slug).rglob("*")):
        if path.is_file():
            _copy(path, work)


def _copy(released: Path, work: Path) -> None:
    """Copy a file of the series to its place in ``work``, unless something is there, or opening the series made it."""
    place = released.relative_to(folders.series())
    made = any(part.startswith(".") or part == "__pycache__" for part in place.parts)
    if not made and not (work / place).exists():
        (work / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(released, work / place)


def _write_index(path: Path) -> None:
    """Write the index, holding the progress of this moment as its first cell would show it, and have Jupyter trust it.

    It is written afresh each time.
    """
    import nbformat
    from nbformat.sign import NotebookNotary

    from mechpuzzles import progress

    notebook = nbformat.read(folders.series() / INDEX, as_version=4)
    if path.exists() and notebook.metadata.derived not in path.read_text(encoding="utf-8", errors="replace"):
        raise FileExistsError(f"{path} is not the index of this series; move it, or work in another folder")
    cell = next(cell for cell in notebook.cells if cell.id == "progress")
    text, page = progress.pages()
    cell.outputs = [nbformat.v4.new_output("display_data", data={"text/html": page, "text/plain": text})]
    nbformat.write(notebook, path)
    with contextlib.suppress(Exception):  # where no signature can be kept, Jupyter shows the page without its styles
        notary = NotebookNotary()
        notary.sign(notebook)
        notary.store.close()


def outdated(slug: str, work: Path) -> bool:
    """Whether the release declares the puzzle otherwise, its checks and sentences, than the learner's copy."""
    mine, released = work / slug / "puzzle.py", folders.series() / slug / "puzzle.py"
    return not (mine.is_file() and filecmp.cmp(mine, released, shallow=False))


def reset(slug: str, work: Path) -> Path | None:
    """A fresh copy of a puzzle; where the learner's own was moved to, or None if there was none.

    Raises `ValueError` for a slug that is not there, `OSError` where ``work`` cannot be written.
    """
    if slug not in slugs():
        raise ValueError(f"no puzzle {slug!r}; there are {', '.join(slugs())}")
    kept = _keep(work, slug) if (work / slug).exists() else None
    _copy_puzzle(slug, work)
    return kept


def _keep(work: Path, slug: str) -> Path:
    """Move a puzzle's folder to one of its own below ``kept``."""
    stamp = f"{slug}-{time.strftime('%Y-%m-%d-%H%M%S')}"
    kept, number = work / "kept" / stamp, 1
    while kept.exists():
        number += 1
        kept = work / "kept" / f"{stamp}-{number}"
    kept.parent.mkdir(parents=True, exist_ok=True)
    return (work / slug).rename(kept)
