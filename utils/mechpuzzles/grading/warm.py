"""Warm kernels: a kernel that starts in a fraction of a second, with torch and TransformerLens loaded.

A notebook asks for one by the kernel's name, `mechpuzzles-warm`; so does nbgrader, by configuration alone:

    c.ExecutePreprocessor.kernel_name = "mechpuzzles-warm"

The first one starts the fork server (see `mechpuzzles.grading.forkserver`), which ends by itself when it has been
idle for a quarter of an hour. Needs Linux or another system with fork and Unix sockets.

On Linux a learner's notebooks run on such kernels, too, if `mechpuzzles start` opened them. Their fork server is the
learner's own: it has the learner's environment, and loads everything while JupyterLab comes up (`begin`).
"""

import asyncio
import contextlib
import fcntl
import hashlib
import importlib.metadata
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning import LocalProvisioner

import mechpuzzles

KERNEL = "mechpuzzles-warm"
LEARNERS = "mechpuzzles-learner"  # a provisioner
PROVISIONER = "JUPYTER_DEFAULT_PROVISIONER_NAME"  # jupyter_client's
AT_IMPORT = ("HF_", "TRANSFORMERS_", "CUDA_", "OMP_", "PYTHON")  # variables that libraries read when they are imported
# A process can read the environment that it was started with, and a fork the one of whom it was forked from.
HANDED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "HF_HOME", "HF_HUB_CACHE")
PATIENCE_SECONDS = 2.0  # of a learner who has just opened a notebook and reads
START_SECONDS = 120.0  # for the fork server's imports, on a very busy machine


_started: list[subprocess.Popen] = []  # fork servers outlive their callers; Python complains of forgotten ones


class NoForkServer(RuntimeError):
    """The fork server did not start, or did not fork; the message says why."""


def private_folder() -> Path:
    """A folder of this user's alone for sockets; RuntimeError if somebody else made it."""
    folder = Path(tempfile.gettempdir(), f"mechpuzzles-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if status.st_uid != os.getuid() or status.st_mode & 0o077 or folder.is_symlink():
        raise RuntimeError(f"{folder} is not a folder of yours alone; remove it, or set TMPDIR")
    return folder


def default_socket() -> Path:
    """Where the fork server of this Python and this package listens, unless MECHPUZZLES_FORK_SERVER names a socket."""
    if named := os.environ.get("MECHPUZZLES_FORK_SERVER"):
        return Path(named)
    return _socket("warm", sys.executable, mechpuzzles.__version__, str(Path(mechpuzzles.__file__).resolve()))


def learners_socket() -> Path:
    """Where the fork server of a learner's notebooks listens.

    Other libraries, another text of this one, or other settings that are read at an import, and it is another server.
    MECHPUZZLES_FORK_SERVER names this one, too.
    """
    if named := os.environ.get("MECHPUZZLES_FORK_SERVER"):
        return Path(f"{named}-learner")
    package = Path(mechpuzzles.__file__).parent
    newest = max(path.stat().st_mtime_ns for path in package.rglob("*.py"))
    versions = [f"{name} {importlib.metadata.version(name)}" for name in ("torch", "transformers", "transformer-lens")]
    settings = sorted(f"{name}={value}" for name, value in os.environ.items() if name.startswith(AT_IMPORT))
    return _socket("learner", sys.executable, str(package.resolve()), str(newest), *versions, *settings)


def _socket(kind: str, *of: str) -> Path:
    """A socket's place by what its server depends on; short, for the kernel allows 107 characters."""
    return private_folder() / f"{kind}-{hashlib.sha256(chr(10).join(of).encode()).hexdigest()[:16]}"


def reachable(path: Path) -> bool:
    """Whether a fork server listens there."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(5)
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True


def listener(path: Path) -> int | None:
    """The process that listens on a Unix socket, if one does, as the kernel knows."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
        probe.connect(str(path))
        peer = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        return int.from_bytes(peer[:4], sys.byteorder)
    return None


def ensure_server(path: Path | None = None, *, kernels: bool = False) -> Path:
    """The socket of a fork server that runs, started if need be; NoForkServer if it does not start.

    Two callers at once start one. For ``kernels`` see `start_server`.
    """
    path = path or default_socket()
    if reachable(path):
        return path
    with locked(path.with_name(path.name + ".lock")):
        if not reachable(path):
            _started.append(start_server(path, kernels=kernels))
    return path


def serve_learners() -> None:
    """From here on, have Jupyter fork its kernels from the learner's fork server; start that, and do not wait for it.

    On Linux only: elsewhere a fork of a process that has loaded torch is not safe. Whoever has chosen another
    provisioner by JUPYTER_DEFAULT_PROVISIONER_NAME keeps it.
    """
    if sys.platform.startswith("linux") and os.environ.setdefault(PROVISIONER, LEARNERS) == LEARNERS:
        begin()


def begin() -> None:
    """Have the learner's fork server start, without waiting for it."""
    if os.fork() == 0:  # a child of a child, so that nobody has to wait for it
        try:
            command = [sys.executable, "-m", __name__]
            quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            subprocess.Popen(command, start_new_session=True, **quiet)  # type: ignore[call-overload]
        finally:
            os._exit(0)
    os.wait()


def ensure_learners_server() -> Path:
    """The socket of the learner's fork server, started if need be; it has all loaded that a notebook may want."""
    return ensure_server(learners_socket(), kernels=True)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file `path`."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def start_server(path: Path, idle_seconds: float | None = None, kernels: bool = False) -> subprocess.Popen:
    """Start a fork server, and wait until it listens.

    One for ``kernels`` has the whole environment of this process, and loads at once what its kernels may want. Any
    other has what is in `HANDED_ON`, and loads that when it is first asked for.
    """
    log = path.with_name(path.name + ".log")
    command = [sys.executable, "-m", "mechpuzzles.grading.forkserver", str(path)]
    command += [] if idle_seconds is None else [f"--idle={idle_seconds}"]
    command += ["--kernels"] if kernels else []
    environment = {name: value for name, value in os.environ.items() if kernels or name in HANDED_ON}
    environment.pop("JPY_PARENT_PID", None)  # a server outlives whoever has it started
    with log.open("w") as file:
        server = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            cwd="/",
            env=environment,
            start_new_session=True,
        )
    until = time.monotonic() + START_SECONDS
    while not reachable(path):
        if server.poll() is not None or time.monotonic() > until:
            server.kill()
            raise NoForkServer(f"the fork server did not start: {log.read_text()[-2000:].strip()}")
        time.sleep(0.05)
    return server


class Forked:
    """What looks like a Popen of a process that the fork server forked; hanging up ends it.

    ``descriptor`` is handed to the new process, to talk on; the caller still has to close its own.
    """

    stdin = stdout = stderr = None

    def __init__(self, path: Path, request: dict[str, Any], descriptor: int | None = None):
        self.returncode: int | None = None
        self.spent: dict[str, float] = {}  # cpu_s and max_mb, when it has ended
        self.connection = socket.socket(socket.AF_UNIX)
        self.lines = self.connection.makefile("rb")
        try:
            self.connection.connect(str(path))
            line = json.dumps(request).encode() + b"\n"
            with contextlib.suppress(BrokenPipeError):  # it need not read all of what it refuses, and says why
                sent = socket.send_fds(self.connection, [line], [] if descriptor is None else [descriptor])
                self.connection.sendall(line[sent:])
            answer = json.loads(self.lines.readline() or '{"error": "it hung up"}')
            if "error" in answer:
                raise NoForkServer(f"the fork server refuses: {answer['error']}")
        except BaseException:
            self.lines.close()
            self.connection.close()
            raise
        self.pid: int = answer["pid"]

    def poll(self) -> int | None:
        """The exit status, negative for a signal, or None while the kernel lives."""
        if self.returncode is None and select.select([self.connection], [], [], 0)[0]:
            report: dict[str, Any] = json.loads(self.lines.readline() or "{}")
            # Without a report the server itself is gone, and its kernels with it.
            self.returncode = report.pop("status", -signal.SIGKILL)
            self.spent = report
            self.lines.close()
            self.connection.close()
        return self.returncode

    def wait(self) -> int:
        """Wait for the end."""
        while self.poll() is None:
            select.select([self.connection], [], [], 1.0)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal; a kernel that has ended is no error."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)


class WarmProvisioner(LocalProvisioner):
    """Launches kernels by asking the fork server, which it starts if none runs."""

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Fork a kernel; `cmd` is that of a kernel spec, whose program is left out."""
        arguments = cmd[cmd.index("ipykernel_launcher") + 1 :]
        cwd = os.path.abspath(kwargs.get("cwd") or os.getcwd())
        request: dict[str, Any] = {"argv": arguments, "env": dict(kwargs.get("env") or os.environ), "cwd": cwd}
        request["env"].pop("JPY_PARENT_PID", None)  # the kernel's parent is the fork server
        kernel = await asyncio.to_thread(lambda: Forked(self.fork_server(), request))
        self.process = kernel  # type: ignore[assignment]
        self.pid = self.pgid = kernel.pid
        self.cwd = cwd
        return self.connection_info

    def fork_server(self) -> Path:
        """The socket of the server that forks these kernels."""
        return ensure_server()


class LearnersProvisioner(WarmProvisioner):
    """Kernels of this Python are forked from the learner's own fork server; all others start as they always do.

    So do these while that server is still loading: JupyterLab drops what one runs before its kernel is there.
    """

    def fork_server(self) -> Path:
        """The learner's own; NoForkServer if it is not there soon."""
        path = learners_socket()
        if not reachable(path):
            begin()
        for _ in range(int(PATIENCE_SECONDS / 0.1)):
            if reachable(path):
                return path
            time.sleep(0.1)
        raise NoForkServer("the fork server is still loading")

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Fork a kernel, or start one if it is another program's or none can be forked."""
        if cmd[:3] == [sys.executable, "-m", "ipykernel_launcher"]:
            try:
                return await super().launch_kernel(cmd, **kwargs)
            except (OSError, RuntimeError) as error:  # NoForkServer among them
                self.log.info("This kernel starts cold: %s", error)
        return await LocalProvisioner.launch_kernel(self, cmd, **kwargs)


if __name__ == "__main__":
    ensure_learners_server()
