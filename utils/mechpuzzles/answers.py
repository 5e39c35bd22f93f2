"""What a learner may return, how it is read, and how far it is from the truth.

Only plain numbers, strings, lists, tuples, `torch.Tensor` and `numpy.ndarray` themselves are believed: a subclass could
lie about ``==``. Nothing is ever broadcast.

========  ==================================================  ==============================================
kind      a learner returns                                   and it is compared
========  ==================================================  ==============================================
real      a float, or a float tensor or array                 to a tolerance
integer   an int, a list of ints, or an integer tensor/array  exactly
label     a string, or a list of strings                      exactly
========  ==================================================  ==============================================
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import torch

from mechpuzzles.limits import Exceeded

Answer: TypeAlias = Any  # a float64 or int64 tensor, a string, a tuple of these, or `Exceeded`
KINDS = ("real", "integer", "label")
_DTYPES = {"real": (torch.float32, torch.float64), "integer": (torch.int64, torch.int32)}
_NUMBERS = {"real": (float, int, np.float64, np.float32), "integer": (int, np.int64, np.int32)}


class Unreadable(ValueError):
    """A return value is of another type than the part asks for; says so in a sentence for the learner."""


def read(value: Any, returns: str | tuple[str, ...], kind: str) -> Answer:
    """A learner's return value as new plain data, or `Unreadable`.

    ``returns`` names the axes, the empty string for a single number or label; a tuple of such asks for a tuple.
    """
    if value is None:
        raise Unreadable("It returned None. Is the return missing?")
    if isinstance(returns, tuple):
        if type(value) not in (tuple, list) or len(value) != len(returns):
            raise Unreadable(f"It returned {_what(value)}; return {len(returns)} values.")
        return tuple(read(one, axes, kind) for one, axes in zip(value, returns, strict=True))
    return _read_label(value, returns) if kind == "label" else _read_numbers(value, returns, kind)


def _read_label(value: Any, returns: str) -> Answer:
    if not returns and type(value) is str:
        return value
    if returns and type(value) in (list, tuple) and all(type(one) is str for one in value):
        return tuple(value)
    raise Unreadable(f"It returned {_what(value)}; return {'a list of strings' if returns else 'a string'}.")


def _read_numbers(value: Any, returns: str, kind: str) -> torch.Tensor:
    dtype = torch.float64 if kind == "real" else torch.int64
    if type(value) in _NUMBERS[kind]:
        return torch.tensor(value.item() if isinstance(value, np.generic) else value, dtype=dtype)
    if kind == "integer" and type(value) in (list, tuple) and all(type(one) is int for one in value):
        return torch.tensor(value, dtype=dtype)
    if type(value) is torch.nn.Parameter:
        value = value.detach()
    if type(value) is np.ndarray and value.dtype.kind in "fiubc":
        value = torch.from_numpy(np.array(value))
    if type(value) is not torch.Tensor:
        number = "an integer" if kind == "integer" else "a number"
        raise Unreadable(f"It returned {_what(value)}; return {'a tensor' if returns else number}.")
    if value.dtype not in _DTYPES[kind]:
        wanted = str(_DTYPES[kind][0]).removeprefix("torch.")
        raise Unreadable(
            f"It returned numbers of type {str(value.dtype).removeprefix('torch.')}; they should be {wanted}."
        )
    return value.detach().to("cpu", dtype).clone()


def _what(value: Any) -> str:
    if type(value) in (tuple, list):
        return f"a {type(value).__name__} of {len(value)}"
    return with_article(type(value).__name__)


def with_article(noun: str) -> str:
    """``an int``, ``a str``."""
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"


def truth(value: Any, kind: str) -> Answer:
    """The author's expected value in the form that `read` gives."""
    if isinstance(value, str):
        return value
    if isinstance(value, tuple | list) and not (kind == "integer" and all(isinstance(one, int) for one in value)):
        return tuple(truth(one, kind) for one in value)
    return torch.as_tensor(value).detach().to("cpu", torch.int64 if kind == "integer" else torch.float64)


def shape_of(answer: Answer) -> tuple[Any, ...]:
    """A tensor's shape, a list of labels' length, a tuple's shapes."""
    if isinstance(answer, torch.Tensor):
        return tuple(answer.shape)
    if isinstance(answer, tuple):
        return (len(answer),) if all(isinstance(one, str) for one in answer) else tuple(map(shape_of, answer))
    return ()


def distance(got: Answer, want: Answer, scale_of: Answer, tolerance: float) -> float:
    """How far apart, in tolerances: more than 1 is wrong, infinite for another shape and for unequal labels.

    For numbers the largest ``|got - want|`` over ``tolerance * max(1, |want|, largest |scale_of|)``, where ``want`` is
    the entry compared with; for a tuple the largest.
    """
    if isinstance(got, Exceeded) or type(got) is not type(want) or shape_of(got) != shape_of(want):
        return math.inf
    if isinstance(got, tuple):
        return max((distance(g, w, s, tolerance) for g, w, s in zip(got, want, scale_of, strict=True)), default=0.0)
    if isinstance(got, str) or got.dtype == torch.int64:
        return 0.0 if (got == want if isinstance(got, str) else torch.equal(got, want)) else math.inf
    if got.numel() == 0:
        return 0.0
    allowed = tolerance * want.abs().clamp(min=max(1.0, scale_of.abs().max().item()))
    apart = ((got - want).abs() / allowed).max().item()
    return math.inf if math.isnan(apart) else apart


def agree(got: Answer, wrong: Any, want: Answer, tolerance: float = 1e-4) -> bool:
    """Whether ``got`` is ``wrong``, in shape and to ``tolerance`` of ``want`` or, where that is larger, of the entry.

    A slip can be huge beside the truth (a division by something small): its rounding is too.
    """
    kind = "integer" if isinstance(got, torch.Tensor) and got.dtype == torch.int64 else "real"
    wrong = truth(wrong, kind)
    scale_of = want if shape_of(want) == shape_of(wrong) else wrong
    return distance(got, wrong, scale_of, tolerance) <= 1


def show_shape(shape: Sequence[int], axes: str = "") -> str:
    """``[n=7, d_model=5]``, or without names ``[7, 5]``; ``a single number`` for none."""
    names = axes.split()
    if not shape:
        return "a single number"
    if len(names) != len(shape):
        return "[" + ", ".join(f"{size:,}" for size in shape) + "]"
    return "[" + ", ".join(f"{name}={size:,}" for name, size in zip(names, shape, strict=True)) + "]"
