"""An instructor's week: a class of forty hands in every puzzle, and all that comes of it is held to the truth."""

import datetime
import html
import json
import os
import re
import shutil
from collections import Counter
from pathlib import Path

import nbformat
import pytest
from typer.testing import CliRunner

from mechpuzzles import demo, folders, report
from mechpuzzles.cli import app
from mechpuzzles.grading import driver, sandbox
from mechpuzzles.grading.regrade import regrade
from mechpuzzles.report.records import ABSENT, UNGRADED

from .chromium import until_formgrader_has_loaded
from .conftest import missing
from .courses import ROOT, auto_scores, check_cell
from .forking import needs_linux, own_fork_server
from .jupyter import serving
from .submissions import fragment
from .test_nbgrader import nbgrader

LEARNERS = 40
PUZZLES = {slug: folders.declared(ROOT, slug) for slug in folders.slugs(ROOT)}
COLLECTED, MARKED = "similar_embeddings", "and_or_circuits"  # by an export; in the browser
HOSTILE = "<script>document.title = 'ran'</script><img src='nowhere' onerror=\"document.title = 'ran'\">"
pytestmark = [
    needs_linux,
    pytest.mark.slow,
    pytest.mark.timeout(100 * len(PUZZLES)),  # forty submissions of each are made and graded
    pytest.mark.xdist_group("week"),
    pytest.mark.filterwarnings("default::ResourceWarning"),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The class as it was made: its course and the truth. What was handed in of one puzzle lies in an export."""
    if problem := sandbox.problem():
        missing(f"a sandbox: {problem}")
    folder = tmp_path_factory.mktemp("week") / "spring"
    done = CliRunner().invoke(app, ["course", "demo", str(folder), "--learners", str(LEARNERS)])
    assert done.exit_code == 0, done.output
    truth = json.loads((folder / demo.TRUTH).read_text())
    for learner in folder.glob("submitted/*"):
        if (learner / COLLECTED).is_dir():
            export(learner / COLLECTED, folder.with_name("export"))
            shutil.rmtree(learner / COLLECTED)
    return driver.Course(folder), truth


def export(handed_in: Path, into: Path) -> None:
    """Put a submission among others as a learning platform names it; a file's time is when it was handed in."""
    into.mkdir(exist_ok=True)
    learner, stamp = handed_in.parent.name, (handed_in / "timestamp.txt").read_text()
    time = datetime.datetime.strptime(stamp, "%Y-%m-%d %H:%M:%S.%f UTC").replace(tzinfo=datetime.UTC).timestamp()
    for path in (*handed_in.glob("*.ipynb"), *handed_in.glob("*.jsonl")):
        copy = shutil.copy(path, into / f"{learner}_{path.name}")
        os.utime(copy, (time, time))


def submissions(truth: dict) -> dict[tuple[str, str], dict]:
    """What was handed in, by learner and puzzle."""
    return {(who, slug): one for who, by_slug in truth["learners"].items() for slug, one in by_slug.items()}


@pytest.fixture(scope="module")
def collected(made):
    """The class with everything in its place, and a learner whose text is markup; who that is."""
    course, truth = made
    exported = course.root.with_name("export")
    command = ["course", "collect", COLLECTED, str(exported), "--course", str(course.root), "--json"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    lines = json.loads(done.stdout)
    there = {who for who, slug in submissions(truth) if slug == COLLECTED}
    assert {line["learner"] for line in lines if line["status"] == "collected"} == there
    assert {line["learner"] for line in lines if line["status"] == "missing"} == set(truth["learners"]) - there
    assert len(lines) == LEARNERS

    marked = {who: one for (who, slug), one in submissions(truth).items() if slug == MARKED and one["manual"]}
    hostile = next(who for who, one in marked.items() if any(p["symptom"] for p in one["parts"].values()))
    [path] = (course.root / "submitted" / hostile / MARKED).glob("*.ipynb")
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        cell.source += HOSTILE if cell.id in marked[hostile]["manual"] else ""
    nbformat.write(notebook, path)
    return hostile


@pytest.fixture(scope="module")
def graded(made, collected, tmp_path_factory):
    """The class graded, with the rows that were printed; the report as it is while texts wait."""
    course, _ = made
    with own_fork_server(tmp_path_factory.mktemp("fork")):
        rows = driver.grade(course, None, driver.Settings(workers=2))
        yield rows, report.document(course)


def test_every_submission_gets_its_true_mark(made, graded):
    course, truth = made
    rows, _ = graded
    true = {where: (one["status"], one["score"]) for where, one in submissions(truth).items()}
    assert len(true) > 0.9 * LEARNERS * len(PUZZLES)
    assert {(row.learner, row.puzzle): (row.status, row.score) for row in rows} == true
    assert len(rows) == len(true)
    marks = auto_scores(course)
    for (who, slug), one in submissions(truth).items():
        for part in PUZZLES[slug].parts if one["parts"] else ():
            right = one["parts"][part.name]["outcome"] == "right"
            assert marks[who, slug, check_cell(part.name)] == (part.points if right else 0)


def test_grading_again_grades_nothing(made, graded):
    course, _ = made
    before = {path: path.stat().st_mtime_ns for path in course.root.glob("autograded/*/*/*.ipynb")}
    rows = driver.grade(course, None, driver.Settings(workers=2))
    assert sorted(row.data().items() for row in rows) == sorted(row.data().items() for row in graded[0])
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_the_report_says_what_waits(made, graded):
    _, truth = made
    waits = graded[1]["waits"]
    texts = Counter((slug, cell) for (_, slug), one in submissions(truth).items() for cell in one["manual"])
    assert {(one["puzzle"], one["text"]): one["learners"] for one in waits["texts"]} == texts
    rejected = {where for where, one in submissions(truth).items() if one["status"] == "rejected"}
    assert {(one["learner"], one["puzzle"]) for one in waits["submissions"]} == rejected
    assert all(one["status"] == "rejected" and one["message"] for one in waits["submissions"])


# By a person ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def marked(made, collected, graded, browser):
    """The texts marked: one in the formgrader by its rubric, the others as the truth says; what its page showed."""
    course, truth = made
    with course.book() as book:
        page_id = book.find_submission_notebook(MARKED, MARKED, collected).id
    text = PUZZLES[MARKED].free_text[0]
    cell = f"free-text-{text.name}".replace("_", "-")
    settings = {"JUPYTER_CONFIG_DIR": str(course.root / "config")}
    with serving(course.root.with_name("log"), course.root, "jupyter_server", **settings) as address:
        page = browser.new_page()
        page.goto(f"{address}/formgrader/submissions/{page_id}/")
        until_formgrader_has_loaded(page)
        shown = {
            "title": page.title(),
            "scheme": " ".join(page.locator(f".cell:has(#{cell}) ~ details.scheme").first.inner_text().split()),
            "says": [" ".join(one.split()) for one in page.locator(".says").all_inner_texts()],
            "text": page.locator(f".cell:has(#{cell})").inner_text(),
        }
        page.locator(f"#{cell}").fill(str(truth["learners"][collected][MARKED]["manual"][cell]))
        with page.expect_response(lambda answer: "/api/grade/" in answer.url and answer.request.method == "PUT"):
            page.locator(f"#{cell}").press("Tab")
        page.close()
    with course.book() as book:
        entered = book.find_grade(cell, MARKED, MARKED, collected)
        shown["entered"] = entered.manual_score, entered.needs_manual_grade
    demo.give_manual_marks(course, truth)
    return shown


def test_a_person_marks_by_the_rubric_and_sees_the_symptoms(made, collected, marked):
    _, truth = made
    one, puzzle = truth["learners"][collected][MARKED], PUZZLES[MARKED]
    assert marked["entered"] == (next(iter(one["manual"].values())), False)
    for point in puzzle.free_text[0].rubric:
        assert " ".join(point.split()) in marked["scheme"]
    for part in puzzle.parts:
        if symptom := one["parts"][part.name]["symptom"]:
            says = next(each.says for each in part.symptoms if each.name == symptom)
            assert any(fragment(says) in said for said in marked["says"])
    assert marked["title"] != "ran"
    assert "<script>" in marked["text"]


def test_feedback_has_sentence_and_hint_and_no_hidden_test(made, marked):
    course, truth = made
    nbgrader(course.root, f"generate_feedback {MARKED}")
    pages = {path.parts[-3]: path.read_text() for path in course.root.glob(f"feedback/*/{MARKED}/*.html")}
    handed_in = {who: one for (who, slug), one in submissions(truth).items() if slug == MARKED}
    assert set(pages) == set(handed_in)
    for who, page in pages.items():
        words = " ".join(html.unescape(re.sub("<[^>]*>", "", page)).split())
        if handed_in[who]["status"] == "rejected":
            assert "Nothing is marked yet" in words
            continue
        assert "HIDDEN" not in words
        assert "puzzle.grade" not in words
        for part in PUZZLES[MARKED].parts:
            found, hint = handed_in[who]["parts"][part.name], " ".join(f"A hint: {part.hints[0]}".split())
            assert (hint in words) == (found["outcome"] != "right")
            if found["symptom"]:
                says = next((one.says for one in part.symptoms if one.name == found["symptom"]), "")
                assert fragment(says) in words


def test_to_grade_a_puzzle_anew_changes_no_mark(made, marked):
    course, truth = made
    regrading = regrade(course, MARKED, driver.Settings(workers=2))
    assert regrading.changes == []
    rows = {row.learner: row for row in regrading.enter()}
    for (who, slug), one in submissions(truth).items():
        if slug == MARKED and one["status"] == "needs_manual":
            assert (rows[who].status, rows[who].score) == ("graded", one["score"] + sum(one["manual"].values()))


# The report ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def found(made, marked) -> dict:
    """What the report says when everything is marked."""
    return report.document(made[0])


def test_every_mark_in_the_report_is_the_true_one(made, found):
    _, truth = made
    assert {row["learner"] for row in found["learners"]} == set(truth["learners"])
    for row in found["learners"]:
        handed_in = truth["learners"][row["learner"]]
        points = sum((one["score"] or 0) + sum(one["manual"].values()) for one in handed_in.values())
        assert (row["points"], row["handed_in"]) == (points, len(handed_in))
        for puzzle in PUZZLES.values():
            for part in puzzle.parts:
                one, entry = handed_in.get(puzzle.slug), row["parts"][puzzle.slug][part.name]
                true = (one["parts"] or {}).get(part.name) if one else None
                outcome = true["outcome"] if true else UNGRADED if one else ABSENT
                points = None if true is None else part.points if outcome == "right" else 0
                assert (entry["outcome"], entry["symptom"], entry["points"]) == (
                    outcome,
                    true["symptom"] if true else None,
                    points,
                )
                log = (one or {}).get("journal")
                assert entry["hints"] == (None if log is None or entry["hints"] is None else log["hints"][part.name])


def test_every_symptom_is_counted_as_often_as_it_is_there(made, found):
    _, truth = made
    assert [puzzle["slug"] for puzzle in found["puzzles"]] == list(PUZZLES)
    for puzzle in found["puzzles"]:
        handed_in = [one for (_, slug), one in submissions(truth).items() if slug == puzzle["slug"]]
        assert puzzle["handed_in"] == len(handed_in)
        for part in puzzle["parts"]:
            true = [one["parts"][part["name"]] for one in handed_in if one["parts"]]
            symptoms = Counter(one["symptom"] for one in true if one["outcome"] == "wrong")
            assert {one["name"]: one["learners"] for one in part["symptoms"]} == symptoms
            outcomes = Counter(one["outcome"] for one in true)
            outcomes |= {UNGRADED: len(handed_in) - len(true), ABSENT: LEARNERS - len(handed_in)}
            assert part["outcomes"] == {outcome: outcomes[outcome] for outcome in part["outcomes"]}
            assert part["rate"] == outcomes["right"] / len(true)
    assert sum(len(part["symptoms"]) for puzzle in found["puzzles"] for part in puzzle["parts"]) > 3 * len(PUZZLES)


def test_every_guess_is_counted(made, found):
    _, truth = made
    for puzzle in found["puzzles"]:
        declared = {one.name: one for one in PUZZLES[puzzle["slug"]].predictions}
        handed_in = [one for (_, slug), one in submissions(truth).items() if slug == puzzle["slug"]]
        for entry in puzzle["predictions"]:
            prediction = declared[entry["name"]]
            guesses = [
                one["predictions"][prediction.name] for one in handed_in if prediction.name in one["predictions"]
            ]
            assert entry["guesses"] == len(guesses)
            if prediction.right is not None:
                assert entry["right"] == sum(one["value"] == prediction.right for one in guesses)
            if prediction.choices:
                counted = Counter(one["value"] for one in guesses)
                assert {bar["label"]: bar["learners"] for bar in entry["bars"]} == {
                    choice: counted[choice] for choice in prediction.choices
                }


def test_who_handed_in_anothers_value_is_told(made, found):
    _, truth = made
    copied = {where: one["done"] for where, one in submissions(truth).items() if "copied from" in one["done"]}
    told = {(one["learner"], one["puzzle"]): one for one in found["values"]["shared"]}
    assert told.keys() <= copied.keys()
    assert len(told) >= 3
    for where, one in told.items():
        part, owner = re.fullmatch(r"(\w+): copied from (\S+)", copied[where]).groups()
        assert one["part"] == part
        assert owner in one["owners"]


def test_what_to_teach_next_costs_the_class_most(found):
    rate = {(p["slug"], part["name"]): part for p in found["puzzles"] for part in p["parts"]}
    costs = []
    for one in found["teach"]["things"]:
        part = rate[one["puzzle"], one["part"]]
        assert one["learners"] == max(symptom["learners"] for symptom in part["symptoms"] if symptom["name"])
        costs.append(one["cost"])
    assert len(costs) == 3
    assert costs == sorted(costs, reverse=True)
    most = max(p["points"] * s["learners"] for p in rate.values() for s in p["symptoms"] if s["name"])
    assert costs[0] == most


def test_the_page_is_small_and_has_a_row_for_everybody(made, found, tmp_path):
    course, _ = made
    done = CliRunner().invoke(app, ["report", "--course", str(course.root), "--out", str(tmp_path / "report.html")])
    assert done.exit_code == 0, done.output
    page = (tmp_path / "report.html").read_text()
    assert len(page) < 5_000_000
    assert all(f">{html.escape(row['learner'])}<" in page for row in found["learners"])
