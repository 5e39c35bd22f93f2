"""Shape annotations that speak: in a notebook, `Float[Tensor, "n d_model"]` on a function is checked at its calls.

    >>> centre(W_E[0])
    centre: W should be [n, d_model]; it is [64].

jaxtyping does the checking (P. Kidger, 2022); this module switches it on for what is typed into a notebook, and says
what it finds in one line. Graders and checks call the function underneath: they have words of their own.
"""

from __future__ import annotations

import ast
import builtins
import functools
import inspect
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import AbstractArray, jaxtyped

from mechpuzzles.answers import show_shape, with_article
from mechpuzzles.verdicts import PlainError

_NAME = "__mechpuzzles_checked__"  # what a cell calls the decorator
_ANY_NUMBER = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class WrongShape(PlainError, TypeError):
    """A tensor has another shape, or another kind of numbers, than its annotation says."""


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with its tensor annotations checked at every call; without any, the function itself.

    Raises `WrongShape`, a line that names the axes. Its ``unchecked`` is the function.
    """
    hints = _hints(function)
    if not hints:
        return function
    signature = inspect.signature(function)

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True  # IPython leaves this frame out
        sizes: dict[str, tuple[str, int]] = {}
        with jaxtyped("context"):
            for name, value in _given(signature, args, kwargs).items():
                if name in hints and not isinstance(value, hints[name]):
                    raise WrongShape(f"{function.__name__}: {name} should {_problem(value, hints[name], sizes)}.")
                sizes = {axis: (name, size) for axis, size in _named(value, hints.get(name)).items()} | sizes
            value = function(*args, **kwargs)
            # A stub returns ..., and numpy's arrays are as good: a check tells what else is wrong.
            if isinstance(value, torch.Tensor) and not isinstance(value, hints.get("return", object)):
                raise WrongShape(f"{function.__name__}: the result should {_problem(value, hints['return'], sizes)}.")
        return value

    wrapper.unchecked = function  # type: ignore[attr-defined]
    return wrapper


def _given(signature: inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a call by name; none where they do not fit, which the call then says in Python's own words."""
    try:
        return signature.bind(*args, **kwargs).arguments
    except TypeError:
        return {}


def _hints(function: Any) -> dict[str, Any]:
    """The annotations of a function that are shapes of tensors, in the order of its arguments."""
    if not inspect.isfunction(function):
        return {}
    found = {name: hint for name, hint in function.__annotations__.items() if _is_shape(hint)}
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind in _ANY_NUMBER:
            found.pop(name, None)
    return found


def _is_shape(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, AbstractArray) and hint.array_type is torch.Tensor


def _problem(value: Any, hint: Any, sizes: dict[str, tuple[str, int]]) -> str:
    """What ``value`` should be and what it is; ``sizes`` has the axes known so far: whose, and how long."""
    axes = hint.dim_str.split()
    wanted = "[" + ", ".join(axes) + "]" if axes else "a single number"
    if not isinstance(value, torch.Tensor):
        return f"be a tensor, {wanted}; it is {with_article(type(value).__name__)}"
    if not isinstance(value, hint.dtype[torch.Tensor, "..."]):
        kind = str(value.dtype).removeprefix("torch.")
        return f"hold {hint.dtype.__name__.lower()} numbers; it holds {kind}"
    for axis, size in _named(value, hint).items():
        whose, known = sizes.get(axis, ("", size))
        if size != known:
            return f"be {wanted}; it is {show_shape(value.shape, hint.dim_str)}, but {axis}={known} in {whose}"
    return f"be {wanted}; it is {show_shape(value.shape)}"


def _named(value: Any, hint: Any) -> dict[str, int]:
    """The sizes of the axes that have a plain name."""
    axes = hint.dim_str.split() if hint else []
    if not axes or len(axes) != value.ndim:
        return {}
    return {axis: size for axis, size in zip(axes, value.shape, strict=True) if axis.isidentifier()}


class _Decorate(ast.NodeTransformer):
    """Decorates the functions of a cell that have annotations."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        if node.returns is not None or any(argument.annotation is not None for argument in arguments):
            first = node.decorator_list[0] if node.decorator_list else node  # where the source of the function begins
            node.decorator_list.insert(0, ast.copy_location(ast.Name(_NAME, ast.Load()), first))
        return node  # functions inside are left alone

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AsyncFunctionDef:
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        return node


def switch_on(shell: Any) -> None:
    """Have an IPython shell check the annotations of functions that are defined in its cells from now on."""
    if not any(isinstance(transformer, _Decorate) for transformer in shell.ast_transformers):
        setattr(builtins, _NAME, checked)
        shell.ast_transformers.append(_Decorate())
