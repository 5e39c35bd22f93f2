"""Freeze the norm, for authors only: wrong answers, other right answers, and why it is built so."""

import math

import einops
import numpy as np
import torch

from mechpuzzles.puzzle import Alternative, Mutant

DESIGN_NOTE = """
One principle: the last norm's scale belongs to all parts at once, so a frozen scale credits words and nobody for the
volume. *Without LayerNorm* has the shared divisor, and that a sum proves nothing, in a model without norms; here the
sum is repaired at once, with the constant that TransformerLens' tool leaves out, and the question is what a frozen
scale means in a model that has one: for removals, for small steps, for swaps.

Measured. `return x[0`, ] against ), mini-gpt2: 3.01; W_U alone 2.11, each part through the norm 5.87 (without its bias
8.89), frozen 3.51, constant -0.50. Words, gradient and fall of the last MLP: 0.99, -0.29, -0.04; of the first: 1.84,
0.14, 1.18; sums 3.51, 0.00, 1.60. The prompt was picked out of thirty because the last MLP's fall is near zero; over
408 positions of einops (right token against its likeliest rival) the frozen scale misses 73 % of that MLP's falls (sum
of squares; 26 % in mini-python, 62 % in mini-neo, 51 % in mini-deep), and 1 to 6 % of attention's, whose parts are as
long in mini-python (5.0 and 5.9 against the later MLPs' 4.6 and 6.9).

Why the last MLP's leaving shortens the stream: by its own length, as any noise in its place would, and by leaning on the
other parts. Cosine with those, on this prompt: first MLP 0.01, last 0.38, attention 1 -0.12; the scale without each is
0.72, 0.71, 0.98 times, and without as long noise in its place 0.72, 0.83, 0.94 times. Cosines with the stream mislead: it
holds the part. Over 416 positions the two MLPs lean on the others by 0.04 and 0.09 only.

What did not work, and changed the story. "The gradient is the better attribution" holds for mini-deep (5 % missed
against 18 %) and hardly for mini-gpt2 (26 against 29; first MLP 33 against 15, last 21 against 82, though they are
equally long). It sees the part's length go and not that of what comes instead: from nothing to noise it gets worse
(26 to 41, 5 to 11, 22 to 41 in mini-neo), where the frozen scale gets better. "Volume is an artefact of zero
ablation" is false for the mean (33 against 29) and true for a swap: another text's output 6 %, noise of the same length
2 %, in the order in which the scale changes (35, 33, 20, 10 % for the last MLP); half of the other text's output gives
18 %. In mini-neo the volume of embedding and attention 0 goes with the mean: they hold the planted offset and its
eraser; noise in their place moves the scale by 24 %, and 18 % is missed. So the text says only that least is missed where
the scale changes least. The rest is no ranking: the mean misses more than nothing does in each model (33 and 29, 22 and
18, 45 and 24 %), with no more change of scale, since its falls are smaller (root mean square 1.15 and 1.21, 0.50 and
0.58, 1.00 and 1.58). mini-noln's eps is 1e12: its row checks the code.

No neuron of mini-python's last MLP acts by the scale alone: of 512, number 17 comes nearest (a log-probability moves by
0.009 with the scale held, by 0.018 without; half of the neurons have an eighth or less by volume), and its W_U has no
null space but (1, ..., 1). So the silent vector is built, for one pair, and GPT-2's neurons are cited. MLP 1 of
mini-python on `x = foo(a, b` was no good as a first example: words -0.37, direct fall -1.14, but -0.39 at its own hook,
since the last layer makes up for it; the last MLP has direct effects only. The volume of the last MLP costs loss: 4.34,
4.68 without it, 4.79 with the scale held as well.

Fixtures. difference_direction: b_U, weight and bias away from zero, columns with a mean that follows the bias, more
tokens than coordinates and fewer. Streams: an answer that is never near zero, parts with means of their own, eps
negligible and as large as the variance. silent: what speaks is a fifth to a third of the stream, so that every factor
can be reached; the answer is turned down once, where the tangent is not the cosine. silent is judged by what the vector
does (gap), since many are right; the words may be off by 2e-4 of the stream's.

Rows of the open problems: 6.2 and 6.3 are about the logit lens and the last layer of GPT-Neo; nobody does that here.

The helper `scale` is given: how to take a variance is *Without LayerNorm*'s first part. Its slips are recognised all
the same, for those who write their own.
"""


# ---- difference_direction: wrong ------------------------------------------------------------------------------------


def read_rightly(W_U, b_U, weight, bias, right, wrong):
    d = (W_U[:, right] - W_U[:, wrong]) * weight
    return d - d.mean(), (W_U[:, right] - W_U[:, wrong]) @ bias + b_U[right] - b_U[wrong]


def returns_constant_first(*inputs):
    return read_rightly(*inputs)[::-1]


def subtracts_right_from_wrong(W_U, b_U, weight, bias, right, wrong):
    return read_rightly(W_U, b_U, weight, bias, wrong, right)


def never_centres(W_U, b_U, weight, bias, right, wrong):
    return weight * (W_U[:, right] - W_U[:, wrong]), read_rightly(W_U, b_U, weight, bias, right, wrong)[1]


def centres_over_the_vocabulary(W_U, b_U, weight, bias, right, wrong):
    return never_centres(W_U - W_U.mean(1, keepdim=True), b_U, weight, bias, right, wrong)


def centres_before_weighing(W_U, b_U, weight, bias, right, wrong):
    d = W_U[:, right] - W_U[:, wrong]
    return (d - d.mean()) * weight, read_rightly(W_U, b_U, weight, bias, right, wrong)[1]


def centres_columns_and_result(W_U, b_U, weight, bias, right, wrong):
    centred = W_U - W_U.mean(0)
    d = (centred[:, right] - centred[:, wrong]) * weight
    return d - d.mean(), read_rightly(W_U, b_U, weight, bias, right, wrong)[1]


def centres_the_gain(W_U, b_U, weight, bias, right, wrong):
    return never_centres(W_U, b_U, weight - weight.mean(), bias, right, wrong)


def leaves_the_gain_out(W_U, b_U, weight, bias, right, wrong):
    return read_rightly(W_U, b_U, torch.ones_like(weight), bias, right, wrong)


def takes_plain_columns(W_U, b_U, weight, bias, right, wrong):
    return never_centres(W_U, b_U, torch.ones_like(weight), bias, right, wrong)


def divides_by_the_gain(W_U, b_U, weight, bias, right, wrong):
    return read_rightly(W_U, b_U, 1 / weight, bias, right, wrong)


def reads_the_right_token_only(W_U, b_U, weight, bias, right, wrong):
    d = weight * W_U[:, right]
    return d - d.mean(), bias @ W_U[:, right] + b_U[right]


def makes_a_unit_vector(*inputs):
    direction, constant = read_rightly(*inputs)
    return torch.nn.functional.normalize(direction, dim=0), constant


def has_no_constant(*inputs):
    return read_rightly(*inputs)[0], 0.0


def forgets_the_norms_bias(W_U, b_U, weight, bias, right, wrong):
    return read_rightly(W_U, b_U, weight, torch.zeros_like(bias), right, wrong)


def forgets_the_unembeddings_bias(W_U, b_U, weight, bias, right, wrong):
    return read_rightly(W_U, torch.zeros_like(b_U), weight, bias, right, wrong)


def adds_one_tokens_bias(W_U, b_U, weight, bias, right, wrong):
    direction, constant = read_rightly(W_U, b_U, weight, bias, right, wrong)
    return direction, constant + b_U[wrong]


def weighs_the_bias(W_U, b_U, weight, bias, right, wrong):
    return read_rightly(W_U, b_U, weight, bias, right, wrong)[0], read_rightly(
        W_U, b_U, weight, weight * bias, right, wrong
    )[1]


def reads_the_bias_by_the_direction(W_U, b_U, weight, bias, right, wrong):
    direction = read_rightly(W_U, b_U, weight, bias, right, wrong)[0]
    return direction, bias @ direction + b_U[right] - b_U[wrong]


def centres_the_bias(W_U, b_U, weight, bias, right, wrong):
    return read_rightly(W_U, b_U, weight, bias - bias.mean(), right, wrong)


# ---- removals: wrong ------------------------------------------------------------------------------------------------


def spread(x, eps):
    return torch.sqrt(((x - x.mean(-1, keepdim=True)) ** 2).mean(-1) + eps)


def remove_rightly(parts, direction, eps, by=spread):
    total = parts.sum(0)
    old = total @ direction / by(total, eps)
    new = torch.stack([(total - part) @ direction / by(total - part, eps) for part in parts])
    said = parts @ direction / by(total, eps)
    return torch.stack([said, old - new - said], dim=1)


def gives_falls_only(*inputs):
    return remove_rightly(*inputs).sum(1)


def gives_volumes_only(*inputs):
    return remove_rightly(*inputs)[:, 1]


def stacks_rows(*inputs):
    return remove_rightly(*inputs).T


def puts_volume_first(*inputs):
    return remove_rightly(*inputs).flip(1)


def keeps_the_old_scale(parts, direction, eps):
    total = parts.sum(0)
    fall = (total @ direction - (total - parts) @ direction) / spread(total, eps)
    said = parts @ direction / spread(total, eps)
    return torch.stack([said, fall - said], 1)


def returns_the_fall(*inputs):
    found = remove_rightly(*inputs)
    return torch.stack([found[:, 0], found.sum(1)], 1)


def subtracts_fall_from_words(*inputs):
    return remove_rightly(*inputs) * torch.tensor([1.0, -1.0])


def subtracts_old_from_new(*inputs):
    found = remove_rightly(*inputs)
    return torch.stack([found[:, 0], -found.sum(1) - found[:, 0]], 1)


def returns_the_rise(*inputs):
    found = remove_rightly(*inputs)
    return torch.stack([found[:, 0], -found.sum(1)], 1)


def counts_rises(*inputs):
    return -remove_rightly(*inputs)


def turns_up_the_whole_answer(parts, direction, eps):
    total = parts.sum(0)
    said = parts @ direction / spread(total, eps)
    factor = spread(total, eps) / spread(total - parts, eps)
    return torch.stack([said, said.sum() - factor * said.sum()], 1)


def turns_the_ratio_round(parts, direction, eps):
    total = parts.sum(0)
    said = parts @ direction / spread(total, eps)
    factor = spread(total - parts, eps) / spread(total, eps)
    return torch.stack([said, (1 - factor) * (said.sum() - said)], 1)


def adds_the_part_again(parts, direction, eps):
    total = parts.sum(0)
    more = total + parts
    said = parts @ direction / spread(total, eps)
    return torch.stack([said, said.sum() - more @ direction / spread(more, eps) - said], 1)


def removes_one_after_another(parts, direction, eps):
    left, rows = parts.sum(0), []
    old, s = left @ direction / spread(left, eps), spread(left, eps)
    for part in parts:
        left = left - part
        rows.append(
            torch.stack([part @ direction / s, old - left @ direction / spread(left, eps) - part @ direction / s])
        )
    return torch.stack(rows)


def removes_more_and_more(parts, direction, eps):
    left, s, rows = parts.sum(0), spread(parts.sum(0), eps), []
    for part in parts:
        less = left - part
        fall = left @ direction / spread(left, eps) - less @ direction / spread(less, eps)
        rows.append(torch.stack([part @ direction / s, fall - part @ direction / s]))
        left = less
    return torch.stack(rows)


def reads_words_at_the_new_scale(parts, direction, eps):
    total = parts.sum(0)
    fall = remove_rightly(parts, direction, eps).sum(1)
    said = parts @ direction / spread(total - parts, eps)
    return torch.stack([said, fall - said], 1)


def reads_words_at_their_own_scale(parts, direction, eps):
    fall = remove_rightly(parts, direction, eps).sum(1)
    said = parts @ direction / spread(parts, eps)
    return torch.stack([said, fall - said], 1)


def takes_root_mean_squares(parts, direction, eps):
    return remove_rightly(parts, direction, eps, lambda x, e: (x.pow(2).mean(-1) + e).sqrt())


def leaves_eps_out(parts, direction, eps):
    return remove_rightly(parts, direction, 0.0)


def adds_eps_to_the_deviation(parts, direction, eps):
    return remove_rightly(parts, direction, eps, lambda x, e: spread(x, 0.0) + e)


def trusts_torch_var(parts, direction, eps):
    return remove_rightly(parts, direction, eps, lambda x, e: torch.sqrt(x.var(-1) + e))


def divides_by_lengths(parts, direction, eps):
    return remove_rightly(
        parts, direction, eps, lambda x, e: ((x - x.mean(-1, keepdim=True)).pow(2).sum(-1) + e).sqrt()
    )


# ---- gradients: wrong -----------------------------------------------------------------------------------------------


def slope_rightly(parts, direction, eps, by=spread):
    with torch.enable_grad():
        x = parts.sum(0).clone().requires_grad_(True)
        (gradient,) = torch.autograd.grad(x @ direction / by(x, eps), x)
    return parts @ gradient


def adds_them_up(*inputs):
    return slope_rightly(*inputs).sum()


def returns_the_gradient(parts, direction, eps):
    return slope_rightly(torch.cat([torch.eye(parts.shape[1]), parts]), direction, eps)[: parts.shape[1]]


def multiplies_by_coordinate(parts, direction, eps):
    x = parts.sum(0).requires_grad_()
    (x @ direction / spread(x, eps)).backward()
    return parts * x.grad


def detaches_the_scale(parts, direction, eps):
    x = parts.sum(0).requires_grad_()
    (x @ direction / spread(x, eps).detach()).backward()
    return parts @ x.grad


def differentiates_the_scale_only(parts, direction, eps):
    x = parts.sum(0).requires_grad_()
    ((x @ direction).detach() / spread(x, eps)).backward()
    return parts @ x.grad


def adds_where_it_should_subtract(parts, direction, eps):
    return 2 * detaches_the_scale(parts, direction, eps) - slope_rightly(parts, direction, eps)


def lets_gradients_pile_up(parts, direction, eps):
    x = parts.sum(0).requires_grad_()
    found = []
    for part in parts:
        (x @ direction / spread(x, eps)).backward()
        found.append(part @ x.grad)
    return torch.stack(found)


def averages_the_product(parts, direction, eps):
    x = parts.sum(0).requires_grad_()
    (x @ direction / spread(x, eps)).backward()
    return (parts * x.grad).mean(1)


def removes_instead(*inputs):
    return remove_rightly(*inputs).sum(1)


def differentiates_at_each_part(parts, direction, eps):
    found = []
    for part in parts:
        x = part.clone().requires_grad_()
        (x @ direction / spread(x, eps)).backward()
        found.append(part @ x.grad)
    return torch.stack(found)


def by_hand(parts, direction, eps, change):
    whole = parts.sum(0)
    s = spread(whole, eps)
    along = (parts - parts.mean(1, keepdim=True)) @ (whole - whole.mean()) / len(whole)
    return parts @ direction / s - change(whole @ direction, along, s, len(whole))


def divides_once(parts, direction, eps):
    return by_hand(parts, direction, eps, lambda total, along, s, d: total * along / s**2)


def divides_by_the_variance_of_the_answer(parts, direction, eps):
    return by_hand(parts, direction, eps, lambda total, along, s, d: total * along / s)


def divides_four_times(parts, direction, eps):
    return by_hand(parts, direction, eps, lambda total, along, s, d: total * along / s**4)


def keeps_the_half(parts, direction, eps):
    return by_hand(parts, direction, eps, lambda total, along, s, d: total * along / s**3 / 2)


def keeps_the_two(parts, direction, eps):
    return by_hand(parts, direction, eps, lambda total, along, s, d: 2 * total * along / s**3)


def sums_for_the_mean(parts, direction, eps):
    return by_hand(parts, direction, eps, lambda total, along, s, d: total * along * d / s**3)


def leaves_the_mean_in_the_slope(parts, direction, eps):
    whole = parts.sum(0)
    s = spread(whole, eps)
    said = parts @ direction / s
    return said - said.sum() * (parts @ whole) / parts.shape[1] / s**2


def slopes_by_root_mean_square(parts, direction, eps):
    return slope_rightly(parts, direction, eps, lambda x, e: (x.pow(2).mean(-1) + e).sqrt())


def slopes_leave_eps_out(parts, direction, eps):
    return slope_rightly(parts, direction, 0.0)


def slopes_by_torch_var(parts, direction, eps):
    return slope_rightly(parts, direction, eps, lambda x, e: torch.sqrt(x.var() + e))


def slopes_by_length(parts, direction, eps):
    return slope_rightly(parts, direction, eps, lambda x, e: ((x - x.mean()).pow(2).sum() + e).sqrt())


# ---- silent: wrong --------------------------------------------------------------------------------------------------


def cut(stream, direction):
    """What the direction hears of the centred stream, and what it does not."""
    centred = stream - stream.mean()
    heard = (centred @ direction) / (direction @ direction) * direction
    return heard, centred - heard


def silence_rightly(stream, direction, factor):
    heard, rest = cut(stream, direction)
    keep = torch.sqrt(((heard + rest).pow(2).sum() / factor**2 - heard.pow(2).sum()) / rest.pow(2).sum())
    return (keep - 1) * rest


def returns_the_whole(stream, direction, factor):
    return stream + silence_rightly(stream, direction, factor)


def returns_the_centred_whole(stream, direction, factor):
    return stream - stream.mean() + silence_rightly(stream, direction, factor)


def returns_what_to_subtract(*inputs):
    return -silence_rightly(*inputs)


def turns_the_stream_down(stream, direction, factor):
    return (1 / factor - 1) * (stream - stream.mean())


def turns_the_uncentred_stream_down(stream, direction, factor):
    return (1 / factor - 1) * stream


def pushes_all_coordinates(stream, direction, factor):
    return torch.full_like(stream, float(factor))


def doubles_what_speaks(stream, direction, factor):
    return (factor - 1) * cut(stream, direction)[0]


def forgets_to_normalise(stream, direction, factor):
    centred = stream - stream.mean()
    rest = centred - (centred @ direction) * direction
    return (1 / factor - 1) * rest


def adds_a_random_vector(stream, direction, factor):
    return torch.randn(len(stream), generator=torch.Generator().manual_seed(0))


def multiplies_lengths_by_the_factor(stream, direction, factor):
    heard, rest = cut(stream, direction)
    wanted = (heard + rest).pow(2).sum() * factor**2 - heard.pow(2).sum()
    return (torch.sqrt(wanted / rest.pow(2).sum()) - 1) * rest


def scales_what_is_silent(stream, direction, factor):
    return (1 / factor - 1) * cut(stream, direction)[1]


def forgets_the_root(stream, direction, factor):
    heard, rest = cut(stream, direction)
    keep = ((heard + rest).pow(2).sum() / factor**2 - heard.pow(2).sum()) / rest.pow(2).sum()
    return (keep - 1) * rest


def takes_all_that_is_silent(stream, direction, factor):
    return -cut(stream, direction)[1]


def forgets_to_square_the_factor(stream, direction, factor):
    return silence_rightly(stream, direction, math.sqrt(factor))


def returns_zeros(stream, direction, factor):
    return torch.zeros_like(stream)


MUTANTS = (
    Mutant("difference_direction", "order_swapped", returns_constant_first),
    Mutant("difference_direction", "tokens_swapped", subtracts_right_from_wrong),
    Mutant("difference_direction", "not_centred", never_centres),
    Mutant("difference_direction", "not_centred", centres_over_the_vocabulary),
    Mutant("difference_direction", "centred_too_early", centres_before_weighing),
    Mutant("difference_direction", "centred_too_early", centres_columns_and_result),
    Mutant("difference_direction", "weight_centred", centres_the_gain),
    Mutant("difference_direction", "weight_forgotten", leaves_the_gain_out),
    Mutant("difference_direction", "weight_forgotten", takes_plain_columns),
    Mutant("difference_direction", "weight_divided", divides_by_the_gain),
    Mutant("difference_direction", "one_token", reads_the_right_token_only),
    Mutant("difference_direction", "unit_length", makes_a_unit_vector),
    Mutant("difference_direction", "constant_left_out", has_no_constant),
    Mutant("difference_direction", "bias_left_out", forgets_the_norms_bias),
    Mutant("difference_direction", "unembedding_bias_left_out", forgets_the_unembeddings_bias),
    Mutant("difference_direction", "unembedding_bias_of_one", adds_one_tokens_bias),
    Mutant("difference_direction", "bias_treated_as_stream", weighs_the_bias),
    Mutant("difference_direction", "bias_treated_as_stream", reads_the_bias_by_the_direction),
    Mutant("difference_direction", "bias_treated_as_stream", centres_the_bias),
    Mutant("removals", "one_column", gives_falls_only),
    Mutant("removals", "one_column", gives_volumes_only),
    Mutant("removals", "transposed", stacks_rows),
    Mutant("removals", "columns_swapped", puts_volume_first),
    Mutant("removals", "scale_held", keeps_the_old_scale),
    Mutant("removals", "whole_fall", returns_the_fall),
    Mutant("removals", "sign_turned", subtracts_fall_from_words),
    Mutant("removals", "sign_turned", subtracts_old_from_new),
    Mutant("removals", "sign_turned", returns_the_rise),
    Mutant("removals", "sign_turned", counts_rises),
    Mutant("removals", "own_words_turned_up", turns_up_the_whole_answer),
    Mutant("removals", "ratio_upside_down", turns_the_ratio_round),
    Mutant("removals", "added", adds_the_part_again),
    Mutant("removals", "one_after_another", removes_one_after_another),
    Mutant("removals", "one_after_another", removes_more_and_more),
    Mutant("removals", "words_at_new_scale", reads_words_at_the_new_scale),
    Mutant("removals", "own_scale", reads_words_at_their_own_scale),
    Mutant("removals", "not_centred", takes_root_mean_squares),
    Mutant("removals", "eps_ignored", leaves_eps_out),
    Mutant("removals", "eps_outside", adds_eps_to_the_deviation),
    Mutant("removals", "one_degree_less", trusts_torch_var),
    Mutant("removals", "length_for_scale", divides_by_lengths),
    Mutant("gradients", "summed", adds_them_up),
    Mutant("gradients", "not_dotted", returns_the_gradient),
    Mutant("gradients", "not_dotted", multiplies_by_coordinate),
    Mutant("gradients", "scale_held", detaches_the_scale),
    Mutant("gradients", "volume_alone", differentiates_the_scale_only),
    Mutant("gradients", "sign_of_volume", adds_where_it_should_subtract),
    Mutant("gradients", "accumulated", lets_gradients_pile_up),
    Mutant("gradients", "averaged", averages_the_product),
    Mutant("gradients", "removed", removes_instead),
    Mutant("gradients", "at_the_part", differentiates_at_each_part),
    Mutant("gradients", "wrong_power", divides_once),
    Mutant("gradients", "wrong_power", divides_by_the_variance_of_the_answer),
    Mutant("gradients", "wrong_power", divides_four_times),
    Mutant("gradients", "half_or_double", keeps_the_half),
    Mutant("gradients", "half_or_double", keeps_the_two),
    Mutant("gradients", "mean_forgotten", sums_for_the_mean),
    Mutant("gradients", "slope_not_centred", leaves_the_mean_in_the_slope),
    Mutant("gradients", "not_centred", slopes_by_root_mean_square),
    Mutant("gradients", "eps_ignored", slopes_leave_eps_out),
    Mutant("gradients", "one_degree_less", slopes_by_torch_var),
    Mutant("gradients", "length_for_scale", slopes_by_length),
    Mutant("silent", "new_stream", returns_the_whole),
    Mutant("silent", "new_stream", returns_the_centred_whole),
    Mutant("silent", "sign_turned", returns_what_to_subtract),
    Mutant("silent", "whole_stream", turns_the_stream_down),
    Mutant("silent", "whole_stream", turns_the_uncentred_stream_down),
    Mutant("silent", "whole_stream", pushes_all_coordinates),
    Mutant("silent", "speaks", doubles_what_speaks),
    Mutant("silent", "speaks", forgets_to_normalise),
    Mutant("silent", "speaks", adds_a_random_vector),
    Mutant("silent", "factor_upside_down", multiplies_lengths_by_the_factor),
    Mutant("silent", "loud_part_forgotten", scales_what_is_silent),
    Mutant("silent", "root_missing", forgets_the_root),
    Mutant("silent", "another_factor", takes_all_that_is_silent),
    Mutant("silent", "another_factor", forgets_to_square_the_factor),
    Mutant("silent", "another_factor", returns_zeros),
)


# ---- right, in other styles -----------------------------------------------------------------------------------------


def direction_by_autograd(W_U, b_U, weight, bias, right, wrong):
    def logit_diff(x):
        logits = ((x - x.mean()) * weight + bias) @ W_U + b_U
        return logits[right] - logits[wrong]

    zero = torch.zeros(len(weight), requires_grad=True)
    at_zero = logit_diff(zero)
    return torch.autograd.grad(at_zero, zero)[0], at_zero.detach()


def direction_by_folding(W_U, b_U, weight, bias, right, wrong):
    folded = torch.diag(weight.double()) @ W_U.double()
    folded = folded - folded.mean(0, keepdim=True)
    b = b_U.double() + bias.double() @ W_U.double()
    return folded[:, right] - folded[:, wrong], b[right] - b[wrong]


def direction_in_numpy(W_U, b_U, weight, bias, right, wrong):
    d_model = len(weight)
    centring = np.eye(d_model) - 1 / d_model
    read = W_U.numpy() @ (np.eye(W_U.shape[1])[right] - np.eye(W_U.shape[1])[wrong])
    return centring @ (weight.numpy() * read), float(bias.numpy() @ read + b_U[right] - b_U[wrong])


def direction_in_loops(W_U, b_U, weight, bias, right, wrong):
    direction = [float(weight[i] * (W_U[i, right] - W_U[i, wrong])) for i in range(len(weight))]
    mean = sum(direction) / len(direction)
    constant = sum(float(bias[i] * (W_U[i, right] - W_U[i, wrong])) for i in range(len(weight)))
    return torch.tensor([x - mean for x in direction]), constant + float(b_U[right] - b_U[wrong])


def removals_in_a_loop(parts, direction, eps):
    return remove_rightly(parts, direction, eps)


def removals_by_ratio(parts, direction, eps):
    total = parts.sum(0)
    said = parts @ direction / spread(total, eps)
    louder = spread(total, eps) / spread(total - parts, eps)
    return torch.stack([said, (1 - louder) * (said.sum() - said)], -1)


def removals_in_numpy(parts, direction, eps):
    p, v = parts.numpy().astype(float), direction.numpy().astype(float)
    rows = np.vstack([p.sum(0), p.sum(0) - p])
    read = rows @ v / np.sqrt(rows.var(1) + eps)
    said = p @ v / np.sqrt(rows[0].var() + eps)
    return np.column_stack([said, read[0] - read[1:] - said])


def removals_by_layer_norm(parts, direction, eps):
    def read(x):
        return torch.nn.functional.layer_norm(x, x.shape[-1:], eps=eps) @ direction

    keep = 1 - torch.eye(len(parts))
    said = parts @ direction / (parts.sum(0).var(correction=0) + eps).sqrt()
    return torch.stack([said, read(parts.sum(0)) - read(keep @ parts) - said], 1)


def removals_with_einops(parts, direction, eps):
    parts, direction = parts.double(), direction.double()
    total = einops.reduce(parts, "part d -> d", "sum")
    rest = einops.rearrange(total, "d -> 1 d") - parts
    said = einops.einsum(parts, direction, "part d, d -> part") / spread(total, eps)
    new = einops.einsum(rest, direction, "part d, d -> part") / spread(rest, eps)
    return einops.rearrange([said, said.sum() - new - said], "column part -> part column")


def gradients_by_grad(parts, direction, eps):
    return slope_rightly(parts, direction, eps)


def gradients_by_func(parts, direction, eps):
    slope = torch.func.grad(lambda x: x @ direction / torch.sqrt(x.var(correction=0) + eps))
    return parts @ slope(parts.sum(0))


def gradients_by_parts(parts, direction, eps):
    p = parts.clone().requires_grad_()
    x = p.sum(0)
    (x @ direction / spread(x, eps)).backward()
    return (p * p.grad).sum(1).detach()


def gradients_by_formula(parts, direction, eps):
    return by_hand(parts, direction, eps, lambda total, along, s, d: total * along / s**3)


def gradients_by_jvp(parts, direction, eps):
    def read(x):
        return x @ direction / spread(x, eps)

    return torch.stack([torch.func.jvp(read, (parts.sum(0),), (part,))[1] for part in parts])


def gradients_by_differences(parts, direction, eps):
    parts, v, h = parts.double(), direction.double(), 1e-5
    x = parts.sum(0)
    up, down = x + h * parts, x - h * parts
    return (up @ v / spread(up, eps) - down @ v / spread(down, eps)) / (2 * h)


def silent_by_search(stream, direction, factor):
    heard, rest = (one.double() for one in cut(stream, direction))
    lo, hi = 0.0, 10.0
    for _ in range(80):
        mid = (lo + hi) / 2
        if (heard + mid * rest).norm() * factor < (heard + rest).norm():
            lo = mid
        else:
            hi = mid
    return (lo - 1) * rest


def silent_with_another_vector(stream, direction, factor):
    """Turns the silent part over, and pushes all coordinates as well."""
    heard, rest = cut(stream, direction)
    length = (heard + rest).norm() / factor
    return -torch.sqrt(length**2 - heard.norm() ** 2) * rest / rest.norm() - rest + 0.3


def silent_in_numpy(stream, direction, factor):
    x, v = stream.double().numpy(), direction.double().numpy()
    x = x - x.mean()
    u = v / np.linalg.norm(v)
    rest = x - (x @ u) * u
    t = np.sqrt((x @ x / factor**2 - (x @ u) ** 2) / (rest @ rest))
    return rest * (t - 1)


def silent_by_cosines(stream, direction, factor):
    """The tangent of the angle to the direction is what has to change."""
    heard, rest = cut(stream, direction)
    cosine = heard.norm() / (heard + rest).norm()
    wanted = torch.sqrt(1 / (factor * cosine) ** 2 - 1) * heard.norm()
    return rest / rest.norm() * (wanted - rest.norm())


ALTERNATIVES = (
    Alternative("difference_direction", "autograd at zero", direction_by_autograd),
    Alternative("difference_direction", "the whole W_U folded, float64", direction_by_folding),
    Alternative("difference_direction", "numpy, a centring matrix", direction_in_numpy),
    Alternative("difference_direction", "loops", direction_in_loops),
    Alternative("removals", "a loop over parts", removals_in_a_loop),
    Alternative("removals", "by the ratio of scales", removals_by_ratio),
    Alternative("removals", "numpy", removals_in_numpy),
    Alternative("removals", "torch's layer_norm, a mask", removals_by_layer_norm),
    Alternative("removals", "einops, float64", removals_with_einops),
    Alternative("gradients", "autograd.grad", gradients_by_grad),
    Alternative("gradients", "torch.func", gradients_by_func),
    Alternative("gradients", "gradients of the parts", gradients_by_parts),
    Alternative("gradients", "the formula", gradients_by_formula),
    Alternative("gradients", "forward mode", gradients_by_jvp),
    Alternative("gradients", "finite differences, float64", gradients_by_differences),
    Alternative("silent", "bisection", silent_by_search),
    Alternative("silent", "the silent part turned over", silent_with_another_vector),
    Alternative("silent", "numpy", silent_in_numpy),
    Alternative("silent", "the angle", silent_by_cosines),
)
