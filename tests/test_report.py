"""`mechpuzzles report`: what is known of a class, its page and its table. Nothing here is graded."""

import csv
import io
import json
import math
import random
import statistics
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
import sqlalchemy
import torch
import typer
from nbgrader.api import Student
from typer.testing import CliRunner

from mechpuzzles import folders, report, variants
from mechpuzzles.cli_report import report_command
from mechpuzzles.grading import driver
from mechpuzzles.report import classes, contents, rates, records, values

from .classes import MadeClass
from .courses import ROOT

TOYS = {
    "first": """
from mechpuzzles.puzzle import Case, FreeText, Part, Prediction, Puzzle, Symptom

def same(name, says):
    return Symptom(name, lambda *all: False, says)

def part(name, points, *symptoms):
    return Part(name, ("n",), "", points, lambda rng: [], None, symptoms, ("?",), "Yes.")

PUZZLE = Puzzle(
    slug="first", title="First things", question="Is it?", principle="It was first.", minutes=5, models=(),
    parts=(
        part("centre", 2, same("diagonal", "The diagonal is kept: {n} ones are in `W < 0`."),
             same("doubled", "It is twice as much, in all {batch} windows.")),
        part("spread", 3, same("slow", "Right, but on {n} rows {broke}.")),
    ),
    free_text=(FreeText("why", 1, ("a reason",)),),
    predictions=(
        Prediction("the story", choices=("size", "sign"), right="sign"),
        Prediction("share", between=(0, 1)),
        Prediction("open", choices=("a", "b")),
    ),
)
""",
    "second": """
import torch
from mechpuzzles.puzzle import Case, Part, Puzzle

def draw(rng):
    return torch.randint(5, (6,), generator=rng)

def labels(rng):
    return [Case((), want=[f"kind {n}" for n in draw(rng).tolist()])]

def some(name, cases, returns, kind):
    return Part(name, (), returns, 1, cases, None, (), ("?",), "Yes.", kind=kind, value=True)

PUZZLE = Puzzle(
    slug="second", title="Second things", question="Is it?", principle="It was second.", minutes=5, models=(),
    after=("first",), draw=draw,
    parts=(
        some("labelling", labels, "head", "label"),
        some("largest", lambda rng: [Case((), want=int(draw(rng).max()))], "", "integer"),
        some("mean", lambda rng: [Case((), want=torch.rand(3, generator=rng))], "d", "real"),
    ),
)
""",
}
RIGHT, RAISED, BLANK = ({"outcome": outcome, "symptom": None} for outcome in ("right", "raised", "not attempted"))


def wrong(symptom=None, **more):
    return {"outcome": "wrong", "symptom": symptom, **more}


@pytest.fixture(scope="module")
def origin(tmp_path_factory):
    """A checkout with the toy puzzles."""
    folder = tmp_path_factory.mktemp("origin")
    for slug, source in TOYS.items():
        (folder / "solutions" / slug).mkdir(parents=True)
        (folder / "solutions" / slug / "puzzle.py").write_text(source)
    return folder


@pytest.fixture
def made(tmp_path, origin):
    return MadeClass(tmp_path / "course", origin, TOYS)


def of_first(made, outcomes, **more):
    """Learners who handed in the first puzzle, with what came of its two parts."""
    for learner, (centre, spread) in outcomes.items():
        made.learner(learner)
        made.hand_in(learner, "first", {"centre": centre, "spread": spread}, **more)


def part_of(known, name, puzzle=0):
    return next(part for part in known["puzzles"][puzzle]["parts"] if part["name"] == name)


# Parts ------------------------------------------------------------------------------------------------------------


def test_a_part_says_how_many_were_right_and_what_was_wrong(made):
    of_first(
        made,
        {
            **{f"kept {n}": (wrong("diagonal"), RIGHT) for n in range(3)},
            "twice": (wrong("doubled"), RIGHT),
            "odd": (wrong(), RAISED),
            "good": (RIGHT, RIGHT),
            "new": (BLANK, BLANK),
        },
    )
    made.learner("absent")
    made.hand_in("good", "second", None, status="rejected", message="It is empty.")
    known = report.document(made.enter())
    centre = part_of(known, "centre")
    assert centre["outcomes"] == {
        "right": 1,
        "wrong": 5,
        "raised": 0,
        "not attempted": 1,
        "ungraded": 0,
        "not handed in": 1,
    }
    assert (centre["graded"], centre["right"], centre["rate"]) == (7, 1, 1 / 7)
    assert [(one["name"], one["learners"], one["sentence"]) for one in centre["symptoms"]] == [
        ("diagonal", 3, "The diagonal is kept: n ones are in `W < 0`."),
        ("doubled", 1, "It is twice as much, in all N windows."),
        (None, 1, "Wrong in a way that no symptom describes."),
    ]
    assert part_of(known, "labelling", 1)["outcomes"]["ungraded"] == 1
    assert part_of(known, "labelling", 1)["rate"] is None
    assert [puzzle["slug"] for puzzle in known["puzzles"]] == ["first", "second"]


@pytest.mark.parametrize(("right", "of"), [(0, 5), (3, 5), (5, 5), (14, 40), (1999, 2000)])
def test_the_interval_ends_where_the_share_would_be_too_far(right, of):
    low, high = rates.wilson(right, of)
    for end in (low, high):
        if 0 < end < 1:
            assert abs(right / of - end) == pytest.approx(1.959964 * math.sqrt(end * (1 - end) / of))
    assert 0 <= low <= right / of <= high <= 1
    assert (low == 0, high == 1) == (right == 0, right == of)


def test_discrimination_is_the_point_biserial_correlation():
    rng = random.Random(0)
    right = [rng.random() < 0.6 for _ in range(50)]
    rest = [rng.random() + 0.5 * one for one in right]
    share, spread = statistics.fmean(right), statistics.pstdev(rest)
    means = [statistics.fmean(r for r, one in zip(rest, right, strict=True) if one == which) for which in (True, False)]
    by_hand = (means[0] - means[1]) / spread * math.sqrt(share * (1 - share))
    assert rates.discrimination(right, rest) == pytest.approx(by_hand)
    assert rates.discrimination(right[:19], rest[:19]) is None
    assert rates.discrimination([True] * 50, rest) is None
    assert rates.discrimination(right, [1.0] * 50) is None


def test_discrimination_leaves_out_the_part_itself(made):
    """Whoever has one part right has the other one wrong: with itself in the total, the dearer one would look good."""
    of_first(made, {f"{n}": (RIGHT, wrong()) if n % 2 else (wrong(), RIGHT) for n in range(20)})
    known = report.document(made.enter())
    assert part_of(known, "spread")["discrimination"] == pytest.approx(-1)


def test_points_are_those_of_the_gradebook(made):
    of_first(made, {"late": (RIGHT, RIGHT)}, penalty=1.5, text=0.5)
    of_first(made, {"good": (RIGHT, RIGHT)}, text=1.0)
    of_first(made, {"one": (RIGHT, wrong())})
    known = report.document(made.enter())
    assert [(row["learner"], row["points"]) for row in known["learners"]] == [("good", 6), ("late", 4), ("one", 2)]
    assert {row["max_points"] for row in known["learners"]} == {6}


# Graded by nbgrader alone -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("slug", folders.slugs(ROOT))
def test_every_symptom_is_known_by_its_sentence(slug):
    for part in folders.declared(ROOT, slug).parts:
        for symptom in part.symptoms:
            named = dict.fromkeys(classes.sizes(symptom.says), "1,234")
            says = symptom.says.format(**named | {"broke": "it needs more than 20 MB"})
            text = f"{part.name}: not yet. {says} Shape: got [2, 3], wanted [n=3, d=4]."
            found = classes.recognised(part, " ".join(text.split()))
            assert found == ("wrong", symptom.name)
        assert classes.recognised(part, f"{part.name}: not attempted yet. Cells below") == ("not attempted", None)
        raised = f"{part.name}: your code raised NameError: name 'x' is not defined"
        assert classes.recognised(part, raised) == ("raised", None)
        assert classes.recognised(part, f"{part.name}: not yet. The shape is not the one.") == ("wrong", None)


def test_what_nbgrader_graded_is_read_from_marks_and_outputs(made):
    said = {
        "kept": "centre: not yet. The diagonal is kept: 1,024 ones are\n  in `W < 0`.\n  Shape: got [3], wanted [n=3].",
        "new": "centre: not attempted yet. Cells below may wait for it.",
        "odd": "another error",
    }
    for learner, text in said.items():
        of_first(made, {learner: (wrong(), RIGHT)}, note=False)
        cell = nbformat.v4.new_code_cell("puzzle.check('centre', centre)", metadata={"nbgrader": {}})
        cell.metadata.nbgrader["grade_id"] = "check-centre"
        cell.outputs = [nbformat.v4.new_output("error", ename="NotYet", evalue=text, traceback=[])]
        path = made.root / "autograded" / learner / "first" / "first.ipynb"
        nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    known = report.document(made.enter())
    found = {row["learner"]: row["parts"]["first"] for row in known["learners"]}
    assert {learner: (of["centre"]["outcome"], of["centre"]["symptom"]) for learner, of in found.items()} == {
        "kept": ("wrong", "diagonal"),
        "new": ("not attempted", None),
        "odd": ("wrong", None),
    }
    assert {of["spread"]["outcome"] for of in found.values()} == {"right"}


# Predictions ------------------------------------------------------------------------------------------------------


def guessed(made, *cells, log=()):
    """What is kept of one learner's guesses."""
    of_first(made, {"ada": (RIGHT, RIGHT)})
    made.write("ada", "first", *cells, log=log)
    return classes.read(made.enter()).works["ada", "first"].guesses


@pytest.mark.parametrize(
    ("source", "kept"),
    [
        ('puzzle.predict("share", 0.3, because="so", sure=0.7)', {"share": (0.3, 0.7)}),
        ('puzzle.predict(\n    name="share",\n    value=0.3,\n)', {"share": (0.3, None)}),
        ('puzzle.predict("share", 0.3, "so", 1)', {"share": (0.3, 1)}),
        ('puzzle.predict("share", 0.3)\npuzzle.predict("share", 0.4, sure=...)', {"share": (0.4, None)}),
        ('puzzle.predict("the story", "sign")', {"the story": ("sign", None)}),
        ('puzzle.predict("the story", ..., because="", sure=...)', {}),
        ('puzzle.predict("the story", "colour")', {}),
        ('puzzle.predict("share", 1.5)', {}),
        ('puzzle.predict("share", 0.3, sure=7)', {}),
        ('puzzle.predict("share", open("/etc/passwd").read())', {}),
        ('puzzle.predict("share", [0.3])', {}),
        ('puzzle.predict("share", True)', {}),
        ('puzzle.predict("share", 1' + "0" * 400 + ")", {}),
        ('puzzle.predict("no such", 0.3)', {}),
        ('other.predict("share", 0.3)\npuzzle.predict("the story", "size")', {"the story": ("size", None)}),
        ('print("puzzle.predict(\\"share\\", 0.3)")', {}),
        ('puzzle.predict("share", 0.3', {}),
        ('puzzle.predict("share", ' + "(" * 3000 + ")" * 1000, {}),
        ('puzzle.predict("share", 0.3)\n' + "x = 1\n" * 5000, {}),
    ],
)
def test_guesses_are_read_and_never_run(made, source, kept):
    assert guessed(made, "x = 1", source, "y = 2") == kept


def test_a_notebook_that_is_none_has_no_guesses(made):
    of_first(made, dict.fromkeys(("ada", "ben", "eve"), (RIGHT, RIGHT)))
    made.write("ada", "first").write_bytes(b'\xff{"source": ["puzzle.predict(')
    hers = made.write("eve", "first", 'puzzle.predict("share", 0.3)')
    (his := made.write("ben", "first")).unlink()
    his.symlink_to(hers)
    works = classes.read(made.enter()).works
    assert {learner: len(work.guesses) for (learner, _), work in works.items()} == {"ada": 0, "ben": 0, "eve": 1}


def test_the_class_is_held_against_the_truth(made):
    guesses = {"a": ("sign", 0.2, 0.9), "b": ("size", 0.55, 0.5), "c": ("size", 0.62, 0.7), "d": ("size", 1, None)}
    for learner, (story, share, sure) in guesses.items():
        of_first(made, {learner: (RIGHT, RIGHT)})
        found = {"a": 0.6, "b": 0.6, "c": 0.9}.get(learner)
        log = [{"time": 5, "kind": "found", "name": "share", "value": value} for value in (9, found)]
        said = f'puzzle.predict("the story", "{story}", sure={sure})', f'puzzle.predict("share", {share})'
        made.write(learner, "first", *said, log=log if found else ())
    story, share, unknown = report.document(made.enter())["puzzles"][0]["predictions"]
    assert story["bars"] == [
        {"label": "size", "learners": 3, "right": False},
        {"label": "sign", "learners": 1, "right": True},
    ]
    assert (story["source"], story["guesses"], story["right"], story["share"]) == ("puzzle", 4, 1, 0.25)
    assert story["sure"] == pytest.approx(0.7)
    assert (share["truth"], share["source"], share["right"]) == (0.6, "logs", 2)
    assert [bar["learners"] for bar in share["bars"]] == [0, 0, 1, 0, 0, 1, 1, 0, 0, 1]
    assert [bar["label"] for bar in share["bars"] if bar["right"]] == ["0.6 to 0.7"]
    assert (unknown["truth"], unknown["source"], unknown["right"], unknown["share"]) == (None, None, None, None)


# Logs -------------------------------------------------------------------------------------------------------------


def event(time, kind="check", part="centre", outcome="wrong", **more):
    return {"time": time, "kind": kind, "part": part, **({"outcome": outcome} if kind == "check" else {}), **more}


def test_a_shared_log_tells_of_attempts_minutes_and_hints(made):
    of_first(made, {"ada": (RIGHT, wrong())})
    log = [
        event(0, outcome="not attempted"),
        event(60),
        event(120, "hint"),
        event(180, outcome="raised"),
        event(100_000, outcome="right"),
        *(event(100_060), event(100_060, "hint")),  # after it was right
        *(event(100_120, part="spread"), event(100_180, part="elsewhere")),
        *(event("now"), event(float("nan")), {"part": ["spread"], "time": 100_180}),
        event(100_240, part="spread", puzzle="second", because="first"),
    ]
    folder = made.write("ada", "first", log=log).parent
    with (folder / "journal.jsonl").open("a") as file:
        file.write('{"puzzle": "first"\n[1, 2]\n' + '{"puzzle": "first", "x":' + "[" * 5000 + "\n")
    effort = classes.read(made.enter()).works["ada", "first"].efforts
    assert effort["centre"] == records.Effort(attempts=3, minutes=13.0, hints=1, wrong_in_a_row=1)
    assert effort["spread"].attempts == 1


def test_without_a_log_there_is_nothing_to_tell(made):
    of_first(made, {"ada": (RIGHT, RIGHT)})
    made.write("ada", "first")
    known = report.document(made.enter())
    assert part_of(known, "centre")["log"] is None
    assert known["learners"][0]["parts"]["first"]["centre"]["attempts"] is None


# What follows -----------------------------------------------------------------------------------------------------


def test_the_stuck_come_by_how_far_they_are_behind(made):
    done = {"labelling": RIGHT, "largest": RIGHT, "mean": wrong()}
    of_first(made, {"nothing": (wrong("diagonal"), BLANK), "half": (RIGHT, RAISED), "hard": (wrong(), RIGHT)})
    of_first(made, {f"done {n}": (RIGHT, RIGHT) for n in range(4)})
    for learner in ("hard", *(f"done {n}" for n in range(4))):
        made.hand_in(learner, "second", done)
    made.write("hard", "first", log=[event(n) for n in range(3)])
    made.write("done 1", "second", log=[event(n, part="mean") for n in range(2)])
    made.write("done 2", "first", log=[event(n) for n in range(3)])  # and then it was right after all
    rows = report.document(made.enter())["stuck"]
    assert [(row["learner"], row["part"], row["outcome"], row["behind"]) for row in rows] == [
        ("nothing", "centre", "wrong", 4),
        ("half", "spread", "raised", 3),
        ("hard", "centre", "wrong", 0),
    ]
    assert rows[0]["sentence"] == "The diagonal is kept: n ones are in `W < 0`."
    assert rows[2]["attempts"] == 3


def test_what_to_teach_is_common_and_costs_most(made):
    of_first(made, {f"a{n}": (wrong("diagonal"), wrong("slow")) for n in range(3)})
    of_first(made, {f"b{n}": (wrong("doubled"), RIGHT) for n in range(2)})
    of_first(made, {"c": (wrong(), RIGHT)})
    things = report.document(made.enter())["teach"]["things"]
    assert [(one["part"], one["symptom"], one["learners"], one["cost"]) for one in things] == [
        ("spread", "slow", 3, 9),
        ("centre", "diagonal", 3, 6),
    ]
    assert things[0]["sentence"] == "Right, but on n rows it goes past a limit."
    assert things[0]["principle"] == "It was first."


@pytest.mark.parametrize(("shown", "told"), [(2, 1), (1, 0)])
def test_what_one_learner_shows_is_not_taught(made, shown, told):
    of_first(made, {f"{n}": (wrong("diagonal") if n < shown else RIGHT, RIGHT) for n in range(20)})
    assert len(report.document(made.enter())["teach"]["things"]) == told


def test_what_waits(made):
    of_first(made, {"text": (RIGHT, RIGHT)}, text=None)
    of_first(made, {"marked": (RIGHT, RIGHT)})
    made.learner("empty")
    made.hand_in("empty", "first", None, "rejected", "The notebook is empty.", text=None)
    made.learner("lost")
    made.hand_in("lost", "first", None, note=False, text=None)
    lost = nbformat.v4.new_notebook(metadata={"mechpuzzles": {"findings": ["The machine went away."]}})
    nbformat.write(lost, made.root / "autograded" / "lost" / "first" / "first.ipynb")
    made.write("fresh", "first")
    waits = report.document(made.enter())["waits"]
    assert waits["texts"] == [{"puzzle": "first", "text": "free-text-why", "learners": 1}]
    assert [(one["learner"], one["status"], one["message"]) for one in waits["submissions"]] == [
        ("empty", "rejected", "The notebook is empty."),
        ("fresh", "ungraded", "It was handed in and not graded yet."),
        ("lost", "ungraded", "The machine went away."),
    ]


# Values of others -------------------------------------------------------------------------------------------------


def true_value(course, learner, name, typed=None):
    puzzle = classes.declaration(course, "second")
    seed = variants.seed("second", course.variant(learner) or typed or learner)
    want = next(iter(puzzle.part(name).cases(torch.Generator().manual_seed(seed)))).want
    return want.tolist() if isinstance(want, torch.Tensor) else want


@pytest.mark.parametrize("secret", ["its own", None])
def test_another_learners_value_is_told_where_chance_is_small(made, secret):
    if secret:
        variants.keep_secret(made.root, secret)
    course = driver.Course(made.root)
    theirs = {name: true_value(course, "ben", name) for name in ("labelling", "largest", "mean")}
    of_first(made, dict.fromkeys(("ada", "ben", "eve"), (RIGHT, RIGHT)))
    made.hand_in("ada", "second", {name: wrong(value=value) for name, value in theirs.items()})
    made.hand_in("eve", "second", {"labelling": wrong(value=["kind 9"] * 6), "largest": wrong(value="five")})
    made.hand_in("ben", "second", dict.fromkeys(theirs, RIGHT))
    for learner in ("ada", "ben", "eve"):
        made.write(learner, "second", f'mine = puzzle.variant("{learner}")')
    told = report.document(made.enter())["values"]
    assert [(one["learner"], one["part"], one["owners"]) for one in told["shared"]] == [
        ("ada", "labelling", ["ben"]),
        ("ada", "mean", ["ben"]),
    ]
    assert all(0 < one["chance"] < 0.02 for one in told["shared"])
    assert {(one["part"], one["learners"], one["of"]) for one in told["compared"]} == {
        ("labelling", 3, 3),
        ("largest", 3, 3),
        ("mean", 3, 3),
    }


def test_ones_own_value_and_one_that_many_share_are_not_told(made):
    course = driver.Course(made.root)
    value = true_value(course, "", "labelling", typed="your name or id")
    for learner in ("ada", "ben", "eve"):
        of_first(made, {learner: (RIGHT, RIGHT)})
        typed = "eve" if learner == "eve" else "your name or id"
        made.write(learner, "second", f'mine = puzzle.variant("{typed}")')
    own = true_value(course, "eve", "labelling")
    made.hand_in("eve", "second", {"labelling": wrong(value=own)})
    assert report.document(made.enter())["values"]["shared"] == []
    for n in range(9):
        made.learner(f"{n}")
        made.write(f"{n}", "second", 'puzzle.variant("your name or id")')
    made.hand_in("ada", "second", {"labelling": wrong(value=value)})
    assert report.document(made.enter())["values"]["shared"] == []


def test_a_large_class_is_compared_until_time_is_up(made):
    """First with those who were right."""
    value = true_value(driver.Course(made.root), "3", "labelling")
    for learner in "01234":
        of_first(made, {learner: (RIGHT, RIGHT)})
        made.hand_in(learner, "second", {"labelling": RIGHT if learner in "34" else wrong(value=value)})
        made.write(learner, "second", f'puzzle.variant("{learner}")')
    course = made.enter()
    shared, compared = values.found(course, classes.read(course), seconds=0)
    assert compared == {("second", "labelling"): 1}
    assert [(one.learner, one.owners) for one in shared] == [(learner, ["3"]) for learner in "012"]


# Learners' text ---------------------------------------------------------------------------------------------------

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "javascript:alert(1)",
    "' onmouseover='alert(1)",
    "{{ 7 * 7 }}{% raw %}",
    "=1+2",
    "+cmd",
    "-2",
    "@SUM(A1)",
    "rtl\u202eevil\u2066",
    "bell\x07tab\t=x\x1b[31m",
]


class Seen(HTMLParser):
    """The tags, attributes and words of a page."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.words = set(), [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture
def hostile(made):
    for number, text in enumerate(HOSTILE):
        made.learner(f"id {number} {text}".replace("/", "\u2215") if number < 5 else text, text, text)
    for row in made.rows[Student][:9]:
        who = row["id"]
        made.hand_in(who, "first", None, "rejected", f"No: {row['first_name']}")
        made.write(who, "first", f'puzzle.predict("the story", {row["first_name"]!r}, because={who!r})')
    of_first(made, {"ada": (wrong("diagonal"), RIGHT)})
    return made


def test_learners_text_stays_text_on_the_page(hostile):
    seen = Seen(report.page(report.document(hostile.enter())))
    assert not seen.tags & {"script", "img", "iframe", "link", "object", "embed", "form", "base", "svg"}
    assert not [name for name, _ in seen.attributes if name.startswith("on") or name in ("src", "srcset", "action")]
    links = [value for name, value in seen.attributes if name == "href"]
    assert links
    assert all(value.startswith("#") for value in links)
    words = "".join(seen.words)
    for text in HOSTILE[:9]:
        assert text in words
    assert not set("\u202e\u2066\x07\x1b") & set(words)


def test_no_cell_of_the_table_is_a_formula(hostile):
    known = report.document(hostile.enter())
    rows = list(csv.DictReader(io.StringIO(report.table(known))))
    assert len(rows) == 12 * 2
    texts = [text for row in rows for text in (row["learner"], row["name"])]
    assert {"'=1+2", "'+cmd", "'-2", "'@SUM(A1)"} <= set(texts)
    assert not [text for text in texts if text.lstrip()[:1] in ("=", "+", "-", "@")]
    assert [row["symptom"] for row in rows if (row["learner"], row["part"]) == ("ada", "centre")] == ["diagonal"]


def test_anonymous_leaves_out_who_it_was(made):
    names = {"ada@example.org": ("Ada", "Byron"), "s1234567": ("Chloé", "Dube"), "zoë": ("", "")}
    for who, (first, last) in names.items():
        made.learner(who, first, last)
        made.hand_in(who, "first", {"centre": wrong("diagonal"), "spread": RIGHT})
    made.learner("dmitri")
    messages = ['Not graded: "Chloé Dube.ipynb" is empty.', "The cell of byron is there twice.", "It is too large."]
    messages.append('"by Ana Tal.ipynb" is none.')
    for number, message in enumerate(messages):
        made.learner(f"more-{number}")
        made.hand_in(f"more-{number}", "first", None, "rejected", message)
    course = made.enter()
    known = report.document(course, anonymous=True)
    told = "".join([json.dumps(known, ensure_ascii=False), report.page(known), report.table(known)])
    for word in (*names, "Ada", "Byron", "byron", "Chloé", "Dube", "dmitri", "more-", "Ana Tal"):
        assert word not in told
    assert "It is too large." in told
    called = {row["learner"] for row in known["learners"]}
    assert called == {f"learner {n:02}" for n in range(1, 9)}
    again = report.document(course, anonymous=True)
    assert again["learners"] == known["learners"]
    order = contents._pseudonyms(classes.read(course))
    assert sorted(order, key=order.get) != sorted(order)


# The page ---------------------------------------------------------------------------------------------------------


def grown(known, learners, puzzles):
    """The document of a class that is larger in both directions."""
    first = known["puzzles"][0]
    slugs = [f"first_{n}" for n in range(puzzles)]
    four = [{**part, "name": f"{part['name']}_{n}"} for n in (1, 2) for part in first["parts"]]
    rows = []
    for n in range(learners):
        row = known["learners"][n % len(known["learners"])]
        parts = {part["name"]: row["parts"]["first"][part["name"][:-2]] for part in four}
        rows.append({**row, "learner": f"learner.{n:05}@example.org", "parts": dict.fromkeys(slugs, parts)})
    return {
        **known,
        "puzzles": [{**first, "slug": slug, "parts": four} for slug in slugs],
        "learners": rows,
        "stuck": [],
        "teach": {"rule": "", "things": []},
    }


def test_the_page_asks_for_nothing_and_runs_nothing(made):
    of_first(made, {"ada": (wrong("diagonal"), RIGHT), "ben": (RIGHT, RIGHT)})
    page = report.page(report.document(made.enter()))
    assert "http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'" in page
    for word in ("<script", "@import", "url(", "http:", "https:", "src="):
        assert word not in page
    assert "1 of 2</b> right" in page.replace("&nbsp;", " ")
    assert 'title="centre: wrong. The diagonal is kept: n ones are in `W &lt; 0`."' in page
    assert "<td>The diagonal is kept: n ones are in <code>W &lt; 0</code>.</tr>" in page


def test_two_thousand_learners_and_eleven_puzzles_fit_on_a_page(made):
    of_first(made, {"ada": (wrong("diagonal"), RIGHT), "ben": (BLANK, RAISED)})
    page = report.page(grown(report.document(made.enter()), 2000, 11))
    assert len(page.encode()) < 5_000_000
    assert page.count("<td class=w>✗") == 1000 * 22
    assert page.count("<details open>") == 1
    assert page.count("<details><summary>Learners ") == 19
    assert page.count('<td style="--s:0%">0') == 20 * 22  # one half of the class is wrong, the other did not try


def test_the_gradebook_is_asked_as_often_for_many_learners_as_for_few(made):
    asked = []

    def count(learners):
        of_first(made, {f"{len(asked)} {n}": (RIGHT, RIGHT) for n in range(learners)})
        course = made.enter()
        asked.append(0)
        sqlalchemy.event.listen(sqlalchemy.Engine, "before_cursor_execute", heard)
        classes.read(course)
        sqlalchemy.event.remove(sqlalchemy.Engine, "before_cursor_execute", heard)

    def heard(*statement):
        asked[-1] += 1

    count(2)
    count(30)
    assert asked[0] == asked[1] > 0


# The command ------------------------------------------------------------------------------------------------------

app = typer.Typer()
app.command()(report_command)


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_the_command_writes_a_page_and_a_table_and_prints_a_document(made, tmp_path):
    of_first(made, {"ada": (RIGHT, RIGHT)})
    made.enter()
    page, table = tmp_path / "report.html", tmp_path / "report.csv"
    done = run("--course", made.root, "--out", page, "--csv", table)
    assert done.exit_code == 0, done.output
    assert "What the class understood" in page.read_text()
    assert table.read_text().splitlines()[1] == "ada,,first,centre,right,,2.0,,,"
    printed = run("--course", made.root, "--json", "--anonymous", "--puzzle", "first")
    assert json.loads(printed.stdout)["learners"][0]["learner"] == "learner 01"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "say where the page goes"),
        (("--json", "--puzzle", "third"), "third is no puzzle that this course has graded; there are first, second"),
        (("--out", "no such folder/report.html"), "No such file or directory"),
        (("--json", "--course", "elsewhere"), "has no gradebook yet"),
    ],
)
def test_the_command_says_what_is_wrong(made, words, said, monkeypatch):
    of_first(made, {"ada": (RIGHT, RIGHT)})
    made.enter()
    monkeypatch.chdir(made.root)
    refused = run("--course", made.root, *words)
    assert refused.exit_code == 2
    assert said in refused.output
    assert not Path("elsewhere").exists()


def test_a_declaration_that_fails_is_named(made):
    of_first(made, {"ada": (RIGHT, RIGHT)})
    (made.root / "solutions" / "second" / "puzzle.py").write_text("1 / 0")
    with pytest.raises(driver.Unusable, match=r"second/puzzle.py cannot be used: ZeroDivisionError"):
        report.document(made.enter())


def test_a_course_of_nothing_is_refused(made):
    made.learner("ada")
    course = made.enter()
    with pytest.raises(driver.Unusable, match="nothing was handed in yet"):
        report.document(course)
