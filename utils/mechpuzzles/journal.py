"""The learner's own log: predictions, attempts and hints, as JSON lines on their machine only.

The file is ``journal.jsonl`` in ``MECHPUZZLES_HOME`` or, without it, in the user's data directory. While nbgrader
grades, and wherever the file cannot be written, the log lives in memory: a check never fails for want of a disk.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_in_memory: list[dict[str, Any]] = []


def path() -> Path:
    """Where the log is kept."""
    if home := os.environ.get("MECHPUZZLES_HOME"):
        return Path(home) / "journal.jsonl"
    import platformdirs

    return Path(platformdirs.user_data_dir("mechpuzzles", appauthor=False)) / "journal.jsonl"


def record(slug: str, kind: str, **what: Any) -> None:
    """Append one entry, ``{"time", "puzzle", "kind", **what}``."""
    entry = {"time": round(time.time(), 3), "puzzle": slug, "kind": kind, **what}
    if os.environ.get("NBGRADER_EXECUTION"):
        _in_memory.append(entry)
        return
    try:
        path().parent.mkdir(parents=True, exist_ok=True)
        with path().open("a", encoding="utf-8") as log:
            log.write(json.dumps(entry) + "\n")
    except OSError:
        _in_memory.append(entry)


def entries(slug: str, kind: str, **which: Any) -> Iterator[dict[str, Any]]:
    """The entries of one puzzle and kind whose other fields are ``which``, oldest first."""
    for entry in everything():
        if (
            entry.get("puzzle") == slug
            and entry.get("kind") == kind
            and all(entry.get(k) == v for k, v in which.items())
        ):
            yield entry


def latest(slug: str, kind: str, wanted: str, **which: Any) -> Any | None:
    """The field ``wanted`` of the newest entry whose other fields are ``which``, or None."""
    found = list(entries(slug, kind, **which))
    return found[-1].get(wanted) if found else None


def everything() -> Iterator[dict[str, Any]]:
    """All entries, oldest first; a damaged line is passed over."""
    yield from _on_disk()
    yield from _in_memory


def delete(slug: str = "") -> int:
    """Delete the log, or what it holds of one puzzle; how many entries went."""
    before = len(list(everything()))
    kept = [entry for entry in _on_disk() if slug and entry.get("puzzle") != slug]
    _in_memory[:] = [entry for entry in _in_memory if slug and entry.get("puzzle") != slug]
    if kept:
        fresh = path().with_suffix(".new")
        fresh.write_text("".join(json.dumps(entry) + "\n" for entry in kept), encoding="utf-8")
        fresh.replace(path())
    elif path().exists():
        path().unlink()
    return before - len(kept) - len(_in_memory)


def _on_disk() -> Iterator[dict[str, Any]]:
    if os.environ.get("NBGRADER_EXECUTION"):
        return
    try:
        lines = path().read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict):
            yield entry
