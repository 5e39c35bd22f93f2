"""A fork server of the tests' own."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mechpuzzles.grading import warm

needs_linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs fork")


@contextlib.contextmanager
def own_fork_server(folder: Path) -> Iterator[Path]:
    """A fork server with its socket in `folder`, also for processes that a test starts; it ends with the block."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MECHPUZZLES_FORK_SERVER", str(folder / "socket"))
        path = warm.ensure_server()
        try:
            yield path
        finally:
            stop(path)
            stop(warm.learners_socket())


def stop(path: Path) -> None:
    """Kill the server that listens there, and forget it."""
    if (pid := warm.listener(path)) is not None:
        os.kill(pid, signal.SIGKILL)
    for server in warm._started:
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(0.5)
