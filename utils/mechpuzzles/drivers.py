"""Call a learner's hook, or their function of a model, with nothing but plain data around it.

A part names one of these as its ``driver``; the inputs of its cases are then a model's name and plain data. Each side,
the learner's and the grader's, has a model of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from torch import Tensor

if TYPE_CHECKING:
    from transformer_lens import TransformerBridge


@cache
def model_named(name: str) -> TransformerBridge:
    """`mechpuzzles.load_model`, once for each name."""
    from mechpuzzles import load_model

    return load_model(name)


def with_model(function: Callable[..., Any], name: str, *inputs: Any) -> Any:
    """``function(model, *inputs)``."""
    return function(model_named(name), *inputs)


def with_hook(hook: Callable[..., Any], name: str, site: str, tokens: Tensor) -> Tensor:
    """The logits [batch, pos, d_vocab] of ``tokens`` with ``hook(activation, hook=)`` at the hook point ``site``."""
    return model_named(name).run_with_hooks(tokens, fwd_hooks=[(site, hook)])
