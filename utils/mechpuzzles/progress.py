"""How far the learner is, from their own log: what is right, what comes next, and how good their guesses are.

Nothing leaves the machine; `mechpuzzles.journal` is the log.
"""

from __future__ import annotations

import html
import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mechpuzzles import cards, folders, index, journal, palette

if TYPE_CHECKING:
    from mechpuzzles.parts import Prediction
    from mechpuzzles.plots import Picture
    from mechpuzzles.puzzle import Puzzle

_COLOURS = {"done": palette.GREEN, "begun": palette.ORANGE, "new": palette.GREY}


@dataclass(frozen=True)
class Progress:
    """One puzzle's: how many of its ``parts`` were found ``right``, and whether anything was ``tried``."""

    right: int
    parts: int
    tried: bool = False

    @property
    def done(self) -> bool:
        return self.right == self.parts

    @property
    def word(self) -> str:
        return "done" if self.done else "begun" if self.tried else "new"


def overview(puzzles: Iterable[Puzzle]) -> dict[str, Progress]:
    """The learner's progress by slug; a part is right when any check of it was."""
    tried: set[str] = set()
    right: set[tuple[str, str]] = set()
    for entry in journal.everything():
        if entry.get("kind") == "check" and entry.get("outcome") != "not attempted":
            tried.add(str(entry.get("puzzle")))
            if entry.get("outcome") == "right":
                right.add((str(entry.get("puzzle")), str(entry.get("part"))))
    return {
        puzzle.slug: Progress(
            sum((puzzle.slug, part.name) in right for part in puzzle.parts), len(puzzle.parts), puzzle.slug in tried
        )
        for puzzle in puzzles
    }


def following(puzzles: Sequence[Puzzle], so_far: dict[str, Progress]) -> Puzzle | None:
    """The puzzle to go on with: one that was begun, else the first that is not done and whose prerequisites are."""
    left = [puzzle for puzzle in puzzles if not so_far[puzzle.slug].done]
    begun = [puzzle for puzzle in left if so_far[puzzle.slug].tried]
    ready = [puzzle for puzzle in left if all(so_far[slug].done for slug in puzzle.after)]
    return next(iter([*begun, *ready, *left]), None)


def show() -> None:
    """Show the map of the series with the learner's progress, the principles they have earned, and what comes next."""
    cards.show(*pages())


def pages() -> tuple[str, str]:
    """What `show` shows, as text and as HTML."""
    puzzles = folders.released()
    so_far = overview(puzzles)
    return _in_words(puzzles, so_far), _page(puzzles, so_far)


def _in_words(puzzles: Sequence[Puzzle], so_far: dict[str, Progress]) -> str:
    lines = [f"{so_far[p.slug].right} of {so_far[p.slug].parts}  {p.title} ({p.minutes} minutes)" for p in puzzles]
    upcoming = following(puzzles, so_far)
    return "\n".join([*lines, f"Next: {upcoming.title}" if upcoming else "You have done them all."])


def _page(puzzles: Sequence[Puzzle], so_far: dict[str, Progress]) -> str:
    upcoming = following(puzzles, so_far)
    titles = {puzzle.slug: puzzle.title for puzzle in puzzles}
    right, parts = sum(p.right for p in so_far.values()), sum(p.parts for p in so_far.values())
    first = f"<strong>{right} of {parts}</strong> parts right. "
    first += f"Next: <strong>{_link(upcoming)}</strong>" if upcoming else "You have done them all."
    cells = "border: none; text-align: left; padding: 0.25em 0.8em 0.25em 0"
    names = ("", "puzzle", "minutes", "after", "question; once all parts are right, its principle")
    heads = "".join(f'<th scope="col" style="{cells}">{name}</th>' for name in names)
    rows = []
    for puzzle in puzzles:
        had = so_far[puzzle.slug]
        after = ", ".join(html.escape(titles[slug]) for slug in puzzle.after) or "-"
        told = f"<strong>{html.escape(puzzle.principle)}</strong>" if had.done else html.escape(puzzle.question)
        columns = (_dots(had), _link(puzzle), str(puzzle.minutes), after, told)
        rows.append("<tr>" + "".join(f'<td style="{cells}">{column}</td>' for column in columns) + "</tr>")
    colours = {slug: _COLOURS[had.word] for slug, had in so_far.items()}
    drawn = f'<div style="overflow-x: auto; margin-top: 0.8em">{index.series_map(puzzles, colours)}</div>'
    table = f'<table style="border-collapse: collapse; margin-top: 0.6em"><thead><tr>{heads}</tr></thead>'
    return f'<div style="line-height: 1.4">{first}{drawn}{table}<tbody>{"".join(rows)}</tbody></table></div>'


def _link(puzzle: Puzzle) -> str:
    return f'<a href="{puzzle.slug}/{puzzle.slug}.ipynb">{html.escape(puzzle.title)}</a>'


def _dots(had: Progress) -> str:
    """A dot for each part, filled where it is right; the words are read aloud."""
    words = f"{had.word}: {had.right} of {had.parts} parts right"
    dots = "●" * had.right + "○" * (had.parts - had.right)
    style = f"color: {_COLOURS[had.word]}; white-space: nowrap"
    return f'<span role="img" aria-label="{words}" title="{words}" style="{style}">{dots}</span>'


# Predictions -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Guess:
    """A prediction and what was found."""

    puzzle: str
    name: str
    value: Any
    found: Any
    hit: bool
    sure: float | int | None


def guesses() -> list[Guess]:
    """The learner's predictions for which something was found, one of each name, in the order of the series.

    What counts is the last guess before the first finding: who has seen the picture no longer predicts. It is held
    against the latest finding, which may come from functions that have been put right since.
    """
    log = [entry for entry in journal.everything() if entry.get("kind") in ("prediction", "found")]
    each = [_guess(puzzle.slug, prediction, log) for puzzle in folders.released() for prediction in puzzle.predictions]
    return [guess for guess in each if guess is not None]


def _guess(slug: str, prediction: Prediction, log: Iterable[dict[str, Any]]) -> Guess | None:
    about = [entry for entry in log if (entry.get("puzzle"), entry.get("name")) == (slug, prediction.name)]
    about = [entry for entry in about if prediction.plain(entry.get("value")) is not None]  # else an older release's
    before = list(itertools.takewhile(lambda entry: entry["kind"] == "prediction", about))
    found = [entry["value"] for entry in about if entry["kind"] == "found"]
    if not (before and found):
        return None
    value, sure = before[-1]["value"], before[-1].get("sure")
    return Guess(slug, prediction.name, value, found[-1], prediction.hit(value, found[-1]), sure)


def calibration() -> Picture | None:
    """How often the learner was right, by how sure they said they were, over all puzzles; None before any is known.

    Guesses are gathered in fifths of ``sure``; a point's height is the share that was right. On the diagonal, 70 %
    sure is right 7 times of 10; below it, one is too sure. Source: Brier (1950), "Verification of forecasts".
    """
    known = guesses()
    if not known:
        print("Your guesses appear here beside what was found, once a puzzle has told you.")
        return None
    for guess in known:
        value, found = (f"{v:.3g}" if isinstance(v, float) else str(v) for v in (guess.value, guess.found))
        surely = "" if guess.sure is None else f", {guess.sure:.0%} sure"
        verdict = "right" if guess.hit else "wrong"
        print(f"{verdict}  {guess.puzzle}, {guess.name}: you said {value}{surely}; found {found}")
    sure = [guess for guess in known if guess.sure is not None]
    if not sure:
        print(
            "Say how sure you are, puzzle.predict(..., sure=0.7), and a picture of how well you know it is drawn here."
        )
        return None
    return _reliability(sure)


def _reliability(known: Sequence[Guess]) -> Picture:
    import plotly.graph_objects as go

    from mechpuzzles.plots import COLOURS, GRID, INK, Picture, dress

    count: Counter[int] = Counter()
    right: Counter[int] = Counter()
    total: Counter[int] = Counter()
    for guess in known:
        fifth = min(4, int(5 * (guess.sure or 0.0)))
        count[fifth] += 1
        right[fifth] += guess.hit
        total[fifth] += round(100 * (guess.sure or 0.0))
    at = sorted(count)
    x, y = [total[b] / count[b] / 100 for b in at], [right[b] / count[b] for b in at]
    labels = [f"{right[b]} of {count[b]}" for b in at]
    said = ", ".join(f"{100 * a:.0f} % sure: {label} right" for a, label in zip(x, labels, strict=True))
    brier = sum(((g.sure or 0.0) - g.hit) ** 2 for g in known) / len(known)
    picture = Picture(
        [
            go.Scatter(x=[0, 1], y=[0, 1], mode="lines", line={"color": GRID, "width": 2}, hoverinfo="skip"),
            go.Scatter(x=x, y=y, mode="markers+text", text=labels, textposition="top center", cliponaxis=False),
        ],
        alt=f"Share of your guesses that were right, over how sure you were. {said}. Brier score {brier:.2f}.",
    )
    dress(picture, "how sure you were", "share that was right")
    picture.update_traces(marker={"color": COLOURS[0], "size": 12}, textfont={"color": INK})
    picture.update_layout(showlegend=False, title={"text": f"{len(known)} guesses, Brier score {brier:.2f}", "x": 0.5})
    picture.update_xaxes(range=[-0.05, 1.05], tickformat=".0%")
    picture.update_yaxes(range=[-0.05, 1.15], tickformat=".0%")
    return picture
