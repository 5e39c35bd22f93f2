"""Without LayerNorm, for authors only: wrong answers, other right answers, and why it is built so."""

import math

import einops
import numpy as np
import torch
import torch.nn.functional as F

from mechpuzzles.puzzle import Alternative, Mutant

DESIGN_NOTE = """
One principle: parts that add up are no explanation. The order is surprise (readings that miss by more than the
largest logit, or not at all), the divisor as the only culprit, a repair after which mini-gpt2 adds up too, so that
the sum proves nothing; then the intervention that does, what is left and where it bends, and only then how the norms
come off for good.

Measured, on 8 pieces of einops of 64 tokens. Each part through the last norm by itself: mini-gpt2 misses by 48.9
where the largest logit is 19.2; with the shared divisor by 2e-5. Left over of a part's effect, in the order embed,
pos_embed, attention 0, MLP 0, attention 1, MLP 1: mini-gpt2 1.09 1.05 0.99 1.16 0.71 0.30, mini-noln 1.00 0.98 0.96
0.71 0.58 0.00; with the mean instead of zero 1.09 1.02 1.03 0.74 0.80 0.31 and 1.00 1.00 0.99 0.78 0.61 0.00. The
text compares the last bar only: the two models were trained apart, once each, and MLP 0 of mini-gpt2 depends on the
baseline and the text (1.16, 0.74, 2.01).

What bends: embedding at volume 0, 1, 2, largest miss of the middle. mini-noln 7.5 with nothing held, 6.3 with
patterns held, 6.1 with GELU's gates held, 1e-5 with both. mini-gpt2 9.9 with both, 1e-5 with the divisors held as
well; leave any one of its five divisors free and it is off by 3.1 to 10.0. That control closes the argument: patterns,
GELU and the divisor are all there is. Patterns, not softmax: to hold them also takes away the products q.k and pattern
times value, which bend by themselves (softmax linearised, GELU held: off by 17.4; softmax free 6.1; pattern held 1e-5). Holding the MLP's output instead of its gates was tried first: it also gives
straight lines, but it cuts the linear paths through the MLP, and then one has not shown that GELU's choice is what
bends. Only attention 1 needs no pattern held, and only MLP 1 needs nothing held.

Taking the norms off: by the learner's fold and identities 1e-5 in a log-probability, by the large eps in the config
0. Without centring 0.91, without the norms' biases 0.78, folded twice 5.4. The loss would hide it: 4.565 becomes
4.581, 4.586 and 4.596; so the notebook compares log-probabilities, their largest change, and not the loss. eps on the
bridge's norms, on the Hugging Face norms or in bridge.cfg after booting: 1e7, without a word. Assigning nn.Identity()
to block.ln1 gives a gap of exactly zero, because the old norm still runs; on a random model whose norms were folded
first it was wrong by 2.

Constant divisors: loss of mini-gpt2 4.335, with its divisors frozen 4.565, mini-noln 4.565; on other windows, divisors
still from the notebook's, frozen and mini-noln have 5.05 and 4.97 (einops), 5.09 and 5.12 (jaxtyping). So freezing
without training is as good as training without norms. An earlier text lacked that control and said from 4.34 to 4.57
that the divisors matter. The largest change of a log-probability, 15, is over all entries; mini-gpt2 and mini-noln
differ by 27. What freezing costs the published GPT-2 was not measured.

load_without_layernorm cannot be graded, since a model is no plain data. Its content is: what stays of a norm with a
huge eps (split_norm), what it means for readings (direct_effects), and the map that the reader swallows (fold).

Fixtures. split_norm: one eps that is negligible, one as large as the variance, one of 1e12, or else eps outside the
root, under it and ignored agree; row means away from zero, or else RMS passes. direct_effects: divisors that differ
by a factor of six, rows with means, weights and biases of both signs and never near zero or one, as many axes as
sizes. left_over: rows of different size (a mean of ratios), each with a level (not centred), columns with one too.
fold: three values of eps, so that a million is not right everywhere; the weights grow with the root of eps, so that
the new matrix is of ordinary size in each. The wrong values there span 24 orders of magnitude: symptoms of tuples
compare at the slip's own size.

Trying it in a browser changed: four curves had a legend over two lines and colours that did not match the bars; the
volume went to 3 in halves and missed where mini-gpt2 bends; sixteen texts took twice as long and said the same; lines
of code ran out of the cell; the set-up printed an object; the first cell did not load the puzzle.
"""


# ---- split_norm: wrong ---------------------------------------------------------------------------------------------


def split_rightly(x, eps):
    middle = x.mean(-1, keepdim=True)
    return x - middle, torch.sqrt(x.var(-1, correction=0) + eps)


def returns_divisors_first(x, eps):
    rows, divisor = split_rightly(x, eps)
    return divisor, rows


def leaves_the_mean(x, eps):
    return x, split_rightly(x, eps)[1]


def centres_columns(x, eps):
    return x - x.mean(0, keepdim=True), split_rightly(x, eps)[1]


def subtracts_one_mean(x, eps):
    return x - x.mean(), split_rightly(x, eps)[1]


def divides_at_once(x, eps):
    return F.layer_norm(x, x.shape[1:], eps=eps), split_rightly(x, eps)[1]


def ignores_eps(x, eps):
    return split_rightly(x, 0.0)


def adds_eps_outside(x, eps):
    rows, deviation = split_rightly(x, 0.0)
    return rows, deviation + eps


def adds_eps_to_std(x, eps):
    return split_rightly(x, eps)[0], x.std(1) + eps


def takes_a_root_of_each(x, eps):
    rows, deviation = split_rightly(x, 0.0)
    return rows, deviation + math.sqrt(eps)


def squares_eps(x, eps):
    return split_rightly(x, eps**2)


def uses_eps_as_floor(x, eps):
    rows = split_rightly(x, eps)[0]
    return rows, rows.pow(2).mean(1).clamp(min=eps).sqrt()


def uses_eps_as_floor_of_the_root(x, eps):
    rows, deviation = split_rightly(x, 0.0)
    return rows, torch.clamp(deviation, min=eps)


def measures_uncentred_rows(x, eps):
    return split_rightly(x, eps)[0], ((x**2).mean(1) + eps) ** 0.5


def uses_torch_var(x, eps):
    return split_rightly(x, eps)[0], torch.sqrt(x.var(1) + eps)


def uses_torch_std(x, eps):
    return split_rightly(x, eps)[0], x.std(1)


def sums_squares(x, eps):
    rows = split_rightly(x, eps)[0]
    return rows, (rows.pow(2).sum(1) + eps).sqrt()


def forgets_the_root(x, eps):
    rows, divisor = split_rightly(x, eps)
    return rows, divisor.square()


def returns_the_inverse(x, eps):
    rows, divisor = split_rightly(x, eps)
    return rows, divisor.reciprocal()


def pools_rows(x, eps):
    rows = split_rightly(x, eps)[0]
    return rows, (rows.pow(2).mean() + eps).sqrt().repeat(len(x))


def pools_everything(x, eps):
    return split_rightly(x, eps)[0], (x.var(correction=0) + eps).sqrt().repeat(len(x))


def measures_the_columns(x, eps):
    return split_rightly(x, eps)[0], (x.var(0, correction=0) + eps).sqrt()


def keeps_the_axis(x, eps):
    rows, divisor = split_rightly(x, eps)
    return rows, divisor[:, None]


# ---- direct_effects: wrong -----------------------------------------------------------------------------------------


def read_rightly(parts, divisor, weight, bias, W_U):
    centred = parts - parts.mean(2, keepdim=True)
    said = torch.einsum("pnd,n,d,dv->pnv", centred, 1 / divisor, weight, W_U)
    return torch.cat([said, (bias @ W_U).repeat(1, len(divisor), 1)])


def drops_the_bias_row(parts, divisor, weight, bias, W_U):
    return read_rightly(parts, divisor, weight, bias, W_U)[:-1]


def leaves_the_bias_row_empty(parts, divisor, weight, bias, W_U):
    return read_rightly(parts, divisor, weight, 0 * bias, W_U)


def norms_each_part_whole(parts, divisor, weight, bias, W_U):
    normed = (parts - parts.mean(-1, keepdim=True)) / divisor[:, None] * weight + bias
    return torch.cat([normed @ W_U, (bias @ W_U).expand(1, len(divisor), -1)])


def norms_each_part_whole_and_stops(parts, divisor, weight, bias, W_U):
    return ((parts - parts.mean(-1, keepdim=True)) / divisor[:, None] * weight + bias) @ W_U


def shares_the_bias_out(parts, divisor, weight, bias, W_U):
    return ((parts - parts.mean(-1, keepdim=True)) / divisor[:, None] * weight + bias / len(parts)) @ W_U


def shares_the_bias_out_and_leaves_a_row(*inputs):
    shared = shares_the_bias_out(*inputs)
    return torch.cat([shared, torch.zeros_like(shared[:1])])


def puts_the_bias_first(*inputs):
    said = read_rightly(*inputs)
    return torch.cat([said[-1:], said[:-1]])


def stacks_the_bias_before_dividing(parts, divisor, weight, bias, W_U):
    centred = parts - parts.mean(-1, keepdim=True)
    both = torch.cat([centred * weight, bias.expand_as(centred[:1])])
    return both / divisor[:, None] @ W_U


def stacks_the_bias_before_the_weight(parts, divisor, weight, bias, W_U):
    centred = (parts - parts.mean(-1, keepdim=True)) / divisor[:, None]
    return torch.cat([centred, bias.expand_as(centred[:1])]) * weight @ W_U


def centres_the_bias(parts, divisor, weight, bias, W_U):
    return read_rightly(parts, divisor, weight, bias - bias.mean(), W_U)


def fills_the_last_row_with_ones(*inputs):
    said = read_rightly(*inputs)
    said[-1] = 1
    return said


def forgets_to_centre_parts(parts, divisor, weight, bias, W_U):
    said = parts / divisor[None, :, None] * weight @ W_U
    return torch.cat([said, (bias @ W_U).expand_as(said[:1])])


def centres_over_parts(parts, divisor, weight, bias, W_U):
    return forgets_to_centre_parts(parts - parts.mean(0, keepdim=True), divisor, weight, bias, W_U)


def centres_over_rows(parts, divisor, weight, bias, W_U):
    return forgets_to_centre_parts(parts - parts.mean(1, keepdim=True), divisor, weight, bias, W_U)


def gives_each_part_its_own(parts, divisor, weight, bias, W_U):
    said = F.layer_norm(parts, parts.shape[-1:], weight, eps=0.0) @ W_U
    return torch.cat([said, (bias @ W_U).expand_as(said[:1])])


def forgets_to_divide(parts, divisor, weight, bias, W_U):
    return read_rightly(parts, torch.ones_like(divisor), weight, bias, W_U)


def multiplies_by_the_divisor(parts, divisor, weight, bias, W_U):
    return read_rightly(parts, 1 / divisor, weight, bias, W_U)


def divides_by_the_square(parts, divisor, weight, bias, W_U):
    return read_rightly(parts, divisor**2, weight, bias, W_U)


def takes_another_root(parts, divisor, weight, bias, W_U):
    return read_rightly(parts, divisor.sqrt(), weight, bias, W_U)


def averages_the_divisor(parts, divisor, weight, bias, W_U):
    return read_rightly(parts, divisor.mean().expand_as(divisor), weight, bias, W_U)


def forgets_the_weight(parts, divisor, weight, bias, W_U):
    return read_rightly(parts, divisor, torch.ones_like(weight), bias, W_U)


def weighs_before_centring(parts, divisor, weight, bias, W_U):
    return read_rightly(parts * weight, divisor, torch.ones_like(weight), bias, W_U)


def centres_the_unembedding(parts, divisor, weight, bias, W_U):
    return read_rightly(parts, divisor, weight, bias, W_U - W_U.mean(1, keepdim=True))


def adds_the_parts_up(*inputs):
    return read_rightly(*inputs).sum(0)


def puts_rows_first(*inputs):
    return read_rightly(*inputs).permute(1, 0, 2)


# ---- left_over: wrong ----------------------------------------------------------------------------------------------


def level(x):
    return x - x.mean(-1, keepdim=True)


def share(change, reading):
    return ((change - reading) ** 2).sum() / (change**2).sum()


def leaves_the_levels(change, reading):
    return share(change, reading)


def levels_columns(change, reading):
    return share(change - change.mean(0), reading - reading.mean(0))


def levels_by_one_number(change, reading):
    return share(change - change.mean(), reading - reading.mean())


def levels_the_change_only(change, reading):
    return share(level(change), reading)


def levels_the_reading_only(change, reading):
    return share(change, level(reading))


def levels_the_difference_only(change, reading):
    return (level(change - reading) ** 2).sum() / (change**2).sum()


def levels_the_denominator_only(change, reading):
    return ((change - reading) ** 2).sum() / (level(change) ** 2).sum()


def divides_by_the_reading(change, reading):
    return (level(change - reading) ** 2).sum() / (level(reading) ** 2).sum()


def compares_lengths(change, reading):
    return level(change - reading).norm() / level(change).norm()


def squares_the_share(change, reading):
    return share(level(change), level(reading)) ** 2


def returns_what_is_explained(change, reading):
    return 1 - share(level(change), level(reading))


def turns_the_share_over(change, reading):
    return 1 / share(level(change), level(reading))


def averages_over_rows(change, reading):
    return ((level(change - reading) ** 2).sum(1) / (level(change) ** 2).sum(1)).mean()


def keeps_the_rows(change, reading):
    return (level(change - reading) ** 2).sum(1) / (level(change) ** 2).sum(1)


def takes_one_minus_r_squared(change, reading):
    return 1 - F.cosine_similarity(level(change).flatten(), level(reading).flatten(), dim=0) ** 2


def takes_one_minus_the_cosine(change, reading):
    return 1 - F.cosine_similarity(level(change).flatten(), level(reading).flatten(), dim=0)


def takes_the_correlation(change, reading):
    return 1 - float(np.corrcoef(change.flatten().numpy(), reading.flatten().numpy())[0, 1]) ** 2


def compares_squares(change, reading):
    return 1 - (level(reading) ** 2).sum() / (level(change) ** 2).sum()


def adds_the_reading(change, reading):
    return share(level(change), -level(reading))


def forgets_to_divide_squares(change, reading):
    return (level(change - reading) ** 2).sum()


def averages_the_squares(change, reading):
    return (level(change - reading) ** 2).mean()


def takes_absolute_differences(change, reading):
    return level(change - reading).abs().sum() / level(change).abs().sum()


# ---- fold: wrong ---------------------------------------------------------------------------------------------------


def fold_rightly(W, b, weight, bias, eps):
    gained = torch.diag(weight / math.sqrt(eps)) @ W
    return gained - gained.mean(0, keepdim=True), W.T @ bias + b


def drops_the_centring(W, b, weight, bias, eps):
    return (weight / math.sqrt(eps))[:, None] * W, W.T @ bias + b


def centres_outputs(W, b, weight, bias, eps):
    gained = (weight / math.sqrt(eps))[:, None] * W
    return gained - gained.mean(1, keepdim=True), W.T @ bias + b


def centres_before_the_weight(W, b, weight, bias, eps):
    return (weight / math.sqrt(eps))[:, None] * (W - W.mean(0)), W.T @ bias + b


def centres_the_weight(W, b, weight, bias, eps):
    return ((weight - weight.mean()) / math.sqrt(eps))[:, None] * W, W.T @ bias + b


def subtracts_one_mean_from_all(W, b, weight, bias, eps):
    gained = (weight / math.sqrt(eps))[:, None] * W
    return gained - gained.mean(), W.T @ bias + b


def forgets_the_divisor(W, b, weight, bias, eps):
    return fold_rightly(W, b, weight, bias, 1.0)


def divides_by_eps(W, b, weight, bias, eps):
    return fold_rightly(W, b, weight, bias, eps**2)


def multiplies_by_the_root(W, b, weight, bias, eps):
    return fold_rightly(W, b, weight, bias, 1 / eps)


def divides_by_a_million(W, b, weight, bias, eps):
    return fold_rightly(W, b, weight, bias, 1e12)


def leaves_the_weight_out(W, b, weight, bias, eps):
    return W - W.mean(0), W.T @ bias + b


def divides_without_the_weight(W, b, weight, bias, eps):
    return (W - W.mean(0)) / math.sqrt(eps), W.T @ bias + b


def folds_twice(W, b, weight, bias, eps):
    return fold_rightly(*fold_rightly(W, b, weight, bias, eps), weight, bias, eps)


def weighs_twice(W, b, weight, bias, eps):
    return fold_rightly((weight / math.sqrt(eps))[:, None] * W, b, weight, bias, eps)[0], W.T @ bias + b


def folds_the_bias_only(W, b, weight, bias, eps):
    return W.clone(), W.T @ bias + b


def returns_the_transpose(W, b, weight, bias, eps):
    new_W, new_b = fold_rightly(W, b, weight, bias, eps)
    return new_W.T, new_b


def returns_the_bias_first(W, b, weight, bias, eps):
    return fold_rightly(W, b, weight, bias, eps)[::-1]


def drops_the_norms_bias(W, b, weight, bias, eps):
    return fold_rightly(W, b, weight, 0 * bias, eps)


def drops_the_readers_bias(W, b, weight, bias, eps):
    return fold_rightly(W, 0 * b, weight, bias, eps)


def reads_the_bias_with_the_new_matrix(W, b, weight, bias, eps):
    new_W = fold_rightly(W, b, weight, bias, eps)[0]
    return new_W, b + bias @ new_W


def reads_the_bias_with_the_gained_matrix(W, b, weight, bias, eps):
    gained = (weight / math.sqrt(eps))[:, None] * W
    return gained - gained.mean(0), b + bias @ gained


def divides_the_bias(W, b, weight, bias, eps):
    return fold_rightly(W, b, weight, bias / math.sqrt(eps), eps)


def centres_the_norms_bias(W, b, weight, bias, eps):
    return fold_rightly(W, b, weight, bias - bias.mean(), eps)


def folds_the_bias_twice(W, b, weight, bias, eps):
    return fold_rightly(W, b, weight, 2 * bias, eps)


def adds_the_bias_unread(W, b, weight, bias, eps):
    return fold_rightly(W, b, weight, bias, eps)[0], b + bias.sum()


def subtracts_the_bias(W, b, weight, bias, eps):
    return fold_rightly(W, b, weight, -bias, eps)


MUTANTS = (
    Mutant("split_norm", "swapped", returns_divisors_first),
    Mutant("split_norm", "not_centred", leaves_the_mean),
    Mutant("split_norm", "columns_centred", centres_columns),
    Mutant("split_norm", "one_mean_for_all", subtracts_one_mean),
    Mutant("split_norm", "already_divided", divides_at_once),
    Mutant("split_norm", "eps_ignored", ignores_eps),
    Mutant("split_norm", "eps_outside_the_root", adds_eps_outside),
    Mutant("split_norm", "eps_outside_the_root", adds_eps_to_std),
    Mutant("split_norm", "root_of_each", takes_a_root_of_each),
    Mutant("split_norm", "eps_squared", squares_eps),
    Mutant("split_norm", "eps_as_floor", uses_eps_as_floor),
    Mutant("split_norm", "eps_as_floor", uses_eps_as_floor_of_the_root),
    Mutant("split_norm", "mean_left_in", measures_uncentred_rows),
    Mutant("split_norm", "one_degree_less", uses_torch_var),
    Mutant("split_norm", "one_degree_less", uses_torch_std),
    Mutant("split_norm", "summed", sums_squares),
    Mutant("split_norm", "no_root", forgets_the_root),
    Mutant("split_norm", "inverse", returns_the_inverse),
    Mutant("split_norm", "one_divisor_for_all", pools_rows),
    Mutant("split_norm", "one_divisor_for_all", pools_everything),
    Mutant("split_norm", "per_column", measures_the_columns),
    Mutant("split_norm", "axis_kept", keeps_the_axis),
    Mutant("direct_effects", "bias_left_out", drops_the_bias_row),
    Mutant("direct_effects", "bias_left_out", leaves_the_bias_row_empty),
    Mutant("direct_effects", "bias_in_every_part", norms_each_part_whole),
    Mutant("direct_effects", "bias_counted_with_parts", norms_each_part_whole_and_stops),
    Mutant("direct_effects", "bias_shared_out", shares_the_bias_out),
    Mutant("direct_effects", "bias_shared_out", shares_the_bias_out_and_leaves_a_row),
    Mutant("direct_effects", "bias_first", puts_the_bias_first),
    Mutant("direct_effects", "bias_divided", stacks_the_bias_before_dividing),
    Mutant("direct_effects", "bias_weighted", stacks_the_bias_before_the_weight),
    Mutant("direct_effects", "bias_centred", centres_the_bias),
    Mutant("direct_effects", "bias_not_read", fills_the_last_row_with_ones),
    Mutant("direct_effects", "centring_dropped", forgets_to_centre_parts),
    Mutant("direct_effects", "centred_over_parts", centres_over_parts),
    Mutant("direct_effects", "centred_over_rows", centres_over_rows),
    Mutant("direct_effects", "own_divisors", gives_each_part_its_own),
    Mutant("direct_effects", "not_divided", forgets_to_divide),
    Mutant("direct_effects", "multiplied", multiplies_by_the_divisor),
    Mutant("direct_effects", "divided_twice", divides_by_the_square),
    Mutant("direct_effects", "divided_by_the_root", takes_another_root),
    Mutant("direct_effects", "average_divisor", averages_the_divisor),
    Mutant("direct_effects", "weight_forgotten", forgets_the_weight),
    Mutant("direct_effects", "weight_before_centring", weighs_before_centring),
    Mutant("direct_effects", "centred_over_the_vocabulary", centres_the_unembedding),
    Mutant("direct_effects", "summed", adds_the_parts_up),
    Mutant("direct_effects", "axes_swapped", puts_rows_first),
    Mutant("left_over", "not_centred", leaves_the_levels),
    Mutant("left_over", "rows_averaged_out", levels_columns),
    Mutant("left_over", "one_mean_for_all", levels_by_one_number),
    Mutant("left_over", "half_centred", levels_the_change_only),
    Mutant("left_over", "half_centred", levels_the_reading_only),
    Mutant("left_over", "half_centred", levels_the_difference_only),
    Mutant("left_over", "half_centred", levels_the_denominator_only),
    Mutant("left_over", "divided_by_the_reading", divides_by_the_reading),
    Mutant("left_over", "root", compares_lengths),
    Mutant("left_over", "squared", squares_the_share),
    Mutant("left_over", "explained", returns_what_is_explained),
    Mutant("left_over", "upside_down", turns_the_share_over),
    Mutant("left_over", "mean_of_ratios", averages_over_rows),
    Mutant("left_over", "one_per_row", keeps_the_rows),
    Mutant("left_over", "best_multiple", takes_one_minus_r_squared),
    Mutant("left_over", "best_multiple", takes_one_minus_the_cosine),
    Mutant("left_over", "best_multiple", takes_the_correlation),
    Mutant("left_over", "squares_subtracted", compares_squares),
    Mutant("left_over", "added", adds_the_reading),
    Mutant("left_over", "not_divided", forgets_to_divide_squares),
    Mutant("left_over", "not_divided", averages_the_squares),
    Mutant("left_over", "absolute", takes_absolute_differences),
    Mutant("fold", "centring_dropped", drops_the_centring),
    Mutant("fold", "outputs_centred", centres_outputs),
    Mutant("fold", "centred_before_the_weight", centres_before_the_weight),
    Mutant("fold", "weight_centred", centres_the_weight),
    Mutant("fold", "one_mean_for_all", subtracts_one_mean_from_all),
    Mutant("fold", "divisor_forgotten", forgets_the_divisor),
    Mutant("fold", "eps_without_root", divides_by_eps),
    Mutant("fold", "multiplied", multiplies_by_the_root),
    Mutant("fold", "divided_by_a_million", divides_by_a_million),
    Mutant("fold", "weight_forgotten", leaves_the_weight_out),
    Mutant("fold", "weight_forgotten", divides_without_the_weight),
    Mutant("fold", "folded_twice", folds_twice),
    Mutant("fold", "folded_twice", weighs_twice),
    Mutant("fold", "W_as_it_was", folds_the_bias_only),
    Mutant("fold", "transposed", returns_the_transpose),
    Mutant("fold", "swapped", returns_the_bias_first),
    Mutant("fold", "bias_dropped", drops_the_norms_bias),
    Mutant("fold", "reader_bias_dropped", drops_the_readers_bias),
    Mutant("fold", "bias_through_the_new_matrix", reads_the_bias_with_the_new_matrix),
    Mutant("fold", "bias_through_the_new_matrix", reads_the_bias_with_the_gained_matrix),
    Mutant("fold", "bias_divided", divides_the_bias),
    Mutant("fold", "bias_centred", centres_the_norms_bias),
    Mutant("fold", "bias_twice", folds_the_bias_twice),
    Mutant("fold", "bias_added_unread", adds_the_bias_unread),
    Mutant("fold", "bias_subtracted", subtracts_the_bias),
)


# ---- right, in other styles ----------------------------------------------------------------------------------------


def split_in_numpy(x, eps):
    rows = x.numpy().astype(np.float64)
    return rows - rows.mean(axis=1, keepdims=True), np.sqrt(rows.var(axis=1) + eps)


def split_with_einops(x, eps):
    centred = x - einops.reduce(x, "n d -> n 1", "mean")
    return centred, torch.sqrt(einops.reduce(centred**2, "n d -> n", "mean") + eps)


def split_in_loops(x, eps):
    rows, divisors = [], []
    for row in x:
        rows.append(row - sum(row) / len(row))
        divisors.append(math.sqrt(sum(float(value) ** 2 for value in rows[-1]) / len(row) + eps))
    return torch.stack(rows), torch.tensor(divisors)


def read_in_numpy(parts, divisor, weight, bias, W_U):
    parts, divisor, weight, bias, W_U = (one.numpy() for one in (parts, divisor, weight, bias, W_U))
    said = (parts - parts.mean(-1, keepdims=True)) / divisor[None, :, None] * weight @ W_U
    return np.concatenate([said, np.broadcast_to(bias @ W_U, said[:1].shape)])


def read_in_a_loop(parts, divisor, weight, bias, W_U):
    said = [((part - part.mean(1)[:, None]) * weight @ W_U) / divisor[:, None] for part in parts]
    return torch.stack([*said, torch.outer(torch.ones_like(divisor), bias @ W_U)])


def read_with_a_centred_unembedding(parts, divisor, weight, bias, W_U):
    reader = weight[:, None] * W_U
    said = einops.einsum(parts, reader - reader.mean(0), "p n d, d v -> p n v") / divisor.reshape(1, -1, 1)
    return torch.cat([said, einops.repeat(bias @ W_U, "v -> 1 n v", n=len(divisor))])


def share_in_numpy(change, reading):
    change, reading = change.numpy(), reading.numpy()
    rest = (change - reading) - (change - reading).mean(1, keepdims=True)
    return (rest**2).sum() / ((change - change.mean(1, keepdims=True)) ** 2).sum()


def share_by_variances(change, reading):
    return float((change - reading).var(1).sum() / change.var(1).sum())


def share_in_loops(change, reading):
    rest = whole = 0.0
    for c, r in zip(change.double(), reading.double(), strict=True):
        c, r = c - c.mean(), r - r.mean()
        rest, whole = rest + (c - r) @ (c - r), whole + c @ c
    return rest / whole


def fold_with_a_centring_matrix(W, b, weight, bias, eps):
    centring = torch.eye(len(W)) - torch.ones(len(W), len(W)) / len(W)
    return centring @ torch.diag(weight / eps**0.5) @ W, b + bias @ W


def fold_in_numpy(W, b, weight, bias, eps):
    W, b, weight, bias = (one.numpy().astype(np.float64) for one in (W, b, weight, bias))
    scaled = W * weight[:, None] / np.sqrt(eps)
    return scaled - scaled.mean(axis=0), b + bias @ W


def fold_by_trying(W, b, weight, bias, eps):
    def read(x):
        return ((x - x.mean(-1, keepdim=True)) / math.sqrt(eps) * weight + bias) @ W + b

    nothing = read(torch.zeros(1, len(W)))
    return read(torch.eye(len(W))) - nothing, nothing[0]


ALTERNATIVES = (
    Alternative("split_norm", "numpy, float64", split_in_numpy),
    Alternative("split_norm", "einops", split_with_einops),
    Alternative("split_norm", "loop", split_in_loops),
    Alternative("direct_effects", "numpy", read_in_numpy),
    Alternative("direct_effects", "loop over parts", read_in_a_loop),
    Alternative("direct_effects", "centring folded into the reader", read_with_a_centred_unembedding),
    Alternative("left_over", "numpy", share_in_numpy),
    Alternative("left_over", "variances", share_by_variances),
    Alternative("left_over", "loop", share_in_loops),
    Alternative("fold", "centring matrix", fold_with_a_centring_matrix),
    Alternative("fold", "numpy", fold_in_numpy),
    Alternative("fold", "tried on basis vectors", fold_by_trying),
)
