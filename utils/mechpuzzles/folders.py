"""Where the puzzles of a checkout are, and the order in which they are solved."""

from __future__ import annotations

import re
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mechpuzzles.puzzle import Puzzle


_TEMPLATE, _TEMPLATE_SLUG = Path(__file__).parent / "template", "new_puzzle"


def checkout(start: Path | None = None) -> Path:
    """The nearest folder at or above ``start`` that holds ``solutions/``; raises `FileNotFoundError` without one."""
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents, Path(__file__).resolve().parents[2]):
        if (folder / "solutions").is_dir() and (folder / "nbgrader_config.py").is_file():
            return folder
    raise FileNotFoundError(f"{here} is not in a checkout of the series: no solutions/ there or above")


def slugs(root: Path) -> list[str]:
    """The puzzles of a checkout in the order of `ordered`."""
    return ordered({slug: declared(root, slug) for slug in _named(root)})


def series() -> Path:
    """The folder of the released puzzles: this checkout's or, from a wheel, the one that came with it."""
    package = Path(__file__).resolve().parent
    for folder in (package.parents[1] / "puzzles", package / "puzzles"):
        if folder.is_dir():
            return folder
    raise FileNotFoundError("this installation of mechpuzzles has no puzzles")


def released() -> list[Puzzle]:
    """The released puzzles, in order."""
    found = {folder.parent.name: _declared(folder) for folder in sorted(series().glob("*/puzzle.py"))}
    return [found[slug] for slug in ordered(found)]


def ordered(puzzles: Mapping[str, Puzzle]) -> list[str]:
    """Slugs with prerequisites first, among equals those that most others build on, then by name."""
    after = {slug: puzzle.after for slug, puzzle in puzzles.items()}
    for slug, needed in after.items():
        for missing in set(needed) - set(after):
            raise ValueError(f"{slug} comes after {missing!r}, which is no puzzle")
    order: list[str] = []
    sorter = TopologicalSorter(after)
    try:
        sorter.prepare()
    except CycleError as error:
        raise ValueError(f"puzzles wait for each other: {' -> '.join(error.args[1])}") from None
    while sorter.is_active():
        ready = sorter.get_ready()
        order += sorted(ready, key=lambda slug: (-sum(slug in needed for needed in after.values()), slug))
        sorter.done(*ready)
    return order


def _named(root: Path) -> list[str]:
    return sorted(f.parent.name for f in root.glob("solutions/*/puzzle.py"))


def chosen(root: Path, wanted: list[str] | None) -> list[str]:
    """``wanted``, or all in order; raises `ValueError` for a slug that is not there.

    What is wanted does not depend on whether the other folders are whole: authors work side by side.
    """
    if not wanted:
        return slugs(root)
    there = _named(root)
    for slug in wanted:
        if slug not in there:
            raise ValueError(f"no puzzle {slug!r}; there are {', '.join(there)}")
    return list(wanted)


def declared(root: Path, slug: str) -> Puzzle:
    """``PUZZLE`` of ``solutions/<slug>/puzzle.py``; raises `ValueError` without one of the folder's own slug."""
    return _declared(root / "solutions" / slug / "puzzle.py")


def _declared(path: Path) -> Puzzle:
    from mechpuzzles.puzzle import Puzzle, load_module

    place = "/".join(path.parts[-3:])
    puzzle = getattr(load_module(path), "PUZZLE", None)
    if not isinstance(puzzle, Puzzle):
        raise ValueError(f"{place} declares no PUZZLE = Puzzle(...)")
    if puzzle.slug != path.parent.name:
        raise ValueError(f"{place} declares the slug {puzzle.slug!r}")
    return puzzle


def authors(root: Path, slug: str) -> ModuleType:
    """``solutions/<slug>/_author.py`` with its ``MUTANTS``, ``ALTERNATIVES`` and ``DESIGN_NOTE``."""
    from mechpuzzles.puzzle import load_module

    return load_module(root / "solutions" / slug / "_author.py")


def new(root: Path, slug: str) -> list[Path]:
    """Write a small working puzzle to ``solutions/<slug>`` for an author to replace; the files written.

    Raises `ValueError` for a slug that is not a noun in snake_case, `FileExistsError` for one that is taken.
    """
    if not re.fullmatch(r"[a-z]+(_[a-z]+)*", slug):
        raise ValueError(f"a slug is words in snake_case without numbers, such as induction_heads; not {slug!r}")
    folder = root / "solutions" / slug
    folder.mkdir()
    written = []
    for source in sorted(_TEMPLATE.glob("*.py")):
        written.append(folder / source.name.replace(_TEMPLATE_SLUG, slug))
        written[-1].write_text(source.read_text(encoding="utf-8").replace(_TEMPLATE_SLUG, slug), encoding="utf-8")
    return written
