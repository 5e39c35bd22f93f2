"""The learner's side of grading: a process that runs a notebook's cells and answers calls of what they define.

It runs in the sandbox, serves one socket, and holds nothing worth knowing: no hidden test, no expected value, no
declaration of the puzzle. The learner's code may do to this process what it likes. What is sent from here is an
answer, whoever wrote it; whether it is right is decided elsewhere (`mechpuzzles.grading.trusted`).
"""

from __future__ import annotations

import contextlib
import signal
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from mechpuzzles import drivers
from mechpuzzles.calls import Called, call
from mechpuzzles.grading.wire import Channel, HungUp
from mechpuzzles.limits import Limits
from mechpuzzles.parts import Prediction
from mechpuzzles.plots import Picture
from mechpuzzles.puzzle import Puzzle

TEXT = 20_000  # characters kept of what one cell prints

_PUZZLE_PY = "from mechpuzzles.grading.learner import here\n\nPUZZLE = here.puzzle\n"


class TooLong(BaseException):
    """Raised inside code whose time is up; not an `Exception`, so that a broad ``except`` does not swallow it."""


@dataclass(frozen=True)
class StandIn(Puzzle):
    """A puzzle without its checks: what they are, and what is right, is known to the grader alone."""

    def check(self, name: str, answer: Any) -> None:
        print(f"{name}: checked by the grader.")

    def grade(self, name: str, answer: Any) -> None:
        print(f"{name}: checked by the grader.")

    def hint(self, name: str = "") -> None:
        print(f"{name}: no hints while grading.")

    def variant(self, learner: str) -> Any:
        return here.ask({"ask": "variant", "who": learner})


class FromGrader:
    """A function that the grader holds, with its plain attributes; calling it asks the grader."""

    def __init__(self, number: int, attributes: dict[str, Any]):
        self.__dict__.update(attributes)
        self._number = number

    def __call__(self, *inputs: Any, **named: Any) -> Any:
        return here.ask({"ask": "call", "number": self._number, "inputs": inputs, "named": named})


class Here:
    """This process: its socket, its shell and its puzzle."""

    channel: Channel
    puzzle: Puzzle | None = None

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}  # what names were bound to when the grader looked

    def serve(self, end: socket.socket) -> None:
        """Answer one message after another until the grader hangs up."""
        from IPython.core.interactiveshell import InteractiveShell
        from traitlets.config import Config

        config = Config()
        config.HistoryManager.enabled = False
        config.InteractiveShell.colors = "nocolor"
        self.shell = InteractiveShell.instance(config=config)
        formatter = self.shell.display_formatter
        assert formatter is not None
        formatter.active_types = ["text/plain"]
        Picture._ipython_display_ = lambda self: print(self.alt)  # type: ignore[method-assign]
        self.channel = Channel(end)
        with contextlib.suppress(HungUp):
            while True:
                message = self.channel.receive()
                reply = getattr(self, "do_" + message.pop("do"))(**message)
                try:
                    self.channel.send(reply)
                except TypeError as error:  # nothing was sent yet
                    self.channel.send({"unsendable": str(error)})

    def ask(self, question: dict[str, Any]) -> Any:
        """Ask the grader in the middle of an answer."""
        self.channel.send(question)
        reply = self.channel.receive()
        if "refused" in reply:
            raise ValueError(reply["refused"])
        if "number" in reply:
            return FromGrader(reply["number"], reply["attributes"])
        return reply["value"]

    # What the grader asks for -------------------------------------------------------------------

    def do_begin(self, puzzle: dict[str, Any] | None, files: dict[str, bytes]) -> dict[str, Any]:
        """Write the submission's other files and, for a puzzle of the series, what stands in for its declaration."""
        reply = {}
        try:
            for name, content in files.items():
                path = Path(name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        except OSError as error:
            path.unlink(missing_ok=True)  # what is left of it would leave no room for the puzzle's
            reply = {"unwritten": str(error)}
        if puzzle is not None:
            guesses = tuple(
                Prediction(name, tuple(choices), (low, high)) for name, choices, low, high in puzzle.pop("predictions")
            )
            self.puzzle = StandIn(**puzzle, principle="", parts=(), models=(), predictions=guesses)
            Path("puzzle.py").write_text(_PUZZLE_PY)
        return reply

    def do_run(self, source: str, seconds: float) -> dict[str, Any]:
        """Run a cell as IPython does; what it showed, as text."""
        from IPython.utils.capture import capture_output

        with capture_output() as shown, time_limit(seconds):
            result = self.shell.run_cell(source, store_history=False)
        error = result.error_before_exec or result.error_in_exec
        return {
            "stdout": shown.stdout[:TEXT],
            "stderr": shown.stderr[:TEXT],
            "results": [str(output.data.get("text/plain", ""))[:TEXT] for output in shown.outputs[:20]],
            "error": None if error is None else [type(error).__name__, str(error)[:TEXT]],
        }

    def do_look(self, name: str, keep: str) -> dict[str, Any]:
        """What a name is bound to: nothing, a function, which is kept under another, or a value, which is sent."""
        if name not in self.shell.user_ns:
            return {"is": "nothing"}
        value = self.kept[keep] = self.shell.user_ns[name]
        return {"is": "function"} if callable(value) else {"is": "value", "value": value}

    def do_call(
        self, kept: str, inputs: tuple[Any, ...], limits: list | None, driver: str | None, seconds: float
    ) -> dict[str, Any]:
        """Call a function that the notebook has defined."""
        function = self.kept[kept]
        try:
            with time_limit(seconds):
                called = call(
                    function, inputs, Limits(*limits) if limits else None, getattr(drivers, driver) if driver else None
                )
        except TooLong:
            called = Called(error=TimeoutError(f"it was still running after {seconds:g} seconds"))
        error = called.error
        return {
            "value": called.value,
            "error": None if error is None else [type(error).__name__, str(error)[:TEXT]],
            "line": called.line[:500],
            "noise": called.noise[:TEXT],
            "altered": called.altered,
        }


here = Here()


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise `TooLong` in the block after so many seconds of wall time. Code that prevents it is ended from outside."""

    def ring(number: int, frame: FrameType | None) -> None:
        raise TooLong(f"it was still running after {seconds:g} seconds")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
