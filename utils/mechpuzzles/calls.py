"""One call of a learner's function: what it returned or raised, what it said, and whether it altered its inputs.

The function may live in another process (`Elsewhere`): whoever judges it need not trust it.
"""

from __future__ import annotations

import abc
import contextlib
import functools
import inspect
import io
import re
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from mechpuzzles.limits import Limits, run_within


@dataclass(frozen=True)
class Called:
    """What one call came to."""

    value: Any = None
    error: BaseException | None = None
    line: str = ""  # of the learner's own code that the error passed through: lines of "place<tab>source"
    noise: str = ""  # what it printed and warned
    altered: bool = False  # whether it wrote into its inputs


class Elsewhere(abc.ABC):
    """A learner's function in a process that is not trusted. Calling it is a call with no more ado."""

    @abc.abstractmethod
    def call(self, inputs: tuple[Any, ...], limits: Limits | None, driver: Callable[..., Any] | None) -> Called:
        """Like `call`, over there."""

    def __call__(self, *inputs: Any) -> Any:
        called = self.call(inputs, None, None)
        print(called.noise, end="")
        if called.error is not None:
            raise called.error
        return called.value


def call(
    answer: Callable[..., Any], inputs: tuple[Any, ...], limits: Limits | None, driver: Callable[..., Any] | None
) -> Called:
    """Call ``answer(*inputs)``, or ``driver(answer, *inputs)``, on copies of the inputs; never raises an `Exception`.

    The value is `mechpuzzles.limits.Exceeded` where a limit was broken.
    """
    if isinstance(answer, Elsewhere):
        return answer.call(inputs, limits, driver)
    answer = _unchecked(answer)
    function = functools.partial(driver, answer) if driver else answer
    given = copies(inputs)
    value, error, line = None, None, ""
    with listening() as heard:
        try:
            value = run_within(limits, function, *given) if limits else function(*given)
        except (Exception, SystemExit) as raised:
            error, line = raised, _own_lines(answer, raised)
    altered = not all(_same(a, b) for a, b in zip(given, inputs, strict=True))
    return Called(value, error, line, heard(), altered)


def _unchecked(answer: Callable[..., Any]) -> Callable[..., Any]:
    """The function whose shapes a notebook checks (`mechpuzzles.shapes`): a check has words of its own for them."""
    own = vars(answer) if inspect.isfunction(answer) else {}
    on_top = own.get("__wrapped__") is own.get("unchecked")  # else another decorator has copied ``unchecked``
    return own.get("unchecked", answer) if on_top else answer


def copies(inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """The same inputs in tensors of their own."""
    return tuple(i.clone() if isinstance(i, torch.Tensor) else i for i in inputs)


def _same(a: Any, b: Any) -> bool:
    return torch.equal(a, b) if isinstance(b, torch.Tensor) else a == b


def _own_lines(answer: Callable[..., Any], error: BaseException) -> str:
    """The lines of the learner's cells that the error passed through, the last three: "centre, line 3<tab>return W"."""
    with contextlib.suppress(ValueError):  # decorators in a circle
        answer = inspect.unwrap(answer)
    own = _notebook(getattr(getattr(answer, "__code__", None), "co_filename", None))
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _notebook(frame.filename) == own]
    return "\n".join(f"{frame.name}, line {frame.lineno}\t{frame.line or ''}" for frame in frames[-3:])


def _notebook(filename: str | None) -> str | None:
    """What all cells of a notebook share of their file names, as ipykernel and IPython make them; else the name."""
    if filename and (found := re.match(r"<ipython-input|.*[/\\]ipykernel_\d+[/\\]", filename)):
        return found[0]
    return filename


@contextlib.contextmanager
def listening():
    """Keep what code prints and warns; the context's value returns it afterwards."""
    out = io.StringIO()
    with (
        warnings.catch_warnings(record=True) as warned,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(out),
    ):
        warnings.simplefilter("always")
        yield lambda: out.getvalue() + "".join(f"{w.category.__name__}: {w.message}\n" for w in warned)
