"""What grading a class costs, beside stock nbgrader on the same submissions."""

from __future__ import annotations

import contextlib
import itertools
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import nbformat

from mechpuzzles import folders

STUBS_LEFT = (0, 0, 1, 2)  # how many parts each fourth learner has left as released


def bench_grading(submissions: int = 20, slug: str = "similar_embeddings", stock: bool = True) -> dict[str, Any]:
    """Grade the same submissions by `nbgrader autograde` and by `mechpuzzles grade`, sandbox and trusted grader on.

    Seconds are per submission, of wall and of processor time of all processes, starting everything included; so ours
    hold the start of the fork server (``server_cpu_s``, once for a class). ``steady`` is the same without the starts:
    what another class costs while the fork server runs. ``quarters_s`` are ours per submission over each quarter of
    the class, and ``memory_mb`` the largest resident size of the coordinator at the end of each, to see growth.

    Raises RuntimeError if either command fails. Takes some ten seconds for each submission with ``stock``.
    """
    root = folders.checkout()
    with tempfile.TemporaryDirectory(prefix="mechpuzzles-bench-") as scratch:
        theirs, ours = Path(scratch, "stock"), Path(scratch, "ours")
        for course in (theirs, ours):
            make_course(root, course, slug, submissions)
        result: dict[str, Any] = {"submissions": submissions, "puzzle": slug}
        environment = {**os.environ, "TMPDIR": scratch, "OMP_NUM_THREADS": "1"}
        beside = str(Path(sys.executable).parent)
        environment["PATH"] = beside + os.pathsep + environment["PATH"]
        with own_fork_server(scratch) as server_cpu:
            result["ours"] = timed([sys.executable, "-m", "mechpuzzles.cli", "grade"], ours, environment, server_cpu)
            result["ours"]["wall_s"] /= submissions
            result["ours"]["cpu_s"] /= submissions
            again = [sys.executable, "-m", "mechpuzzles.cli", "grade", "--again"]
            steady = timed(again, ours, environment, server_cpu)
            result["steady"] = {key: value / submissions for key, value in steady.items()}
        if stock:
            command = [sys.executable, "-m", "nbgrader", "autograde", slug]
            result["stock"] = {k: v / submissions for k, v in timed(command, theirs, environment, lambda: 0.0).items()}
            result["wall_ratio"] = result["stock"]["wall_s"] / result["ours"]["wall_s"]
            result["cpu_ratio"] = result["stock"]["cpu_s"] / result["ours"]["cpu_s"]
            result["steady_wall_ratio"] = result["stock"]["wall_s"] / result["steady"]["wall_s"]
            result["steady_cpu_ratio"] = result["stock"]["cpu_s"] / result["steady"]["cpu_s"]
            result["same_marks"] = marks(ours, slug) == marks(theirs, slug)
    return result


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


@contextlib.contextmanager
def own_fork_server(scratch: str) -> Any:
    """A function that tells the processor seconds of the fork server below ``scratch`` and of all that it forked."""

    def pid() -> int | None:
        for path in Path(scratch, f"mechpuzzles-{os.getuid()}").glob("warm-*"):
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
                probe.connect(str(path))
                peer = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
                return int.from_bytes(peer[:4], sys.byteorder)
        return None

    def cpu() -> float:
        server = pid()
        if server is None:
            return 0.0
        fields = Path(f"/proc/{server}/stat").read_text().rsplit(")", 1)[1].split()
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")

    try:
        yield cpu
    finally:
        if (server := pid()) is not None:
            os.kill(server, signal.SIGKILL)


def timed(command: list[str], cwd: Path, environment: dict[str, str], more_cpu: Any) -> dict[str, float]:
    """Wall and processor seconds of a command with all its processes; RuntimeError if it fails."""
    before, more, started = resource.getrusage(resource.RUSAGE_CHILDREN), more_cpu(), time.monotonic()
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    wall = time.monotonic() - started
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[1:4])} failed: {done.stderr[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return {"wall_s": wall, "cpu_s": cpu + more_cpu() - more}


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
