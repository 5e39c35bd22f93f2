"""No attack on grading gets marks, learns a secret or does harm; each does so with the one layer off that stops it.

What is handed in passes through what `mechpuzzles grade` does with it, without a gradebook. Layers off: for the trusted
grader nbgrader's way, all cells with the hidden tests in one kernel; else the same job with that layer left out.
"""

import contextlib
import copy
import functools
import json
import os
import shutil
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode
from nbgrader import utils
from nbgrader.api import Gradebook

from mechpuzzles.grading import execute, sandbox, submissions, trusted, warm, worker
from mechpuzzles.grading.jobs import Bounds, Job

from .attacks import (
    ATTACKS,
    BACKWARDS,
    EXPECTED,
    HIDDEN_INPUT,
    LIMITS,
    POINTS,
    PRE_CHECK,
    RIGHT,
    SANDBOX,
    SECRET,
    TOTAL,
    TRUSTED,
    WRONG,
    Attack,
)
from .conftest import missing
from .forking import needs_linux

ROOT = Path(__file__).parents[1]
CLOSE = Bounds(cell_seconds=4.0, call_seconds=3.0, notebook_seconds=25.0)
GENEROUS = Bounds(cell_seconds=8.0, call_seconds=8.0, notebook_seconds=60.0)
TIGHT = {"memory_mb": 1500, "cpu_seconds": 40, "scratch_mb": 64}
AMPLE = {"memory_mb": 8000, "cpu_seconds": 120, "scratch_mb": 256, "threads": 256}
MOST_TEXT = 1_000_000  # characters of a notebook's outputs

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("warm"),
    needs_linux,
    pytest.mark.filterwarnings("default::ResourceWarning", "default::DeprecationWarning", "default::UserWarning"),
]


@pytest.fixture(autouse=True, scope="module")
def _sandbox() -> None:
    if why := sandbox.problem():
        missing(f"a sandbox: {why}")


# The notebooks ----------------------------------------------------------------------------------------------------

BEGIN, END = "### BEGIN HIDDEN TESTS", "### END HIDDEN TESTS"
PLANTED = (
    ("setup", "import torch\nfrom torch import allclose"),
    (BACKWARDS, "def backwards(text):\n    raise NotImplementedError"),
    (
        "check-backwards",
        f'assert backwards("abc") == "cba"\n{BEGIN}\nassert backwards("{HIDDEN_INPUT}") == "{EXPECTED}"\n{END}',
    ),
    (TOTAL, "def total(numbers):\n    raise NotImplementedError"),
    (
        "check-total",
        "assert allclose(total(torch.tensor([1.0, 2.0])), torch.tensor(3.0))\n"
        f"{BEGIN}\nassert allclose(total(torch.tensor([2.5, 4.0])), torch.tensor(6.5))\n{END}",
    ),
)


@functools.cache
def _read(path: Path) -> NotebookNode:
    return nbformat.read(path, as_version=4)


@functools.cache
def _planted(hidden: bool) -> NotebookNode:
    """An instructor's own notebook: two functions, each with a visible and a hidden assertion."""
    cells = []
    for name, source in PLANTED:
        if not hidden and BEGIN in source:
            source = source[: source.index(BEGIN)].rstrip()
        check, stub = name.startswith("check-"), name.startswith("stub-")
        role = {"grade_id": name, "grade": check, "solution": stub, "locked": not stub, "task": False}
        points = {"points": POINTS[name.replace("check", "stub")]} if check else {}
        metadata = {"nbgrader": {**role, **points, "schema_version": 3}}
        cells.append(nbformat.v4.new_code_cell(source, id=name, metadata=metadata))
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": {"name": "python3", "display_name": "Python"}})


def released(slug: str) -> NotebookNode:
    """What learners get."""
    return copy.deepcopy(_planted(False) if slug == "planted" else _read(ROOT / "puzzles" / slug / f"{slug}.ipynb"))


def sources(slug: str) -> dict[str, execute.SourceCell]:
    """What a gradebook keeps of the cells."""
    whole = _planted(True) if slug == "planted" else _read(ROOT / "solutions" / slug / f"{slug}.ipynb")
    found = {}
    for given, full in zip(released(slug).cells, whole.cells, strict=True):
        if given.cell_type == "code" and (role := given.metadata.get("nbgrader")):
            source = given.source if role["solution"] else full.source
            check = role["grade"] and not role["solution"]
            found[role["grade_id"]] = execute.SourceCell(source, role["locked"], check, role["solution"])
    return found


def declaration(slug: str) -> dict[str, bytes]:
    return {} if slug == "planted" else execute.puzzle_files(ROOT / "solutions" / slug)


# What an attack finds, and what it leaves -------------------------------------------------------------------------


@dataclass
class Place:
    """What there is to be read, killed, called and written to."""

    folder: Path
    listeners: list[socket.socket]
    victim: subprocess.Popen

    @property
    def marker(self) -> Path:
        return self.folder / "marker"

    def filled_in(self, source: str) -> str:
        """A source of an attack with what it aims at."""
        port = self.listeners[0].getsockname()[1]
        aims = {"MARKER": self.marker, "SECRET_FILE": self.folder / "secret", "PORT": port}
        aims |= {"SOCKET": self.listeners[1].getsockname()[1:].decode(), "VICTIM": self.victim.pid}
        for name, aim in aims.items():
            source = source.replace(name, str(aim))
        return textwrap.dedent(source)

    def contacted(self) -> bool:
        for listener in self.listeners:
            with contextlib.suppress(BlockingIOError):
                listener.accept()[0].close()
                return True
        return False

    def processes(self) -> list[int]:
        """Those whose command line tells that an attack started them."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if str(self.marker).encode() in (process / "cmdline").read_bytes():
                    found.append(int(process.name))
        return found


@pytest.fixture
def place(tmp_path) -> Iterator[Place]:
    folder = tmp_path / "place"
    folder.mkdir()
    (folder / "secret").write_text(SECRET)
    victim = subprocess.Popen(["sleep", "600"], env={"WORD_OF_THE_TEST": SECRET})
    with socket.socket() as by_port, socket.socket(socket.AF_UNIX) as by_name:
        by_port.bind(("127.0.0.1", 0))
        by_name.bind(f"\0{tmp_path.name}-{os.getpid()}")
        for listener in (by_port, by_name):
            listener.listen()
            listener.setblocking(False)
        found = Place(folder, [by_port, by_name], victim)
        yield found
    for pid in [victim.pid, *found.processes()]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, 9)
    victim.wait()


@dataclass
class Outcome:
    """What came of a submission. Without a score it was not graded."""

    score: float | None
    text: str  # all outputs and findings
    seconds: float


def shows(attack: Attack, outcome: Outcome, place: Place) -> list[str]:
    """By what signs an attack has succeeded."""
    signs = {
        "score": outcome.score is not None and outcome.score > attack.baseline,
        "lost": outcome.score is None or outcome.score < attack.baseline,
        "ungraded": outcome.score is None,
        "word": attack.word in outcome.text or SECRET in outcome.text,
        "marker": place.marker.exists(),
        "contact": place.contacted(),
        "process": bool(place.processes()),
        "victim": place.victim.poll() is not None,
        "slow": outcome.seconds > attack.seconds,
        "flood": len(outcome.text) > MOST_TEXT,
    }
    return [sign for sign, seen in signs.items() if seen]


# Handing in and grading -------------------------------------------------------------------------------------------


def hand_in(attack: Attack, place: Place) -> Path:
    """Write what the learner hands in."""
    notebook = released(attack.slug)
    with_learner(notebook, attack, place)
    if attack.forge:
        attack.forge(notebook)
    folder = place.folder / "submitted"
    for name, content in {**attack.files, f"{attack.slug}.ipynb": json.dumps(notebook)}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(place.filled_in(content))
    for name in attack.links:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(place.folder / "secret")
    return folder


def with_learner(notebook: NotebookNode, attack: Attack, place: Place) -> None:
    """Fill in the answers, and put the learner's own cells before the first stub and at the end."""
    for cell in notebook.cells:
        cell.source = place.filled_in(attack.answers.get(cell.id, cell.source))
    first = next(number for number, cell in enumerate(notebook.cells) if cell.id.startswith("stub-"))
    make = nbformat.v4.new_code_cell
    notebook.cells[first:first] = [make(place.filled_in(source)) for source in attack.own]
    notebook.cells += [make(place.filled_in(source)) for source in attack.last]


def job_for(attack: Attack, folder: Path, **settings: Any) -> tuple[NotebookNode, Job, tuple[str, ...]]:
    """What the driver makes of a submission: a notebook, a job and findings."""
    release = released(attack.slug)
    submission = submissions.read(folder, release, attack.slug)
    assert submission.notebook is not None, submission.findings
    bounds = {"bounds": replace(CLOSE, **attack.bounds), "policy": {**TIGHT, **attack.policy}}
    job = execute.job_of(submission.notebook, sources(attack.slug), release, attack.slug, **{**bounds, **settings})
    return submission.notebook, replace(job, files=submission.files), submission.findings


def graded(attack: Attack, folder: Path, **settings: Any) -> Outcome:
    """Grade a submission as `mechpuzzles grade` does."""
    notebook, job, findings = job_for(attack, folder, **settings)
    started = time.monotonic()
    found = worker.grade_job(asdict(job), declaration(attack.slug))
    return entered(notebook, found, findings, time.monotonic() - started)


def graded_here(attack: Attack, folder: Path, patch: pytest.MonkeyPatch) -> Outcome:
    """Grade it in this process, with something of the grader's replaced."""
    notebook, job, findings = job_for(attack, folder)
    scratch = folder.parent / "scratch"
    scratch.mkdir()
    for name, content in declaration(attack.slug).items():
        (scratch / name).write_bytes(content)
    patch.chdir(scratch)
    for name, instead in attack.without.items():
        patch.setattr(name, instead)
    started = time.monotonic()
    try:
        found = asdict(trusted.grade(replace(job, folder=str(scratch))))
    except Exception as error:
        found = {"failed": repr(error)}
    return entered(notebook, found, findings, time.monotonic() - started)


def entered(notebook: NotebookNode, found: dict[str, Any], findings: tuple[str, ...], seconds: float) -> Outcome:
    """The marks that nbgrader gives for what a grader found."""
    if "failed" in found:
        return Outcome(None, str(found["failed"]), seconds)
    execute.fill(notebook, found, findings)
    return Outcome(score(notebook), said(notebook), seconds)


def score(notebook: NotebookNode) -> float:
    checks = [cell for cell in notebook.cells if utils.is_grade(cell) and cell.cell_type == "code"]
    return sum(utils.determine_grade(cell)[0] or 0.0 for cell in checks if not utils.is_solution(cell))


def said(notebook: NotebookNode) -> str:
    outputs = [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]
    return json.dumps([outputs, notebook.metadata.get("mechpuzzles")])


def run_in_one_kernel(notebook: NotebookNode, folder: Path, kernel: str) -> Outcome:
    """What nbgrader does: all cells in one kernel, beside the notebook's file."""
    nbformat.write(notebook, folder / "notebook.ipynb")
    resources = {"metadata": {"path": str(folder)}}
    client = NotebookClient(notebook, kernel_name=kernel, allow_errors=True, timeout=60, resources=resources)
    started = time.monotonic()
    try:
        client.execute()
    except DeadKernelError as error:
        return Outcome(None, str(error), time.monotonic() - started)
    return Outcome(score(notebook), said(notebook), time.monotonic() - started)


def without_trusted_grader(attack: Attack, place: Place) -> Outcome:
    """The learner's cells and all tests in one kernel."""
    notebook = released(attack.slug)
    with_learner(notebook, attack, place)
    texts = sources(attack.slug)
    for cell in notebook.cells:
        if cell.id.startswith("check-"):
            cell.source = texts[cell.id].source
        elif cell.id.startswith(("code-", "open-")) and cell.id not in ("code-1", "open-variant"):
            cell.source = ""  # pictures take long
    folder = place.folder / "kernel"
    for name, content in attack.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(place.filled_in(content))
    folder.mkdir(exist_ok=True)
    for name, content in declaration(attack.slug).items():
        (folder / name).write_bytes(content)
    return run_in_one_kernel(notebook, folder, attack.kernel or warm.KERNEL)


def without_pre_check(attack: Attack, submitted: Path) -> Outcome:
    """What was handed in as it is; if it has outputs, it is taken to have run."""
    folder = submitted.parent / "believed"
    shutil.copytree(submitted, folder)
    for name, content in declaration(attack.slug).items():
        if not (folder / name).exists():
            (folder / name).write_bytes(content)
    notebook = nbformat.read(folder / f"{attack.slug}.ipynb", as_version=4)
    if any(cell.get("outputs") for cell in notebook.cells):
        return Outcome(score(notebook), said(notebook), 0.0)
    return run_in_one_kernel(notebook, folder, warm.KERNEL)


# The tests --------------------------------------------------------------------------------------------------------

by_name = pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
HONEST = Attack("honest", "Nothing.", TRUSTED, "score", answers=RIGHT, baseline=3.0)


def childless(pid: int) -> bool:
    """Whether all that a fork server has forked is gone, or soon is."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    until = time.monotonic() + 5
    while children.read_text() and time.monotonic() < until:
        time.sleep(0.05)
    return not children.read_text()


@by_name
def test_nothing_comes_of_it(attack, place, fork_server):
    outcome = graded(attack, hand_in(attack, place))
    assert shows(attack, outcome, place) == []
    assert outcome.score == attack.baseline
    assert not place.processes()
    assert childless(warm.listener(fork_server))
    assert sorted(path.name for path in place.folder.iterdir()) == ["secret", "submitted"]
    shutil.rmtree(place.folder / "submitted")
    assert graded(HONEST, hand_in(HONEST, place)).score == 3.0


@by_name
def test_with_its_layer_off_it_succeeds(attack, place, fork_server, monkeypatch):
    if attack.not_run:
        pytest.skip(attack.not_run)
    attack = replace(attack, **attack.harmless)
    if attack.without:
        outcome = graded_here(attack, hand_in(attack, place), monkeypatch)
    elif attack.layer == TRUSTED:
        outcome = without_trusted_grader(attack, place)
    elif attack.layer == PRE_CHECK:
        outcome = without_pre_check(attack, hand_in(attack, place))
    elif attack.layer == SANDBOX:
        outcome = graded(attack, hand_in(attack, place), sandbox=False)
    else:
        outcome = graded(attack, hand_in(attack, place), bounds=GENEROUS, policy=AMPLE)
    assert attack.shows in shows(attack, outcome, place), outcome


def test_there_are_enough_of_every_kind():
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS) >= 25
    assert {attack.layer for attack in ATTACKS} == {TRUSTED, SANDBOX, LIMITS, PRE_CHECK}
    assert sum(bool(attack.not_run) for attack in ATTACKS) <= 4


# The formgrader's button: nbgrader's own pipeline, without the pre-check --------------------------------------------

CONFIG = """
c = get_config()
c.CourseDirectory.course_id = "planted"
c.OverwriteCells.add_missing_cells = True
c.ClearSolutions.code_stub = {"python": "raise NotImplementedError"}
after = ["LimitOutput", "SaveAutoGrades", "AssignLatePenalties", "CheckCellMetadata"]
c.Autograde.autograde_preprocessors = ["mechpuzzles.grading.execute.TrustedExecute"]
c.Autograde.autograde_preprocessors += [f"nbgrader.preprocessors.{name}" for name in after]
"""


def nbgrader(course: Path, *arguments: str) -> None:
    beside = str(Path(sys.executable).parent)  # nbgrader calls `alembic` by name
    environment = {**os.environ, "PATH": beside + os.pathsep + os.environ["PATH"]}
    command = [sys.executable, "-m", "nbgrader", *arguments]
    done = subprocess.run(command, cwd=course, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]


def answered(notebook: NotebookNode, answers: dict[str, str]) -> NotebookNode:
    for cell in notebook.cells:
        cell.source = answers.get(cell.id, cell.source)
    return notebook


def twins_by_id(notebook: NotebookNode) -> NotebookNode:
    """Cells with the checks' ids, in the old format, whose ids nobody looks at."""
    ids = [cell.id for cell in notebook.cells if cell.id.startswith("check-")]
    notebook.cells += [nbformat.v4.new_code_cell("pass", id=name) for name in ids]
    notebook.nbformat_minor = 4
    return notebook


def test_nbgraders_own_button_is_not_fooled_either(fork_server, tmp_path):
    """A learner cannot take the checks' names over, nor put outputs into their cells."""
    (tmp_path / "nbgrader_config.py").write_text(CONFIG)
    (tmp_path / "source" / "planted").mkdir(parents=True)
    solved = copy.deepcopy(_planted(True))
    for cell in solved.cells:
        if cell.id in RIGHT:
            head, body = RIGHT[cell.id].split("\n")
            cell.source = f"{head}\n    ### BEGIN SOLUTION\n{body}\n    ### END SOLUTION"
    nbformat.write(solved, tmp_path / "source" / "planted" / "planted.ipynb")
    nbgrader(tmp_path, "generate_assignment", "planted")
    release = nbformat.read(tmp_path / "release" / "planted" / "planted.ipynb", as_version=4)
    taken_over = {**WRONG, TOTAL: WRONG[TOTAL] + "\nallclose = lambda *_: True"}
    wanted = {"right": 3.0, "untouched": 0.0, "taken-over": 0.0, "twins": 0.0}
    for learner, notebook in {
        "right": answered(copy.deepcopy(release), RIGHT),
        "untouched": copy.deepcopy(release),
        "taken-over": answered(copy.deepcopy(release), taken_over),
        "twins": twins_by_id(answered(copy.deepcopy(release), WRONG)),
    }.items():
        folder = tmp_path / "submitted" / learner / "planted"
        folder.mkdir(parents=True)
        (folder / "planted.ipynb").write_text(json.dumps(notebook))
    nbgrader(tmp_path, "autograde", "planted")
    with Gradebook(f"sqlite:///{tmp_path}/gradebook.db") as book:
        assert {who: book.find_submission("planted", who).score for who in wanted} == wanted
