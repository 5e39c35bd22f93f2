"""The trusted side of grading: runs a notebook's check cells where the learner's code cannot reach them.

The learner's cells run in another process (`mechpuzzles.grading.learner`), which is told nothing but the text that
was released. Check cells, visible and hidden tests alike, run here. Names that the learner had to define are proxies
here: a function is called over there, a value is read from there, and only plain data crosses
(`mechpuzzles.grading.wire`). So whatever the learner's code does to its own process, it can change what it answers and
nothing else; the comparison, and the outputs of check cells, are made here.

Cells run in the notebook's order, so that a check sees what the learner's names were bound to at its place. When the
learner's process ends (a crash, a limit), another is started and the cells before are run again; only what ended it
is lost.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import io
import os
import re
import resource
import signal
import socket
import time
from pathlib import Path
from typing import Any

from mechpuzzles.calls import Called, Elsewhere
from mechpuzzles.grading import warm
from mechpuzzles.grading.jobs import Cell, Job, Result, job_from
from mechpuzzles.grading.needs import Names, imported, names_in, names_of, needed
from mechpuzzles.grading.wire import Channel, Garbled, HungUp, Silent, encode
from mechpuzzles.limits import Exceeded, Limits
from mechpuzzles.puzzle import Puzzle, load_puzzle
from mechpuzzles.verdicts import NotYet, Outcome, PlainError

GRACE = 5.0  # seconds beyond a limit that the learner's process has for keeping it by itself
STARTS = 8  # of the learner's process, for one notebook
TEXT = 4_000  # characters kept of an error's message
UNSEEN = "A check that the notebook does not show failed."
_HIDDEN = re.compile(r"#+\s*(BEGIN|END) HIDDEN TESTS")


class Died(Exception):
    """The learner's process ended or had to be ended; the message is a clause for the learner."""


class NotEnough(BaseException):
    """A name is missing that a cell which was left out may define."""


def serve(end: socket.socket) -> None:
    """Grade the one notebook that comes over the socket, and send back what came of it."""
    channel = Channel(end)
    job = job_from(channel.receive(60.0))
    limit_memory(job)
    try:
        result = grade(job)
    except warm.NoForkServer as error:
        channel.send({"failed": str(error)})
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
    if not job.all_cells:
        with contextlib.suppress(NotEnough):
            return Grading(job, everything=False).run()
    return Grading(job, everything=True).run()


class Grading:
    """One notebook on its way through grading."""

    def __init__(self, job: Job, everything: bool):
        self.job, self.everything = job, everything
        self.result = Result(ran_all=everything)
        self.learner: Learner | None = None
        self.starts = 0
        self.seconds = job.bounds.notebook_seconds
        self.done: list[Cell] = []  # the learner's cells that have run, to be run again in a new process
        self.fatal: set[str] = set()
        self.lost: dict[str, str] = {}  # names that are not asked again, and why
        self.secret = False  # whether a hidden test has called the learner's code
        self.held: list[Any] = []  # functions that the learner's code may call here
        self.modules = imported(cell.source for cell in job.released)
        self.wanted = set().union(*(_reads(cell.tests) for cell in job.cells if cell.tests is not None))
        self.namespace = self._namespace()
        self.puzzle = self._puzzle()

    def run(self) -> Result:
        """Every cell in turn."""
        try:
            for cell, runs in zip(self.job.cells, self._plan(), strict=True):
                if cell.tests is not None:
                    self.result.outputs[cell.id] = self._check(cell)
                elif runs:
                    self.result.outputs[cell.id] = self._run(cell)
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
        while more := set().union(*(n.binds for _, n in statements if theirs & (n.binds | n.reads))) - theirs:
            theirs |= more
        runs = needed([names for _, names in statements], [False] * len(statements), self.wanted - theirs)
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

    def _plan(self) -> list[bool]:
        cells = [cell for cell in self.job.cells if cell.tests is None]
        if self.everything:
            runs = {cell.id: True for cell in cells}
        else:
            names = [names_in(cell.source, self.modules) for cell in cells]
            chosen = needed(names, [not cell.fixed for cell in cells], self.wanted - set(self.namespace))
            runs = {cell.id: run for cell, run in zip(cells, chosen, strict=True)}
        return [runs.get(cell.id, False) for cell in self.job.cells]

    # The learner's process -----------------------------------------------------------------------

    def _run(self, cell: Cell) -> list[dict[str, Any]]:
        """Run a cell over there; its outputs, as text, unless a hidden test's inputs could be in them."""
        try:
            shown = self._ask({"do": "run", "source": cell.source}, self.job.bounds.cell_seconds)
        except Died as why:
            self.fatal.add(cell.id)
            self.result.findings.append(f"A cell of yours was given up because {why}: {_first_line(cell.source)}")
            return [_error("NotRun", f"Given up: {why}.")]
        self.done.append(cell)
        error = shown.get("error")
        if error and error[0] == "NameError" and not self.everything:
            raise NotEnough
        return [] if self.secret else _shown(shown)

    def _ask(self, message: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Ask the learner's process, a new one if need be; `Died` if that ends it."""
        if self.learner is None:
            self._start()
        assert self.learner is not None
        started = time.monotonic()
        seconds = min(seconds, self.seconds)
        if seconds <= 0:
            raise Died(f"the notebook's {self.job.bounds.notebook_seconds:g} seconds were used up")
        try:
            self.learner.channel.send({**message, "seconds": seconds} if message["do"] != "look" else message)
            while True:
                reply = self.learner.channel.receive(started + seconds + GRACE - time.monotonic())
                if type(reply) is not dict:
                    raise Garbled("no reply")
                if "ask" not in reply:
                    return reply
                self.learner.channel.send(self._answer(reply))
        except (Silent, HungUp, Garbled) as error:
            raise Died(self._end(error)) from None
        finally:
            self.seconds -= time.monotonic() - started

    def _start(self) -> None:
        """A new process in which the cells so far have run, without those that ended one."""
        if self.starts == STARTS:
            raise Died(f"Python had to be started anew {STARTS} times")
        self.starts += 1
        self.learner = Learner(self.job, self.puzzle)
        for cell in self.done:
            try:
                self._ask({"do": "run", "source": cell.source}, self.job.bounds.cell_seconds)
            except Died:
                self.done.remove(cell)
                self._start()
                return

    def _end(self, error: Exception | None = None) -> str:
        """End the learner's process, and say in a clause why it had to be."""
        if self.learner is None:
            return ""
        learner, self.learner = self.learner, None
        status = learner.end()
        self.result.cpu_s += learner.process.spent.get("cpu_s", 0.0)
        self.result.max_mb = max(self.result.max_mb, learner.process.spent.get("max_mb", 0.0))
        if isinstance(error, Silent):
            return "it did not end in time and could not be interrupted"
        if isinstance(error, Garbled):
            return "what came back from it was not an answer"
        if status == -signal.SIGXCPU:
            return "it used more processor time than is allowed"
        if status is not None and status < 0 and error is not None:
            return f"it crashed Python ({signal.Signals(-status).name})"
        return "it ended Python"

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
            if _plain(value):
                return {"value": value}
            self.held.append(value)
            return {"number": len(self.held) - 1, "attributes": _attributes(value)}
        except Exception as error:
            return {"refused": f"{type(error).__name__}: {error}"[:TEXT]}

    # Checks ----------------------------------------------------------------------------------------

    def _check(self, cell: Cell) -> list[dict[str, Any]]:
        """Run a check cell here, statement by statement; its outputs."""
        assert cell.tests is not None
        try:
            statements = ast.parse(cell.tests).body
        except SyntaxError as error:
            raise ValueError(f"the check {cell.id} is no Python: {error}") from None
        namespace = {**self.namespace, **self._theirs(statements)}
        hidden = _hidden_lines(cell.tests)
        said, value = io.StringIO(), None
        for statement in statements:
            unseen = statement.lineno in hidden
            self.secret |= unseen
            try:
                with contextlib.redirect_stdout(io.StringIO() if unseen else said):
                    if statement is statements[-1] and isinstance(statement, ast.Expr):
                        value = eval(compile(ast.Expression(statement.value), f"<{cell.id}>", "eval"), namespace)
                    else:
                        exec(compile(ast.Module([statement], []), f"<{cell.id}>", "exec"), namespace)
            except NotEnough:
                raise
            except Exception as error:
                return [*_stream("stdout", said.getvalue()), _failed(error, unseen)]
        outputs = _stream("stdout", said.getvalue())
        if type(value) in (int, float):  # a check that ends in a number gives that many points
            outputs.append(
                {
                    "output_type": "execute_result",
                    "data": {"text/plain": repr(value)},
                    "metadata": {},
                    "execution_count": None,
                }
            )
        return outputs

    def _theirs(self, statements: list[ast.stmt]) -> dict[str, Any]:
        """The names that a check reads and the author did not bind, as the learner's process has them now."""
        found: dict[str, Any] = {}
        for name in sorted(names_of(statements).reads - set(self.namespace) - set(dir(builtins))):
            try:
                reply = self._ask({"do": "look", "name": name}, self.job.bounds.call_seconds)
            except Died:
                continue
            if reply.get("is") == "function":
                found[name] = Function(self, name)
            elif reply.get("is") == "value":
                found[name] = reply.get("value")
            elif "unsendable" in reply:
                found[name] = Function(self, name, f"it cannot be read: {reply['unsendable']}"[:TEXT])
            elif not self.everything:
                raise NotEnough
        return found

    def call(self, name: str, inputs: tuple[Any, ...], limits: Limits | None, driver: Any) -> Called:
        """Call a function of the learner's, over there."""
        if name in self.lost:
            return Called(error=_error_named("NotRun", self.lost[name]))
        message = {
            "do": "call",
            "name": name,
            "inputs": inputs,
            "limits": [limits.seconds, limits.extra_mb] if limits else None,
            "driver": driver.__name__ if driver else None,
        }
        seconds = self.job.bounds.call_seconds
        started = time.monotonic()
        try:
            reply = self._ask(message, limits.seconds + GRACE if limits else seconds)
        except Died as why:
            self.lost[name] = f"{why}"
            return Called(error=_error_named("NotRun", f"{why}"))
        if "unsendable" in reply:
            return Called(error=_error_named("TypeError", str(reply["unsendable"])[:TEXT]))
        called = _called(reply)
        if limits and time.monotonic() - started > limits.seconds + GRACE:
            called = Called(Exceeded("time", f"it was still running after {limits.seconds:g} seconds"))
        if called.error is not None:
            kind = type(called.error).__name__
            if kind == "NameError" and not self.everything:
                raise NotEnough
            if kind == "TimeoutError":
                self.lost[name] = str(called.error)
        return called


class Learner:
    """A learner's process: a fork of the fork server, with a channel to it."""

    def __init__(self, job: Job, puzzle: Puzzle | None):
        ours, theirs = socket.socketpair()
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": "/tmp",
            "LANG": "C.UTF-8",
            "MECHPUZZLES_OFFLINE": "1",
            "NBGRADER_EXECUTION": "autograde",
        }
        request = {
            "kind": "learner",
            "env": environment,
            "cwd": "/",
            "sandbox": job.sandbox,
            "policy": job.policy,
        }
        with theirs:
            self.process = warm.Forked(warm.ensure_server(), request, theirs.fileno())
        self.channel = Channel(ours)
        self.channel.send({"do": "begin", "puzzle": _stand_in(puzzle), "files": job.files})
        try:
            self.channel.receive(30.0)
        except (Silent, HungUp, Garbled) as error:
            self.end()
            raise warm.NoForkServer(f"a learner's process did not start: {error!r}") from None

    def end(self) -> int | None:
        """End it; its exit status, negative for a signal that had ended it before."""
        self.channel.socket.close()
        until = time.monotonic() + 1.0
        while self.process.poll() is None and time.monotonic() < until:
            time.sleep(0.002)
        if (status := self.process.poll()) is None:
            self.process.kill()
            self.process.wait()
        return status


class Function(Elsewhere):
    """A function of the learner's."""

    def __init__(self, grading: Grading, name: str, problem: str = ""):
        self._grading, self._name, self._problem = grading, name, problem

    def call(self, inputs: tuple[Any, ...], limits: Limits | None, driver: Any) -> Called:
        if self._problem:
            return Called(error=_error_named("TypeError", self._problem))
        return self._grading.call(self._name, inputs, limits, driver)


Function.__name__ = "function"  # what a learner is told who gives one where a value is asked for


def _called(reply: dict[str, Any]) -> Called:
    """A reply read with suspicion."""
    error = reply.get("error")
    if type(error) is list and len(error) == 2:
        raised = _error_named(str(error[0]), str(error[1])[:TEXT])
        return Called(error=raised, line=str(reply.get("line", ""))[:TEXT], noise=str(reply.get("noise", ""))[:TEXT])
    noise = str(reply.get("noise", ""))[:TEXT]
    return Called(reply.get("value"), noise=noise, altered=reply.get("altered") is True)


def _error_named(name: str, text: str) -> Exception:
    """An error that reads like the learner's own."""
    if name == "NotImplementedError":
        return NotImplementedError(*([text] if text else []))
    return type(name if name.isidentifier() and len(name) < 60 else "Exception", (Exception,), {})(text)


def _failed(error: Exception, unseen: bool) -> dict[str, Any]:
    """A check's error as an output. Of a hidden one only what an author has written for learners is told."""
    if isinstance(error, NotYet):
        verdict = error.verdict
        if not unseen:
            return _error("NotYet", verdict.text(bold=False))
        if verdict.outcome is Outcome.WRONG and verdict.symptom:
            return _error("NotYet", verdict.says[0])
        return _error("NotYet", f"{verdict.part}: not yet. {UNSEEN}")
    if unseen:
        return _error("CheckFailed", UNSEEN)
    if isinstance(error, NameError):
        return _error("NameError", f"{error.name} is not defined: its cell is gone, or raised an error.")
    return _error(type(error).__name__, str(error)[:TEXT])


def _error(name: str, text: str) -> dict[str, Any]:
    return {"output_type": "error", "ename": name, "evalue": text, "traceback": [text]}


def _stream(name: str, text: str) -> list[dict[str, Any]]:
    return [{"output_type": "stream", "name": name, "text": text}] if text else []


def _shown(reply: dict[str, Any]) -> list[dict[str, Any]]:
    """What a cell showed, as outputs of text only."""
    outputs = [*_stream("stdout", str(reply.get("stdout", ""))), *_stream("stderr", str(reply.get("stderr", "")))]
    results = reply.get("results")
    for text in results if type(results) is list else []:
        outputs.append({"output_type": "display_data", "data": {"text/plain": str(text)}, "metadata": {}})
    error = reply.get("error")
    if type(error) is list and len(error) == 2:
        outputs.append(_error(str(error[0])[:100], str(error[1])[:TEXT]))
    return outputs


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


def _plain(value: Any) -> bool:
    """Whether a value crosses whole."""

    def whole(data: Any) -> bool:
        if type(data) is dict:
            return data.get("is") != "opaque" and all(map(whole, data.values()))
        return all(map(whole, data)) if type(data) is list else True

    return whole(encode(value, bytearray()))


def _attributes(value: Any) -> dict[str, Any]:
    """The public attributes of a value that are numbers or strings."""
    names = [name for name in dir(value) if not name.startswith("_")]
    return {name: got for name in names if type(got := getattr(value, name)) in (bool, int, float, str)}


def _stand_in(puzzle: Puzzle | None) -> dict[str, Any] | None:
    """What the learner's side is told of a puzzle: nothing of its parts."""
    if puzzle is None:
        return None
    told = {key: getattr(puzzle, key) for key in ("slug", "title", "question", "minutes")}
    guesses = [[p.name, list(p.choices), float(p.between[0]), float(p.between[1])] for p in puzzle.predictions]
    return {**told, "predictions": guesses}
