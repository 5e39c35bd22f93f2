"""Grading anew after a puzzle's checks were mended: whose marks change, before anything is written."""

import json
import shutil

import pytest
from typer.testing import CliRunner

from mechpuzzles.cli import app
from mechpuzzles.grading import driver, sandbox
from mechpuzzles.grading.regrade import Change, regrade

from .conftest import missing
from .courses import check_cell, grades, hand_in, make_course, right, wrong
from .forking import needs_linux, own_fork_server

pytestmark = [needs_linux, pytest.mark.xdist_group("grade")]
SLUG, TEXT = "similar_embeddings", "free-text-explanation"
ANNA, BEN, CARL = "anna", "ben", "carl"
PART = "offset_ratio"
# A grader that is too strict: it takes nothing for right.
BROKEN = ("spec=slow_offset_ratio", "spec=lambda W: slow_offset_ratio(W) + 1")


@pytest.fixture(scope="module", autouse=True)
def server(tmp_path_factory):
    if problem := sandbox.problem():
        missing(f"a sandbox: {problem}")
    with own_fork_server(tmp_path_factory.mktemp("server")) as path:
        yield path


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """A class that was graded with a broken check; by now it is mended. Anna's text was marked by a person."""
    made = make_course(tmp_path_factory.mktemp("graded") / "course", SLUG)
    mended = made / "solutions" / SLUG / "puzzle.py"
    source = mended.read_text()
    assert source.count(BROKEN[0]) == 1
    mended.write_text(source.replace(*BROKEN))
    hand_in(made, ANNA, SLUG, right(SLUG, text=True))
    hand_in(made, BEN, SLUG, wrong(SLUG, [PART]))
    hand_in(made, CARL, SLUG, right(SLUG))
    (made / "submitted" / CARL / SLUG / f"{SLUG}.ipynb").write_text("no notebook")
    driver.grade(driver.Course(made), None, driver.Settings())
    with driver.Course(made).book() as book:
        mark = book.find_grade(TEXT, SLUG, SLUG, ANNA)
        mark.manual_score, mark.needs_manual_grade = 2.5, False
        book.db.commit()
    mended.write_text(source)
    return made


@pytest.fixture
def course(graded, tmp_path):
    return shutil.copytree(graded, tmp_path / "course")


def points(course) -> dict[str, float]:
    return {learner: mark[0] for (learner, _, cell), mark in grades(course).items() if cell == check_cell(PART)}


def test_it_is_shown_first_and_written_when_wanted(course):
    before = grades(course)
    assert points(course)[ANNA] == points(course)[BEN] == 0
    regrading = regrade(driver.Course(course), SLUG, driver.Settings())
    assert regrading.changes == [Change(ANNA, check_cell(PART), 0.0, 2.0)]
    assert grades(course) == before
    rows = {row.learner: row for row in regrading.enter()}
    assert points(course)[ANNA] == 2
    assert points(course)[BEN] == 0
    assert (rows[ANNA].status, rows[ANNA].score) == ("graded", 9 + 2.5)
    assert grades(course)[ANNA, SLUG, TEXT][1:4] == (2.5, None, False)
    assert driver.notes(driver.Course(course), ANNA, SLUG)["parts"][PART] == {"outcome": "right", "symptom": None}
    assert regrade(driver.Course(course), SLUG, driver.Settings()).changes == []


def test_a_text_that_was_written_anew_waits_again(course):
    path = course / "submitted" / ANNA / SLUG / f"{SLUG}.ipynb"
    notebook = json.loads(path.read_text())
    cell = next(cell for cell in notebook["cells"] if cell["id"] == TEXT)
    cell["source"] = "I have thought again."
    path.write_text(json.dumps(notebook))
    rows = {row.learner: row for row in regrade(driver.Course(course), SLUG, driver.Settings()).enter()}
    assert rows[ANNA].status == "needs_manual"
    assert grades(course)[ANNA, SLUG, TEXT][1:4] == (2.5, None, True)


def test_the_command_asks(course):
    before = grades(course)

    def call(*more: str, answer: str = ""):
        command = ["grade", "--course", str(course), "--regrade", SLUG, *more]
        return CliRunner().invoke(app, command, input=answer)

    refused = call(answer="n\n")
    assert refused.exit_code == 1
    assert ANNA in refused.output
    assert check_cell(PART) in refused.output
    assert BEN not in refused.output
    assert grades(course) == before
    done = call("--json", "--yes")
    assert done.exit_code == 0
    assert {row["learner"]: row["score"] for row in json.loads(done.stdout)} == {ANNA: 11.5, BEN: 7}
    assert "No mark of similar_embeddings changes." in call("--yes").output
    assert call("--regrade", "nothing").exit_code == 2
