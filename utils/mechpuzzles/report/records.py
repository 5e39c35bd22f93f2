"""What is known of a class, before anything is counted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mechpuzzles.puzzle import Puzzle

RIGHT, WRONG, RAISED, BLANK, UNGRADED, ABSENT = OUTCOMES = (
    *("right", "wrong", "raised", "not attempted"),
    *("ungraded", "not handed in"),
)


@dataclass(slots=True)
class Effort:
    """What a shared log tells of one part, up to the first right answer; then how often it ends wrong in a row."""

    attempts: int = 0
    minutes: float = 0.0
    hints: int = 0
    wrong_in_a_row: int = 0


@dataclass(slots=True)
class Cell:
    """What came of one learner's part; ``value`` of a variant where the note has it."""

    outcome: str
    symptom: str | None = None
    points: float | None = None
    value: Any = None


@dataclass(slots=True)
class Work:
    """What a learner handed in of one puzzle; ``efforts`` and ``found`` only from a shared log."""

    status: str  # graded, needs_manual, ungraded or rejected
    message: str
    score: float
    cells: dict[str, Cell]
    texts: list[str]  # that a person has still to mark
    guesses: dict[str, tuple[Any, float | None]] = field(default_factory=dict)
    typed: str | None = None  # the name given for the variant
    efforts: dict[str, Effort] | None = None
    found: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Class:
    """Puzzles in the order of the series, learners with their names, and what they handed in, by learner and slug."""

    puzzles: list[Puzzle]
    points: dict[str, float]  # of each puzzle, texts included
    learners: dict[str, str]
    works: dict[tuple[str, str], Work]
    left_out: list[str]  # assignments that are no puzzles, or that nobody handed in
    salt: str  # random, and kept in the gradebook

    def handed_in(self, slug: str) -> dict[str, Work]:
        """What was handed in of a puzzle, by learner."""
        return {learner: work for (learner, of), work in self.works.items() if of == slug}
