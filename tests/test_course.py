"""An instructor's course: its roster, what is in it, each learner's variants, and nbgrader's own commands on it."""

import csv
import datetime
import hashlib
import itertools
import os
import shutil
import stat
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from mechpuzzles import course, folders, roster, typed, variants
from mechpuzzles.cli_course import course_app
from mechpuzzles.grading import driver
from mechpuzzles.made_up import judged
from mechpuzzles.roster import Learner
from mechpuzzles.verdicts import PlainError

from .courses import ROOT, auto_scores, check_cell, right
from .test_nbgrader import nbgrader

SLUG, DRAWN = "similar_embeddings", "and_or_circuits"
PLAN = course.Plan(datetime.date(2026, 12, 1), 7, "Europe/Vienna")
PEOPLE = [Learner("ada", "Ada", "Lovelace", "ada@example.org", "4711"), Learner("ben k", "Benoît", "Mandel, Jr")]

# The roster ----------------------------------------------------------------------------------------------------------

TABLE = "id,first_name,last_name,email\nada,Ada,Lovelace,ada@example.org\nben k,Benoît,Mandel,\n"
READ = [Learner("ada", "Ada", "Lovelace", "ada@example.org"), Learner("ben k", "Benoît", "Mandel")]


@pytest.mark.parametrize(
    "content",
    [
        TABLE.encode(),
        TABLE.encode("utf-8-sig"),
        TABLE.replace("\n", "\r\n").encode(),
        TABLE.replace(",", ";").encode("utf-8-sig"),
        TABLE.replace(",", "\t").encode("utf-16"),
        b"sep=;\r\n" + TABLE.replace(",", ";").encode(),
        TABLE.replace("email", "email,group").replace("\nada", "\n\n , ,\nada").encode(),
        TABLE.replace("first_name", "First Name").replace("id,", " ID ,").encode(),
    ],
)
def test_a_roster_is_read_as_spreadsheets_write_it(tmp_path, content):
    (tmp_path / "roster.csv").write_bytes(content)
    assert roster.read(tmp_path / "roster.csv") == READ


def test_a_roster_is_read_in_the_encoding_that_is_said(tmp_path):
    (tmp_path / "roster.csv").write_bytes(TABLE.encode("cp1252"))
    assert roster.read(tmp_path / "roster.csv", "cp1252") == READ


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"name,mail\nada,a@b\n", "line 1: there is no column id; the columns are name, mail"),
        (b"id,id\na,b\n", "line 1: there are 2 columns id"),
        (b"id\nada\nben\nada\n", "line 4: the id 'ada' is on line 2 already"),
        (b"id\nada\nAda\n", "line 3: but for capitals, the id 'Ada' is on line 2 already"),
        (b"id,email\nada,\n,ben@b\n", "line 3: the id is empty"),
        (b"id\na*da\n", r"line 2: the id 'a\*da' cannot be the name of a folder in nbgrader: it has \*"),
        (b"id\nada\n../ben\n", "line 3: the id '../ben' begins or ends with a full stop"),
        (b"id\na/b\n", "line 2: the id 'a/b' cannot be the name of a folder in nbgrader: it has /"),
        ("id\nada\nb\u200ben\n".encode(), "line 3: the id .* has signs that do not show"),
        (b"id\n" + b"a" * 201 + b"\n", "line 2: id has 201 characters; nbgrader keeps 128"),
        (b"id\n" + "я".encode() * 120 + b"\n", "line 2: the id .* is too long for the name of a folder"),
        (b"id,last_name\nada,Love,lace\n", "line 2: 3 fields, and the first line names 2"),
        (b"last_name,id\nLovelace\n", "line 2: 1 fields, and the first line names 2"),
        (b'id,last_name\n\nada,"Lovelace\n', "line 3: unexpected end of data"),
        (TABLE.encode("cp1252"), 'line 3: this is not UTF-8. In Excel, save as "CSV UTF-8"; or say what it is'),
        ("id\nada\n".encode("utf-16-le"), "line 1: this is no text"),
        (b"PK\x03\x04 and more", "is a workbook, not a table of text"),
        (b"", "is empty; its first line names the columns: id,first_name,last_name,email"),
        (b"id,email\n", "names nobody below its first line"),
    ],
)
def test_what_is_wrong_with_a_roster_is_said(tmp_path, content, says):
    (tmp_path / "roster.csv").write_bytes(content)
    with pytest.raises(roster.BadRoster, match=rf"^roster.csv.* {says}"):
        roster.read(tmp_path / "roster.csv")


def test_every_id_that_a_roster_lets_pass_is_a_folder_for_nbgrader():
    for sign in map(chr, range(0x250)):
        if roster.unusable(f"a{sign}b") is None:
            assert driver._usable(f"a{sign}b")


# The course ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A course of a puzzle, and before it in the list one that builds on it and draws variants; only to be read."""
    folder = tmp_path_factory.mktemp("made") / "week"
    assert course.init(folder, PEOPLE, [DRAWN, SLUG], PLAN, checkout=ROOT) == []
    return folder


@pytest.fixture
def copied(made, tmp_path) -> Path:
    return shutil.copytree(made, tmp_path / "week")


def test_a_course_has_the_checkouts_configuration_puzzles_and_release(made):
    config = (made / "nbgrader_config.py").read_text()
    assert config.startswith((ROOT / "nbgrader_config.py").read_text())
    opened = driver.Course(made)
    assert opened.coursedir.course_id == "week"
    assert opened.config.Exchange.timezone == "Europe/Vienna"
    for step, slug in itertools.product(("solutions", "puzzles"), (SLUG, DRAWN)):
        there = {path.name: path.read_bytes() for path in (made / step / slug).iterdir()}
        variants_of = there.pop("variants.json", None)
        names = [path for path in (ROOT / step / slug).iterdir() if path.is_file()]
        assert there == {path.name: path.read_bytes() for path in names}
        assert (variants_of is not None) == (slug == DRAWN)
    assert not list(made.parent.glob(".*"))


def test_a_puzzle_a_week_is_due_in_the_evening_of_its_last_day(made):
    with driver.Course(made).book() as book:
        due = {assignment.name: assignment.duedate for assignment in book.assignments}
        assert [(one.id, one.last_name, one.lms_user_id) for one in book.students] == [
            ("ada", "Lovelace", "4711"),
            ("ben k", "Mandel, Jr", None),
        ]
    assert due == {SLUG: datetime.datetime(2026, 12, 7, 22, 59), DRAWN: datetime.datetime(2026, 12, 14, 22, 59)}
    with (made / "schedule.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["puzzle"] for row in rows] == [SLUG, DRAWN]
    assert (rows[1]["opens"], rows[1]["due"], rows[1]["due in UTC"]) == (
        *("2026-12-08", "2026-12-14 23:59", "2026-12-14 22:59"),
    )


def test_a_due_date_keeps_its_hour_when_the_clocks_change():
    plan = course.Plan(datetime.date(2026, 10, 20), 7, "Europe/Vienna")
    assert [plan.due(n).astimezone(datetime.UTC).hour for n in (0, 1)] == [22, 22]
    assert [plan.due(n).astimezone(datetime.UTC).hour for n in (-1,)] == [21]


def test_a_learner_finds_their_own_variant_by_their_id(made, monkeypatch):
    secret = variants.secret(made)
    if os.name == "posix":
        assert stat.S_IMODE((made / "course_secret").stat().st_mode) == 0o600
    assert secret not in (made / "puzzles" / DRAWN / "variants.json").read_text()
    monkeypatch.chdir(made / "puzzles" / DRAWN)
    puzzle = folders.declared(ROOT, DRAWN)
    seeds = {}
    for learner in ("ada", "ben k"):
        puzzle.variant(learner)
        seeds[learner] = puzzle._session.variant_seed
        assert seeds[learner] == variants.seed(DRAWN, variants.key(secret, learner))
    assert seeds["ada"] != seeds["ben k"]
    with pytest.raises(PlainError, match="'Ada' is not on the roster of week"):
        puzzle.variant("Ada")


@pytest.mark.slow
def test_nbgraders_own_commands_run(copied):
    """With the learner's own variant: the file that lies beside the source is put beside the submission."""
    key = variants.key(variants.secret(copied), "ada")
    parts = [part for part in folders.declared(ROOT, DRAWN).parts if part.value]
    answers = right(DRAWN)
    for part in parts:
        value = typed.right_value(part, typed.own_case(part, variants.seed(DRAWN, key)))
        answers[typed.stub(part.name)] = f"{typed.variable(ROOT, DRAWN, part)} = {typed.literal(value)}"
    release = typed.filled(ROOT, DRAWN, {})
    drawing = next(cell for cell in release.cells if "puzzle.variant(" in cell.source)
    answers[drawing.id] = drawing.source.replace("your name or id", "ada")
    typed.submit(ROOT, DRAWN, copied / "submitted" / "ada" / DRAWN, answers)
    (copied / "submitted" / "ada" / DRAWN / "timestamp.txt").write_text("2026-12-15 00:00:00.000000 CET")
    said = nbgrader(copied, f"autograde {DRAWN}", f"generate_feedback {DRAWN}", "db assignment list")
    assert "is 60.0 seconds late" in said
    assert (copied / "feedback" / "ada" / DRAWN / f"{DRAWN}.html").is_file()
    assert auto_scores(copied) == {
        ("ada", DRAWN, check_cell(part.name)): part.points for part in folders.declared(ROOT, DRAWN).parts
    } | {("ada", DRAWN, f"free-text-{text.name}"): 0 for text in folders.declared(ROOT, DRAWN).free_text}


def test_a_course_is_never_written_over(copied):
    before = {path: path.read_bytes() for path in copied.rglob("*") if path.is_file()}
    with pytest.raises(course.Refused, match="is there already and not empty"):
        course.init(copied, PEOPLE[:1], [SLUG], PLAN, checkout=ROOT)
    assert {path: path.read_bytes() for path in copied.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_nothing_is_left_of_a_course_that_could_not_be_finished(tmp_path, monkeypatch, error):
    def stop(*_):
        raise error

    monkeypatch.setattr(course, "_release", stop)
    stopped_before = tmp_path / ".week.half-made" / "solutions"
    stopped_before.mkdir(parents=True)
    with pytest.raises(error):
        course.init(tmp_path / "week", PEOPLE, [SLUG], PLAN, checkout=ROOT)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"wanted": [SLUG, "nothing"]}, "no puzzle 'nothing'; there are"),
        ({"wanted": []}, "a course has at least one puzzle"),
        ({"course_id": "../up"}, "a course id is letters"),
        ({"plan": {"timezone": "Vienna"}}, "there is no time zone 'Vienna'"),
        ({"plan": {"every": 0}}, "every 0 days is no plan"),
    ],
)
def test_what_no_course_can_be_made_of_is_said(tmp_path, change, says):
    def init(plan: dict[str, Any] | None = None, **others: Any) -> None:
        told = {"learners": PEOPLE, "wanted": [SLUG], "checkout": ROOT, **others}
        course.init(tmp_path / "week", plan=course.Plan(PLAN.start, **plan or {}), **told)

    with pytest.raises(course.Refused, match=says):
        init(**change)
    assert list(tmp_path.iterdir()) == []


BUILDING = next(slug for slug in folders.slugs(ROOT) if folders.declared(ROOT, slug).after)


def test_prerequisites_come_first_and_one_that_is_not_chosen_is_a_warning(tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(course, "_make", lambda folder, root, slugs, *_: made.append(slugs))
    after = [*folders.declared(ROOT, BUILDING).after]
    said = course.init(tmp_path / "without", PEOPLE, [BUILDING], PLAN, checkout=ROOT)
    assert said == [f"{BUILDING} builds on {' and '.join(after)}, which this course does not have."]
    assert not any(BUILDING in line for line in course.init(tmp_path / "with", PEOPLE, [BUILDING, *after], PLAN))
    assert made == [[BUILDING], [slug for slug in folders.slugs(ROOT) if slug in after] + [BUILDING]]


# Later ---------------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")  # nbgrader's, at a learner's first submission
def test_learners_are_added_and_nobody_is_removed(copied):
    opened = driver.Course(copied)
    with opened.book() as book:
        book.update_or_create_submission(SLUG, "ada")
    before = (copied / "puzzles" / DRAWN / "variants.json").read_text()
    cleo = Learner("cleo", "Cleo", "Of Alexandria")
    done = course.enrol(opened, [cleo, Learner("ada", "Ada", "King")])
    assert done == course.Enrolled(new=["cleo"], changed=["ada"], not_named=["ben k"])
    kept = {one.id: one for one in course.on_roster(opened)}
    assert kept["ada"] == Learner("ada", "Ada", "King", "ada@example.org", "4711")  # an empty field changes nothing
    assert kept.keys() == {"ada", "ben k", "cleo"}
    with opened.book() as book:
        assert book.find_submission(SLUG, "ada")
    for step in ("solutions", "puzzles"):
        after = (copied / step / DRAWN / "variants.json").read_text()
        assert variants.key(opened.secret, "cleo") in after
        assert all(line.strip(",") in after for line in before.splitlines()[2:-2])
    assert course.enrol(opened, [cleo]) == course.Enrolled([], [], ["ada", "ben k"])
    with pytest.raises(course.Refused, match="'Cleo' differs only by capitals from 'cleo'"):
        course.enrol(opened, [Learner("Cleo")])


def test_a_folder_that_is_no_such_course_is_refused(tmp_path):
    with pytest.raises(course.Refused, match="is no course that `mechpuzzles course init` made"):
        course.enrol(driver.Course(tmp_path), PEOPLE)
    assert list(tmp_path.iterdir()) == []


def test_the_commands_say_what_is_wrong_and_what_was_done(copied, tmp_path):
    (tmp_path / "roster.csv").write_text("id\ncleo\n")
    (tmp_path / "bad.csv").write_text("name\ncleo\n")
    call = CliRunner().invoke
    done = call(course_app, ["roster", str(copied), str(tmp_path / "roster.csv")])
    assert done.exit_code == 0, done.output
    assert "1 new, 0 changed" in done.stdout
    assert "Hand out variants.json again" in done.stdout
    new = ["--roster", str(tmp_path / "bad.csv"), "--puzzles", SLUG, "--start", "2026-12-01"]
    for folder in (copied, tmp_path / "other"):
        refused = call(course_app, ["init", str(folder), *new])
        assert (refused.exit_code, refused.stdout) == (2, "")
        assert "bad.csv, line 1: there is no column id; the columns are name" in refused.stderr
    assert call(course_app, ["init", str(copied), *new[2:], "--roster", str(tmp_path / "roster.csv")]).exit_code == 2
    assert not (tmp_path / "other").exists()


# Variants ------------------------------------------------------------------------------------------------------------

KEYS = [variants.key("a secret", f"learner {number}") for number in range(1000)]
LARGE, FEWER = 50_000, 200  # numbers in a variant above which fewer are drawn: that takes ten milliseconds each
SAME = 50  # draws with one truth, after which there is no other
VALUES = [
    (slug, part.name)
    for slug in folders.slugs(ROOT)
    for part in folders.declared(ROOT, slug).parts
    if part.value and folders.declared(ROOT, slug).draw is not None
]


def inside(drawn: Any) -> list[Any]:
    """All tensors, numbers and words that a drawn thing holds, in order."""
    if isinstance(drawn, torch.Tensor | int | float | str):
        return [drawn]
    if isinstance(drawn, list | tuple):
        return [one for thing in drawn for one in inside(thing)]
    named = drawn if isinstance(drawn, dict) else vars(drawn)
    return [one for _, thing in sorted(named.items()) for one in inside(thing)]


def fingerprint(drawn: Any) -> bytes:
    digest = hashlib.sha256()
    for one in inside(drawn):
        digest.update(one.contiguous().numpy().tobytes() if isinstance(one, torch.Tensor) else repr(one).encode())
    return digest.digest()


def size(drawn: Any) -> str:
    """How large the task is: how many things of which shapes."""
    return repr([tuple(one.shape) if isinstance(one, torch.Tensor) else type(one) for one in inside(drawn)])


@pytest.mark.parametrize(("slug", "name"), VALUES)
def test_all_variants_are_different_and_as_hard(slug, name, record_property):
    """Each has a truth of the same size, which is judged right, and so is what the authors' own ways find."""
    part = folders.declared(ROOT, slug).part(name)
    ways = [a.answer for a in folders.authors(ROOT, slug).ALTERNATIVES if a.part == name]
    first = typed.own_case(part, variants.seed(slug, KEYS[0]))
    large = sum(one.numel() for one in inside(first.inputs) if isinstance(one, torch.Tensor)) > LARGE
    keys = KEYS[:FEWER] if large else KEYS
    truths, sizes, drawn = Counter(), set(), set()
    for number, key in enumerate(keys):
        if number == SAME and len(truths) == 1:  # the part asks all learners the same
            break
        case = typed.own_case(part, variants.seed(slug, key))
        want = typed.right_value(part, case)
        truths[typed.literal(want)] += 1
        sizes.add(size([case.inputs, want]))
        drawn.add(fingerprint(case.inputs))
        found = [want] if number % 50 else [want, ways[number // 50 % len(ways)](*case.inputs)]
        assert all(judged(part, case, answer) == ("right", None) for answer in found), key
    assert len(sizes) == 1
    agree = sum(n * (n - 1) for n in truths.values()) / (truths.total() * (truths.total() - 1))
    record_property("share of pairs with one truth", agree)
    print(f"{slug}, {name}: {agree:.2%} of pairs share their truth")
    if len(truths) > 1:
        assert len(drawn) == len(keys)
        assert agree < 0.3


def test_every_puzzle_that_draws_asks_about_the_variant():
    drawing = {slug for slug in folders.slugs(ROOT) if folders.declared(ROOT, slug).draw is not None}
    for slug in drawing:
        parts = [folders.declared(ROOT, slug).part(name) for which, name in VALUES if which == slug]
        cases = [[typed.own_case(part, variants.seed(slug, key)) for part in parts] for key in KEYS[:20]]
        truths = {typed.literal([typed.right_value(*of) for of in zip(parts, case, strict=True)]) for case in cases}
        assert len(truths) > 1, slug
