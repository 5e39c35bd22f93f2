"""The gradebook in PostgreSQL: the same marks as in SQLite, also when the server goes away for a while."""

import contextlib
import datetime
import os
import pwd
import shutil
import subprocess
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

from mechpuzzles.grading import driver, sandbox, worker

from .conftest import missing
from .courses import check_cell, copy_course, grades, hand_in, right, wrong
from .forking import needs_linux, own_fork_server

pytestmark = [needs_linux, pytest.mark.xdist_group("databases")]

SLUG = "similar_embeddings"
USER = "postgres"  # whom Debian's package makes; the server refuses to run as root
URL = "c.CourseDirectory.db_url = 'postgresql+psycopg2://course@/{name}?host={folder}'"


@dataclass
class Server:
    """A database server of the tests' own, which listens on a socket in its folder."""

    folder: Path
    programs: Path

    def run(self, program: str, *arguments: str) -> None:
        """Run one of PostgreSQL's programs, not as root; RuntimeError with what it says if it fails."""
        user = {"user": USER, "group": USER, "extra_groups": []} if os.geteuid() == 0 else {}
        log = self.folder / "log"
        with log.open("a") as file:  # no pipe: the server would keep it open
            done = subprocess.run(
                [self.programs / program, *arguments], stdout=file, stderr=file, cwd=self.folder, **user
            )
        if done.returncode:
            raise RuntimeError(log.read_text())

    def start(self) -> None:
        options = f"-c listen_addresses='' -c unix_socket_directories='{self.folder}' -c fsync=off"
        self.run("pg_ctl", "start", "-w", "-D", "data", "-o", options)

    def stop(self) -> None:
        """As if it crashed."""
        self.run("pg_ctl", "stop", "-m", "immediate", "-D", "data")

    def course(self, path: Path) -> Path:
        """A course with a gradebook of its own on this server."""
        name = f"book_{path.parent.name}".lower()
        self.run("createdb", "-h", str(self.folder), "-U", "course", name)
        return class_in(copy_course(path, SLUG, config=URL.format(name=name, folder=self.folder)))


@pytest.fixture(scope="module")
def postgres():
    """A server that runs, and a fork server."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not programs:
        missing("postgresql")
    if problem := sandbox.problem():
        missing(f"a sandbox: {problem}")
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # not in pytest's, into which the server's user may not look
    server = Server(folder, programs[-1].parent)
    try:
        if os.geteuid() == 0:
            os.chown(folder, pwd.getpwnam(USER).pw_uid, pwd.getpwnam(USER).pw_gid)
        server.run("initdb", "-D", "data", "-A", "trust", "-U", "course", "--no-sync", "--locale=C", "-E", "UTF8")
        server.start()
        try:
            with own_fork_server(folder):
                yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)


def class_in(course: Path) -> Path:
    """A class of all kinds."""
    hand_in(course, "ada", SLUG, right(SLUG, text=True))
    hand_in(course, "ben", SLUG, wrong(SLUG, ["centre", "offset_ratio"]))
    hand_in(course, "cleo äöü", SLUG, {})
    (course / "submitted" / "dan" / SLUG).mkdir(parents=True)
    (course / "submitted" / "ben" / SLUG / "timestamp.txt").write_text("2030-01-01 12:00:00.5 +0000")
    return course


def grade(course: Path) -> list[driver.Row]:
    return driver.grade(driver.Course(course), None, driver.Settings(workers=2))


def data(rows: list[driver.Row]) -> list[dict]:
    return [row.data() for row in rows]


@pytest.fixture(scope="module")
def in_sqlite(tmp_path_factory):
    """What the class has without any server: the rows and the marks."""
    course = class_in(copy_course(tmp_path_factory.mktemp("sqlite") / "course", SLUG))
    return data(grade(course)), grades(course)


def test_the_marks_are_those_of_sqlite(postgres, in_sqlite, tmp_path):
    course = postgres.course(tmp_path / "course")
    rows = grade(course)
    assert data(rows) == in_sqlite[0]
    assert [(row.score, row.status) for row in rows] == [
        *((9, "needs_manual"), (5, "graded"), (0, "graded"), (None, "rejected"))
    ]
    assert grades(course) == in_sqlite[1]
    assert not (course / "gradebook.db").exists()
    assert not any(row.graded_now for row in grade(course))
    with contextlib.closing(driver.Course(course).book()) as book:
        mark = book.find_grade("free-text-explanation", SLUG, SLUG, "ada")
        mark.manual_score, mark.needs_manual_grade = 3, False
        book.db.commit()
    assert (grade(course)[0].score, grade(course)[0].status) == (12, "graded")
    assert grades(course)["ben", SLUG, check_cell("centre")][-1] == datetime.datetime(2030, 1, 1, 12, 0, 0, 500000)


@pytest.fixture
def at_the_second_job(monkeypatch):
    """Have something done when the second job is finished, and see it through."""
    real, count, threads = worker.grade_job, [], []

    def when(act):
        def grade_job(job, puzzle):
            found = real(job, puzzle)
            count.append(job)
            if len(count) == 2:
                threads.append(threading.Thread(target=act))
                threads[0].start()
                threads[0].join(0.5)
            return found

        monkeypatch.setattr(worker, "grade_job", grade_job)

    yield when
    threads[0].join()


def test_a_server_that_is_started_again_is_waited_for(postgres, in_sqlite, tmp_path, at_the_second_job):
    course = postgres.course(tmp_path / "course")

    def restart():
        postgres.stop()
        postgres.start()

    at_the_second_job(restart)
    assert data(grade(course)) == in_sqlite[0]
    assert grades(course) == in_sqlite[1]


def test_a_server_that_stays_away_leaves_submissions_ungraded(
    postgres, in_sqlite, tmp_path, at_the_second_job, monkeypatch
):
    monkeypatch.setattr(driver, "PAUSE", 0.05)
    course = postgres.course(tmp_path / "course")
    at_the_second_job(postgres.stop)
    rows = grade(course)
    lost = [row for row in rows if row.status == "ungraded"]
    assert lost
    assert all(row.score is None and "could not be entered" in row.message for row in lost)
    with pytest.raises(driver.Unusable, match=r"(?i)connection"):
        grade(course)
    postgres.start()
    assert data(grade(course)) == in_sqlite[0]
    assert grades(course) == in_sqlite[1]
