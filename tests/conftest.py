"""What every test starts from: offline, one torch thread, a log of its own."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "agg")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: takes more than ten seconds")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Fixtures of minutes are made once only if a group's tests stay together: pytest 9.2 makes xdist 3.8 part them."""
    if session.config.getoption("loadgroup", False):
        for item in session.items:
            if item.get_closest_marker("xdist_group") and "@" not in item.nodeid:
                raise pytest.UsageError(f"{item.nodeid} has lost its group: this pytest-xdist does not fit this pytest")


@pytest.fixture(autouse=True)
def _offline_and_alone(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setenv("MECHPUZZLES_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("NBGRADER_EXECUTION", raising=False)
    monkeypatch.setattr("mechpuzzles.journal._in_memory", [])


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def fork_server(tmp_path_factory) -> Iterator[Path]:
    """A fork server for all tests of this process."""
    from .forking import own_fork_server

    with own_fork_server(tmp_path_factory.mktemp("warm")) as path:
        yield path


@pytest.fixture(scope="session")
def kernel(request) -> str:
    """The kernel that starts soonest: the warm one, where there is fork."""
    if not sys.platform.startswith("linux"):
        return "python3"
    from mechpuzzles.grading import warm

    request.getfixturevalue("fork_server")
    return warm.KERNEL


@pytest.fixture(scope="module")
def browser():
    """Chromium, for the tests of one file."""
    from .chromium import running

    with running() as chromium:
        yield chromium


def missing(what: str) -> None:
    """Skip for want of something the machine may lack; on CI, where it was installed, fail."""
    if os.environ.get("CI"):
        pytest.fail(f"CI must have {what}")
    pytest.skip(f"needs {what}")
