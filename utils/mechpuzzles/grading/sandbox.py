"""A sandbox for a process that has already loaded everything: `enter` puts the calling process into it.

Bubblewrap makes the namespaces and mounts, and holds them with a process that only waits. The calling process joins
them and forks, for only a child enters a pid namespace. That child, the *inner* process, gives up what it does not
need (file descriptors, environment, limits, user, capabilities, system calls) and goes on after `enter`; the *outer*
one waits for it and ends as it ends. Code in the sandbox cannot start processes, so there is nothing to be left over.

How it ends: the inner process is killed when the outer one ends, as is bubblewrap; when bubblewrap or the process it
holds ends, the kernel kills all that is in the pid namespace. The outer process is killed when its parent ends.

What is not bounded: memory that the forking process had mapped but not used, and the number of empty files in the
scratch folder, which cost the kernel about 1 kB each. What was in the memory of the forking process stays readable
to the inner one, so a fork server must not be given secrets: start it with an environment that has none.

Linux 5.14 or later: before, the limit on threads counted all processes of the user.
"""

import contextlib
import ctypes
import errno
import functools
import json
import os
import resource
import shutil
import signal
import site
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import mechpuzzles

try:
    import pyseccomp
except (ImportError, RuntimeError):  # RuntimeError: the binding is there, the library is not
    pyseccomp = None

MB = 1 << 20
OLDEST_LINUX = (5, 14)
TRIAL_SECONDS = 60  # for starting Python on a very busy machine
END_SECONDS = 2.0  # for bubblewrap to end by itself
SCRATCH = "/scratch"
PACKAGE = Path(mechpuzzles.__file__).parent
ENVIRONMENT = {"HOME": SCRATCH, "TMPDIR": SCRATCH, "USER": "learner", "LANG": "C.UTF-8", "PATH": "/usr/bin:/bin"}
NOBODY = 65534  # the user that a grader running as root becomes

# From <linux/sched.h>, <linux/prctl.h> and <linux/capability.h>.
CLONE_THREAD = 0x00010000
CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
NAMESPACES = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 1, 4, 24, 38
CAPABILITY_VERSION_3 = 0x20080522

# Denied besides what `system_calls` says: what learners' code has no use for and attacks on the kernel do.
DENIED = {
    "other programs": "fork vfork execve execveat",
    "other processes": "ptrace process_vm_readv process_vm_writev process_madvise pidfd_getfd kcmp perf_event_open",
    "namespaces": "unshare setns",
    "mounts": "mount umount2 pivot_root chroot move_mount open_tree fsopen fsconfig fsmount fspick mount_setattr",
    "files by handle": "open_by_handle_at name_to_handle_at fanotify_init quotactl",
    "memory outside the limit": "memfd_create memfd_secret shmget shmat shmctl msgget msgctl semget semctl mq_open",
    "large parts of the kernel": "bpf io_uring_setup io_uring_enter io_uring_register userfaultfd",
    "keys": "keyctl add_key request_key",
    "the machine": "init_module finit_module delete_module kexec_load kexec_file_load reboot swapon swapoff acct "
    "syslog sethostname setdomainname settimeofday clock_settime adjtimex clock_adjtime vhangup personality",
}

libc = ctypes.CDLL(None, use_errno=True)


class SandboxError(RuntimeError):
    """The sandbox could not be entered; the message says why. Nothing untrusted may run after it."""


@dataclass(frozen=True)
class Policy:
    """What the inner process may use. Megabytes are 2^20 bytes.

    `memory_mb` counts address space beyond what is mapped on entry, `cpu_seconds` what all threads use (then SIGXCPU,
    and two seconds later SIGKILL), `file_mb` each file, `scratch_mb` all files together, beside `memory_mb`. OpenMP
    ends a process that asks for more `threads`: on a machine with many cores, set the number it is to use.
    """

    memory_mb: int = 4096
    cpu_seconds: int = 600
    open_files: int = 256
    file_mb: int = 64
    scratch_mb: int = 256
    threads: int = 64


@functools.cache
def problem() -> str | None:
    """Why this machine cannot sandbox, in a sentence, or None: a sandbox is tried once per process."""
    if not sys.platform.startswith("linux"):
        return "The sandbox needs Linux."
    release = os.uname().release
    if tuple(int(number) for number in release.split("-")[0].split(".")[:2]) < OLDEST_LINUX:
        return f"The sandbox needs Linux {'.'.join(map(str, OLDEST_LINUX))} or later, and this is {release}."
    if shutil.which("bwrap") is None:
        return "The sandbox needs bubblewrap (on Debian and Ubuntu: apt install bubblewrap)."
    if pyseccomp is None:
        return "The sandbox needs libseccomp (apt install libseccomp2) and its binding (pip install pyseccomp)."
    # Opening a file of Python's tells whether nobody, whom root becomes, may read them.
    trial = f"import os; from {__name__} import Policy, enter; enter(Policy()); open(os.__file__).close()"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-P", "-c", trial]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=TRIAL_SECONDS)
    except subprocess.TimeoutExpired:
        return f"A sandbox cannot be made on this machine: it was not there after {TRIAL_SECONDS} seconds."
    if done.returncode == 0:
        return None
    last = (done.stderr.strip() or f"it ended with status {done.returncode}").splitlines()[-1]
    return f"A sandbox cannot be made on this machine: {last}"


def default_readable() -> list[Path]:
    """Python, the libraries, this package (not the checkout around it) and the Hub's cache (not its token)."""
    from huggingface_hub.constants import HF_HUB_CACHE

    wanted: list[str | Path] = ["/usr", "/etc/ld.so.cache", sys.prefix, sys.base_prefix, PACKAGE, HF_HUB_CACHE]
    if site.ENABLE_USER_SITE:
        wanted.append(site.getusersitepackages())
    return [Path(path) for path in wanted if os.path.exists(path)]


def default_hidden() -> list[Path]:
    """The puzzles' declarations, which a wheel carries."""
    beside = [PACKAGE, Path(sysconfig.get_path("purelib"), PACKAGE.name)]  # the second: of an editable install
    return [folder / "puzzles" for folder in beside if (folder / "puzzles").is_dir()]


def enter(
    policy: Policy,
    readable: Sequence[Path] | None = None,
    hidden: Sequence[Path] | None = None,
    keep: Sequence[int] = (),
) -> None:
    """Return inside a sandbox, in a child of the calling process; the caller itself waits for it and never returns.

    The caller must have one thread. Inside, `readable` (default: `default_readable()`) can be read, folders in
    `hidden` (default: `default_hidden()`) are empty, and of two that contain each other the inner one decides; all
    else is absent. Only the working directory can be written; `/tmp` is another name of it, unless something readable
    is there. File descriptors
    other than 0, 1, 2 and `keep` are closed, in both processes; `os.environ` is `ENVIRONMENT`.

    An ordinary user stays that user. Root becomes nobody, since root without any capability may still write
    /proc/sys, and has no limit on threads: `readable` must then be readable by everybody, though not the folders above.

    The caller's status is the child's: its exit status, or its signal. SIGINT to the caller is passed on.
    Raises SandboxError, in the caller or in the child, if any part fails.
    """
    readable = default_readable() if readable is None else readable
    hidden = default_hidden() if hidden is None else hidden
    parent = os.getppid()
    try:
        holder, held = start_bubblewrap(mounts(policy, readable, hidden))
        try:
            join(held)
            prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:
                raise SandboxError("the parent process has ended")
            signals = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])  # until there is who passes it on
            inner = os.fork()
        except BaseException:
            end(holder)
            raise
        if inner:
            stand_by(inner, holder)
        signal.pthread_sigmask(signal.SIG_SETMASK, signals)
        forget(holder)
        confine(policy, keep)
    except OSError as error:
        raise SandboxError(str(error)) from error


def mounts(policy: Policy, readable: Iterable[Path], hidden: Iterable[Path]) -> list[str]:
    """Bubblewrap's arguments for a root folder that has these, a scratch folder, /proc and /dev; see `enter`."""
    arguments = ["--proc", "/proc", "--dev", "/dev"]
    arguments += ["--perms", "1777", "--size", str(policy.scratch_mb * MB), "--tmpfs", SCRATCH]
    if not any(Path(os.path.abspath(path)).is_relative_to("/tmp") for path in readable):
        arguments += ["--symlink", SCRATCH.strip("/"), "/tmp"]  # else /tmp holds what is readable there, and no more
    for name in (*Path("/").glob("lib*"), Path("/bin"), Path("/sbin")):
        arguments += ["--symlink", os.readlink(name), str(name)] if name.is_symlink() else bind(name)
    covers = [Path(os.path.abspath(path)) for path in hidden]
    placed = {path: bind(path) for path in (Path(os.path.abspath(path)) for path in readable)}
    placed |= {path: ["--tmpfs", str(path)] for path in covers}
    for path in sorted(placed, key=lambda path: len(path.parts)):  # what is mounted later covers what is below
        for parent in reversed(path.parents[:-1]):  # bubblewrap would let only its own user into them
            arguments += ["--perms", "0755", "--dir", str(parent)]
        arguments += placed[path]
    # /proc too, for /proc/1/mem, and for root's files there: bubblewrap covers /proc/sys only where it may write it.
    for path in (*covers, Path("/proc"), Path("/dev"), Path("/")):
        arguments += ["--remount-ro", str(path)]
    return arguments


def bind(path: Path) -> list[str]:
    """Bubblewrap's arguments to show a path read-only under its own name."""
    return ["--ro-bind", str(path), str(path)]


def start_bubblewrap(filesystem: list[str]) -> tuple[subprocess.Popen, int]:
    """Bubblewrap, and the process that it holds in finished namespaces, as pid 1 of them.

    The held process is `cat`: its echo tells that all is mounted, and it ends when this process does.
    """
    program = shutil.which("bwrap")
    if program is None:
        raise SandboxError("bubblewrap is not installed")
    info, info_end = os.pipe()
    go_end, go = os.pipe()
    command = [program, "--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"]
    command += ["--hostname", "sandbox", "--as-pid-1", "--new-session", "--die-with-parent", "--cap-drop", "ALL"]
    command += [*filesystem, "--info-fd", str(info_end)]
    command += ["--userns-block-fd", str(go_end)] if os.geteuid() == 0 else []
    pipe, given = subprocess.PIPE, (info_end, go_end)
    try:
        holder = subprocess.Popen(
            [*command, "cat"], stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0, pass_fds=given, env={}, cwd="/"
        )
    finally:
        os.close(info_end)
        os.close(go_end)
    assert holder.stdin
    assert holder.stdout
    assert holder.stderr
    try:
        with open(info, "rb") as answer, open(go, "wb") as ready:
            report = answer.read()
            if report and os.geteuid() == 0:
                add_nobody(json.loads(report)["child-pid"])
                ready.write(b"\n")
        with contextlib.suppress(BrokenPipeError):
            holder.stdin.write(b"\n")
        if not report or not holder.stdout.read(1):
            raise SandboxError(holder.stderr.read().decode(errors="replace").strip() or "bubblewrap failed silently")
    except BaseException:
        end(holder)
        raise
    return holder, json.loads(report)["child-pid"]


def add_nobody(pid: int) -> None:
    """Give the user namespace of a process two users, root and nobody; bubblewrap itself would give one."""
    for kind in ("uid_map", "gid_map"):
        Path(f"/proc/{pid}/{kind}").write_text(f"0 0 1\n{NOBODY} {NOBODY} 1\n")


def join(pid: int) -> None:
    """Move this process into the namespaces of another (its children, as for the pid namespace)."""
    target = os.pidfd_open(pid)
    try:
        succeed(libc.setns(target, NAMESPACES), "joining the namespaces")  # os.setns from Python 3.12 on
    finally:
        os.close(target)


def stand_by(inner: int, holder: subprocess.Popen) -> NoReturn:
    """The outer process: wait for the inner one, end bubblewrap, end as the inner one did."""
    try:
        assert holder.stdin
        signal.signal(signal.SIGINT, lambda number, _: os.kill(inner, number))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
        for standard in (0, 1, 2):  # who reads them is to see the end when the inner process ends
            os.dup2(os.open(os.devnull, os.O_RDWR), standard)
        close_all_but([0, 1, 2, holder.stdin.fileno()])
        _, status = os.waitpid(inner, 0)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        end(holder)
        code = os.waitstatus_to_exitcode(status)
        if code < 0:
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            if -code != signal.SIGKILL:
                signal.signal(-code, signal.SIG_DFL)
            os.kill(os.getpid(), -code)
        os._exit(code)
    finally:
        os._exit(1)


def end(holder: subprocess.Popen) -> None:
    """End bubblewrap, and with it all that is in the namespaces."""
    assert holder.stdin
    holder.stdin.close()  # the held process ends first, and bubblewrap waits for it: nothing outlives this call
    try:
        holder.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        holder.kill()
        holder.wait()


def forget(holder: subprocess.Popen) -> None:
    """In the inner process: let go of the copy of the parent's child."""
    for stream in (holder.stdin, holder.stdout, holder.stderr):
        assert stream
        stream.close()
    holder.returncode = 0  # else it would warn of a child that was not waited for


def confine(policy: Policy, keep: Iterable[int]) -> None:
    """In the inner process: give up everything that the sandbox is to withhold."""
    os.setsid()  # no terminal, into which commands could be typed
    close_all_but([0, 1, 2, *keep])
    os.chdir(SCRATCH)
    replace_environment()
    limit(policy)
    drop_bounding_capabilities()  # first, for it takes a capability
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    drop_capabilities()
    prctl(PR_SET_DUMPABLE, 1)  # a change of user hides /proc/self from oneself
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    system_calls().load()


def close_all_but(kept: Iterable[int]) -> None:
    """Close every file descriptor that is not named."""
    first = 0
    for number in sorted(set(kept)):
        if number > first:  # an empty range at 0 would close everything (its end, -1, is taken as unsigned)
            os.closerange(first, number)
        first = number + 1
    os.closerange(first, 2**31 - 1)


def replace_environment() -> None:
    """Make `ENVIRONMENT` the only variables, and wipe those the process was started with out of /proc/self/environ."""
    os.environ.clear()
    libc.clearenv()
    fields = Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()  # from the third field on
    start, end = int(fields[50 - 3]), int(fields[51 - 3])
    ctypes.memset(start, 0, end - start)
    os.environ.update(ENVIRONMENT)
    tempfile.tempdir = None  # it may have been found out before


def limit(policy: Policy) -> None:
    """Set the resource limits, never above those that hold already."""
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limits = {
        resource.RLIMIT_AS: mapped + policy.memory_mb * MB,
        resource.RLIMIT_CPU: policy.cpu_seconds,
        resource.RLIMIT_NOFILE: policy.open_files,
        resource.RLIMIT_FSIZE: policy.file_mb * MB,
        resource.RLIMIT_NPROC: policy.threads + 2,  # the outer process and the held one count
        resource.RLIMIT_CORE: 0,
    }
    for which, most in limits.items():
        hard = most + 2 if which == resource.RLIMIT_CPU else most
        _, present = resource.getrlimit(which)
        if present != resource.RLIM_INFINITY:
            hard = min(hard, present)
        resource.setrlimit(which, (min(most, hard), hard))


def drop_bounding_capabilities() -> None:
    """Give up the right ever to gain a capability."""
    for capability in range(64):
        if libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
            if ctypes.get_errno() == errno.EINVAL:
                return  # the kernel has no more of them
            succeed(-1, "dropping capabilities")


def drop_capabilities() -> None:
    """Give up all capabilities; the ambient ones go with the others."""
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    succeed(libc.capset(header, (ctypes.c_uint32 * 6)()), "dropping capabilities")


def system_calls() -> "pyseccomp.SyscallFilter":
    """All system calls but those of `DENIED`, of starting processes, and of sockets that are not Unix sockets."""
    allowed = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
    deny = pyseccomp.ERRNO(errno.EPERM)
    for names in DENIED.values():
        for name in names.split():
            allowed.add_rule(deny, name)
    allowed.add_rule(deny, "clone", pyseccomp.Arg(0, pyseccomp.MASKED_EQ, CLONE_THREAD, 0))
    # Its flags are in memory, where a filter cannot look; the C library then takes clone.
    allowed.add_rule(pyseccomp.ERRNO(errno.ENOSYS), "clone3")
    for name in ("socket", "socketpair"):
        allowed.add_rule(deny, name, pyseccomp.Arg(0, pyseccomp.NE, 1))  # AF_UNIX
    return allowed


def prctl(what: int, value: int) -> None:
    """Change an attribute of this process."""
    succeed(libc.prctl(what, value, 0, 0, 0), f"prctl {what}")


def succeed(result: int, doing: str) -> None:
    """SandboxError, with the reason, if a call to the C library failed."""
    if result != 0:
        raise SandboxError(f"{doing}: {os.strerror(ctypes.get_errno())}")
