"""A fork server of the tests' own."""

import contextlib
import os
import signal
import socket
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


def server_pid(path: Path) -> int:
    """Who listens on a Unix socket, as the kernel knows."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.connect(str(path))
        peer = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    return int.from_bytes(peer[:4], sys.byteorder)


def stop(path: Path) -> None:
    """Kill the server that listens there, and forget it."""
    with contextlib.suppress(OSError):
        os.kill(server_pid(path), signal.SIGKILL)
    for server in warm._started:
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(0.5)
