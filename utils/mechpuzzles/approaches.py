"""Right answers by others, for whoever has found their own: the author's, and an alternative in another style.

In a checkout they are read from ``solutions/``. A notebook that travels alone carries them packed: not locked, like
the slow oracles in ``puzzle.py``, only out of sight.
"""

from __future__ import annotations

import ast
import base64
import contextlib
import html
import inspect
import json
import re
import textwrap
import zlib
from pathlib import Path
from typing import Any

from mechpuzzles import cards, folders

Sources = dict[str, dict[str, str]]  # by part and by whose it is

_PAPER = "white-space: pre; overflow-x: auto; padding: 0.5em; background: rgba(128, 128, 128, 0.08)"
_carried: dict[str, Sources] = {}


def known(slug: str, part: str) -> bool:
    """Whether there is something to compare with."""
    return part in _carried.get(slug, {}) or (_solutions(slug) / f"{slug}.py").is_file()


def of(slug: str, part: str) -> dict[str, str]:
    """The others' sources for a part by whose they are; empty where the series' solutions are not at hand."""
    if slug not in _carried:
        if not (_solutions(slug) / f"{slug}.py").is_file():
            return {}
        _carried[slug] = collect(_solutions(slug))
    return _carried[slug].get(part, {})


def _solutions(slug: str) -> Path:
    return Path(__file__).resolve().parents[2] / "solutions" / slug


def collect(folder: Path) -> Sources:
    """The author's solution of each part in ``solutions/<slug>``, and an alternative that needs no helper."""
    slug = folder.name
    text = (folder / f"{slug}.py").read_text(encoding="utf-8")
    authors = folders.authors(folder.parents[1], slug)
    above = _lines_above(folder / "_author.py")
    found: Sources = {}
    for part, cell in re.findall(r'^# %% stub="(\w+)"\n(.*?)(?=^# %%|\Z)', text, re.MULTILINE | re.DOTALL):
        found[part] = {"the author's": _without_marks(cell)}
        for alternative in authors.ALTERNATIVES:
            if alternative.part == part and (source := _alone(alternative.answer, vars(authors), above)):
                found[part][f"another: {alternative.style}"] = source
                break
    return found


def _without_marks(cell: str) -> str:
    return "\n".join(line for line in cell.strip().splitlines() if "### BEGIN" not in line and "### END" not in line)


def _lines_above(path: Path) -> dict[str, str]:
    """The line that brings in each name that a file imports, or sets to a plain constant."""
    found: dict[str, str] = {}
    text = path.read_text(encoding="utf-8")
    for node in ast.parse(text).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = f"from {node.module} " if isinstance(node, ast.ImportFrom) else ""
            found |= {name.asname or name.name: f"{module}import {ast.unparse(name)}" for name in node.names}
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            with contextlib.suppress(ValueError):
                ast.literal_eval(node.value)
                found[node.targets[0].id] = ast.get_source_segment(text, node) or ""
    return found


def _alone(function: Any, names: dict[str, Any], above: dict[str, str]) -> str:
    """A function's source below the lines that it needs; nothing where it needs more of its module's ``names``."""
    if not inspect.isfunction(function) or function.__name__ == "<lambda>":
        return ""
    source = textwrap.dedent(inspect.getsource(function))
    said = {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}
    needed = said & names.keys() - {function.__name__}
    if not needed <= above.keys():
        return ""
    lines = [above[name] for name in sorted(needed, key=list(above).index) if name != "torch"]  # every notebook has it
    return "\n".join([*lines, "\n", source] if lines else [source])


def pack(sources: Sources) -> str:
    """The sources as letters, in lines of 100."""
    letters = base64.b64encode(zlib.compress(json.dumps(sources).encode(), 9)).decode()
    return "\n".join(textwrap.wrap(letters, 100))


def carry(slug: str, packed: str) -> None:
    """Take in what `pack` made."""
    _carried[slug] = json.loads(zlib.decompress(base64.b64decode(packed)))


def typed(name: str) -> str:
    """How the learner wrote a part: the source of the function of that name, or the last cell that assigned it."""
    shell = cards.shell()
    if shell is None:
        return ""
    value = shell.user_ns.get(name)
    if inspect.isfunction(value):
        try:
            return textwrap.dedent(inspect.getsource(value))
        except (OSError, TypeError):
            return ""
    cells = [cell for cell in shell.user_ns.get("In", []) if re.search(rf"^\s*{name}\s*=(?!=)", cell, re.MULTILINE)]
    return cells[-1] if cells else ""


def side_by_side(sources: dict[str, str]) -> tuple[str, str]:
    """Sources by whose they are, as text and as HTML."""
    text = "\n\n".join(f"# {whose}\n{source.strip()}" for whose, source in sources.items())
    columns = [
        f'<div style="flex: 1 1 22em; min-width: 18em"><strong>{html.escape(whose)}</strong>'
        f'<pre style="{_PAPER}">{html.escape(source.strip(), quote=False)}</pre></div>'
        for whose, source in sources.items()
    ]
    return text, f'<div style="display: flex; flex-wrap: wrap; gap: 1em">{"".join(columns)}</div>'
