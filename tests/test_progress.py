"""How far a learner is: from their log, and from nothing else."""

import math
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
import torch

from mechpuzzles import folders, index, journal, progress
from mechpuzzles.parts import Prediction
from mechpuzzles.progress import Progress
from mechpuzzles.puzzle import Part, Puzzle


def toy(slug, after=(), parts=("one", "two"), predictions=(), title=""):
    made = tuple(Part(part, (), "", 1, lambda rng: [], None, (), ("?",), "Yes.") for part in parts)
    words = {"title": title or slug.title(), "question": f"Is it {slug}?", "principle": f"It was {slug}."}
    return Puzzle(slug, minutes=5, parts=made, models=(), after=after, predictions=predictions, **words)


A, B, C = toy("a"), toy("b", after=("a",)), toy("c", after=("a", "b"), parts=("one",))
SERIES = [A, B, C]


def checked(slug, part, outcome="right"):
    journal.record(slug, "check", part=part, outcome=outcome)


def do(puzzle):
    for part in puzzle.parts:
        checked(puzzle.slug, part.name)


# How far --------------------------------------------------------------------------------------------


def test_nothing_is_new():
    assert progress.overview([A])[A.slug] == Progress(right=0, parts=2, tried=False)
    assert (progress.overview([A])[A.slug].word, progress.overview([A])[A.slug].done) == ("new", False)


@pytest.mark.parametrize(
    ("checks", "right", "word"),
    [
        ([("a", "one", "not attempted")], 0, "new"),
        ([("a", "one", "raised")], 0, "begun"),
        ([("a", "one", "wrong")], 0, "begun"),
        ([("a", "one", "right")], 1, "begun"),
        ([("a", "one", "right"), ("a", "one", "right")], 1, "begun"),
        ([("a", "one", "right"), ("a", "one", "wrong")], 1, "begun"),
        ([("a", "one", "right"), ("a", "two", "right")], 2, "done"),
        ([("a", "renamed", "right"), ("b", "two", "right")], 0, "begun"),
        ([("b", "one", "right"), ("elsewhere", "one", "right")], 0, "new"),
    ],
)
def test_a_part_counts_once_it_was_right(checks, right, word):
    for check in checks:
        checked(*check)
    journal.record("a", "hint", part="one", outcome="right")
    had = progress.overview([A])[A.slug]
    assert (had.right, had.word) == (right, word)


def test_the_overview_has_every_puzzle_at_once():
    do(A)
    checked("b", "two")
    assert progress.overview(SERIES) == {"a": Progress(2, 2, True), "b": Progress(1, 2, True), "c": Progress(0, 1)}


@pytest.mark.parametrize(
    ("done", "begun", "following"),
    [
        ([], [], A),
        ([], [B], B),
        ([], [C, B], B),
        ([A], [], B),
        ([B], [], A),
        ([A, B], [], C),
        ([A, B, C], [], None),
    ],
)
def test_what_follows_was_begun_or_is_ready(done, begun, following):
    for puzzle in done:
        do(puzzle)
    for puzzle in begun:
        checked(puzzle.slug, "one", "wrong")
    assert progress.following(SERIES, progress.overview(SERIES)) is following


# The page -------------------------------------------------------------------------------------------


@pytest.fixture
def series(monkeypatch):
    """Three toy puzzles as the series."""
    monkeypatch.setattr(folders, "released", lambda: SERIES)


@pytest.mark.usefixtures("series")
def test_the_page_has_the_progress_and_the_principles_that_were_earned(capsys):
    do(A)
    checked("b", "one")
    text, page = progress.pages()
    assert text.splitlines() == [
        "2 of 2  A (5 minutes)",
        "1 of 2  B (5 minutes)",
        "0 of 1  C (5 minutes)",
        "Next: B",
    ]
    assert '<strong>3 of 5</strong> parts right. Next: <strong><a href="b/b.ipynb">B</a></strong>' in page
    assert "It was a." in page
    assert "Is it a?" not in page
    assert "Is it b?" in page
    assert "It was b." not in page
    for words, dots in (("done: 2 of 2", "●●"), ("begun: 1 of 2", "●○"), ("new: 0 of 1", "○")):
        assert f'aria-label="{words} parts right"' in page
        assert f">{dots}<" in page
    progress.show()
    assert capsys.readouterr().out == text + "\n"


@pytest.mark.usefixtures("series")
def test_at_the_end_nothing_follows():
    for puzzle in SERIES:
        do(puzzle)
    text, page = progress.pages()
    assert text.endswith("You have done them all.")
    assert "<strong>5 of 5</strong> parts right. You have done them all." in page


def test_words_of_the_puzzles_are_no_html(monkeypatch):
    odd = toy("odd", title='A <script> & "more"')
    monkeypatch.setattr(folders, "released", lambda: [odd, toy("b", after=("odd",))])
    page = progress.pages()[1]
    assert "<script>" not in page
    assert page.count("A &lt;script&gt; &amp;") >= 4, "in the map, in its words, and as links"
    assert ">A &lt;script&gt; &amp; &quot;more&quot;</td>" in page, "where it is built on"


def test_every_link_of_the_real_page_leads_to_a_notebook():
    page = progress.pages()[1]
    for puzzle in folders.released():
        assert f'<a href="{puzzle.slug}/{puzzle.slug}.ipynb">' in page
        assert (folders.series() / puzzle.slug / f"{puzzle.slug}.ipynb").is_file()


# The map --------------------------------------------------------------------------------------------

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("puzzles", [SERIES, folders.released(), [A]], ids=["toys", "series", "one"])
@pytest.mark.parametrize("alone", [True, False])
def test_the_map_leads_from_left_to_right(puzzles, alone):
    drawn = ElementTree.fromstring(index.series_map(puzzles, alone=alone))
    boxes = [{key: float(box.get(key)) for key in ("x", "y", "width", "height")} for box in drawn.iter(f"{SVG}rect")]
    titles = [text.text for text in drawn.iter(f"{SVG}text") if text.get("font-weight")]
    assert titles == [puzzle.title for puzzle in puzzles]
    left = {puzzle.slug: box["x"] for puzzle, box in zip(puzzles, boxes, strict=True)}
    assert all(left[slug] < left[puzzle.slug] for puzzle in puzzles for slug in puzzle.after)
    assert len(list(drawn.iter(f"{SVG}path"))) == sum(len(puzzle.after) for puzzle in puzzles)
    for one in boxes:
        assert -1 <= one["x"] <= float(drawn.get("width")) - one["width"]
        assert -1 <= one["y"] <= float(drawn.get("height")) - one["height"]
        for other in boxes:
            apart = abs(one["x"] - other["x"]) >= one["width"] or abs(one["y"] - other["y"]) >= one["height"]
            assert apart or one is other


def test_the_map_has_the_colours_and_the_words():
    drawn = ElementTree.fromstring(index.series_map(SERIES, {"b": "#009E73"}))
    assert [box.get("stroke") for box in drawn.iter(f"{SVG}rect")] == ["#808080", "#009E73", "#808080"]
    assert drawn.get("aria-label") == "Map of 3 puzzles. B builds on A; C builds on A and B."


# Guesses --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prediction", "guess", "found", "hit"),
    [
        (Prediction("p", choices=("x", "y")), "x", "x", True),
        (Prediction("p", choices=("x", "y")), "x", "y", False),
        (Prediction("p", between=(-1, 1)), 0.0, 0.19, True),
        (Prediction("p", between=(-1, 1)), 0.0, 0.21, False),
        (Prediction("p", between=(0, 100), within=1), 7, 8.0, True),
        (Prediction("p", between=(0, 100), within=1), 7, 8.1, False),
        (Prediction("p", between=(0, 100), within=0), 7, 7.0, True),
        (Prediction("p", between=(0, 100), within=0), 7, 8.0, False),
        (Prediction("p"), 95, 100.0, True),
        (Prediction("p", between=(0, math.inf)), 89, 100.0, False),
        (Prediction("p"), -95, -100.0, True),
    ],
)
def test_a_guess_is_right_when_it_is_near_enough(prediction, guess, found, hit):
    assert prediction.hit(guess, found) is hit


@pytest.mark.parametrize(
    ("prediction", "found", "plain"),
    [
        (Prediction("p"), torch.tensor(0.5), 0.5),
        (Prediction("p"), torch.tensor([0.5]), 0.5),
        (Prediction("p"), np.float32(0.5), 0.5),
        (Prediction("p"), 2, 2.0),
        (Prediction("p"), torch.zeros(3), None),
        (Prediction("p"), "half", None),
        (Prediction("p"), math.nan, None),
        (Prediction("p"), -math.inf, None),
        (Prediction("p"), None, None),
        (Prediction("p", choices=("x", "y")), "x", "x"),
        (Prediction("p", choices=("x", "y")), "z", None),
        (Prediction("p", choices=("x", "y")), torch.tensor(1.0), None),
        (Prediction("p", choices=("x", "y")), None, None),
    ],
)
def test_what_was_found_is_kept_if_it_is_a_choice_or_a_number(prediction, found, plain):
    assert prediction.plain(found) == plain
    assert type(prediction.plain(found)) is type(plain)


def test_the_right_choice_is_one_of_the_choices():
    with pytest.raises(ValueError, match="p: 'z' is none of the choices x, y"):
        Prediction("p", choices=("x", "y"), right="z")


GUESSING = toy("g", predictions=(Prediction("size", between=(0, 10)), Prediction("why", choices=("x", "y"))))


def predicted(value, sure=None, name="size", slug="g"):
    journal.record(slug, "prediction", name=name, value=value, because="", sure=sure)


def found(value, name="size", slug="g"):
    journal.record(slug, "found", name=name, value=value)


def guessed():
    return [(guess.name, guess.value, guess.found, guess.hit, guess.sure) for guess in progress.guesses()]


@pytest.fixture
def guessing(monkeypatch):
    monkeypatch.setattr(folders, "released", lambda: [A, GUESSING])


SAW = [
    # what happened, the guess that counts
    ([(predicted, 3)], []),
    ([(found, 3.0)], []),
    ([(predicted, 3), (found, 3.5)], [("size", 3, 3.5, True, None)]),
    ([(predicted, 9), (predicted, 3), (found, 3.5)], [("size", 3, 3.5, True, None)]),
    ([(predicted, 9), (found, 3.5), (predicted, 3), (found, 3.5)], [("size", 9, 3.5, False, None)]),
    ([(found, 3.5), (predicted, 3), (found, 3.5)], []),
    ([(predicted, 3), (found, 9.0), (found, 3.5)], [("size", 3, 3.5, True, None)]),
    ([(predicted, "x"), (found, 3.5)], []),
    ([(predicted, 3), (found, "x"), (predicted, 4), (found, 5.0)], [("size", 4, 5.0, True, None)]),
]


@pytest.mark.parametrize(("happened", "counts"), SAW)
@pytest.mark.usefixtures("guessing")
def test_the_last_guess_before_the_first_finding_counts(happened, counts):
    for record, value in happened:
        record(value)
    predicted("x", name="why", slug="another")
    found("x", name="why", slug="another")
    assert guessed() == counts


@pytest.mark.usefixtures("guessing")
def test_guesses_come_in_the_order_of_the_series_each_by_itself():
    predicted("x", sure=0.25, name="why")
    predicted(3, sure=1)
    found("y", name="why")
    found(3.5)
    assert guessed() == [("size", 3, 3.5, True, 1), ("why", "x", "y", False, 0.25)]


@pytest.mark.usefixtures("guessing")
def test_without_guesses_it_says_where_they_will_be(capsys):
    assert progress.calibration() is None
    assert capsys.readouterr().out == ("Your guesses appear here beside what was found, once a puzzle has told you.\n")


@pytest.mark.usefixtures("guessing")
def test_guesses_that_are_not_sure_are_listed_and_not_drawn(capsys):
    predicted(3.25)
    found(3.123456)
    assert progress.calibration() is None
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "right  g, size: you said 3.25; found 3.12"
    assert lines[1].startswith("Say how sure you are, puzzle.predict(..., sure=0.7)")


def test_calibration_is_the_share_right_by_how_sure(monkeypatch, capsys):
    said = [(0.9, True), (0.95, False), (0.85, True), (0.2, False), (1, True), (0, False)]
    names = [f"p{number}" for number in range(len(said))]
    puzzle = toy("g", predictions=tuple(Prediction(name, choices=("x", "y")) for name in names))
    monkeypatch.setattr(folders, "released", lambda: [puzzle])
    for name, (sure, right) in zip(names, said, strict=True):
        predicted("x", sure=sure, name=name)
        found("x" if right else "y", name=name)
    picture = progress.calibration()
    diagonal, points = picture.data
    assert (diagonal.x, diagonal.y) == ((0, 1), (0, 1))
    assert points.x == pytest.approx((0, 0.2, (0.9 + 0.95 + 0.85 + 1) / 4))
    assert points.y == (0, 0, 0.75)
    assert points.text == ("0 of 1", "0 of 1", "3 of 4")
    brier = (0.1**2 + 0.95**2 + 0.15**2 + 0.2**2 + 0 + 0) / 6
    assert picture.layout.title.text == f"6 guesses, Brier score {brier:.2f}" == "6 guesses, Brier score 0.16"
    assert "20 % sure: 0 of 1 right" in picture.alt
    assert "wrong  g, p1: you said x, 95% sure; found y" in capsys.readouterr().out
