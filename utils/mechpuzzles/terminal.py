"""What the commands share: where they write, and how they refuse."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.console import Console

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]

console = Console()
errors = Console(stderr=True)


def print_json(document: Any) -> None:
    """Print a document, and nothing else."""
    typer.echo(json.dumps(document, indent=2))


def refused(why: object) -> typer.Exit:
    """Say why a command does nothing; the exception to raise."""
    errors.print(str(why), style="red", markup=False, soft_wrap=True)
    return typer.Exit(2)
