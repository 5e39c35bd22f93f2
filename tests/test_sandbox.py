"""What the sandbox withholds, each with the same act where it succeeds; and that honest code works inside.

Every act runs in a Python of its own. Where a layer is off, files of the machine are opened for writing, never written.
"""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from mechpuzzles.grading import sandbox

from .conftest import missing

ROOT = Path(__file__).resolve().parents[1]
UNFILTERED = "sandbox.system_calls = lambda: sandbox.pyseccomp.SyscallFilter(sandbox.pyseccomp.ALLOW)"
AS_ROOT = "os.setgroups = os.setresgid = os.setresuid = lambda *_: None"  # changes nothing for who is not root
IMPORTS = "import ctypes, os, signal, socket, subprocess, sys, tempfile, threading, time\nfrom pathlib import Path\n"
IMPORTS += "from mechpuzzles.grading import sandbox\nlibc = ctypes.CDLL(None, use_errno=True)\n"


@pytest.fixture(autouse=True, scope="module")
def _sandbox() -> None:
    why = sandbox.problem()
    if why:
        missing(f"a sandbox: {why}")


def script(act: str, policy: str = "", before: str = "", enter: str | None = None) -> list[str]:
    """A command that enters the sandbox and does something in it."""
    enter = f"sandbox.enter(sandbox.Policy({policy}))" if enter is None else enter
    return [sys.executable, "-c", "\n".join([IMPORTS, textwrap.dedent(before), enter, textwrap.dedent(act)])]


def inside(act: str, policy: str = "", before: str = "", **options) -> subprocess.CompletedProcess:
    """Do something in a sandbox."""
    return finish(script(act, policy, before), **options)


def outside(act: str, before: str = "", **options) -> subprocess.CompletedProcess:
    """Do the same without."""
    return finish(script(act, before=before, enter=""), **options)


def finish(command: list[str], **options) -> subprocess.CompletedProcess:
    options = {"capture_output": True, "text": True, "stdin": subprocess.DEVNULL, "timeout": 60, **options}
    return subprocess.run(command, **options)


def refused(done: subprocess.CompletedProcess, error: str) -> bool:
    """Whether the act ended with this error and not with another."""
    return done.returncode == 1 and error in done.stderr.strip().splitlines()[-1]


def works(done: subprocess.CompletedProcess) -> bool:
    assert done.returncode == 0, done.stderr
    return True


# Reading.


@pytest.mark.parametrize("path", ["/etc/passwd", str(ROOT / "solutions"), str(ROOT / "pyproject.toml"), "SECRET"])
def test_private_files_are_absent(path, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("the gradebook")
    act = f"os.stat({path.replace('SECRET', str(secret))!r})"
    assert works(outside(act))
    assert refused(inside(act), "FileNotFoundError")


def test_only_folders_on_the_way_to_what_is_allowed_are_seen():
    allowed = [path.parts for path in sandbox.default_readable()]
    act = """
        for folder, folders, files in os.walk("/"):
            folders[:] = [name for name in folders if os.path.join(folder, name) not in sys.argv[1].split(":")]
            print(*(os.path.join(folder, name) for name in files + folders), sep="\\n")
    """
    whole = [*map(str, sandbox.default_readable()), "/proc", "/dev", "/usr"]
    done = finish([*script(act), ":".join(whole)])
    assert works(done)
    own = {"/scratch", "/tmp", "/bin", "/sbin", *map(str, Path("/").glob("lib*"))}
    seen = set(done.stdout.split()) - own - set(whole)
    assert all(any(parts[: len(Path(s).parts)] == Path(s).parts for parts in allowed) for s in seen), seen


def test_the_declarations_of_a_wheel_are_hidden():
    hidden = sandbox.default_hidden()
    if not hidden:
        pytest.skip("needs an installed package with puzzles/")
    act = f"assert os.listdir({str(hidden[-1])!r})"
    assert works(outside(act))
    assert refused(inside(act), "AssertionError")


def test_of_folders_in_each_other_the_inner_one_decides(tmp_path):
    inner = tmp_path / "course" / "site" / "own"
    inner.mkdir(parents=True)
    for folder in (inner, inner.parent, inner.parents[1]):
        (folder / "file").write_text("x")
    enter = (
        f"sandbox.enter(sandbox.Policy(), [*sandbox.default_readable(), Path({str(inner.parents[1])!r}), "
        f"Path({str(inner)!r})], [Path({str(inner.parent)!r})])"
    )
    act = f"print([Path(p, 'file').exists() for p in {list(map(str, (inner.parents[1], inner.parent, inner)))!r}])"
    assert finish(script(act, enter=enter)).stdout == "[True, False, True]\n"


def test_the_graders_environment_is_nowhere():
    act = """
        found = dict(os.environ).get("SECRET", "")
        for path in Path("/proc").glob("[0-9]*/environ"):
            try:
                found += path.read_text()
            except OSError:
                pass
        libc.getenv.restype = ctypes.c_char_p
        assert "tea" in found or libc.getenv(b"SECRET"), "AssertionError"
    """
    environment = {**os.environ, "SECRET": "tea"}
    assert works(outside(act, env=environment))
    assert refused(inside(act, env=environment), "AssertionError")


# Writing.


def test_only_scratch_can_be_written():
    act = """
        for line in open("/proc/self/mountinfo"):
            folder = line.split()[4]
            try:
                open(folder + "/mine", "x").close()
                print(folder)
            except OSError:
                pass
        open("x", "w").write("x"); print(os.getcwd(), sorted(os.listdir(os.getcwd())))
    """
    assert inside(act).stdout.splitlines() == ["/scratch", "/scratch ['mine', 'x']"]
    assert not os.path.exists("/scratch")


@pytest.mark.parametrize("path", [sandbox.__file__, os.__file__])
def test_the_library_cannot_be_changed(path):
    if not os.access(path, os.W_OK):
        pytest.skip("this user cannot change it anyway")
    act = f"os.close(os.open({path!r}, os.O_WRONLY))"
    assert works(outside(act))
    assert refused(inside(act), "[Errno ")
    assert refused(inside(act, before=AS_ROOT), "[Errno 30]")  # not only for want of permission


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, whose files these are")
def test_root_cannot_set_the_kernel_up():
    act = "os.close(os.open('/proc/sys/kernel/core_pattern', os.O_WRONLY))"
    writable = """
        mounts = sandbox.mounts
        def unprotected(*given):
            made = mounts(*given)
            at = next(i for i in range(len(made)) if made[i:i + 2] == ["--remount-ro", "/proc"])
            return made[:at] + made[at + 2:]
        sandbox.mounts = unprotected
    """
    assert refused(inside(act), "[Errno ")
    assert refused(inside(act, before=AS_ROOT), "[Errno 30]")
    assert refused(inside(act, before=writable), "PermissionError")
    assert works(inside(act, before=textwrap.dedent(writable) + AS_ROOT))  # bubblewrap alone does not see to it


@pytest.mark.parametrize(
    ("small", "large", "error"),
    [
        ("scratch_mb=4", "scratch_mb=64", "OSError: [Errno 28]"),  # no space left
        ("file_mb=4", "file_mb=64", "OSError: [Errno 27]"),  # file too large
    ],
)
def test_files_are_bounded(small, large, error):
    act = "with open('x', 'wb', 0) as file:\n    for _ in range(128): file.write(bytes(1 << 16))"
    assert works(inside(act, large))
    assert refused(inside(act, small), error)


# The network.


def test_no_network():
    with socket.create_server(("127.0.0.1", 0)) as server:
        act = f"socket.create_connection(('127.0.0.1', {server.getsockname()[1]}), 5)"
        assert works(outside(act))
        assert refused(inside(act), "PermissionError")
        assert refused(inside(act, before=UNFILTERED), "ConnectionRefusedError")  # a network of its own
    assert refused(inside("socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)"), "PermissionError")
    assert works(inside("a, b = socket.socketpair(); a.send(b'x'); assert b.recv(1) == b'x'"))


# Processes.

STARTS = {
    "fork": "os.waitpid(os.fork() or os._exit(0), 0)",
    "run": "subprocess.run(['/usr/bin/true'], check=True)",
    "spawn": "os.waitpid(os.posix_spawn('/usr/bin/true', ['true'], {}), 0)",
    "exec": "os.execv('/usr/bin/true', ['true'])",
}


@pytest.mark.parametrize("name", STARTS)
def test_no_program_can_be_started(name):
    assert works(outside(STARTS[name]))
    assert works(inside(STARTS[name], before=UNFILTERED))
    assert refused(inside(STARTS[name]), "PermissionError")


CALLS = {
    "unshare": "libc.unshare(0x10000000)",
    "ptrace": "libc.ptrace(0, 0, 0, 0)",
    "memfd_create": "libc.memfd_create(b'x', 0)",
    "personality": "libc.personality(0)",
    "keyctl": "libc.syscall(250, 0, -3, 0)",  # the session's keyring
}


@pytest.mark.parametrize("name", CALLS)
def test_system_calls_are_denied(name):
    if name == "keyctl" and os.uname().machine != "x86_64":
        pytest.skip("the number is x86-64's")
    act = f"assert {CALLS[name]} >= 0, os.strerror(ctypes.get_errno())"
    assert works(inside(act, before=UNFILTERED))
    assert refused(inside(act), "Operation not permitted")


def test_nothing_can_be_mounted_or_joined():
    mount = """
        assert libc.unshare(0x10020000) == 0 or ctypes.get_errno() == 1, "unshare"
        assert libc.mount(b"none", b"/scratch", b"tmpfs", 0, None) == 0, os.strerror(ctypes.get_errno())
    """
    assert works(inside(mount, before=UNFILTERED))
    assert refused(inside(mount), "Operation not permitted")
    join = "assert libc.setns(os.pidfd_open(os.getpid()), 0x04000000) == 0, os.strerror(ctypes.get_errno())"
    assert refused(inside(join), "Operation not permitted")
    assert refused(inside(join, before=UNFILTERED), "Operation not permitted")  # for want of the capability, too


def test_no_capability_is_left():
    act = "print(*(l for l in open('/proc/self/status') if l.startswith(('Cap', 'NoNew'))))"
    values = dict(line.split() for line in inside(act).stdout.strip().splitlines() if line.strip())
    assert {name: int(value, 16) for name, value in values.items()} == {
        **dict.fromkeys(["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"], 0),
        "NoNewPrivs:": 1,
    }
    assert works(inside("assert os.getuid() != 0"))


def test_other_processes_are_neither_seen_nor_hurt():
    act = f"os.kill({os.getpid()}, 0)"
    assert works(outside(act))
    assert refused(inside(act), "ProcessLookupError")
    listing = "print(sorted(int(name) for name in os.listdir('/proc') if name.isdigit()))"
    assert str(os.getpid()) in outside(listing).stdout
    assert inside(listing).stdout == "[1, 2]\n"
    for path in ("/proc/1/mem", "/proc/1/environ"):  # the held process has no filter of system calls
        assert refused(inside(f"os.open({path!r}, os.O_RDWR)"), "Error")
    kill_all = "\ntry: os.kill(1, 9)\nexcept OSError: pass\ntime.sleep(0.2); print('here')"
    assert inside(kill_all).stdout == "here\n"


# Limits.


def test_memory_is_bounded():
    act = "x = bytearray(1 << 30)"
    assert works(inside(act))
    assert refused(inside(act, "memory_mb=256"), "MemoryError")


def test_threads_are_bounded():
    act = "for _ in range(20): threading.Thread(target=time.sleep, args=(0.5,)).start()"
    assert works(inside(act))
    assert "can't start new thread" in inside(act, "threads=8").stderr


def test_open_files_are_bounded():
    act = "files = [open('/dev/null') for _ in range(100)]"
    assert works(inside(act))
    assert refused(inside(act, "open_files=50"), "Too many open files")


def test_cpu_time_is_bounded():
    spin = "while time.process_time() < 1.5: pass"
    assert works(inside(spin))
    assert inside(spin, "cpu_seconds=1").returncode == -signal.SIGXCPU
    stubborn = "signal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass"
    assert inside(stubborn, "cpu_seconds=1").returncode == -signal.SIGKILL


# File descriptors and the end.


def test_file_descriptors_are_closed_but_those_kept():
    before = "folder = os.open('/', os.O_RDONLY); kept = os.open('/', os.O_RDONLY)"
    enter = "sandbox.enter(sandbox.Policy(), keep=[kept])"
    assert works(outside("os.listdir(folder)", before=before))
    assert works(finish(script("os.fstat(kept)", before=before, enter=enter)))
    assert refused(finish(script("os.listdir(folder)", before=before, enter=enter)), "[Errno 9]")


def test_a_kept_socket_works_both_ways_and_its_end_is_seen_while_the_sandbox_lives():
    ours, theirs = socket.socketpair()
    act = "s.send(s.recv(9).upper()); s.close(); os.close(1); time.sleep(30)"
    before = f"s = socket.socket(fileno={theirs.fileno()})"
    command = script(act, before=before, enter="sandbox.enter(sandbox.Policy(), keep=[s.fileno()])")
    with ours, subprocess.Popen(command, pass_fds=[theirs.fileno()], stdout=subprocess.PIPE) as process:
        theirs.close()
        ours.settimeout(20)
        ours.send(b"ping")
        assert ours.recv(9) == b"PING"
        assert ours.recv(9) == b""
        assert process.stdout.read() == b""
        assert process.poll() is None
        process.kill()


@pytest.mark.parametrize(("act", "code"), [("sys.exit(7)", 7), ("os.kill(2, 11)", -11), ("os.kill(2, 9)", -9), ("", 0)])
def test_it_ends_as_the_inner_process_ends(act, code):
    assert inside(act).returncode == code


SLOW_OUTER = """
stand_by = sandbox.stand_by
sandbox.stand_by = lambda *given: (time.sleep(0.5), stand_by(*given))
"""


@pytest.mark.parametrize("before", ["", SLOW_OUTER], ids=["", "before the outer process is ready"])
def test_an_interrupt_is_passed_on(before):
    act = "try: print(flush=True); time.sleep(30)\nexcept KeyboardInterrupt: print('interrupted')"
    with subprocess.Popen(script(act, before=before), stdout=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == "interrupted\n"
    assert process.returncode == 0


def children(pid: int) -> dict[str, int]:
    """The names and ids of a process's children."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return {Path(f"/proc/{child}/comm").read_text().strip(): int(child) for child in found}


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def left(pids, seconds: float = 5.0) -> list[int]:
    """Which of these still run after a while."""
    until = time.monotonic() + seconds
    pids = list(pids)
    while any(map(alive, pids)) and time.monotonic() < until:
        time.sleep(0.02)
    return [pid for pid in pids if alive(pid)]


@pytest.mark.parametrize("act", ["", "libc.prctl(1, 0)"], ids=["", "without its own death signal"])
@pytest.mark.parametrize("victim", ["inner", "outer", "bwrap", "cat", "parent"])
def test_whoever_is_killed_nothing_is_left(victim, act):
    parent = "\npid = os.fork()\nif pid: os.waitpid(pid, 0); os._exit(0)"
    command = script(act + "\nopen('left', 'w'); print(flush=True); time.sleep(60)", before=parent)
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        (outer,) = children(process.pid).values()
        of_outer = children(outer)
        bwrap = of_outer.pop("bwrap")
        (inner,) = of_outer.values()
        pids = {"parent": process.pid, "outer": outer, "bwrap": bwrap, "inner": inner, **children(bwrap)}
        assert len(pids) == 5
        assert all(map(alive, pids.values()))
        os.kill(pids[victim], signal.SIGKILL)
        assert not left(pids.values())
    assert not os.path.exists("/scratch")


def test_nothing_outlives_the_process_that_entered():
    before = """
        start = sandbox.start_bubblewrap
        def told(*given):
            holder, held = start(*given)
            print(os.getpid(), holder.pid, held, flush=True)
            return holder, held
        sandbox.start_bubblewrap = told
    """
    for _ in range(5):
        assert left(map(int, inside("", before=before).stdout.split()), 0) == []


def test_a_fork_that_is_in_no_sandbox_is_left():
    fork = "if os.fork(): time.sleep(60)\nprint(os.getpid(), flush=True); time.sleep(60)"
    with subprocess.Popen(script(fork, enter=""), stdout=subprocess.PIPE) as process:
        child = int(process.stdout.readline())
        process.kill()
        process.wait()
        assert left([child], 0.3) == [child]
        os.kill(child, signal.SIGKILL)


# Honest code.


def test_honest_code_works():
    before = """
        os.environ.update(OMP_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false")
        os.environ["JE_ARROW_MALLOC_CONF"] = "background_thread:false"
        from mechpuzzles.grading import forkserver
        forkserver.preload()
        forkserver.assert_forkable()
        assert tempfile.gettempdir() != "/scratch"
    """
    act = """
        import numpy as np, torch
        from mechpuzzles import load_model
        torch.set_num_threads(2)
        square = torch.randn(400, 400)
        assert torch.allclose(square @ square, torch.tensor(square.numpy() @ square.numpy()), atol=1e-3)
        (square @ torch.randn(400, 400, requires_grad=True)).sum().backward()
        assert load_model("mini-gpt2")(torch.tensor([[0, 1, 2]])).shape[:2] == (1, 3)
        assert np.linalg.svd(np.eye(50))[1].sum() == 50
        assert len(list(Path("/proc/self/task").iterdir())) > 1
        with tempfile.NamedTemporaryFile() as file:
            assert file.name.startswith("/scratch/"), file.name
        open("x", "w").write("x")
        for name in ("mailbox", "rich.tree", "mechpuzzles.bench"):
            assert name not in sys.modules, name
            __import__(name)
        import getpass
        assert (getpass.getuser(), os.path.expanduser("~"), os.cpu_count() > 0) == ("learner", "/scratch", True)
        for greedy in (lambda: torch.ones(1 << 28), lambda: np.ones(1 << 27)):
            try:
                greedy()
            except (RuntimeError, MemoryError):
                continue
            raise AssertionError("unbounded")
    """
    done = inside(act, "memory_mb=800", before, timeout=300)
    assert works(done)
    assert done.stderr == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user; whoever is not root tests it above")
def test_an_ordinary_user_is_contained_too():
    before = "import encodings.idna\nos.setgroups([]); os.setresgid(4242, 4242, 4242); os.setresuid(4242, 4242, 4242)"
    enter = "sandbox.enter(sandbox.Policy(threads=8), [Path('/usr')], [])"
    act = """
        assert (os.getuid(), os.getpid()) == (4242, 2)
        for path in ("/proc/1/mem", "/proc/1/environ", "/proc/sys/kernel/core_pattern", "/x", "/dev/x", "/dev/shm/x"):
            try:
                os.open(path, os.O_RDWR | os.O_CREAT)
            except OSError:
                continue
            raise AssertionError(path)
        open("/tmp/x", "w").close()
        started = 0
        try:
            for _ in range(20):
                threading.Thread(target=time.sleep, args=(0.5,)).start()
                started += 1
        except RuntimeError:
            assert started == 7
    """
    assert works(finish(script(act, before=before, enter=enter)))


# Where it cannot be had.


def test_what_bubblewrap_says_is_passed_on():
    enter = "sandbox.enter(sandbox.Policy(), [Path('/nowhere')])"
    done = finish(script("print('in')", enter=enter))
    assert refused(done, "SandboxError: bwrap: Can't find source path /nowhere")
    assert done.stdout == ""


def test_a_part_that_fails_lets_nothing_run():
    for broken in ("limit", "drop_capabilities", "system_calls", "replace_environment", "join"):
        fail = f"def fail(*_): raise OSError('no')\nsandbox.{broken} = fail"
        done = inside("print('in')", before=fail)
        assert refused(done, "SandboxError: no")
        assert done.stdout == ""


def test_why_a_machine_cannot_sandbox(monkeypatch, tmp_path):
    problem = sandbox.problem.__wrapped__
    with monkeypatch.context() as patch:
        patch.setattr(sys, "platform", "darwin")
        assert problem() == "The sandbox needs Linux."
    with monkeypatch.context() as patch:
        patch.setattr(sandbox, "pyseccomp", None)
        assert "pyseccomp" in problem()
    with monkeypatch.context() as patch:
        patch.setattr(os, "uname", lambda: type("", (), {"release": "5.4.0-42-generic"}))
        assert problem() == "The sandbox needs Linux 5.14 or later, and this is 5.4.0-42-generic."
    (tmp_path / "bwrap").write_text("#!/bin/sh\necho bwrap: No permissions to create new namespace >&2; exit 1\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "bubblewrap" in problem()  # not executable
    (tmp_path / "bwrap").chmod(0o755)
    assert problem().endswith("SandboxError: bwrap: No permissions to create new namespace")
