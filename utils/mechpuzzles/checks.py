"""Judge a learner's function: run it on inputs of ours, and compare what it returns with the truth."""

from __future__ import annotations

import contextlib
import io
import secrets
import sys
import warnings
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import torch

from mechpuzzles.answers import Unreadable, distance, read, truth, with_article
from mechpuzzles.limits import Exceeded, run_within
from mechpuzzles.verdicts import Case, Outcome, Run, Verdict, explain, not_attempted

if TYPE_CHECKING:
    from mechpuzzles.parts import Part

PUBLIC_SEEDS = (0, 1, 2)
_FRESH_SEEDS = 4
_ALTERED = "It alters its input: whoever passed the tensor finds other numbers in it. Make a new one."


def fresh_seeds() -> tuple[int, ...]:
    """Seeds that nobody can know beforehand."""
    return tuple(secrets.randbits(32) for _ in range(_FRESH_SEEDS))


def judge(part: Part, answer: Any, seeds: Iterable[int]) -> Verdict:
    """The verdict on ``answer``: each seed's small cases first, then, if all are right, the limited ones once."""
    if answer is ... or answer is None:
        return not_attempted(part)
    if not callable(answer):
        return Verdict(
            part.name,
            Outcome.WRONG,
            (f"{part.name}: not yet. It is {with_article(type(answer).__name__)}, not a function.",),
        )
    small: list[Case] = []
    limited: list[Case] = []
    for seed in seeds:
        drawn = list(part.cases(torch.Generator().manual_seed(seed)))
        small += [case for case in drawn if case.limits is None]
        limited = [case for case in drawn if case.limits is not None]
    runs = [_run(part, answer, case) for case in small]
    for case in limited:
        if all(run.right for run in runs):
            runs.append(_run(part, answer, case))
    return explain(part, answer, runs)


def measure(part: Part, answer: Callable[..., Any], seed: int, limited: bool) -> float:
    """How far ``answer`` is from right on one draw: its largest distance over the cases, in tolerances.

    Over the small cases, or over the limited ones; 0 if there are none.
    """
    cases = part.cases(torch.Generator().manual_seed(seed))
    return max((_run(part, answer, case).gap for case in cases if (case.limits is not None) == limited), default=0.0)


def _run(part: Part, answer: Callable[..., Any], case: Case) -> Run:
    want = truth(_expected(part, case), part.kind)
    run = Run(case, want)
    given = _copies(case.inputs)
    with _listening() as heard:
        try:
            value = run_within(case.limits, answer, *given) if case.limits else answer(*given)
        except (Exception, SystemExit) as error:
            run.error = error
    run.noise = heard()
    if run.error is not None:
        return run
    if isinstance(value, Exceeded):
        run.got = value
        return run
    if value is ...:
        run.error = NotImplementedError()
        return run
    try:
        got = read(value, part.returns, part.kind)
    except Unreadable as sentence:
        run.problem = "wrong_type", str(sentence)
        return run
    if not all(_same(a, b) for a, b in zip(given, case.inputs, strict=True)):
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
    return part.spec(*_copies(case.inputs))


def _copies(inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(i.clone() if isinstance(i, torch.Tensor) else i for i in inputs)


def _same(a: Any, b: Any) -> bool:
    return torch.equal(a, b) if isinstance(b, torch.Tensor) else a == b


@contextlib.contextmanager
def _listening():
    """Keep what the learner's code prints and warns; the context's value returns it afterwards."""
    out = io.StringIO()
    with (
        warnings.catch_warnings(record=True) as warned,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(out),
    ):
        warnings.simplefilter("always")
        yield lambda: out.getvalue() + "".join(f"{w.category.__name__}: {w.message}\n" for w in warned)


def show_markdown(text: str) -> None:
    """Show Markdown in a notebook, and plain text elsewhere."""
    ipython = sys.modules.get("IPython")
    if ipython is None or ipython.get_ipython() is None:
        print(text)
    else:
        from IPython.display import Markdown, display

        display(Markdown(text))
