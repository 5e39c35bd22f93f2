"""Pictures: small, readable as words, with the prediction in them."""

import json

import numpy as np
import pytest
import torch

from mechpuzzles import plots
from mechpuzzles.geometry import centre, cosine_histogram

from .jupyter import run_cells


@pytest.fixture(scope="module")
def histograms():
    W = torch.randn(300, 8, generator=torch.Generator().manual_seed(0)) + 2
    return cosine_histogram(W), cosine_histogram(centre(W))


def test_every_pair_is_in_the_bars_and_nothing_else_is_heavy(histograms):
    picture = plots.pair_histogram(*histograms, names=("raw", "centred"), prediction=0.3)
    assert [sum(bar.y) for bar in picture.data] == [300 * 299 // 2] * 2
    assert len(picture.to_json()) < 12_000


def test_the_bars_stand_where_the_cosines_are(histograms):
    bar = plots.pair_histogram(histograms[0]).data[0]
    centres = bar.x0 + bar.dx * np.arange(len(bar.y))
    used = histograms[0].centres[histograms[0].counts > 0]
    assert centres[0] == pytest.approx(used[0])
    assert centres[-1] == pytest.approx(used[-1])


def test_the_words_tell_what_the_picture_shows(histograms):
    alt = plots.pair_histogram(*histograms, names=("raw", "centred"), prediction=0.3).alt
    assert "over all 44,850 pairs" in alt
    assert "raw: mean 0.8" in alt
    assert "centred: mean 0.00" in alt
    assert "your prediction, 0.3" in alt


@pytest.mark.parametrize("prediction", [-1, -0.95, 0.3, 0, 1, 7])
def test_a_prediction_is_drawn_inside_the_picture(histograms, prediction):
    picture = plots.pair_histogram(*histograms, prediction=prediction)
    (words,) = [a for a in picture.layout.annotations if "prediction" in a.text]
    assert words.text == f"your prediction: {prediction:g}"
    assert -1 <= words.x <= 1


def test_it_shows_on_any_page_and_says_itself_elsewhere(histograms, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, raw: shown.append(bundle))
    picture = plots.pair_histogram(histograms[0])
    picture._ipython_display_()
    assert shown[0]["text/plain"] == picture.alt
    assert json.loads(picture.to_json())["layout"]["paper_bgcolor"] == "rgba(0, 0, 0, 0)"


IN_A_KERNEL = """
import os, sys
from mechpuzzles import plots
os.environ |= {}
picture = plots.lines(range(3), {{"a": [1.0, 2.0, 4.0]}}, x_title="layer", y_title="norm")
mine, quick = picture._bundle(), "plotly.io._renderers" not in sys.modules
theirs, kind = picture._repr_mimebundle_(), "application/vnd.plotly.v1+json"
print(quick, mine.get(kind) == theirs.get(kind), list(mine) == list(theirs), *theirs)  # HTML has a new id each time
"""


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, "True True True application/vnd.plotly.v1+json"),
        ({"VSCODE_PID": "1"}, "True True True application/vnd.plotly.v1+json"),
        ({"COLAB_NOTEBOOK_ID": "1"}, "False True True text/html"),
    ],
    ids=["JupyterLab", "VS Code", "Colab"],
)
def test_in_a_kernel_it_shows_what_plotly_would_where_the_learner_looks(tmp_path, environment, said):
    (shown,) = run_cells(IN_A_KERNEL.format(environment), kernel="python3", cwd=str(tmp_path))
    assert shown.strip() == said


def test_names_must_fit(histograms):
    with pytest.raises(ValueError, match="2 histograms but 1 names"):
        plots.pair_histogram(*histograms, names=("raw",))


SERIES = {"trained": torch.tensor([1.0, 2.0, 4.0]), "untrained": [1.0, 1.0, 1.0]}
OTHERS = [
    (lambda p: plots.lines(range(3), SERIES, x_title="layer", y_title="norm", prediction=p), "trained: from 1 to 4."),
    (lambda p: plots.bars({"zero": 3.9, "mean": 0.04}, y_title="effect", prediction=p), "zero: 3.9. mean: 0.04."),
    (lambda p: plots.bars({"zero": {"H0": 3.9}, "mean": {"H0": 1}}, y_title="effect", prediction=p), "mean H0: 1."),
]


@pytest.mark.parametrize(("draw", "words"), OTHERS)
def test_other_pictures_say_themselves_and_draw_the_prediction(draw, words):
    assert words in draw(None).alt
    predicted = draw(2)
    assert "your prediction, 2" in predicted.alt
    assert predicted.layout.annotations[0].text == "your prediction: 2"
    assert len(predicted.to_json()) < 12_000


def test_words_under_a_line_are_not_read_as_numbers():
    """A page would take "75 %" for 75 and leave "all" out."""
    titles = {"x_title": "the strongest below", "y_title": "share"}
    assert plots.lines(["all", "75 %"], {"a": [1.0, 2.0]}, **titles).layout.xaxis.type == "category"
    assert plots.lines([1, 2], {"a": [1.0, 2.0]}, **titles).layout.xaxis.type is None


def test_no_two_of_eight_lines_look_alike():
    picture = plots.lines([0, 1], {str(i): [0.0, i] for i in range(8)}, x_title="x", y_title="y")
    assert len({(one.line.color, one.line.dash) for one in picture.data}) == 8


def test_a_heatmap_is_centred_on_zero_and_names_its_largest_entry():
    scores = torch.tensor([[0.1, -0.9], [0.3, 0.2]])
    names = {"x_title": "head", "y_title": "layer", "colour_title": "score"}
    picture = plots.heatmap(scores, rows=["L0", "L1"], columns=["H0", "H1"], **names)
    assert (picture.data[0].zmin, picture.data[0].zmax) == (-0.9, 0.9)
    assert picture.alt == "score by layer and head; farthest from zero at L0, H1: -0.9."


def test_a_heatmap_keeps_labels_apart_that_repeat():
    names = {"x_title": "token", "y_title": "unit", "colour_title": "activation"}
    picture = plots.heatmap([[1.0, 2.0, 3.0]], rows=["unit 7"], columns=["(", "a", "("], **names)
    assert len(set(picture.data[0].x)) == 3
    assert [label.rstrip(plots.INVISIBLE) for label in picture.data[0].x] == ["(", "a", "("]
    assert picture.alt.endswith("largest at unit 7, (: 3.")


def test_a_heatmap_without_negative_entries_begins_at_zero():
    names = {"x_title": "key", "y_title": "query", "colour_title": "attention"}
    picture = plots.heatmap([[0.0, 0.5], [0.2, 0.8]], rows="ab", columns="cd", **names)
    assert (picture.data[0].zmin, picture.data[0].zmax) == (0, 0.8)
    assert picture.alt == "attention by query and key; largest at b, d: 0.8."
    assert picture.data[0].colorscale[0][1] == "#F5F5F5"
