"""Submissions of a puzzle, made from its release as a learner would fill it in."""

import re

from mechpuzzles.typed import mutant_source, right_value_source, solutions_of, submit, value_source

__all__ = ["fragment", "mutant_source", "right_value_source", "solutions_of", "submit", "value_source"]


def fragment(says: str) -> str:
    """The longest piece of a symptom's sentence that is the same for all inputs, to be looked for on a page."""
    return " ".join(max(re.split(r"\{\w+\}", says), key=len).split())
