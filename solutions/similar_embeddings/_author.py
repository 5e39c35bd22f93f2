"""Suspiciously similar embeddings, for authors only: wrong answers, other right answers, and why it is built so."""

import math

import einops
import numpy as np
import torch
import torch.nn.functional as F

from mechpuzzles.puzzle import Alternative, Mutant

DESIGN_NOTE = """
One principle: a cosine is measured from an origin. The parts follow the argument: measure the surprise exactly, find
who is responsible (the mean), take it away, and say in one number how far the origin lies from the cloud.

Fixtures have few rows (a kept diagonal shows), log-normal lengths (with equal lengths "centre then normalise" and the
reverse agree), and a common offset whose coordinates do not average to zero (else subtracting each row's own mean would
go unnoticed). One case has no offset: there absolute values and "already centred" show.

The mean over all pairs has two more cases. At 3,000 rows an n-by-n matrix still fits everywhere, and is refused; at
100,000 rows, anything quadratic in time runs into the limit. Their truth is exact, because the rows have few directions.

Centring makes the mean cosine nearly zero by arithmetic, whatever the matrix: the centred rows sum to nothing. The
notebook says so and uses two antipodal clusters and random rows against reading too much into it.
"""


# ---- mean_pairwise_cosine: wrong ----------------------------------------------------------------------------------


def keeps_the_diagonal(W):
    U = W / W.norm(dim=-1, keepdim=True)
    return (U @ U.T).mean()


def halves_the_pairs(W):
    U = W / W.norm(dim=-1, keepdim=True)
    return torch.triu(U @ U.T, diagonal=1).sum() / (len(W) * (len(W) - 1))


def divides_by_n_squared(W):
    U = W / W.norm(dim=-1, keepdim=True)
    return (U.sum(0).square().sum() - len(W)) / len(W) ** 2


def forgets_to_normalise(W):
    s = W.sum(0)
    return (s @ s - (W * W).sum()) / (len(W) * (len(W) - 1))


def takes_absolute_values(W):
    C = F.normalize(W, dim=-1) @ F.normalize(W, dim=-1).T
    off = ~torch.eye(len(W), dtype=torch.bool)
    return C[off].abs().mean()


def centres_each_row(W):
    return closed_form(W - W.mean(-1, keepdim=True))


def centres_first(W):
    return closed_form(W - W.mean(0))


def normalises_columns(W):
    U = F.normalize(W, dim=0)
    s = U.sum(0)
    return (s @ s - (U * U).sum()) / (len(W) * (len(W) - 1))


def compares_with_the_mean(W):
    return F.cosine_similarity(W, W.mean(0, keepdim=True), dim=-1).mean()


def builds_the_matrix(W):
    U = F.normalize(W, dim=-1)
    C = U @ U.T
    return (C.sum() - C.trace()) / (len(W) * (len(W) - 1))


def builds_the_matrix_in_numpy(W):
    U = W.numpy() / np.linalg.norm(W.numpy(), axis=1, keepdims=True)
    C = U @ U.T
    return float((C.sum() - np.trace(C)) / (len(U) * (len(U) - 1)))


def goes_row_by_row(W):
    U = F.normalize(W, dim=-1)
    return (sum((U @ u).sum() for u in U) - len(U)) / (len(U) * (len(U) - 1))


def takes_the_first_tokens(W):
    return closed_form(W[:2000])


def takes_a_random_subsample(W):
    return closed_form(W[torch.randperm(len(W), generator=torch.Generator().manual_seed(0))[:1000]])


# ---- cosine_to_mean: wrong ----------------------------------------------------------------------------------------


def forgets_the_row_length(W):
    m = W.mean(0)
    return W @ (m / m.norm())


def forgets_the_mean_length(W):
    return F.normalize(W, dim=-1) @ W.mean(0)


def forgets_both_lengths(W):
    return W @ W.mean(0)


def averages_directions(W):
    U = F.normalize(W, dim=-1)
    return F.cosine_similarity(U, U.mean(0, keepdim=True), dim=-1)


def averages_the_answer(W):
    return F.cosine_similarity(W, W.mean(0, keepdim=True), dim=-1).mean()


def averages_pairs_per_token(W):
    U = F.normalize(W, dim=-1)
    return ((U @ U.T).sum(1) - 1) / (len(W) - 1)


# ---- centre: wrong ------------------------------------------------------------------------------------------------


def subtracts_the_row_mean(W):
    return W - W.mean(dim=-1, keepdim=True)


def subtracts_one_number(W):
    return W - W.mean()


def normalises_then_centres(W):
    U = F.normalize(W, dim=-1)
    return U - U.mean(0)


def centres_then_normalises(W):
    return F.normalize(W - W.mean(0), dim=-1)


def standardises(W):
    return (W - W.mean(0)) / W.std(0)


def projects_the_mean_out(W):
    m = F.normalize(W.mean(0), dim=0)
    return W - torch.outer(W @ m, m)


def adds_the_mean(W):
    return W + W.mean(0)


def centres_in_place(W):
    W -= W.mean(0)
    return W


# ---- offset_ratio: wrong ------------------------------------------------------------------------------------------


def turns_it_upside_down(W):
    return W.norm(dim=-1).mean() / W.mean(0).norm()


def takes_the_root_mean_square(W):
    return W.mean(0).norm() / (W * W).sum(-1).mean().sqrt()


def normalises_before_averaging(W):
    return F.normalize(W, dim=-1).mean(0).norm()


def averages_before_the_norm(W):
    return W.mean(0).norm() / W.mean(0).norm().mean()


def divides_by_the_whole_matrix(W):
    return W.mean(0).norm() / W.norm()


MUTANTS = (
    Mutant("mean_pairwise_cosine", "diagonal_kept", keeps_the_diagonal),
    Mutant("mean_pairwise_cosine", "pairs_miscounted", halves_the_pairs),
    Mutant("mean_pairwise_cosine", "divided_by_all_pairs", divides_by_n_squared),
    Mutant("mean_pairwise_cosine", "dot_products", forgets_to_normalise),
    Mutant("mean_pairwise_cosine", "absolute_values", takes_absolute_values),
    Mutant("mean_pairwise_cosine", "row_mean_subtracted", centres_each_row),
    Mutant("mean_pairwise_cosine", "already_centred", centres_first),
    Mutant("mean_pairwise_cosine", "columns_normalised", normalises_columns),
    Mutant("mean_pairwise_cosine", "to_the_mean", compares_with_the_mean),
    Mutant("mean_pairwise_cosine", "n_by_n", builds_the_matrix),
    Mutant("mean_pairwise_cosine", "n_by_n", builds_the_matrix_in_numpy),
    Mutant("mean_pairwise_cosine", "n_by_n", goes_row_by_row),
    Mutant("mean_pairwise_cosine", "subsample", takes_the_first_tokens),
    Mutant("mean_pairwise_cosine", "subsample", takes_a_random_subsample),
    Mutant("cosine_to_mean", "dot_products", forgets_both_lengths),
    Mutant("cosine_to_mean", "one_length_missing", forgets_the_row_length),
    Mutant("cosine_to_mean", "mean_not_normalised", forgets_the_mean_length),
    Mutant("cosine_to_mean", "mean_of_directions", averages_directions),
    Mutant("cosine_to_mean", "averaged_away", averages_the_answer),
    Mutant("cosine_to_mean", "mean_pairwise", averages_pairs_per_token),
    Mutant("centre", "row_mean_subtracted", subtracts_the_row_mean),
    Mutant("centre", "scalar_mean_subtracted", subtracts_one_number),
    Mutant("centre", "normalised_before_centring", normalises_then_centres),
    Mutant("centre", "normalised_after_centring", centres_then_normalises),
    Mutant("centre", "standardised", standardises),
    Mutant("centre", "direction_projected_out", projects_the_mean_out),
    Mutant("centre", "mean_added", adds_the_mean),
    Mutant("centre", "changes_its_input", centres_in_place),
    Mutant("offset_ratio", "upside_down", turns_it_upside_down),
    Mutant("offset_ratio", "norm_of_norms", takes_the_root_mean_square),
    Mutant("offset_ratio", "mean_of_directions", normalises_before_averaging),
    Mutant("offset_ratio", "always_one", averages_before_the_norm),
    Mutant("offset_ratio", "frobenius", divides_by_the_whole_matrix),
)


# ---- right, in other styles ---------------------------------------------------------------------------------------


def closed_form(W):
    U = W / W.norm(dim=-1, keepdim=True)
    n = len(W)
    return (U.sum(0).square().sum() - n) / (n * (n - 1))


def mean_in_numpy(W):
    rows = W.numpy().astype(np.float64)
    unit = rows / np.sqrt((rows**2).sum(axis=1, keepdims=True))
    total, n = unit.sum(axis=0), len(unit)
    return (total @ total - n) / (n * (n - 1))


def mean_with_a_running_sum(W):
    total, seen, sum_of_pairs = torch.zeros(W.shape[1]), 0, 0.0
    for block in W.split(256):
        for unit in F.normalize(block, dim=-1):
            sum_of_pairs += float(total @ unit)
            total, seen = total + unit, seen + 1
    return sum_of_pairs / (seen * (seen - 1) / 2)


def mean_with_einsum(W):
    lengths = einops.reduce(W.double() ** 2, "n d -> n", "sum").sqrt()
    total = torch.einsum("nd,n->d", W.double(), 1 / lengths)
    return (torch.einsum("d,d->", total, total).item() - len(W)) / (len(W) ** 2 - len(W))


def mean_per_token(W):
    U = F.normalize(W.double(), dim=1)
    return (((U @ U.sum(0)) - 1) / (len(U) - 1)).mean()


def to_mean_one_line(W):
    return F.cosine_similarity(W, W.mean(0, keepdim=True), dim=-1)


def to_mean_in_numpy(W):
    rows = W.numpy()
    mean = rows.mean(axis=0)
    return rows @ mean / np.linalg.norm(rows, axis=1) / np.linalg.norm(mean)


def to_mean_in_loops(W):
    mean = W.sum(0) / len(W)
    return torch.tensor([float(row @ mean) / math.sqrt(float(row @ row) * float(mean @ mean)) for row in W])


def centre_with_einops(W):
    return W - einops.reduce(W, "n d -> 1 d", "mean")


def centre_in_numpy(W):
    return W.numpy() - W.numpy().mean(axis=0, keepdims=True)


def centre_with_a_matrix(W):
    n = len(W)
    return (torch.eye(n) - torch.ones(n, n) / n) @ W


def ratio_in_numpy(W):
    return np.linalg.norm(W.numpy().mean(axis=0)) / np.linalg.norm(W.numpy(), axis=1).mean()


def ratio_in_loops(W):
    lengths = [math.hypot(*row) for row in W.tolist()]
    mean = [sum(column) / len(column) for column in zip(*W.tolist(), strict=True)]
    return math.hypot(*mean) * len(lengths) / sum(lengths)


ALTERNATIVES = (
    Alternative("mean_pairwise_cosine", "closed form", closed_form),
    Alternative("mean_pairwise_cosine", "numpy, float64", mean_in_numpy),
    Alternative("mean_pairwise_cosine", "loop with a running sum", mean_with_a_running_sum),
    Alternative("mean_pairwise_cosine", "einops and einsum", mean_with_einsum),
    Alternative("mean_pairwise_cosine", "mean over tokens of their means", mean_per_token),
    Alternative("cosine_to_mean", "one line", to_mean_one_line),
    Alternative("cosine_to_mean", "numpy", to_mean_in_numpy),
    Alternative("cosine_to_mean", "loop", to_mean_in_loops),
    Alternative("centre", "einops", centre_with_einops),
    Alternative("centre", "numpy", centre_in_numpy),
    Alternative("centre", "centring matrix", centre_with_a_matrix),
    Alternative("offset_ratio", "numpy", ratio_in_numpy),
    Alternative("offset_ratio", "loop", ratio_in_loops),
)
