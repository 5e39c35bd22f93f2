"""Bias without a home, for authors only: wrong answers, other right answers, and why it is built so."""

import math

import einops
import numpy as np
import torch
import torch.nn.functional as F

from mechpuzzles.puzzle import Alternative, Mutant

DESIGN_NOTE = """
One principle: a number that can be changed without changing one prediction is no property of what the model computes.
The parts follow the argument: make the change that no layer can see, measure that nobody saw it, choose the change so
that GPT-2 gets GPT-Neo's number, and ask what is left to compare.

Two traps are real. Raw logits move by 4 (mini-gpt2) and 25 (mini-neo) when the head is tied, by rounding when it is not:
so `log_prob_gap` compares log-probabilities, and one of its fixtures differs by a number per place only. And deleting
is not moving: 0.478, 0.009 and 3.189 nats on held-out text (mini-gpt2, mini-untied, mini-neo), 0.82, 0.02 and 3.11 on
the notebook's 64 tokens.

What deleting does not show: that the mean does something. A random vector of the same length, added to W_E instead,
costs of the same order: on the notebook's text 1.28 (mini-gpt2) and 3.37 (mini-neo), means of eight. In mini-neo that
compares nothing: the losses are 7.29 (deleted) and 7.55 (random), and a uniform guess has ln 2048 = 7.62. On 1,216 tokens
of other Python deleting costs 0.24 and 2.88, sixteen random vectors 0.39 to 1.28 and 1.49 to 3.13: which of the two costs
more depends on the text. The layers are tuned to where the sums lie. An earlier text said that the model needs the
vector, a later one that a random vector does at least as much harm; both were wrong. And "use" once said "take it out,
and predictions suffer", which deleting made come true and the check counted wrong: both options now say "in whatever
way".

In mini-neo training shortened the offset from 6.39 to 5.23 (cosine 0.993); the mean of W_pos is 0.12 long (mini-gpt2:
0.10).

"In a rotary model the offset has nowhere to go" is false as it stands: LayerNorm subtracts each vector's own mean, so
the all-ones direction is free without any W_pos (adding three times all-ones to mini-gpt2's W_E gives a mean cosine of
0.998 and moves log-probabilities by 2e-5). With RMSNorm it is not. The notebook shows all four cases, on untrained models,
which suffices to show what is and what is not free in an architecture.

`model.W_E += v` raises KeyError on a TransformerBridge (it tries to register a parameter of that name); `copy_` works, and
a tied W_U follows. `offset_for` may be asked of real embeddings: thirty halvings, each one pass over the
vocabulary (0.2 s at 50,257 x 768; `cosine_moments`, which also knows the variance, takes 3 s).

Fixtures. `log_prob_gap`: the largest change has either sign (two cases, a and b exchanged), falls on an unlikely token in
the last text, not at the first place nor the last; in one more case it is at the first place of the first text, or
dropping that place passes; one case has logits above 100 and a token 100 below the others, where exponentials overflow
and probabilities are zero in float32. A floor under the probabilities shows there only, hence its symptom comes first;
and the unlikely token's change has to be the largest: it once was near zero on some draws, and a floor passed.
`offset_for`: lengths that differ, few rows (a kept diagonal
shows), and one target below what W_E has, at which a search that only adds fails; graded is the property, so that
either root is right. `move_offset`: d_vocab and n_ctx differ, once in the other sense, or keeping the total looks right.
A symptom for |cosine| went: learners are given the mean cosine, and near a low target its search ran into the end of
the interval. A grid as the mutant for "near" was at the mercy of the draw; so was "target over mean cosine" where the mean
cosine is near zero, until its symptom compared directions of the answer with 0.3 % of slack.

Seen in a browser: two printed lines ran out of their cells; "4e+00" is not how one reads four; the play cell drew a histogram
of one bin, which said nothing, and now draws how rounding grows as the cone narrows. "mean moved" has no bars to see, and
the text says so.
"""


# ---- move_offset: wrong -------------------------------------------------------------------------------------------


def moves_the_other_way(W_E, W_pos, v):
    return W_E - v, W_pos + v


def changes_only_tokens(W_E, W_pos, v):
    return W_E + v, W_pos.clone()


def changes_only_positions(W_E, W_pos, v):
    return W_E.clone(), W_pos - v


def adds_to_both(W_E, W_pos, v):
    return W_E + v, W_pos + v


def subtracts_from_both(W_E, W_pos, v):
    return W_E - v, W_pos - v


def keeps_the_total(W_E, W_pos, v):
    return W_E + v, W_pos - v * len(W_E) / len(W_pos)


def shares_it_out(W_E, W_pos, v):
    return W_E + v, W_pos - v / len(W_pos)


def changes_the_first_place(W_E, W_pos, v):
    new = W_pos.clone()
    new[0] -= v
    return W_E + v, new


def moves_the_mean_of_v(W_E, W_pos, v):
    return W_E + v.mean(), W_pos - v.mean()


def moves_the_norm_of_v(W_E, W_pos, v):
    return W_E + v.norm(), W_pos - v.norm()


def moves_the_mean_row(W_E, W_pos, v):
    mean = W_E.mean(0, keepdim=True)
    return W_E - mean, W_pos + mean


def returns_them_swapped(W_E, W_pos, v):
    return W_pos - v, W_E + v


def moves_in_place(W_E, W_pos, v):
    W_E += v
    W_pos -= v
    return W_E, W_pos


def returns_one_matrix(W_E, W_pos, v):
    return W_E + v


# ---- log_prob_gap: wrong ------------------------------------------------------------------------------------------


def compares_raw_logits(a, b):
    return (a - b).abs().max()


def compares_probabilities(a, b):
    return (a.softmax(-1) - b.softmax(-1)).abs().max()


def uses_base_two(a, b):
    return (F.log_softmax(a, -1) - F.log_softmax(b, -1)).abs().max() / math.log(2)


def takes_the_mean(a, b):
    return F.l1_loss(a.log_softmax(-1), b.log_softmax(-1))


def takes_the_sum(a, b):
    return (a.log_softmax(-1) - b.log_softmax(-1)).abs().sum()


def takes_the_norm(a, b):
    return torch.dist(a.log_softmax(-1), b.log_softmax(-1))


def takes_the_square(a, b):
    return ((a.log_softmax(-1) - b.log_softmax(-1)) ** 2).max()


def takes_the_minimum(a, b):
    return (a.log_softmax(-1) - b.log_softmax(-1)).abs().min()


def forgets_the_sign(a, b):
    return (a.log_softmax(-1) - b.log_softmax(-1)).max()


def forgets_the_sign_the_other_way(a, b):
    return (b.log_softmax(-1) - a.log_softmax(-1)).max()


def compares_maxima(a, b):
    return (a.log_softmax(-1).max() - b.log_softmax(-1).max()).abs()


def compares_maxima_per_place(a, b):
    return (a.log_softmax(-1).amax(-1) - b.log_softmax(-1).amax(-1)).abs().max()


def compares_favourites(a, b):
    best = a.argmax(-1, keepdim=True)
    return (a.log_softmax(-1).gather(-1, best) - b.log_softmax(-1).gather(-1, best)).abs().max()


def normalises_over_places(a, b):
    return (a.log_softmax(1) - b.log_softmax(1)).abs().max()


def normalises_over_texts(a, b):
    return (a.log_softmax(0) - b.log_softmax(0)).abs().max()


def normalises_over_everything(a, b):
    return (a.flatten().log_softmax(0) - b.flatten().log_softmax(0)).abs().max()


def subtracts_the_mean_logit(a, b):
    d = a - b
    return (d - d.mean(-1, keepdim=True)).abs().max()


def subtracts_the_largest_logit(a, b):
    return ((a - a.amax(-1, keepdim=True)) - (b - b.amax(-1, keepdim=True))).abs().max()


def compares_the_last_place(a, b):
    return (a[:, -1].log_softmax(-1) - b[:, -1].log_softmax(-1)).abs().max()


def compares_the_first_text(a, b):
    return (a[0].log_softmax(-1) - b[0].log_softmax(-1)).abs().max()


def takes_the_divergence(a, b):
    return F.kl_div(b.log_softmax(-1), a.log_softmax(-1), reduction="none", log_target=True).sum(-1).max()


def takes_the_mean_divergence(a, b):
    return F.kl_div(b.log_softmax(-1), a.log_softmax(-1), reduction="none", log_target=True).sum(-1).mean()


def takes_the_log_of_softmax(a, b):
    return (a.softmax(-1).log() - b.softmax(-1).log()).abs().max()


def exponentiates_as_they_are(a, b):
    log_a, log_b = a - a.exp().sum(-1, keepdim=True).log(), b - b.exp().sum(-1, keepdim=True).log()
    return (log_a - log_b).abs().max()


def adds_a_small_number(a, b):
    return ((a.softmax(-1) + 1e-9).log() - (b.softmax(-1) + 1e-9).log()).abs().max()


def clamps_the_probabilities(a, b):
    return (a.softmax(-1).clamp_min(1e-12).log() - b.softmax(-1).clamp_min(1e-12).log()).abs().max()


def drops_the_first_place(a, b):
    return (a.log_softmax(-1) - b.log_softmax(-1))[:, 1:].abs().max()


def keeps_the_places(a, b):
    return (a.log_softmax(-1) - b.log_softmax(-1)).abs().amax(-1)


# ---- offset_for: wrong --------------------------------------------------------------------------------------------


def search(W, statistic, target, low=-1.0, high=1000.0):
    """The multiple of the mean row that makes a statistic of the moved rows the target."""
    W = W.double()
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if statistic(W + middle * W.mean(0)) > target else (middle, high)
    return middle


def pair_cosine(W):
    U = W / W.norm(dim=1, keepdim=True)
    return (U.sum(0).square().sum() - len(W)) / (len(W) * (len(W) - 1))


def pair_cosine_with_itself(W):
    U = W / W.norm(dim=1, keepdim=True)
    return (U @ U.T).mean()


def cosine_with_mean(W):
    return F.cosine_similarity(W, W.mean(0, keepdim=True), dim=1).mean()


def ratio_of_norms(W):
    return W.mean(0).norm() / W.norm(dim=1).mean()


def ratio_of_powers(W):
    return W.mean(0).square().sum() / W.square().sum(1).mean()


def returns_the_factor(W_E, target):
    return search(W_E, pair_cosine, target)


def returns_the_moved_matrix(W_E, target):
    return W_E + search(W_E, pair_cosine, target) * W_E.mean(0)


def averages_over_coordinates(W_E, target):
    return search(W_E, pair_cosine, target) * W_E.mean(1)


def returns_the_unit_mean(W_E, target):
    return F.normalize(W_E.mean(0), dim=0)


def returns_the_mean(W_E, target):
    return W_E.mean(0)


def scales_the_mean_by_the_target(W_E, target):
    return target * W_E.mean(0)


def scales_the_unit_mean_by_the_target(W_E, target):
    return target * F.normalize(W_E.mean(0), dim=0)


def scales_by_what_is_missing(W_E, target):
    return (target - float(pair_cosine(W_E))) * W_E.mean(0)


def scales_the_unit_mean_by_the_ratio(W_E, target):
    return (target / float(pair_cosine(W_E)) - 1) * F.normalize(W_E.mean(0), dim=0)


def scales_by_the_ratio(W_E, target):
    return (target / float(pair_cosine(W_E)) - 1) * W_E.mean(0)


def centres_and_then_searches(W_E, target):
    mean, low, high = W_E.mean(0), 0.0, 1000.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if pair_cosine(W_E - mean + middle * mean) > target else (middle, high)
    return middle * mean


def has_the_sign_wrong(W_E, target):
    return -search(W_E, pair_cosine, target) * W_E.mean(0)


def searches_unit_but_multiplies_mean(W_E, target):
    return search(W_E, pair_cosine, target) * W_E.mean(0).norm() * W_E.mean(0)


def searches_mean_but_multiplies_unit(W_E, target):
    return search(W_E, pair_cosine, target) * F.normalize(W_E.mean(0), dim=0)


def keeps_the_diagonal(W_E, target):
    return search(W_E, pair_cosine_with_itself, target) * W_E.mean(0)


def compares_with_the_mean(W_E, target):
    return search(W_E, cosine_with_mean, target) * W_E.mean(0)


def aims_with_the_offset_ratio(W_E, target):
    return search(W_E, ratio_of_norms, target) * W_E.mean(0)


def solves_as_if_lengths_were_equal(W_E, target):
    mean = W_E.mean(0)
    spread = (W_E - mean).square().sum(1).mean()
    return (spread * target / (1 - target)).sqrt() * F.normalize(mean, dim=0) - mean


def searches_upwards_only(W_E, target):
    return search(W_E, pair_cosine, target, low=0.0) * W_E.mean(0)


def stops_within_a_tenth(W_E, target):
    mean, low, high, middle = W_E.mean(0), -1.0, 1000.0, 0.0
    while abs(pair_cosine(W_E + middle * mean) - target) > 0.1:
        middle = (low + high) / 2
        low, high = (low, middle) if pair_cosine(W_E + middle * mean) > target else (middle, high)
    return middle * mean


def adds_one_number(W_E, target):
    v, low, high = torch.ones(W_E.shape[1]), 0.0, 1000.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if pair_cosine(W_E + middle * v) > target else (middle, high)
    return middle * v


def goes_along_the_mean_of_directions(W_E, target):
    v, low, high = F.normalize(W_E, dim=1).mean(0), -5.0, 1000.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if pair_cosine(W_E + middle * v) > target else (middle, high)
    return middle * v


def goes_along_the_first_row(W_E, target):
    return search(W_E, pair_cosine, target) * W_E[0]


def stops_at_ten(W_E, target):
    return 30 * W_E.mean(0)


# ---- shared_start: wrong ------------------------------------------------------------------------------------------


def averages_tokens(W_E, W_pos):
    return W_E.mean(0)


def averages_places(W_E, W_pos):
    return W_pos.mean(0)


def halves_the_sum(W_E, W_pos):
    return (W_E.mean(0) + W_pos.mean(0)) / 2


def stacks_the_rows(W_E, W_pos):
    return torch.cat([W_E, W_pos]).mean(0)


def subtracts_the_means(W_E, W_pos):
    return W_E.mean(0) - W_pos.mean(0)


def pairs_first_with_first(W_E, W_pos):
    n = min(len(W_E), len(W_pos))
    return (W_E[:n] + W_pos[:n]).mean(0)


def forgets_to_divide(W_E, W_pos):
    return W_E.sum(0) + W_pos.sum(0)


def forgets_to_divide_the_table(W_E, W_pos):
    return (W_E[:, None] + W_pos).sum((0, 1))


def averages_directions(W_E, W_pos):
    return F.normalize(W_E, dim=1).mean(0) + F.normalize(W_pos, dim=1).mean(0)


def returns_the_length(W_E, W_pos):
    return (W_E.mean(0) + W_pos.mean(0)).norm()


def returns_the_table(W_E, W_pos):
    return W_E[:, None] + W_pos


MUTANTS = (
    Mutant("move_offset", "other_way", moves_the_other_way),
    Mutant("move_offset", "positions_left_alone", changes_only_tokens),
    Mutant("move_offset", "tokens_left_alone", changes_only_positions),
    Mutant("move_offset", "both_gain", adds_to_both),
    Mutant("move_offset", "both_lose", subtracts_from_both),
    Mutant("move_offset", "total_kept", keeps_the_total),
    Mutant("move_offset", "shared_out", shares_it_out),
    Mutant("move_offset", "first_place_only", changes_the_first_place),
    Mutant("move_offset", "one_number_of_v", moves_the_mean_of_v),
    Mutant("move_offset", "one_number_of_v", moves_the_norm_of_v),
    Mutant("move_offset", "own_mean_moved", moves_the_mean_row),
    Mutant("move_offset", "matrices_swapped", returns_them_swapped),
    Mutant("move_offset", "changes_its_input", moves_in_place),
    Mutant("move_offset", "wrong_type", returns_one_matrix),
    Mutant("log_prob_gap", "raw_logits", compares_raw_logits),
    Mutant("log_prob_gap", "probabilities", compares_probabilities),
    Mutant("log_prob_gap", "in_bits", uses_base_two),
    Mutant("log_prob_gap", "averaged", takes_the_mean),
    Mutant("log_prob_gap", "added_up", takes_the_sum),
    Mutant("log_prob_gap", "added_up", takes_the_norm),
    Mutant("log_prob_gap", "squared", takes_the_square),
    Mutant("log_prob_gap", "least_change", takes_the_minimum),
    Mutant("log_prob_gap", "one_sign", forgets_the_sign),
    Mutant("log_prob_gap", "one_sign", forgets_the_sign_the_other_way),
    Mutant("log_prob_gap", "maxima_compared", compares_maxima),
    Mutant("log_prob_gap", "maxima_compared", compares_maxima_per_place),
    Mutant("log_prob_gap", "favourites_only", compares_favourites),
    Mutant("log_prob_gap", "softmax_over_another_axis", normalises_over_places),
    Mutant("log_prob_gap", "softmax_over_another_axis", normalises_over_texts),
    Mutant("log_prob_gap", "softmax_over_everything", normalises_over_everything),
    Mutant("log_prob_gap", "centred_logits", subtracts_the_mean_logit),
    Mutant("log_prob_gap", "centred_logits", subtracts_the_largest_logit),
    Mutant("log_prob_gap", "last_place_only", compares_the_last_place),
    Mutant("log_prob_gap", "first_text_only", compares_the_first_text),
    Mutant("log_prob_gap", "divergence", takes_the_divergence),
    Mutant("log_prob_gap", "divergence", takes_the_mean_divergence),
    Mutant("log_prob_gap", "underflow", takes_the_log_of_softmax),
    Mutant("log_prob_gap", "underflow", exponentiates_as_they_are),
    Mutant("log_prob_gap", "floored", adds_a_small_number),
    Mutant("log_prob_gap", "floored", clamps_the_probabilities),
    Mutant("log_prob_gap", "first_place_dropped", drops_the_first_place),
    Mutant("log_prob_gap", "kept_apart", keeps_the_places),
    Mutant("offset_for", "length_only", returns_the_factor),
    Mutant("offset_for", "matrix_returned", returns_the_moved_matrix),
    Mutant("offset_for", "one_number_per_token", averages_over_coordinates),
    Mutant("offset_for", "direction_only", returns_the_unit_mean),
    Mutant("offset_for", "direction_only", returns_the_mean),
    Mutant("offset_for", "target_as_factor", scales_the_mean_by_the_target),
    Mutant("offset_for", "target_as_factor", scales_the_unit_mean_by_the_target),
    Mutant("offset_for", "target_as_factor", scales_by_what_is_missing),
    Mutant("offset_for", "target_as_factor", scales_by_the_ratio),
    Mutant("offset_for", "target_as_factor", scales_the_unit_mean_by_the_ratio),
    Mutant("offset_for", "for_centred_rows", centres_and_then_searches),
    Mutant("offset_for", "subtracted", has_the_sign_wrong),
    Mutant("offset_for", "units_mixed", searches_unit_but_multiplies_mean),
    Mutant("offset_for", "units_mixed", searches_mean_but_multiplies_unit),
    Mutant("offset_for", "diagonal_kept", keeps_the_diagonal),
    Mutant("offset_for", "to_the_mean", compares_with_the_mean),
    Mutant("offset_for", "ratio_of_lengths", aims_with_the_offset_ratio),
    Mutant("offset_for", "lengths_taken_as_equal", solves_as_if_lengths_were_equal),
    Mutant("offset_for", "only_upwards", searches_upwards_only),
    Mutant("offset_for", "near", stops_within_a_tenth),
    Mutant("offset_for", "every_coordinate_alike", adds_one_number),
    Mutant("offset_for", "another_direction", goes_along_the_mean_of_directions),
    Mutant("offset_for", "another_direction", goes_along_the_first_row),
    Mutant("offset_for", "off_target", stops_at_ten),
    Mutant("shared_start", "tokens_only", averages_tokens),
    Mutant("shared_start", "positions_only", averages_places),
    Mutant("shared_start", "halved", halves_the_sum),
    Mutant("shared_start", "rows_thrown_together", stacks_the_rows),
    Mutant("shared_start", "difference", subtracts_the_means),
    Mutant("shared_start", "first_tokens_only", pairs_first_with_first),
    Mutant("shared_start", "sum_of_sums", forgets_to_divide),
    Mutant("shared_start", "sum_of_sums", forgets_to_divide_the_table),
    Mutant("shared_start", "directions_averaged", averages_directions),
    Mutant("shared_start", "length_only", returns_the_length),
    Mutant("shared_start", "all_starts", returns_the_table),
)


# ---- right, in other styles ---------------------------------------------------------------------------------------


def move_in_numpy(W_E, W_pos, v):
    return W_E.numpy() + v.numpy()[None, :], W_pos.numpy() - v.numpy()[None, :]


def move_in_loops(W_E, W_pos, v):
    return torch.stack([row + v for row in W_E]), torch.stack([row - v for row in W_pos])


def move_with_einops(W_E, W_pos, v):
    return W_E + einops.repeat(v, "d -> n d", n=len(W_E)), W_pos - einops.repeat(v, "d -> n d", n=len(W_pos))


def gap_in_one_line(a, b):
    return (a.log_softmax(-1) - b.log_softmax(-1)).abs().max()


def gap_with_logsumexp(a, b):
    d = a - b
    return (d - (a.logsumexp(-1, keepdim=True) - b.logsumexp(-1, keepdim=True))).abs().max().item()


def gap_in_numpy(a, b):
    a, b = a.numpy().astype(np.float64), b.numpy().astype(np.float64)
    a, b = a - a.max(-1, keepdims=True), b - b.max(-1, keepdims=True)
    a, b = a - np.log(np.exp(a).sum(-1, keepdims=True)), b - np.log(np.exp(b).sum(-1, keepdims=True))
    return np.abs(a - b).max()


def gap_as_largest_of_both_signs(a, b):
    change = torch.log_softmax(b.double(), dim=2) - torch.log_softmax(a.double(), dim=2)
    return max(change.max().item(), -change.min().item())


def offset_by_bisection(W_E, target):
    return search(W_E, pair_cosine, target) * W_E.mean(0)


def offset_by_bisection_of_lengths(W_E, target):
    mean = W_E.mean(0)
    unit, low, high = mean / mean.norm(), -mean.norm(), torch.tensor(1.0)
    while pair_cosine(W_E + high * unit) < target:
        high = 2 * high
    for _ in range(30):
        middle = (low + high) / 2
        if pair_cosine(W_E + middle * unit) < target:
            low = middle
        else:
            high = middle
    return high * unit


def offset_on_the_far_side(W_E, target):
    """The other root: a v against the mean that overshoots to the other side of the origin."""
    mean, low, high = W_E.double().mean(0), -1000.0, -1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if pair_cosine(W_E + middle * mean) > target else (low, middle)
    return (middle * mean).float()


def offset_on_ever_finer_grids(W_E, target):
    rows = W_E.numpy().astype(np.float64)
    mean, factors = rows.mean(0), np.concatenate([np.linspace(-1, 1, 201), np.geomspace(1, 1000, 400)[1:]])
    for _ in range(4):
        moved = rows + factors[:, None, None] * mean
        unit = moved / np.linalg.norm(moved, axis=2, keepdims=True)
        n = len(rows)
        miss = np.abs(((unit.sum(1) ** 2).sum(1) - n) / (n * (n - 1)) - target)
        at = int(miss.argmin())
        factors = np.linspace(factors[max(at - 1, 0)], factors[min(at + 1, len(factors) - 1)], 101)
    return mean * factors[50]


def start_from_the_table(W_E, W_pos):
    return (W_E[:, None, :] + W_pos[None, :, :]).mean(dim=(0, 1))


def start_with_einops(W_E, W_pos):
    return einops.reduce(W_E, "t d -> d", "mean") + einops.reduce(W_pos, "p d -> d", "mean")


def start_in_numpy(W_E, W_pos):
    return (W_E.numpy() + W_pos.numpy().mean(axis=0)).mean(axis=0)


ALTERNATIVES = (
    Alternative("move_offset", "numpy", move_in_numpy),
    Alternative("move_offset", "loop", move_in_loops),
    Alternative("move_offset", "einops", move_with_einops),
    Alternative("log_prob_gap", "one line", gap_in_one_line),
    Alternative("log_prob_gap", "logsumexp", gap_with_logsumexp),
    Alternative("log_prob_gap", "numpy", gap_in_numpy),
    Alternative("log_prob_gap", "both signs", gap_as_largest_of_both_signs),
    Alternative("offset_for", "bisection", offset_by_bisection),
    Alternative("offset_for", "bisection of lengths", offset_by_bisection_of_lengths),
    Alternative("offset_for", "the other root", offset_on_the_far_side),
    Alternative("offset_for", "numpy, ever finer grids", offset_on_ever_finer_grids),
    Alternative("shared_start", "the whole table", start_from_the_table),
    Alternative("shared_start", "einops", start_with_einops),
    Alternative("shared_start", "numpy", start_in_numpy),
)
