"""A puzzle as the learner meets it: checks, hints, predictions, variants and a reveal."""

from __future__ import annotations

import codecs
import importlib.util
import json
import os
import sys
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from mechpuzzles import approaches, cards, checks, journal, shapes, variants
from mechpuzzles.parts import Alternative, FreeText, Mutant, Part, Prediction, Symptom
from mechpuzzles.verdicts import Case, NotYet, Outcome, PlainError, Verdict

__all__ = ["Alternative", "Case", "FreeText", "Mutant", "Part", "Prediction", "Puzzle", "Symptom", "load_puzzle"]


@dataclass
class _Session:
    """What changes while a learner works."""

    hints_given: Counter[str] = field(default_factory=Counter)
    variant_seed: int = 0


@dataclass(frozen=True)
class Puzzle:
    """A question, a principle and the parts between them.

    >>> puzzle = load_puzzle("similar_embeddings")
    >>> puzzle.check("centre", centre)
    """

    slug: str
    title: str
    question: str
    principle: str
    minutes: int
    parts: tuple[Part, ...]
    models: tuple[str, ...]
    free_text: tuple[FreeText, ...] = ()
    predictions: tuple[Prediction, ...] = ()
    after: tuple[str, ...] = ()
    problems: Mapping[str, str] = field(default_factory=dict)  # rows of the open problems, and the part of each
    draw: Callable[[torch.Generator], Any] | None = None
    _session: _Session = field(default_factory=_Session, repr=False, compare=False)

    def __post_init__(self) -> None:
        names = [p.name for p in self.parts] + [f.name for f in self.free_text]
        if len(set(names)) < len(names):
            raise ValueError(f"{self.slug}: two parts share a name: {', '.join(names)}")
        if strange := set(self.problems.values()) - {part.name for part in self.parts}:
            raise ValueError(f"{self.slug}: problems lead to parts that there are not: {', '.join(sorted(strange))}")

    def part(self, name: str) -> Part:
        """The part of that name, or a `PlainError` that lists the parts there are."""
        return _named(self.parts, name, "part")

    def check(self, name: str, answer: Any) -> None:
        """Say whether ``answer`` is right, and if not, why; raise `NotYet` unless it is.

        The inputs are the same at every call, so that a learner can work against them.
        """
        verdict = self._judge(name, answer, checks.PUBLIC_SEEDS)
        journal.record(self.slug, "check", part=name, outcome=verdict.outcome.value, symptom=verdict.symptom)
        right = verdict.outcome is Outcome.RIGHT
        more = f"How others wrote it: `puzzle.compare({name!r})`" if right and approaches.known(self.slug, name) else ""
        if right or cards.live():
            cards.show(verdict.text(bold=not cards.live()), cards.card(verdict, more))
        if not right:
            raise NotYet(verdict, shown=cards.live())

    def grade(self, name: str, answer: Any) -> None:
        """Like `check`, on inputs drawn afresh from the system's entropy; for hidden tests."""
        verdict = self._judge(name, answer, checks.fresh_seeds())
        if verdict.outcome is not Outcome.RIGHT:
            raise NotYet(verdict)

    def variant(self, learner: str) -> Any:
        """What ``draw`` makes for this learner: their own model, circuit or planted truth.

        The seed comes from the learner's name or id, in a course from their key (`mechpuzzles.variants`);
        ``MECHPUZZLES_LEARNER`` overrides both, so that a grader decides. Checks of values are against the latest
        variant drawn. Raises `PlainError` for no name, and in a course for an id that is not on its roster.
        """
        if self.draw is None:
            raise PlainError(f"{self.slug} is the same for every learner.")
        who = os.environ.get("MECHPUZZLES_LEARNER") or learner
        if not isinstance(who, str) or not who.strip():
            raise PlainError("Put your name or id between the quotes: it decides which variant is yours.")
        key = who.strip() if os.environ.get("MECHPUZZLES_LEARNER") else _key(who.strip())
        self._session.variant_seed = variants.seed(self.slug, key)
        return self.draw(torch.Generator().manual_seed(self._session.variant_seed))

    def _judge(self, name: str, answer: Any, seeds: Iterable[int]) -> Verdict:
        part = self.part(name)
        if not part.value or answer is ... or answer is None:
            return checks.judge(part, answer, seeds)
        return checks.judge(part, lambda *drawn: answer, seeds=[self._session.variant_seed])

    def hint(self, name: str = "") -> None:
        """Print the next hint for a part; the last one again when there are no more."""
        hints = self.part(name).hints
        self._session.hints_given[name] += 1
        given = self._session.hints_given[name]
        number = min(given, len(hints))
        journal.record(self.slug, "hint", part=name, number=number)
        again = "That was the last hint; here it is again. " if given > len(hints) else ""
        print(textwrap.fill(f"{name}, hint {number} of {len(hints)}. {again}{hints[number - 1]}", 100))

    def predict(self, name: str, value: Any, because: str = "", sure: Any = None) -> None:
        """Keep a prediction, to be drawn into the picture that answers it. Nobody marks it.

        ``sure``, between 0 and 1, is how likely you think it is to be right: a number is right when it is within
        `Prediction.within` of what is found. ``...`` (the cell as released) is not a prediction yet. Raises
        `PlainError` for a name that the puzzle does not declare, and for what is neither one of the choices nor a
        number in range.
        """
        prediction = _named(self.predictions, name, "prediction")
        if value is ... or value is None:
            print("Nothing kept yet. Replace the dots by your guess, and by how sure you are, such as 0.7.")
            return
        sure = None if sure is ... else sure
        because = "" if because is ... or because is None else str(because)
        prediction.check(value, sure)
        journal.record(self.slug, "prediction", name=name, value=value, because=because, sure=sure)
        surely = "" if sure is None else f", {sure:.0%} sure"
        reason = f", because {because}." if because else ". Why? A reason makes a guess worth more."
        print(f"Kept: {name} = {value}{surely}{reason}")

    def prediction(self, name: str) -> Any | None:
        """The latest prediction of that name, or None."""
        _named(self.predictions, name, "prediction")
        return journal.latest(self.slug, "prediction", name=name, wanted="value")

    def recall(self, name: str, found: Any = None) -> None:
        """Print the prediction of that name with its reason, to hold it against what was found.

        ``found``, a number or a choice, is kept beside it (see `mechpuzzles.progress.calibration`). Of a choice that
        the puzzle itself decides, `Prediction.right`, it is kept without being said.
        """
        prediction = _named(self.predictions, name, "prediction")
        found = prediction.plain(found)
        truth = prediction.right if found is None else found
        guess = next(reversed(list(journal.entries(self.slug, "prediction", name=name))), None)
        if truth is not None:  # also without a guess: one that is made from now on comes too late
            journal.record(self.slug, "found", name=name, value=truth)
        if guess is None:
            print(f"You made no guess about {name}.")
            return
        because = guess.get("because")
        said = f"You said: {name} = {guess['value']}" + (f", because {because}." if because else ".")
        print(said + (f" Found: {found:.4g}." if isinstance(found, float) else ""))

    def reveal(self, rot13: str) -> None:
        """Show a button that decodes the answer, once at least one part has been attempted."""
        attempts = (e for e in journal.entries(self.slug, "check") if e.get("outcome") != Outcome.NOT_ATTEMPTED.value)
        if next(attempts, None) is None:
            print("Try a part first: the answer decodes after your first attempt. Until then it is rot13.")
            return
        journal.record(self.slug, "reveal")
        answer = codecs.decode(rot13, "rot13").strip()
        folded = f"<details>\n<summary><strong>Decode the answer</strong></summary>\n\n{answer}\n\n</details>"
        cards.show(answer, markdown=folded)

    def carry(self, packed: str) -> None:
        """Take along the others' solutions, packed, where a notebook travels alone; `compare` shows them."""
        approaches.carry(self.slug, packed)

    def compare(self, name: str) -> None:
        """Show your function beside the author's and another right one, once yours is right."""
        part = self.part(name)
        right = (e for e in journal.entries(self.slug, "check", part=name) if e.get("outcome") == Outcome.RIGHT.value)
        if next(right, None) is None:
            print(f"First get {name} right; then this shows how others wrote it.")
        elif not (others := approaches.of(self.slug, part.name)):
            print("The other solutions are in the series' repository, not on this machine.")
        else:
            mine = approaches.typed(name)
            cards.show(*approaches.side_by_side({"yours": mine, **others} if mine else others))


def _named(things: Sequence[Any], name: str, kind: str) -> Any:
    for thing in things:
        if thing.name == name:
            return thing
    there = ", ".join(repr(thing.name) for thing in things) or "none"
    raise PlainError(f"There is no {kind} {name!r}. There is: {there}.")


def load_puzzle(slug: str) -> Puzzle:
    """Load ``PUZZLE`` from the ``puzzle.py`` of that slug.

    It is looked for beside the notebook, then in the folders of ``MECHPUZZLES_PATH``, then in this checkout's
    ``puzzles`` or, when installed from a wheel, among the puzzles that came with it. Raises `FileNotFoundError`
    with the folders that were tried.
    """
    tried: list[str] = []
    for path in _candidates(slug):
        if path.is_file():
            module = load_module(path)
            puzzle = getattr(module, "PUZZLE", None)
            if isinstance(puzzle, Puzzle) and puzzle.slug == slug:
                _notice_shapes()
                return puzzle
        tried.append(str(path.parent))
    raise FileNotFoundError(f"no puzzle.py declares {slug!r}; looked in " + ", ".join(dict.fromkeys(tried)))


def _notice_shapes() -> None:
    """In a live notebook, check the shapes that the learner's functions are annotated with."""
    if cards.live():
        shapes.switch_on(cards.shell())


def _key(learner: str) -> str:
    """What decides a learner's variants: in a course's folder the key that ``variants.json`` has for their id."""
    try:
        course = json.loads(Path(variants.FILE).read_text(encoding="utf-8"))
        keys, name = course["learners"], course["course"]
    except FileNotFoundError:
        return learner
    except (OSError, ValueError, KeyError, TypeError):
        raise PlainError(f"{variants.FILE}, beside this notebook, is damaged: fetch the assignment again.") from None
    key = keys.get(variants.digest(learner))
    if key is None:
        raise PlainError(f"{learner!r} is not on the roster of {name}. Is that how your id is spelt there?")
    return str(key)


def _candidates(slug: str) -> Sequence[Path]:
    here = Path.cwd()
    package = Path(__file__).resolve().parent
    folders = [here, here / slug]
    folders += [Path(p) / slug for p in os.environ.get("MECHPUZZLES_PATH", "").split(os.pathsep) if p]
    folders += [package.parents[1] / "puzzles" / slug, package / "puzzles" / slug]
    return [folder / "puzzle.py" for folder in folders]


def load_module(path: Path) -> ModuleType:
    """Run a puzzle's Python file as a module of its own, without touching ``sys.path`` or writing bytecode."""
    name = f"mechpuzzles_folder_{path.parent.name}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be run as Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    dont_write, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = dont_write
    return module
