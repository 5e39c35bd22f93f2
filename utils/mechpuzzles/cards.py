"""What a notebook shows of a verdict: one card, with a picture of yours beside the target, and the same in plain words.

Cards are HTML with their own styles, no scripts, in colours that stay apart for colour-blind readers; an outcome is
also a sign and a word. The page's own ink is kept, so that light and dark themes both work.
"""

from __future__ import annotations

import html
import os
import re
import sys
from collections.abc import Sequence
from typing import Any

import torch

from mechpuzzles import palette
from mechpuzzles.verdicts import Outcome, Verdict

_LOOKS = {  # sign, heading, colour (Okabe and Ito, 2008)
    Outcome.NOT_ATTEMPTED: ("○", "not attempted yet", palette.GREY),
    Outcome.RAISED: ("!", "your code raised an error", palette.PURPLE),
    Outcome.WRONG: ("✗", "not yet", palette.VERMILION),
    Outcome.RIGHT: ("✓", "right on the public checks", palette.GREEN),
}
_FONT = "var(--jp-content-font-family, var(--vscode-font-family, system-ui, sans-serif))"
_ACROSS = 260  # pixels for one of the two, across and down, while its entries can be told apart


def shell() -> Any:
    """IPython's shell, or None where there is none; IPython is not imported for it."""
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython is not None else None


def live() -> bool:
    """Whether a learner looks at a notebook: not a terminal, not nbgrader, not a grader."""
    return hasattr(shell(), "kernel") and not os.environ.get("NBGRADER_EXECUTION")


def show(text: str, page: str = "", markdown: str = "") -> None:
    """Show HTML or Markdown in a live notebook; ``text`` everywhere else, and where neither is rendered."""
    if not live():
        print(text)
        return
    from IPython.display import display

    rich = {"text/html": page} if page else {"text/markdown": markdown}
    display({**rich, "text/plain": text}, raw=True)


def frame(colour: str, body: str, label: str) -> str:
    """A card around ``body``."""
    style = f"border-left: 5px solid {colour}; background: rgba(128, 128, 128, 0.08); padding: 0.6em 1em; "
    style += f"max-width: 54em; font-family: {_FONT}; line-height: 1.5; overflow-x: auto"
    return f'<div role="group" aria-label="{html.escape(label)}" style="{style}">{body}</div>'


def inline(text: str) -> str:
    """Words as HTML: between backticks is code, and a word between stars is stressed."""
    escaped = re.sub(r"`([^`\n]+)`", r"<code>\1</code>", html.escape(text, quote=False))
    return re.sub(r"(?<![\w*])\*(\w+)\*(?![\w*])", r"<em>\1</em>", escaped)


def card(verdict: Verdict, more: str = "") -> str:
    """A verdict as HTML; ``more`` is a last line."""
    sign, heading, colour = _LOOKS[verdict.outcome]
    head, *details = verdict.says
    sentence = head.removeprefix(f"{verdict.part}: ").removeprefix(heading).lstrip(". ")
    sentence = sentence.removeprefix("your code raised ")
    title = f'<strong><span style="color: {colour}">{sign}</span> {heading}</strong>'
    body = [f"<div>{title} &nbsp;<code>{html.escape(verdict.part)}</code></div>"]
    body += [f"<div>{inline(sentence)}</div>"] if sentence else []
    body += [f'<div style="font-size: 0.92em; opacity: 0.85">{_detail(line)}</div>' for line in details]
    body += [_side_by_side(*verdict.beside)] if verdict.beside else []
    body += [f'<div style="font-size: 0.92em; opacity: 0.85">{inline(more)}</div>'] if more else []
    return frame(colour, "".join(body), f"{verdict.part}: {heading}")


def _detail(line: str) -> str:
    """A line of details; code after a colon and two spaces stands as code."""
    words, _, code = line.partition(":  ")
    return f"{inline(words)}: <code>{html.escape(code)}</code>" if code else inline(line)


def _side_by_side(got: torch.Tensor, want: torch.Tensor) -> str:
    """Two tensors of one shape as colours on one scale, the target's; the first entry that differs is framed."""
    apart = ~((got - want).abs() <= 1e-4 * max(1.0, want.abs().max().item()))
    first = int(apart.flatten().nonzero()[0]) if apart.any() else -1
    zero, reach = _scale(want)
    pictures = [
        f'<figure style="margin: 0"><figcaption style="font-size: 0.85em">{name}</figcaption>'
        f"{_colours(((tensor - zero) / reach).reshape(-1, tensor.shape[-1]).tolist(), first, name)}</figure>"
        for name, tensor in (("yours", got), ("target", want))
    ]
    return f'<div style="display: flex; gap: 1.5em; margin-top: 0.5em; flex-wrap: wrap">{"".join(pictures)}</div>'


def _scale(want: torch.Tensor) -> tuple[float, float]:
    """What is drawn grey, and how far from it full colour is: zero and the largest or, far from zero, the middle."""
    low, high = want.min().item(), want.max().item()
    spread = (high - low) / 2
    reach = max(abs(low), abs(high))
    return ((low + high) / 2, spread) if low * high > 0 and 0 < spread < reach / 4 else (0.0, reach or 1.0)


def _colours(rows: Sequence[Sequence[float]], first: int, name: str) -> str:
    """A matrix as squares from orange (-1) over grey to blue (1); NaN is crossed out."""
    columns = len(rows[0])
    side = max(3, min(22, _ACROSS // max(columns, len(rows))))
    drawn = []
    for number, value in enumerate(value for row in rows for value in row):
        x, y = number % columns * side, number // columns * side
        drawn.append(f'<rect x="{x}" y="{y}" width="{side}" height="{side}" fill="{_colour(value)}"/>')
        if value != value:
            drawn.append(f'<path d="M{x} {y}l{side} {side}" stroke="{palette.VERMILION}"/>')
    if first >= 0:
        x, y = first % columns * side, first // columns * side
        place = f'x="{x + 1}" y="{y + 1}" width="{side - 2}" height="{side - 2}"'
        drawn.append(f'<rect {place} fill="none" stroke="{palette.VERMILION}" stroke-width="2"/>')
    words = f"{name}: {len(rows)} by {columns} entries as colours; the first that differs is framed"
    return (
        f'<svg role="img" aria-label="{words}" width="{columns * side}" height="{len(rows) * side}" '
        f'xmlns="http://www.w3.org/2000/svg">{"".join(drawn)}</svg>'
    )


def _colour(value: float) -> str:
    if value != value:
        return "none"
    ends = (230, 159, 0) if value < 0 else (0, 114, 178)
    share = min(1.0, abs(value))
    return "#" + "".join(f"{round(235 + (end - 235) * share):02x}" for end in ends)
