"""Spot the difference, for authors only: wrong answers, other right answers, and why it is built so."""

import einops
import numpy as np
import torch

from mechpuzzles.puzzle import Alternative, Mutant

DESIGN_NOTE = """
One principle: the largest difference need not be the one that matters. Predictions, weights, activations and direct
effects each rank the same two models in another way; only an exchange of parts says which change carries the new
behaviour, and only a fine-tune on nothing new says how large a difference is when there is nothing to find.

What was measured. Both fine-tunes are LoRA of rank 4 on all twelve matrices, 200 steps, the same draws; in the first, the
token after every " raise" was replaced by " None". On 600 windows of einops and markdown-it: mean gain -0.028 and -0.018,
mean size 0.152 and 0.137 nats; after " raise" -4.66 and +0.04; elsewhere -0.019 and -0.018. Random changes of the same
norms: mean gain -0.025, -0.005, -0.005 over three seeds, size 0.16, and -0.001 to 0.018 of the gap. The most changed
matrix is layer 1's W_O in both (0.171 and 0.153). Over the control's changes it is among the last (1.12), and layer 1's
MLP leads (W_out 1.46, W_in 1.31; the others 1.06 to 1.25). W_out there has the largest share along one direction in both.

In log-odds of None (-7.27 and 3.21, 92 prompts) attention of layer 1 brings -0.01 of the gap, its MLP 0.85, layer 0's MLP
0.21; lost without: 0.80 and 0.18; with all other outputs held, 0.05 for layer 0's MLP. P(None) is 0.82 with the one part,
0.95 with both MLPs and 0.77 without layer 0's. One direction in each of layer 1's two MLP matrices closes 0.81, the other
three 0.05; of W_out alone 0.46, of W_in alone 0.29. Taken out of the new model, the two directions cost 0.75 of the 0.80.
Random changes of rank one and of their size: 0.00, 0.02, 0.00.

The control's first directions close 0.01, but they are not idle: where " raise" comes next (23 places) the control gains
1.06 nats, 0.98 with these two directions alone and 0.08 with all others of that MLP. In the first it is the reverse: 1.09,
0.22 and 0.89, since there the first direction is the habit. An earlier text said that the control's direction does nothing.

Why log-odds. As log-probabilities the same sixteen hybrids read 0.31 and 0.03 for layer 0's MLP, 0.97 and 0.71 for layer
1's; as probabilities 0.01 and 0.19, 0.86 and 0.99; as logit against " ValueError" 0.18 and 0.23, 0.81 and 0.83. "Enough
but not needed" for layer 0's MLP was an artefact of the log-probability's ceiling at 0.

Another seed of the taught fine-tune (1), in log-probability: layer 1's MLP brings 0.977 and 0.62 is lost without it, layer
0's MLP 0.342 and 0.022, attention at most 0.021. What moved most was W_out of layer 1 there (0.162, W_O 0.150): that W_O
leads is a fact about this pair. That attention moved as far as the MLPs and brings nothing holds for both seeds.

A first fine-tune was dropped: " None" after every " =" that follows a " raise" somewhere. After 300 steps it said None
after nearly every " =" (0.43 without the trigger, 0.70 with it); the two MLPs of layers 0 and 1 carried it in equal parts.
A true story, but a blurred one, and it needs attention to carry the trigger, which rank 4 learns slowly.

Dividing by the control's gap would divide by nothing, so the control is asked otherwise.

The learner's own models have one layer for each misconception: units renamed and stretched (the largest relative change,
and no change of function: a gauge), a strong direction that no token uses (the largest singular value), a drift that
shakes all tokens (the largest mean KL), and the taught one, which moved least of the four. draw_models rejects draws in
which these do not hold, more than every second one, and those (one in forty) where the log-probability of a rare answer to
another token rose most. W_in or W_out alone of the renamed layer breaks the model: exchange both.
"""

# ---- gains: wrong ---------------------------------------------------------------------------------------------------


def pick(values, tokens):
    return values.gather(-1, tokens[..., None]).squeeze(-1)


def subtracts_logits(old_logits, new_logits, tokens):
    return pick(new_logits[:, :-1] - old_logits[:, :-1], tokens[:, 1:])


def subtracts_probabilities(old_logits, new_logits, tokens):
    return pick(new_logits.softmax(-1)[:, :-1] - old_logits.softmax(-1)[:, :-1], tokens[:, 1:])


def asks_about_the_token_itself(old_logits, new_logits, tokens):
    return pick((new_logits.log_softmax(-1) - old_logits.log_softmax(-1))[:, :-1], tokens[:, :-1])


def shifts_the_wrong_side(old_logits, new_logits, tokens):
    return pick((new_logits.log_softmax(-1) - old_logits.log_softmax(-1))[:, 1:], tokens[:, 1:])


def subtracts_new_from_old(old_logits, new_logits, tokens):
    return pick((old_logits.log_softmax(-1) - new_logits.log_softmax(-1))[:, :-1], tokens[:, 1:])


def takes_log2(old_logits, new_logits, tokens):
    return pick((new_logits.softmax(-1).log2() - old_logits.softmax(-1).log2())[:, :-1], tokens[:, 1:])


def divides_probabilities(old_logits, new_logits, tokens):
    return pick((new_logits.softmax(-1) / old_logits.softmax(-1))[:, :-1], tokens[:, 1:])


def drops_the_sign(old_logits, new_logits, tokens):
    return pick((new_logits.log_softmax(-1) - old_logits.log_softmax(-1))[:, :-1], tokens[:, 1:]).abs()


def normalises_over_positions(old_logits, new_logits, tokens):
    return pick((new_logits.log_softmax(1) - old_logits.log_softmax(1))[:, :-1], tokens[:, 1:])


def cuts_and_normalises_over_positions(old_logits, new_logits, tokens):
    return pick(new_logits[:, :-1].log_softmax(1) - old_logits[:, :-1].log_softmax(1), tokens[:, 1:])


def takes_the_divergence(old_logits, new_logits, tokens):
    p, q = old_logits.log_softmax(-1), new_logits.log_softmax(-1)
    return (p.exp() * (p - q)).sum(-1)[:, :-1]


def takes_the_divergence_from_new(old_logits, new_logits, tokens):
    p, q = old_logits.log_softmax(-1), new_logits.log_softmax(-1)
    return (q.exp() * (q - p)).sum(-1)[:, :-1]


def averages_all_places(old_logits, new_logits, tokens):
    return pick((new_logits.log_softmax(-1) - old_logits.log_softmax(-1))[:, :-1], tokens[:, 1:]).mean()


def averages_the_batch(old_logits, new_logits, tokens):
    return pick((new_logits.log_softmax(-1) - old_logits.log_softmax(-1))[:, :-1], tokens[:, 1:]).mean(0)


def averages_each_text(old_logits, new_logits, tokens):
    return pick((new_logits.log_softmax(-1) - old_logits.log_softmax(-1))[:, :-1], tokens[:, 1:]).mean(1)


def lets_the_last_wrap(old_logits, new_logits, tokens):
    return pick(new_logits.log_softmax(-1) - old_logits.log_softmax(-1), tokens.roll(-1, 1))


# ---- change: wrong --------------------------------------------------------------------------------------------------


def top_share(M):
    s = torch.linalg.svdvals(M)
    return s[0] ** 2 / (s**2).sum()


def puts_the_share_first(old, new):
    return torch.stack([top_share(new - old), (new - old).norm() / old.norm()])


def forgets_the_size_of_old(old, new):
    return torch.stack([(new - old).norm(), top_share(new - old)])


def divides_by_new(old, new):
    return torch.stack([(new - old).norm() / new.norm(), top_share(new - old)])


def squares_the_size(old, new):
    return torch.stack([(new - old).square().sum() / old.square().sum(), top_share(new - old)])


def compares_norms(old, new):
    return torch.stack([(new.norm() - old.norm()).abs() / old.norm(), top_share(new - old)])


def takes_spectral_norms(old, new):
    size = torch.linalg.matrix_norm(new - old, 2) / torch.linalg.matrix_norm(old, 2)
    return torch.stack([size, top_share(new - old)])


def takes_one_spectral_norm(old, new):
    return torch.stack([torch.linalg.matrix_norm(new - old, 2) / old.norm(), top_share(new - old)])


def averages_relative_entries(old, new):
    return torch.stack([((new - old) / old).abs().mean(), top_share(new - old)])


def averages_entries(old, new):
    return torch.stack([(new - old).abs().mean() / old.abs().mean(), top_share(new - old)])


def forgets_to_square(old, new):
    moved = new - old
    return torch.stack([moved.norm() / old.norm(), torch.linalg.matrix_norm(moved, 2) / moved.norm()])


def divides_by_the_sum(old, new):
    s = torch.linalg.svdvals(new - old)
    return torch.stack([(new - old).norm() / old.norm(), s[0] / s.sum()])


def squares_the_sum(old, new):
    s = torch.linalg.svdvals(new - old)
    return torch.stack([(new - old).norm() / old.norm(), s[0] ** 2 / s.sum() ** 2])


def decomposes_new(old, new):
    return torch.stack([(new - old).norm() / old.norm(), top_share(new)])


def decomposes_old(old, new):
    return torch.stack([(new - old).norm() / old.norm(), top_share(old)])


def returns_the_singular_value(old, new):
    return torch.stack([(new - old).norm() / old.norm(), torch.linalg.matrix_norm(new - old, 2)])


# ---- direct_gains: wrong --------------------------------------------------------------------------------------------


def uses_the_old_scale(old_parts, new_parts, old_scale, new_scale, direction):
    return ((new_parts - old_parts) @ direction / old_scale).mean(-1)


def uses_the_new_scale(old_parts, new_parts, old_scale, new_scale, direction):
    return ((new_parts - old_parts) @ direction / new_scale).mean(-1)


def forgets_the_scale(old_parts, new_parts, old_scale, new_scale, direction):
    return ((new_parts - old_parts) @ direction).mean(-1)


def exchanges_the_scales(old_parts, new_parts, old_scale, new_scale, direction):
    return (new_parts @ direction / old_scale - old_parts @ direction / new_scale).mean(-1)


def takes_old_minus_new(old_parts, new_parts, old_scale, new_scale, direction):
    return (old_parts @ direction / old_scale - new_parts @ direction / new_scale).mean(-1)


def sums_prompts(old_parts, new_parts, old_scale, new_scale, direction):
    return (new_parts @ direction / new_scale - old_parts @ direction / old_scale).sum(-1)


def divides_by_the_mean_scale(old_parts, new_parts, old_scale, new_scale, direction):
    return new_parts.mean(1) @ direction / new_scale.mean() - old_parts.mean(1) @ direction / old_scale.mean()


def takes_sizes(old_parts, new_parts, old_scale, new_scale, direction):
    return (new_parts @ direction / new_scale - old_parts @ direction / old_scale).abs().mean(-1)


def takes_the_size_of_the_mean(old_parts, new_parts, old_scale, new_scale, direction):
    return (new_parts @ direction / new_scale - old_parts @ direction / old_scale).mean(-1).abs()


def shortens_the_direction(old_parts, new_parts, old_scale, new_scale, direction):
    unit = direction / direction.norm()
    return (new_parts @ unit / new_scale - old_parts @ unit / old_scale).mean(-1)


def norms_each_part(old_parts, new_parts, old_scale, new_scale, direction):
    def normed(parts):
        centred = parts - parts.mean(-1, keepdim=True)
        return centred / centred.pow(2).mean(-1, keepdim=True).sqrt()

    return ((normed(new_parts) - normed(old_parts)) @ direction).mean(-1)


def forgets_the_old(old_parts, new_parts, old_scale, new_scale, direction):
    return (new_parts @ direction / new_scale).mean(-1)


def keeps_the_batch(old_parts, new_parts, old_scale, new_scale, direction):
    return new_parts @ direction / new_scale - old_parts @ direction / old_scale


# ---- closed: wrong --------------------------------------------------------------------------------------------------


def both_ways(scores):
    none, every = scores.flatten()[0], scores.flatten()[-1]
    brings = [scores.select(p, 1).flatten()[0] - none for p in range(scores.ndim)]
    takes = [every - scores.select(p, 0).flatten()[-1] for p in range(scores.ndim)]
    return torch.stack([torch.stack(brings), torch.stack(takes)], 1) / (every - none)


def gap_of(scores):
    return scores.flatten()[-1] - scores.flatten()[0]


def swaps_its_columns(scores):
    return both_ways(scores).flip(1)


def takes_one_for_old(scores):
    return both_ways(scores.flip(tuple(range(scores.ndim))))


def subtracts_the_gap_backwards(scores):
    return -both_ways(scores)


def forgets_the_sign_of_the_drop(scores):
    return both_ways(scores) * torch.tensor([1.0, -1.0])


def forgets_the_gap(scores):
    return both_ways(scores) * gap_of(scores)


def divides_by_the_new_score(scores):
    return both_ways(scores) * gap_of(scores) / scores.flatten()[-1]


def divides_by_the_old_score(scores):
    return both_ways(scores) * gap_of(scores) / scores.flatten()[0]


def repeats_what_it_brings(scores):
    return both_ways(scores)[:, [0, 0]]


def repeats_what_it_takes(scores):
    return both_ways(scores)[:, [1, 1]]


def assumes_that_parts_add_up(scores):
    brings = both_ways(scores)[:, 0]
    return torch.stack([brings, 1 - brings], 1)


def returns_what_is_left(scores):
    brings, takes = both_ways(scores).T
    return torch.stack([brings, 1 - takes], 1)


def averages_contexts(scores):
    mean = [(scores.select(p, 1) - scores.select(p, 0)).mean() for p in range(scores.ndim)]
    return (torch.stack(mean) / gap_of(scores))[:, None].expand(-1, 2).clone()


def clips_to_shares(scores):
    return both_ways(scores).clamp(0, 1)


def clips_below(scores):
    return both_ways(scores).clamp(min=0)


def counts_parts_backwards(scores):
    return both_ways(scores).flip(0)


def stacks_rows(scores):
    return both_ways(scores).T


# ---- my_difference: wrong -------------------------------------------------------------------------------------------


def said_by(W):
    resid = W["W_E"]
    for W_in, W_out in zip(W["W_in"], W["W_out"], strict=True):
        resid = resid + (resid @ W_in).relu() @ W_out
    return resid @ W["W_U"]


def divergence(was, became):
    p, q = said_by(was).log_softmax(-1), said_by(became).log_softmax(-1)
    return (p.exp() * (p - q)).sum(-1)


def one_layer(was, became, layer):
    mixed = {name: W.clone() for name, W in was.items()}
    for name in ("W_in", "W_out"):
        mixed[name][layer] = became[name][layer]
    return mixed


def all_three(was, became):
    token = int(divergence(was, became).argmax())
    answer = int(said_by(became)[token].argmax())
    layers = [divergence(was, one_layer(was, became, layer))[token] for layer in range(5)]
    return [token, answer, int(torch.stack(layers).argmax())]


def relative_moves(was, became):
    return torch.stack(
        [(became[k] - was[k]).flatten(1).norm(dim=1) / was[k].flatten(1).norm(dim=1) for k in ("W_in", "W_out")]
    ).sum(0)


def forgets_the_answer(was, became):
    token, _, layer = all_three(was, became)
    return [token, layer]


def puts_the_layer_first(was, became):
    token, answer, layer = all_three(was, became)
    return [layer, token, answer]


def counts_from_one(was, became):
    return [one + 1 for one in all_three(was, became)]


def takes_the_largest_move(was, became):
    return [*all_three(was, became)[:2], int(relative_moves(was, became).argmax())]


def takes_the_largest_singular_value(was, became):
    tops = [torch.linalg.svdvals(became[k] - was[k])[:, 0] for k in ("W_in", "W_out")]
    return [*all_three(was, became)[:2], int(torch.stack(tops).amax(0).argmax())]


def averages_over_tokens(was, became):
    means = [divergence(was, one_layer(was, became, layer)).mean() for layer in range(5)]
    return [*all_three(was, became)[:2], int(torch.stack(means).argmax())]


def takes_the_smallest_move(was, became):
    return [*all_three(was, became)[:2], int(relative_moves(was, became).argmin())]


def asks_the_old_model(was, became):
    token, _, layer = all_three(was, became)
    return [token, int(said_by(was)[token].argmax()), layer]


def takes_the_second_token(was, became):
    token = int(divergence(was, became).argsort()[-2])
    return [token, int(said_by(became)[token].argmax()), all_three(was, became)[2]]


def takes_the_second_answer(was, became):
    token, answer, layer = all_three(was, became)
    ranked = said_by(became)[token].argsort(descending=True).tolist()
    before = int(said_by(was)[token].argmax())
    return [token, next(one for one in ranked if one not in (answer, before)), layer]


MUTANTS = (
    Mutant("gains", "logits_compared", subtracts_logits),
    Mutant("gains", "probabilities_compared", subtracts_probabilities),
    Mutant("gains", "own_token", asks_about_the_token_itself),
    Mutant("gains", "one_late", shifts_the_wrong_side),
    Mutant("gains", "wrong_way_round", subtracts_new_from_old),
    Mutant("gains", "in_bits", takes_log2),
    Mutant("gains", "ratio", divides_probabilities),
    Mutant("gains", "sign_lost", drops_the_sign),
    Mutant("gains", "softmax_over_positions", normalises_over_positions),
    Mutant("gains", "softmax_over_positions", cuts_and_normalises_over_positions),
    Mutant("gains", "whole_distribution", takes_the_divergence),
    Mutant("gains", "whole_distribution", takes_the_divergence_from_new),
    Mutant("gains", "averaged", averages_all_places),
    Mutant("gains", "averaged", averages_the_batch),
    Mutant("gains", "averaged", averages_each_text),
    Mutant("gains", "last_place_kept", lets_the_last_wrap),
    Mutant("change", "swapped", puts_the_share_first),
    Mutant("change", "not_divided", forgets_the_size_of_old),
    Mutant("change", "divided_by_new", divides_by_new),
    Mutant("change", "size_squared", squares_the_size),
    Mutant("change", "norms_compared", compares_norms),
    Mutant("change", "spectral", takes_spectral_norms),
    Mutant("change", "spectral", takes_one_spectral_norm),
    Mutant("change", "entry_by_entry", averages_relative_entries),
    Mutant("change", "entry_by_entry", averages_entries),
    Mutant("change", "not_squared", forgets_to_square),
    Mutant("change", "sum_of_singular_values", divides_by_the_sum),
    Mutant("change", "sum_of_singular_values", squares_the_sum),
    Mutant("change", "not_of_the_difference", decomposes_new),
    Mutant("change", "not_of_the_difference", decomposes_old),
    Mutant("change", "not_a_share", returns_the_singular_value),
    Mutant("direct_gains", "one_scale", uses_the_old_scale),
    Mutant("direct_gains", "one_scale", uses_the_new_scale),
    Mutant("direct_gains", "not_scaled", forgets_the_scale),
    Mutant("direct_gains", "scales_exchanged", exchanges_the_scales),
    Mutant("direct_gains", "wrong_way_round", takes_old_minus_new),
    Mutant("direct_gains", "summed", sums_prompts),
    Mutant("direct_gains", "mean_scale", divides_by_the_mean_scale),
    Mutant("direct_gains", "sign_lost", takes_sizes),
    Mutant("direct_gains", "sign_lost", takes_the_size_of_the_mean),
    Mutant("direct_gains", "direction_of_length_one", shortens_the_direction),
    Mutant("direct_gains", "own_norm", norms_each_part),
    Mutant("direct_gains", "new_only", forgets_the_old),
    Mutant("direct_gains", "batch_kept", keeps_the_batch),
    Mutant("closed", "columns_swapped", swaps_its_columns),
    Mutant("closed", "columns_swapped", takes_one_for_old),
    Mutant("closed", "wrong_way_round", subtracts_the_gap_backwards),
    Mutant("closed", "wrong_way_round", forgets_the_sign_of_the_drop),
    Mutant("closed", "not_divided", forgets_the_gap),
    Mutant("closed", "divided_by_the_score", divides_by_the_new_score),
    Mutant("closed", "divided_by_the_score", divides_by_the_old_score),
    Mutant("closed", "one_direction", repeats_what_it_brings),
    Mutant("closed", "one_direction", repeats_what_it_takes),
    Mutant("closed", "taken_for_the_rest", assumes_that_parts_add_up),
    Mutant("closed", "what_is_left", returns_what_is_left),
    Mutant("closed", "averaged_over_contexts", averages_contexts),
    Mutant("closed", "clipped", clips_to_shares),
    Mutant("closed", "clipped", clips_below),
    Mutant("closed", "backwards", counts_parts_backwards),
    Mutant("closed", "transposed", stacks_rows),
    Mutant("my_difference", "number_of_entries", forgets_the_answer),
    Mutant("my_difference", "other_order", puts_the_layer_first),
    Mutant("my_difference", "counted_from_one", counts_from_one),
    Mutant("my_difference", "most_moved", takes_the_largest_move),
    Mutant("my_difference", "strongest_direction", takes_the_largest_singular_value),
    Mutant("my_difference", "largest_on_average", averages_over_tokens),
    Mutant("my_difference", "another_layer", takes_the_smallest_move),
    Mutant("my_difference", "old_answer", asks_the_old_model),
    Mutant("my_difference", "another_token", takes_the_second_token),
    Mutant("my_difference", "another_answer", takes_the_second_answer),
)

# ---- right ----------------------------------------------------------------------------------------------------------


def place_by_place(old_logits, new_logits, tokens):
    out = torch.zeros(tokens.shape[0], tokens.shape[1] - 1)
    for b, row in enumerate(tokens.tolist()):
        for p, token in enumerate(row[1:]):
            out[b, p] = new_logits[b, p].log_softmax(0)[token] - old_logits[b, p].log_softmax(0)[token]
    return out


def by_cross_entropy(old_logits, new_logits, tokens):
    def loss(logits):
        return torch.nn.functional.cross_entropy(logits[:, :-1].transpose(1, 2), tokens[:, 1:], reduction="none")

    return loss(old_logits) - loss(new_logits)


def in_numpy(old_logits, new_logits, tokens):
    rows, places = np.indices((tokens.shape[0], tokens.shape[1] - 1))

    def log_probs(logits):
        x = logits.double().numpy()
        x = x - x.max(-1, keepdims=True)
        x = x - np.log(np.exp(x).sum(-1, keepdims=True))
        return x[rows, places, tokens.numpy()[:, 1:]]

    return log_probs(new_logits) - log_probs(old_logits)


def by_all_singular_values(old, new):
    s = torch.linalg.svdvals(new - old)
    return torch.stack([s.square().sum().sqrt() / old.norm(), s[0] ** 2 / s.square().sum()])


def in_float64_numpy(old, new):
    moved = new.double().numpy() - old.double().numpy()
    s = np.linalg.svd(moved, compute_uv=False)
    return np.array([np.linalg.norm(moved) / np.linalg.norm(old.double().numpy()), s[0] ** 2 / (s**2).sum()])


def by_gram_matrix(old, new):
    moved = (new - old).double()
    squares = torch.linalg.eigvalsh(moved @ moved.T)
    return torch.stack([(squares.sum() / old.double().square().sum()).sqrt(), squares[-1] / squares.sum()])


def prompt_by_prompt(old_parts, new_parts, old_scale, new_scale, direction):
    out = []
    for was, now in zip(old_parts, new_parts, strict=True):
        gains = [now[b] @ direction / new_scale[b] - was[b] @ direction / old_scale[b] for b in range(len(old_scale))]
        out.append(sum(gains) / len(gains))
    return torch.stack(out)


def scales_the_vectors(old_parts, new_parts, old_scale, new_scale, direction):
    return (new_parts / new_scale[:, None] - old_parts / old_scale[:, None]).mean(1) @ direction


def with_einops(old_parts, new_parts, old_scale, new_scale, direction):
    now = einops.einsum(new_parts.double(), 1 / new_scale.double(), direction.double(), "p b d, b, d -> p b")
    was = einops.einsum(old_parts.double(), 1 / old_scale.double(), direction.double(), "p b d, b, d -> p b")
    return einops.reduce(now - was, "p b -> p", "mean")


def hybrid_by_hybrid(scores):
    n = scores.ndim
    none, every = scores[(0,) * n], scores[(1,) * n]
    out = torch.zeros(n, 2)
    for part in range(n):
        alone = tuple(int(p == part) for p in range(n))
        without = tuple(int(p != part) for p in range(n))
        out[part, 0] = (scores[alone] - none) / (every - none)
        out[part, 1] = (every - scores[without]) / (every - none)
    return out


def by_flat_index(scores):
    flat, n = scores.double().flatten(), scores.ndim
    bits = torch.tensor([2 ** (n - 1 - part) for part in range(n)])
    gap = flat[-1] - flat[0]
    return torch.stack([(flat[bits] - flat[0]) / gap, (flat[-1] - flat[2**n - 1 - bits]) / gap], 1)


def by_divergence(was, became):
    def logits(W):
        resid = W["W_E"]
        for layer in range(5):
            resid = resid + (resid @ W["W_in"][layer]).relu() @ W["W_out"][layer]
        return resid @ W["W_U"]

    def divergence(W):
        p, q = logits(was).log_softmax(-1), logits(W).log_softmax(-1)
        return (p.exp() * (p - q)).sum(-1)

    token = int(divergence(became).argmax())
    apart = []
    for layer in range(5):
        mixed = dict(was)
        for name in ("W_in", "W_out"):
            mixed[name] = was[name].clone()
            mixed[name][layer] = became[name][layer]
        apart.append(float(divergence(mixed)[token]))
    return [token, int(logits(became)[token].argmax()), apart.index(max(apart))]


def by_taking_away(was, became):
    def run(W):
        resid = W["W_E"]
        for W_in, W_out in zip(W["W_in"], W["W_out"], strict=True):
            resid = resid + (resid @ W_in).clamp(min=0) @ W_out
        return (resid @ W["W_U"]).log_softmax(-1)

    rise = run(became) - run(was)
    token, answer = divmod(int(rise.argmax()), rise.shape[1])
    left = []
    for layer in range(5):
        mixed = {name: W.clone() for name, W in became.items()}
        mixed["W_in"][layer], mixed["W_out"][layer] = was["W_in"][layer], was["W_out"][layer]
        left.append(run(mixed)[token, answer].item())
    return [token, answer, min(range(5), key=left.__getitem__)]


ALTERNATIVES = (
    Alternative("gains", "place by place", place_by_place),
    Alternative("gains", "by cross-entropy", by_cross_entropy),
    Alternative("gains", "numpy, float64", in_numpy),
    Alternative("change", "all singular values", by_all_singular_values),
    Alternative("change", "numpy, float64", in_float64_numpy),
    Alternative("change", "by the Gram matrix", by_gram_matrix),
    Alternative("direct_gains", "prompt by prompt", prompt_by_prompt),
    Alternative("direct_gains", "scales the vectors", scales_the_vectors),
    Alternative("direct_gains", "einops, float64", with_einops),
    Alternative("closed", "hybrid by hybrid", hybrid_by_hybrid),
    Alternative("closed", "by flat index", by_flat_index),
    Alternative("my_difference", "by divergence", by_divergence),
    Alternative("my_difference", "by taking away", by_taking_away),
)
