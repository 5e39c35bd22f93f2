"""What an author declares: parts, symptoms, predictions and free text; never released, mutants and alternatives."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from mechpuzzles import answers
from mechpuzzles.limits import Exceeded
from mechpuzzles.verdicts import Case, PlainError


def grade_id(mark: str, name: str) -> str:
    """The id, in a notebook and to nbgrader, of the cell with a mark: ``check="my_heads"`` has ``check-my-heads``."""
    return f"{mark}-{name}".replace("_", "-")


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
    def gives(cls, name: str, *wrong: Callable[..., Any], says: str, at: int | None = None) -> Symptom:
        """The symptom of having computed one of ``wrong(*inputs)`` instead; several are one mistake made two ways.

        Where the answer is a tuple, ``at`` is the place of the one value that this is about, whatever the others are.

        >>> Symptom.gives("scalar_mean", lambda W: W - W.mean(), says="That is the mean of all numbers.")
        """

        def when(got: Any, want: Any, *inputs: Any) -> bool:
            got, want = (got, want) if at is None else (got[at], want[at])
            return any(answers.agree(got, formula(*inputs), want) for formula in wrong)

        return cls(name, when, says)

    @classmethod
    def from_truth(cls, name: str, *wrong: Callable[..., Any], says: str, at: int | None = None) -> Symptom:
        """The symptom of having returned one of ``wrong(want, *inputs)``, written without the right formula.

        ``at`` as for `gives`; ``want`` is then that one value.

        >>> Symptom.from_truth("half", lambda want, W: want / 2, says="Exactly half.")
        """

        def when(got: Any, want: Any, *inputs: Any) -> bool:
            got, want = (got, want) if at is None else (got[at], want[at])
            return any(answers.agree(got, formula(want, *inputs), want) for formula in wrong)

        return cls(name, when, says)

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

    A hook, or a function of a model, is not called with the inputs but by a public ``driver(answer, *inputs)`` of
    `mechpuzzles.drivers`, which takes a model by its name: inputs and results are plain data, so that whoever grades
    need not share a process, or a model, with the learner's code.

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
    driver: Callable[..., Any] | None = None

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
    """Something to guess before looking: one of ``choices``, or a number ``between`` two bounds. Never marked.

    ``right`` is the choice that the puzzle turns out to support; without it, the notebook says what was found. A number
    counts as right when it is ``within`` so much of what was found, by default a tenth of the way between the bounds.
    """

    name: str
    choices: tuple[str, ...] = ()
    between: tuple[float | int, float | int] = (-math.inf, math.inf)
    right: str | None = None
    within: float | int | None = None

    def __post_init__(self) -> None:
        if self.right is not None and self.right not in self.choices:
            raise ValueError(f"{self.name}: {self.right!r} is none of the choices {', '.join(self.choices)}")

    def check(self, value: Any, sure: Any = None) -> None:
        """Raise `PlainError` with what the guess should look like."""
        if sure is not None and (isinstance(sure, bool) or not isinstance(sure, int | float) or not 0 <= sure <= 1):
            raise PlainError(f"{self.name}: sure is between 0, a mere guess, and 1, certain; got {sure!r}.")
        if self.choices:
            if value not in self.choices:
                raise PlainError(f"{self.name}: choose one of {', '.join(map(repr, self.choices))}; got {value!r}.")
            return
        lo, hi = self.between
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise PlainError(f"{self.name}: guess a number, such as 0.5; got {value!r}.")
        if not (math.isfinite(value) and lo <= value <= hi):
            raise PlainError(f"{self.name}: the number lies between {lo:g} and {hi:g}; got {value!r}.")

    def plain(self, found: Any) -> str | float | None:
        """What a notebook found, as a plain choice or a finite number; None for neither."""
        if found is None or self.choices:
            return found if found in self.choices else None
        with contextlib.suppress(TypeError, ValueError, RuntimeError):
            return number if math.isfinite(number := float(found)) else None
        return None

    def hit(self, guess: Any, found: Any) -> bool:
        """Whether a guess was right."""
        if self.choices:
            return bool(guess == found)
        lo, hi = self.between
        tenth = 0.1 * (hi - lo if math.isfinite(hi - lo) else abs(found))
        return abs(guess - found) <= (tenth if self.within is None else self.within)
