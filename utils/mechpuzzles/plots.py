"""Pictures that carry counts and summaries, never raw pairs, and say in words what one sees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

if TYPE_CHECKING:
    from mechpuzzles.geometry import PairHistogram

# Okabe and Ito's colours, which stay apart for colour-blind readers (2008, "Color Universal Design").
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7")
PREDICTION_COLOUR = "#D55E00"


class Picture(go.Figure):
    """A plotly figure with ``alt``, the words shown where figures are not, and read aloud where they are."""

    alt: str

    def __init__(self, *args: Any, alt: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        object.__setattr__(self, "alt", alt)

    def _ipython_display_(self) -> None:
        from IPython.display import display

        bundle = dict(self._repr_mimebundle_())
        bundle["text/plain"] = self.alt
        display(bundle, raw=True)


def pair_histogram(
    *histograms: PairHistogram,
    names: Sequence[str] = (),
    prediction: float | int | None = None,
    title: str = "",
) -> Picture:
    """Histograms of the cosine over all pairs, one over the other, with a prediction as a dashed line.

    The figure holds one count per bin, trimmed to the bins in use: about 1 kB a histogram. ``prediction`` is a
    cosine; one outside the axis is drawn at its end and named in full.

    >>> pair_histogram(cosine_histogram(W), cosine_histogram(centre(W)), names=("raw", "centred"))
    """
    if names and len(names) != len(histograms):
        raise ValueError(f"{len(histograms)} histograms but {len(names)} names")
    names = tuple(names) or tuple(f"histogram {i + 1}" for i in range(len(histograms)))
    bars = [_bars(h, name, colour) for h, name, colour in zip(histograms, names, COLOURS, strict=False)]
    picture = Picture(bars, alt=_alt(histograms, names, prediction))
    picture.update_layout(
        template="none",
        title={"text": title, "x": 0.02, "xanchor": "left", "font": {"size": 16}},
        barmode="overlay",
        bargap=0,
        height=360,
        margin={"l": 70, "r": 20, "t": 50 if title else 24, "b": 50},
        xaxis={"title": {"text": "cosine of a pair"}, "range": [histograms[0].lo, histograms[0].hi], "zeroline": False},
        yaxis={"title": {"text": "pairs"}, "rangemode": "tozero"},
        legend={"orientation": "h", "x": 1, "xanchor": "right", "y": 1.12},
        showlegend=len(histograms) > 1,
    )
    if prediction is not None:
        _draw_prediction(picture, prediction, histograms[0].lo, histograms[0].hi)
    return picture


def _bars(histogram: PairHistogram, name: str, colour: str) -> go.Bar:
    used = histogram.counts.nonzero()[0]
    first, last = (int(used[0]), int(used[-1])) if len(used) else (0, 0)
    width = (histogram.hi - histogram.lo) / len(histogram.counts)
    return go.Bar(
        x0=round(histogram.lo + (first + 0.5) * width, 6),
        dx=round(width, 6),
        y=[int(count) for count in histogram.counts[first : last + 1]],
        name=name,
        marker={"color": colour, "opacity": 0.75, "line": {"width": 0}},
        hovertemplate="cosine %{x:.2f}: %{y:,} pairs<extra></extra>",
    )


def _draw_prediction(picture: Picture, prediction: float | int, lo: float, hi: float) -> None:
    at = min(max(prediction, lo), hi)
    right_half = at > (lo + hi) / 2
    picture.add_vline(
        x=at,
        line={"color": PREDICTION_COLOUR, "dash": "dash", "width": 2},
        annotation={
            "text": f"your prediction: {prediction:g}",
            "font": {"color": PREDICTION_COLOUR},
            "xanchor": "right" if right_half else "left",
        },
    )


def _alt(histograms: Sequence[PairHistogram], names: Sequence[str], prediction: float | int | None) -> str:
    said = [f"Histogram of the cosine over all {histograms[0].n_pairs:,} pairs."]
    for histogram, name in zip(histograms, names, strict=True):
        used = histogram.counts.nonzero()[0]
        if not len(used):
            continue
        width = (histogram.hi - histogram.lo) / len(histogram.counts)
        low, high = histogram.lo + used[0] * width, histogram.lo + (used[-1] + 1) * width
        peak = histogram.lo + (int(histogram.counts.argmax()) + 0.5) * width
        said.append(f"{name}: from {low:.2f} to {high:.2f}, most near {peak:.2f}.")
    if prediction is not None:
        said.append(f"A dashed line marks your prediction, {prediction:g}.")
    return " ".join(said)
