"""`mechpuzzles grade` on real courses: what can go wrong with a submission, a machine, a gradebook; and its marks."""

import concurrent.futures
import contextlib
import copy
import datetime
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import pytest
from rich.console import Console
from typer.testing import CliRunner

from mechpuzzles import folders
from mechpuzzles.cli import app
from mechpuzzles.grading import driver, execute, sandbox, trusted, warm, worker
from mechpuzzles.grading.progress import Progress

from .conftest import missing
from .courses import ROOT, auto_scores, check_cell, copy_course, grades, hand_in, make_course, right, stub, typed, wrong
from .forking import needs_linux, own_fork_server
from .submissions import fragment

pytestmark = [
    needs_linux,
    pytest.mark.xdist_group("grade"),
]

SLUG, OTHER = "similar_embeddings", "and_or_circuits"
FULL = 9.0  # without the text, which a person marks


@pytest.fixture(scope="module", autouse=True)
def server(tmp_path_factory):
    if problem := sandbox.problem():
        missing(f"a sandbox: {problem}")
    with own_fork_server(tmp_path_factory.mktemp("server")) as path:
        yield path


def grade(course: Path, **settings) -> dict[tuple[str, str], driver.Row]:
    """The rows of a course by learner and puzzle."""
    rows = driver.grade(driver.Course(course), None, driver.Settings(**{"workers": 2, **settings}))
    return {(row.learner, row.puzzle): row for row in rows}


# Bad submissions --------------------------------------------------------------------------------------------------


def function(name: str, *lines: str) -> str:
    """A learner's function with these lines."""
    return f"def {name}(W):\n" + "".join(f"    {line}\n" for line in lines)


def centre(*lines: str) -> Callable[[Path], None]:
    """All right, but for `centre`."""
    return answers({stub("centre"): function("centre", *lines)})


def answers(changed: dict[str, str], text: bool = False) -> Callable[[Path], None]:
    return lambda folder: submit_to(folder, {**right(folder.name, text), **changed})


def submit_to(folder: Path, cells: dict[str, str]) -> Path:
    return hand_in(folder.parents[2], folder.parent.name, folder.name, cells)


def before(line: str) -> Callable[[Path], None]:
    return answers({stub("centre"): f"{line}\n\n{right(SLUG)[stub('centre')]}"})


def after(line: str) -> Callable[[Path], None]:
    return answers({stub("centre"): f"{right(SLUG)[stub('centre')]}\n\n{line}"})


def edited(edit: Callable[[nbformat.NotebookNode], None]) -> Callable[[Path], None]:
    """All right, in a notebook that was edited."""

    def put(folder: Path) -> None:
        path = submit_to(folder, right(folder.name))
        document = json.loads(path.read_text())
        edit(document)
        path.write_text(json.dumps(document))

    return put


def cell_of(document: dict, name: str) -> dict:
    return next(cell for cell in document["cells"] if cell["id"] == name)


def rename(name: str) -> Callable[[Path], None]:
    return lambda folder: submit_to(folder, right(folder.name)).rename(folder / name) and None


def with_files(*names: str) -> Callable[[Path], None]:
    def put(folder: Path) -> None:
        submit_to(folder, right(folder.name))
        for name in names:
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text("x")

    return put


def cut(folder: Path) -> None:
    path = submit_to(folder, right(folder.name))
    path.write_text(path.read_text()[:-1000])


def only_a_note(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "note.txt").write_text("I have lost my notebook.")


def two_notebooks(folder: Path) -> None:
    path = submit_to(folder, right(folder.name))
    shutil.copy(ROOT / "puzzles" / folder.name / path.name, folder / "as it was.ipynb")


def of_another_puzzle(folder: Path) -> None:
    folder.mkdir(parents=True)
    shutil.copy(ROOT / "puzzles" / OTHER / f"{OTHER}.ipynb", folder / f"{folder.name}.ipynb")


def a_link(folder: Path) -> None:
    submit_to(folder.parents[1] / ".elsewhere" / folder.name, right(folder.name))
    folder.parent.symlink_to(folder.parents[1] / ".elsewhere")


@dataclass(frozen=True)
class Bad:
    """A way to hand in, and what is to come of it: lost parts have 0, a score of None is none."""

    put: Callable[[Path], None]
    says: str = ""  # in the row's message
    lost: tuple[str, ...] = ()
    cell_says: str = ""  # in the outputs of the lost parts' checks
    status: str = "graded"
    slug: str = SLUG


def rejected(put: Callable[[Path], None], says: str) -> Bad:
    return Bad(put, says, status="rejected")


PARTS = tuple(part.name for part in folders.declared(ROOT, SLUG).parts)
NESTED = "answer = 0\n    for _ in range(50): answer = [answer]\n    return answer"
BAD = {
    "good": Bad(answers({})),
    "good-other": Bad(answers({}), slug=OTHER),
    "texts": Bad(answers({}, text=True), status="needs_manual"),
    "blank": Bad(lambda folder: submit_to(folder, {}), lost=PARTS, cell_says="not attempted yet") ,
    "wrong": Bad(answers({stub("centre"): wrong(SLUG, ["centre"])[stub("centre")]}), lost=("centre",),
                 cell_says=fragment(folders.declared(ROOT, SLUG).part("centre").symptoms[0].says)),
    "crash-in-a-cell": Bad(before("import ctypes; ctypes.string_at(0)"), "A cell of yours was given up because it "
                           "crashed Python (SIGSEGV): import ctypes", ("centre",), "is not defined"),
    "crash-in-a-function": Bad(centre("import ctypes", "ctypes.string_at(0)"), "centre was given up because it crashed "
                               "Python (SIGSEGV).", ("centre",), "it crashed Python (SIGSEGV)"),
    "exit-in-a-cell": Bad(before("import os; os._exit(0)"), "it ended Python", ("centre",), "is not defined"),
    "exit-in-a-function": Bad(centre("import sys", "sys.exit(3)"), "", ("centre",), "SystemExit"),
    "killed-in-a-function": Bad(centre("import os", "os.kill(os.getpid(), 9)"), "centre was given up because it was "
                                "killed, twice.", ("centre",), "it was killed, twice"),
    "loop-in-a-cell": Bad(after("while True: pass"), "A cell of yours was given up because it was still running after "
                          "5 seconds: def centre("),
    "loop-in-a-function": Bad(centre("while True: pass"), "centre was given up because it was still running after 3 "
                              "seconds.", ("centre",), "it was still running after 3 seconds"),
    "stubborn-loop": Bad(centre("import signal", "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})",
                                "while True: pass"), "could not be interrupted", ("centre",), "not be interrupted"),
    "memory-bomb": Bad(centre("taken = []", "while True: taken.append(bytearray(10**8))"), "", ("centre",),
                       "MemoryError"),
    "unreadable-answer": Bad(centre(NESTED), "", ("centre",), "nested too deeply"),
    "unreadable-value": Bad(answers({stub("my_heads"): "my_heads = 0\nfor _ in range(50): my_heads = [my_heads]"}),
                            "my_heads cannot be read: it is too big, or nested too deeply.", ("my_heads",), slug=OTHER),
    "not-an-answer": Bad(centre("return object()"), "", ("centre",), "object"),
    "syntax-error": Bad(answers({stub("centre"): "def centre(W):\nreturn W"}), "", ("centre",), "is not defined"),
    "huge-output": Bad(after("for _ in range(20): print('x' * 1_000_000)")),
    "on-stderr": Bad(after("import sys; print('a warning', file=sys.stderr)")),
    "warning-in-a-function": Bad(answers({stub("centre"): function("centre", "import os, warnings",
                                 "warnings.warn('!')", "os.write(2, b'from C')", "return W - W.mean(0)")})),
    "duplicated-cell": Bad(edited(lambda d: d["cells"].append(cell_of(d, stub("centre")))), "is there 2 times"),
    "deleted-check": Bad(edited(lambda d: d["cells"].remove(cell_of(d, check_cell("centre")))),
                         "Put back, because they were missing"),
    "changed-check": Bad(edited(lambda d: cell_of(d, check_cell("centre")).update(source="pass")), "is read-only"),
    "renamed": Bad(rename(f"{SLUG} (1).ipynb"), f'"{SLUG} (1).ipynb"'),
    "two-notebooks": Bad(two_notebooks, "as it was.ipynb"),
    "with-files": Bad(with_files("data.txt", "more/data.txt", "puzzle.py", ".hidden")),
    "misnamed-folders": Bad(with_files("puzzle.py/x.txt", "timestamp.txt/x.txt"), "names of the puzzle's files"),
    "missing-notebook": rejected(only_a_note, "no notebook"),
    "empty-folder": rejected(lambda folder: folder.mkdir(parents=True), "no notebook"),
    "corrupted": rejected(cut, "is not valid JSON"),
    "too-big": rejected(edited(lambda d: d["metadata"].update(padding="x" * 21_000_000)), "20 MB at most"),
    "another-puzzle": rejected(of_another_puzzle, "puzzle"),
    "link": rejected(a_link, 'The folder "link" of your submission is a link'),
    "a name, {0} + äöü": Bad(answers({})),
}  # fmt: skip


@pytest.fixture(scope="module")
def bad(tmp_path_factory):
    """A course with everything at once: its folder, its rows, the outputs of its checks and its marks."""
    config = """
c.TrustedExecute.cell_seconds, c.TrustedExecute.call_seconds = 5.0, 3.0
c.TrustedExecute.policy = {"memory_mb": 512}
"""
    course = make_course(tmp_path_factory.mktemp("bad") / "course", SLUG, OTHER, config=config)
    for name, how in BAD.items():
        how.put(course / "submitted" / name / how.slug)
    (course / "submitted" / "stray.txt").write_text("a file in the place of a folder")
    (course / "submitted" / "good" / "notes").mkdir()
    (course / "submitted" / "good" / "\x1b]0;title\x07").touch()
    (course / "submitted" / "good" / "homework.pdf").write_text("%PDF")
    for unusable in (os.fsdecode(b"caf\xe9"), "[a-z]*", " "):
        (course / "submitted" / unusable / SLUG).mkdir(parents=True)
    (course / "submitted" / "nothing-yet").mkdir()
    return course, grade(course), auto_scores(course)


@pytest.mark.parametrize("name", BAD)
def test_a_bad_submission_costs_its_learner_what_it_touches(bad, name):
    course, rows, marks = bad
    how = BAD[name]
    row, puzzle = rows[name, how.slug], folders.declared(ROOT, how.slug)
    assert how.says in row.message
    assert row.status == how.status, row.message
    outputs = outputs_of(course / "autograded" / name / how.slug / f"{how.slug}.ipynb")
    if how.status == "rejected":
        assert row.score is None
        assert {marks[name, how.slug, check_cell(part.name)] for part in puzzle.parts} == {None}
        return
    for part in puzzle.parts:
        expected = 0 if part.name in how.lost else part.points
        assert marks[name, how.slug, check_cell(part.name)] == expected, outputs[check_cell(part.name)]
        assert part.name not in how.lost or how.cell_says in outputs[check_cell(part.name)]
    assert row.score == sum(part.points for part in puzzle.parts if part.name not in how.lost)


def outputs_of(path: Path) -> dict[str, str]:
    """What each cell of a graded notebook shows, as one text."""
    cells = nbformat.read(path, as_version=4).cells
    return {cell.id: " ".join(json.dumps(cell.get("outputs", [])).replace("\\n", " ").split()) for cell in cells}


STRAY = {
    ("stray.txt", ""): '"stray.txt" is no folder of a learner',
    ("good", "notes"): '"good/notes" is no puzzle of this course',
    ("good", "homework.pdf"): '"good/homework.pdf" is no puzzle',
    ("good", "\N{REPLACEMENT CHARACTER}]0;title\N{REPLACEMENT CHARACTER}"): "is no puzzle",
    ("caf\N{REPLACEMENT CHARACTER}", SLUG): "nbgrader cannot use the name",
    ("[a-z]*", SLUG): "nbgrader cannot use the name",
    (" ", SLUG): "nbgrader cannot use the name",
}


def test_what_is_no_submission_has_a_row_and_no_marks(bad):
    _, rows, marks = bad
    for key, says in STRAY.items():
        assert (rows[key].status, rows[key].score) == ("rejected", None)
        assert says in rows[key].message
    there = {(name, how.slug) for name, how in BAD.items()}
    assert {(learner, slug) for learner, slug, _ in marks} == there
    assert set(rows) == there | set(STRAY)


def test_huge_outputs_are_cut(bad):
    course, _, _ = bad
    assert all(path.stat().st_size < 200_000 for path in course.glob("autograded/*/*/*.ipynb"))


# The driver -------------------------------------------------------------------------------------------------------


@pytest.fixture
def calls(monkeypatch):
    """What is graded, one slug for each job; the same job is graded in earnest only once."""
    real, made, results = worker.grade_job, [], {}

    def grade_job(job, puzzle):
        made.append(job["slug"])
        key = repr(job["cells"])
        if key not in results:
            results[key] = real(job, puzzle)
        return copy.deepcopy(results[key])

    monkeypatch.setattr(worker, "grade_job", grade_job)
    return made


@pytest.fixture
def course(tmp_path):
    """Two learners: one has a part wrong, one also wrote a text."""
    made = make_course(tmp_path / "course", SLUG)
    hand_in(made, "ada", SLUG, wrong(SLUG, ["centre"]))
    hand_in(made, "ben", SLUG, right(SLUG, text=True))
    return made


ADA, BEN = ("ada", SLUG), ("ben", SLUG)


def change(course: Path, learner: str) -> None:
    """The learner hands in again, with another cell."""
    path = course / "submitted" / learner / SLUG / f"{SLUG}.ipynb"
    document = json.loads(path.read_text())
    document["cells"].append(
        {
            "cell_type": "code",
            "id": f"new-{len(document['cells'])}",
            "source": "x = 1",
            "metadata": {},
            "outputs": [],
            "execution_count": None,
        }
    )
    path.write_text(json.dumps(document))  # fmt: skip


def mark(course: Path, learner: str, cell: str, score: float) -> None:
    """A person marks a cell, as the formgrader enters it."""
    with contextlib.closing(driver.Course(course).book()) as book:
        grade = book.find_grade(cell, SLUG, SLUG, learner)
        grade.manual_score, grade.needs_manual_grade = score, False
        book.db.commit()


def test_what_has_not_changed_is_not_graded_again(course, calls, monkeypatch):
    first = grade(course)
    assert len(calls) == 2
    assert grade(course) == {key: replace(row, graded_now=False) for key, row in first.items()}
    assert len(calls) == 2
    change(course, "ada")
    assert [row.graded_now for row in grade(course).values()] == [True, False]
    assert len(calls) == 3
    (course / "submitted" / "ben" / SLUG / "data.txt").write_text("1")
    grade(course)
    assert len(calls) == 4
    with (course / "solutions" / SLUG / "puzzle.py").open("a") as file:
        file.write("# another comment\n")
    grade(course)
    assert len(calls) == 6
    monkeypatch.setattr(driver, "mechpuzzles", SimpleNamespace(__version__="a newer one"))
    grade(course)
    assert len(calls) == 8
    grade(course)
    assert len(calls) == 8
    rows = grade(course, again=True)
    assert len(calls) == 10
    assert [row.data() for row in rows.values()] == [row.data() for row in first.values()]
    (course / "autograded" / "ada" / SLUG / driver.MARK).write_text("{")
    (course / "gradebook.db").unlink()
    assert [row.data() for row in grade(course).values()] == [row.data() for row in first.values()]
    assert len(calls) == 12


def test_a_text_waits_for_a_person(course, calls):
    rows = grade(course)
    assert (rows[ADA].status, rows[ADA].score) == ("graded", 7)
    assert (rows[BEN].status, rows[BEN].score) == ("needs_manual", 9)
    mark(course, "ben", "free-text-explanation", 3)
    row = grade(course)[BEN]
    assert (row.status, row.score, row.graded_now) == ("graded", row.max_score, False)


def test_a_persons_marks_survive_and_are_looked_at_again(course, calls):
    grade(course)
    mark(course, "ada", check_cell("centre"), 1.5)
    mark(course, "ben", "free-text-explanation", 2)
    assert [(row.status, row.score) for row in grade(course).values()] == [("graded", 8.5), ("graded", 11)]
    change(course, "ada")
    change(course, "ben")
    assert [(r.status, r.score) for r in grade(course).values()] == [("needs_manual", 8.5), ("needs_manual", 11)]
    marks = grades(course)
    assert marks["ada", SLUG, check_cell("centre")][:4] == (0, 1.5, None, True)
    assert marks["ben", SLUG, "free-text-explanation"][:4] == (None, 2, None, True)


def test_what_comes_too_late_is_so(course, calls):
    with (course / "nbgrader_config.py").open("a") as file:
        file.write("\nc.LateSubmissionPlugin.penalty_method = 'zero'\n")
    with contextlib.closing(driver.Course(course).book()) as book:
        book.update_or_create_assignment(SLUG, duedate="2030-01-01 12:00:00 UTC")
    times = {"ada": "2030-01-01 11:59:59 UTC", "ben": "2030-01-01 12:00:01 UTC", "cleo": "\x00 yesterday", "dan": ""}
    times |= {"eve": "9999-12-31 23:59:59 -0800"}
    for learner, when in times.items():
        if learner not in ("ada", "ben"):
            hand_in(course, learner, SLUG, right(SLUG))
        (course / "submitted" / learner / SLUG / "timestamp.txt").write_text(when)
    (course / "submitted" / "dan" / SLUG / "timestamp.txt").write_bytes(b"\xff\xfe")
    assert {key[0]: row.score for key, row in grade(course).items()} == {
        "ada": 7,
        "ben": 0,
        **dict.fromkeys(("cleo", "dan", "eve"), FULL),
    }
    marks = grades(course)
    assert marks["ben", SLUG, check_cell("centre")][4:] == (9, datetime.datetime(2030, 1, 1, 12, 0, 1))
    assert marks["dan", SLUG, check_cell("centre")][4:] == (None, None)


def test_some_puzzles_and_some_learners(tmp_path, calls):
    config = "c.CourseDirectory.student_id_exclude = 'eve,mallory'"
    course = make_course(tmp_path / "course", SLUG, OTHER, config=config)
    for learner in ("ada", "eve", "mallory"):
        hand_in(course, learner, SLUG, right(SLUG))
    hand_in(course, "ada", OTHER, {})
    (course / "submitted" / "ada" / "notes").mkdir()
    rows = driver.grade(driver.Course(course), [OTHER], driver.Settings())
    assert [(row.learner, row.puzzle) for row in rows] == [("ada", OTHER)]
    assert set(grade(course)) == {("ada", SLUG), ("ada", OTHER), ("ada", "notes")}
    assert len(calls) == 2


def test_a_puzzle_is_entered_when_it_is_first_graded(tmp_path, calls):
    """Without nbgrader's generate_assignment, and without a release beside the source."""
    course = copy_course(tmp_path / "course", SLUG)
    hand_in(course, "ada", SLUG, right(SLUG))
    shutil.rmtree(course / "puzzles")
    assert grade(course)[ADA].score == FULL
    assert not (course / "puzzles").exists()


def test_the_bar_hears_of_every_row(course, calls):
    (course / "submitted" / "note.txt").touch()
    (course / "submitted" / "cleo" / SLUG).mkdir(parents=True)
    screen = io.StringIO()
    for _ in range(2):
        with Progress(Console(file=screen, force_terminal=True, width=120)) as progress:
            driver.grade(driver.Course(course), None, driver.Settings(), progress.row)
        [task] = progress.bar.tasks
        assert task.completed == task.total == 4
    assert "4/4" in screen.getvalue()


# The command ------------------------------------------------------------------------------------------------------


def command(course: Path, *arguments: str):
    return CliRunner().invoke(app, ["grade", "--course", str(course), *arguments])


def test_the_rows_as_json_and_as_a_table(course, calls):
    (course / "submitted" / "cleo" / SLUG).mkdir(parents=True)
    done = command(course, "--json")
    assert done.exit_code == 0
    rows = json.loads(done.stdout)
    assert [list(row) for row in rows] == [["learner", "puzzle", "score", "max_score", "status", "message"]] * 3
    assert [(row["score"], row["status"]) for row in rows] == [(7, "graded"), (9, "needs_manual"), (None, "rejected")]
    assert json.loads(command(course, "--json").stdout) == rows
    table = command(course).stdout
    assert "7 of 12" in table
    assert "0 of 12" not in table


def test_what_is_ungraded_is_no_zero(course, monkeypatch):
    monkeypatch.setattr(worker, "grade_job", lambda job, puzzle: {"failed": "the machine is [red]busy[/red]"})
    done = command(course, "--json")
    assert done.exit_code == 1
    assert all((row["score"], row["status"]) == (None, "ungraded") for row in json.loads(done.stdout))
    table = command(course)
    assert table.exit_code == 1
    assert " of 12" not in table.stdout
    assert "[red]busy" in " ".join(table.stdout.split())
    marks = grades(course)
    assert {(auto, waits) for auto, _, _, waits, _, _ in marks.values()} == {(None, True)}
    monkeypatch.undo()
    assert [row.score for row in grade(course).values()] == [7, 9]


def no_submitted(course: Path) -> None:
    shutil.rmtree(course / "submitted")


def nothing_submitted(course: Path) -> None:
    no_submitted(course)
    (course / "submitted").mkdir()


def broken_config(course: Path) -> None:
    (course / "nbgrader_config.py").write_text("c = get_config(\n")


def broken_release(course: Path) -> None:
    (course / "puzzles" / SLUG / f"{SLUG}.ipynb").write_text("{")


def release_without_ids(course: Path) -> None:
    path = course / "puzzles" / SLUG / f"{SLUG}.ipynb"
    document = json.loads(path.read_text())
    for cell in document["cells"]:
        del cell["id"]
    path.write_text(json.dumps({**document, "nbformat_minor": 4}))


def broken_source(course: Path) -> None:
    (course / "gradebook.db").unlink()
    (course / "solutions" / SLUG / f"{SLUG}.ipynb").write_text("{}")


def broken_gradebook(course: Path) -> None:
    (course / "gradebook.db").write_bytes(b"no database, but long enough to be looked at" * 99)


def no_source(course: Path) -> None:
    (course / "submitted" / "ada" / "nonsense").mkdir()


def nothing(course: Path) -> None:
    pass


REFUSED = {
    "no-course": (shutil.rmtree, (), "has no submitted/"),
    "no-submitted": (no_submitted, (), "has no submitted/"),
    "nothing-submitted": (nothing_submitted, (), "there is no submission in"),
    "unknown-puzzle": (nothing, ("--puzzle", "nonsense"), "there is no submission of nonsense"),
    "puzzle-without-source": (no_source, ("--puzzle", "nonsense"), "nonsense is no puzzle of this course"),
    "bad-scheduler": (nothing, ("--scheduler", "nonsense://1"), "nonsense"),
    "broken-config": (broken_config, (), "nbgrader_config.py cannot be used"),
    "broken-release": (broken_release, (), f"{SLUG} cannot be graded"),
    "release-without-ids": (release_without_ids, (), f"the release of {SLUG} cannot be used"),
    "broken-source": (broken_source, (), f"{SLUG} cannot be graded"),
    "broken-gradebook": (broken_gradebook, (), "file is not a database"),
}


@pytest.mark.parametrize("spoilt", REFUSED)
def test_a_course_that_cannot_be_graded_is_refused_in_a_sentence(course, spoilt, monkeypatch):
    spoil, arguments, says = REFUSED[spoilt]
    monkeypatch.setattr(driver, "PAUSE", 0.01)
    spoil(course)
    done = command(course, "--json", *arguments)
    assert done.exit_code == 2, done.output
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not done.stdout


def test_without_a_sandbox_nothing_runs_unless_asked_for(course, calls, monkeypatch):
    monkeypatch.setattr(sandbox, "problem", lambda: "This machine has no namespaces.")
    done = command(course)
    assert (done.exit_code, calls, grades(course)) == (2, [], {})
    assert "This machine has no namespaces. Nothing was graded." in done.stderr
    done = command(course, "--no-sandbox", "--json")
    assert done.exit_code == 0
    assert "NO SANDBOX" in done.stderr
    assert [row["score"] for row in json.loads(done.stdout)] == [7, 9]
    assert len(calls) == 2


# Faults -----------------------------------------------------------------------------------------------------------


def descendants(pid: int) -> dict[int, bool]:
    """The processes below one, and whether each is in a pid namespace of its own: the learner's code is."""
    parents, inside = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            fields = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
            parents[int(folder.name)] = int(fields["PPid"])
            inside[int(folder.name)] = len(fields["NSpid"].split()) > 1 and fields["Name"].strip() != "cat"
    found, new = {}, {pid}
    while new := {child for child, parent in parents.items() if parent in new} - set(found):
        found |= {child: inside[child] for child in new}
    return found


def soon(look: Callable[[], Any], seconds: float = 60.0) -> Any:
    """What a look shows, as soon as it shows anything."""
    until = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < until
        time.sleep(0.02)
    return seen


@contextlib.contextmanager
def meanwhile(act: Callable[[], None]):
    """Do something in another thread, and see it through."""
    with concurrent.futures.ThreadPoolExecutor(1) as threads:
        done = threads.submit(act)
        yield
        done.result()


@pytest.mark.parametrize("where", ["cell", "function"])
def test_a_learners_process_that_is_killed_is_started_again(tmp_path, server, calls, where):
    course = make_course(tmp_path / "course", SLUG)
    slow = {"cell": after("import time; time.sleep(1.5)"),
            "function": centre("import time", "time.sleep(0.15)", "return W - W.mean(0)")}  # fmt: skip
    slow[where](course / "submitted" / "ada" / SLUG)

    def kill():
        [pid] = soon(lambda: [pid for pid, inside in descendants(warm.listener(server)).items() if inside])
        time.sleep(1.0)
        os.kill(pid, signal.SIGKILL)

    with meanwhile(kill):
        row = grade(course, workers=1)[ADA]
    assert (row.score, row.message, row.status) == (FULL, "", "graded")
    assert len(calls) == 1


def test_a_grader_that_is_killed_is_started_again(tmp_path, calls, monkeypatch):
    course = make_course(tmp_path / "course", SLUG)
    after("import time; time.sleep(1.0)")(course / "submitted" / "ada" / SLUG)
    graders = []

    class Recorded(warm.Forked):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            graders.append(self.pid)

    monkeypatch.setattr(warm, "Forked", Recorded)

    def kill():
        soon(lambda: graders)
        time.sleep(0.5)
        os.kill(graders[0], signal.SIGKILL)

    with meanwhile(kill):
        row = grade(course)[ADA]
    assert (row.score, row.message, row.status) == (FULL, "", "graded")
    assert (len(graders), len(calls)) == (2, 1)


@pytest.mark.parametrize("fails", [2, 3])
def test_a_grader_that_cannot_be_started_is_tried_three_times(course, monkeypatch, fails):
    """A fork server that was killed may hang up for a moment."""
    left = iter(range(fails))

    class Refused(warm.Forked):
        def __init__(self, *arguments):
            if next(left, None) is not None:
                raise ConnectionResetError("it hung up")
            super().__init__(*arguments)

    shutil.rmtree(course / "submitted" / "ben")
    monkeypatch.setattr(warm, "Forked", Refused)
    row = grade(course)[ADA]
    assert (row.score, row.status) == ((7, "graded") if fails == 2 else (None, "ungraded"))


def test_a_machine_that_fails_in_a_check_costs_no_marks(course, monkeypatch, tmp_path):
    """The learner's process crashes, and there can be no other."""
    centre("import ctypes", "ctypes.string_at(0)")(tmp_path / "course" / "submitted" / "cleo" / SLUG)
    opened = driver.Course(course)
    assignment = opened.assignment(SLUG)
    submission = driver.submissions.read(course / "submitted" / "cleo" / SLUG, assignment.released, SLUG)
    job = execute.job_of(submission.notebook, assignment.sources, assignment.released, SLUG, **opened.settings)
    started = []

    class Once(trusted.Learner):
        def __init__(self, *arguments):
            started.append(1)
            if len(started) == 2:
                raise warm.NoForkServer("no more processes")
            super().__init__(*arguments)

    monkeypatch.setattr(trusted, "Learner", Once)
    monkeypatch.chdir(course / "solutions" / SLUG)
    with pytest.raises(trusted.CannotGrade, match="no more processes"):
        trusted.grade(job)


def test_a_fork_server_that_is_killed_is_started_again(tmp_path, server, calls):
    course = make_course(tmp_path / "course", SLUG)
    for n in range(4):
        after(f"import time; time.sleep(1.{n})")(course / "submitted" / f"learner-{n}" / SLUG)
    first = warm.listener(server)

    def kill():
        soon(lambda: any(descendants(first).values()))
        os.kill(first, signal.SIGKILL)

    with meanwhile(kill):
        rows = grade(course)
    assert warm.listener(server) != first
    assert [(row.score, row.status, row.message) for row in rows.values()] == [(FULL, "graded", "")] * 4
    assert len(calls) == 4
    assert len(grades(course)) == 4 * 5


def test_files_that_do_not_fit_are_said_to(tmp_path):
    config = "c.TrustedExecute.policy = {'scratch_mb': 2}"
    course = make_course(tmp_path / "course", SLUG, config=config)
    for learner in ("ada", "ben"):
        hand_in(course, learner, SLUG, right(SLUG))
    (course / "submitted" / "ada" / SLUG / "data.bin").write_bytes(bytes(3 << 20))
    rows = grade(course)
    assert rows[ADA].message == "Your files did not all fit into the space that there is for them."
    assert rows[BEN].message == ""
    assert rows[ADA].score == rows[BEN].score == FULL


def test_no_folder_for_temporary_files(course, monkeypatch, tmp_path):
    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
        rows = grade(course)
        assert {(row.status, row.score) for row in rows.values()} == {("ungraded", None)}
        assert all("No such file or directory" in row.message for row in rows.values())
    assert [row.score for row in grade(course).values()] == [7, 9]


def test_a_full_disk_for_temporary_files(course, tmp_path):
    """On a small disk that only this command sees."""
    small = tmp_path / "small"
    small.mkdir()
    grading = [sys.executable, "-m", "mechpuzzles.cli", "grade", "--course", str(course), "--json", "--no-sandbox"]
    bubble = ["bwrap", "--dev-bind", "/", "/", "--size", "4096", "--tmpfs", str(small)]
    environment = {**os.environ, "TMPDIR": str(small)}
    done = subprocess.run([*bubble, *grading], env=environment, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    rows = json.loads(done.stdout)
    assert {(row["status"], row["score"]) for row in rows} == {("ungraded", None)}
    assert all("No space left on device" in row["message"] for row in rows)
    assert [row.score for row in grade(course).values()] == [7, 9]


def test_an_autograded_folder_that_cannot_be_written(course, calls):
    (course / "autograded").mkdir()
    (course / "autograded" / "ada").write_text("a file in the place of a folder")
    rows = grade(course)
    assert (rows[ADA].status, rows[ADA].score) == ("ungraded", None)
    assert rows[BEN].score == 9
    (course / "autograded" / "ada").unlink()
    assert [row.score for row in grade(course).values()] == [7, 9]


@contextlib.contextmanager
def locked(course: Path, seconds: float):
    """Another process has the gradebook for itself."""
    code = "import sqlite3, sys, time; book = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
    code += "book.execute('BEGIN EXCLUSIVE'); print('locked', flush=True); time.sleep(float(sys.argv[2]))"
    command = [sys.executable, "-c", code, str(course / "gradebook.db"), str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout.readline() == "locked\n"
            yield
        finally:
            other.kill()


def lock_at_the_first_job(course: Path, seconds: float, stack: contextlib.ExitStack, monkeypatch) -> None:
    real, taken = worker.grade_job, threading.Lock()

    def grade_job(job, puzzle):
        if taken.acquire(blocking=False):
            stack.enter_context(locked(course, seconds))
        return real(job, puzzle)

    monkeypatch.setattr(worker, "grade_job", grade_job)


def test_a_gradebook_that_is_locked_for_a_while_is_waited_for(course, calls, monkeypatch):
    url = f"\nc.CourseDirectory.db_url = 'sqlite:///{course}/gradebook.db?timeout=0.1'\n"  # or SQLite itself would wait
    with (course / "nbgrader_config.py").open("a") as file:
        file.write(url)
    with contextlib.ExitStack() as stack:
        lock_at_the_first_job(course, 2.0, stack, monkeypatch)
        started = time.monotonic()
        assert [row.score for row in grade(course).values()] == [7, 9]
        assert time.monotonic() - started > 2
    assert len(calls) == 2


def test_a_gradebook_that_stays_locked_leaves_submissions_ungraded(course, calls, monkeypatch):
    monkeypatch.setattr(driver, "PAUSE", 0.01)
    url = f"\nc.CourseDirectory.db_url = 'sqlite:///{course}/gradebook.db?timeout=0.1'\n"
    with (course / "nbgrader_config.py").open("a") as file:
        file.write(url)
    with contextlib.ExitStack() as stack, monkeypatch.context() as patch:
        lock_at_the_first_job(course, 600, stack, patch)
        done = command(course, "--json", "--workers", "1")
        assert done.exit_code == 1, done.output
        rows = json.loads(done.stdout)
        assert {(row["status"], row["score"]) for row in rows} == {("ungraded", None)}
        assert all("database is locked" in row["message"] for row in rows)
        refused = command(course, "--json")
        assert refused.exit_code == 2
        assert "database is locked" in refused.stderr
    assert [row.score for row in grade(course).values()] == [7, 9]
    assert grade(course)[ADA].graded_now is False
    with locked(course, 600):
        assert command(course, "--json").exit_code == 2


class Dead(BaseException):
    """The coordinator ends here."""


@pytest.mark.parametrize("where", ["staging", "saving", "penalties", "marks", "noting", "refusing"])
def test_a_coordinator_that_ends_anywhere_is_continued(course, tmp_path, calls, monkeypatch, where):
    (course / "submitted" / "cleo" / SLUG).mkdir(parents=True)
    undisturbed = shutil.copytree(course, tmp_path / "undisturbed")
    rows = grade(undisturbed)
    first = []

    def once(owner: Any, name: str) -> None:
        real = getattr(owner, name)

        def end(*arguments):
            if len(first) == 1:  # not at the first time, so that something is done already
                first.append(name)
                raise Dead
            first.append(name)
            return real(*arguments)

        monkeypatch.setattr(owner, name, end)

    places = {
        "staging": (driver, "_stage"),
        "saving": (driver.SaveAutoGrades, "_add_score"),
        "penalties": (driver.AssignLatePenalties, "init_plugin"),
        "marks": (driver, "_marks"),
        "noting": (driver, "_leave_mark"),
        "refusing": (driver.nbformat, "write"),
    }
    once(*places[where])
    with pytest.raises(Dead):
        grade(course, workers=1)
    again = grade(course, workers=1)
    assert [row.data() for row in again.values()] == [row.data() for row in rows.values()]
    assert grades(course) == grades(undisturbed)
    files = ["autograded/ada", "autograded/ben", "autograded/cleo"]
    for file in (path for name in files for path in (undisturbed / name).rglob("*") if path.is_file()):
        assert (course / file.relative_to(undisturbed)).is_file()


def test_a_coordinator_that_ends_while_it_enters_a_puzzle_is_continued(tmp_path, calls, monkeypatch):
    course = copy_course(tmp_path / "course", SLUG)
    hand_in(course, "ada", SLUG, right(SLUG))
    undisturbed = shutil.copytree(course, tmp_path / "undisturbed")
    grade(undisturbed)
    left, real = iter(range(5)), driver.Gradebook.update_or_create_source_cell

    def enter(*arguments, **cell):
        if next(left, None) is None:
            raise Dead
        return real(*arguments, **cell)

    with monkeypatch.context() as patch:
        patch.setattr(driver.Gradebook, "update_or_create_source_cell", enter)
        with pytest.raises(Dead):
            grade(course)
    assert grade(course)[ADA].score == FULL
    assert grades(course) == grades(undisturbed)


def test_a_coordinator_that_is_killed_is_continued(tmp_path, server):
    course = make_course(tmp_path / "course", SLUG)
    for n in range(6):
        answers = wrong(SLUG, PARTS[n : n + 1]) if n < 4 else right(SLUG, text=n == 4)
        answers[stub("centre")] += f"\n\nimport time; time.sleep(0.{n})"
        hand_in(course, f"learner-{n}", SLUG, answers)
    undisturbed = shutil.copytree(course, tmp_path / "undisturbed")
    rows = grade(undisturbed)
    command = [sys.executable, "-m", "mechpuzzles.cli", "grade", "--course", str(course), "--json", "--workers", "2"]
    for enough in (1, 3):
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True) as coordinator:
            soon(lambda least=enough: len(list(course.glob(f"autograded/*/*/{driver.MARK}"))) >= least)
            coordinator.kill()
        soon(lambda: not any(descendants(warm.listener(server)).values()))  # nor is anything left running
    again = grade(course)
    assert sum(not row.graded_now for row in again.values()) >= 3
    assert [row.data() for row in again.values()] == [row.data() for row in rows.values()]
    assert grades(course) == grades(undisturbed)


# Cells that are needed, and all ------------------------------------------------------------------------------------

VARIANTS = ("meaningful_zero", "which_corruption", "toy_ioi")  # a learner's own: data, a function, weights of a model


@pytest.mark.parametrize("slug", VARIANTS)
def test_all_cells_and_those_needed_give_the_same_marks(slug, tmp_path):
    """What tests/test_nbgrader.py does not hand in; tests/test_week.py hands in its like for every puzzle."""
    course = make_course(tmp_path / "course", slug)
    parts = folders.declared(ROOT, slug).parts
    hand_in(course, "typed", slug, typed(slug))  # values, if it has any, as literals
    hand_in(course, "other-half", slug, wrong(slug, [part.name for part in parts[1::2]]))
    rows = grade(course)
    assert rows["typed", slug].score == sum(part.points for part in parts)
    marks = auto_scores(course)
    assert all(marks["other-half", slug, check_cell(part.name)] == 0 for part in parts[1::2])
    # A value that was worked out with a wrong function is wrong too.
    right_ones = [part for part in parts[::2] if not part.value]
    assert all(marks["other-half", slug, check_cell(part.name)] == part.points for part in right_ones)
    grade(course, again=True, all_cells=True)
    assert auto_scores(course) == marks
