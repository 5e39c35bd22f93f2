"""Pictures that carry counts and summaries, never raw pairs, and say in words what one sees."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from mechpuzzles import cards, palette

if TYPE_CHECKING:
    from mechpuzzles.geometry import PairHistogram

# Okabe and Ito's colours, which stay apart for colour-blind readers (2008, "Color Universal Design").
COLOURS = (palette.BLUE, palette.ORANGE, palette.GREEN, palette.PURPLE)
PREDICTION_COLOUR = palette.VERMILION
# Readable on a white page and on a black one.
INK, GRID, CLEAR = palette.GREY, "rgba(128, 128, 128, 0.2)", "rgba(0, 0, 0, 0)"
INVISIBLE = "\u200b"  # a space of no width
_ELSEWHERE = {  # where plotly shows a figure in another way than in JupyterLab and VS Code (plotly.io._renderers)
    *("PLOTLY_RENDERER", "COLAB_NOTEBOOK_ID", "AZURE_NOTEBOOKS_HOST"),
    *("COCALC_PROJECT_ID", "DATABRICKS_RUNTIME_VERSION", "KAGGLE_KERNEL_RUN_TYPE"),
}


class Picture(go.Figure):
    """A plotly figure with ``alt``, the words shown where figures are not, and read aloud where they are."""

    alt: str

    def __init__(self, *args: Any, alt: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        object.__setattr__(self, "alt", alt)

    def say(self, more: str) -> None:
        """Add a sentence to ``alt``."""
        object.__setattr__(self, "alt", f"{self.alt} {more}".strip())

    def _ipython_display_(self) -> None:
        from IPython.display import display

        display({**self._bundle(), "text/plain": self.alt}, raw=True)

    def _bundle(self) -> dict[str, Any]:
        """What plotly would show: in a Jupyter kernel, without its two seconds of importing all its other ways."""
        in_jupyter = cards.live() and "plotly.io._renderers" not in sys.modules and not os.environ.keys() & _ELSEWHERE
        if not in_jupyter:
            return dict(self._repr_mimebundle_())
        return {"application/vnd.plotly.v1+json": json.loads(self.to_json())}


def lines(
    x: Sequence[Any],
    y: Mapping[str, Any],
    *,
    x_title: str,
    y_title: str,
    prediction: float | int | None = None,
    log_y: bool = False,
) -> Picture:
    """One line with markers for each name in ``y``, over the same ``x``; a predicted value of y as a dashed line.

    Where ``x`` are strings they are evenly spaced, also those that read like numbers ("75 %").

    >>> lines(range(3), {"trained": [1.0, 2.0, 4.0]}, x_title="layer", y_title="norm")
    """
    traces = [
        go.Scatter(x=_plain(x), y=_plain(values), name=name, mode="lines+markers", line=_line(i))
        for i, (name, values) in enumerate(y.items())
    ]
    said = [f"{name}: from {_plain(values)[0]:.3g} to {_plain(values)[-1]:.3g}." for name, values in y.items()]
    picture = Picture(traces, alt=" ".join([f"{y_title} over {x_title}.", *said]))
    dress(picture, x_title, y_title)
    picture.update_layout(showlegend=len(y) > 1)
    picture.update_yaxes(type="log" if log_y else "linear")
    if any(isinstance(at, str) for at in x):
        picture.update_xaxes(type="category")
    return _predicted(picture, prediction)


def _line(number: int) -> dict[str, str]:
    """A colour for each of four lines; four more are dotted."""
    dotted = {} if number < len(COLOURS) else {"dash": "dot"}
    return {"color": COLOURS[number % len(COLOURS)], **dotted}


def bars(
    values: Mapping[str, Any],
    *,
    y_title: str,
    x_title: str = "",
    prediction: float | int | None = None,
) -> Picture:
    """A bar for each name or, from a mapping of mappings, a group of bars with one colour for each inner name.

    >>> bars({"zero": {"head 0": 3.9}, "mean": {"head 0": 0.04}}, y_title="effect, logits")
    """
    groups: Mapping[str, Any] = {"": values} if all(isinstance(v, int | float) for v in values.values()) else values
    traces = [
        go.Bar(x=list(group), y=_plain(group.values()), name=name, marker={"color": COLOURS[i % len(COLOURS)]})
        for i, (name, group) in enumerate(groups.items())
    ]
    said = [f"{name} {label}: {value:.3g}.".strip() for name, group in groups.items() for label, value in group.items()]
    picture = Picture(traces, alt=" ".join([f"{y_title}.", *said]))
    dress(picture, x_title, y_title)
    picture.update_layout(showlegend=len(groups) > 1, barmode="group")
    picture.update_xaxes(type="category")
    return _predicted(picture, prediction)


def heatmap(
    values: Any, *, rows: Sequence[Any], columns: Sequence[Any], x_title: str, y_title: str, colour_title: str
) -> Picture:
    """A matrix as colours around zero, or above it, with its entries written into it where there are few.

    Labels may repeat, as the tokens of a text do: each keeps its own row or column.

    >>> heatmap(scores, rows=["L0", "L1"], columns=["H0", "H1"], x_title="head", y_title="layer", colour_title="score")
    """
    z = [[float(f"{value:.4g}") for value in row] for row in values]
    reach = max((abs(value) for row in z for value in row), default=1.0) or 1.0
    signed = any(value < 0 for row in z for value in row)
    colours = [COLOURS[1], "#F5F5F5", COLOURS[0]] if signed else ["#F5F5F5", COLOURS[0]]
    few = len(z) * len(z[0]) <= 100
    ticks = _apart(columns)
    trace = go.Heatmap(
        z=z,
        x=ticks,
        y=_apart(rows),
        zmin=-reach if signed else 0,
        zmax=reach,
        colorscale=[[i / (len(colours) - 1), colour] for i, colour in enumerate(colours)],
        colorbar={"title": {"text": colour_title}},
        texttemplate="%{z:.2f}" if few else None,
    )
    entries = [(z[i][j], str(row), str(column)) for i, row in enumerate(rows) for j, column in enumerate(columns)]
    value, row, column = max(entries, key=lambda entry: abs(entry[0]))
    extreme = f"{'farthest from zero' if signed else 'largest'} at {row}, {column}: {value:.3g}."
    picture = Picture(trace, alt=f"{colour_title} by {y_title} and {x_title}; {extreme}")
    dress(picture, x_title, y_title)
    picture.update_yaxes(autorange="reversed")
    if ticks != [str(column) for column in columns]:  # running text: leave no word of it out
        picture.update_xaxes(dtick=1)
    picture.update_layout(height=max(260, min(640, 90 + 34 * len(z))))
    return picture


def _apart(labels: Sequence[Any]) -> list[str]:
    """The labels as strings that all differ: plotly merges equal ones, so repeated ones end in invisible spaces."""
    seen: Counter[str] = Counter()
    apart = []
    for label in map(str, labels):
        apart.append(label + INVISIBLE * seen[label])
        seen[label] += 1
    return apart


def _plain(values: Any) -> list[Any]:
    """Plain numbers of four digits: a figure carries no more than one can see."""
    plain = [value.item() if hasattr(value, "item") else value for value in values]
    return [float(f"{value:.4g}") if isinstance(value, float) else value for value in plain]


def dress(picture: Picture, x_title: str, y_title: str) -> None:
    picture.update_layout(
        template="none",
        height=360,
        margin={"l": 70, "r": 20, "t": 40, "b": 50},
        font={"color": INK, "size": 13},
        paper_bgcolor=CLEAR,
        plot_bgcolor=CLEAR,
        legend={"orientation": "h", "x": 0, "y": 1.12},
    )
    grid = {"zeroline": False, "gridcolor": GRID, "automargin": True}  # tilted labels push the title out of their way
    picture.update_xaxes(title={"text": x_title}, **grid)
    picture.update_yaxes(title={"text": y_title, "standoff": 8}, **grid)  # and so do long ones


def _predicted(picture: Picture, prediction: float | int | None) -> Picture:
    if prediction is not None:
        picture.add_hline(
            y=prediction,
            line={"color": PREDICTION_COLOUR, "dash": "dash", "width": 2},
            annotation={"text": f"your prediction: {prediction:g}", "font": {"color": PREDICTION_COLOUR, "size": 14}},
        )
        picture.say(f"A dashed line marks your prediction, {prediction:g}.")
    return picture


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
    dress(picture, "", "pairs")
    picture.update_layout(bargap=0, showlegend=False, height=80 + 170 * len(histograms))
    picture.update_xaxes(range=[lo, hi])
    picture.update_xaxes(title={"text": "cosine of a pair"}, row=len(histograms))
    picture.update_yaxes(rangemode="tozero", nticks=4)
    picture.say(_alt(histograms, names, prediction))
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
        width=round(width, 6),
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
