"""Stock nbgrader, by its own commands, on every puzzle: release, autograde, feedback, export."""

import csv
import html
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from mechpuzzles import folders
from mechpuzzles.grading import driver, sandbox
from mechpuzzles.verify import as_they_ran

from .conftest import missing
from .courses import auto_scores, check_cell, entered, hand_in, make_course, right, stub, wrong
from .submissions import fragment

ROOT = Path(__file__).parents[1]
SLUGS = folders.slugs(ROOT)
pytestmark = pytest.mark.slow


def nbgrader(course: Path, *commands: str) -> str:
    """Run nbgrader commands in a course, one after another, and return what they said."""
    beside = str(Path(sys.executable).parent)  # nbgrader calls `alembic` by name
    environment = {**os.environ, "PATH": beside + os.pathsep + os.environ["PATH"], "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-c", ONE_AFTER_ANOTHER, *commands]
    if len(commands) == 1:
        command = [sys.executable, "-m", "nbgrader", *commands[0].split()]
    done = subprocess.run(command, cwd=course, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stderr


# What `nbgrader` does, without starting Python and importing nbgrader for each command.
ONE_AFTER_ANOTHER = """
import contextlib, sys
from jupyter_core.application import NoStart
from nbgrader.apps import NbGraderApp
for command in sys.argv[1:]:
    app = NbGraderApp()
    app.initialize(command.split())
    with contextlib.suppress(NoStart):  # raised when the subcommand has ended
        app.start()
    type(app.subapp).clear_instance()
"""


def gradebook(course: Path):
    from nbgrader.api import Gradebook

    return Gradebook(f"sqlite:///{course}/gradebook.db")


@pytest.fixture(scope="module", params=[pytest.param(s, marks=pytest.mark.xdist_group(f"nbgrader {s}")) for s in SLUGS])
def graded(request, tmp_path_factory, kernel):
    """A course of some learners, through nbgrader's commands from release to export."""
    slug = request.param
    course = tmp_path_factory.mktemp("course")
    shutil.copy(ROOT / "nbgrader_config.py", course)
    shutil.copytree(ROOT / "solutions" / slug, course / "solutions" / slug)
    solved = right(slug, text=True)
    parts = folders.declared(ROOT, slug).parts
    for name, answers in {
        "right": solved,
        "untouched": {},
        "half": {**solved, **wrong(slug, [part.name for part in parts[::2]])},
        **(noises(slug, solved) if slug == SLUGS[0] else {}),  # noise is the same everywhere
    }.items():
        hand_in(course, name, slug, answers)
    warmly = f"autograde {slug} --Execute.kernel_name={kernel}"
    steps = [f"generate_assignment {slug}", warmly, f"generate_feedback {slug}", "export"]
    if slug != SLUGS[0]:
        (course / "gradebook.db").write_bytes(entered(()))
        return course, slug, nbgrader(course, *steps)
    # Of the first puzzle a learner as stock nbgrader has it: a new gradebook, commands of their own, and a cold kernel.
    steps.insert(1, f"autograde {slug} --student=right")
    return course, slug, "".join(nbgrader(course, step) for step in steps)


def noises(slug: str, solved: dict[str, str]) -> dict[str, dict[str, str]]:
    """Right answers that also write to standard error: in a cell, and from within a function, in Python and below."""
    at = stub(first_function(slug).name)
    noisy = solved[at] + "\n\nimport sys\nprint('a warning', file=sys.stderr)"
    noisier = solved[at].replace(
        "### BEGIN SOLUTION",
        "import os, warnings\n    warnings.warn('old')\n    os.write(2, b'from C\\n')\n    ### BEGIN SOLUTION",
    )
    return {"noisy": {**solved, at: noisy}, "noisier": {**solved, at: noisier}}


def first_function(slug: str):
    return next(part for part in folders.declared(ROOT, slug).parts if not part.value)


def scores(course: Path) -> dict[str, float]:
    with (course / "grades.csv").open() as file:
        return {row["student_id"]: float(row["score"]) for row in csv.DictReader(file)}


def test_the_release_is_the_one_in_the_repository(graded):
    course, slug, _ = graded
    for path in (ROOT / "puzzles" / slug).iterdir():
        if path.is_file():
            assert (course / "puzzles" / slug / path.name).read_bytes() == path.read_bytes()
    released = {path.name for path in (course / "puzzles" / slug).iterdir()}
    assert not released & {f"{slug}.py", "_author.py"}


def test_scores(graded):
    course, slug, _ = graded
    parts = folders.declared(ROOT, slug).parts
    full = sum(part.points for part in parts)
    marks = scores(course)
    assert {name: mark for name, mark in marks.items() if name != "half"} == {
        "right": full,
        "untouched": 0,
        **({"noisy": full, "noisier": full} if slug == SLUGS[0] else {}),
    }
    # Values that are worked out with a wrong function are wrong too.
    of_half = {cell: mark for (learner, _, cell), mark in auto_scores(course).items() if learner == "half"}
    assert all(of_half[check_cell(part.name)] == 0 for part in parts[::2])
    assert marks["half"] == sum(of_half[check_cell(part.name)] for part in parts[1::2]) > 0


def test_the_notebooks_that_it_ran_pass_the_gate(graded):
    """Of running a solution and a release, the gate asks no more than what has been run here."""
    course, slug, _ = graded
    paths = (course / "autograded" / learner / slug / f"{slug}.ipynb" for learner in ("right", "untouched"))
    solution, untouched = (nbformat.read(path, as_version=4) for path in paths)
    assert as_they_ran(ROOT, slug, solution, untouched) == []


def test_mechpuzzles_grade_gives_the_same_marks(graded, tmp_path, fork_server):
    course, slug, _ = graded
    if problem := sandbox.problem():
        missing(f"a sandbox: {problem}")
    ours = make_course(tmp_path / "course", slug)
    shutil.copytree(course / "submitted", ours / "submitted")
    rows = driver.grade(driver.Course(ours), None, driver.Settings(workers=1))
    assert {row.status for row in rows} <= {"graded", "needs_manual"}
    theirs = auto_scores(course)
    assert len(theirs) >= 3 * len(folders.declared(ROOT, slug).parts)
    assert auto_scores(ours) == theirs


def test_free_text_waits_for_a_person_and_then_completes_the_marks(graded):
    course, slug, _ = graded
    puzzle = folders.declared(ROOT, slug)
    with gradebook(course) as book:
        for free in puzzle.free_text:
            cell = f"free-text-{free.name}".replace("_", "-")
            blank = book.find_grade(cell, slug, slug, "untouched")
            assert (blank.auto_score, blank.needs_manual_grade) == (0, False)
            written = book.find_grade(cell, slug, slug, "right")
            assert (written.auto_score, written.needs_manual_grade) == (None, True)
            written.manual_score = free.points
        book.db.commit()
        submission = book.find_submission(slug, "right")
        assert submission.score == submission.max_score


def test_feedback_has_the_sentence_and_no_hidden_test(graded):
    course, slug, _ = graded
    part = first_function(slug)
    pages = {path.parts[-3]: path.read_text() for path in course.glob(f"feedback/*/{slug}/{slug}.html")}
    assert set(pages) == set(scores(course))
    sentence = fragment(part.symptoms[0].says)
    assert sentence in " ".join(html.unescape(pages["half"]).split())
    assert sentence not in " ".join(html.unescape(pages["right"]).split())
    for page in pages.values():
        assert "HIDDEN" not in page
        assert "puzzle.grade" not in page.replace('<span class="n">', "").replace("</span>", "").replace(
            '<span class="o">', ""
        )


def test_nbgrader_has_nothing_to_complain_of(graded):
    _, _, said = graded
    assert not [line for line in said.splitlines() if "ERROR" in line or "Traceback" in line]
