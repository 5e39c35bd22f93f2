"""What a puzzle is: parts that are checked, symptoms that explain, hints, predictions and a reveal."""

from __future__ import annotations

import codecs
import hashlib
import importlib.util
import math
import os
import sys
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from mechpuzzles import answers, checks, journal
from mechpuzzles.limits import Exceeded
from mechpuzzles.verdicts import Case, NotYet, Outcome, PlainError, Verdict

__all__ = ["Alternative", "Case", "FreeText", "Mutant", "Part", "Prediction", "Puzzle", "Symptom", "load_puzzle"]


@dataclass(frozen=True)
class Symptom:
    """A named way of being wrong, recognised from what the learner returned, with one sentence about it.

    ``when(got, want, *inputs) -> bool`` sees the learner's answer and the true one as float64 tensors (an answer
    that broke a limit arrives as `Exceeded`). A symptom is reported only if it holds on every case whose
    answer is wrong. ``says`` may use the sizes of the part's axes by name, as in ``"{n} ones"``.
    """

    name: str
    when: Callable[..., bool]
    says: str

    @classmethod
    def gives(cls, name: str, *wrong: Callable[..., Any], says: str) -> Symptom:
        """The symptom of having computed one of ``wrong(*inputs)`` instead; several are one mistake made two ways.

        >>> Symptom.gives("scalar_mean", lambda W: W - W.mean(), says="That is the mean of all numbers.")
        """

        def when(got: Any, want: Any, *inputs: Any) -> bool:
            return any(answers.agree(got, formula(*inputs), want) for formula in wrong)

        return cls(name, when, says)

    @classmethod
    def from_truth(cls, name: str, wrong: Callable[..., Any], says: str) -> Symptom:
        """The symptom of having returned ``wrong(want, *inputs)``, written without the right formula.

        >>> Symptom.from_truth("half", lambda want, W: want / 2, says="Exactly half.")
        """
        return cls(name, lambda got, want, *inputs: answers.agree(got, wrong(want, *inputs), want), says)

    @classmethod
    def exceeds(cls, name: str, limit: str, says: str) -> Symptom:
        """The symptom of needing more ``"memory"`` or ``"time"`` than the part allows."""
        return cls(name, lambda got, want, *inputs: isinstance(got, Exceeded) and got.limit == limit, says)


@dataclass(frozen=True)
class Part:
    """One thing that the learner writes: a function or, with ``value``, a value about their own variant.

    ``takes`` and ``returns`` name axes, ``"n d_model"`` (the empty string is a single number or label); a tuple
    in ``returns`` asks for a tuple. ``kind`` is one of `mechpuzzles.answers.KINDS`. ``spec`` is the oracle: slow,
    plain, in float64, and independent of the solution. ``cases(rng)`` draws inputs from a `torch.Generator`; a
    case may carry its own truth instead of asking the spec. An answer is right where
    ``|got - want| <= tolerance * max(1, largest |want|)`` or, where that does not fit, where
    ``gap(got, want, *inputs) <= 1``.

    The cases of a value's part draw what the learner was given, from their own seed (`Puzzle.variant`); symptoms,
    mutants and alternatives are functions of it.
    """

    name: str
    takes: tuple[str, ...]
    returns: str | tuple[str, ...]
    points: int
    cases: Callable[..., Iterable[Case]]
    spec: Callable[..., Any] | None
    symptoms: tuple[Symptom, ...]
    hints: tuple[str, ...]
    meaning: str
    tolerance: float = 1e-4
    kind: str = "real"
    gap: Callable[..., float] | None = None
    value: bool = False

    def __post_init__(self) -> None:
        if self.kind not in answers.KINDS:
            raise ValueError(f"{self.name}: the kind is one of {', '.join(answers.KINDS)}, not {self.kind!r}")

    def symptom(self, name: str) -> Symptom:
        """The symptom of that name."""
        return next(s for s in self.symptoms if s.name == name)


@dataclass(frozen=True)
class Mutant:
    """Wrong code that real learners write, and the symptom whose sentence must meet it. Never released."""

    part: str
    shows: str
    answer: Callable[..., Any]


@dataclass(frozen=True)
class Alternative:
    """Right code in another style. Never released."""

    part: str
    style: str
    answer: Callable[..., Any]


@dataclass(frozen=True)
class FreeText:
    """A question that a person marks, with the points of its rubric."""

    name: str
    points: int
    rubric: tuple[str, ...]


@dataclass(frozen=True)
class Prediction:
    """Something to guess before looking: one of ``choices``, or a number ``between`` two bounds. Never marked."""

    name: str
    choices: tuple[str, ...] = ()
    between: tuple[float | int, float | int] = (-math.inf, math.inf)

    def check(self, value: Any) -> None:
        """Raise `PlainError` with what the guess should look like."""
        if self.choices:
            if value not in self.choices:
                raise PlainError(f"{self.name}: choose one of {', '.join(map(repr, self.choices))}; got {value!r}.")
            return
        lo, hi = self.between
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise PlainError(f"{self.name}: guess a number, such as 0.5; got {value!r}.")
        if not (math.isfinite(value) and lo <= value <= hi):
            raise PlainError(f"{self.name}: the number lies between {lo:g} and {hi:g}; got {value!r}.")


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
    problems: tuple[str, ...] = ()
    draw: Callable[[torch.Generator], Any] | None = None
    _hints_given: dict[str, int] = field(default_factory=dict, repr=False, compare=False)
    _variant_seed: list[int] = field(default_factory=lambda: [0], repr=False, compare=False)

    def __post_init__(self) -> None:
        names = [p.name for p in self.parts] + [f.name for f in self.free_text]
        if len(set(names)) < len(names):
            raise ValueError(f"{self.slug}: two parts share a name: {', '.join(names)}")

    def part(self, name: str) -> Part:
        """The part of that name, or a `PlainError` that lists the parts there are."""
        return _named(self.parts, name, "part")

    def check(self, name: str, answer: Any) -> None:
        """Say whether ``answer`` is right, and if not, why; raise `NotYet` unless it is.

        The inputs are the same at every call, so that a learner can work against them.
        """
        verdict = self._judge(name, answer, checks.PUBLIC_SEEDS)
        journal.record(self.slug, "check", part=name, outcome=verdict.outcome.value, symptom=verdict.symptom)
        self._say(verdict)

    def grade(self, name: str, answer: Any) -> None:
        """Like `check`, on inputs drawn afresh from the system's entropy; for hidden tests."""
        self._say(self._judge(name, answer, checks.fresh_seeds()), quiet=True)

    def variant(self, learner: str) -> Any:
        """What ``draw`` makes for this learner: their own model, circuit or planted truth.

        The seed comes from the learner's name or id; ``MECHPUZZLES_LEARNER`` overrides it, so that a grader decides.
        Checks of values are against the latest variant drawn.
        """
        if self.draw is None:
            raise PlainError(f"{self.slug} is the same for every learner.")
        who = os.environ.get("MECHPUZZLES_LEARNER") or learner
        if not isinstance(who, str) or not who.strip():
            raise PlainError("Put your name or id between the quotes: it decides which variant is yours.")
        digest = hashlib.sha256(f"{self.slug}/{who.strip()}".encode()).digest()
        self._variant_seed[0] = int.from_bytes(digest[:6], "big")
        return self.draw(torch.Generator().manual_seed(self._variant_seed[0]))

    def _judge(self, name: str, answer: Any, seeds: Iterable[int]) -> Verdict:
        part = self.part(name)
        if not part.value or answer is ... or answer is None:
            return checks.judge(part, answer, seeds)
        return checks.judge(part, lambda *drawn: answer, seeds=self._variant_seed)

    @staticmethod
    def _say(verdict: Verdict, quiet: bool = False) -> None:
        if verdict.outcome is not Outcome.RIGHT:
            raise NotYet(verdict)
        if not quiet:
            print(verdict.text())

    def hint(self, name: str = "") -> None:
        """Print the next hint for a part; the last one again when there are no more."""
        hints = self.part(name).hints
        given = self._hints_given.get(name, 0) + 1
        self._hints_given[name] = given
        number = min(given, len(hints))
        journal.record(self.slug, "hint", part=name, number=number)
        again = "That was the last hint; here it is again. " if given > len(hints) else ""
        print(textwrap.fill(f"{name}, hint {number} of {len(hints)}. {again}{hints[number - 1]}", 100))

    def predict(self, name: str, value: Any, because: str = "") -> None:
        """Keep a prediction, to be drawn into the picture that answers it. Nobody marks it.

        ``...`` (the cell as released) is not a prediction yet. Raises `PlainError` for a name that the puzzle does not
        declare, and for what is neither one of the choices nor a number in range.
        """
        prediction = _named(self.predictions, name, "prediction")
        if value is ... or value is None:
            print("Nothing kept yet. Replace the dots by your guess: a wrong guess costs nothing.")
            return
        prediction.check(value)
        journal.record(self.slug, "prediction", name=name, value=value, because=because)
        reason = f", because {because}." if because else ". Why? A reason makes a guess worth more."
        print(f"Kept: {name} = {value}{reason}")

    def prediction(self, name: str) -> Any | None:
        """The latest prediction of that name, or None."""
        _named(self.predictions, name, "prediction")
        return journal.latest(self.slug, "prediction", name=name, wanted="value")

    def recall(self, name: str) -> None:
        """Print the prediction of that name with its reason, to hold it against what was found."""
        value = self.prediction(name)
        if value is None:
            print(f"You made no guess about {name}.")
            return
        because = journal.latest(self.slug, "prediction", name=name, wanted="because")
        print(f"You said: {name} = {value}" + (f", because {because}." if because else "."))

    def reveal(self, rot13: str) -> None:
        """Show the answer decoded, once at least one part has been attempted."""
        attempts = (e for e in journal.entries(self.slug, "check") if e["outcome"] != Outcome.NOT_ATTEMPTED.value)
        if next(attempts, None) is None:
            print("Try a part first: the answer decodes after your first attempt. Until then it is rot13.")
        else:
            checks.show_markdown(codecs.decode(rot13, "rot13"))


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
                return puzzle
        tried.append(str(path.parent))
    raise FileNotFoundError(f"no puzzle.py declares {slug!r}; looked in " + ", ".join(dict.fromkeys(tried)))


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
