"""The trusted side of grading: runs a notebook's check cells where the learner's code cannot reach them.

The learner's cells run in another process (`mechpuzzles.grading.learner`), which is told nothing but the text that
was released. Check cells, visible and hidden tests alike, run here. Names that the learner had to define are proxies
here: a function is called over there, a value is read from there, and only plain data crosses
(`mechpuzzles.grading.wire`). So whatever the learner's code does to its own process, it can change what it answers and
nothing else; the comparison, and the outputs of check cells, are made here.

Cells run in the notebook's order, so that a check sees what the learner's names were bound to at its place. Hidden
tests come last, on what was bound then: by that time all that the learner's code had to say has been written down.
When the learner's process ends (a crash, a limit), another is started and the cells before are run again; only what
ended it is lost.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import io
import json
import os
import re
import resource
import signal
import socket
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from mechpuzzles.calls import Called, Elsewhere
from mechpuzzles.grading import warm
from mechpuzzles.grading.jobs import Cell, Job, Result, job_from
from mechpuzzles.grading.needs import Names, Piece, imported, names_in, names_of, needed, needs_models, pieces
from mechpuzzles.grading.wire import Channel, Garbled, HungUp, Silent, crosses, plain_attributes
from mechpuzzles.limits import Exceeded, Limits
from mechpuzzles.parts import Part, grade_id
from mechpuzzles.puzzle import Puzzle, load_puzzle
from mechpuzzles.verdicts import NotYet, Outcome, PlainError

GRACE = 5.0  # seconds beyond a limit that the learner's process has for keeping it by itself
ENDING = 20.0  # seconds that it has for ending, when it has hung up: on a busy machine, its sandbox takes some
SLACK = 1.0  # seconds beyond a part's time limit that handing over may take
STARTS = 8  # of the learner's process, for one notebook
TEXT = 4_000  # characters kept of an error's message
SHOWN_TEXT, SHOWN = 20_000, 20  # characters kept of each output of a cell, and results kept of it
TEXTS = ("is", "stdout", "stderr", "line", "noise", "unsendable")  # what the learner's process answers in words
CATCHABLE = {
    *("ArithmeticError", "AssertionError", "AttributeError", "IndexError", "KeyError", "LookupError", "OverflowError"),
    *("RecursionError", "RuntimeError", "TypeError", "ValueError", "ZeroDivisionError"),
}
VALUE = 2_000  # characters kept of a wrong value
UNSEEN = "A check that the notebook does not show failed."
_HIDDEN = re.compile(r"#+\s*(BEGIN|END) HIDDEN TESTS")


class Died(Exception):
    """The learner's process ended or had to be ended; the message is a clause for the learner."""


class Killed(Died):
    """Somebody killed the learner's process: itself, or the machine when short of memory, whoever has taken that."""


class CannotGrade(BaseException):
    """This machine has no process for the learner's code; the message says why. No check is to take it for a fault."""


class NotEnough(BaseException):
    """A name is missing that a cell which was left out may define."""


def serve(end: socket.socket) -> None:
    """Grade the one notebook that comes over the socket, and send back what came of it."""
    channel = Channel(end)
    job = job_from(channel.receive(60.0))
    limit_memory(job)
    try:
        result = grade(job)
    except (CannotGrade, Exception) as error:
        channel.send({"failed": str(error) or repr(error)})
        return
    channel.send({"result": vars(result)})


def limit_memory(job: Job) -> None:
    """This process decodes what the learner's sends, and may not take more memory for it than that one has."""
    present = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    most = present + job.policy.get("memory_mb", 4096) * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def grade(job: Job) -> Result:
    """Grade a notebook; of the cells that are as released, only those that the checks need are run.

    If a name turns out to be missing, once more with all cells.
    """
    if job.folder is not None:
        os.chdir(job.folder)
    seconds = job.bounds.notebook_seconds
    if not job.all_cells:
        grading = Grading(job, seconds, everything=False)
        try:
            return grading.run()
        except NotEnough:
            seconds = grading.seconds
    return Grading(job, seconds, everything=True).run()


@dataclass(frozen=True)
class Unseen:
    """The hidden tests of a check whose visible ones have passed, to be run when all cells have."""

    cell: Cell
    statements: list[ast.stmt]
    namespace: dict[str, Any]
    place: int  # how much had been done in the learner's process


class Grading:
    """One notebook on its way through grading."""

    def __init__(self, job: Job, seconds: float, everything: bool):
        self.job, self.everything = job, everything
        self.result = Result(ran_all=everything)
        self.learner: Learner | None = None
        self.starts = 0
        self.seconds = seconds
        self.done: list[dict[str, Any]] = []  # what the learner's process has done, to be done again in a new one
        self.lost: dict[str, str] = {}  # names that are not asked again, and why
        self.held: list[Any] = []  # functions that the learner's code may call here
        self.hidden: list[Unseen] = []
        self.unseen = False  # whether hidden tests are running
        self.modules = imported(cell.source for cell in job.released)
        self.wanted = set().union(*(_reads(cell.tests) for cell in job.cells if cell.tests is not None))
        self.namespace = self._namespace()  # of check cells; the author's functions among them see all of it
        self.own = set(self.namespace)
        self.puzzle = self._puzzle()

    def run(self) -> Result:
        """Every cell in turn, then the hidden tests: no word of the learner's code is kept after it has met those."""
        try:
            plan = self._plan()
            self.models = needs_models(plan.values())
            self.models |= self.puzzle is not None and any(part.driver for part in self.puzzle.parts)
            for cell in self.job.cells:
                if cell.tests is not None:
                    self.result.outputs[cell.id] = self._check(cell)
                elif source := plan.get(cell.id):
                    outputs = self._run(source)
                    if source == cell.source:
                        self.result.outputs[cell.id] = outputs
            self.unseen = True
            for tests in self.hidden:
                self.result.outputs[tests.cell.id] += self._hidden(tests)
        finally:
            self._end()
        return self.result

    # Which names are whose -----------------------------------------------------------------------

    def _namespace(self) -> dict[str, Any]:
        """What check cells find: the names that the author's locked cells bind without any help of the learner's."""
        theirs: set[str] = set()
        statements: list[tuple[ast.stmt, Names]] = []
        for cell in self.job.released:
            if cell.solution:
                names = names_in(cell.source)
                theirs |= names.binds if names else set()
            elif cell.fixed and cell.tests is None:
                with contextlib.suppress(SyntaxError):
                    statements += [(s, names_of([s], self.modules)) for s in ast.parse(cell.source).body]
        while more := set().union(*(n.binds for s, n in statements if theirs & (n.binds | _read_now(s, n)))) - theirs:
            theirs |= more
        runs = needed([names for _, names in statements], [False] * len(statements), self.wanted - theirs)
        read = set().union(*(names.reads for (_, names), run in zip(statements, runs, strict=True) if run))
        self.wanted_by_author = read & theirs  # when a check calls a function of theirs
        self.wanted |= self.wanted_by_author
        namespace: dict[str, Any] = {"__name__": "__main__"}
        with contextlib.redirect_stdout(io.StringIO()):
            for (statement, _), run in zip(statements, runs, strict=True):
                if run:
                    exec(compile(ast.Module([statement], []), "<author>", "exec"), namespace)
        return namespace

    def _puzzle(self) -> Puzzle | None:
        """The puzzle of these checks: the one that a locked cell has loaded, or else that of the folder."""
        for value in self.namespace.values():
            if isinstance(value, Puzzle) and value.slug == self.job.slug:
                return value
        with contextlib.suppress(FileNotFoundError):
            return load_puzzle(self.job.slug)
        return None

    def _plan(self) -> dict[str, str]:
        """What is run of which cell: all of the learner's own, and what is needed of those that are as released.

        Nothing after the last check is needed: that one has been made before it, hidden tests too.
        """
        cells = [cell for cell in self.job.cells if cell.tests is None]
        if self.everything:
            return {cell.id: cell.source for cell in cells}
        last = max((number for number, cell in enumerate(self.job.cells) if cell.tests is not None), default=0)
        after = {cell.id for cell in self.job.cells[last:]}
        found: list[tuple[Cell, Piece]] = []
        for cell in (cell for cell in cells if not (cell.fixed and cell.id in after)):
            # What draws a variant is needed though no name says so: values are checked against the one drawn last.
            if not cell.fixed or ".variant(" in cell.source:
                found.append((cell, Piece(cell.source, names_in(cell.source, self.modules), always=True)))
            else:
                found += [(cell, piece) for piece in pieces(cell.source, self.modules)]
        runs = needed([p.names for _, p in found], [p.always for _, p in found], self.wanted - self.own)
        plan: dict[str, str] = {}
        for (cell, piece), run in zip(found, runs, strict=True):
            if run:  # the last piece is the whole cell
                before = plan.get(cell.id, "")
                plan[cell.id] = piece.source if piece.source == cell.source else f"{before}{piece.source}\n"
        return plan

    # The learner's process -----------------------------------------------------------------------

    def _run(self, source: str) -> list[dict[str, Any]]:
        """Run a cell over there; its outputs, as text."""
        message = {"do": "run", "source": source}
        try:
            shown = self._ask(message, self.job.bounds.cell_seconds)
        except Died as why:
            self.result.findings.append(f"A cell of yours was given up because {why}: {_first_line(source)}")
            return [_error("NotRun", f"Given up: {why}.")]
        self.done.append(message)
        error = shown.get("error")
        if error and error[0] == "NameError" and not self.everything:
            raise NotEnough
        if error and error[0] == "TooLong":
            late = f"it was still running after {self.job.bounds.cell_seconds:g} seconds"
            self.result.findings.append(f"A cell of yours was given up because {late}: {_first_line(source)}")
        return _shown(shown)

    def _ask(self, message: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Ask the learner's process, a new one if need be; `Died` if that ends it. If it is killed, ask once more."""
        try:
            return self._ask_once(message, seconds)
        except Killed:
            return self._ask_once(message, seconds)

    def _ask_once(self, message: dict[str, Any], seconds: float) -> dict[str, Any]:
        if self.learner is None:
            self._start()
        assert self.learner is not None
        started = time.monotonic()
        seconds = min(seconds, self.seconds)
        if seconds <= 0:
            raise Died(f"the notebook's {self.job.bounds.notebook_seconds:g} seconds were used up")
        try:
            self.learner.channel.send(
                {**message, "seconds": seconds} if message["do"] != "look" else message, seconds + GRACE
            )
            while True:
                reply = _checked(self.learner.channel.receive(started + seconds + GRACE - time.monotonic()))
                if "ask" not in reply:
                    return reply
                try:
                    self.learner.channel.send(self._answer(reply), seconds + GRACE)
                except TypeError as error:  # nothing was sent yet
                    self.learner.channel.send({"refused": str(error)})
        except (Silent, HungUp, Garbled) as error:
            raise self._end(error) from None
        finally:
            self.seconds -= time.monotonic() - started

    def _start(self, place: int | None = None) -> None:
        """A new process in which is done what was done so far, or up to a place, without what ended one."""
        if self.starts == STARTS:
            raise Died(f"Python had to be started anew {STARTS} times")
        self.starts += 1
        try:
            self.learner = Learner(self.job, self.puzzle, self.models)
        except (warm.NoForkServer, OSError) as error:
            raise CannotGrade(f"no process for the learner's code could be started: {error}") from error
        if self.learner.unwritten and self.starts == 1:
            self.result.findings.append("Your files did not all fit into the space that there is for them.")
        for message in self.done[:place]:
            try:
                self._ask_once(message, self.job.bounds.cell_seconds)
            except Died:
                message.update(do="run", source="")  # not again; what comes after it keeps its place
                return self._start(place)

    def _end(self, error: Exception | None = None) -> Died:
        """End the learner's process; the exception says in a clause why it had to be."""
        if self.learner is None:
            return Died()
        learner, self.learner = self.learner, None
        status = learner.end(ENDING if isinstance(error, HungUp) else 1.0)
        self.result.cpu_s += learner.process.spent.get("cpu_s", 0.0)
        self.result.max_mb = max(self.result.max_mb, learner.process.spent.get("max_mb", 0.0))
        if isinstance(error, Silent):
            return Died("it did not end in time and could not be interrupted")
        if isinstance(error, Garbled):
            return Died("what came back from it was not an answer")
        if status == -signal.SIGXCPU:
            return Died("it used more processor time than is allowed")
        if status == -signal.SIGKILL:
            return Killed("it was killed, twice")
        if status is not None and status < 0 and error is not None:
            return Died(f"it crashed Python ({_signal(-status)})")
        return Died("it ended Python")

    # What the learner's code asks here -------------------------------------------------------------

    def _answer(self, question: dict[str, Any]) -> dict[str, Any]:
        """Answer the stand-in of the puzzle over there; nothing that a learner could not do with the puzzle itself."""
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                if question["ask"] == "variant":
                    if self.puzzle is None:
                        raise PlainError("there is no puzzle")
                    value = self.puzzle.variant(question["who"])
                else:
                    value = self.held[question["number"]](*question["inputs"], **question["named"])
            if crosses(value):
                return {"value": value}
            self.held.append(value)
            return {"number": len(self.held) - 1, "attributes": plain_attributes(value)}
        except Exception as error:
            return {"refused": f"{type(error).__name__}: {error}"[:TEXT]}

    # Checks ----------------------------------------------------------------------------------------

    def _check(self, cell: Cell) -> list[dict[str, Any]]:
        """Run the visible part of a check cell here; its outputs. The hidden tests wait, if it passes."""
        visible, hidden = _parts(cell)
        self.namespace.update(self._theirs(cell))
        said, value = io.StringIO(), None
        try:
            with contextlib.redirect_stdout(said):
                value = _execute(visible, self.namespace, cell.id)
        except Exception as error:
            self._note(cell, error)
            return [*_stream("stdout", said.getvalue()), _failed(error, unseen=False), *self._nudge(cell)]
        self._note(cell)
        if hidden:
            self.hidden.append(Unseen(cell, hidden, dict(self.namespace), len(self.done)))
            return _stream("stdout", said.getvalue())
        return [*_stream("stdout", said.getvalue()), *_points(value)]

    def _hidden(self, tests: Unseen) -> list[dict[str, Any]]:
        """Run a check's hidden tests; their outputs.

        What a function of the learner's reads may have been bound anew by a later cell, so that it no longer passes the
        visible tests. Then it is asked in a process that has not come further than the check. Either way it is asked
        the hidden tests once: of two answers one might be guessed.
        """
        statements, visible = tests.statements, _parts(tests.cell)[0]
        self.namespace.update(tests.namespace)
        back = self._changed_after(tests.place) and not self._passes(visible, tests.cell.id)
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                if back:
                    self._end()
                    self._start(tests.place)
                    statements = visible + statements
                    self.namespace.update(self._theirs(tests.cell))
                return _points(_execute(statements, self.namespace, tests.cell.id))
        except Exception as error:
            self._note(tests.cell, error)
            return [_failed(error, unseen=True), *self._nudge(tests.cell)]
        finally:
            if back:
                self._end()

    def _note(self, cell: Cell, error: Exception | None = None) -> None:
        """Write down what came of the part that a check is for."""
        for part in self._checked_by(cell):
            outcome, symptom = (Outcome.RAISED if error else Outcome.RIGHT), None
            if isinstance(error, NotYet):
                outcome, symptom = error.verdict.outcome, error.verdict.symptom
            noted: dict[str, Any] = {"outcome": outcome.value, "symptom": symptom}
            if part.value and outcome is Outcome.WRONG:
                noted["value"] = _json(self.namespace.get(part.name))
            self.result.parts[part.name] = noted

    def _nudge(self, cell: Cell) -> list[dict[str, Any]]:
        """The first hint for a part that is not right, to stand in the feedback; learners have them in the notebook."""
        return [output for part in self._checked_by(cell) for output in _stream("stdout", f"A hint: {part.hints[0]}\n")]

    def _checked_by(self, cell: Cell) -> list[Part]:
        """The part that a check is for, if it is for one."""
        parts = self.puzzle.parts if self.puzzle is not None else ()
        return [part for part in parts if cell.id == grade_id("check", part.name)]

    def _passes(self, visible: list[ast.stmt], name: str) -> bool:
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                _execute(visible, self.namespace, name)
        except Exception:
            return False
        return True

    def _changed_after(self, place: int) -> bool:
        """Whether what ran later binds a name that what ran before binds or reads."""
        before, after = (
            [names_in(m["source"], self.modules) for m in messages if m["do"] == "run"]
            for messages in (self.done[:place], self.done[place:])
        )
        if None in before or None in after:
            return True
        return bool(
            set().union(*(n.reads | n.binds for n in before if n)) & set().union(*(n.binds for n in after if n))
        )

    def _theirs(self, cell: Cell) -> dict[str, Any]:
        """The names that a check reads and the author did not bind, as the learner's process has them now."""
        found: dict[str, Any] = {}
        assert cell.tests is not None
        for name in sorted((_reads(cell.tests) | self.wanted_by_author) - self.own - set(dir(builtins))):
            message = {"do": "look", "name": name, "keep": f"{cell.id} {name}"}
            try:
                reply = self._ask(message, self.job.bounds.call_seconds)
            except Died:
                continue
            self.done += [] if self.unseen else [message]
            if reply.get("is") == "function":
                found[name] = Function(self, name, message["keep"])
            elif reply.get("is") == "value":
                found[name] = reply.get("value")
            elif "unsendable" in reply:
                found[name] = Function(self, name, "", f"it cannot be read: {reply['unsendable']}"[:TEXT])
                said = f"{name} cannot be read: it is too big, or nested too deeply."
                self.result.findings += [said] if said not in self.result.findings else []
            else:
                self._look_further()
        return found

    def _look_further(self) -> None:
        """A name is missing: `NotEnough` if cells were left out, unless what is run anew would know hidden tests.

        How much time was left, or what o'clock it was, could tell it of them.
        """
        if not self.everything and not self.unseen:
            raise NotEnough

    def call(self, name: str, kept: str, inputs: tuple[Any, ...], limits: Limits | None, driver: Any) -> Called:
        """Call a function of the learner's, over there."""
        if name in self.lost:
            return Called(error=_error_named("NotRun", self.lost[name]))
        message = {
            "do": "call",
            "kept": kept,
            "inputs": inputs,
            "limits": [limits.seconds, limits.extra_mb] if limits else None,
            "driver": driver.__name__ if driver else None,
        }
        seconds = limits.seconds + GRACE if limits else self.job.bounds.call_seconds
        started = time.monotonic()
        try:
            reply = self._ask(message, seconds)
        except Died as why:
            self._lose(name, f"{why}")
            return Called(error=_error_named("NotRun", f"{why}"))
        if "unsendable" in reply:
            return Called(error=_error_named("TypeError", reply["unsendable"][:TEXT]))
        called = _called(reply)
        if self.unseen and isinstance(called.value, Exceeded):
            called = replace(called, value=Exceeded(called.value.limit, "the limit was broken"))
        if limits and time.monotonic() - started > limits.seconds + SLACK:
            called = Called(Exceeded("time", f"it was still running after {limits.seconds:g} seconds"))
        if called.error is not None:
            kind = type(called.error).__name__
            if kind == "NameError":
                self._look_further()
            if kind == "TimeoutError" and time.monotonic() - started >= seconds:
                self._lose(name, f"it was still running after {seconds:g} seconds")
        return called

    def _lose(self, name: str, why: str) -> None:
        """Ask a function no more, and tell the learner."""
        self.lost[name] = why
        self.result.findings.append(f"{name} was given up because {why}.")


class Learner:
    """A learner's process: a fork of the fork server, with a channel to it."""

    def __init__(self, job: Job, puzzle: Puzzle | None, models: bool):
        ours, theirs = socket.socketpair()
        folder = "/" if job.sandbox else tempfile.mkdtemp(prefix="learner-", dir=job.folder)  # the sandbox has its own
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": "/tmp",
            "LANG": "C.UTF-8",
            "MECHPUZZLES_OFFLINE": "1",
            "NBGRADER_EXECUTION": "autograde",
        }
        request = {
            "kind": "learner",
            "models": models,
            "env": environment,
            "cwd": folder,
            "sandbox": job.sandbox,
            "policy": job.policy,
        }
        with theirs:
            self.process = warm.Forked(warm.ensure_server(), request, theirs.fileno())
        self.channel = Channel(ours)
        try:
            self.channel.send({"do": "begin", "puzzle": _stand_in(puzzle), "files": job.files})
            self.unwritten = self.channel.receive(30.0).get("unwritten")
        except (Silent, HungUp, Garbled) as error:
            self.end()
            raise warm.NoForkServer(f"a learner's process did not start: {error!r}") from None

    def end(self, patience: float = 1.0) -> int | None:
        """End it, after so many seconds by force; else its exit status, negative for a signal."""
        self.channel.socket.close()
        until = time.monotonic() + patience
        while self.process.poll() is None and time.monotonic() < until:
            time.sleep(0.002)
        if (status := self.process.poll()) is None:
            self.process.kill()
            self.process.wait()
        return status


class Function(Elsewhere):
    """A function of the learner's."""

    def __init__(self, grading: Grading, name: str, kept: str, problem: str = ""):
        self._grading, self._name, self._kept, self._problem = grading, name, kept, problem

    def call(self, inputs: tuple[Any, ...], limits: Limits | None, driver: Any) -> Called:
        if self._problem:
            return Called(error=_error_named("TypeError", self._problem))
        return self._grading.call(self._name, self._kept, inputs, limits, driver)


Function.__name__ = "function"  # what a learner is told who gives one where a value is asked for


def _checked(reply: Any) -> dict[str, Any]:
    """A reply, or `Garbled` if a field of it, its value apart, is not of its type."""
    if type(reply) is not dict or not all(type(reply.get(name, "")) is str for name in TEXTS):
        raise Garbled("no reply")
    error, results = reply.get("error"), reply.get("results", [])
    if not _strings(results) or not (error is None or (_strings(error) and len(error) == 2)):
        raise Garbled("no reply")
    return reply


def _strings(value: Any) -> bool:
    return type(value) is list and all(type(one) is str for one in value)


def _called(reply: dict[str, Any]) -> Called:
    """What a call came to, from the reply."""
    noise = reply.get("noise", "")[:TEXT]
    if error := reply.get("error"):
        raised = _error_named(error[0], error[1][:TEXT])
        return Called(error=raised, line=reply.get("line", "")[:TEXT], noise=noise)
    return Called(reply.get("value"), noise=noise, altered=reply.get("altered") is True)


def _error_named(name: str, text: str) -> Exception:
    """An error that reads like the learner's own, and is caught like it if it is one of Python's."""
    if name == "NotImplementedError":
        return NotImplementedError(*([text] if text else []))
    known = getattr(builtins, name, None)
    base = known if name in CATCHABLE and isinstance(known, type) else Exception
    kind = type(name if name.isidentifier() and len(name) < 60 else "Exception", (base,), {"__str__": lambda _: text})
    return kind(text)


def _signal(number: int) -> str:
    with contextlib.suppress(ValueError):
        return signal.Signals(number).name
    return f"signal {number}"


def _failed(error: Exception, unseen: bool) -> dict[str, Any]:
    """A check's error as an output. Of a hidden one only what an author has written for learners is told."""
    if isinstance(error, NotYet):
        verdict = error.verdict
        if not unseen:
            return _error("NotYet", verdict.text(bold=False))
        # Of the sentences that have a name, this one quotes a name of the learner's.
        if verdict.outcome is Outcome.WRONG and verdict.symptom not in (None, "wrong_type"):
            return _error("NotYet", verdict.says[0])
        return _error("NotYet", f"{verdict.part}: not yet. {UNSEEN}")
    if unseen:
        return _error("CheckFailed", UNSEEN)
    if isinstance(error, NameError):
        return _error("NameError", f"{error.name} is not defined: its cell is gone, or raised an error.")
    return _error(type(error).__name__, str(error)[:TEXT])


def _error(name: str, text: str) -> dict[str, Any]:
    text = _clean(text, TEXT)
    return {"output_type": "error", "ename": _clean(name), "evalue": text, "traceback": [text]}


def _stream(name: str, text: str) -> list[dict[str, Any]]:
    return [{"output_type": "stream", "name": name, "text": _clean(text)}] if text else []


def _clean(text: str, most: int = SHOWN_TEXT) -> str:
    """A text that fits into a file: not too long, and without halves of characters."""
    return text[:most].encode("utf-8", "replace").decode()


def _shown(reply: dict[str, Any]) -> list[dict[str, Any]]:
    """What a cell showed, as outputs of text only."""
    outputs = [*_stream("stdout", reply.get("stdout", "")), *_stream("stderr", reply.get("stderr", ""))]
    for text in reply.get("results", [])[:SHOWN]:
        outputs.append({"output_type": "display_data", "data": {"text/plain": _clean(text)}, "metadata": {}})
    if error := reply.get("error"):
        outputs.append(_error(error[0][:100], error[1]))
    return outputs


def _read_now(statement: ast.stmt, names: Names) -> frozenset[str]:
    """The names that a statement reads when it runs; a plain function reads its own only when it is called."""
    if isinstance(statement, ast.FunctionDef) and not (statement.decorator_list or statement.args.defaults):
        return frozenset()
    return names.reads


def _parts(cell: Cell) -> tuple[list[ast.stmt], list[ast.stmt]]:
    """The statements of a check before its first hidden test, and from there on."""
    assert cell.tests is not None
    try:
        statements = ast.parse(cell.tests).body
    except SyntaxError as error:
        raise ValueError(f"the check {cell.id} is no Python: {error}") from None
    hidden = _hidden_lines(cell.tests)
    first = next((i for i, statement in enumerate(statements) if statement.lineno in hidden), len(statements))
    return statements[:first], statements[first:]


def _execute(statements: list[ast.stmt], namespace: dict[str, Any], name: str) -> Any:
    """Run statements; the value of the last one if it is an expression."""
    body, last = (statements[:-1], statements[-1]) if statements else ([], None)
    if not isinstance(last, ast.Expr):
        body, last = statements, None
    exec(compile(ast.Module(body, []), f"<{name}>", "exec"), namespace)
    return eval(compile(ast.Expression(last.value), f"<{name}>", "eval"), namespace) if last else None


def _json(value: Any) -> Any:
    """A learner's value as JSON has it; None for what it has not, or what is long."""
    if isinstance(value, torch.Tensor):
        value = value.tolist() if value.numel() <= VALUE else None
    try:
        return value if len(json.dumps(value, allow_nan=False)) <= VALUE else None
    except (TypeError, ValueError, RecursionError):
        return None


def _points(value: Any) -> list[dict[str, Any]]:
    """A check that ends in a number gives that many points."""
    if type(value) not in (int, float):
        return []
    data = {"text/plain": repr(value)}
    return [{"output_type": "execute_result", "data": data, "metadata": {}, "execution_count": None}]


def _hidden_lines(source: str) -> set[int]:
    """The numbers of the lines between the marks of hidden tests."""
    hidden, inside = set(), False
    for number, line in enumerate(source.splitlines(), 1):
        if mark := _HIDDEN.search(line):
            inside = mark[1] == "BEGIN"
        elif inside:
            hidden.add(number)
    return hidden


def _reads(source: str) -> frozenset[str]:
    names = names_in(source)
    return names.reads if names else frozenset()


def _first_line(source: str) -> str:
    return next((line.strip()[:100] for line in source.splitlines() if line.strip()), "")


def _stand_in(puzzle: Puzzle | None) -> dict[str, Any] | None:
    """What the learner's side is told of a puzzle: nothing of its parts."""
    if puzzle is None:
        return None
    told = {key: getattr(puzzle, key) for key in ("slug", "title", "question", "minutes")}
    guesses = [[p.name, list(p.choices), float(p.between[0]), float(p.between[1])] for p in puzzle.predictions]
    return {**told, "predictions": guesses}
