"""What is handed to a grader, and what comes back: plain data, for machines that share nothing."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Cell:
    """A code cell as the grader sees it.

    ``source`` is what the learner handed in, or for a cell that was locked or left alone what was released; a check's
    ``tests`` are its text with hidden tests. ``fixed``: as released.
    """

    id: str
    source: str
    fixed: bool = False
    tests: str | None = None
    solution: bool = False  # the learner was to write it


@dataclass(frozen=True)
class Bounds:
    """Seconds of wall time for a cell, for a call, and for all that a notebook asks of the learner's process."""

    cell_seconds: float = 60.0
    call_seconds: float = 20.0
    notebook_seconds: float = 300.0


@dataclass(frozen=True)
class Job:
    """One notebook to grade, as plain data (see `job_from`)."""

    cells: list[Cell]
    released: list[Cell]  # the author's cells as released: which names are the learner's to define is read from these
    slug: str
    folder: str | None = None  # holds puzzle.py, on the machine that grades
    files: dict[str, bytes] = field(default_factory=dict)
    bounds: Bounds = Bounds()
    policy: dict[str, int] = field(default_factory=dict)
    sandbox: bool = True
    all_cells: bool = False
    variant: str | None = None  # the learner's key (`mechpuzzles.variants`); without it, what they typed


@dataclass
class Result:
    """What grading came to: outputs by cell id, in the notebook format, and sentences for the learner.

    ``parts`` has for each part of the puzzle {"outcome", "symptom"} and, for a wrong value of a variant, "value".
    """

    outputs: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    parts: dict[str, dict[str, Any]] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)
    cpu_s: float = 0.0
    max_mb: float = 0.0
    ran_all: bool = False


def job_data(job: Job) -> dict[str, Any]:
    """A job as plain data."""
    return asdict(job)


def job_from(data: dict[str, Any]) -> Job:
    """A job from plain data."""
    cells = {key: [Cell(**cell) for cell in data[key]] for key in ("cells", "released")}
    return Job(**{**data, **cells, "bounds": Bounds(**data["bounds"])})
