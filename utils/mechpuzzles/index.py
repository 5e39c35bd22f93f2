"""The pages derived from the puzzle folders: the learners' index, and the table in the README."""

from __future__ import annotations

from pathlib import Path

from mechpuzzles import folders
from mechpuzzles.puzzle import Puzzle

_DERIVED = "<!-- Derived from solutions/*/puzzle.py by `mechpuzzles build`; edit those. -->"
_BEGIN, _END = "<!-- puzzles: begin -->", "<!-- puzzles: end -->"


def pages(root: Path) -> dict[Path, str]:
    """Each derived page and what it should hold."""
    puzzles = [folders.declared(root, slug) for slug in folders.slugs(root)]
    readme = root / "README.md"
    return {root / "puzzles" / "README.md": _index(puzzles), readme: _with_table(readme.read_text("utf-8"), puzzles)}


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
    lines = [
        _DERIVED,
        "",
        "# Mech Interp Puzzles",
        "",
        "Real questions about real models. Open a notebook, commit to a guess, write a few short functions.",
        "Each check says at once what is wrong and why. Start at the top; later puzzles name what they build on.",
        "",
    ]
    for puzzle in puzzles:
        after = ", ".join(f"[{slug}]({slug}/{slug}.ipynb)" for slug in puzzle.after) or "nothing"
        models = ", ".join(f"`{model}`" for model in puzzle.models)
        lines += [
            f"## [{puzzle.title}]({puzzle.slug}/{puzzle.slug}.ipynb)",
            "",
            f"**{puzzle.question}**",
            "",
            f"{puzzle.minutes} minutes. Builds on {after}. Models: {models}.",
            "",
            f"<details><summary>The principle (a spoiler)</summary>{puzzle.principle}</details>",
            "",
        ]
    return "\n".join(lines)


def _with_table(readme: str, puzzles: list[Puzzle]) -> str:
    if readme.count(_BEGIN) != 1 or readme.count(_END) != 1:
        raise ValueError(f"README.md needs one {_BEGIN} and one {_END} around its table of puzzles")
    rows = ["| puzzle | question | minutes | builds on |", "|---|---|---|---|"]
    for p in puzzles:
        after = ", ".join(f"`{slug}`" for slug in p.after) or "-"
        rows.append(f"| [{p.title}](puzzles/{p.slug}/{p.slug}.ipynb) | {p.question} | {p.minutes} | {after} |")
    before, rest = readme.split(_BEGIN)
    return "\n".join([before + _BEGIN, *rows, _END]) + rest.split(_END)[1]
