"""The process from which graders are forked: `python -m mechpuzzles.grading.forkserver SOCKET`.

Starting Python and importing torch, TransformerLens and IPython takes most of the time that grading a notebook takes.
This process does it once, then forks itself: a request is a line of JSON on a Unix socket with the ``kind`` of process
to become (see `KINDS`), answered by {"pid"} and, when that process has ended, by {"status", "cpu_s", "max_mb"}. A file
descriptor sent along is the new process's to talk on. Whoever hangs up ends the process that was asked for.

A fork copies one thread only, so a lock that another thread holds stays locked for ever. `assert_forkable` is
called before every fork: one thread, one torch thread, no zmq context, no CUDA.
"""

import argparse
import contextlib
import ctypes
import functools
import gc
import importlib
import json
import os
import random
import resource
import select
import signal
import socket
import sys
import time
import traceback
from pathlib import Path
from typing import Any, NoReturn

PRELOAD = (
    "torch",
    "plotly.graph_objects",
    "mechpuzzles.puzzle",
    "mechpuzzles.checks",
    "mechpuzzles.geometry",
    "mechpuzzles.plots",
    "mechpuzzles.models",
    "mechpuzzles.grading.learner",
    "mechpuzzles.grading.sandbox",
    "mechpuzzles.grading.trusted",
    "ipykernel.kernelapp",
    "ipykernel.ipkernel",
    "IPython.core.interactiveshell",
)
MODELS = ("mini-gpt2", "mini-induction")  # one of each layout: loading them imports what loading imports
IDLE_SECONDS = 900.0
LONGEST_REQUEST = 1 << 20
PR_SET_PDEATHSIG = 1


class NotForkable(RuntimeError):
    """Forking now could leave a child waiting for ever."""


def assert_forkable() -> None:
    """NotForkable unless a fork of this process is safe; the message names what is in the way."""
    threads = Path("/proc/self/task")
    if threads.is_dir():
        names = [(task / "comm").read_text().strip() for task in threads.iterdir()]
        if len(names) != 1:
            raise NotForkable(f"{len(names)} threads run in the fork server: {', '.join(sorted(names))}")
    torch, zmq = sys.modules.get("torch"), sys.modules.get("zmq")
    if torch is not None and torch.get_num_threads() != 1:
        raise NotForkable(f"torch uses {torch.get_num_threads()} threads in the fork server")
    if torch is not None and torch.cuda.is_initialized():
        raise NotForkable("CUDA is initialised in the fork server")
    if zmq is not None and zmq.Context._instance is not None:
        raise NotForkable("the fork server has a zmq context")


def serve(path: Path, idle_seconds: float = IDLE_SECONDS, kernels: bool = False) -> None:
    """Load everything, listen on `path`, and fork until nobody has asked for `idle_seconds`.

    With ``kernels``, what only kernels need is loaded before it listens, and not when the first is asked for.
    """
    preload()
    if kernels:
        preload_models()
        preload_pictures()
    assert_forkable()
    with socket.socket(socket.AF_UNIX) as listener:
        bind(listener, path)
        try:
            Server(listener, idle_seconds).run()
        finally:
            with contextlib.suppress(FileNotFoundError):
                path.unlink()


def preload() -> None:
    """Import what every child needs."""
    import torch

    torch.set_num_threads(1)
    for name in PRELOAD:
        importlib.import_module(name)
    share()


def share() -> None:
    """Have the collector leave these pages shared with the children."""
    gc.collect()
    gc.freeze()


@functools.cache
def preload_models() -> None:
    """Load models, and with them what loading imports; some checks need none, so the first that does waits for it."""
    import torch

    from mechpuzzles import load_model

    with torch.no_grad():
        for name in MODELS:
            load_model(name)(torch.tensor([[0, 1]]))
    share()


@functools.cache
def preload_pictures() -> None:
    """Show a figure to nobody: plotly's first takes seconds. Only kernels show any, so only they wait for it."""
    from mechpuzzles import plots

    plots.bars({"a": 1.0}, x_title="", y_title="")._repr_mimebundle_()


def bind(listener: socket.socket, path: Path) -> None:
    """Listen on a socket that only this user can open; it appears under its name when it is ready."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    listener.bind(str(fresh))
    fresh.chmod(0o600)
    listener.listen(64)
    fresh.replace(path)


class Server:
    """Accepts requests, forks, reports the end of each child."""

    def __init__(self, listener: socket.socket, idle_seconds: float):
        self.listener, self.idle_seconds = listener, idle_seconds
        self.connections: dict[int, socket.socket] = {}  # of each living child

    def run(self) -> None:
        """Serve until idle."""
        wake, self.waker = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(self.waker, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self.waker)
        self.wake, last = wake, time.monotonic()
        while self.connections or time.monotonic() - last < self.idle_seconds:
            sources: list[Any] = [self.listener, wake, *self.connections.values()]
            ready, _, _ = select.select(sources, [], [], 1.0)
            if wake in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(wake, 4096)
            if self.listener in ready:
                self.accept()
            self.reap()
            self.hang_up(ready)
            if self.connections or ready:
                last = time.monotonic()

    def accept(self) -> None:
        """Read one request and fork for it; a bad one is answered with an error."""
        connection, _ = self.listener.accept()
        connection.settimeout(10)
        try:
            line, descriptors = read_request(connection)
            request = json.loads(line)
            kernel = request.get("kind", "kernel") == "kernel"
            if kernel or request.get("models"):
                preload_models()
            if kernel:
                preload_pictures()
            assert_forkable()
            become = KINDS[request.get("kind", "kernel")]
        except Exception as error:  # whatever it is, a model that cannot be loaded or a caller's, others are served
            with contextlib.suppress(OSError):
                connection.sendall(json.dumps({"error": f"{type(error).__name__}: {error}"}).encode() + b"\n")
            connection.close()
            return
        pid = os.fork()
        if pid == 0:
            self.leave_to(become, request, descriptors, connection)
        for descriptor in descriptors:
            os.close(descriptor)
        self.connections[pid] = connection
        with contextlib.suppress(OSError):
            connection.sendall(json.dumps({"pid": pid}).encode() + b"\n")

    def reap(self) -> None:
        """Tell the callers of the children that have ended."""
        while self.connections:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
            if pid == 0:
                return
            connection = self.connections.pop(pid)
            spent = {"cpu_s": usage.ru_utime + usage.ru_stime, "max_mb": usage.ru_maxrss / 1024}
            with contextlib.suppress(OSError):
                report = {"status": os.waitstatus_to_exitcode(status), **spent}
                connection.sendall(json.dumps(report).encode() + b"\n")
            connection.close()

    def hang_up(self, ready: list[Any]) -> None:
        """Kill the children whose callers are gone."""
        for pid, connection in self.connections.items():
            if connection in ready:
                try:
                    gone = not connection.recv(1)
                except OSError:
                    gone = True
                if gone:
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(pid, signal.SIGKILL)

    def leave_to(
        self, become: Any, request: dict[str, Any], descriptors: list[int], connection: socket.socket
    ) -> NoReturn:
        """In the child: leave everything of the server behind, and be what was asked for to its end."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for other in (self.listener, connection, *self.connections.values()):
                other.close()
            os.close(self.wake)
            os.close(self.waker)
            settle(request)
            become(request, *descriptors)
            code = 0
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
        except BaseException:
            traceback.print_exc()
        finally:
            with contextlib.suppress(OSError, ValueError):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)  # what the server registered to run at its exit is not the child's to run


def settle(request: dict[str, Any]) -> None:
    """A process group, an environment, a folder, a log and random numbers of one's own."""
    os.setpgid(0, 0)
    die_with_parent()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(request["env"])
    nothing = os.open(os.devnull, os.O_RDWR)
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600) if request.get("log") else nothing
    for target, source in ((0, nothing), (1, log), (2, log)):
        os.dup2(source, target)
    os.chdir(request["cwd"])
    random.seed()  # else all children would draw the same numbers
    sys.modules["numpy"].random.seed()
    sys.modules["torch"].seed()


def become_kernel(request: dict[str, Any]) -> None:
    """Run ipykernel as if it had been started with the request's arguments and environment."""
    sys.argv[:] = ["ipykernel_launcher.py", *request["argv"]]
    threads = os.environ.get("OMP_NUM_THREADS", "")
    sys.modules["torch"].set_num_threads(int(threads) if threads.isdigit() else os.cpu_count() or 1)
    from ipykernel.kernelapp import IPKernelApp

    IPKernelApp.launch_instance(argv=request["argv"])


def become_learner(request: dict[str, Any], descriptor: int) -> None:
    """Run a learner's code for a grader, in a sandbox unless the request says otherwise."""
    from mechpuzzles.grading import learner, sandbox

    if request["sandbox"]:
        sandbox.enter(sandbox.Policy(**request["policy"]), keep=[descriptor])
        os.environ.update({k: v for k, v in request["env"].items() if k not in sandbox.ENVIRONMENT})
    learner.here.serve(socket.socket(fileno=descriptor))


def become_grader(request: dict[str, Any], descriptor: int) -> None:
    """Grade one notebook: the trusted side."""
    from mechpuzzles.grading import trusted

    trusted.serve(socket.socket(fileno=descriptor))


KINDS: dict[str, Any] = {"kernel": become_kernel, "learner": become_learner, "grader": become_grader}


def die_with_parent() -> None:
    """On Linux, be killed when the fork server ends, however it ends."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def read_request(connection: socket.socket) -> tuple[bytes, list[int]]:
    """One line and the descriptors that came with it; ValueError if it does not end or is too long."""
    line, descriptors = b"", []
    while not line.endswith(b"\n"):
        more, sent, _, _ = socket.recv_fds(connection, 65536, 1)
        descriptors += sent
        if not more or len(line) > LONGEST_REQUEST:
            for descriptor in descriptors:
                os.close(descriptor)
            raise ValueError("the request does not end")
        line += more
    return line, descriptors


def main() -> None:
    """Serve on the socket named on the command line, as asked for there."""
    sys.path[:] = [entry for entry in sys.path if entry not in ("", os.getcwd())]  # `python -m` adds it
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Before anything is imported: OpenMP, pyarrow's allocator and the tokenizers would start threads.
    os.environ.update(OMP_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false")
    os.environ["PLOTLY_RENDERER"] = "plotly_mimetype"  # plotly finds no notebook here
    os.environ["JE_ARROW_MALLOC_CONF"] = "background_thread:false"
    parser = argparse.ArgumentParser()
    parser.add_argument("socket", type=Path)
    parser.add_argument("--idle", type=float, default=IDLE_SECONDS)
    parser.add_argument("--kernels", action="store_true")
    asked = parser.parse_args()
    serve(asked.socket, asked.idle, asked.kernels)


if __name__ == "__main__":
    main()
