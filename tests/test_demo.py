"""A made-up class: its truth holds together, and is what the grader finds."""

import ast
import datetime
import json
import random
import shutil
from pathlib import Path

import nbformat
import pytest

from mechpuzzles import beside, checks, demo, folders, made_up, typed, variants
from mechpuzzles.course import Refused
from mechpuzzles.grading import driver, sandbox
from mechpuzzles.made_up import Bank, Value
from mechpuzzles.verdicts import Case, Outcome

from .conftest import missing
from .courses import ROOT, auto_scores, check_cell
from .forking import needs_linux, own_fork_server

SLUG = "and_or_circuits"  # has a value of each learner's own variant
SLUGS = folders.slugs(ROOT)
LEARNERS = len(demo.WAYS)  # one for each way to hand in


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "class"
    demo.make(folder, LEARNERS, [SLUG], seed=0, root=ROOT)
    return folder


@pytest.fixture(scope="module")
def truth(made) -> dict:
    return json.loads((made / demo.TRUTH).read_text())


@pytest.fixture(scope="module")
def handed_in(truth) -> dict[str, dict]:
    """The truth of each submission by learner."""
    return {learner: by_puzzle[SLUG] for learner, by_puzzle in truth["learners"].items() if by_puzzle}


def test_every_way_to_hand_in_is_there(handed_in):
    done = [one["done"] for one in handed_in.values()]
    assert len(done) == LEARNERS - demo.WAYS.count("nothing")
    for word in ("all right", "wrong: ", "untouched", ": raises", ": crash", ": left out", "copied from"):
        assert any(word in line for line in done), word
    for word in ("the file is not json", "another name", "a check is there twice"):
        assert sum(word in line for line in done) == 1, word
    assert any(one["late"] for one in handed_in.values())
    assert any(one["journal"] for one in handed_in.values())
    assert {part["outcome"] for one in handed_in.values() for part in one["parts"].values()} == {
        o.value for o in Outcome
    }


def test_a_score_is_the_points_of_what_is_right(handed_in):
    parts = folders.declared(ROOT, SLUG).parts
    for one in handed_in.values():
        if one["status"] == "rejected":
            assert (one["score"], one["parts"]) == (None, {})
            continue
        assert one["score"] == sum(part.points for part in parts if one["parts"][part.name]["outcome"] == "right")
        lost = [name for name, part in one["parts"].items() if part["outcome"] == "wrong"]
        assert "copied" in one["done"] or all(one["parts"][name]["symptom"] in one["done"] for name in lost)


def test_times_predictions_and_logs_are_as_the_truth_says(made, handed_in):
    due = demo.PLAN.due(0)
    for learner, one in handed_in.items():
        folder = made / "submitted" / learner / SLUG
        stamp = (folder / "timestamp.txt").read_text()
        time = datetime.datetime.strptime(stamp, "%Y-%m-%d %H:%M:%S.%f UTC").replace(tzinfo=datetime.UTC)
        assert one["late"] == max(0, (time - due).total_seconds())
        assert (folder / "journal.jsonl").is_file() == (one["journal"] is not None)
        if one["journal"]:
            entries = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
            checked = [entry["part"] for entry in entries if entry["kind"] == "check"]
            assert {part: checked.count(part) for part in one["journal"]["attempts"]} == one["journal"]["attempts"]
            assert all(entry["time"] < time.timestamp() for entry in entries)
        if one["status"] != "rejected":
            assert predicted(next(folder.glob("*.ipynb"))) == one["predictions"]


def predicted(path: Path) -> dict[str, dict]:
    """The predictions that a notebook holds."""
    found = {}
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code" and "puzzle.predict(" in cell.source:
            [call] = beside.called(cell.source, "predict")
            name, value, sure = (ast.literal_eval(of) for of in (*call.args, call.keywords[1].value))
            if value is not ...:
                found[name] = {"value": value, "sure": None if sure is ... else sure}
    return found


def test_the_same_numbers_make_the_same_class(tmp_path, monkeypatch):
    def init(folder: Path, people: list, slugs: list[str], *_, **__) -> None:
        """As little of a course as submissions need: making one takes seconds."""
        (folder / "solutions" / slugs[0]).mkdir(parents=True)
        shutil.copy(ROOT / "nbgrader_config.py", folder)

    monkeypatch.setattr(demo.course, "init", init)
    for name in ("one", "two"):
        demo.make(tmp_path / name / "class", 3, [SLUGS[0]], seed=5, root=ROOT)
    demo.make(tmp_path / "three" / "class", 3, [SLUGS[0]], seed=6, root=ROOT)
    one, two, three = (
        {path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name).rglob("submitted/**/*.*")}
        for name in ("one", "two", "three")
    )
    assert one == two != three


def test_a_demo_needs_new_room(made):
    with pytest.raises(Refused, match="is there already and not empty"):
        demo.make(made, 3, [SLUG], seed=0, root=ROOT)


# What is typed ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slug", SLUGS)
def test_what_is_typed_is_judged_as_the_truth_says(slug):
    """For each function a right answer and two wrong ones, run as the text they are."""
    bank, rng = Bank.of(ROOT, slug), random.Random(0)
    for part in (part for part in bank.puzzle.parts if not part.value):
        answers = [(source, Outcome.RIGHT, None) for source in bank.right[part.name][-1:]]
        answers += [(one.source, Outcome.WRONG, one.symptom) for one in rng.sample(bank.wrong[part.name], 2)]
        for source, outcome, symptom in answers:
            typed_in: dict = {}
            exec(source, typed_in)
            verdict = checks.judge(part, typed_in[part.name], [0])
            assert (verdict.outcome, verdict.symptom) == (outcome, symptom), source


@pytest.mark.parametrize("slug", SLUGS)
def test_every_part_can_be_got_wrong_alone(slug):
    bank = Bank.of(ROOT, slug)
    own = bank.values(variants.key("a secret", "ada"))
    for part in bank.puzzle.parts:
        lost = {part.name: ("", {"outcome": Outcome.NOT_ATTEMPTED.value, "symptom": None})}
        assert made_up._around(bank, own, lost, random.Random(0)), part.name
        assert part.value or bank.wrong[part.name]
        assert not part.value or bank.wrong_values(part, own[part.name])


def test_no_right_answer_uses_a_wrong_one():
    bank = Bank.of(ROOT, SLUGS[0])
    first, second = (part.name for part in bank.puzzle.parts[:2])
    bank.cells.append(("a-cell", frozenset({"between"}), frozenset({second})))
    for source in (f"def {first}(W):\n    return {second}(W)\n", f"def {first}(W):\n    return between + 1\n"):
        bank.right[first] = [source]
        lost = {second: ("", {"outcome": Outcome.NOT_ATTEMPTED.value, "symptom": None})}
        assert made_up._around(bank, {}, lost, random.Random(0)) is None
        bank.right[first].append(f"def {first}(W):\n    {second} = W\n    return {second}\n")
        assert made_up._around(bank, {}, lost, random.Random(0)).cells[typed.stub(first)] == bank.right[first][1]


def test_a_copied_value_is_wrong_unless_it_is_also_ones_own():
    bank = Bank.of(ROOT, SLUG)
    keys = [variants.key("a secret", name) for name in ("ada", "ben")]
    own, others = (bank.values(key) for key in keys)
    assert all(isinstance(value, Value) and isinstance(value.case, Case) for value in own.values())
    answered = made_up.copied(bank, own, others, "ben", random.Random(0))
    assert sum(part["outcome"] == "wrong" for part in answered.parts.values()) == 1
    again = made_up.copied(bank, own, own, "ben", random.Random(0))
    assert {part["outcome"] for part in again.parts.values()} == {"right"}


# Graded -------------------------------------------------------------------------------------------------------------


@needs_linux
@pytest.mark.slow
@pytest.mark.xdist_group("demo")
def test_the_grader_finds_what_the_truth_says(made, truth, handed_in, tmp_path):
    if problem := sandbox.problem():
        missing(f"a sandbox: {problem}")
    opened = driver.Course(made)
    with own_fork_server(tmp_path):
        rows = driver.grade(opened, None, driver.Settings(workers=2))
    assert {row.learner: (row.status, row.score) for row in rows} == {
        learner: (one["status"], one["score"]) for learner, one in handed_in.items()
    }
    for learner, one in handed_in.items():
        found = driver.notes(opened, learner, SLUG)["parts"]
        assert {part: {"outcome": of["outcome"], "symptom": of["symptom"]} for part, of in found.items()} == one[
            "parts"
        ]
    assert demo.give_manual_marks(opened, truth) == sum(len(one["manual"]) for one in handed_in.values())
    marks = auto_scores(opened)
    with opened.book() as book:
        for learner, one in handed_in.items():
            if one["status"] != "rejected":
                submission = book.find_submission(SLUG, learner)
                assert not submission.needs_manual_grade
                assert submission.score == one["score"] + sum(one["manual"].values())
                for part in folders.declared(ROOT, SLUG).parts:
                    right = one["parts"][part.name]["outcome"] == "right"
                    assert marks[learner, SLUG, check_cell(part.name)] == (part.points if right else 0)
