"""Answers of made-up learners to one puzzle, and what is true of them."""

from __future__ import annotations

import functools
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from mechpuzzles import checks, folders, typed, variants
from mechpuzzles.limits import Exceeded
from mechpuzzles.parts import Mutant, Part, Symptom
from mechpuzzles.puzzle import Puzzle
from mechpuzzles.verdicts import Case, Outcome

RAISES = "def {name}(*inputs):\n    raise ValueError('I do not know how to go on')\n"
CRASHES = "def {name}(*inputs):\n    import ctypes\n\n    ctypes.string_at(0)\n"


@dataclass(frozen=True)
class Wrong:
    """A wrong answer and the symptom that it shows."""

    symptom: str | None
    source: str


@dataclass
class Answered:
    """Cells filled in, and what comes of each part."""

    cells: dict[str, str]
    parts: dict[str, dict[str, str | None]]
    score: float
    done: str


@dataclass(frozen=True)
class Value:
    """The part that asks about a learner's own variant, and the right answer as text."""

    case: Case
    source: str


@dataclass
class Bank:
    """All that can be handed in for a puzzle: right and wrong answers by part, as text."""

    root: Path
    slug: str
    puzzle: Puzzle
    mutants: tuple[Mutant, ...]
    variables: dict[str, str]  # of the parts that ask for a value
    right: dict[str, list[str]] = field(default_factory=dict)
    wrong: dict[str, list[Wrong]] = field(default_factory=dict)
    # Of the release's cells: the id, the names that it defines, and those that it uses.
    cells: list[tuple[str, frozenset[str], frozenset[str]]] = field(default_factory=list)
    open: dict[str, str] = field(default_factory=dict)  # the cells that learners may change, by id

    @classmethod
    def of(cls, root: Path, slug: str) -> Bank:
        """The answers of a checkout's puzzle."""
        puzzle, authors = folders.declared(root, slug), folders.authors(root, slug)
        released = [cell for cell in typed.filled(root, slug, {}).cells if cell.cell_type == "code"]
        cells = [(cell.id, typed.defined(cell.source), typed.used(cell.source)) for cell in released]
        variables = {part.name: typed.variable(root, slug, part) for part in puzzle.parts if part.value}
        changeable = {cell.id: cell.source for cell in released if cell.id.startswith("open-")}
        bank = cls(root, slug, puzzle, authors.MUTANTS, variables, cells=cells, open=changeable)
        solutions = typed.solutions_of(root, slug)
        for part in (part for part in puzzle.parts if not part.value):
            others = [a.answer for a in authors.ALTERNATIVES if a.part == part.name]
            sources = [typed.function_source(authors, part, answer) for answer in others]
            fits = functools.partial(bank._is_apart, part)
            bank.right[part.name] = [solutions[typed.stub(part.name)], *filter(fits, sources)]
            shown = [m for m in bank.mutants if m.part == part.name and _is_plain(part, m.shows)]
            wrong = [Wrong(m.shows, typed.function_source(authors, part, m.answer)) for m in shown]
            bank.wrong[part.name] = [one for one in wrong if fits(one.source)]
        return bank

    @property
    def draws(self) -> bool:
        """Whether each learner has a variant."""
        return self.puzzle.draw is not None

    @property
    def max_score(self) -> float:
        """With the points of the texts."""
        return float(sum(part.points for part in self.puzzle.parts) + sum(t.points for t in self.puzzle.free_text))

    def notebook(self, cells: dict[str, str]) -> NotebookNode:
        """The release with some cells filled in."""
        return typed.filled(self.root, self.slug, cells)

    def values(self, key: str) -> dict[str, Value]:
        """The values that the learner of a key is asked for."""
        made = {}
        for part in (part for part in self.puzzle.parts if part.value):
            case = typed.own_case(part, variants.seed(self.slug, key))
            made[part.name] = Value(case, self.typed_value(part, typed.right_value(part, case)))
        return made

    def typed_value(self, part: Part, value: Any) -> str:
        """A value as a learner types it; raises `ValueError` for one that is no plain data."""
        text = typed.literal(value)
        imports = "import torch\n\n" if "torch." in text else ""
        return f"{imports}{self.variables[part.name]} = {text}"

    def wrong_values(self, part: Part, own: Value) -> list[Wrong]:
        """The mutants' values that are wrong, with their own symptoms, of a learner's variant."""
        found = []
        for mutant in (m for m in self.mutants if m.part == part.name):
            value = mutant.answer(*own.case.inputs)
            outcome, symptom = judged(part, own.case, value)
            if outcome == Outcome.WRONG.value and symptom == mutant.shows and _is_plain(part, mutant.shows):
                try:
                    found.append(Wrong(symptom, self.typed_value(part, value)))
                except ValueError:
                    continue
        return found

    def _is_apart(self, part: Part, source: str) -> bool:
        """Whether a part's text defines nothing that another cell defines or a learner is to write."""
        own = typed.stub(part.name)
        taken = {name for cell, names, _ in self.cells if cell != own for name in names}
        return not typed.defined(source) - {part.name} & (taken | {one.name for one in self.puzzle.parts})

    def needs(self, source: str) -> set[str]:
        """The parts that an answer uses, by itself or by what other cells make with them."""
        parts = {part.name for part in self.puzzle.parts}
        needed: set[str] = set()
        new: set[str] | frozenset[str] = typed.used(source)
        while new:
            needed |= new
            new = {name for _, defines, uses in self.cells if defines & new for name in uses} - needed
        return needed & parts


def _is_plain(part: Part, symptom: str) -> bool:
    """Whether a symptom is one of the part's own that does not depend on how fast a machine is."""
    mine = [one for one in part.symptoms if one.name == symptom]
    return bool(mine) and not any(_is_of_limits(mine[0], limit) for limit in ("memory", "time"))


def _is_of_limits(symptom: Symptom, limit: str) -> bool:
    try:
        return bool(symptom.when(Exceeded(limit, ""), None))
    except Exception:  # one that looks at an answer and at inputs
        return False


def judged(part: Part, case: Case, value: Any) -> tuple[str, str | None]:
    """Outcome and symptom of a value."""
    once = Part(**{name: getattr(part, name) for name in part.__dataclass_fields__} | {"cases": lambda rng: [case]})
    verdict = checks.judge(once, lambda *inputs: value, seeds=[0])
    return verdict.outcome.value, verdict.symptom


# Ways to answer ------------------------------------------------------------------------------------------------------


def right(bank: Bank, own: dict[str, Value], rng: random.Random) -> Answered:
    """All right, in one style or another."""
    answered = _around(bank, own, {}, rng)
    assert answered is not None  # nothing is wrong that another answer could need
    answered.done = "all right"
    return answered


def untouched(bank: Bank) -> Answered:
    """The release as it was handed out."""
    outcomes: dict[str, dict[str, str | None]] = {part.name: _of(Outcome.NOT_ATTEMPTED) for part in bank.puzzle.parts}
    return Answered({}, outcomes, 0.0, "untouched")


def wrong(bank: Bank, own: dict[str, Value], number: int, rng: random.Random) -> Answered:
    """So many parts wrong, each in a known way; fewer where every other answer would need them."""
    parts = list(bank.puzzle.parts)

    @functools.cache
    def known(name: str) -> list[Wrong]:
        part = bank.puzzle.part(name)
        return bank.wrong_values(part, own[name]) if part.value else bank.wrong[name]

    for count in [number] * 12 + [1] * 24:
        chosen = {}
        for part in rng.sample(parts, min(count, len(parts))):
            if ways := known(part.name):  # the first ones are the commonest
                one = ways[min(rng.randrange(len(ways)), rng.randrange(len(ways)))]
                chosen[part.name] = (one.source, _of(Outcome.WRONG, one.symptom))
        if chosen and (answered := _around(bank, own, chosen, rng)):
            answered.done = "wrong: " + ", ".join(f"{name} ({of['symptom']})" for name, (_, of) in chosen.items())
            return answered
    return right(bank, own, rng)


def unfinished(bank: Bank, own: dict[str, Value], way: str, rng: random.Random) -> Answered:
    """A function raises, crashes Python, or is left out, and nothing else needs it."""
    functions = [part for part in bank.puzzle.parts if not part.value]
    for part in rng.sample(functions, len(functions)):
        source = {"raises": RAISES, "crash": CRASHES, "left out": ""}[way].format(name=part.name)
        outcome = _of(Outcome.NOT_ATTEMPTED if way == "left out" else Outcome.RAISED)
        if answered := _around(bank, own, {part.name: (source, outcome)}, rng):
            answered.done = f"{part.name}: {way}"
            return answered
    return right(bank, own, rng)


def copied(bank: Bank, own: dict[str, Value], others: dict[str, Value], other: str, rng: random.Random) -> Answered:
    """All right, but for a value which is that of another learner's variant."""
    name = rng.choice([name for name in own if own[name].source != others[name].source] or list(own))
    part = bank.puzzle.part(name)
    value = typed.right_value(part, others[part.name].case)
    outcome, symptom = judged(part, own[part.name].case, value)
    source = others[part.name].source
    answered = _around(bank, own, {part.name: (source, {"outcome": outcome, "symptom": symptom})}, rng)
    assert answered is not None  # values are literals: no answer needs another's
    answered.done = f"{part.name}: copied from {other}"
    return answered


def _of(outcome: Outcome, symptom: str | None = None) -> dict[str, str | None]:
    return {"outcome": outcome.value, "symptom": symptom}


def _around(
    bank: Bank, own: dict[str, Value], lost: dict[str, tuple[str, dict[str, str | None]]], rng: random.Random
) -> Answered | None:
    """Right answers for all other parts, none of which needs a lost one; None where there are no such answers."""
    answered = Answered({}, {}, 0.0, "")
    for part in bank.puzzle.parts:
        if part.name in lost:
            source, outcome = lost[part.name]
        else:
            sources = [own[part.name].source] if part.value else bank.right[part.name]
            apart = [source for source in sources if not bank.needs(source) & (lost.keys() - {part.name})]
            if not apart:
                return None
            source, outcome = apart[min(rng.randrange(len(apart)), rng.randrange(len(apart)))], _of(Outcome.RIGHT)
        if source:
            answered.cells[typed.stub(part.name)] = source
        answered.parts[part.name] = outcome
        answered.score += part.points if outcome["outcome"] == Outcome.RIGHT.value else 0
    return answered
