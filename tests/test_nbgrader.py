"""Stock nbgrader, by its own commands, on every puzzle: release, autograde, feedback, export."""

import csv
import html
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mechpuzzles import folders
from mechpuzzles.grading import warm

from .submissions import fragment, mutant_source, solutions_of, submit

ROOT = Path(__file__).parents[1]
SLUGS = folders.slugs(ROOT)
LINUX = sys.platform.startswith("linux")
pytestmark = pytest.mark.slow


def nbgrader(course: Path, *arguments: str) -> str:
    """Run an nbgrader command in a course and return what it said."""
    beside = str(Path(sys.executable).parent)  # nbgrader calls `alembic` by name
    environment = {**os.environ, "PATH": beside + os.pathsep + os.environ["PATH"], "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "nbgrader", *arguments]
    done = subprocess.run(command, cwd=course, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stderr


def gradebook(course: Path):
    from nbgrader.api import Gradebook

    return Gradebook(f"sqlite:///{course}/gradebook.db")


@pytest.fixture(scope="module", params=[pytest.param(s, marks=pytest.mark.xdist_group(f"nbgrader {s}")) for s in SLUGS])
def graded(request, tmp_path_factory):
    """A course of five learners, through nbgrader's commands from release to export."""
    slug = request.param
    course = tmp_path_factory.mktemp("course")
    shutil.copy(ROOT / "nbgrader_config.py", course)
    shutil.copytree(ROOT / "solutions" / slug, course / "solutions" / slug)
    nbgrader(course, "generate_assignment", slug)

    right = solutions_of(ROOT, slug)
    first = first_function(slug)
    stub = f"stub-{first.name}".replace("_", "-")
    wrong = mutant_source(ROOT, slug, first, first.symptoms[0].name)
    noisy = right[stub] + "\n\nimport sys\nprint('a warning', file=sys.stderr)"
    # A warning from within the learner's function, and one from the system below Python.
    noisier = right[stub].replace(
        "### BEGIN SOLUTION",
        "import os, warnings\n    warnings.warn('old')\n    os.write(2, b'from C\\n')\n    ### BEGIN SOLUTION",
    )
    learners = {"right": right, "untouched": {}, "one-wrong": {**right, stub: wrong}}
    if slug == SLUGS[0]:  # noise is the same everywhere
        learners |= {"noisy": {**right, stub: noisy}, "noisier": {**right, stub: noisier}}
    for learner, answers in learners.items():
        submit(ROOT, slug, course / "submitted" / learner / slug, answers)
    # The first puzzle from cold kernels, as stock nbgrader has them; warm ones give the same marks (see below).
    warmly = [f"--Execute.kernel_name={warm.KERNEL}"] if slug != SLUGS[0] and LINUX else []
    said = nbgrader(course, "autograde", slug, *warmly)
    nbgrader(course, "generate_feedback", slug)
    nbgrader(course, "export")
    return course, slug, said


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
    puzzle = folders.declared(ROOT, slug)
    full = sum(part.points for part in puzzle.parts)
    expected = {
        "right": full,
        "untouched": 0,
        "one-wrong": full - first_function(slug).points,
        "noisy": full,
        "noisier": full,
    }
    marks = scores(course)
    assert marks == {learner: expected[learner] for learner in marks}
    assert {"right", "untouched", "one-wrong"} <= set(marks)


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
    assert sentence in " ".join(html.unescape(pages["one-wrong"]).split())
    assert sentence not in " ".join(html.unescape(pages["right"]).split())
    for page in pages.values():
        assert "HIDDEN" not in page
        assert "puzzle.grade" not in page.replace('<span class="n">', "").replace("</span>", "").replace(
            '<span class="o">', ""
        )


def test_nbgrader_has_nothing_to_complain_of(graded):
    _, _, said = graded
    assert not [line for line in said.splitlines() if "ERROR" in line or "Traceback" in line]


@pytest.mark.skipif(not LINUX, reason="needs fork")
def test_warm_kernels_give_the_same_marks(graded):
    """By configuration alone; with them nbgrader's command takes the time of its own imports."""
    course, slug, _ = graded
    if slug != SLUGS[0]:
        pytest.skip("the same for every puzzle")
    marks = scores(course)
    (course / "gradebook.db").unlink()
    nbgrader(course, "generate_assignment", slug, "--force")
    nbgrader(course, "autograde", slug, "--force", f"--Execute.kernel_name={warm.KERNEL}")
    nbgrader(course, "export")
    assert scores(course) == marks
