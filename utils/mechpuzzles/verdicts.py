"""The words for what a check found: outcome, symptom's sentence, shapes, the first entry that differs.

The expected value is never among them.
"""

from __future__ import annotations

import enum
import math
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from mechpuzzles.answers import Answer, distance, shape_of, show_shape
from mechpuzzles.limits import Exceeded, Limits

if TYPE_CHECKING:
    from mechpuzzles.parts import Part, Symptom

_WIDTH = 100
_MOST_DRAWN = 400  # entries of a tensor
_AGAIN = "Change the answer above, run it, and run this cell again."
_BOLD, _PLAIN = "\x1b[1m", "\x1b[0m"  # no colours: the page's theme has its own, light or dark


def _lines(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)


class Outcome(enum.Enum):
    """The four things that a check can find."""

    NOT_ATTEMPTED = "not attempted"
    RAISED = "raised"
    WRONG = "wrong"
    RIGHT = "right"


@dataclass(frozen=True)
class Verdict:
    """What a check found, and the words for it."""

    part: str
    outcome: Outcome
    says: tuple[str, ...]
    symptom: str | None = None
    gap: float = 0.0
    beside: tuple[torch.Tensor, torch.Tensor] | None = None  # the learner's and the target, to be drawn

    def text(self, bold: bool = True) -> str:
        """The verdict as lines of at most 100 characters."""
        head, *rest = self.says
        lines = _lines(head)
        if bold:
            lines[0] = lines[0].replace(f"{self.part}:", f"{_BOLD}{self.part}:{_PLAIN}", 1)
        for says in rest:
            lines += _lines(says, "  ")
        return "\n".join(lines)


class PlainError(ValueError):
    """An error that says all there is to say; IPython shows its words and no traceback."""

    def _render_traceback_(self) -> list[str]:
        return _lines(str(self))


class NotYet(AssertionError):
    """An answer is not right yet; IPython shows its words and no traceback, or a line where a card has said them."""

    def __init__(self, verdict: Verdict, shown: bool = False) -> None:
        super().__init__(verdict.text(bold=False))
        self.verdict, self.shown = verdict, shown

    def _render_traceback_(self) -> list[str]:
        return [_AGAIN] if self.shown else self.verdict.text().splitlines()


@dataclass(frozen=True)
class Case:
    """Inputs for one call; ``want`` is the truth where the case knows it by construction, else the spec is asked."""

    inputs: tuple[Any, ...]
    want: Any = None
    limits: Limits | None = None


@dataclass
class Run:
    """One call of the learner's function."""

    case: Case
    want: Answer
    got: Answer | None = None
    problem: tuple[str, str] | None = None  # name and sentence of what is wrong before any value is looked at
    error: BaseException | None = None
    line: str = ""  # the learner's lines that the error passed through, see `Called`
    gap: float = math.inf
    noise: str = ""

    @property
    def right(self) -> bool:
        return self.gap <= 1


def explain(part: Part, runs: list[Run]) -> Verdict:
    """The verdict on a learner's function, from all its runs."""
    failed = next((run for run in runs if run.error is not None), None)
    gap = max((run.gap for run in runs), default=0.0)
    if failed is not None and isinstance(failed.error, NotImplementedError) and not str(failed.error):
        return not_attempted(part)
    noise = _noise(runs)
    if failed is not None:
        return Verdict(part.name, Outcome.RAISED, (*_raised(part, failed), *noise), gap=math.inf)
    wrong = [run for run in runs if not run.right]
    if not wrong:
        right = f"{part.name}: right on the public checks. {part.meaning}"
        return Verdict(part.name, Outcome.RIGHT, (right, *noise), gap=gap)
    name, sentence = _diagnosis(part, wrong)
    says = (f"{part.name}: not yet. {sentence}", *_details(part, wrong[0]), *noise)
    return Verdict(part.name, Outcome.WRONG, says, name, gap, _beside(part, wrong[0]))


def _beside(part: Part, run: Run) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Yours and the target where a picture can hold both; never of a value, which is a learner's own secret."""
    got, want, axes = run.got, run.want, part.returns
    if part.value or part.gap or run.got is None or isinstance(got, Exceeded):
        return None
    if isinstance(axes, tuple) and isinstance(got, tuple) and isinstance(want, tuple):
        got, want = next(pair for pair in zip(got, want, strict=True) if not _close(*pair, part.tolerance))
    if not (isinstance(got, torch.Tensor) and isinstance(want, torch.Tensor) and got.shape == want.shape):
        return None
    return (got.double(), want.double()) if got.ndim in (1, 2) and 2 <= got.numel() <= _MOST_DRAWN else None


def not_attempted(part: Part) -> Verdict:
    """The verdict on a stub."""
    says = f"{part.name}: not attempted yet. Cells below may wait for it. For a nudge: puzzle.hint({part.name!r})"
    return Verdict(part.name, Outcome.NOT_ATTEMPTED, (says,), gap=math.inf)


def _diagnosis(part: Part, wrong: list[Run]) -> tuple[str | None, str]:
    """Name and sentence of the first symptom that holds on every wrong case, else of what can be said without one."""
    for run in wrong:
        if run.problem is not None:
            return run.problem
    for symptom in part.symptoms:
        if all(_shows(symptom, run) for run in wrong):
            return symptom.name, _sentence(symptom, part, wrong[0])
    return None, f"{_unexplained(wrong[0])} For a nudge: puzzle.hint({part.name!r})"


def _shows(symptom: Symptom, run: Run) -> bool:
    inputs = (value.clone() if isinstance(value, torch.Tensor) else value for value in run.case.inputs)
    try:
        return bool(symptom.when(run.got, run.want, *inputs))
    except Exception:  # a formula that does not fit this answer's shape or type; the learner is not to pay for it
        return False


def _sentence(symptom: Symptom, part: Part, run: Run) -> str:
    broke = run.got.what if isinstance(run.got, Exceeded) else ""
    return symptom.says.format(broke=broke, **_axis_sizes(part, run.case.inputs))


def _axis_sizes(part: Part, inputs: tuple[Any, ...]) -> dict[str, str]:
    sizes: dict[str, str] = {}
    for axes, value in zip(part.takes, inputs, strict=False):
        if isinstance(value, torch.Tensor) and value.ndim == len(axes.split()):
            sizes |= {name: f"{size:,}" for name, size in zip(axes.split(), value.shape, strict=True)}
    return sizes


def _unexplained(run: Run) -> str:
    if isinstance(run.got, Exceeded):
        return f"Right on small inputs, but on a large one {run.got.what}."
    if shape_of(run.got) != shape_of(run.want):
        return "The shape is not the one asked for."
    numbers = run.got if isinstance(run.got, tuple) else (run.got,)
    if any(isinstance(one, torch.Tensor) and one.isnan().any() for one in numbers):
        return "There is a NaN in it."
    return "The value is not the one asked for."


def _details(part: Part, run: Run) -> list[str]:
    """Shape got and wanted or, where that is right, the first entry that differs; for values of variants neither."""
    if run.got is None or isinstance(run.got, Exceeded) or part.value or part.gap:
        return []
    got, want, axes, which = run.got, run.want, part.returns, ""
    if isinstance(axes, tuple):
        number = next(i for i, (g, w) in enumerate(zip(got, want, strict=True)) if not _close(g, w, part.tolerance))
        got, want, axes, which = got[number], want[number], axes[number], f"value {number + 1} of {len(got)}, "
    on = _on_inputs(part, run.case.inputs)
    if shape_of(got) != shape_of(want):
        return [f"Shape: {which}got {show_shape(shape_of(got))}, wanted {show_shape(shape_of(want), axes)}{on}."]
    if not shape_of(want):
        value = _short(got) if isinstance(got, str) else f"{_number(got)}"
        return [f"Type and shape are right. You returned {which}{value}{on}."]
    first = _first_difference(got, want, part.tolerance)
    where = ", ".join(f"{axis}={i}" for axis, i in zip(axes.split(), first, strict=True))
    value = _short(got[first[0]]) if isinstance(got, tuple) else _number(got[tuple(first)])
    return [
        f"Type and shape are right. The first entry that differs is {which}{where}, where you returned {value}{on}."
    ]


def _number(value: torch.Tensor) -> str:
    return str(value.item()) if value.dtype == torch.int64 else f"{value.item():.4g}"


def _short(label: str) -> str:
    return label if len(label) <= _WIDTH else f"{label[:_WIDTH]} ..."


def _close(got: Answer, want: Answer, tolerance: float) -> bool:
    return distance(got, want, want, tolerance) <= 1


def _first_difference(got: Answer, want: Answer, tolerance: float) -> list[int]:
    if isinstance(got, tuple):
        return [next(i for i, (g, w) in enumerate(zip(got, want, strict=True)) if g != w)]
    limit = tolerance * max(1.0, want.abs().max().item()) if want.dtype == torch.float64 else 0
    return (~((got - want).abs() <= limit)).nonzero()[0].tolist()


def _on_inputs(part: Part, inputs: tuple[Any, ...]) -> str:
    shapes = [
        show_shape(value.shape, axes)
        for axes, value in zip(part.takes, inputs, strict=False)
        if isinstance(value, torch.Tensor) and value.ndim
    ]
    return f", on an input of shape {' and '.join(shapes)}" if shapes else ""


def _raised(part: Part, run: Run) -> list[str]:
    error = run.error
    assert error is not None
    message = str(error).strip().splitlines()
    says = [f"{part.name}: your code raised {type(error).__name__}" + (f": {message[0]}" if message else ".")]
    says += [f"In {place}:  {line}" for place, _, line in (one.partition("\t") for one in run.line.splitlines()[:3])]
    if on := _on_inputs(part, run.case.inputs):
        says.append(f"It was called{on.removeprefix(',')}.")
    return says


def _noise(runs: list[Run]) -> list[str]:
    heard = list(dict.fromkeys(line for run in runs for line in run.noise.splitlines() if line.strip()))
    if not heard:
        return []
    more = f" (and {len(heard) - 3} lines more)" if len(heard) > 3 else ""
    return [
        "While it ran, your code said: "
        + " / ".join(textwrap.shorten(line, 200, placeholder=" ...") for line in heard[:3])
        + more
    ]
