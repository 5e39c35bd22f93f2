"""What grading a class costs, beside stock nbgrader on the same submissions."""

from __future__ import annotations

import itertools
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import nbformat

from mechpuzzles import folders
from mechpuzzles.grading import warm

STUBS_LEFT = (0, 0, 1, 2)  # how many parts each fourth learner has left as released


def bench_grading(submissions: int = 20, slug: str = "similar_embeddings", stock: int | None = None) -> dict[str, Any]:
    """Grade the same submissions by `nbgrader autograde` and by `mechpuzzles grade`, sandbox and trusted grader on.

    By stock nbgrader only the first ``stock`` of them, or all if it is None: it takes some ten seconds for each,
    however many there are.

    Seconds are per submission, of wall and of processor time of all processes. ``ours`` holds all starts, the fork
    server's too, which serves one class after another; ``steady`` is a second time with it running. In each quarter of
    that class ``quarters_s`` and ``quarters_cpu_s`` are the seconds per submission, and ``memory_mb`` what is resident
    of the coordinator and of the fork server at its end.

    Raises RuntimeError if a command fails.
    """
    root = folders.checkout()
    stock = submissions if stock is None else stock
    with tempfile.TemporaryDirectory(prefix="mechpuzzles-bench-") as scratch:
        theirs, ours = Path(scratch, "stock"), Path(scratch, "ours")
        make_course(root, ours, slug, submissions)
        server = Path(scratch, "fork-server")
        beside = str(Path(sys.executable).parent)
        environment = {
            **os.environ,
            "PATH": beside + os.pathsep + os.environ["PATH"],
            "OMP_NUM_THREADS": "1",
            "MECHPUZZLES_FORK_SERVER": str(server),
        }
        result: dict[str, Any] = {"submissions": submissions, "puzzle": slug}
        try:
            grade = [sys.executable, "-m", "mechpuzzles.cli", "grade", "--json"]
            result["ours"], _ = timed(grade, ours, environment, submissions, server)
            again = [sys.executable, "-c", f"from mechpuzzles import cli; from {__name__} import watch; watch()"]
            result["steady"], watched = timed(again, ours, environment, submissions, server)
            result["steady"] |= json.loads(watched)
        finally:
            if (pid := warm.listener(server)) is not None:
                os.kill(pid, signal.SIGKILL)
        if stock:
            make_course(root, theirs, slug, stock)
            autograde = [sys.executable, "-m", "nbgrader", "autograde", slug]
            result["stock"], _ = timed(autograde, theirs, environment, stock)
            for ratio, who in (("", "ours"), ("steady_", "steady")):
                for what in ("wall", "cpu"):
                    result[f"{ratio}{what}_ratio"] = result["stock"][f"{what}_s"] / result[who][f"{what}_s"]
            both = {path.name for path in (theirs / "submitted").iterdir()}
            by_us = {where: mark for where, mark in marks(ours, slug).items() if where[0] in both}
            result["same_marks"] = by_us == marks(theirs, slug)
    return result


def watch() -> None:
    """Grade the course in this folder again, and print how it went over its quarters."""
    from mechpuzzles.grading import driver

    path = warm.ensure_server()
    server = warm.listener(path)
    seen: list[tuple[float, float]] = []  # wall and processor seconds
    memory: list[list[float]] = []

    def hear(row: driver.Row, total: int) -> None:
        seen.append((time.monotonic(), time.process_time() + cpu_of(path)))
        if len(seen) * 4 >= (len(memory) + 1) * total:
            memory.append([resident_mb(os.getpid()), resident_mb(server)])

    driver.grade(driver.Course(Path()), None, driver.Settings(again=True), hear)
    marks = [seen[round(quarter * (len(seen) - 1) / 4)] for quarter in range(5)]
    each = [[4 * (b - a) / (len(seen) - 1) for a, b in zip(*pair, strict=True)] for pair in itertools.pairwise(marks)]
    wall, cpu = zip(*each, strict=True)
    print(json.dumps({"quarters_s": wall, "quarters_cpu_s": cpu, "memory_mb": memory}))


def resident_mb(pid: int | None) -> float:
    """Megabytes (10^6 bytes) of a process that are in memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def make_course(root: Path, course: Path, slug: str, submissions: int) -> None:
    """A course directory with a class's submissions: the reference solution, with some parts left as released."""
    course.mkdir(parents=True)
    shutil.copy(root / "nbgrader_config.py", course)
    for step in ("solutions", "puzzles"):
        shutil.copytree(root / step / slug, course / step / slug, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run(
        [sys.executable, "-m", "nbgrader", "generate_assignment", slug, "--force"],
        cwd=course,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
        check=True,
        capture_output=True,
    )
    released = nbformat.read(course / "puzzles" / slug / f"{slug}.ipynb", as_version=4)
    solved = {c.id: c.source for c in nbformat.read(course / "solutions" / slug / f"{slug}.ipynb", as_version=4).cells}
    stubs = [cell.id for cell in released.cells if cell.id.startswith("stub-")]
    for number, left in zip(range(submissions), itertools.cycle(STUBS_LEFT), strict=False):
        notebook = nbformat.from_dict(released)
        skip = {stubs[(number + k) % len(stubs)] for k in range(left)}
        for cell in notebook.cells:
            if cell.id in stubs or cell.id.startswith("free-text-"):
                cell.source = next(c.source for c in released.cells if c.id == cell.id)
                if cell.id not in skip:
                    cell.source = solved[cell.id]
        folder = course / "submitted" / f"learner-{number:04}" / slug
        folder.mkdir(parents=True)
        nbformat.write(notebook, folder / f"{slug}.ipynb")


def cpu_of(server: Path | None) -> float:
    """Processor seconds of a fork server so far, and of all that it forked."""
    pid = None if server is None else warm.listener(server)
    if pid is None:
        return 0.0
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def timed(
    command: list[str], cwd: Path, environment: dict[str, str], parts: int, server: Path | None = None
) -> tuple[dict[str, float], str]:
    """Wall and processor seconds of a command with all its processes, over ``parts``, and its standard output.

    Raises RuntimeError if it fails.
    """
    before, earlier, started = resource.getrusage(resource.RUSAGE_CHILDREN), cpu_of(server), time.monotonic()
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    wall = time.monotonic() - started
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[1:4])} failed: {done.stderr[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime + cpu_of(server) - earlier
    return {"wall_s": wall / parts, "cpu_s": cpu / parts}, done.stdout


def marks(course: Path, slug: str) -> dict[tuple[str, str], float | None]:
    """Every automatic mark in a course's gradebook, by learner and cell."""
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{course}/gradebook.db") as book:
        return {
            (submission.student.id, grade.name): grade.auto_score
            for submission in book.assignment_submissions(slug)
            for notebook in submission.notebooks
            for grade in notebook.grades
        }
