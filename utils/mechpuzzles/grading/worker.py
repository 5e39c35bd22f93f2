"""Grade one job on this machine: fork a trusted grader for it, and wait for what it finds.

A grader is forked for each notebook and ends with it, so no submission meets what another one left, and memory does not
grow with the class.
"""

from __future__ import annotations

import math
import os
import socket
import tempfile
import time
from pathlib import Path
from typing import Any

from mechpuzzles.grading import warm
from mechpuzzles.grading.needs import needs_models
from mechpuzzles.grading.wire import Channel, Garbled, HungUp, Silent

PAUSES = (0.2, 1.0)  # seconds, before a grader is started again
SPARE_SECONDS = 120.0  # for the grader's own work, beyond what the learner's code may take


def grade_job(job: dict[str, Any], puzzle: dict[str, bytes]) -> dict[str, Any]:
    """The `mechpuzzles.grading.jobs.Result` of a job, as plain data; of one that could not be graded, why.

    ``puzzle`` holds the puzzle's own files by name, its declaration among them. The result is {"outputs", "parts",
    "findings", "cpu_s", "max_mb", "ran_all", "grader_cpu_s"} or {"failed"}. A grader that dies is tried again, twice.
    """
    with tempfile.TemporaryDirectory(prefix="mechpuzzles-") as scratch:
        for name, content in puzzle.items():
            path = Path(scratch, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        job = {**job, "folder": scratch}
        models = needs_models(content.decode(errors="replace") for content in puzzle.values())
        for pause in PAUSES:
            done = _grade(job, models)
            if not done.get("again"):
                return done
            time.sleep(pause)  # a fork server that was killed may still accept for a moment
        return _grade(job, models)


def _grade(job: dict[str, Any], models: bool) -> dict[str, Any]:
    environment = {name: value for name in warm.HANDED_ON if (value := os.environ.get(name))}
    environment |= {"MECHPUZZLES_OFFLINE": "1", "NBGRADER_EXECUTION": "autograde"}
    if who := job["variant"] or os.environ.get("MECHPUZZLES_LEARNER"):
        environment["MECHPUZZLES_LEARNER"] = who
    ours, theirs = socket.socketpair()
    with ours:
        try:
            with theirs:
                server = warm.ensure_server()
                environment["MECHPUZZLES_FORK_SERVER"] = str(server)
                request = {"kind": "grader", "models": models, "env": environment, "cwd": job["folder"]}
                grader = warm.Forked(server, request, theirs.fileno())
        except (warm.NoForkServer, OSError) as error:
            return {"failed": f"no grader could be started: {error}", "again": True}
        seconds = job["bounds"]["notebook_seconds"] + SPARE_SECONDS
        try:
            channel = Channel(ours)
            channel.send(job)
            reply = channel.receive(seconds)
        except (HungUp, Garbled) as error:
            return {"failed": f"the grader ended without a result ({type(error).__name__})", "again": True}
        except Silent:
            return {"failed": f"the grader did not finish within {math.ceil(seconds)} seconds"}
        finally:
            grader.kill()
            grader.wait()
    if "failed" in reply:
        return {"failed": str(reply["failed"]), "again": True}
    return {**reply["result"], "grader_cpu_s": grader.spent.get("cpu_s", 0.0)}
