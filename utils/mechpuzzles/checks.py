"""Judge a learner's function: run it on inputs of ours, compare with the truth, and name what went wrong.

A comparison looks at type, then shape, then dtype, then values. It never broadcasts, never prints the expected value,
and only believes plain numbers, `torch.Tensor` and `numpy.ndarray` themselves: a subclass could lie about ``==``.
"""

from __future__ import annotations

import contextlib
import enum
import io
import math
import secrets
import sys
import textwrap
import traceback
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mechpuzzles.limits import Exceeded, Limits, run_within

if TYPE_CHECKING:
    from mechpuzzles.puzzle import Part, Symptom

PUBLIC_SEEDS = (0, 1, 2)
_FRESH_SEEDS = 4
_WIDTH = 100
_BOLD, _PLAIN = "\x1b[1m", "\x1b[0m"  # no colours: the page's theme has its own, light or dark


class Outcome(enum.Enum):
    """The four things that a check can find."""

    NOT_ATTEMPTED = "not attempted"
    RAISED = "raised"
    WRONG = "wrong"
    RIGHT = "right"


@dataclass(frozen=True)
class Case:
    """Inputs for one call; ``want`` is the truth where the case knows it by construction, else the spec is asked."""

    inputs: tuple[Any, ...]
    want: Any = None
    limits: Limits | None = None


@dataclass(frozen=True)
class Verdict:
    """What a check found, and the words for it."""

    part: str
    outcome: Outcome
    says: tuple[str, ...]
    symptom: str | None = None
    gap: float = 0.0

    def text(self, bold: bool = True) -> str:
        """The verdict as lines of at most 100 characters."""
        head, *rest = self.says
        lines = textwrap.wrap(head, _WIDTH)
        if bold:
            lines[0] = lines[0].replace(f"{self.part}:", f"{_BOLD}{self.part}:{_PLAIN}", 1)
        for says in rest:
            lines += textwrap.wrap(says, _WIDTH, initial_indent="  ", subsequent_indent="  ")
        return "\n".join(lines)


class PlainError(ValueError):
    """An error that says all there is to say; IPython shows its words and no traceback."""

    def _render_traceback_(self) -> list[str]:
        return textwrap.wrap(str(self), _WIDTH)


class NotYet(AssertionError):
    """An answer is not right yet; IPython shows its words and no traceback."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.text(bold=False))
        self.verdict = verdict

    def _render_traceback_(self) -> list[str]:
        return self.verdict.text().splitlines()


def fresh_seeds() -> tuple[int, ...]:
    """Seeds that nobody can know beforehand."""
    return tuple(secrets.randbits(32) for _ in range(_FRESH_SEEDS))


# ---- comparing ----------------------------------------------------------------------------------------------------


def agree(got: Any, wrong: Any, want: Any, tolerance: float = 1e-4) -> bool:
    """Whether ``got`` equals ``wrong`` in shape and to ``tolerance`` of the size of ``want``."""
    if isinstance(got, Exceeded):
        return False
    return distance(got, _plain(wrong), _plain(want), tolerance) <= 1


def distance(got: torch.Tensor, want: torch.Tensor, scale_of: torch.Tensor, tolerance: float) -> float:
    """The largest ``|got - want|``, in units of ``tolerance * max(1, |scale_of|)``; infinite for another shape."""
    if got.shape != want.shape:
        return math.inf
    if got.numel() == 0:
        return 0.0
    difference = (got - want).abs().max().item()
    largest = max(1.0, scale_of.abs().max().item())
    return math.inf if math.isnan(difference) else difference / (tolerance * largest)


def _plain(value: Any) -> torch.Tensor:
    return torch.as_tensor(value).detach().to("cpu", torch.float64)


def _read(value: Any, returns: str) -> torch.Tensor | str:
    """A learner's return value as a new float64 tensor, or what is wrong with its type."""
    if value is None:
        return "It returned None. Is the return missing?"
    kind = type(value)
    if kind in (float, int, np.float64, np.float32):
        return torch.tensor(float(value), dtype=torch.float64)
    if kind is torch.nn.Parameter:
        value, kind = value.detach(), torch.Tensor
    if kind is np.ndarray and value.dtype.kind in "fiubc":
        value, kind = torch.from_numpy(np.array(value)), torch.Tensor
    if kind is not torch.Tensor:
        return f"It returned {_a(kind.__name__)}; return {'a tensor' if returns else 'a number'}."
    if value.dtype not in (torch.float32, torch.float64):
        return f"It returned numbers of type {str(value.dtype).removeprefix('torch.')}; they should be float32."
    return value.detach().to("cpu", torch.float64).clone()


def _a(noun: str) -> str:
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"


def _show_shape(shape: Sequence[int], axes: str = "") -> str:
    names = axes.split()
    if len(names) != len(shape):
        return "[" + ", ".join(f"{size:,}" for size in shape) + "]" if len(shape) else "a single number"
    return (
        "[" + ", ".join(f"{a}={size:,}" for a, size in zip(names, shape, strict=True)) + "]"
        if names
        else "a single number"
    )


# ---- running ------------------------------------------------------------------------------------------------------


@dataclass
class _Run:
    """One call of the learner's function."""

    case: Case
    want: torch.Tensor
    got: torch.Tensor | Exceeded | None = None
    problem: tuple[str, str] | None = None  # name and sentence of what is wrong before any value is looked at
    error: BaseException | None = None
    gap: float = math.inf
    noise: str = ""

    @property
    def right(self) -> bool:
        return self.gap <= 1


def judge(part: Part, answer: Any, seeds: Iterable[int]) -> Verdict:
    """The verdict on ``answer``: each seed's small cases first, then, if all are right, the limited ones once."""
    if answer is ... or answer is None:
        return _not_attempted(part)
    if not callable(answer):
        return Verdict(
            part.name, Outcome.WRONG, (f"{part.name}: not yet. It is {_a(type(answer).__name__)}, not a function.",)
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
    return _verdict(part, answer, runs)


def measure(part: Part, answer: Callable[..., Any], seed: int, limited: bool) -> float:
    """How far ``answer`` is from right on one draw: its largest distance over the cases, in tolerances.

    Over the small cases, or over the limited ones; 0 if there are none.
    """
    cases = part.cases(torch.Generator().manual_seed(seed))
    return max((_run(part, answer, case).gap for case in cases if (case.limits is not None) == limited), default=0.0)


def _run(part: Part, answer: Callable[..., Any], case: Case) -> _Run:
    want = _plain(part.spec(*_copies(case.inputs)) if case.want is None else case.want)
    run = _Run(case, want)
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
    read = _read(value, part.returns)
    if isinstance(read, str):
        run.problem = "wrong_type", read
    elif not all(_same(a, b) for a, b in zip(given, case.inputs, strict=True)):
        run.problem = (
            "changes_its_input",
            "It alters its input: whoever passed the tensor finds other numbers in it. Make a new one.",
        )
    else:
        run.got = read
        run.gap = distance(read, want, want, part.tolerance)
    return run


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


# ---- saying -------------------------------------------------------------------------------------------------------


def _verdict(part: Part, answer: Any, runs: list[_Run]) -> Verdict:
    failed = next((run for run in runs if run.error is not None), None)
    gap = max((run.gap for run in runs), default=0.0)
    if failed is not None and isinstance(failed.error, NotImplementedError) and not str(failed.error):
        return _not_attempted(part)
    noise = _noise(runs)
    if failed is not None:
        return Verdict(part.name, Outcome.RAISED, (*_raised(part, answer, failed), *noise), gap=math.inf)
    wrong = [run for run in runs if not run.right]
    if not wrong:
        right = f"{part.name}: right on the public checks. {part.meaning}"
        return Verdict(part.name, Outcome.RIGHT, (right, *noise), gap=gap)
    name, sentence = _diagnosis(part, wrong)
    says = (f"{part.name}: not yet. {sentence}", *_details(part, wrong[0]), *noise)
    return Verdict(part.name, Outcome.WRONG, says, name, gap)


def _not_attempted(part: Part) -> Verdict:
    says = f"{part.name}: not attempted yet. Cells below may wait for it. For a nudge: puzzle.hint({part.name!r})"
    return Verdict(part.name, Outcome.NOT_ATTEMPTED, (says,), gap=math.inf)


def _diagnosis(part: Part, wrong: list[_Run]) -> tuple[str | None, str]:
    """Name and sentence of the first symptom that holds on every wrong case, else of what can be said without one."""
    for run in wrong:
        if run.problem is not None:
            return run.problem
    for symptom in part.symptoms:
        if all(symptom.when(run.got, run.want, *_copies(run.case.inputs)) for run in wrong):
            return symptom.name, _sentence(symptom, part, wrong[0])
    return None, f"{_unexplained(wrong[0])} For a nudge: puzzle.hint({part.name!r})"


def _sentence(symptom: Symptom, part: Part, run: _Run) -> str:
    broke = run.got.what if isinstance(run.got, Exceeded) else ""
    return symptom.says.format(broke=broke, **_axis_sizes(part, run.case.inputs))


def _axis_sizes(part: Part, inputs: tuple[Any, ...]) -> dict[str, str]:
    sizes: dict[str, str] = {}
    for axes, value in zip(part.takes, inputs, strict=True):
        if isinstance(value, torch.Tensor):
            sizes |= {name: f"{size:,}" for name, size in zip(axes.split(), value.shape, strict=True)}
    return sizes


def _unexplained(run: _Run) -> str:
    if isinstance(run.got, Exceeded):
        return f"Right on small inputs, but on a large one {run.got.what}."
    assert run.got is not None
    if run.got.shape != run.want.shape:
        return "The shape is not the one asked for."
    return "There is a NaN in it." if run.got.isnan().any() else "The value is not the one asked for."


def _details(part: Part, run: _Run) -> list[str]:
    if run.got is None or isinstance(run.got, Exceeded):
        return []
    on = _on_inputs(part, run.case.inputs)
    if run.got.shape != run.want.shape:
        return [f"Shape: got {_show_shape(run.got.shape)}, wanted {_show_shape(run.want.shape, part.returns)}, {on}."]
    if run.want.ndim == 0:
        return [f"Type and shape are right. You returned {run.got.item():.4g} {on}."]
    off = (run.got - run.want).abs()
    limit = part.tolerance * max(1.0, run.want.abs().max().item())
    first = (~(off <= limit)).nonzero()[0]
    where = ", ".join(f"{axis}={i}" for axis, i in zip(part.returns.split(), first.tolist(), strict=True))
    value = run.got[tuple(first)].item()
    return [
        f"Type and shape are right. The first entry that differs is {where}, where you returned {value:.4g} ({on})."
    ]


def _on_inputs(part: Part, inputs: tuple[Any, ...]) -> str:
    shapes = [
        _show_shape(value.shape, axes)
        for axes, value in zip(part.takes, inputs, strict=True)
        if isinstance(value, torch.Tensor)
    ]
    return f"on an input of shape {' and '.join(shapes)}"


def _raised(part: Part, answer: Callable[..., Any], run: _Run) -> list[str]:
    error = run.error
    assert error is not None
    message = str(error).strip().splitlines()
    says = [f"{part.name}: your code raised {type(error).__name__}" + (f": {message[0]}" if message else ".")]
    own_file = getattr(getattr(answer, "__code__", None), "co_filename", None)
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == own_file]
    if frames and frames[-1].line:
        says.append(f"At this line of yours:  {frames[-1].line}")
    says.append(f"It was called {_on_inputs(part, run.case.inputs)}.")
    return says


def _noise(runs: list[_Run]) -> list[str]:
    heard = list(dict.fromkeys(line for run in runs for line in run.noise.splitlines() if line.strip()))
    if not heard:
        return []
    more = f" (and {len(heard) - 3} lines more)" if len(heard) > 3 else ""
    return [
        "While it ran, your code said: "
        + " / ".join(textwrap.shorten(line, 200, placeholder=" ...") for line in heard[:3])
        + more
    ]


def show_markdown(text: str) -> None:
    """Show Markdown in a notebook, and plain text elsewhere."""
    ipython = sys.modules.get("IPython")
    if ipython is None or ipython.get_ipython() is None:
        print(text)
    else:
        from IPython.display import Markdown, display

        display(Markdown(text))
