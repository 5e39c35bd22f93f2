"""Pictures that carry counts and summaries, never raw pairs, and say in words what one sees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

if TYPE_CHECKING:
    from mechpuzzles.geometry import PairHistogram

# Okabe and Ito's colours, which stay apart for colour-blind readers (2008, "Color Universal Design").
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7")
PREDICTION_COLOUR = "#D55E00"
# Readable on a white page and on a black one.
INK, GRID, CLEAR = "#808080", "rgba(128, 128, 128, 0.2)", "rgba(0, 0, 0, 0)"


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
    *histograms: PairHistogram, names: Sequence[str] = (), prediction: float | int | None = None
) -> Picture:
    """Histograms of the cosine over all pairs, one below the other on one axis, each with its mean as a line.

    The figure holds one count per bin, trimmed to the bins in use: about 1 kB a histogram. The means are those of the
    bins' centres, right to half a bin. ``prediction``, a cosine, is drawn as a dashed line into the last histogram.

    >>> pair_histogram(cosine_histogram(W), cosine_histogram(centre(W)), names=("raw", "centred"))
    """
    names = tuple(names) or tuple(f"histogram {i + 1}" for i in range(len(histograms)))
    if len(names) != len(histograms):
        raise ValueError(f"{len(histograms)} histograms but {len(names)} names")
    lo, hi = histograms[0].lo, histograms[0].hi
    picture = Picture(make_subplots(rows=len(histograms), shared_xaxes=True, vertical_spacing=0.06))
    for row, (histogram, name) in enumerate(zip(histograms, names, strict=True), start=1):
        colour = COLOURS[(row - 1) % len(COLOURS)]
        picture.add_trace(_bars(histogram, name, colour), row=row, col=1)
        _label(picture, row, f"<b>{name}</b>: mean {_mean(histogram):z.2f}")
        picture.add_vline(x=_mean(histogram), line={"color": colour, "width": 2}, row=row, col=1)
    if prediction is not None:
        _draw_prediction(picture, prediction, histograms)
    picture.update_layout(
        template="none",
        bargap=0,
        showlegend=False,
        height=80 + 170 * len(histograms),
        margin={"l": 60, "r": 20, "t": 30, "b": 50},
        font={"color": INK, "size": 13},
        paper_bgcolor=CLEAR,
        plot_bgcolor=CLEAR,
    )
    picture.update_xaxes(range=[lo, hi], zeroline=False, gridcolor=GRID)
    picture.update_xaxes(title={"text": "cosine of a pair"}, row=len(histograms))
    picture.update_yaxes(title={"text": "pairs"}, rangemode="tozero", zeroline=False, gridcolor=GRID, nticks=4)
    object.__setattr__(picture, "alt", _alt(histograms, names, prediction))
    return picture


def _mean(histogram: PairHistogram) -> float:
    return float(histogram.counts @ histogram.centres / histogram.counts.sum())


def _bars(histogram: PairHistogram, name: str, colour: str) -> go.Bar:
    used = histogram.counts.nonzero()[0]
    first, last = int(used[0]), int(used[-1])
    width = (histogram.hi - histogram.lo) / len(histogram.counts)
    return go.Bar(
        x0=round(histogram.lo + (first + 0.5) * width, 6),
        dx=round(width, 6),
        y=[int(count) for count in histogram.counts[first : last + 1]],
        name=name,
        marker={"color": colour, "opacity": 0.8, "line": {"width": 0}},
        hovertemplate="cosine %{x:.2f}: %{y:,} pairs<extra></extra>",
    )


def _label(picture: Picture, row: int, text: str) -> None:
    """Write into a panel's top left corner."""
    axis = "" if row == 1 else str(row)
    place = {
        "x": 0.01,
        "xref": f"x{axis} domain",
        "xanchor": "left",
        "y": 0.98,
        "yref": f"y{axis} domain",
        "yanchor": "top",
    }
    picture.add_annotation(text=text, showarrow=False, font={"size": 14}, **place)


def _draw_prediction(picture: Picture, prediction: float | int, histograms: Sequence[PairHistogram]) -> None:
    last = histograms[-1]
    at = min(max(prediction, last.lo), last.hi)
    # The words stand on the side away from the mean, where there are fewer bars, unless the edge is near.
    near_right, near_left = at > last.hi - 0.2 * (last.hi - last.lo), at < last.lo + 0.2 * (last.hi - last.lo)
    to_the_left = near_right or (at < _mean(last) and not near_left)
    row = len(histograms)
    axis = "" if row == 1 else str(row)
    picture.add_vline(x=at, line={"color": PREDICTION_COLOUR, "dash": "dash", "width": 2}, row=row, col=1)
    picture.add_annotation(
        text=f"your prediction: {prediction:g}",
        x=at,
        xref=f"x{axis}",
        xanchor="right" if to_the_left else "left",
        y=0.8,
        yref=f"y{axis} domain",
        showarrow=False,
        font={"color": PREDICTION_COLOUR, "size": 14},
    )


def _alt(histograms: Sequence[PairHistogram], names: Sequence[str], prediction: float | int | None) -> str:
    said = [f"Histogram of the cosine over all {histograms[0].n_pairs:,} pairs."]
    for histogram, name in zip(histograms, names, strict=True):
        used = histogram.edges[:-1][histogram.counts > 0]
        said.append(f"{name}: mean {_mean(histogram):z.2f}, from {used[0]:.2f} to {used[-1]:.2f}.")
    if prediction is not None:
        said.append(f"A dashed line marks your prediction, {prediction:g}.")
    return " ".join(said)
