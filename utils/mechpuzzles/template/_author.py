"""new_puzzle, for authors only: wrong answers, other right answers, and why it is built so."""

import torch

from mechpuzzles.puzzle import Alternative, Mutant

DESIGN_NOTE = """
What the fixtures must contain, and why. What was tried on people, and what that changed.
"""


def averages(W):
    return W.mean(1)


MUTANTS = (Mutant("row_sums", "averaged", averages),)


def sums_in_a_loop(W):
    return torch.stack([row.sum() for row in W])


ALTERNATIVES = (Alternative("row_sums", "loop", sums_in_a_loop),)
