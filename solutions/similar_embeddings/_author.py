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
100,000 rows, anything quadratic in time runs into the limit. Their truth is known because the rows share 1,000
directions; with seven, a float32 sum run up row by row rounded the same way each time, and six right ones of ten failed.

Centred rows sum to zero, so where their lengths are alike the mean cosine has to be near zero, whatever the matrix;
with one far row it can be 0.99 before and after. And the width of the centred histogram is no sign of meaning: Gaussian
rows of the same covariance are wider (standard deviation 0.34 against 0.23 on mini-neo). What shows that tokens are told
apart is their neighbours, which for the three common tokens shown are sensible before centring too. The notebook says all
three.

Not true is that centring changes no neighbour: over all tokens of mini-neo 38 % keep their nearest, and 44 % of the five
nearest stay (59 % for tokens shown a thousand times or more, 15 % for 10 to 99). Nor that the mean of a tied matrix tells
rare from common in the unembedding: one vector in all rows adds the same to every logit, and with W_U centred no log
probability changes by more than 2e-5, which is rounding. Earlier versions of the text and the model solution said both.

On mini-neo the raw histogram has a second bump near 0.87: mostly bytes and control characters that its text hardly holds, with
centred rows 2.7 times as long as the others'. The learner prints them; *born or made* explains them.

A first reader without the solution changed much: the line about the stand-in gave the answer away before the commitment;
the text claimed that any centred matrix has a mean near zero; "wider than chance" was held against isotropic rows only; a
prediction could be a misspelt word; the two histograms shared one axis, on which the centred one was a crust; and some
twenty plausible wrong answers had no sentence of their own.
"""


# ---- mean_pairwise_cosine: wrong ----------------------------------------------------------------------------------


def keeps_the_diagonal(W):
    U = W / W.norm(dim=-1, keepdim=True)
    return (U @ U.T).mean()


def halves_the_pairs(W):
    U = W / W.norm(dim=-1, keepdim=True)
    return torch.triu(U @ U.T, diagonal=1).sum() / (len(W) * (len(W) - 1))


def divides_by_half_the_pairs(W):
    U = W / W.norm(dim=-1, keepdim=True)
    return (U.sum(0).square().sum() - len(W)) / (len(W) * (len(W) - 1) / 2)


def keeps_the_ones_in_the_sum(W):
    return F.normalize(W, dim=-1).sum(0).square().sum() / (len(W) * (len(W) - 1))


def measures_the_mean_direction(W):
    return F.normalize(W, dim=-1).mean(0).norm()


def forgets_the_square(W):
    U = F.normalize(W, dim=-1)
    return (U.sum(0).norm() - len(W)) / (len(W) * (len(W) - 1))


def returns_the_sum(W):
    U = F.normalize(W, dim=-1)
    return U.sum(0).square().sum() + len(W)


def divides_by_n_squared(W):
    U = W / W.norm(dim=-1, keepdim=True)
    return (U.sum(0).square().sum() - len(W)) / len(W) ** 2


def forgets_to_normalise(W):
    s = W.sum(0)
    return (s @ s - (W * W).sum()) / (len(W) * (len(W) - 1))


def forgets_to_normalise_but_subtracts_ones(W):
    return (W.sum(0).square().sum() - len(W)) / (len(W) * (len(W) - 1))


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


def normalises_columns_but_subtracts_ones(W):
    U = W / W.norm(dim=0)
    return (U.sum(0).square().sum() - len(W)) / (len(W) * (len(W) - 1))


def normalises_the_whole_matrix(W):
    U = W / W.norm()
    return (U.sum(0).square().sum() - len(W)) / (len(W) * (len(W) - 1))


def squares_the_cosine_to_the_mean(W):
    return F.cosine_similarity(W, W.mean(0, keepdim=True), dim=-1).mean() ** 2


def compares_neighbouring_rows(W):
    return F.cosine_similarity(W[:-1], W[1:], dim=-1).mean()


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


def averages_directions_and_forgets_the_length(W):
    U = F.normalize(W, dim=-1)
    return U @ U.mean(0)


def compares_with_its_own_mean(W):
    return F.cosine_similarity(W, W.mean(1, keepdim=True).expand_as(W), dim=1)


def centres_before_comparing(W):
    mean = W.mean(0)
    return F.cosine_similarity(W - mean, mean[None], dim=1)


def squares_the_cosine(W):
    return F.cosine_similarity(W, W.mean(0, keepdim=True), dim=-1) ** 2


def takes_the_distance(W):
    return 1 - F.cosine_similarity(W, W.mean(0, keepdim=True), dim=-1)


def compares_coordinates(W):
    return F.cosine_similarity(W, W.mean(0, keepdim=True).expand_as(W), dim=0)


# ---- centre: wrong ------------------------------------------------------------------------------------------------


def subtracts_the_row_mean(W):
    return W - W.mean(dim=-1, keepdim=True)


def applies_layer_norm(W):
    return F.layer_norm(W, W.shape[1:])


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


def subtracts_the_mean_direction(W):
    return W - F.normalize(W, dim=-1).mean(0)


def removes_the_largest_coordinate(W):
    out = W.clone()
    out[:, W.mean(0).abs().argmax()] = 0
    return out


def subtracts_the_median(W):
    return W - W.median(0).values


def subtracts_the_first_row(W):
    return W - W[0]


def subtracts_the_sum(W):
    return W - W.sum(0)


def returns_the_mean(W):
    return W.mean(0)


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


def measures_columns(W):
    return W.mean(0).norm() / W.norm(dim=0).mean()


def averages_the_ratios(W):
    return (W.mean(0).norm() / W.norm(dim=1)).mean()


def divides_by_the_spread(W):
    return W.mean(0).norm() / (W - W.mean(0)).norm(dim=1).mean()


def squares_the_ratio(W):
    return (W.mean(0).norm() / W.norm(dim=1).mean()) ** 2


def forgets_to_divide(W):
    return W.mean(0).norm()


def averages_the_cosines(W):
    return F.cosine_similarity(W, W.mean(0, keepdim=True), dim=-1).mean()


MUTANTS = (
    Mutant("mean_pairwise_cosine", "diagonal_kept", keeps_the_diagonal),
    Mutant("mean_pairwise_cosine", "pairs_half_counted", halves_the_pairs),
    Mutant("mean_pairwise_cosine", "pairs_counted_twice", divides_by_half_the_pairs),
    Mutant("mean_pairwise_cosine", "divided_by_all_pairs", divides_by_n_squared),
    Mutant("mean_pairwise_cosine", "ones_left_in", keeps_the_ones_in_the_sum),
    Mutant("mean_pairwise_cosine", "square_forgotten", forgets_the_square),
    Mutant("mean_pairwise_cosine", "length_of_the_mean", measures_the_mean_direction),
    Mutant("mean_pairwise_cosine", "dot_products", forgets_to_normalise),
    Mutant("mean_pairwise_cosine", "dot_products", forgets_to_normalise_but_subtracts_ones),
    Mutant("mean_pairwise_cosine", "absolute_values", takes_absolute_values),
    Mutant("mean_pairwise_cosine", "row_mean_subtracted", centres_each_row),
    Mutant("mean_pairwise_cosine", "already_centred", centres_first),
    Mutant("mean_pairwise_cosine", "columns_normalised", normalises_columns),
    Mutant("mean_pairwise_cosine", "columns_normalised", normalises_columns_but_subtracts_ones),
    Mutant("mean_pairwise_cosine", "whole_matrix_normalised", normalises_the_whole_matrix),
    Mutant("mean_pairwise_cosine", "to_the_mean", compares_with_the_mean),
    Mutant("mean_pairwise_cosine", "to_the_mean_squared", squares_the_cosine_to_the_mean),
    Mutant("mean_pairwise_cosine", "neighbouring_rows", compares_neighbouring_rows),
    Mutant("mean_pairwise_cosine", "n_by_n", builds_the_matrix),
    Mutant("mean_pairwise_cosine", "n_by_n", builds_the_matrix_in_numpy),
    Mutant("mean_pairwise_cosine", "pair_by_pair", goes_row_by_row),
    Mutant("mean_pairwise_cosine", "subsample", takes_the_first_tokens),
    Mutant("mean_pairwise_cosine", "subsample", takes_a_random_subsample),
    Mutant("mean_pairwise_cosine", "not_a_mean_of_cosines", returns_the_sum),
    Mutant("cosine_to_mean", "dot_products", forgets_both_lengths),
    Mutant("cosine_to_mean", "row_length_missing", forgets_the_row_length),
    Mutant("cosine_to_mean", "mean_length_missing", forgets_the_mean_length),
    Mutant("cosine_to_mean", "mean_of_directions", averages_directions),
    Mutant("cosine_to_mean", "mean_of_directions", averages_directions_and_forgets_the_length),
    Mutant("cosine_to_mean", "averaged_away", averages_the_answer),
    Mutant("cosine_to_mean", "mean_pairwise", averages_pairs_per_token),
    Mutant("cosine_to_mean", "own_mean", compares_with_its_own_mean),
    Mutant("cosine_to_mean", "already_centred", centres_before_comparing),
    Mutant("cosine_to_mean", "squared", squares_the_cosine),
    Mutant("cosine_to_mean", "distance", takes_the_distance),
    Mutant("cosine_to_mean", "per_coordinate", compares_coordinates),
    Mutant("centre", "row_mean_subtracted", subtracts_the_row_mean),
    Mutant("centre", "row_mean_subtracted", applies_layer_norm),
    Mutant("centre", "scalar_mean_subtracted", subtracts_one_number),
    Mutant("centre", "normalised_before_centring", normalises_then_centres),
    Mutant("centre", "normalised_after_centring", centres_then_normalises),
    Mutant("centre", "standardised", standardises),
    Mutant("centre", "direction_projected_out", projects_the_mean_out),
    Mutant("centre", "mean_of_directions", subtracts_the_mean_direction),
    Mutant("centre", "coordinate_removed", removes_the_largest_coordinate),
    Mutant("centre", "median_subtracted", subtracts_the_median),
    Mutant("centre", "a_row_subtracted", subtracts_the_first_row),
    Mutant("centre", "sum_subtracted", subtracts_the_sum),
    Mutant("centre", "mean_returned", returns_the_mean),
    Mutant("centre", "mean_added", adds_the_mean),
    Mutant("centre", "changes_its_input", centres_in_place),
    Mutant("offset_ratio", "upside_down", turns_it_upside_down),
    Mutant("offset_ratio", "norm_of_norms", takes_the_root_mean_square),
    Mutant("offset_ratio", "mean_of_directions", normalises_before_averaging),
    Mutant("offset_ratio", "always_one", averages_before_the_norm),
    Mutant("offset_ratio", "frobenius", divides_by_the_whole_matrix),
    Mutant("offset_ratio", "columns_measured", measures_columns),
    Mutant("offset_ratio", "mean_of_ratios", averages_the_ratios),
    Mutant("offset_ratio", "spread_below", divides_by_the_spread),
    Mutant("offset_ratio", "squared", squares_the_ratio),
    Mutant("offset_ratio", "not_divided", forgets_to_divide),
    Mutant("offset_ratio", "mean_cosine", averages_the_cosines),
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
