"""A class graded on a Dask cluster: the marks of one machine, whatever is killed meanwhile."""

import asyncio
import concurrent.futures
import contextlib
import functools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest

from mechpuzzles.grading import cluster, driver, sandbox

from .conftest import missing
from .courses import grades, hand_in, make_course, right, wrong
from .forking import needs_linux, own_fork_server, stop

ROOT = Path(__file__).parents[1]
SLUG = "similar_embeddings"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("cluster"),
    needs_linux,
    pytest.mark.filterwarnings("default::ResourceWarning", "default::DeprecationWarning", "default::UserWarning"),
]

SCHEDULER = "import sys; sys.modules['mechpuzzles'] = None; from distributed.cli.dask_scheduler import main; main()"
WORKER = "from distributed.cli.dask_worker import main; main()"
# What a worker says of itself is what Dask finds out about it.
SAYS = "import sys, types; from distributed import versions; "
OTHER_PYTHON = SAYS + "versions.sys = types.SimpleNamespace(byteorder='little', version_info=(3, 99, 0, 'final', 0)); "
OTHER_PACKAGE = (
    SAYS + "known = versions.version; versions.version = lambda p: '9.9' if p == 'mechpuzzles' else known(p); "
)


class Cluster:
    """A scheduler, which has no mechpuzzles, and workers, all on loopback and each in an empty folder of its own."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.started: list[subprocess.Popen] = []
        self.start("scheduler", SCHEDULER, "--port=0", "--scheduler-file=it.json")
        assert soon((folder / "scheduler" / "it.json").exists)
        self.address = json.loads((folder / "scheduler" / "it.json").read_text())["address"]

    def start(self, name: str, code: str, *arguments: str, inside: tuple[str, ...] = (), **environment: str):
        own = self.folder / name
        own.mkdir(parents=True)
        command = [*inside, sys.executable, "-c", code, *arguments, "--host=127.0.0.1", "--no-dashboard"]
        environment = {**os.environ, "TMPDIR": str(own), "NAME": name, **environment}
        with (own / "log").open("w") as log:
            process = subprocess.Popen(command, cwd=own, env=environment, stdout=log, stderr=log)
        self.started.append(process)
        return process

    def worker(self, name: str, *options: str, says: str = "", wait: bool = True, **more):
        process = self.start(name, says + WORKER, self.address, "--nthreads=1", *(options or ["--no-nanny"]), **more)
        if wait:
            self.registered(name)
        return process

    def registered(self, name: str) -> None:
        log = self.folder / name / "log"
        assert soon(lambda: "Registered to" in log.read_text()), log.read_text()

    def stranger(self, name: str) -> None:
        """A worker that finds neither this checkout's puzzles nor the tests' courses, as on a machine of its own."""
        own, everything = self.folder / name, self.folder.parent
        hide = [part for folder in (everything, *map(ROOT.joinpath, ("solutions", "puzzles", "tests")))
                for part in ("--tmpfs", str(folder))]  # fmt: skip
        inside = ("bwrap", "--dev-bind", "/", "/", *hide, "--bind", str(own), str(own), "--chdir", str(own), "--")
        self.worker(name, inside=inside, wait=False, MECHPUZZLES_FORK_SERVER=str(own / "socket"))

    def close(self) -> None:
        for process in reversed(self.started):
            process.terminate()
        for process in self.started:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(3)
            process.kill()
            process.wait()
        for path in self.folder.glob("*/socket"):
            stop(path)


def soon(condition) -> bool:
    for _ in range(600):
        if condition():
            return True
        time.sleep(0.05)
    return False


@pytest.fixture(scope="module", autouse=True)
def _own_fork_server(tmp_path_factory):
    if problem := sandbox.problem():
        missing(problem)
    with own_fork_server(tmp_path_factory.mktemp("fork")):
        yield


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """A cluster of two workers that share nothing with this machine."""
    made = Cluster(tmp_path_factory.mktemp("two"))
    try:
        for name in "ab":
            made.stranger(name)
        for name in "ab":
            made.registered(name)
        yield made
    finally:
        made.close()


@pytest.fixture
def small(tmp_path_factory):
    """A cluster without workers yet; those that are started use the tests' own fork server."""
    made = Cluster(tmp_path_factory.mktemp("small"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A course of six learners."""
    course = make_course(tmp_path_factory.mktemp("template") / "course", SLUG)
    hand_in(course, "ada", SLUG, right(SLUG, text=True))
    hand_in(course, "bert", SLUG, {})
    hand_in(course, "cleo", SLUG, wrong(SLUG, ["centre"]))
    hand_in(course, "dan", SLUG, wrong(SLUG, ["cosine_to_mean", "offset_ratio"]))
    hand_in(course, "eve", SLUG, {**right(SLUG), "stub-centre": "def centre(:"})
    hand_in(course, "finn", SLUG, right(SLUG))
    return course


@pytest.fixture
def course(template, tmp_path):
    return shutil.copytree(template, tmp_path / "course")


@pytest.fixture(scope="module")
def expected(template, tmp_path_factory):
    """What this machine alone finds."""
    course = shutil.copytree(template, tmp_path_factory.mktemp("local") / "course")
    rows = graded(course)
    assert {row.status for row in rows} == {"graded", "needs_manual"}
    assert len({row.score for row in rows}) > 3
    return found(course)


def graded(course, progress=lambda row, total: None, **settings) -> list[driver.Row]:
    return driver.grade(driver.Course(course), None, driver.Settings(**{"workers": 2, **settings}), progress)


def run(pool, function, *arguments) -> concurrent.futures.Future:
    """Have something else done than grading."""
    return asyncio.run_coroutine_threadsafe(pool._grade(functools.partial(function, *arguments)), pool.loop)


def found(course) -> tuple:
    """All that grading left: every mark, once, and every cell's outputs."""
    outputs = {
        path.parts[-3]: [cell.get("outputs") for cell in nbformat.read(path, as_version=4).cells]
        for path in course.glob("autograded/*/*/*.ipynb")
    }
    return grades(course), outputs


def killed_during(monkeypatch, job: int) -> list[str]:
    """Kill the worker that runs the nth job, in the midst of it; the list fills with the workers that were lost."""
    on, lost, begun = cluster.DaskPool._on, [], []

    async def watched(pool, place, task):
        if getattr(task, "func", None) is cluster.worker.grade_job:
            begun.append(task)
            if len(begun) == job:
                pid = await on(pool, place, os.getpid)
                asyncio.get_running_loop().call_later(0.1, os.kill, pid, signal.SIGKILL)
        try:
            return await on(pool, place, task)
        except cluster.Lost:
            lost.append(place.address)
            raise

    monkeypatch.setattr(cluster.DaskPool, "_on", watched)
    return lost


def test_a_cluster_gives_the_marks_of_one_machine(two, course, expected):
    rows = graded(course, scheduler=two.address)
    assert found(course) == expected
    assert all(row.graded_now for row in rows)
    again = graded(course, scheduler=two.address)
    assert [row.score for row in again] == [row.score for row in rows]
    assert not any(row.graded_now for row in again)


def test_a_job_carries_all_that_it_needs(two, course):
    """The workers of the test above see neither course nor puzzles; the scheduler has not even the package."""
    pool = cluster.connect(two.address, sandboxed=True)
    try:
        assert pool.size == 2
        for path in (course, ROOT / "solutions" / SLUG, ROOT / "puzzles" / SLUG):
            assert path.exists()
            for place in pool.workers.values():
                looks = pool._on(place, functools.partial(os.path.exists, str(path)))
                assert not asyncio.run_coroutine_threadsafe(looks, pool.loop).result(20)
    finally:
        pool.close()


def test_a_worker_that_is_killed_loses_nothing(two, course, expected, monkeypatch):
    lost = killed_during(monkeypatch, 3)
    heard = []
    rows = graded(course, lambda row, total: heard.append(row.learner), scheduler=two.address)
    assert len(lost) == 1
    assert found(course) == expected
    assert sorted(heard) == [row.learner for row in rows] == ["ada", "bert", "cleo", "dan", "eve", "finn"]


def test_the_only_worker_is_killed_and_its_nanny_starts_another(small, course, expected, monkeypatch):
    small.worker("nursed", "--nanny")
    lost = killed_during(monkeypatch, 2)
    graded(course, scheduler=small.address)
    assert len(lost) == 1
    assert found(course) == expected


def test_a_job_that_ends_its_workers_does_not_stop_the_others(small):
    small.worker("nursed", "--nanny")
    pool = cluster.connect(small.address, sandboxed=False)
    try:
        bad = run(pool, os._exit, 1)
        good = [run(pool, os.getenv, "NAME") for _ in range(5)]
        assert [each.result(60) for each in good] == ["nursed"] * 5
        assert "Grading this was begun 3 times and never ended" in bad.result(60)["failed"]
    finally:
        pool.close()


def test_the_scheduler_dies_and_the_run_ends(small, course, expected):
    small.worker("a")
    rows = graded(course, lambda row, total: small.started[0].kill(), scheduler=small.address)
    assert len(rows) == 6
    left = [row for row in rows if row.status == "ungraded"]
    assert left
    for row in left:
        assert row.score is None
        assert row.message.startswith(f"The scheduler at {small.address} was lost")
        assert row.message.endswith("Grade again.")
    again = graded(course)
    assert sum(row.graded_now for row in again) == len(left)
    assert found(course) == expected


def test_nobody_comes_when_all_workers_are_gone(small, monkeypatch):
    only = small.worker("a")
    monkeypatch.setattr(cluster, "ALONE_SECONDS", 2.0)
    pool = cluster.connect(small.address, sandboxed=False)
    try:
        jobs = [run(pool, time.sleep, 60) for _ in range(3)]
        only.kill()
        for job in jobs:
            assert "has had no worker for 2 seconds" in job.result(20)["failed"]
    finally:
        pool.close()


def test_workers_that_come_later_are_used_if_they_can_grade(small, caplog):
    small.worker("first")
    pool = cluster.connect(small.address, sandboxed=False)
    try:
        assert pool.size == 1
        small.worker("other", says=OTHER_PACKAGE, wait=False)
        small.worker("later", wait=False)
        assert soon(lambda: caplog.text and sum(each.free for each in pool.workers.values()) == 2)
        assert pool.size == 2
        assert "has mechpuzzles 9.9, and this is" in caplog.text
        names = {run(pool, os.getenv, "NAME") for _ in range(12)}
        assert {each.result(20) for each in names} == {"first", "later"}
    finally:
        pool.close()


@pytest.mark.parametrize("where", ["local", "cluster"])
def test_the_coordinator_is_killed_and_started_again(where, two, course, expected):
    command = [sys.executable, "-m", "mechpuzzles.cli", "grade", f"--course={course}", "--json"]
    command += ["--workers=2"] if where == "local" else [f"--scheduler={two.address}"]
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    marks = lambda: list(course.glob(f"autograded/*/*/{driver.MARK}"))  # noqa: E731
    assert soon(marks)
    time.sleep(0.15)
    first.kill()
    first.wait()
    assert len(marks()) < 6
    rows = graded(course, scheduler=None if where == "local" else two.address)
    assert [row.learner for row in rows] == ["ada", "bert", "cleo", "dan", "eve", "finn"]
    assert found(course) == expected


# What it refuses --------------------------------------------------------------------------------------------------


def refused(address: str, sandboxed: bool = True) -> str:
    with pytest.raises(driver.Unusable) as why:
        cluster.connect(address, sandboxed)
    return str(why.value)


def test_it_needs_the_extra(course, monkeypatch):
    monkeypatch.setattr(cluster, "distributed", None)
    with pytest.raises(driver.Unusable, match=r"pip install 'mechpuzzles\[cluster\]'"):
        graded(course, scheduler="tcp://127.0.0.1:1")


def test_a_scheduler_must_answer(monkeypatch):
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 1.0)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        assert refused(address).startswith(f"No Dask scheduler answers at {address}: Timed out")
        silent.listen()
        assert refused(address) == f"No Dask scheduler answers at {address}: it says nothing."
    assert refused("here").startswith("No Dask scheduler answers at here: missing port number")
    assert refused("carrier://pigeon:1").startswith("No Dask scheduler answers at carrier://pigeon:1: ")


@pytest.mark.filterwarnings("ignore::distributed.versions.VersionMismatchWarning")  # Dask sees it, too
def test_workers_must_be_there_and_able(small, monkeypatch):
    monkeypatch.setattr(cluster, "WAIT_SECONDS", 0.3)
    assert refused(small.address) == (
        f"The scheduler at {small.address} has no workers that answer. Start one: dask worker {small.address}"
    )
    small.worker("python", says=OTHER_PYTHON, wait=False)
    small.worker("package", says=OTHER_PACKAGE, wait=False)
    small.worker("bare", wait=False, PATH="/nowhere")
    for name in ("python", "package", "bare"):
        small.registered(name)
    said = refused(small.address)
    here = "{}.{}".format(*sys.version_info)
    assert said.count("The worker tcp://127.0.0.1:") == 3
    assert f"runs Python 3.99, and this is Python {here}." in said
    assert f"has mechpuzzles 9.9, and this is mechpuzzles {driver.mechpuzzles.__version__}." in said
    assert "has no sandbox: The sandbox needs bubblewrap" in said
    assert "sandbox" not in refused(small.address, sandboxed=False)
