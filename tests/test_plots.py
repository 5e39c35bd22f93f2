"""Pictures: small, readable as words, with the prediction in them."""

import json

import numpy as np
import pytest
import torch

from mechpuzzles import plots
from mechpuzzles.geometry import centre, cosine_histogram


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


def test_names_must_fit(histograms):
    with pytest.raises(ValueError, match="2 histograms but 1 names"):
        plots.pair_histogram(*histograms, names=("raw",))
