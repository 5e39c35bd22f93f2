"""The released puzzles for Google Colab: one notebook each, which installs the series and needs no file beside it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import SplitResult, urlsplit

from mechpuzzles import approaches, folders

INDEX = "README.md"
_DERIVED = "Derived from puzzles/ and solutions/ by `mechpuzzles colab`; edit those."
_BADGE = "https://colab.research.google.com/assets/colab-badge.svg"
_SCHEMES = ("http", "https", "ssh", "git", "file")
_SAFE = r"[\w.~/+@:%-]+"  # in a URL, in a line of pip's and between quotes; IPython expands braces and dollars

_SET_UP = """\
# @title Set up
import importlib.util

if importlib.util.find_spec("mechpuzzles"):
    print("mechpuzzles is here already: nothing to install.")
else:
    print("Installing mechpuzzles from {repository} at {ref}.")
    %pip install -q "{requirement}"
"""
_CARRY = '''\
# @title Solutions by others, packed: run this, and puzzle.compare shows them once yours is right
puzzle.carry("""
{packed}
""")
'''

Cell = dict[str, Any]


@dataclass(frozen=True)
class Place:
    """Where the notebooks are: in the folder ``path`` of ``repository`` at ``ref``, a branch, tag or commit.

    Raises `ValueError` for a repository that is not such a URL, for one with a password, and for an empty ``ref``.

    >>> Place("https://github.com/me/puzzles", "main").address("induction_heads")
    'https://colab.research.google.com/github/me/puzzles/blob/main/colab/induction_heads.ipynb'
    """

    repository: str
    ref: str
    path: str = "colab"

    def __post_init__(self) -> None:
        url = urlsplit(self.repository)
        if url.scheme not in _SCHEMES or not (url.netloc or url.scheme == "file") or not url.path.strip("/"):
            raise ValueError(
                f"the repository is a URL such as https://github.com/owner/name or {', '.join(_SCHEMES[2:])}://...; "
                f"not {self.repository!r}"
            )
        if url.password or (url.username and url.scheme.startswith("http")):
            raise ValueError("the repository's URL holds a name or a password, and everybody can read the notebooks")
        for name, text in (("repository", self.repository), ("ref", self.ref), ("path", self.path or ".")):
            if not re.fullmatch(_SAFE, text, re.ASCII) or text.startswith("-"):
                raise ValueError(f"the {name} has to be letters, digits and any of ._~/+@:%-; not {text!r}")
        if _on_github(url) and len(_name(url).split("/")) != 2:
            raise ValueError(f"a repository on GitHub is https://github.com/owner/name; not {self.repository!r}")
        if "@" in self.ref:
            raise ValueError(f"pip cannot install a ref with an @ in it: {self.ref!r}")
        if ".." in PurePosixPath(self.path).parts or self.path.startswith("/"):
            raise ValueError(f"the path is a folder in the repository, such as colab; not {self.path!r}")

    @property
    def requirement(self) -> str:
        """What pip installs."""
        return f"mechpuzzles @ git+{self.repository}@{self.ref}"

    def address(self, slug: str) -> str:
        """Where Colab opens the notebook of a puzzle; empty for a repository that is not on GitHub."""
        url = urlsplit(self.repository)
        if not _on_github(url):
            return ""
        file = PurePosixPath(self.path, f"{slug}.ipynb")
        return f"https://colab.research.google.com/github/{_name(url)}/blob/{self.ref}/{file}"


def _on_github(url: SplitResult) -> bool:
    return url.hostname in ("github.com", "www.github.com")


def _name(url: SplitResult) -> str:
    return url.path.strip("/").removesuffix(".git")


def write(root: Path, place: Place, out: Path, wanted: list[str] | None = None) -> list[Path]:
    """Write ``<slug>.ipynb`` of each released puzzle, or of those ``wanted``, and an index to ``out``; the files.

    Raises `ValueError` for a puzzle that is not there or not released, and for a file in ``out`` that is not made by
    this; then nothing is written.
    """
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out} is a file, not a folder")
    titles = {slug: folders.declared(root, slug).title for slug in folders.slugs(root)}
    released = [slug for slug in titles if _release(root, slug).is_file()]
    chosen = folders.chosen(root, wanted) if wanted else released
    if unreleased := set(chosen) - set(released):
        raise ValueError(f"not released: {', '.join(sorted(unreleased))}; `mechpuzzles build` does it")
    files = {slug: out / f"{slug}.ipynb" for slug in released}
    for path in (*(files[slug] for slug in chosen), out / INDEX):
        if path.exists() and _DERIVED not in path.read_text(encoding="utf-8"):
            raise ValueError(f"{path} is not made by `mechpuzzles colab`, and is not written over")
    pages = {files[slug]: _text(notebook(root, slug, place, released)) for slug in chosen}
    listed = {slug: titles[slug] for slug in released if slug in chosen or files[slug].is_file()}
    pages[out / INDEX] = _index(listed, place)
    out.mkdir(parents=True, exist_ok=True)
    for path, text in pages.items():
        path.write_text(text, encoding="utf-8")
    return list(pages)


def notebook(root: Path, slug: str, place: Place, released: list[str]) -> dict[str, Any]:
    """The released notebook of a puzzle, without nbgrader's marks, with all that it needs on Colab.

    Raises `ValueError` for a link to a puzzle that is not ``released``.
    """
    document = json.loads(_release(root, slug).read_text(encoding="utf-8"))
    cells = []
    for cell in document["cells"]:
        cells.append({**cell, "metadata": {}})
        if cell["cell_type"] == "markdown":
            cells[-1]["source"] = _lines(_linked("".join(cell["source"]), released, place))
    loaded = 1 + _loading(slug, cells)
    packed = approaches.pack(approaches.collect(root / "solutions" / slug))
    carry = _code("carry", _CARRY.format(packed=packed), {"cellView": "form"})
    start = [*_badge(slug, place), _code("set-up", _set_up(place), {})]
    return {
        "cells": [*start, *cells[:loaded], carry, *cells[loaded:]],
        "metadata": {
            "colab": {"provenance": [], "toc_visible": True},
            "derived": _DERIVED,
            "kernelspec": document["metadata"]["kernelspec"],
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def _release(root: Path, slug: str) -> Path:
    return root / "puzzles" / slug / f"{slug}.ipynb"


def _loading(slug: str, cells: list[Cell]) -> int:
    """The number of the cell after which there is a ``puzzle``."""
    for number, cell in enumerate(cells):
        if cell["cell_type"] == "code" and re.search(r"^puzzle\b.*= load_puzzle\(", "".join(cell["source"]), re.M):
            return number
    raise ValueError(f'no cell of {slug} has the line puzzle = load_puzzle("{slug}")')


def _badge(slug: str, place: Place) -> list[Cell]:
    """The cell that Colab itself puts first, under its own name: it is not shown twice there."""
    if not (address := place.address(slug)):
        return []
    source = f'<a href="{address}" target="_parent"><img src="{_BADGE}" alt="Open in Colab"/></a>'
    metadata = {"id": "view-in-github", "colab_type": "text"}
    return [{"cell_type": "markdown", "id": "view-in-github", "metadata": metadata, "source": [source]}]


def _set_up(place: Place) -> str:
    return _SET_UP.format(repository=place.repository, ref=place.ref, requirement=place.requirement)


def _code(name: str, source: str, metadata: dict[str, str]) -> Cell:
    code: Cell = {"execution_count": None, "outputs": []}
    return {"cell_type": "code", "id": name, "metadata": metadata, "source": _lines(source.rstrip()), **code}


def _lines(source: str) -> list[str]:
    return source.splitlines(keepends=True)


def _linked(markdown: str, released: list[str], place: Place) -> str:
    """Links to other puzzles, ``../other/other.ipynb``, lead to the notebooks here."""

    def other(link: re.Match[str]) -> str:
        if link[1] not in released:
            raise ValueError(f"a link leads to {link[1]!r}, which is no puzzle; there are {', '.join(released)}")
        return "](" + (place.address(link[1]) or f"{link[1]}.ipynb")

    return re.sub(r"\]\((?:[\w.-]+/)*(\w+)\.ipynb(?=[#)\s])", other, markdown)


def _text(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def _index(titles: Mapping[str, str], place: Place) -> str:
    lines = [f"<!-- {_DERIVED} -->", "", "# Mech Interp Puzzles on Colab", ""]
    for slug, title in titles.items():
        address = place.address(slug)
        badge = f" [![Open in Colab]({_BADGE})]({address})" if address else ""
        lines.append(f"- [{title}]({slug}.ipynb){badge}")
    return "\n".join(lines) + "\n"
