"""Mech Interp Puzzles: real questions about real models, with answers that are checked.

Importing this package loads nothing heavy: each public name is imported from its module on first use.
"""

from importlib import import_module

__version__ = "0.1.0"

_HOME_OF = {
    "Part": "puzzle",
    "Puzzle": "puzzle",
    "Symptom": "puzzle",
    "load_model": "models",
    "load_puzzle": "puzzle",
}

__all__ = ["__version__", *_HOME_OF]


def __getattr__(name: str):
    """Import a public name from its module when it is first asked for (PEP 562)."""
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
