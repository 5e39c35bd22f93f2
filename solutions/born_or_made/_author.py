"""Born or made, for authors only: wrong answers, other right answers, and why it is built so."""

from itertools import pairwise

import einops
import numpy as np
import torch
import torch.nn.functional as F

from mechpuzzles.puzzle import Alternative, Mutant

DESIGN_NOTE = """
One principle: a row is trained by every use of its matrix. The hook is a paradox: the tokens that training never showed are
the most alike, which speaks for birth, and it is not birth. The four parts follow the inquiry: when (similarity_curve), who
(by_frequency), known by what (never_trained), by what force (output_gradient); then an intervention.

The counts are those of the batches that the run drew, not of the text: 98 tokens were in no batch, of which 87 are not in the
text at all. "Never shown" is then literally true. Measured with these weights (torch 2.13, one thread, Python 3.11.7):
mean cosine of W_E tied 0.000 -> 0.273, untied 0.000 -> 0.002; never shown 0.002 -> 0.979 and 0.002 -> 0.002; by times shown,
never .979, 1 to 9 .968, 10 to 99 .712, 100 to 999 .289, 1,000 and more .003; lengths .80 -> 3.38 (never) and .79 -> .90.
Untied W_U: .295, never shown .988. Untied W_E, never shown: cosine with the start .99996, length times .8627, which is what
the product of (1 - learning rate * weight decay) gives, .8627.

It is not true that 0.27 is the work of the rarest: without the 293 tokens shown fewer than a hundred times it is 0.21, and
only without all those shown fewer than a thousand times 0.00. An early version said so. Nor is it true that a never-shown row
ends up opposite the mean residual: their cosine is -0.69 at the end, and the gradient at the end, weighted by p, is of another
direction still (0.11 with minus the mean residual) and 3,500 times shorter than at the start. So the notebook compares
gradients with each other and not with the rows. At the start the gradients of never-shown tokens are alike by 0.96, those of
the commonest by 0.07; and the commonest set off together too (0.028 at step 94) and came back.

They set off the other way: the cosine of their mean move since the start with that of the 98 is -0.98 at step 94, -0.94 at
188, -0.77 at 375. While p is near 1 / 2,048, a token is pushed as one shown 762 times (the average) is pulled, and the 274
commonest were shown 1,002 times or more. "Set off together too", by itself, read as if they had gone along.

Three more things that an earlier text said and that are not so. The likeness is not of the never-right alone: .976 for
tokens shown once, .973 twice, .965 three or four times, .950 for 5 to 9, .906 for 10 to 19. never_trained is not blind on
the untied W_E but finds 0 of 98 where guessing finds 4.8 %: of the 98 rows nearest the mean 24 % were never shown. And the
twin's rare tokens do not go the same way in its W_U as in the tied matrix: the mean directions have cosine 0.18.

Is it AdamW? In a trial with 100 steps of plain gradient descent (rate 1, momentum 0.9), never-shown rows move alike as well
(cosine of their moves 0.996; AdamW 0.984), but by 0.40 where common rows move by 0.92; with AdamW 0.79 and 0.29. So the
optimiser decides how far, and the gradient where to. That is too long for the notebook.

The intervention is short so that nobody waits: 50 steps of 4 windows at twice the recipe's rate. Over twelve draws of the
batches the possible answers end at 0.47 to 0.51 and the silent at 0.001; from three other first draws, and with the two halves
exchanged, at 0.50 to 0.51 and within 0.002 of zero.
With the recipe's own batch and rate, 100 steps give 0.53 to 0.54 and 0.001, and take seven times as long.

The 18 tokens shown more than ten thousand times are alike by 0.15 (0.07 in the untied W_E, 0.17 in its W_U). We do not know
why, and Play says so.

never_trained: on mini-gpt2, with k = 98, the longest rows, the largest projection on the mean and the farthest from the mean
all find 86 % (and all they name were shown fewer than ten times); the cosine with the mean finds 63 %, similar neighbours 76 %,
the shortest none. On mini-neo the longest find none and the farthest from the mean again 86 %; there the shift of these rows has a
cosine of -0.34 with the mean. Hence two kinds of fixture with lengths, spreads and that angle as measured, and k rows trained
a little, nearer to the direction but less far along it. The real 86 % is a limit of the matter: rows shown once or twice are
as far away. Largest single entries were a mutant until a draw of the inputs proved it right.

by_frequency's fixtures have counts on each edge, just below each, and outside all groups; each group has its own pull. The
output gradient's oracle differentiates by a small change of the unembedding. A mutant that forgets the pull is right for the tokens
of which the story tells; the fixtures have both kinds.

model.to_single_token leaves the tokenizer truncating at 64 tokens: a stream encoded with it afterwards is 40 times too
short. So the notebook reads tokenizer.json itself.

What trying it in a browser changed: the first screen promised that "you will stop it from happening", which is the answer;
the slow example printed 0.22 after training before the guess was asked; long lines ran out of their cells.
"""


# ---- similarity_curve: wrong ---------------------------------------------------------------------------------------


def curve_of(U, ones=True):
    n = U.shape[1]
    diagonal = n if ones else U.square().sum((1, 2))
    return (U.sum(1).square().sum(-1) - diagonal) / (n * (n - 1))


def rows_of_length_one(W):
    return F.normalize(W, dim=-1)


def keeps_the_diagonal(W):
    return rows_of_length_one(W).mean(1).square().sum(-1)


def halves_the_pairs(W):
    U = rows_of_length_one(W)
    return torch.triu(U @ U.mT, diagonal=1).sum((1, 2)) / (W.shape[1] * (W.shape[1] - 1))


def divides_by_half_the_pairs(W):
    return 2 * curve_of(rows_of_length_one(W))


def divides_by_n_squared(W):
    n = W.shape[1]
    return (rows_of_length_one(W).sum(1).square().sum(-1) - n) / n**2


def keeps_the_ones_in_the_sum(W):
    return rows_of_length_one(W).sum(1).square().sum(-1) / (W.shape[1] * (W.shape[1] - 1))


def subtracts_the_start(W):
    curve = curve_of(rows_of_length_one(W))
    return curve - curve[0]


def averages_the_curve(W):
    return curve_of(rows_of_length_one(W)).mean()


def forgets_the_square(W):
    n = W.shape[1]
    return (rows_of_length_one(W).sum(1).norm(dim=-1) - n) / (n * (n - 1))


def forgets_to_normalise(W):
    return curve_of(W, ones=False)


def forgets_to_normalise_but_subtracts_ones(W):
    return curve_of(W)


def normalises_axis_one(W):
    return curve_of(W / W.norm(dim=1, keepdim=True))


def normalises_axis_one_carefully(W):
    return curve_of(W / W.norm(dim=1, keepdim=True), ones=False)


def normalises_axis_zero(W):
    return curve_of(W / W.norm(dim=0, keepdim=True))


def normalises_each_matrix(W):
    return curve_of(W / W.norm(dim=(1, 2), keepdim=True))


def takes_absolute_values(W):
    n, U = W.shape[1], rows_of_length_one(W)
    return ((U @ U.mT).abs().sum((1, 2)) - n) / (n * (n - 1))


def centres_each_step(W):
    return curve_of(rows_of_length_one(W - W.mean(1, keepdim=True)))


def centres_each_row(W):
    return curve_of(rows_of_length_one(W - W.mean(-1, keepdim=True)))


def measures_the_turn(W):
    return F.cosine_similarity(W, W[0].expand_as(W), dim=-1).mean(1)


def compares_with_the_mean(W):
    return F.cosine_similarity(W, W.mean(1, keepdim=True), dim=-1).mean(1)


def squares_the_comparison_with_the_mean(W):
    return F.cosine_similarity(W, W.mean(1, keepdim=True), dim=-1).mean(1) ** 2


def pools_the_steps(W):
    U = rows_of_length_one(W).flatten(0, 1)
    n = len(U)
    return (U.sum(0).square().sum() - n) / (n * (n - 1))


def sums_over_the_steps(W):
    n = W.shape[1]
    return (rows_of_length_one(W).sum(0).square().sum(-1) - n) / (n * (n - 1))


def leaves_out_the_start(W):
    return curve_of(rows_of_length_one(W[1:]))


def builds_the_matrices(W):
    n, U = W.shape[1], rows_of_length_one(W)
    return ((U @ U.mT).sum((1, 2)) - n) / (n * (n - 1))


def builds_one_matrix_at_a_time(W):
    values = []
    for step in rows_of_length_one(W):
        C = step @ step.T
        values.append((C.sum() - C.trace()) / (len(C) * (len(C) - 1)))
    return torch.stack(values)


def returns_the_sum(W):
    return rows_of_length_one(W).sum(1).square().sum(-1) + W.shape[1]


# ---- by_frequency: wrong -------------------------------------------------------------------------------------------


def mean_cosine(G):
    return curve_of(rows_of_length_one(G)[None])[0] if len(G) > 1 else torch.tensor(torch.nan)


def mean_dot_product(G):
    return curve_of(G[None], ones=False)[0]


def mean_dot_product_less_ones(G):
    return curve_of(G[None])[0]


def half_open(counts, lo, hi):
    return (counts >= lo) & (counts < hi)


def grouped(W, counts, edges, inside, mean):
    return torch.stack([mean(W[inside(counts, lo, hi)]) for lo, hi in pairwise(edges)])


def trusts_bucketize(W, counts, edges):
    group = torch.bucketize(counts, torch.tensor(edges)) - 1
    return grouped(W, group, list(range(len(edges))), half_open, mean_cosine)


def closes_both_ends(W, counts, edges):
    return grouped(W, counts, edges, lambda counts, lo, hi: (counts >= lo) & (counts <= hi), mean_cosine)


def opens_both_ends(W, counts, edges):
    return grouped(W, counts, edges, lambda counts, lo, hi: (counts > lo) & (counts < hi), mean_cosine)


def bins_as_numpy_does(W, counts, edges):
    return grouped(W, counts, [*edges[:-1], edges[-1] + 1], half_open, mean_cosine)


def lets_the_last_group_run_on(W, counts, edges):
    return grouped(W, counts, [*edges[:-1], 10**9], half_open, mean_cosine)


def lets_the_first_group_start_early(W, counts, edges):
    return grouped(W, counts, [-1, *edges[1:]], half_open, mean_cosine)


def digitizes_with_inner_edges(W, counts, edges):
    group = torch.from_numpy(np.digitize(counts.numpy(), edges[1:-1]))
    return grouped(W, group, list(range(len(edges))), half_open, mean_cosine)


def forgets_the_lower_edge(W, counts, edges):
    return grouped(W, counts, edges, lambda counts, lo, hi: counts < hi, mean_cosine)


def forgets_the_upper_edge(W, counts, edges):
    return grouped(W, counts, edges, lambda counts, lo, hi: counts >= lo, mean_cosine)


def slices_rows(W, counts, edges):
    values = []
    for lo, hi in pairwise(edges):
        values.append(mean_cosine(W[lo:hi]))
    return torch.stack(values)


def keeps_each_groups_diagonal(W, counts, edges):
    return grouped(W, counts, edges, half_open, lambda G: F.normalize(G, dim=1).mean(0).square().sum())


def keeps_each_groups_ones(W, counts, edges):
    def mean(G):
        return F.normalize(G, dim=1).sum(0).square().sum() / (len(G) * (len(G) - 1))

    return grouped(W, counts, edges, half_open, mean)


def divides_by_the_vocabulary(W, counts, edges):
    n = len(W)
    return grouped(
        W, counts, edges, half_open, lambda G: (F.normalize(G, dim=1).sum(0).square().sum() - n) / (n * (n - 1))
    )


def groups_dot_products(W, counts, edges):
    return grouped(W, counts, edges, half_open, mean_dot_product)


def groups_dot_products_less_ones(W, counts, edges):
    return grouped(W, counts, edges, half_open, mean_dot_product_less_ones)


def normalises_columns_of_groups(W, counts, edges):
    less_ones = mean_dot_product_less_ones
    return grouped(W, counts, edges, half_open, lambda G: less_ones(F.normalize(G, dim=0)))


def normalises_columns_first(W, counts, edges):
    return grouped(F.normalize(W, dim=0), counts, edges, half_open, mean_dot_product_less_ones)


def centres_the_vocabulary(W, counts, edges):
    return grouped(W - W.mean(0), counts, edges, half_open, mean_cosine)


def centres_each_group(W, counts, edges):
    similarity = mean_cosine
    return grouped(W, counts, edges, half_open, lambda G: similarity(G - G.mean(0)))


def groups_absolute_values(W, counts, edges):
    absolute = takes_absolute_values
    return grouped(W, counts, edges, half_open, lambda G: absolute(G[None])[0])


def compares_with_everyone(W, counts, edges):
    U = F.normalize(W, dim=1)
    per_token = (U @ U.sum(0) - 1) / (len(U) - 1)
    return grouped(per_token, counts, edges, half_open, torch.mean)


def compares_with_the_groups_mean(W, counts, edges):
    to_mean = compares_with_the_mean
    return grouped(W, counts, edges, half_open, lambda G: to_mean(G[None])[0])


def weighs_by_occurrence(W, counts, edges):
    values = []
    for lo, hi in pairwise(edges):
        some = half_open(counts, lo, hi)
        U, c = F.normalize(W[some], dim=1), counts[some].float()
        s = (c[:, None] * U).sum(0)
        values.append((s @ s - c @ c) / (c.sum() ** 2 - c @ c))
    return torch.stack(values)


def averages_the_groups(W, counts, edges):
    return grouped(W, counts, edges, half_open, mean_cosine).mean()


def starts_with_the_commonest(W, counts, edges):
    return grouped(W, counts, edges, half_open, mean_cosine).flip(0)


def adds_outer_groups(W, counts, edges):
    return grouped(W, counts, [-1, *edges, 10**9], half_open, mean_cosine)


def adds_a_last_group(W, counts, edges):
    return grouped(W, counts, [*edges, 10**9], half_open, mean_cosine)


def answers_per_token(W, counts, edges):
    U = F.normalize(W, dim=1)
    return (U @ U.sum(0) - 1) / (len(U) - 1)


# ---- never_trained: wrong ------------------------------------------------------------------------------------------


def takes_the_longest(W, k):
    return W.norm(dim=1).topk(k).indices


def takes_the_largest_projection(W, k):
    return (W @ W.mean(0)).topk(k).indices


def takes_the_longest_after_layer_norm(W, k):
    return (W - W.mean(1, keepdim=True)).norm(dim=1).topk(k).indices.tolist()


def takes_the_shortest(W, k):
    return W.norm(dim=1).argsort()[:k]


def takes_the_most_aligned(W, k):
    return F.cosine_similarity(W, W.mean(0, keepdim=True), dim=1).topk(k).indices


def takes_the_most_similar_to_all(W, k):
    U = F.normalize(W, dim=1)
    return (U @ U.T).mean(1).topk(k).indices


def takes_the_closest_pairs(W, k):
    U = F.normalize(W, dim=1)
    return (U @ U.T).fill_diagonal_(-1).amax(1).topk(k).indices


def takes_the_densest(W, k):
    U = F.normalize(W, dim=1)
    return (U @ U.T).fill_diagonal_(-1).topk(5).values.mean(1).topk(k).indices


def takes_the_least_aligned(W, k):
    return F.cosine_similarity(W, W.mean(0, keepdim=True), dim=1).argsort()[:k]


def centres_and_takes_directions(W, k):
    return F.cosine_similarity(W - W.mean(0), W.mean(0, keepdim=True), dim=1).topk(k).indices


def takes_the_nearest(W, k):
    return (W - W.mean(0)).norm(dim=1).argsort()[:k]


def sorts_the_wrong_way(W, k):
    return (W - W.mean(0)).norm(dim=1).argsort()[:k].tolist()


def takes_the_last_rows(W, k):
    return list(range(len(W) - k, len(W)))


def takes_the_first_rows(W, k):
    return torch.arange(k)


def takes_the_widest(W, k):
    return W.std(dim=1).topk(k).indices


def names_one_token_often(W, k):
    return (W - W.mean(0)).norm(dim=1).argmax().repeat(k)


def names_all(W, k):
    return (W - W.mean(0)).norm(dim=1).argsort(descending=True)


def returns_the_distances(W, k):
    return (W - W.mean(0)).norm(dim=1).topk(k).values


# ---- output_gradient: wrong ----------------------------------------------------------------------------------------


def pieces(logits, targets):
    return logits.softmax(-1), F.one_hot(targets, logits.shape[1]).float()


def goes_downhill(logits, targets, resid):
    p, right = pieces(logits, targets)
    return (right - p).T @ resid / len(resid)


def only_pushes(logits, targets, resid):
    return logits.softmax(-1).T @ resid / len(resid)


def adds_the_right_answer(logits, targets, resid):
    p, right = pieces(logits, targets)
    return (p + right).T @ resid / len(resid)


def only_pulls(logits, targets, resid):
    return -F.one_hot(targets, logits.shape[1]).float().T @ resid / len(resid)


def only_pulls_uphill(logits, targets, resid):
    return F.one_hot(targets, logits.shape[1]).float().T @ resid / len(resid)


def pulls_all_targets_everywhere(logits, targets, resid):
    error = logits.softmax(-1)
    error[:, targets] -= 1
    return error.T @ resid / len(targets)


def sums_over_positions(logits, targets, resid):
    p, right = pieces(logits, targets)
    return (p - right).T @ resid


def averages_over_the_vocabulary(logits, targets, resid):
    return sums_over_positions(logits, targets, resid) / logits.shape[1]


def divides_by_positions_twice(logits, targets, resid):
    return sums_over_positions(logits, targets, resid) / len(resid) ** 2


def divides_by_both(logits, targets, resid):
    return sums_over_positions(logits, targets, resid) / logits.numel()


def transposes_it(logits, targets, resid):
    return sums_over_positions(logits, targets, resid).T / len(resid)


def takes_softmax_over_positions(logits, targets, resid):
    return (logits.softmax(0) - pieces(logits, targets)[1]).T @ resid / len(resid)


def takes_logits(logits, targets, resid):
    return (logits - pieces(logits, targets)[1]).T @ resid / len(resid)


def takes_log_probabilities(logits, targets, resid):
    return (logits.log_softmax(-1) - pieces(logits, targets)[1]).T @ resid / len(resid)


def forgets_the_denominator(logits, targets, resid):
    return (logits.exp() - pieces(logits, targets)[1]).T @ resid / len(resid)


def takes_sigmoids(logits, targets, resid):
    return (logits.sigmoid() - pieces(logits, targets)[1]).T @ resid / len(resid)


def averages_the_residuals(logits, targets, resid):
    return -resid.mean(0)


def returns_residuals(logits, targets, resid):
    return resid


def stops_at_the_logits(logits, targets, resid):
    p, right = pieces(logits, targets)
    return (p - right) / len(resid)


MUTANTS = (
    Mutant("similarity_curve", "diagonal_kept", keeps_the_diagonal),
    Mutant("similarity_curve", "pairs_half_counted", halves_the_pairs),
    Mutant("similarity_curve", "pairs_counted_twice", divides_by_half_the_pairs),
    Mutant("similarity_curve", "divided_by_all_pairs", divides_by_n_squared),
    Mutant("similarity_curve", "ones_left_in", keeps_the_ones_in_the_sum),
    Mutant("similarity_curve", "change_from_start", subtracts_the_start),
    Mutant("similarity_curve", "averaged_away", averages_the_curve),
    Mutant("similarity_curve", "square_forgotten", forgets_the_square),
    Mutant("similarity_curve", "dot_products", forgets_to_normalise),
    Mutant("similarity_curve", "dot_products", forgets_to_normalise_but_subtracts_ones),
    Mutant("similarity_curve", "columns_normalised", normalises_axis_one),
    Mutant("similarity_curve", "columns_normalised", normalises_axis_one_carefully),
    Mutant("similarity_curve", "normalised_along_steps", normalises_axis_zero),
    Mutant("similarity_curve", "whole_matrix_normalised", normalises_each_matrix),
    Mutant("similarity_curve", "absolute_values", takes_absolute_values),
    Mutant("similarity_curve", "already_centred", centres_each_step),
    Mutant("similarity_curve", "row_mean_subtracted", centres_each_row),
    Mutant("similarity_curve", "compared_with_start", measures_the_turn),
    Mutant("similarity_curve", "to_the_mean", compares_with_the_mean),
    Mutant("similarity_curve", "to_the_mean_squared", squares_the_comparison_with_the_mean),
    Mutant("similarity_curve", "steps_pooled", pools_the_steps),
    Mutant("similarity_curve", "one_per_token", sums_over_the_steps),
    Mutant("similarity_curve", "one_step_missing", leaves_out_the_start),
    Mutant("similarity_curve", "n_by_n", builds_the_matrices),
    Mutant("similarity_curve", "n_by_n", builds_one_matrix_at_a_time),
    Mutant("similarity_curve", "not_a_mean_of_cosines", returns_the_sum),
    Mutant("by_frequency", "closed_above", trusts_bucketize),
    Mutant("by_frequency", "closed_both", closes_both_ends),
    Mutant("by_frequency", "open_both", opens_both_ends),
    Mutant("by_frequency", "last_group_closed", bins_as_numpy_does),
    Mutant("by_frequency", "last_group_endless", lets_the_last_group_run_on),
    Mutant("by_frequency", "first_group_endless", lets_the_first_group_start_early),
    Mutant("by_frequency", "ends_endless", digitizes_with_inner_edges),
    Mutant("by_frequency", "cumulative", forgets_the_lower_edge),
    Mutant("by_frequency", "cumulative", forgets_the_upper_edge),
    Mutant("by_frequency", "rows_sliced", slices_rows),
    Mutant("by_frequency", "diagonal_kept", keeps_each_groups_diagonal),
    Mutant("by_frequency", "ones_left_in", keeps_each_groups_ones),
    Mutant("by_frequency", "whole_vocabulary_counted", divides_by_the_vocabulary),
    Mutant("by_frequency", "dot_products", groups_dot_products),
    Mutant("by_frequency", "dot_products", groups_dot_products_less_ones),
    Mutant("by_frequency", "columns_normalised", normalises_columns_of_groups),
    Mutant("by_frequency", "columns_normalised", normalises_columns_first),
    Mutant("by_frequency", "already_centred", centres_the_vocabulary),
    Mutant("by_frequency", "group_centred", centres_each_group),
    Mutant("by_frequency", "absolute_values", groups_absolute_values),
    Mutant("by_frequency", "with_all_tokens", compares_with_everyone),
    Mutant("by_frequency", "to_the_mean", compares_with_the_groups_mean),
    Mutant("by_frequency", "weighted_by_count", weighs_by_occurrence),
    Mutant("by_frequency", "averaged_away", averages_the_groups),
    Mutant("by_frequency", "reversed", starts_with_the_commonest),
    Mutant("by_frequency", "one_per_edge", adds_outer_groups),
    Mutant("by_frequency", "one_per_edge", adds_a_last_group),
    Mutant("by_frequency", "one_per_token", answers_per_token),
    Mutant("never_trained", "longest", takes_the_longest),
    Mutant("never_trained", "longest", takes_the_largest_projection),
    Mutant("never_trained", "longest", takes_the_longest_after_layer_norm),
    Mutant("never_trained", "shortest", takes_the_shortest),
    Mutant("never_trained", "along_the_mean", takes_the_most_aligned),
    Mutant("never_trained", "along_the_mean", takes_the_most_similar_to_all),
    Mutant("never_trained", "most_alike", takes_the_closest_pairs),
    Mutant("never_trained", "most_alike", takes_the_densest),
    Mutant("never_trained", "against_the_mean", takes_the_least_aligned),
    Mutant("never_trained", "direction_from_the_middle", centres_and_takes_directions),
    Mutant("never_trained", "nearest_to_the_middle", takes_the_nearest),
    Mutant("never_trained", "nearest_to_the_middle", sorts_the_wrong_way),
    Mutant("never_trained", "last_rows", takes_the_last_rows),
    Mutant("never_trained", "last_rows", takes_the_first_rows),
    Mutant("never_trained", "longest", takes_the_widest),
    Mutant("never_trained", "repeated", names_one_token_often),
    Mutant("never_trained", "not_k", names_all),
    Mutant("never_trained", "wrong_type", returns_the_distances),
    Mutant("output_gradient", "sign_flipped", goes_downhill),
    Mutant("output_gradient", "pull_forgotten", only_pushes),
    Mutant("output_gradient", "pull_added", adds_the_right_answer),
    Mutant("output_gradient", "pull_only", only_pulls),
    Mutant("output_gradient", "pull_only", only_pulls_uphill),
    Mutant("output_gradient", "targets_at_all_positions", pulls_all_targets_everywhere),
    Mutant("output_gradient", "summed", sums_over_positions),
    Mutant("output_gradient", "divided_by_vocabulary", averages_over_the_vocabulary),
    Mutant("output_gradient", "divided_twice", divides_by_positions_twice),
    Mutant("output_gradient", "divided_twice", divides_by_both),
    Mutant("output_gradient", "transposed", transposes_it),
    Mutant("output_gradient", "softmax_over_positions", takes_softmax_over_positions),
    Mutant("output_gradient", "logits_for_probabilities", takes_logits),
    Mutant("output_gradient", "log_probabilities", takes_log_probabilities),
    Mutant("output_gradient", "not_normalised", forgets_the_denominator),
    Mutant("output_gradient", "not_normalised", takes_sigmoids),
    Mutant("output_gradient", "one_per_coordinate", averages_the_residuals),
    Mutant("output_gradient", "one_per_coordinate", returns_residuals),
    Mutant("output_gradient", "one_per_logit", stops_at_the_logits),
)


# ---- right, in other styles ----------------------------------------------------------------------------------------


def curve_step_by_step(W):
    values = []
    for step in W:
        unit, n = F.normalize(step, dim=1), len(step)
        values.append(((unit.sum(0) ** 2).sum() - n) / (n * (n - 1)))
    return torch.stack(values)


def curve_in_numpy(W):
    rows = W.numpy().astype(np.float64)
    unit = rows / np.linalg.norm(rows, axis=-1, keepdims=True)
    n = rows.shape[1]
    return (np.square(unit.sum(axis=1)).sum(axis=-1) - n) / (n * (n - 1))


def curve_with_einsum(W):
    unit = F.normalize(W.double(), dim=-1)
    total, n = einops.reduce(unit, "step n d -> step d", "sum"), W.shape[1]
    return (torch.einsum("sd,sd->s", total, total) - n) / (n**2 - n)


def curve_per_token(W):
    unit = F.normalize(W.double(), dim=-1)
    others = unit.sum(1, keepdim=True) - unit
    return (unit * others).sum(-1).mean(1) / (W.shape[1] - 1)


def groups_in_numpy(W, counts, edges):
    group = np.digitize(counts.numpy(), edges) - 1
    values = []
    for b in range(len(edges) - 1):
        rows = W.numpy().astype(np.float64)[group == b]
        C = np.corrcoef(np.hstack([rows, -rows]))  # of rows and their negatives: the mean is zero, so a cosine
        values.append((C.sum() - len(C)) / (len(C) * (len(C) - 1)))
    return np.array(values)


def groups_by_bucketize(W, counts, edges):
    group = torch.bucketize(counts, torch.tensor(edges), right=True) - 1
    return torch.stack([mean_cosine(W[group == b]) for b in range(len(edges) - 1)])


def groups_in_loops(W, counts, edges):
    values = []
    for lo, hi in pairwise(edges):
        unit = [row / row.norm() for row, count in zip(W, counts.tolist(), strict=True) if lo <= count < hi]
        cosines = [float(a @ b) for i, a in enumerate(unit) for b in unit[:i]]
        values.append(sum(cosines) / len(cosines))
    return torch.tensor(values)


def farthest_in_numpy(W, k):
    rows = W.numpy()
    return np.argsort(np.linalg.norm(rows - rows.mean(axis=0), axis=1))[-k:].copy()


def farthest_as_a_list(W, k):
    distances = (W - W.mean(0)).square().sum(1).tolist()
    return sorted(range(len(W)), key=distances.__getitem__, reverse=True)[:k]


def farthest_from_the_median(W, k):
    return (W - W.median(0).values).norm(dim=1).topk(k).indices


def farthest_from_all_others(W, k):
    return torch.cdist(W, W).mean(1).topk(k).indices


def along_the_first_component(W, k):
    centred = W - W.mean(0)
    return (centred @ torch.linalg.svd(centred, full_matrices=False)[2][0]).abs().topk(k).indices


def gradient_in_one_line(logits, targets, resid):
    return (logits.softmax(-1) - F.one_hot(targets, logits.shape[-1])).T @ resid / len(targets)


def gradient_in_loops(logits, targets, resid):
    gradient = torch.zeros(logits.shape[1], resid.shape[1])
    for row, target, r in zip(logits, targets.tolist(), resid, strict=True):
        p = row.exp() / row.exp().sum()
        p[target] -= 1
        gradient += p[:, None] * r / len(targets)
    return gradient


def gradient_in_numpy(logits, targets, resid):
    p = np.exp(logits.numpy() - logits.numpy().max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    p[np.arange(len(p)), targets.numpy()] -= 1
    return np.einsum("pv,pd->vd", p, resid.numpy()) / len(p)


def gradient_by_autograd(logits, targets, resid):
    free = logits.clone().requires_grad_()
    F.cross_entropy(free, targets).backward()
    return free.grad.T @ resid


ALTERNATIVES = (
    Alternative("similarity_curve", "a loop over steps", curve_step_by_step),
    Alternative("similarity_curve", "numpy, float64", curve_in_numpy),
    Alternative("similarity_curve", "einops and einsum", curve_with_einsum),
    Alternative("similarity_curve", "each token against the sum of the others", curve_per_token),
    Alternative("by_frequency", "numpy's digitize", groups_in_numpy),
    Alternative("by_frequency", "bucketize, right=True", groups_by_bucketize),
    Alternative("by_frequency", "loops", groups_in_loops),
    Alternative("never_trained", "numpy", farthest_in_numpy),
    Alternative("never_trained", "a sorted list", farthest_as_a_list),
    Alternative("never_trained", "from the median", farthest_from_the_median),
    Alternative("never_trained", "mean distance to all others", farthest_from_all_others),
    Alternative("never_trained", "along the first principal component", along_the_first_component),
    Alternative("output_gradient", "one line", gradient_in_one_line),
    Alternative("output_gradient", "loops", gradient_in_loops),
    Alternative("output_gradient", "numpy", gradient_in_numpy),
    Alternative("output_gradient", "autograd by the logits", gradient_by_autograd),
)
