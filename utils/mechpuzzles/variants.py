"""Which variant of a puzzle is whose in a course: a key for each learner, made from a secret that the course keeps.

The folders of the puzzles that draw a variant hold ``variants.json``, ``{"course": id, "learners": {digest of an id:
key}}``, so that a learner's notebook finds their key from their id, and no other way. It lies beside the source too:
nbgrader's generate_assignment copies it from there into the release, and autograde beside a submission.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

FILE, SECRET = "variants.json", "course_secret"


def key(secret: str, learner: str) -> str:
    """What decides a learner's variants in a course."""
    return hmac.new(secret.encode(), learner.encode(), hashlib.sha256).hexdigest()[:24]


def seed(slug: str, key: str) -> int:
    """The seed of a puzzle's variant, as `Puzzle.variant` has it."""
    return int.from_bytes(hashlib.sha256(f"{slug}/{key}".encode()).digest()[:6], "big")


def digest(learner: str) -> str:
    """A learner's id as ``variants.json`` has it: the file is handed out, and is no list of the class."""
    return hashlib.sha256(learner.encode()).hexdigest()


def secret(root: Path) -> str | None:
    """A course's secret, or None in a course without one; raises `ValueError` if the file holds nothing."""
    try:
        kept = (root / SECRET).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
    if not kept:
        raise ValueError(f"{root / SECRET} is empty: put back what was in it, or every learner's variants change")
    return kept


def keep_secret(root: Path, fixed: str | None = None) -> str:
    """Write a new course's secret, for its owner alone to read; raises `FileExistsError` if there is one."""
    made = fixed or secrets.token_hex(32)
    with open(os.open(root / SECRET, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(made + "\n")
    return made


def write(folder: Path, course: str, secret: str, learners: Iterable[str]) -> None:
    """Write the learners' keys into a puzzle's folder."""
    keys = {digest(learner): key(secret, learner) for learner in learners}
    fresh = folder / f".{FILE}.new"
    fresh.write_text(json.dumps({"course": course, "learners": dict(sorted(keys.items()))}, indent=1) + "\n")
    fresh.replace(folder / FILE)
