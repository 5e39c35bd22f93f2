"""Shapes in annotations are checked at the calls of what is typed into a notebook, and nowhere else."""

import asyncio
import functools
from pathlib import Path

import pytest
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mechpuzzles import checks, folders, shapes
from mechpuzzles.shapes import WrongShape, checked
from mechpuzzles.verdicts import Outcome

from .cells import live_notebook

COSINE_TO_MEAN = folders.declared(Path(__file__).parents[1], "similar_embeddings").part("cosine_to_mean")
W, v = torch.arange(35.0).reshape(7, 5), torch.arange(5.0)


def centre(W: Float[Tensor, "n d_model"]):
    return W - W.mean(0)


def along(W: Float[Tensor, "n d_model"], v: Float[Tensor, "d_model"], *more: Float[Tensor, "d_model"], scale=1.0):
    return W @ v + sum(W @ one for one in more) * scale


def pick(W: Float[Tensor, "n d_model"], *, rows: Int[Tensor, "k"] = None):
    return W if rows is None else W[rows]


def lengths(W: Float[Tensor, "n d_model"], dim=1) -> Float[Tensor, "n"]:
    return W.norm(dim=dim)


def total(W: Float[Tensor, "n d_model"]) -> Float[Tensor, ""]:
    return W.sum()


def squared(W: Float[Tensor, "n n"]):
    return W @ W


def crossed(a: Float[Tensor, "... 3"], b: Float[Tensor, "batch 3"]):
    return a, b


def stub(W: Float[Tensor, "n d_model"]) -> Float[Tensor, "n"]:
    return ...


def unfinished(W: Float[Tensor, "n d_model"]) -> Float[Tensor, "n"]:
    raise NotImplementedError


FITS = [
    (centre, [W], {}),
    (centre, [], {"W": W.double()}),
    (along, [W, v, v, v], {"scale": 2}),
    (along, [], {"v": v, "W": W}),
    (pick, [W], {}),
    (pick, [W], {"rows": torch.tensor([1])}),
    (lengths, [W], {}),
    (total, [W], {}),
    (squared, [torch.zeros(3, 3)], {}),
    (crossed, [torch.zeros(2, 4, 3), torch.zeros(9, 3)], {}),
    (stub, [W], {}),
]


@pytest.mark.parametrize(("function", "args", "kwargs"), FITS)
def test_what_fits_is_as_without(function, args, kwargs):
    assert str(checked(function)(*args, **kwargs)) == str(function(*args, **kwargs))


WRONG = [
    (centre, [v], {}, "centre: W should be [n, d_model]; it is [5]."),
    (centre, [v.sum()], {}, "centre: W should be [n, d_model]; it is a single number."),
    (centre, [W.long()], {}, "centre: W should hold float numbers; it holds int64."),
    (centre, [W.tolist()], {}, "centre: W should be a tensor, [n, d_model]; it is a list."),
    (centre, [W.numpy()], {}, "centre: W should be a tensor, [n, d_model]; it is a ndarray."),
    (along, [W, W[:, 0]], {}, "along: v should be [d_model]; it is [d_model=7], but d_model=5 in W."),
    (along, [], {"v": W[:, 0], "W": W}, "along: v should be [d_model]; it is [d_model=7], but d_model=5 in W."),
    (pick, [W], {"rows": v}, "pick: rows should hold int numbers; it holds float32."),
    (lengths, [W, 0], {}, "lengths: the result should be [n]; it is [n=5], but n=7 in W."),
    (lengths, [W, (0, 1)], {}, "lengths: the result should be [n]; it is a single number."),
    (checked(lengths), [W], {"dim": 0}, "lengths: the result should be [n]; it is [n=5], but n=7 in W."),
    (squared, [W], {}, "squared: W should be [n, n]; it is [7, 5]."),
    (crossed, [W, W[:, :3]], {}, "crossed: a should be [..., 3]; it is [7, 5]."),
    (crossed, [W[:, :3], W], {}, "crossed: b should be [batch, 3]; it is [7, 5]."),
]


@pytest.mark.parametrize(("function", "args", "kwargs", "words"), WRONG)
def test_what_does_not_fit_is_said_in_a_line_that_names_the_axes(function, args, kwargs, words):
    with pytest.raises(WrongShape) as caught:
        checked(function)(*args, **kwargs)
    assert str(caught.value) == words
    assert caught.value._render_traceback_() == [words]
    assert isinstance(caught.value, TypeError)


def test_errors_of_the_function_and_of_the_call_are_pythons_own():
    with pytest.raises(NotImplementedError):
        checked(unfinished)(W)
    with pytest.raises(TypeError, match=r"^centre\(\) missing 1 required positional argument: 'W'$") as caught:
        checked(centre)()
    assert caught.value.__context__ is None


def test_axes_of_one_call_do_not_bind_another():
    columns = checked(lengths)

    @checked
    def of_columns(W: Float[Tensor, "n d_model"]) -> Float[Tensor, "d_model"]:
        return columns(W.T)

    assert columns(W).shape == (7,)
    assert of_columns(W).shape == (5,)


def unannotated(W):
    return W


def counted(n: int, name: str = "") -> list[int]:
    return [n]


class Callable:
    weight: Float[Tensor, "n"]

    def __call__(self, W):
        return W


@pytest.mark.parametrize("function", [unannotated, counted, len, functools.partial(centre), Callable()])
def test_without_shapes_a_function_stays_itself(function):
    assert checked(function) is function


# In a notebook --------------------------------------------------------------------------------------


@pytest.fixture
def notebook(tmp_path):
    with live_notebook(tmp_path) as notebook:
        shapes.switch_on(notebook.shell)
        notebook.run(
            "import functools, torch\nfrom jaxtyping import Float\nfrom torch import Tensor\nW = torch.ones(7, 5)"
        )
        yield notebook


CENTRE = "def centre(W: Float[Tensor, 'n d_model']):\n    return W - W.mean(0)"


def test_a_cells_function_is_checked_and_the_error_is_one_line(notebook):
    assert notebook.run(CENTRE).error is None
    assert notebook.run("centre(W[0])").text.strip() == "centre: W should be [n, d_model]; it is [5]."
    assert notebook.run("if True:\n    " + CENTRE.replace("\n", "\n    ")).error is None
    assert isinstance(notebook.run("centre(W[0])").error, WrongShape)


def test_switched_on_twice_is_checked_once(notebook):
    shapes.switch_on(notebook.shell)
    notebook.run(CENTRE)
    assert len(notebook.shell.ast_transformers) == 1
    assert not hasattr(notebook.shell.user_ns["centre"].unchecked, "unchecked")


def test_what_is_inside_of_other_things_is_left_alone(notebook):
    ran = notebook.run(
        "def outer(W: Float[Tensor, 'n d_model']):\n"
        "    def inner(v: Float[Tensor, 'n d_model']):\n        return v\n"
        "    return inner\n"
        "async def later(W: Float[Tensor, 'n d_model']):\n"
        "    def inner(v: Float[Tensor, 'n d_model']):\n        return v\n"
        "    return inner\n"
        "class Model:\n    def forward(self, W: Float[Tensor, 'n d_model']):\n        return W"
    )
    assert ran.error is None
    names = notebook.shell.user_ns
    inner, later = names["outer"](W), asyncio.run(names["later"](v))
    assert inner(v) is v
    assert later(v) is v
    assert names["Model"]().forward(v) is v
    assert isinstance(notebook.run("outer(W[0])").error, WrongShape)


DECORATED = """
def doubled(function):
    @functools.wraps(function)
    def wrapper(*args):
        return 2 * function(*args)
    return wrapper

@torch.no_grad()
@doubled
def lengths(W: Float[Tensor, 'n d_model']) -> Float[Tensor, 'n']:
    return W.norm(dim=1)
"""


def test_decorators_are_kept(notebook):
    notebook.run(DECORATED)
    lengths = notebook.shell.user_ns["lengths"]
    assert torch.allclose(lengths(torch.ones(7, 4)), torch.full((7,), 4.0))
    assert not lengths(torch.ones(7, 4, requires_grad=True)).requires_grad
    assert isinstance(notebook.run("lengths(W[0])").error, WrongShape)
    source = notebook.run("import inspect\nprint(inspect.getsource(lengths))").text
    assert source.splitlines()[:2] == ["@torch.no_grad()", "@doubled"]


def test_a_check_has_its_own_words_for_a_decorated_cell_too(notebook):
    notebook.run(
        "@torch.no_grad()\ndef across(W: Float[Tensor, 'n d_model']) -> Float[Tensor, 'n']:\n"
        "    return torch.cosine_similarity(W, W.mean(0, keepdim=True).expand_as(W), dim=0)"
    )
    assert isinstance(notebook.run("across(W)").error, WrongShape)
    assert verdict(notebook.shell.user_ns["across"]).symptom == "per_coordinate"


def test_a_decorator_that_makes_no_function_is_no_matter(notebook):
    assert notebook.run("@functools.partial\n" + CENTRE).error is None
    assert torch.equal(notebook.shell.user_ns["centre"](W), centre(W))


def test_the_traceback_has_no_frame_of_the_checks(notebook):
    ran = notebook.run("def broken(W: Float[Tensor, 'n d_model']):\n    return W.nothing\nbroken(W)")
    assert "return W.nothing" in ran.text
    assert "shapes.py" not in ran.text


# In a check -----------------------------------------------------------------------------------------


def by_coordinate(W: Float[Tensor, "n d_model"]) -> Float[Tensor, "n"]:
    return torch.cosine_similarity(W, W.mean(0, keepdim=True).expand_as(W), dim=0)


def right(W: Float[Tensor, "n d_model"]) -> Float[Tensor, "n"]:
    return torch.cosine_similarity(W, W.mean(0, keepdim=True), dim=1)


def verdict(answer):
    return checks.judge(COSINE_TO_MEAN, answer, checks.PUBLIC_SEEDS)


def test_a_check_has_its_own_words_for_a_wrong_shape():
    with pytest.raises(WrongShape):
        checked(by_coordinate)(W)
    found = verdict(checked(by_coordinate))
    assert (found.outcome, found.symptom) == (Outcome.WRONG, "per_coordinate")
    assert verdict(checked(right)).outcome is Outcome.RIGHT


def negated(function):
    @functools.wraps(function)
    def wrapper(W):
        return -function(W)

    return wrapper


@pytest.mark.parametrize("answer", [checked(negated(right)), negated(checked(right)), negated(right)])
def test_a_check_calls_what_the_learner_calls_decorators_and_all(answer):
    assert verdict(answer).outcome is Outcome.WRONG
    assert verdict(negated(answer)).outcome is Outcome.RIGHT
