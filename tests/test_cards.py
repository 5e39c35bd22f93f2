"""Cards: what they show, that they show it safely, and that they never show the answer."""

import re
import sys
from html.parser import HTMLParser

import nbformat
import pytest
import torch
from nbclient import NotebookClient

from mechpuzzles import approaches, cards, checks, journal
from mechpuzzles.puzzle import Case, Part, Puzzle
from mechpuzzles.verdicts import Outcome, Verdict

from .cells import live_notebook

EVIL = "<img src=x onerror='alert(1)'><script>alert(2)</script>\"`<b>`&amp;"
SAFE_TAGS = {"div", "strong", "span", "code", "pre", "figure", "figcaption", "svg", "rect", "path"}
SAFE_ATTRIBUTES = {
    "svg": {"role", "aria-label", "width", "height", "xmlns"},
    "rect": {"x", "y", "width", "height", "fill", "stroke", "stroke-width"},
    "path": {"d", "stroke"},
}


class Page(HTMLParser):
    """The elements of a page with their attributes, and its words; refuses what is not closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open, self.elements, self.words = [], [], ""
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.elements.append((tag, dict(attrs)))

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words += data

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def safe(page: str) -> Page:
    """The page, parsed, if it holds nothing that acts."""
    parsed = Page(page)
    for tag, attributes in parsed.elements:
        assert tag in SAFE_TAGS
        assert attributes.keys() <= SAFE_ATTRIBUTES.get(tag, {"style", "role", "aria-label"})
    return parsed


def part(want, axes="n", **more):
    """A part whose only right answer is ``want``, whatever the input."""
    fields = {"takes": ("n",), "points": 1, "symptoms": (), "hints": ("?",), "meaning": "Yes."}
    cases = [Case((torch.zeros(2),), want=want)]
    return Part("it", returns=axes, cases=lambda rng: cases, spec=None, **fields, **more)


def card(want, got, axes="n", **more) -> str:
    return cards.card(checks.judge(part(want, axes, **more), lambda _: got, seeds=[0]))


# Words ----------------------------------------------------------------------------------------------


def test_each_outcome_has_a_sign_and_words_and_a_colour_of_its_own():
    looks = []
    for outcome in Outcome:
        page = Page(cards.card(Verdict("it", outcome, ("it: something",))))
        colour = re.search("color: (#[0-9A-F]{6})", page.all("span")[0]["style"])[1]
        sign, heading = page.words.removesuffix("\xa0itsomething").split(maxsplit=1)
        assert page.all("div")[0]["aria-label"] == f"it: {heading.strip()}"
        looks.append((sign, heading, colour))
    assert all(len(set(these)) == len(Outcome) for these in zip(*looks, strict=True))


def divides(W):
    nothing = 0
    return 1 / nothing


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (..., "○ not attempted yet it|Cells below may wait for it. For a nudge: puzzle.hint('it')"),
        (divides, "! your code raised an error it|ZeroDivisionError: division by zero"),
        (lambda W: torch.zeros(3), "✗ not yet it|The value is not the one asked for. For a nudge: puzzle.hint('it')"),
        (lambda W: torch.ones(3), "✓ right on the public checks it|Yes."),
    ],
)
def test_a_card_says_once_what_the_verdict_says(answer, words):
    verdict = checks.judge(part(torch.ones(3)), answer, seeds=[0])
    page = cards.card(verdict, "More: `puzzle.more()`")
    lines = [" ".join(Page(line).words.split()) for line in re.findall("<div[^>]*>(?:(?!<div).)*?</div>", page)]
    title, sentence = words.split("|")
    assert lines[:2] == [title, sentence]
    assert lines[-1] == "More: puzzle.more()"
    for line in verdict.says[1:]:
        assert " ".join(line.split()) in lines
    assert ("<code>return 1 / nothing</code>" in page) == (answer is divides)


# Safety ---------------------------------------------------------------------------------------------


def raises(W):
    raise ValueError(EVIL)


def says(W):
    print(EVIL)
    return torch.ones(3)


def stumbles(W):
    return {"<img src=x onerror='alert(1)'>": 1}["no"]


@pytest.mark.parametrize(
    ("verdict", "shown"),
    [
        (checks.judge(part(torch.ones(3)), raises, [0]), EVIL.replace("`<b>`", "<b>")),
        (checks.judge(part(torch.ones(3)), says, [0]), EVIL.replace("`<b>`", "<b>")),
        (checks.judge(part(torch.ones(3)), stumbles, [0]), "<img src=x onerror='alert(1)'>"),
        (checks.judge(part("tall", "", kind="label"), lambda W: EVIL, [0]), EVIL.replace("`<b>`", "<b>")),
        (checks.judge(part(("a", "b"), kind="label"), lambda W: ["a", "<i>"], [0]), "<i>"),
        (Verdict(EVIL, Outcome.WRONG, (f"{EVIL}: not yet.",)), EVIL),
    ],
)
def test_html_of_a_learner_is_shown_and_not_obeyed(verdict, shown):
    assert shown in safe(cards.card(verdict, more=verdict.says[0])).words


def test_html_in_a_source_that_is_compared_is_shown_and_not_obeyed():
    text, page = approaches.side_by_side({"yours": f"W = '{EVIL}'", EVIL: "W = 1"})
    parsed = safe(page)
    assert parsed.words == f"yoursW = '{EVIL}'{EVIL}W = 1"
    assert f"# yours\nW = '{EVIL}'\n\n# {EVIL}\nW = 1" == text


# Pictures -------------------------------------------------------------------------------------------

WANT = torch.tensor([[-7.654321, 3.712345, 0.987654], [2.468135, -5.135792, 1.864213]])
NAN, INF = float("nan"), float("inf")


def pictures(page: str) -> list[str]:
    return re.findall("<svg.*?</svg>", page)


def fills(picture: str) -> list[str]:
    """The colours of the entries."""
    return [rect["fill"] for rect in Page(picture).all("rect") if "stroke" not in rect]


@pytest.mark.parametrize(
    ("want", "axes", "more"),
    [
        (WANT, "n d_model", {}),
        (WANT[0], "n", {}),
        (WANT[0, 0], "", {}),
        ((WANT[0], WANT[1, 1]), ("n", ""), {}),
        (torch.tensor([271828, 314159]), "n", {"kind": "integer"}),
        (("uninvolved", "hidden"), "n", {"kind": "label"}),
    ],
)
def test_the_expected_value_is_nowhere_on_a_card(want, axes, more):
    numbers = [value for one in (want if isinstance(want, tuple) else (want,)) for value in flat(one)]
    wrong = tuple(map(spoilt, want)) if isinstance(want, tuple) else spoilt(want)
    page = card(want, wrong, axes, **more)
    assert "not yet" in page
    for value in numbers:
        shown = [value] if isinstance(value, str) else [f"{abs(value):.3g}", f"{abs(value):.4g}", f"{abs(value):.3f}"]
        assert not [words for words in shown if words in page]


def flat(one):
    return [one] if isinstance(one, str) else one.flatten().tolist()


def spoilt(one):
    return one[::-1] if isinstance(one, str) else 3 * one


@pytest.mark.parametrize("shape", [(3,), (2,), (2, 3), (20, 20), (400,), (1, 5), (5, 1)])
def test_yours_stands_beside_the_target_in_one_and_two_dimensions(shape):
    want = torch.linspace(-1, 1, torch.Size(shape).numel()).reshape(shape)
    yours, target = pictures(card(want, want + 1, " ".join("ab"[: len(shape)])))
    assert fills(yours) != fills(target)
    for name, picture in (("yours", yours), ("target", target)):
        entries = [rect for rect in Page(picture).all("rect") if "stroke" not in rect]
        rows, columns = (len({entry[axis] for entry in entries}) for axis in "yx")
        assert (rows, columns) == (1, *shape)[-2:]
        assert f'aria-label="{name}: {rows} by {columns} entries' in picture


@pytest.mark.parametrize("shape", [(), (1,), (1, 1), (2, 2, 2), (401,), (21, 20)])
def test_without_a_picture_where_none_fits(shape):
    want = torch.ones(shape)
    page = card(want, want + 1, " ".join("abc"[: len(shape)]))
    assert "not yet" in page
    assert not pictures(page)


def test_a_wrong_shape_has_no_picture():
    assert not pictures(card(WANT, WANT.T, "n d_model"))
    assert not pictures(card(WANT, WANT[0], "n d_model"))


def test_a_value_of_a_learners_own_never_has_a_picture_or_a_number():
    as_function, as_value = card(WANT[0], WANT[1]), card(WANT[0], WANT[1], value=True)
    assert len(pictures(as_function)) == 2
    assert not pictures(as_value)
    assert not re.search(r"-?\d+\.\d{2}", Page(as_value).words)


def test_a_gap_of_the_parts_own_has_no_picture():
    assert not pictures(card(WANT[0], WANT[1], gap=lambda got, want, W: 5.0))


def test_of_a_tuple_the_first_tensor_that_differs_is_drawn():
    want = (WANT[0], WANT[1])
    assert fills(pictures(card(want, (WANT[0], WANT[0]), ("n", "n")))[1]) == fills(
        pictures(card(WANT[1], WANT[0], "n"))[1]
    )
    assert not pictures(card((WANT[0], WANT[0, 0]), (WANT[0], WANT[1, 1]), ("n", "")))


def test_entries_that_are_no_numbers_are_drawn_too():
    page = card(WANT, torch.tensor([[NAN, INF, -INF], [2.468135, -1e30, NAN]]), "n d_model")
    yours, target = pictures(page)
    colours = fills(yours)
    assert [colour == "none" for colour in colours] == [True, False, False, False, False, True]
    assert len(Page(yours).all("path")) == 2, "a NaN is crossed out"
    assert not Page(target).all("path")
    assert colours[1] != colours[2] == colours[4] == fills(target)[0], "beyond the scale is the scale's end"
    assert colours[3] == fills(target)[3]
    assert not re.search('="[^"]*(nan|inf)', page)


def test_the_first_entry_that_differs_is_framed_in_both():
    got = WANT.clone()
    got[1, [0, 2]] += 1
    page = card(WANT, got, "n d_model")
    assert "first entry that differs is n=1, d_model=0" in page
    for picture in pictures(page):
        (frame,) = (rect for rect in Page(picture).all("rect") if "stroke" in rect)
        framed = Page(picture).all("rect")[3]
        assert (int(frame["x"]) - 1, int(frame["y"]) - 1) == (int(framed["x"]), int(framed["y"]))


@pytest.mark.parametrize(
    ("want", "grey"),
    [
        (torch.tensor([-1.0, 0.0, 1.0]), 1),
        (torch.tensor([0.0, 4.0, 8.0]), 0),
        (torch.tensor([100.0, 100.1, 100.2]), 1),
        (torch.tensor([-100.0, -100.1, -100.2]), 1),
    ],
)
def test_different_numbers_have_different_colours(want, grey):
    target = fills(pictures(card(want, want - 1))[1])
    assert len(set(target)) == len(want)
    assert target[grey] == "#ebebeb"


@pytest.mark.parametrize("want", [torch.zeros(3), torch.full((3,), 7.0)])
def test_equal_numbers_have_one_colour(want):
    assert len(set(fills(pictures(card(want, want + 1))[1]))) == 1


@pytest.mark.parametrize(("rows", "columns"), [(200, 2), (2, 200), (20, 20), (1, 3)])
def test_a_picture_fits_beside_the_other(rows, columns):
    want = torch.arange(float(rows * columns)).reshape(rows, columns)
    (picture,) = Page(pictures(card(want, want + 1, "a b"))[0]).all("svg")
    assert max(int(picture["width"]), int(picture["height"])) <= max(260, 3 * max(rows, columns))


# Where they are shown -------------------------------------------------------------------------------


TOY = Puzzle("toy", "Toy", "Does it?", "It does.", 1, (part(torch.ones(3)),), ())


@pytest.fixture
def notebook(tmp_path):
    with live_notebook(tmp_path) as notebook:
        notebook.shell.user_ns |= {"puzzle": TOY, "torch": torch, "cards": cards}
        yield notebook


def test_live_is_a_notebook_that_a_learner_looks_at(notebook, monkeypatch):
    assert cards.live()
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    assert not cards.live()
    monkeypatch.delenv("NBGRADER_EXECUTION")
    del notebook.shell.kernel
    assert not cards.live(), "a terminal"
    monkeypatch.delitem(sys.modules, "IPython")
    assert not cards.live()


def test_what_is_not_right_is_one_card_and_a_line(notebook):
    for answer, heading in (("...", "not attempted yet"), ("lambda W: torch.zeros(3)", "not yet")):
        ran = notebook.run(f"puzzle.check('it', {answer})")
        assert heading in Page(ran.page).words
        assert ran.shown[0]["text/plain"].startswith(f"it: {heading}")
        assert ran.text.strip() == "Change the answer above, run it, and run this cell again."
        assert str(ran.error).startswith(f"it: {heading}")


def test_what_is_right_is_one_card(notebook, monkeypatch):
    ran = notebook.run("puzzle.check('it', lambda W: torch.ones(3))")
    assert (ran.error, ran.text) == (None, "")
    assert ran.shown[0]["text/plain"] == "it: right on the public checks. Yes."
    assert "puzzle.compare" not in ran.page
    monkeypatch.setattr(approaches, "known", lambda slug, part: (slug, part) == ("toy", "it"))
    page = notebook.run("puzzle.check('it', lambda W: torch.ones(3))").page
    assert "How others wrote it: <code>puzzle.compare('it')</code>" in page


@pytest.mark.parametrize("where", ["terminal", "nbgrader"])
def test_elsewhere_it_is_text(notebook, monkeypatch, where):
    if where == "nbgrader":
        monkeypatch.setattr(journal, "_in_memory", [])
        monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    else:
        del notebook.shell.kernel
    ran = notebook.run("puzzle.check('it', lambda W: torch.zeros(3))")
    assert not ran.shown
    assert "it: not yet." in re.sub(r"\x1b\[\d*m", "", ran.text)
    ran = notebook.run("puzzle.check('it', lambda W: torch.ones(3))")
    assert not ran.shown
    assert "right on the public checks" in ran.text


def test_html_or_markdown_is_shown_beside_the_text(notebook, capsys):
    ran = notebook.run("cards.show('plain', '<b>page</b>')\ncards.show('plain', markdown='**words**')")
    assert ran.shown == [
        {"text/html": "<b>page</b>", "text/plain": "plain"},
        {"text/markdown": "**words**", "text/plain": "plain"},
    ]
    del notebook.shell.kernel
    cards.show("plain", "<b>page</b>")
    assert capsys.readouterr().out == "plain\n"


CELLS = """
import torch
from jaxtyping import Float
from torch import Tensor
from mechpuzzles import load_puzzle
puzzle = load_puzzle("similar_embeddings")
# %%
def helper(rows):
    return rows < "a"
# %%
@torch.no_grad()
def centre(W: Float[Tensor, "n d_model"]) -> Float[Tensor, "n d_model"]:
    rows = W
    return helper(rows)
# %%
puzzle.check("centre", centre)
# %%
centre(torch.zeros(3))
# %%
def centre(W: Float[Tensor, "n d_model"]) -> Float[Tensor, "n d_model"]:
    return W.mean(0)
puzzle.check("centre", centre)
# %%
def across(W: Float[Tensor, "n d_model"]) -> Float[Tensor, "n"]:
    return W.sum(0)
across(torch.zeros(3, 4))
"""


def test_in_a_kernel_a_card_leads_through_the_cells_to_the_line(tmp_path):
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS.split("# %%\n")]
    client = NotebookClient(
        nbformat.v4.new_notebook(cells=cells), allow_errors=True, kernel_name="python3", timeout=100,
        resources={"metadata": {"path": str(tmp_path)}},
    )  # fmt: skip
    client.execute(cleanup_kc=True)
    shown, error = cells[3].outputs
    page = safe(shown.data["text/html"])
    assert 'In centre, line 4: return helper(rows)In helper, line 2: return rows < "a"' in page.words
    assert error.traceback == ["Change the answer above, run it, and run this cell again."]
    (error,) = cells[4].outputs
    assert error.traceback == ["centre: W should be [n, d_model]; it is [3]."]
    shown, error = cells[5].outputs
    assert "That is the vector to subtract." in Page(shown.data["text/html"]).words
    (error,) = cells[6].outputs
    assert error.traceback == ["across: the result should be [n]; it is [n=4], but n=3 in W."]


def test_words_between_stars_are_stressed_and_a_product_is_none():
    assert cards.inline("the *query* of `a*b*c`") == "the <em>query</em> of <code>a*b*c</code>"
    for text in ("a * b * c", "x*y*z", "**kwargs", "*"):
        assert cards.inline(text) == text
