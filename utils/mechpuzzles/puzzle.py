"""What a puzzle is: parts that are checked, symptoms that explain, hints, predictions and a reveal."""

from __future__ import annotations

import codecs
import importlib.util
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from mechpuzzles import checks, journal
from mechpuzzles.checks import Case, NotYet, Outcome, Verdict

__all__ = ["Alternative", "Case", "Mutant", "Part", "Puzzle", "Symptom", "load_puzzle"]


@dataclass(frozen=True)
class Symptom:
    """A named way of being wrong, recognised from what the learner returned, with one sentence about it.

    ``when(got, want, *inputs) -> bool`` sees the learner's answer and the true one as float64 tensors (an answer
    that broke a limit arrives as `checks.Exceeded`). A symptom is reported only if it holds on every case whose
    answer is wrong. ``says`` may use the sizes of the part's axes by name, as in ``"{n} ones"``.
    """

    name: str
    when: Callable[..., bool]
    says: str

    @classmethod
    def gives(cls, name: str, wrong: Callable[..., Any], says: str) -> Symptom:
        """The symptom of having computed ``wrong(*inputs)`` instead.

        >>> Symptom.gives("scalar_mean", lambda W: W - W.mean(), "That is the mean of all numbers.")
        """
        return cls(name, lambda got, want, *inputs: checks.agree(got, wrong(*inputs), want), says)

    @classmethod
    def exceeds(cls, name: str, says: str) -> Symptom:
        """The symptom of needing more memory or time than the part allows."""
        return cls(name, lambda got, want, *inputs: isinstance(got, checks.Exceeded), says)


@dataclass(frozen=True)
class Part:
    """One function that the learner writes.

    ``takes`` and ``returns`` name axes, ``"n d_model"`` (the empty string is a single number). ``spec`` is the
    oracle: slow, plain, in float64, and independent of the solution. ``cases(rng)`` draws inputs from a
    `torch.Generator`; a case may carry its own truth instead of asking the spec. An answer is right where
    ``|got - want| <= tolerance * max(1, largest |want|)``.
    """

    name: str
    takes: tuple[str, ...]
    returns: str
    points: int
    cases: Callable[..., Iterable[Case]]
    spec: Callable[..., Any]
    symptoms: tuple[Symptom, ...]
    hints: tuple[str, ...]
    meaning: str
    tolerance: float = 1e-4

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
    after: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    _hints_given: dict[str, int] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        names = [p.name for p in self.parts] + [f.name for f in self.free_text]
        if len(set(names)) < len(names):
            raise ValueError(f"{self.slug}: two parts share a name: {', '.join(names)}")

    def part(self, name: str) -> Part:
        """The part of that name, or a `KeyError` that lists the parts there are."""
        for part in self.parts:
            if part.name == name:
                return part
        raise KeyError(f"{self.slug} has no part {name!r}; its parts are {', '.join(p.name for p in self.parts)}")

    def check(self, name: str, answer: Any) -> None:
        """Say whether ``answer`` is right, and if not, why; raise `NotYet` unless it is.

        The inputs are the same at every call, so that a learner can work against them.
        """
        verdict = checks.judge(self.part(name), answer, seeds=checks.PUBLIC_SEEDS)
        journal.record(self.slug, "check", part=name, outcome=verdict.outcome.value, symptom=verdict.symptom)
        self._say(verdict)

    def grade(self, name: str, answer: Any) -> None:
        """Like `check`, on inputs drawn afresh from the system's entropy; for hidden tests."""
        self._say(checks.judge(self.part(name), answer, seeds=checks.fresh_seeds()), quiet=True)

    @staticmethod
    def _say(verdict: Verdict, quiet: bool = False) -> None:
        if verdict.outcome is not Outcome.RIGHT:
            raise NotYet(verdict)
        if not quiet:
            print(verdict.text())

    def hint(self, name: str) -> None:
        """Print the next hint for a part; the last one again when there are no more."""
        hints = self.part(name).hints
        given = min(self._hints_given.get(name, 0) + 1, len(hints))
        self._hints_given[name] = given
        journal.record(self.slug, "hint", part=name, number=given)
        print(f"{name}, hint {given} of {len(hints)}. {hints[given - 1]}")

    def predict(self, name: str, value: Any, because: str = "") -> None:
        """Keep a prediction, to be drawn into the picture that answers it. Nobody marks it.

        ``value`` is a number or one word; ``...`` (the cell as released) is not a prediction yet.
        """
        if value is ... or value is None or value == "":
            print(f"Nothing kept for “{name}” yet. Replace the dots by your guess: a wrong guess costs nothing.")
            return
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise TypeError(f"a prediction is a number or a word, not {type(value).__name__}")
        if isinstance(value, float | int) and not -float("inf") < value < float("inf"):
            raise ValueError("a prediction is a finite number")
        journal.record(self.slug, "prediction", name=name, value=value, because=because)
        print(
            f"Kept: {name} = {value}"
            + (f", because {because}" if because else ". (Why? A reason makes it worth more.)")
        )

    def prediction(self, name: str) -> Any | None:
        """The latest prediction of that name, or None."""
        return journal.latest(self.slug, "prediction", name=name, wanted="value")

    def reveal(self, rot13: str) -> None:
        """Decode the answer, once at least one part has been attempted; until then show it in rot13."""
        attempts = (e for e in journal.entries(self.slug, "check") if e["outcome"] != Outcome.NOT_ATTEMPTED.value)
        if next(attempts, None) is None:
            print("Try a part first: the answer decodes after your first attempt. (It is rot13.)\n")
            print(rot13)
        else:
            checks.show_markdown(codecs.decode(rot13, "rot13"))


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
