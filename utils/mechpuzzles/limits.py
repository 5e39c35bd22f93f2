"""Run a learner's function under a limit on extra memory and time, without ending the kernel.

Memory is watched on inputs so small that even an n-by-n matrix fits: each tensor that torch makes, and everything
numpy allocates. Time is watched from a second thread, which raises inside the running function; one long operation
in C cannot be interrupted, so put the memory-limited case before the large one.
"""

from __future__ import annotations

import ctypes
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


@dataclass(frozen=True)
class Limits:
    """At most ``seconds`` of wall time and, if given, ``extra_mb`` megabytes (2^20 bytes) for one intermediate.

    Watching memory slows small operations several times over, so leave it out where time is what is measured.
    """

    seconds: float | int
    extra_mb: float | int | None = None


@dataclass(frozen=True)
class Exceeded:
    """What a function returned instead of an answer: which limit it broke, ``"memory"`` or ``"time"``, and how."""

    limit: str
    what: str


class _OverLimit(BaseException):
    """Raised inside the learner's function; not an `Exception`, so that a broad ``except`` does not swallow it."""


def run_within(limits: Limits, answer: Callable[..., Any], *inputs: Any) -> Any:
    """``answer(*inputs)``, or `Exceeded` when it broke a limit or the machine had no memory left for it."""
    try:
        with _time_limit(limits.seconds), _memory_limit(limits.extra_mb):
            return answer(*inputs)
    except _OverLimit as over:
        if str(over):
            return Exceeded("memory", str(over))
        return Exceeded("time", f"it was still running after {limits.seconds:g} seconds")
    except MemoryError:
        return Exceeded("memory", "the machine had no memory left for it")
    except RuntimeError as error:
        if "allocate memory" not in str(error):
            raise
        return Exceeded("memory", "the machine had no memory left for it")


class _WatchTensors(TorchFunctionMode):
    """Looks at what each torch function returns. (A dispatch mode would see more, and cost seconds of imports.)"""

    def __init__(self, limit_bytes: float | int) -> None:
        super().__init__()
        self.limit_bytes = limit_bytes

    def __torch_function__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for made in out if isinstance(out, tuple | list) else (out,):
            if isinstance(made, torch.Tensor) and made.untyped_storage().nbytes() > self.limit_bytes:
                shape = " x ".join(f"{size:,}" for size in made.shape)
                raise _OverLimit(f"it makes a tensor of {shape} numbers")
        return out


@contextmanager
def _memory_limit(megabytes: float | int | None) -> Iterator[None]:
    if megabytes is None:
        yield
        return
    limit_bytes = megabytes * 2**20
    was_tracing = tracemalloc.is_tracing()
    tracemalloc.start()
    tracemalloc.reset_peak()
    before, _ = tracemalloc.get_traced_memory()
    try:
        with _WatchTensors(limit_bytes):
            yield
        extra = tracemalloc.get_traced_memory()[1] - before
    finally:
        if not was_tracing:
            tracemalloc.stop()
    if extra > limit_bytes:
        raise _OverLimit(f"it needs {extra / 2**20:.0f} MB beside its input")


@contextmanager
def _time_limit(seconds: float | int) -> Iterator[None]:
    thread = ctypes.c_ulong(threading.get_ident())
    lock, finished = threading.Lock(), False

    def interrupt() -> None:
        with lock:
            if not finished:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, ctypes.py_object(_OverLimit))

    timer = threading.Timer(seconds, interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        with lock:
            finished = True
        timer.cancel()
