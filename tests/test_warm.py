"""Warm kernels behave as kernels do, share nothing, and leave nothing behind."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from jupyter_client.manager import KernelManager
from jupyter_client.provisioning import KernelProvisionerFactory
from nbclient.exceptions import CellTimeoutError, DeadKernelError

from mechpuzzles.grading import warm

from .forking import needs_linux, own_fork_server, stop
from .jupyter import run_cells

pytestmark = [
    pytest.mark.xdist_group("warm"),
    needs_linux,
    pytest.mark.filterwarnings("default::ResourceWarning", "default::DeprecationWarning", "default::UserWarning"),
]


def run(*sources: str, kernel: str = warm.KERNEL, cwd: str = "/tmp", **settings) -> list[str]:
    """What the cells of a notebook show."""
    return run_cells(*sources, kernel=kernel, cwd=cwd, **settings)


def alive(pid: int) -> bool:
    """Whether a process runs (one that has ended and was not asked for yet does not)."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def soon(condition) -> bool:
    for _ in range(200):
        if condition():
            return True
        time.sleep(0.05)
    return False


ABOUT_ITSELF = """
import os, sys, threading, torch
print(os.getcwd(), sys.argv[1:2], "" in sys.path, sys.path.count(os.getcwd()), __name__, torch.get_num_threads())
print(threading.current_thread() is threading.main_thread(), os.environ.get("JPY_PARENT_PID"))
print(os.getpgid(0) == os.getpid(), [fd for fd in range(100) if os.path.exists(f"/proc/self/fd/{fd}")
    and os.readlink(f"/proc/self/fd/{fd}").startswith("socket:") and ours in str(socket.socket(fileno=os.dup(fd)))])
"""


def test_a_warm_kernel_is_as_a_cold_one(fork_server, tmp_path):
    """Where it runs, what it finds, and how it computes."""
    setup = f"import socket; ours = {str(fork_server)!r}"
    compute = "from mechpuzzles import load_model; print(load_model('mini-gpt2')(torch.tensor([[3, 1]])).sum().item())"
    _, about, value = run(setup, ABOUT_ITSELF, compute, cwd=str(tmp_path))
    _, about_cold, value_cold = run(setup, ABOUT_ITSELF, compute, cwd=str(tmp_path), kernel="python3")
    assert value == value_cold
    place, parent, sockets = about.splitlines()
    assert place == about_cold.splitlines()[0]
    assert parent == "True None"
    assert sockets == "True []"


def test_it_starts_in_a_fraction_of_the_time(fork_server):
    source = "from mechpuzzles import load_model, load_puzzle, plots; import torch, transformer_lens"

    def seconds(**kernel) -> float:
        started = time.perf_counter()
        run(source, **kernel)
        return time.perf_counter() - started

    run("1")  # the first kernel waits for models to be loaded
    assert seconds(kernel="python3") > 3 * min(seconds() for _ in range(3))


def test_kernels_share_nothing(fork_server):
    imports = "import os, sys, torch, math\n"
    change = "math.pi = 3; os.environ['MINE'] = '1'; torch.zeros = None; sys.path.insert(0, 'x')"
    run(imports + change, "import builtins; builtins.print = None")
    [seen] = run(imports + "print(math.pi > 3.1, os.environ.get('MINE'), torch.zeros(1), sys.path[0])")
    assert seen.startswith("True None tensor([0.])")
    assert not seen.endswith("x\n")


def test_two_kernels_draw_different_numbers(fork_server):
    draw = "import random, numpy, torch; print(random.random(), numpy.random.rand(), torch.rand(1).item())"
    first, second = (run(draw)[0].split() for _ in range(2))
    assert not set(first) & set(second)


def test_a_second_thread_in_a_child_computes(fork_server):
    """A fork that copied a held lock would hang here."""
    source = """
import threading, torch
torch.set_num_threads(2)
threads = [threading.Thread(target=lambda: torch.randn(300, 300) @ torch.randn(300, 300)) for _ in range(3)]
[thread.start() for thread in threads]; [thread.join() for thread in threads]
print((torch.ones(512, 512) @ torch.ones(512, 512)).sum().item())
"""
    assert run(source, timeout=60) == ["134217728.0\n"]


def test_endless_loops_are_interrupted(fork_server):
    with pytest.raises(CellTimeoutError):
        run("while True: pass", timeout=2)
    shown = run("while True: pass", "print('on')", timeout=2, interrupt_on_timeout=True, allow_errors=True)
    assert shown[1] == "on\n"


def test_a_killed_kernel_is_one_dead_kernel(fork_server):
    with pytest.raises(DeadKernelError):
        run("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert run("print('next')") == ["next\n"]


# A learner's notebooks ------------------------------------------------------------------------------


@pytest.fixture
def learners(fork_server, monkeypatch):
    """Kernels without a provisioner of their own get the learner's, as where `mechpuzzles start` was run."""
    factory = KernelProvisionerFactory.instance()
    monkeypatch.setattr(factory, "default_provisioner_name", warm.LEARNERS)
    return warm.ensure_learners_server()


PARENT = "import os, sys; print(os.getppid(), 'transformer_lens' in sys.modules, os.environ.get('A_SETTING'))"


def test_a_learners_kernel_is_forked_from_the_learners_own_server(learners, fork_server, monkeypatch):
    monkeypatch.setenv("A_SETTING", "1")
    server = warm.listener(learners)
    assert server not in (None, warm.listener(fork_server))
    assert run(PARENT, kernel="python3") == [f"{server} True 1\n"]


def test_a_kernel_of_another_kind_starts_as_always(learners, monkeypatch, tmp_path):
    spec = tmp_path / "kernels" / "dev" / "kernel.json"
    spec.parent.mkdir(parents=True)
    command = [sys.executable, "-X", "utf8", "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec.write_text(json.dumps({"argv": command, "display_name": "dev", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    assert run(PARENT, kernel="dev") == [f"{os.getpid()} False None\n"]


def test_a_learners_kernel_starts_cold_while_the_server_is_loading(learners, fork_server, monkeypatch):
    begun = []
    monkeypatch.setenv("MECHPUZZLES_FORK_SERVER", f"{fork_server}-that-loads")
    monkeypatch.setattr(warm, "begin", lambda: begun.append(True))
    monkeypatch.setattr(warm, "PATIENCE_SECONDS", 0.2)
    assert run(PARENT, kernel="python3") == [f"{os.getpid()} False None\n"]
    assert begun == [True]


def test_a_learners_kernel_starts_cold_where_none_can_be_forked(learners, monkeypatch):
    def refuse(*_):
        raise warm.NoForkServer("no memory is left")

    monkeypatch.setattr(warm, "Forked", refuse)
    assert run(PARENT, kernel="python3") == [f"{os.getpid()} False None\n"]


def test_start_has_the_server_load_meanwhile(fork_server, monkeypatch):
    monkeypatch.setenv("MECHPUZZLES_FORK_SERVER", f"{fork_server}-of-start")
    monkeypatch.setenv("A_SETTING", "1")
    monkeypatch.delenv(warm.PROVISIONER, raising=False)
    try:
        warm.serve_learners()
        assert os.environ[warm.PROVISIONER] == warm.LEARNERS
        server = warm.listener(warm.ensure_learners_server())  # waits for the one that was begun
        assert b"A_SETTING=1" in Path(f"/proc/{server}/environ").read_bytes().split(b"\0")
        assert "pyarrow" in Path(f"/proc/{server}/maps").read_text(), "TransformerLens and what it imports"
        assert os.getsid(server) != os.getsid(0)
    finally:
        stop(warm.learners_socket())


def test_start_leaves_another_provisioner_alone(monkeypatch):
    monkeypatch.setenv(warm.PROVISIONER, "local-provisioner")
    monkeypatch.setattr(warm, "begin", lambda: pytest.fail("begun"))
    warm.serve_learners()
    assert os.environ[warm.PROVISIONER] == "local-provisioner"


def test_another_text_or_other_settings_make_another_server(monkeypatch, tmp_path):
    monkeypatch.delenv("MECHPUZZLES_FORK_SERVER", raising=False)
    text = tmp_path / "__init__.py"
    text.touch()
    monkeypatch.setattr(warm.mechpuzzles, "__file__", str(text))
    first = warm.learners_socket()
    assert warm.learners_socket() == first
    monkeypatch.setenv("UNREAD", "1")
    assert warm.learners_socket() == first
    monkeypatch.setenv("HF_ENDPOINT", "http://mirror")
    second = warm.learners_socket()
    os.utime(text, (1, 1))
    assert len({first, second, warm.learners_socket()}) == 3


# The end --------------------------------------------------------------------------------------------


def test_hanging_up_ends_a_kernel_and_its_children(fork_server, tmp_path):
    manager = KernelManager(kernel_name=warm.KERNEL)
    manager.start_kernel(cwd=str(tmp_path))
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    source = "import os, subprocess; child = subprocess.Popen(['sleep', '600'])\n"
    source += "open('pids', 'w').write(f'{os.getpid()} {child.pid}')"
    client.execute_interactive(source, timeout=30)
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    assert all(map(alive, pids))
    client.stop_channels()
    manager.provisioner.process.connection.shutdown(socket.SHUT_RDWR)
    assert soon(lambda: not any(map(alive, pids)))
    assert manager.provisioner.process.poll() is not None
    manager.cleanup_resources()


def test_the_end_of_a_kernel_says_what_it_cost(fork_server, tmp_path):
    request = {"argv": ["--version"], "env": dict(os.environ), "cwd": str(tmp_path), "log": str(tmp_path / "log")}
    kernel = warm.Forked(fork_server, request)
    assert kernel.wait() == 0
    assert (tmp_path / "log").read_text()[0].isdigit()
    assert 0 <= kernel.spent["cpu_s"] < 5
    assert kernel.spent["max_mb"] > 50


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"nonsense\n", "ValueError|JSONDecodeError"),
        (b"x" * (3 << 20), "the request does not end"),
        (b"", "the request does not end"),
    ],
    ids=["nonsense", "endless", "nothing"],
)
def test_a_bad_request_is_refused_and_the_next_served(fork_server, line, words):
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(str(fork_server))
        with contextlib.suppress(BrokenPipeError):
            caller.sendall(line)
            caller.shutdown(socket.SHUT_WR)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            answer = caller.recv(4096)
    if answer:
        assert any(word in json.loads(answer)["error"] for word in words.split("|"))
    assert run("print('next')") == ["next\n"]


def test_when_the_fork_server_is_killed_its_kernels_end_and_the_next_starts_another(fork_server, tmp_path):
    first = warm.listener(fork_server)
    source = "import os, signal, time; open('pid', 'w').write(str(os.getpid()))\n"
    with pytest.raises(DeadKernelError):
        run(source + f"os.kill({first}, signal.SIGKILL); time.sleep(60)", cwd=str(tmp_path))
    assert soon(lambda: not alive(int((tmp_path / "pid").read_text())))
    assert run("print('again')") == ["again\n"]
    assert warm.listener(fork_server) != first


def test_two_callers_at_once_start_one_server(tmp_path):
    path = tmp_path / "both"
    threads = [threading.Thread(target=warm.ensure_server, args=(path,)) for _ in range(2)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    serving = subprocess.run(["pgrep", "-f", f"forkserver {path}"], capture_output=True, text=True).stdout.split()
    assert serving == [str(warm.listener(path))]
    stop(path)


def test_an_idle_server_ends_and_takes_its_socket_along(tmp_path):
    server = warm.start_server(tmp_path / "idle", idle_seconds=0.5)
    assert server.wait(30) == 0
    assert not (tmp_path / "idle").exists()


def test_a_server_that_cannot_start_says_why(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "plotly.py").write_text("raise ImportError('broken on purpose')")
    with pytest.raises(warm.NoForkServer, match="broken on purpose"):
        warm.start_server(tmp_path / "socket")


def test_a_server_that_cannot_load_models_says_why_and_goes_on(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "transformer_lens.py").write_text("raise ImportError('broken on purpose')")
    with own_fork_server(tmp_path) as path:
        for _ in range(2):
            with pytest.raises(warm.NoForkServer, match=r"refuses.*broken on purpose"):
                warm.Forked(path, {"argv": [], "env": {}, "cwd": str(tmp_path)})


def test_the_folder_of_the_socket_is_the_users_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(warm.tempfile, "tempdir", str(tmp_path))
    assert warm.private_folder().stat().st_mode & 0o777 == 0o700
    warm.private_folder().chmod(0o755)
    with pytest.raises(RuntimeError, match="not a folder of yours alone"):
        warm.private_folder()


UNSAFE = {
    "import threading; threading.Thread(target=__import__('time').sleep, args=(9,), daemon=True).start()": "2 threads",
    "import zmq; zmq.Context.instance()": "zmq context|threads run",
    "import torch; torch.set_num_threads(2)": "torch uses 2 threads|threads run",
}


@pytest.mark.parametrize("unsafe", UNSAFE)
def test_what_makes_a_fork_unsafe_is_noticed(unsafe):
    code = f"from mechpuzzles.grading.forkserver import assert_forkable; assert_forkable()\n{unsafe}\nassert_forkable()"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 1
    assert "NotForkable" in done.stderr
    assert any(words in done.stderr for words in UNSAFE[unsafe].split("|"))
