"""Any one can go, for authors only: wrong answers, other right answers, and why it is built so."""

import itertools

import einops
import numpy as np
import torch

from mechpuzzles.puzzle import Alternative, Mutant

DESIGN_NOTE = """
One principle: a pattern, a weight and an ablation each make another claim about a head, and each claim holds for the
inputs, the way of switching off and the context in which it was measured. Every instrument is wrong once, and another
one tells: single ablation on L1H2, the pattern on L0H0, composition on L1H3, ablation in all contexts on L1H3 again.

What was measured on mini-induction (256 sequences, period 23). Layer 1 off one by one costs 0.086, 0.025, 0.005, 0.000 of
right guesses, at most in any context 0.763, 0.535, 0.374, 0.001; three other draws of 64 sequences give the same to 0.03.
In nats the joint effects exceed the sums too (heads 0 and 1: 0.41 and 0.13 alone, 2.46 together). The baseline matters:
with another sequence's output instead of the mean, L1H0 alone costs 0.485, for a wrong vote is worse than none. Of L1H1 and
L1H2 that holds hardly: 90.1 % and 97.5 % stay right, so the notebook prints all three. And the metric matters: right guesses
have a ceiling. In logits the right token leads by 7.8; alone the heads cost 4.8, 3.0, 2.0, 0.0 of that, heads 0 and 1 together
8.8. So most of what does not add up is the ceiling, and L1H2 was never idle.

K-composition. The highest, 0.80, is from L0H3 to L1H3; the wires that carry induction have 0.21 to 0.23. Two explanations
were tried and failed. It is not chance: rotating one factor at random gives 0.125 on average (exactly 1/d_model for the
square), and at most 0.34 for these two, whose singular values are concentrated, so that their null is wide. And it is
not LayerNorm: with its weights folded in and the mean taken out, the score is 0.80 still. It is a wire, for something else:
L1H3 looks at the begin token on bigram language (0.86) and not on random tokens (0.00). Mean ablation within one kind
of sequence cannot show it, for there it says much the same always; what it says on the other kind costs 0.72 nats. Neither
test is its alone: L1H0 to L1H2 have 0.92, 0.93, 0.84 at the begin token on language, and L1H1 borrowed in the same way costs
0.93 nats. Repetition and kind have to be told apart: on random tokens shown once the three have 0.56, 0.47, 0.52, L1H3 0.00.
Hence all heads on three kinds of input, and the loan comes from tokens shown once.

L0H0 was the surprise. Its score for one back is 0.07, and yet 21 % of right guesses go with it. It looks two back. The
reading that fits: the induction heads match two tokens, the query's own against what L0H1 wrote into the key, and the one
before it, which L0H1 wrote into the query, against what L0H0 wrote into the key. Taking L0H1 out of the queries alone
brings L1H0's score from 0.81 to 0.34; out of the values, any head of layer 0 changes nothing. Tokens recur within a
period in training, so one token often does not tell the place. The notebook says only what it shows: the neighbour counts,
and does not without L0H0. Where only the token matches, L0H0 even harms: 38 % right with it, 66 % without.
Shuffling single tokens leaves 0.19, 0.29, 0.20 of attention; shuffling pairs at random lets a tenth of them keep their
neighbour, and one special case in: after the begin token, where every repetition wraps round, a lone token suffices. So the
pairs go in a fixed order in which none keeps its neighbour, and the first is left out. Seven random orders without kept
neighbours gave a lone token up to 0.39, a pair 0.57 to 0.86: the prose says less than 0.4, and more than half. Reversed order was tried: it brings
distances below 4, which training never had.

Fixtures. Tables of costs are uniform noise, so that absences also help (absolute values show) and the largest drop may
lie in any context (a table that falls with each absence would let "all others off" pass). Patterns are causal and peaked,
with a begin token that draws attention, so that a whole diagonal differs from its second showing. Composition has
stretched directions and heads of unequal size: with plain Gaussian weights Q- and K-composition differ by little.
The learner's own heads hold all six kinds; on plain repeats three of them look alike, and "position" scores highest.

A learner with one idea of an induction head has to meet three that share its score; hence the labels, and not "which head".
Shapley values of layer 1 (0.46, 0.31, 0.22, 0.00) were tried: the largest cost in any context says as much in one line.

What trying it in a browser changed: lines of more than 105 characters were cut off at 1280 pixels; the first table
said "off []"; the labels of the key axis lay over its title; the cut wires were one run for each pair of heads, and took
a third of the time, while heads of one layer do not see each other and can be cut all at once.
"""


def alone_and_at_most(right):
    return torch.stack(
        [
            torch.stack(
                [
                    (right.select(h, 0) - right.select(h, 1)).flatten()[0],
                    (right.select(h, 0) - right.select(h, 1)).max(),
                ]
            )
            for h in range(right.ndim)
        ]
    )


def all_drops(right):
    """[head, context]"""
    return torch.stack([(right.select(h, 0) - right.select(h, 1)).flatten() for h in range(right.ndim)])


# ---- costs: wrong ---------------------------------------------------------------------------------------------------


def swaps_its_columns(right):
    return all_drops(right)[:, :1].new_tensor(alone_and_at_most(right).flip(1).tolist())


def subtracts_the_wrong_way(right):
    return -alone_and_at_most(right)


def subtracts_the_wrong_way_and_maximises(right):
    rises = -all_drops(right)
    return torch.stack([rises[:, 0], rises.max(1).values], 1)


def starts_from_nobody(right):
    d = all_drops(right)
    return torch.stack([d[:, -1], d.max(1).values], 1)


def takes_one_for_on(right):
    d = all_drops(right.flip(tuple(range(right.ndim))))
    return torch.stack([d[:, 0], d.max(1).values], 1)


def looks_at_the_last_context(right):
    return all_drops(right)[:, [0, -1]]


def averages_contexts(right):
    d = all_drops(right)
    return torch.stack([d[:, 0], d.mean(1)], 1)


def takes_absolute_drops(right):
    d = all_drops(right).abs()
    return torch.stack([d[:, 0], d.max(1).values], 1)


def takes_the_largest_change(right):
    d = all_drops(right)
    return torch.stack([d[:, 0], d.abs().max(1).values], 1)


def compares_with_intact(right):
    intact = right.flatten()[0]
    return torch.stack(
        [
            torch.stack([intact - right.select(h, 1).flatten()[0], (intact - right.select(h, 1)).max()])
            for h in range(right.ndim)
        ]
    )


def switches_everybody_off(right):
    d = all_drops(right)
    return torch.stack([d[:, 0], (right.flatten()[0] - right.flatten()[-1]).expand(right.ndim)], 1)


def stops_at_pairs(right):
    d = all_drops(right)
    few = [0, *(2**i for i in range(right.ndim - 1))]
    return torch.stack([d[:, 0], d[:, few].max(1).values], 1)


def takes_pairs_only(right):
    d = all_drops(right)
    return torch.stack([d[:, 0], d[:, [2**i for i in range(right.ndim - 1)]].max(1).values], 1)


def repeats_the_first_column(right):
    return all_drops(right)[:, [0, 0]]


def counts_heads_backwards(right):
    return alone_and_at_most(right.permute(*reversed(range(right.ndim))))


def returns_what_is_left(right):
    return torch.stack(
        [torch.stack([right.select(h, 1).flatten()[0], right.select(h, 1).min()]) for h in range(right.ndim)]
    )


def divides_by_intact(right):
    return alone_and_at_most(right) / right[(0,) * right.ndim]


def stacks_columns(right):
    return alone_and_at_most(right).T


def takes_the_smallest(right):
    d = all_drops(right)
    return torch.stack([d[:, 0], d.min(1).values], 1)


def adds_contexts(right):
    d = all_drops(right)
    return torch.stack([d[:, 0], d.sum(1)], 1)


def averages_the_first_column(right):
    d = all_drops(right)
    return torch.stack([d.mean(1), d.max(1).values], 1)


def skips_the_intact_context(right):
    d = all_drops(right)
    return torch.stack([d[:, 0], d[:, 1:].max(1).values], 1)


def subtracts_extremes(right):
    gaps = [right.select(h, 0).max() - right.select(h, 1).min() for h in range(right.ndim)]
    return torch.stack([all_drops(right)[:, 0], torch.stack(gaps)], 1)


def subtracts_the_best_runs(right):
    gaps = [right.select(h, 0).max() - right.select(h, 1).max() for h in range(right.ndim)]
    return torch.stack([all_drops(right)[:, 0], torch.stack(gaps)], 1)


def returns_the_most_only(right):
    return all_drops(right).max(1).values


# ---- head_scores: wrong ---------------------------------------------------------------------------------------------


def at(pattern, query, *keys):
    return torch.stack([pattern[:, :, query, key].mean((0, 2)) for key in keys], 1)


def second(period):
    return torch.arange(period + 1, 2 * period + 1)


def right_scores(pattern, period):
    q = second(period)
    return at(pattern, q, q - 1, q - period, q - period + 1)


def swaps_duplicate_and_induction(pattern, period):
    q = second(period)
    return at(pattern, q, q - 1, q - period + 1, q - period)


def puts_induction_first(pattern, period):
    q = second(period)
    return at(pattern, q, q - period + 1, q - period, q - 1)


def adds_where_it_should_subtract(pattern, period):
    q = second(period)
    return at(pattern, q, q - 1, q - period, q - period - 1)


def takes_the_period_for_induction(pattern, period):
    q = second(period)
    return at(pattern, q, q - 1, q - period, q - period)


def takes_one_less_for_both(pattern, period):
    q = second(period)
    return at(pattern, q, q - 1, q - period + 1, q - period + 1)


def is_one_off_twice(pattern, period):
    q = second(period)
    return at(pattern, q, q - 1, q - period + 1, q - period + 2)


def is_one_off_twice_the_other_way(pattern, period):
    q = second(period)
    return at(pattern, q, q - 1, q - period - 1, q - period)


def attends_to_itself(pattern, period):
    q = second(period)
    return at(pattern, q, q, q - period, q - period + 1)


def takes_whole_diagonals(pattern, period):
    return torch.stack([pattern.diagonal(-o, dim1=-2, dim2=-1).mean((0, 2)) for o in (1, period, period - 1)], 1)


def takes_diagonals_without_begin(pattern, period):
    p = pattern[:, :, 1:, 1:]
    return torch.stack([p.diagonal(-o, dim1=-2, dim2=-1).mean((0, 2)) for o in (1, period, period - 1)], 1)


def takes_all_previous(pattern, period):
    out = right_scores(pattern, period)
    out[:, 0] = pattern.diagonal(-1, dim1=-2, dim2=-1).mean((0, 2))
    return out


def takes_whole_diagonals_further_back(pattern, period):
    out = takes_whole_diagonals(pattern, period)
    out[:, 0] = right_scores(pattern, period)[:, 0]
    return out


def takes_the_whole_last_diagonal(pattern, period):
    out = right_scores(pattern, period)
    out[:, 2] = takes_whole_diagonals(pattern, period)[:, 2]
    return out


def forgets_the_begin_token(pattern, period):
    q = torch.arange(period, 2 * period)
    return at(pattern, q, q - 1, q - period, q - period + 1)


def queries_the_first_showing(pattern, period):
    q = torch.arange(1, period + 1)
    columns = []
    for back in (1, period, period - 1):
        ok = q[q >= back]
        columns.append(pattern[:, :, ok, ok - back].sum(2).mean(0) / period)
    return torch.stack(columns, 1)


def leaves_out_the_last(pattern, period):
    q = second(period)[:-1]
    return at(pattern, q, q - 1, q - period, q - period + 1)


def leaves_out_the_first(pattern, period):
    q = second(period)[1:]
    return at(pattern, q, q - 1, q - period, q - period + 1)


def counts_the_top_key(pattern, period):
    q = second(period)
    top = pattern.argmax(-1)[:, :, q]
    return torch.stack([(top == k).float().mean((0, 2)) for k in (q - 1, q - period, q - period + 1)], 1)


def exchanges_queries_and_keys(pattern, period):
    q = second(period)
    return torch.stack([pattern[:, :, k, q].mean((0, 2)) for k in (q - 1, q - period, q - period + 1)], 1)


def sums_queries(pattern, period):
    q = second(period)
    return torch.stack([pattern[:, :, q, k].mean(0).sum(-1) for k in (q - 1, q - period, q - period + 1)], 1)


def sums_sequences(pattern, period):
    q = second(period)
    return torch.stack([pattern[:, :, q, k].sum(0).mean(-1) for k in (q - 1, q - period, q - period + 1)], 1)


def divides_by_both_showings(pattern, period):
    q = second(period)
    return torch.stack(
        [pattern[:, :, q, k].mean(0).sum(-1) / (2 * period) for k in (q - 1, q - period, q - period + 1)], 1
    )


def divides_by_all_places(pattern, period):
    q = second(period)
    return torch.stack(
        [pattern[:, :, q, k].mean(0).sum(-1) / pattern.shape[-1] for k in (q - 1, q - period, q - period + 1)], 1
    )


def takes_the_maximum(pattern, period):
    q = second(period)
    return torch.stack([pattern[:, :, q, k].amax((0, 2)) for k in (q - 1, q - period, q - period + 1)], 1)


def takes_the_maximum_of_means(pattern, period):
    q = second(period)
    return torch.stack([pattern.mean(0)[:, q, k].amax(-1) for k in (q - 1, q - period, q - period + 1)], 1)


def starts_one_early(pattern, period):
    q = torch.arange(period, 2 * period + 1)
    return at(pattern, q, q - 1, q - period, q - period + 1)


def lets_positions_wrap(pattern, period):
    q = torch.arange(2 * period + 1)
    return at(pattern, q, q - 1, q - period, q - period + 1)


def clamps_positions(pattern, period):
    q = torch.arange(1, 2 * period + 1)
    return at(pattern, q, q - 1, (q - period).clamp(min=0), (q - period + 1).clamp(min=0))


def takes_the_median(pattern, period):
    q = second(period)
    keys = (q - 1, q - period, q - period + 1)
    return torch.stack([pattern[:, :, q, k].median(-1).values.mean(0) for k in keys], 1)


def reads_one_sequence(pattern, period):
    return right_scores(pattern[:1], period)


def combines_all_pairs(pattern, period):
    q = second(period)
    return torch.stack([pattern[:, :, q][..., k].mean((0, 2, 3)) for k in (q - 1, q - period, q - period + 1)], 1)


def shares_out_again(pattern, period):
    rest = pattern.clone()
    rest[..., 0] = 0
    out = right_scores(rest / rest.sum(-1, keepdim=True).clamp(min=1e-9), period)
    return out


def averages_heads(pattern, period):
    return right_scores(pattern, period).mean(0)


def forgets_the_dim(pattern, period):
    return right_scores(pattern, period).T


def keeps_the_batch(pattern, period):
    return torch.stack([right_scores(one[None], period) for one in pattern])


# ---- k_composition: wrong -------------------------------------------------------------------------------------------


def composes_queries(W_Q, W_K, W_V, W_O):
    QK, OV = W_Q @ W_K.T, W_V @ W_O
    return (OV @ QK).norm() / QK.norm() / OV.norm()


def exchanges_q_and_k(W_Q, W_K, W_V, W_O):
    QK, OV = W_K @ W_Q.T, W_V @ W_O
    return (QK @ OV.T).norm() / QK.norm() / OV.norm()


def forgets_to_transpose(W_Q, W_K, W_V, W_O):
    QK, OV = W_Q @ W_K.T, W_V @ W_O
    return (QK @ OV).norm() / QK.norm() / OV.norm()


def transposes_and_leads(W_Q, W_K, W_V, W_O):
    QK, OV = W_Q @ W_K.T, W_V @ W_O
    return (OV.T @ QK).norm() / QK.norm() / OV.norm()


def forgets_to_divide(W_Q, W_K, W_V, W_O):
    return (W_Q @ W_K.T @ (W_V @ W_O).T).norm()


def divides_by_qk(W_Q, W_K, W_V, W_O):
    QK = W_Q @ W_K.T
    return (QK @ (W_V @ W_O).T).norm() / QK.norm()


def divides_by_ov(W_Q, W_K, W_V, W_O):
    OV = W_V @ W_O
    return (W_Q @ W_K.T @ OV.T).norm() / OV.norm()


def squares_the_norms(W_Q, W_K, W_V, W_O):
    QK, OV = W_Q @ W_K.T, W_V @ W_O
    return (QK @ OV.T).square().sum() / QK.square().sum() / OV.square().sum()


def takes_spectral_norms(W_Q, W_K, W_V, W_O):
    QK, OV = W_Q @ W_K.T, W_V @ W_O
    return torch.linalg.norm(QK @ OV.T, 2) / torch.linalg.norm(QK, 2) / torch.linalg.norm(OV, 2)


def takes_one_spectral_norm(W_Q, W_K, W_V, W_O):
    QK, OV = W_Q @ W_K.T, W_V @ W_O
    return torch.linalg.norm(QK @ OV.T, 2) / QK.norm() / OV.norm()


def takes_nuclear_norms(W_Q, W_K, W_V, W_O):
    QK, OV = W_Q @ W_K.T, W_V @ W_O
    return torch.linalg.norm(QK @ OV.T, "nuc") / torch.linalg.norm(QK, "nuc") / torch.linalg.norm(OV, "nuc")


def sums_absolute_entries(W_Q, W_K, W_V, W_O):
    QK, OV = W_Q @ W_K.T, W_V @ W_O
    return (QK @ OV.T).abs().sum() / QK.abs().sum() / OV.abs().sum()


def divides_by_four(W_Q, W_K, W_V, W_O):
    return (W_Q @ W_K.T @ (W_V @ W_O).T).norm() / (W_Q.norm() * W_K.norm() * W_V.norm() * W_O.norm())


def compares_entries(W_Q, W_K, W_V, W_O):
    return torch.cosine_similarity((W_Q @ W_K.T).flatten(), (W_V @ W_O).flatten(), dim=0)


def compares_entries_transposed(W_Q, W_K, W_V, W_O):
    return torch.cosine_similarity((W_Q @ W_K.T).flatten(), (W_V @ W_O).T.flatten(), dim=0)


def leaves_out_the_query(W_Q, W_K, W_V, W_O):
    OV = W_V @ W_O
    return (OV @ W_K).norm() / OV.norm() / W_K.norm()


def joins_two_factors(W_Q, W_K, W_V, W_O):
    return (W_O @ W_K).norm() / W_O.norm() / W_K.norm()


def leaves_out_the_key(W_Q, W_K, W_V, W_O):
    OV = W_V @ W_O
    return (OV @ W_Q).norm() / OV.norm() / W_Q.norm()


def leaves_out_the_values(W_Q, W_K, W_V, W_O):
    QK = W_Q @ W_K.T
    return (QK @ W_O.T).norm() / QK.norm() / W_O.norm()


def multiplies_by_a_norm(W_Q, W_K, W_V, W_O):
    QK, OV = W_Q @ W_K.T, W_V @ W_O
    return (10 + (QK @ OV.T).norm()) / QK.norm() * OV.norm() + 1


def keeps_columns(W_Q, W_K, W_V, W_O):
    QK, OV = W_Q @ W_K.T, W_V @ W_O
    return (QK @ OV.T).norm(dim=0) / QK.norm() / OV.norm()


# ---- my_heads: wrong ------------------------------------------------------------------------------------------------


def labels_of(repeated, on_repeated, shuffled, on_shuffled):
    """Right, by thresholds."""
    labels = []
    q = torch.arange(15, 29)
    for h in range(on_repeated.shape[1]):
        p, s = on_repeated[:, h], on_shuffled[:, h]
        if p[:, q, q - 1].mean() > 0.4:
            labels.append("previous")
        elif p[:, q, q - 14].mean() > 0.4:
            labels.append("duplicate")
        elif p[:, q, 0].mean() > 0.4:
            labels.append("sink")
        elif s[:, q, q - 13].mean() > 0.5:
            labels.append("position")
        else:
            hit = [
                float(s[b, k, shuffled[b].tolist().index(int(shuffled[b, k])) + 1])
                for b in range(len(s))
                for k in range(15, 29, 2)
            ]
            labels.append("induction" if np.mean(hit) > 0.45 else "pair")
    return labels


def relabelled(change):
    return lambda *given: [change.get(label, label) for label in labels_of(*given)]


def lists_too_few(*given):
    return labels_of(*given)[:-1]


def invents_a_word(*given):
    return ["copying" if label == "induction" else label for label in labels_of(*given)]


def takes_positions_for_induction(*given):
    return relabelled({"position": "induction"})(*given)


def takes_pairs_for_induction(*given):
    return relabelled({"pair": "induction"})(*given)


def takes_induction_for_pairs(*given):
    return relabelled({"induction": "pair"})(*given)


def takes_induction_for_positions(*given):
    return relabelled({"induction": "position"})(*given)


def never_shuffles(*given):
    return relabelled({"position": "induction", "pair": "induction", "induction": "position"})(*given)


def takes_all_for_induction(*given):
    return relabelled({"position": "pair", "pair": "position"})(*given)


def is_one_place_off(*given):
    return relabelled({"induction": "duplicate", "pair": "duplicate", "position": "duplicate"})(*given)


def takes_sinks_for_previous(*given):
    return relabelled({"sink": "previous"})(*given)


def calls_everything_previous(*given):
    return ["previous"] * 8


MUTANTS = (
    Mutant("costs", "columns_swapped", swaps_its_columns),
    Mutant("costs", "sign_flipped", subtracts_the_wrong_way),
    Mutant("costs", "sign_flipped", subtracts_the_wrong_way_and_maximises),
    Mutant("costs", "on_and_off_confused", starts_from_nobody),
    Mutant("costs", "one_taken_for_on", takes_one_for_on),
    Mutant("costs", "last_context_only", looks_at_the_last_context),
    Mutant("costs", "mean_of_contexts", averages_contexts),
    Mutant("costs", "absolute", takes_absolute_drops),
    Mutant("costs", "absolute", takes_the_largest_change),
    Mutant("costs", "joint_cost", compares_with_intact),
    Mutant("costs", "joint_cost", switches_everybody_off),
    Mutant("costs", "one_other_off", stops_at_pairs),
    Mutant("costs", "one_other_off", takes_pairs_only),
    Mutant("costs", "smallest", takes_the_smallest),
    Mutant("costs", "sum_of_contexts", adds_contexts),
    Mutant("costs", "mean_alone", averages_the_first_column),
    Mutant("costs", "alone_left_out", skips_the_intact_context),
    Mutant("costs", "unlike_contexts", subtracts_extremes),
    Mutant("costs", "unlike_contexts", subtracts_the_best_runs),
    Mutant("costs", "one_column", returns_the_most_only),
    Mutant("costs", "same_twice", repeats_the_first_column),
    Mutant("costs", "heads_reversed", counts_heads_backwards),
    Mutant("costs", "what_is_left", returns_what_is_left),
    Mutant("costs", "relative", divides_by_intact),
    Mutant("costs", "transposed", stacks_columns),
    Mutant("head_scores", "last_two_swapped", swaps_duplicate_and_induction),
    Mutant("head_scores", "columns_reversed", puts_induction_first),
    Mutant("head_scores", "looks_before", adds_where_it_should_subtract),
    Mutant("head_scores", "same_twice", takes_the_period_for_induction),
    Mutant("head_scores", "same_twice", takes_one_less_for_both),
    Mutant("head_scores", "shifted_both", is_one_off_twice),
    Mutant("head_scores", "shifted_both", is_one_off_twice_the_other_way),
    Mutant("head_scores", "looks_at_itself", attends_to_itself),
    Mutant("head_scores", "whole_diagonals", takes_whole_diagonals),
    Mutant("head_scores", "whole_diagonals", takes_diagonals_without_begin),
    Mutant("head_scores", "previous_over_all", takes_all_previous),
    Mutant("head_scores", "diagonal_too_long", takes_whole_diagonals_further_back),
    Mutant("head_scores", "diagonal_too_long", takes_the_whole_last_diagonal),
    Mutant("head_scores", "begin_forgotten", forgets_the_begin_token),
    Mutant("head_scores", "first_showing", queries_the_first_showing),
    Mutant("head_scores", "last_left_out", leaves_out_the_last),
    Mutant("head_scores", "first_left_out", leaves_out_the_first),
    Mutant("head_scores", "strongest_key", counts_the_top_key),
    Mutant("head_scores", "queries_for_keys", exchanges_queries_and_keys),
    Mutant("head_scores", "summed_over_queries", sums_queries),
    Mutant("head_scores", "summed_over_batch", sums_sequences),
    Mutant("head_scores", "divided_by_too_many", divides_by_both_showings),
    Mutant("head_scores", "divided_by_too_many", divides_by_all_places),
    Mutant("head_scores", "largest", takes_the_maximum),
    Mutant("head_scores", "largest", takes_the_maximum_of_means),
    Mutant("head_scores", "one_too_many", starts_one_early),
    Mutant("head_scores", "every_query", lets_positions_wrap),
    Mutant("head_scores", "every_query", clamps_positions),
    Mutant("head_scores", "median", takes_the_median),
    Mutant("head_scores", "one_sequence", reads_one_sequence),
    Mutant("head_scores", "every_pair", combines_all_pairs),
    Mutant("head_scores", "begin_left_out", shares_out_again),
    Mutant("head_scores", "heads_averaged", averages_heads),
    Mutant("head_scores", "transposed", forgets_the_dim),
    Mutant("head_scores", "batch_kept", keeps_the_batch),
    Mutant("k_composition", "queries_composed", composes_queries),
    Mutant("k_composition", "queries_composed", exchanges_q_and_k),
    Mutant("k_composition", "backwards", forgets_to_transpose),
    Mutant("k_composition", "backwards", transposes_and_leads),
    Mutant("k_composition", "not_divided", forgets_to_divide),
    Mutant("k_composition", "half_divided", divides_by_qk),
    Mutant("k_composition", "half_divided", divides_by_ov),
    Mutant("k_composition", "squared", squares_the_norms),
    Mutant("k_composition", "spectral", takes_spectral_norms),
    Mutant("k_composition", "spectral", takes_one_spectral_norm),
    Mutant("k_composition", "nuclear", takes_nuclear_norms),
    Mutant("k_composition", "absolute_sum", sums_absolute_entries),
    Mutant("k_composition", "four_norms", divides_by_four),
    Mutant("k_composition", "cosine_of_matrices", compares_entries),
    Mutant("k_composition", "cosine_of_matrices", compares_entries_transposed),
    Mutant("k_composition", "keys_only", leaves_out_the_query),
    Mutant("k_composition", "keys_only", joins_two_factors),
    Mutant("k_composition", "queries_composed", leaves_out_the_key),
    Mutant("k_composition", "values_missing", leaves_out_the_values),
    Mutant("k_composition", "above_one", multiplies_by_a_norm),
    Mutant("k_composition", "not_a_number", keeps_columns),
    Mutant("my_heads", "number_of_labels", lists_too_few),
    Mutant("my_heads", "other_words", invents_a_word),
    Mutant("my_heads", "position_unseen", takes_positions_for_induction),
    Mutant("my_heads", "pair_unseen", takes_pairs_for_induction),
    Mutant("my_heads", "pair_too_often", takes_induction_for_pairs),
    Mutant("my_heads", "position_too_often", takes_induction_for_positions),
    Mutant("my_heads", "by_pattern_alone", never_shuffles),
    Mutant("my_heads", "by_pattern_alone", takes_all_for_induction),
    Mutant("my_heads", "next_place", is_one_place_off),
    Mutant("my_heads", "sink_unseen", takes_sinks_for_previous),
    Mutant("my_heads", "several", calls_everything_previous),
)


# ---- right, in other styles -----------------------------------------------------------------------------------------


def costs_in_numpy(right):
    shares = right.numpy()
    rows = []
    for head in range(shares.ndim):
        steps = -np.diff(shares, axis=head).ravel()
        rows.append([steps[0], steps.max()])
    return np.array(rows)


def costs_in_loops(right):
    rows = []
    for head in range(right.ndim):
        most, first = -float("inf"), None
        for others in itertools.product((0, 1), repeat=right.ndim - 1):
            on = (*others[:head], 0, *others[head:])
            gone = (*others[:head], 1, *others[head:])
            drop = float(right[on] - right[gone])
            first = drop if first is None else first
            most = max(most, drop)
        rows.append([first, most])
    return torch.tensor(rows)


def costs_with_movedim(right):
    moved = torch.stack([torch.movedim(right, h, 0).reshape(2, -1) for h in range(right.ndim)])
    drop = moved[:, 0] - moved[:, 1]
    return torch.stack((drop[:, 0], drop.amax(1)), -1)


def scores_from_the_end(pattern, period):
    tail = pattern[:, :, -period:].mean(0)
    return torch.stack([tail.diagonal(k, dim1=-2, dim2=-1).mean(-1) for k in (period, 1, 2)], -1)


def scores_in_numpy(pattern, period):
    q = np.arange(1 + period, 1 + 2 * period)
    mean = pattern.numpy().mean(0)
    return np.stack([mean[:, q, q - b].mean(1) for b in (1, period, period - 1)], axis=1)


def scores_in_loops(pattern, period):
    total = torch.zeros(pattern.shape[1], 3, dtype=torch.float64)
    for one in pattern.double():
        for q in range(period + 1, 2 * period + 1):
            total += torch.stack([one[:, q, q - 1], one[:, q, q - period], one[:, q, q - period + 1]], 1)
    return total / (len(pattern) * period)


def scores_with_einops(pattern, period):
    q = torch.arange(period) + period + 1
    k = torch.stack([q - 1, q - period, q + 1 - period])
    return einops.reduce(pattern[:, :, q, k], "b h t q -> h t", "mean")


def scores_by_diagonals(pattern, period):
    lines = [pattern.diagonal(-o, -2, -1)[..., -period:] for o in (1, period, period - 1)]
    return torch.stack([line.mean((0, -1)) for line in lines], 1)


def composition_with_einsum(W_Q, W_K, W_V, W_O):
    QK = torch.einsum("ah,bh->ab", W_Q.double(), W_K.double())
    OV = torch.einsum("ch,hb->cb", W_V.double(), W_O.double())
    through = torch.einsum("ab,cb->ac", QK, OV)
    return (through.square().sum() / (QK.square().sum() * OV.square().sum())).sqrt()


def composition_in_numpy(W_Q, W_K, W_V, W_O):
    q, k, v, out = (W.numpy() for W in (W_Q, W_K, W_V, W_O))
    return np.linalg.norm(v @ (out @ k) @ q.T) / np.linalg.norm(k @ q.T) / np.linalg.norm(v @ out)


def composition_by_traces(W_Q, W_K, W_V, W_O):
    def squared(A, B):
        return torch.trace((A.T @ A) @ (B @ B.T))

    through = squared(W_V, W_O @ W_K @ W_Q.T)
    return (through / squared(W_Q, W_K.T) / squared(W_V, W_O)).sqrt()


def composition_by_hand(W_Q, W_K, W_V, W_O):
    M = W_V @ W_O @ W_K @ W_Q.T
    return torch.linalg.norm(M) / torch.linalg.norm(W_Q @ W_K.T) / torch.linalg.norm(W_V @ W_O)


ALTERNATIVES = (
    Alternative("costs", "numpy's diff", costs_in_numpy),
    Alternative("costs", "loops over contexts", costs_in_loops),
    Alternative("costs", "one tensor of heads and contexts", costs_with_movedim),
    Alternative("head_scores", "the last rows' diagonals", scores_from_the_end),
    Alternative("head_scores", "numpy", scores_in_numpy),
    Alternative("head_scores", "loops", scores_in_loops),
    Alternative("head_scores", "einops, one index", scores_with_einops),
    Alternative("head_scores", "ends of diagonals", scores_by_diagonals),
    Alternative("k_composition", "einsum, float64", composition_with_einsum),
    Alternative("k_composition", "numpy, the other way round", composition_in_numpy),
    Alternative("k_composition", "traces", composition_by_traces),
    Alternative("k_composition", "one product", composition_by_hand),
    Alternative("my_heads", "thresholds", labels_of),
)
