"""Wrong values that are the right ones of another learner's variant.

How likely that is by chance depends on the value: one of five heads is, a list of ten labels is not. It is estimated
from the other learners' variants and, where they are few, from variants of nobody.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch

from mechpuzzles import answers
from mechpuzzles import variants as variants_of
from mechpuzzles.grading import driver
from mechpuzzles.parts import Part
from mechpuzzles.puzzle import Puzzle
from mechpuzzles.report.records import RIGHT, WRONG, Class
from mechpuzzles.verdicts import Case

RARE = 0.02  # of the variants, at most, a value may be right for to be told
VARIANTS = 200  # from which that is estimated, at least
SECONDS = 4.0  # to draw the variants of a large class


@dataclass(frozen=True)
class Shared:
    """A learner's wrong value of a part is right for the variants of ``owners``, out of those looked at."""

    learner: str
    puzzle: str
    part: str
    owners: list[str]
    chance: float  # the share of variants that it is right for


@dataclass
class _Variants:
    """The true values of a part's variants, those that can be looked up by what they are."""

    part: Part
    by_value: dict[Any, list[str]] = field(default_factory=dict)
    others: list[tuple[str, list[Case]]] = field(default_factory=list)
    size: int = 0

    def add(self, owner: str, seed: int) -> None:
        cases = list(self.part.cases(torch.Generator().manual_seed(seed)))
        self.size += 1
        if len(cases) == 1 and self.part.gap is None and self.part.kind != "real":
            key = _key(_truth(self.part, cases[0]))
            self.by_value.setdefault(key, []).append(owner)
        else:
            self.others.append((owner, cases))

    def owners(self, got: Any) -> list[str]:
        """Whose true value this is."""
        found = list(self.by_value.get(_key(got), [])) if self.by_value else []
        return found + [owner for owner, cases in self.others if all(_fits(self.part, got, case) for case in cases)]


def _truth(part: Part, case: Case) -> Any:
    assert part.spec is not None or case.want is not None
    return answers.truth(case.want if case.want is not None else part.spec(*case.inputs), part.kind)  # type: ignore[misc]


def _fits(part: Part, got: Any, case: Case) -> bool:
    want = _truth(part, case)
    if part.gap is not None:
        return part.gap(got, want, *case.inputs) <= 1
    return answers.distance(got, want, want, part.tolerance) <= 1


def _key(answer: Any) -> Any:
    """Whole numbers and labels as something to look up."""
    if isinstance(answer, tuple):
        return tuple(map(_key, answer))
    return (tuple(answer.shape), tuple(answer.flatten().tolist())) if isinstance(answer, torch.Tensor) else answer


def found(
    course: driver.Course, known: Class, seconds: float | int = SECONDS
) -> tuple[list[Shared], dict[tuple[str, str], int]]:
    """What there is to tell; and of each part with wrong values, how many learners' variants were looked at."""
    shared: list[Shared] = []
    compared: dict[tuple[str, str], int] = {}
    there = [(puzzle, part) for puzzle in known.puzzles for part in puzzle.parts if part.value]
    there = [(puzzle, part) for puzzle, part in there if puzzle.draw is not None]
    for number, (puzzle, part) in enumerate(there):
        wrong = dict(_wrong(known, puzzle, part))
        if not wrong:
            continue
        began = time.monotonic()
        variants = _drawn(course, known, puzzle, part, began + seconds / (len(there) - number))
        compared[puzzle.slug, part.name] = variants.size
        shared += _told(puzzle, variants, wrong)
        seconds -= time.monotonic() - began
    return shared, compared


def _wrong(known: Class, puzzle: Puzzle, part: Part) -> Iterator[tuple[str, Any]]:
    """The wrong values of a part by learner."""
    for (learner, slug), work in known.works.items():
        cell = work.cells.get(part.name) if slug == puzzle.slug else None
        if cell is not None and cell.outcome == WRONG and cell.value is not None:
            try:
                yield learner, answers.read(_from_json(cell.value, part.returns, part.kind), part.returns, part.kind)
            except (ValueError, TypeError, RuntimeError, OverflowError):  # of another shape or type
                continue


def _from_json(value: Any, returns: str | tuple[str, ...], kind: str) -> Any:
    if isinstance(returns, tuple):
        return tuple(_from_json(one, axes, kind) for one, axes in zip(value, returns, strict=True))
    if isinstance(value, list) and kind != "label":
        return torch.tensor(value, dtype=torch.int64 if kind == "integer" else torch.float64)
    return value


def _drawn(course: driver.Course, known: Class, puzzle: Puzzle, part: Part, until: float) -> _Variants:
    """The class's variants, first of those who were right, until time is up."""
    variants = _Variants(part)
    works = ((learner, work) for (learner, slug), work in known.works.items() if slug == puzzle.slug)
    for learner, work in sorted(works, key=lambda one: one[1].cells[part.name].outcome != RIGHT):
        key = course.variant(learner) or work.typed
        if key is not None:
            variants.add(learner, variants_of.seed(puzzle.slug, key))
        if time.monotonic() > until:
            break
    return variants


def _told(puzzle: Puzzle, variants: _Variants, wrong: dict[str, Any]) -> Iterable[Shared]:
    own = {learner: [who for who in variants.owners(got) if who != learner] for learner, got in wrong.items()}
    own = {learner: owners for learner, owners in own.items() if owners}
    if not own:
        return
    nobodys = _Variants(variants.part)
    for number in range(max(0, VARIANTS - variants.size)):
        nobodys.add("", variants_of.seed(puzzle.slug, f"nobody {number}"))
    for learner, owners in own.items():
        chance = (len(owners) + len(nobodys.owners(wrong[learner]))) / (variants.size + nobodys.size)
        if chance < RARE:
            yield Shared(learner, puzzle.slug, variants.part.name, owners, chance)
