"""The pages derived from the puzzle folders: the learners' index with its map, and the table in the README."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mechpuzzles import folders, palette, problems
from mechpuzzles.puzzle import Puzzle

_DERIVED = "<!-- Derived from solutions/*/puzzle.py by `mechpuzzles build`; edit those. -->"
_BEGIN, _END = "<!-- puzzles: begin -->", "<!-- puzzles: end -->"


def pages(root: Path) -> dict[Path, str]:
    """Each derived page and what it should hold."""
    puzzles = [folders.declared(root, slug) for slug in folders.slugs(root)]
    readme, series = root / "README.md", root / "puzzles"
    return {
        series / "README.md": _index(puzzles),
        series / "index.ipynb": _notebook(puzzles),
        series / "map.svg": series_map(puzzles, alone=True),
        readme: _with_table(readme.read_text("utf-8"), puzzles),
    }


def write(root: Path) -> list[str]:
    """Write the pages; the paths that changed."""
    changed = _different(root)
    for path, text in changed.items():
        path.write_text(text, encoding="utf-8")
    return [str(path.relative_to(root)) for path in changed]


def stale(root: Path) -> list[str]:
    """The pages that are not as `write` would leave them."""
    return [f"{path.relative_to(root)} is older than the puzzle folders" for path in _different(root)]


def _different(root: Path) -> dict[Path, str]:
    return {p: text for p, text in pages(root).items() if not p.is_file() or p.read_text("utf-8") != text}


def _index(puzzles: list[Puzzle]) -> str:
    picture = f"![{html.escape(_map_in_words(puzzles), quote=False)}](map.svg)"
    return "\n\n".join([_DERIVED, _INTRODUCTION, picture, *_entries(puzzles), *problems.page(puzzles)]) + "\n"


_INTRODUCTION = """# Mech Interp Puzzles

Real questions about real models. Open a notebook, commit to a guess, write a few short functions.
Each check says at once what is wrong and why. Start at the left; an arrow leads to a puzzle that builds on another.
The numbers are an order for one puzzle a week."""


def _entries(puzzles: list[Puzzle]) -> list[str]:
    return [_entry(number, puzzle) for number, puzzle in enumerate(puzzles, 1)]


def _entry(number: int, puzzle: Puzzle) -> str:
    after = ", ".join(f"[{slug}]({slug}/{slug}.ipynb)" for slug in puzzle.after) or "nothing"
    models = ", ".join(f"`{model}`" for model in puzzle.models) or "its own, made as you go"
    return f"""## {number}. [{puzzle.title}]({puzzle.slug}/{puzzle.slug}.ipynb)

**{puzzle.question}**

{puzzle.minutes} minutes. Builds on {after}. Models: {models}.

<details><summary>The principle (a spoiler)</summary>{puzzle.principle}</details>"""


def _notebook(puzzles: list[Puzzle]) -> str:
    """The index as a notebook: the same words, the map with the learner's progress, and their guesses."""
    cells = [
        _cell("markdown", "introduction", _INTRODUCTION),
        _cell("code", "progress", "from mechpuzzles import progress\n\nprogress.show()  # run again to refresh"),
        *(
            _cell("markdown", p.slug.replace("_", "-"), entry)
            for p, entry in zip(puzzles, _entries(puzzles), strict=True)
        ),
        _cell("markdown", "guesses", "## How good are your guesses?\n\nRun the cell once a puzzle is behind you."),
        _cell("code", "calibration", "progress.calibration()"),
        *(_cell("markdown", f"problems-{number}", text) for number, text in enumerate(problems.page(puzzles))),
    ]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"derived": _DERIVED.strip("<!-> "), "kernelspec": kernel, "language_info": {"name": "python"}}
    document = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _cell(kind: str, name: str, source: str) -> dict[str, Any]:
    code: dict[str, Any] = {"execution_count": None, "outputs": []} if kind == "code" else {}
    return {"cell_type": kind, "id": name, "metadata": {}, "source": source.splitlines(keepends=True), **code}


# The map ---------------------------------------------------------------------------------------------

_BOX, _STEP = (252, 44), (300, 58)  # pixels: a puzzle's box, and from one box to the next
_THEMES = "text { fill: #1f2328 } @media (prefers-color-scheme: dark) { text { fill: #e6edf3 } }"


def series_map(
    puzzles: Sequence[Puzzle], colours: Mapping[str, str] = MappingProxyType({}), alone: bool = False
) -> str:
    """The puzzles as boxes with arrows from each to those that build on it, as SVG.

    ``colours`` has a colour for a puzzle's border; ``alone`` makes a file of its own, which follows the reader's theme.
    """
    places = _places(puzzles)
    arrows = [_arrow(places[slug], places[puzzle.slug]) for puzzle in puzzles for slug in puzzle.after]
    boxes = [_box(puzzle, *places[puzzle.slug], colours.get(puzzle.slug, palette.GREY)) for puzzle in puzzles]
    wide = max(x for x, _ in places.values()) + _BOX[0] + 2
    high = max(y for _, y in places.values()) + _BOX[1] + 2
    style = f"<style>{_THEMES}</style>" if alone else ""
    ink = "" if alone else ' fill="currentColor"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide}" height="{high}" viewBox="-1 -1 {wide} {high}" '
        f'font-family="system-ui, sans-serif" font-size="12.5"{ink} role="img" '
        f'aria-label="{html.escape(_map_in_words(puzzles))}">'
        f"{style}{''.join(arrows)}{''.join(boxes)}</svg>" + ("\n" if alone else "")
    )


def _places(puzzles: Sequence[Puzzle]) -> dict[str, tuple[int, int]]:
    """Left to right by the longest way from a puzzle that builds on nothing; top to bottom near what it builds on."""
    depth: dict[str, int] = {}
    row: dict[str, float] = {}
    for puzzle in puzzles:  # prerequisites come first
        depth[puzzle.slug] = 1 + max((depth[slug] for slug in puzzle.after), default=-1)
    for level in range(max(depth.values(), default=0) + 1):
        here = [puzzle for puzzle in puzzles if depth[puzzle.slug] == level]
        if level:
            here.sort(key=lambda puzzle: sum(row[slug] for slug in puzzle.after) / len(puzzle.after))
        for number, puzzle in enumerate(here):
            row[puzzle.slug] = number
    return {slug: (depth[slug] * _STEP[0], round(row[slug] * _STEP[1])) for slug in depth}


def _arrow(start: tuple[int, int], end: tuple[int, int]) -> str:
    (x, y), (to_x, to_y) = start, end
    x, y, to_y = x + _BOX[0], y + _BOX[1] // 2, to_y + _BOX[1] // 2
    half = (x + to_x) // 2
    head = f"M{to_x - 6} {to_y - 4}L{to_x} {to_y}L{to_x - 6} {to_y + 4}"
    return f'<path d="M{x} {y}C{half} {y} {half} {to_y} {to_x} {to_y}{head}" fill="none" stroke="{palette.GREY}"/>'


def _box(puzzle: Puzzle, x: int, y: int, colour: str) -> str:
    return (
        f'<rect x="{x}" y="{y}" width="{_BOX[0]}" height="{_BOX[1]}" rx="6" fill="none" stroke="{colour}" '
        'stroke-width="2"/>'
        f'<text x="{x + 10}" y="{y + 19}" font-weight="600">{html.escape(puzzle.title, quote=False)}</text>'
        f'<text x="{x + 10}" y="{y + 36}" font-size="11">{puzzle.minutes} minutes</text>'
    )


def _map_in_words(puzzles: Sequence[Puzzle]) -> str:
    titles = {puzzle.slug: puzzle.title for puzzle in puzzles}
    after = [f"{p.title} builds on {' and '.join(titles[slug] for slug in p.after)}" for p in puzzles if p.after]
    return f"Map of {len(puzzles)} puzzles. " + "; ".join(after) + "."


def _with_table(readme: str, puzzles: list[Puzzle]) -> str:
    if readme.count(_BEGIN) != 1 or readme.count(_END) != 1:
        raise ValueError(f"README.md needs one {_BEGIN} and one {_END} around its table of puzzles")
    rows = ["| puzzle | question | minutes | builds on |", "|---|---|---|---|"]
    for p in puzzles:
        after = ", ".join(f"`{slug}`" for slug in p.after) or "-"
        rows.append(f"| [{p.title}](puzzles/{p.slug}/{p.slug}.ipynb) | {p.question} | {p.minutes} | {after} |")
    before, rest = readme.split(_BEGIN)
    return "\n".join([before + _BEGIN, *rows, _END]) + rest.split(_END)[1]
