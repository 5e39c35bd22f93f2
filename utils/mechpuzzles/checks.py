"""Judge a learner's function: run it on inputs of ours, and compare what it returns with the truth."""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from mechpuzzles.answers import Unreadable, distance, read, truth, with_article
from mechpuzzles.calls import call, copies
from mechpuzzles.limits import Exceeded
from mechpuzzles.verdicts import Case, Outcome, Run, Verdict, explain, not_attempted

if TYPE_CHECKING:
    from mechpuzzles.parts import Part

PUBLIC_SEEDS = (0, 1, 2)
_FRESH_SEEDS = 4
_ALTERED = "It alters its input: whoever passed the tensor finds other numbers in it. Make a new one."


def fresh_seeds() -> tuple[int, ...]:
    """Seeds that nobody can know beforehand."""
    return tuple(secrets.randbits(32) for _ in range(_FRESH_SEEDS))


@dataclass(frozen=True)
class Draw:
    """Inputs that were drawn once, for many answers: the small cases with their truth, and the limited ones."""

    small: tuple[Case, ...]
    limited: tuple[Case, ...]


def draw(part: Part, seeds: Iterable[int]) -> Draw:
    """The small cases of every seed, and the limited ones of the last."""
    small: list[Case] = []
    limited: list[Case] = []
    for seed in seeds:
        drawn = list(part.cases(torch.Generator().manual_seed(seed)))
        small += [replace(case, want=_expected(part, case)) for case in drawn if case.limits is None]
        limited = [case for case in drawn if case.limits is not None]
    return Draw(tuple(small), tuple(limited))


def judge(part: Part, answer: Any, seeds: Iterable[int] | Draw) -> Verdict:
    """The verdict on ``answer``: the small cases first, then, if all are right, the limited ones."""
    if answer is ... or answer is None:
        return not_attempted(part)
    if not callable(answer):
        return Verdict(
            part.name,
            Outcome.WRONG,
            (f"{part.name}: not yet. It is {with_article(type(answer).__name__)}, not a function.",),
        )
    drawn = seeds if isinstance(seeds, Draw) else draw(part, seeds)
    runs = [_run(part, answer, case) for case in drawn.small]
    for case in drawn.limited:
        if all(run.right for run in runs):
            runs.append(_run(part, answer, case))
    return explain(part, runs)


def measure(part: Part, answer: Callable[..., Any], cases: Iterable[Case]) -> float:
    """How far ``answer`` is from right: its largest distance over the cases, in tolerances; 0 if there are none."""
    worst = 0.0
    for case in cases:
        worst = max(worst, _run(part, answer, case).gap)
        if worst == math.inf:
            break
    return worst


def _run(part: Part, answer: Any, case: Case) -> Run:
    want = truth(_expected(part, case), part.kind)
    called = call(answer, case.inputs, case.limits, part.driver)
    run = Run(case, want, error=called.error, line=called.line, noise=called.noise)
    if run.error is not None:
        return run
    if isinstance(called.value, Exceeded):
        run.got = called.value
        return run
    if called.value is ...:
        run.error = NotImplementedError()
        return run
    try:
        got = read(called.value, part.returns, part.kind)
    except Unreadable as sentence:
        run.problem = "wrong_type", str(sentence)
        return run
    if called.altered:
        run.problem = "changes_its_input", _ALTERED
        return run
    run.got = got
    run.gap = part.gap(got, want, *case.inputs) if part.gap else distance(got, want, want, part.tolerance)
    return run


def _expected(part: Part, case: Case) -> Any:
    if case.want is not None:
        return case.want
    if part.spec is None:
        raise ValueError(f"{part.name} has no spec, and a case has no truth of its own")
    return part.spec(*copies(case.inputs))
