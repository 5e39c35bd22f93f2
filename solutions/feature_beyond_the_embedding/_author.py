"""A feature beyond the embedding, for authors only: wrong answers, other right answers, and why it is built so."""

import math
from collections import defaultdict

import einops
import numpy as np
import torch
import torch.nn.functional as F

from mechpuzzles.puzzle import Alternative, Mutant

DESIGN_NOTE = """
One principle: a unit's meaning is a claim against the best table of tokens; and what the table misses is not yet
computed. The parts follow the argument: the table, its worth on files that it was not fitted on, the same token in both
kinds of text, and an intervention on the past.

Measured on einops and markdown_it, halves of the files; eight units chosen by precision on one half, all figures on the
other. English is 27 %. Precision 90 90 80 88 85 87 91 91 %; explained by the token -0.01 0.59 0.94 0.47 -0.08 0.33 0.22
0.01 (fitted on the same files: 0.16 to 0.96); by the position alone at most 0.01. Firing on the same token in English
and in code: 0.279 and 0.010 for the busiest unit, 0.024 and 0.014 for the table; means of eight 0.103 and 0.009, random
directions 0.080 and 0.013, untrained 0.025 and 0.024. Swapping all but the last 1 to 32 tokens moves the busiest by 1.06
down to 0.07 of what unrelated places differ by, the table by 0.04 or less. With windows that leave no gaps (half as much
text again) the figures differ by a few hundredths: 0.02 and 0.95 explained, 0.259 and 0.010 on the same token.

Two sentences that look safe were wrong, and the notebook now takes them apart. "The token explains little, so the model
computed it": the token explains least of all (2 %) on a model with redrawn weights, which mixes in the past and the
position: without attention it explains 8 %, without positions 12 %, without either 98 % (by position 6 % as is). "Precise for English on held-out files, so it is a feature": the best of 1,024 random directions, searched as
hard, are 85 % precise where the dictionary's eight are 88 %. What separates them is the same token in two places (and the search needs a stream that holds English: untrained it buys 32 %
against 27 %): a factor
of one untrained, of six for the random directions, of twelve for the dictionary and of 28 for its busiest unit.

Nor does precision alone beat a table, for units that fire rarely: the list of the most English tokens (met ten times or
more on one half) that fires on 1, 2.5, 5 and 8 % of the tokens is 94, 89, 83 and 71 % precise on the other half. Only the
busiest unit is clearly above, with 90 % at 8 %. Hence same_token_rates, on which every table scores alike on both sides,
by construction.

The past is swapped, not cut off: cutting moves the token to another position, and an empty past is one that the model
never meets. Own tokens keep their positions. The swap is judged against unrelated places, twice the variance (the
total-effect index of Sobol in Jansen's form, 1999), since the plain variance makes an irrelevant past look half guilty. A
begin token in place of the past, and positions that move along, were considered and left.

The unit that is a table promotes what follows " to", and " to" is not among the tokens whose embeddings lie along its
encoder row: two layers of look-up lie between. "In the token" is not "legible in the embedding".

Text: einops with jaxtyping has a licence in every file, which makes comments alike in both halves; platformdirs
repeats its docstrings and linter comments; typer is long. The dictionary: L1 weights of 1, 3 and 4 instead of 2 leave 71,
12 and 19 units active with 87, 71 and 7 % of the variance explained (1 and 4 in shorter runs); a learning rate of 5e-3 instead of
2e-3 and 4,000 steps instead of 1,500 took the one with 2 from 39 active and 71 % to 21 and 79 %. Units that fire inside one-line strings are there too, but their
precision is 0.7.

Fixtures: baseline tokens include one met once, one that fires once of twice, and unseen ids below, between and above;
the guess of explained_by_token has a bias, another slope and, once, the wrong sign; same_token_rates has tokens of one
side only, one that never fires, and counts that differ between sides; rows of share_of_past have scales of their own.

Working through it in a browser: the first number came only after five cells, so a picture of four units on a text
now stands in the second (without a word that occurs on both sides, which would tell the end); cells that ran off the page
were cut; windows leave gaps, and the swap reuses the untouched run, which halved the time. Choosing the units by precision
alone, not by how much the token explains, keeps the first picture free of selection: all eight are in it.
"""


# ---- embedding_baseline: wrong -------------------------------------------------------------------------------------


def table_of(acts, tokens, unseen):
    counts = torch.bincount(tokens, minlength=2048)
    means = torch.bincount(tokens, weights=acts, minlength=2048) / counts.clamp(min=1)
    return torch.where(counts > 0, means, torch.as_tensor(unseen, dtype=means.dtype))


def divides_by_nothing(acts, tokens, new_tokens):
    counts = torch.bincount(tokens, minlength=2048)
    return (torch.bincount(tokens, weights=acts, minlength=2048) / counts)[new_tokens]


def leaves_zeros(acts, tokens, new_tokens):
    return table_of(acts, tokens, 0.0)[new_tokens]


def averages_the_table(acts, tokens, new_tokens):
    met = table_of(acts, tokens, 0.0)[tokens.unique()]
    return table_of(acts, tokens, met.mean())[new_tokens]


def averages_the_whole_table(acts, tokens, new_tokens):
    return table_of(acts, tokens, table_of(acts, tokens, 0.0).mean())[new_tokens]


def searches_sorted(acts, tokens, new_tokens):
    known = tokens.unique()
    means = torch.stack([acts[tokens == t].mean() for t in known])
    return means[(torch.searchsorted(known, new_tokens, right=True) - 1).clamp(min=0)]


def guesses_what_it_saw(acts, tokens, new_tokens):
    return table_of(acts, tokens, acts.mean())[tokens]


def takes_the_best_example(acts, tokens, new_tokens):
    return torch.stack([acts[tokens == t].max() if (tokens == t).any() else acts.mean() for t in new_tokens])


def scatters_the_maximum(acts, tokens, new_tokens):
    return torch.zeros(2048).scatter_reduce(0, tokens, acts, "amax")[new_tokens]


def takes_the_median(acts, tokens, new_tokens):
    return torch.stack([acts[tokens == t].median() if (tokens == t).any() else acts.mean() for t in new_tokens])


def takes_numpys_median(acts, tokens, new_tokens):
    return np.array([np.median(acts[tokens == t]) if (tokens == t).any() else acts.mean() for t in new_tokens])


def forgets_the_counts(acts, tokens, new_tokens):
    return torch.bincount(tokens, weights=acts, minlength=2048)[new_tokens]


def forgets_the_counts_but_fills(acts, tokens, new_tokens):
    counts, sums = torch.bincount(tokens, minlength=2048), torch.bincount(tokens, weights=acts, minlength=2048)
    return torch.where(counts > 0, sums, acts.mean())[new_tokens]


def averages_firings(acts, tokens, new_tokens):
    on = acts > 0
    return torch.stack([acts[on & (tokens == t)].sum() / (on & (tokens == t)).sum().clamp(min=1) for t in new_tokens])


def averages_firings_and_fills(acts, tokens, new_tokens):
    filled = [acts[tokens == t] if (tokens == t).any() else acts for t in new_tokens]
    return torch.stack([one.sum() / (one > 0).sum().clamp(min=1) for one in filled])


def counts_firings(acts, tokens, new_tokens):
    return table_of((acts > 0).float(), tokens, (acts > 0).float().mean())[new_tokens]


def overwrites_the_table(acts, tokens, new_tokens):
    last = dict(zip(tokens.tolist(), acts.tolist()))
    return torch.tensor([last.get(t, acts.mean().item()) for t in new_tokens.tolist()])


def keeps_the_first(acts, tokens, new_tokens):
    first = {}
    for t, act in zip(tokens.tolist(), acts.tolist()):
        first.setdefault(t, act)
    return torch.tensor([first.get(t, acts.mean().item()) for t in new_tokens.tolist()])


def adds_one_to_the_counts(acts, tokens, new_tokens):
    return (torch.bincount(tokens, acts, 2048) / (torch.bincount(tokens, minlength=2048) + 1))[new_tokens]


def ignores_the_token(acts, tokens, new_tokens):
    return acts.mean().expand(len(new_tokens)).clone()


def divides_by_all_places(acts, tokens, new_tokens):
    return (torch.bincount(tokens, weights=acts, minlength=2048) / len(acts))[new_tokens]


def returns_the_table(acts, tokens, new_tokens):
    return table_of(acts, tokens, acts.mean())


# ---- explained_by_token: wrong -------------------------------------------------------------------------------------


def compares_with_zero(acts, guess):
    return 1 - (acts - guess).square().sum() / acts.square().sum()


def squares_the_correlation(acts, guess):
    return torch.corrcoef(torch.stack([acts, guess]))[0, 1] ** 2


def takes_the_correlation(acts, guess):
    return torch.corrcoef(torch.stack([acts, guess]))[0, 1]


def takes_the_variance_of_the_misses(acts, guess):
    return 1 - (acts - guess).var() / acts.var()


def compares_spreads(acts, guess):
    return guess.var() / acts.var()


def returns_the_rest(acts, guess):
    return (acts - guess).square().sum() / (acts - acts.mean()).square().sum()


def clamps_at_zero(acts, guess):
    return r_squared(acts, guess).clamp(min=0)


def drops_the_sign(acts, guess):
    return r_squared(acts, guess).abs()


def forgets_the_one(acts, guess):
    return -(acts - guess).square().mean() / acts.var(correction=0)


def explains_the_guess(acts, guess):
    return r_squared(guess, acts)


def centres_on_the_guess(acts, guess):
    return 1 - (acts - guess).square().sum() / (acts - guess.mean()).square().sum()


def divides_by_the_default_variance(acts, guess):
    return 1 - (acts - guess).square().mean() / acts.var()


def divides_by_the_deviation_of_acts(acts, guess):
    return 1 - (acts - guess).square().mean() / acts.std()


def divides_by_the_plain_deviation(acts, guess):
    return 1 - (acts - guess).square().mean() / acts.std(correction=0)


def compares_roots(acts, guess):
    return 1 - (acts - guess).norm() / (acts - acts.mean()).norm()


def compares_absolute_misses(acts, guess):
    return 1 - (acts - guess).abs().sum() / (acts - acts.mean()).abs().sum()


def returns_the_misses(acts, guess):
    return F.mse_loss(guess, acts)


def subtracts_the_misses(acts, guess):
    return 1 - F.mse_loss(guess, acts)


def sums_above_only(acts, guess):
    return 1 - (acts - guess).square().sum() / acts.var(correction=0)


# ---- same_token_rates: wrong ---------------------------------------------------------------------------------------


def two_sides(fires, tokens, english):
    """Rates per token id in English and in code, NaN where there is no place."""
    return [
        torch.bincount(tokens[where & fires], minlength=2048) / torch.bincount(tokens[where], minlength=2048)
        for where in (english, ~english)
    ]


def keeps_the_nan(fires, tokens, english):
    return tuple(side.mean() for side in two_sides(fires, tokens, english))


def puts_code_first(fires, tokens, english):
    return right_rates(fires, tokens, english)[::-1]


def compares_all_places(fires, tokens, english):
    return fires[english].float().mean(), fires[~english].float().mean()


def pools_shared_tokens(fires, tokens, english):
    shared = torch.isin(tokens, tokens[english]) & torch.isin(tokens, tokens[~english])
    return fires[shared & english].float().mean(), fires[shared & ~english].float().mean()


def takes_nanmean(fires, tokens, english):
    return tuple(side.nanmean() for side in two_sides(fires, tokens, english))


def replaces_nan_by_zero(fires, tokens, english):
    sides, met = two_sides(fires, tokens, english), tokens.unique()
    return tuple(side.nan_to_num()[met].mean() for side in sides)


def averages_all_ids(fires, tokens, english):
    return tuple(side.nan_to_num().mean() for side in two_sides(fires, tokens, english))


def keeps_tokens_of_english(fires, tokens, english):
    sides, met = two_sides(fires, tokens, english), tokens[english].unique()
    return tuple(side.nan_to_num()[met].mean() for side in sides)


def keeps_tokens_of_code(fires, tokens, english):
    sides, met = two_sides(fires, tokens, english), tokens[~english].unique()
    return tuple(side[met].nanmean() for side in sides)


def keeps_tokens_that_fire(fires, tokens, english):
    inside, outside = two_sides(fires, tokens, english)
    kept = ~(inside + outside).isnan() & (inside + outside > 0)
    return inside[kept].mean(), outside[kept].mean()


def keeps_tokens_that_fire_on_both_sides(fires, tokens, english):
    inside, outside = two_sides(fires, tokens, english)
    kept = (inside > 0) & (outside > 0)
    return inside[kept].mean(), outside[kept].mean()


def averages_counts(fires, tokens, english):
    shared = ~sum(two_sides(fires, tokens, english)).isnan()
    sides = [torch.bincount(tokens[where & fires], minlength=2048) for where in (english, ~english)]
    return tuple(side[shared].float().mean() for side in sides)


def divides_by_both_sides(fires, tokens, english):
    shared = ~sum(two_sides(fires, tokens, english)).isnan()
    places = torch.bincount(tokens, minlength=2048)
    sides = [torch.bincount(tokens[where & fires], minlength=2048) / places for where in (english, ~english)]
    return tuple(side[shared].mean() for side in sides)


def measures_precision(fires, tokens, english):
    share = english[fires].float().mean()
    return share, 1 - share


def weighs_by_frequency(fires, tokens, english):
    inside, outside = two_sides(fires, tokens, english)
    shared = ~(inside + outside).isnan()
    weight = torch.bincount(tokens, minlength=2048)[shared].float()
    return tuple((side[shared] * weight).sum() / weight.sum() for side in (inside, outside))


def weighs_by_the_rarer_side(fires, tokens, english):
    inside, outside = two_sides(fires, tokens, english)
    shared = ~(inside + outside).isnan()
    counts = [torch.bincount(tokens[where], minlength=2048) for where in (english, ~english)]
    weight = torch.minimum(*counts)[shared].float()
    return tuple((side[shared] * weight).sum() / weight.sum() for side in (inside, outside))


def measures_silence(fires, tokens, english):
    return right_rates(~fires, tokens, english)


# ---- share_of_past: wrong ------------------------------------------------------------------------------------------


def squared(full, swapped):
    return (full - swapped).square().mean(1)


def forgets_the_two(full, swapped):
    return squared(full, swapped) / full.var(1)


def forgets_the_two_and_the_correction(full, swapped):
    return squared(full, swapped) / full.var(1, correction=0)


def pairs_places_with_themselves(full, swapped):
    pairs = (full[:, :, None] - full[:, None, :]).square().mean((1, 2))
    return squared(full, swapped) / pairs


def doubles_twice(full, swapped):
    return squared(full, swapped) / (4 * full.var(1))


def divides_by_the_square(full, swapped):
    return squared(full, swapped) / full.square().mean(1)


def returns_what_is_left(full, swapped):
    return 1 - squared(full, swapped) / (2 * full.var(1))


def takes_the_root(full, swapped):
    return (squared(full, swapped) / (2 * full.var(1))).sqrt()


def takes_absolute_changes(full, swapped):
    n = full.shape[1]
    pairs = (full[:, :, None] - full[:, None, :]).abs().sum((1, 2)) / (n * (n - 1))
    return (full - swapped).abs().mean(1) / pairs


def averages_first(full, swapped):
    return (full - swapped).mean(1).square() / (2 * full.var(1))


def takes_the_variance_of_the_change(full, swapped):
    return (full - swapped).var(1) / (2 * full.var(1))


def compares_variances(full, swapped):
    return 1 - swapped.var(1) / full.var(1)


def takes_pearsons_r(full, swapped):
    return 1 - torch.stack([torch.corrcoef(torch.stack(pair))[0, 1] for pair in zip(full, swapped)])


def divides_by_the_swapped(full, swapped):
    return squared(full, swapped) / (2 * swapped.var(1))


def pairs_full_with_swapped(full, swapped):
    n = full.shape[1]
    pairs = (full[:, :, None] - swapped[:, None, :]).square()
    across = (pairs.sum((1, 2)) - pairs.diagonal(dim1=1, dim2=2).sum(1)) / (n * (n - 1))
    return squared(full, swapped) / across


def uses_one_variance(full, swapped):
    return squared(full, swapped) / (2 * full.var())


def adds_the_changes(full, swapped):
    return (full - swapped).square().sum(1) / (2 * full.var(1))


def divides_by_the_deviation(full, swapped):
    return squared(full, swapped) / full.std(1)


def averages_over_k(full, swapped):
    return (full - swapped).square().mean(0) / (2 * full.var(0))


def averages_everything(full, swapped):
    return (squared(full, swapped) / (2 * full.var(1))).mean()


MUTANTS = (
    Mutant("embedding_baseline", "not_a_number", divides_by_nothing),
    Mutant("embedding_baseline", "unseen_as_zero", leaves_zeros),
    Mutant("embedding_baseline", "unseen_as_mean_of_means", averages_the_table),
    Mutant("embedding_baseline", "unseen_as_mean_of_means", averages_the_whole_table),
    Mutant("embedding_baseline", "unseen_as_another", searches_sorted),
    Mutant("embedding_baseline", "fitted_on_itself", guesses_what_it_saw),
    Mutant("embedding_baseline", "maximum", takes_the_best_example),
    Mutant("embedding_baseline", "maximum", scatters_the_maximum),
    Mutant("embedding_baseline", "median", takes_the_median),
    Mutant("embedding_baseline", "median", takes_numpys_median),
    Mutant("embedding_baseline", "sums", forgets_the_counts),
    Mutant("embedding_baseline", "sums", forgets_the_counts_but_fills),
    Mutant("embedding_baseline", "firing_only", averages_firings),
    Mutant("embedding_baseline", "firing_only", averages_firings_and_fills),
    Mutant("embedding_baseline", "firing_rate", counts_firings),
    Mutant("embedding_baseline", "last_seen", overwrites_the_table),
    Mutant("embedding_baseline", "last_seen", keeps_the_first),
    Mutant("embedding_baseline", "one_more", adds_one_to_the_counts),
    Mutant("embedding_baseline", "overall_mean", ignores_the_token),
    Mutant("embedding_baseline", "share_of_everything", divides_by_all_places),
    Mutant("embedding_baseline", "whole_table", returns_the_table),
    Mutant("explained_by_token", "against_zero", compares_with_zero),
    Mutant("explained_by_token", "correlation_squared", squares_the_correlation),
    Mutant("explained_by_token", "correlation", takes_the_correlation),
    Mutant("explained_by_token", "bias_forgiven", takes_the_variance_of_the_misses),
    Mutant("explained_by_token", "spread_of_the_guess", compares_spreads),
    Mutant("explained_by_token", "unexplained", returns_the_rest),
    Mutant("explained_by_token", "below_zero_hidden", clamps_at_zero),
    Mutant("explained_by_token", "sign_lost", drops_the_sign),
    Mutant("explained_by_token", "upside_down", forgets_the_one),
    Mutant("explained_by_token", "swapped", explains_the_guess),
    Mutant("explained_by_token", "around_the_guess", centres_on_the_guess),
    Mutant("explained_by_token", "one_fewer", divides_by_the_default_variance),
    Mutant("explained_by_token", "spread_not_squared", divides_by_the_deviation_of_acts),
    Mutant("explained_by_token", "spread_not_squared", divides_by_the_plain_deviation),
    Mutant("explained_by_token", "roots", compares_roots),
    Mutant("explained_by_token", "absolute_misses", compares_absolute_misses),
    Mutant("explained_by_token", "misses", returns_the_misses),
    Mutant("explained_by_token", "misses", subtracts_the_misses),
    Mutant("explained_by_token", "one_too_often", sums_above_only),
    Mutant("same_token_rates", "not_a_number", keeps_the_nan),
    Mutant("same_token_rates", "sides_swapped", puts_code_first),
    Mutant("same_token_rates", "not_matched", compares_all_places),
    Mutant("same_token_rates", "frequent_tokens_count_more", pools_shared_tokens),
    Mutant("same_token_rates", "one_side_is_enough", takes_nanmean),
    Mutant("same_token_rates", "missing_as_zero", replaces_nan_by_zero),
    Mutant("same_token_rates", "missing_as_zero", averages_all_ids),
    Mutant("same_token_rates", "english_ones_kept", keeps_tokens_of_english),
    Mutant("same_token_rates", "english_ones_kept", keeps_tokens_of_code),
    Mutant("same_token_rates", "only_where_it_fires", keeps_tokens_that_fire),
    Mutant("same_token_rates", "only_where_it_fires", keeps_tokens_that_fire_on_both_sides),
    Mutant("same_token_rates", "counts", averages_counts),
    Mutant("same_token_rates", "share_of_both_sides", divides_by_both_sides),
    Mutant("same_token_rates", "precision", measures_precision),
    Mutant("same_token_rates", "weighed_by_frequency", weighs_by_frequency),
    Mutant("same_token_rates", "weighed_by_frequency", weighs_by_the_rarer_side),
    Mutant("same_token_rates", "silence", measures_silence),
    Mutant("share_of_past", "twice", forgets_the_two),
    Mutant("share_of_past", "twice_and_with_itself", forgets_the_two_and_the_correction),
    Mutant("share_of_past", "paired_with_itself", pairs_places_with_themselves),
    Mutant("share_of_past", "half", doubles_twice),
    Mutant("share_of_past", "against_zero", divides_by_the_square),
    Mutant("share_of_past", "what_is_kept", returns_what_is_left),
    Mutant("share_of_past", "root", takes_the_root),
    Mutant("share_of_past", "not_squared", takes_absolute_changes),
    Mutant("share_of_past", "level_only", averages_first),
    Mutant("share_of_past", "level_forgiven", takes_the_variance_of_the_change),
    Mutant("share_of_past", "variances_compared", compares_variances),
    Mutant("share_of_past", "correlation", takes_pearsons_r),
    Mutant("share_of_past", "wrong_end", divides_by_the_swapped),
    Mutant("share_of_past", "pairs_across", pairs_full_with_swapped),
    Mutant("share_of_past", "one_spread_for_all", uses_one_variance),
    Mutant("share_of_past", "sums", adds_the_changes),
    Mutant("share_of_past", "spread_not_squared", divides_by_the_deviation),
    Mutant("share_of_past", "one_per_place", averages_over_k),
    Mutant("share_of_past", "averaged_away", averages_everything),
)


# ---- right, in other styles ----------------------------------------------------------------------------------------


def one_hot_baseline(acts, tokens, new_tokens):
    same = (tokens[None, :] == new_tokens[:, None]).double()
    counts = same.sum(1)
    return torch.where(counts > 0, same @ acts.double() / counts.clamp(min=1), acts.double().mean())


def baseline_in_a_dictionary(acts, tokens, new_tokens):
    met = defaultdict(list)
    for act, token in zip(acts.tolist(), tokens.tolist()):
        met[token].append(act)
    mean = sum(acts.tolist()) / len(acts)
    return torch.tensor([sum(met[t]) / len(met[t]) if t in met else mean for t in new_tokens.tolist()])


def baseline_in_numpy(acts, tokens, new_tokens):
    acts, tokens, new_tokens = acts.numpy(), tokens.numpy(), new_tokens.numpy()
    known, where = np.unique(tokens, return_inverse=True)
    means = np.bincount(where, weights=acts) / np.bincount(where)
    table = np.full(2048, acts.mean(), dtype=np.float64)
    table[known] = means
    return table[new_tokens]


def baseline_by_scatter(acts, tokens, new_tokens):
    table = torch.full((2048,), acts.mean().item())
    return table.scatter_reduce(0, tokens, acts, "mean", include_self=False)[new_tokens]


def r_squared(acts, guess):
    return 1 - (acts - guess).square().sum() / (acts - acts.mean()).square().sum()


def r_squared_in_numpy(acts, guess):
    acts, guess = acts.numpy().astype(float), guess.numpy().astype(float)
    return 1 - np.mean((acts - guess) ** 2) / np.var(acts)


def r_squared_in_loops(acts, guess):
    a, g = acts.tolist(), guess.tolist()
    mean = math.fsum(a) / len(a)
    rival = math.fsum((x - mean) ** 2 for x in a)
    return (rival - math.fsum((x - y) ** 2 for x, y in zip(a, g))) / rival


def r_squared_with_einops(acts, guess):
    missed, rival = (einops.reduce((acts - other) ** 2, "pos -> ", "mean") for other in (guess, acts.mean()))
    return 1 - missed / rival


def right_rates(fires, tokens, english):
    inside, outside = two_sides(fires, tokens, english)
    shared = ~(inside + outside).isnan()
    return inside[shared].mean(), outside[shared].mean()


def rates_in_a_loop(fires, tokens, english):
    rates = []
    for t in tokens.unique():
        here = tokens == t
        if (here & english).any() and (here & ~english).any():
            rates.append([fires[here & english].float().mean(), fires[here & ~english].float().mean()])
    return tuple(torch.tensor(rates).mean(0))


def rates_with_sets(fires, tokens, english):
    places = list(zip(tokens.tolist(), english.tolist(), fires.tolist()))
    shared = {t for t, where, _ in places if where} & {t for t, where, _ in places if not where}
    answer = []
    for side in (True, False):
        total = 0.0
        for token in shared:
            hits = [hit for t, where, hit in places if t == token and where == side]
            total += sum(hits) / len(hits)
        answer.append(total / len(shared))
    return tuple(answer)


def rates_in_numpy(fires, tokens, english):
    fires, tokens, english = fires.numpy(), tokens.numpy(), english.numpy()
    shared = np.intersect1d(tokens[english], tokens[~english])
    sides = [[fires[(tokens == t) & side].mean() for t in shared] for side in (english, ~english)]
    return tuple(float(np.mean(side)) for side in sides)


def share_over_pairs(full, swapped):
    n = full.shape[1]
    pairs = (full[:, :, None] - full[:, None, :]).square().sum((1, 2)) / (n * (n - 1))
    return (full - swapped).square().mean(1) / pairs


def share_in_numpy(full, swapped):
    full, swapped = full.numpy().astype(float), swapped.numpy().astype(float)
    return ((full - swapped) ** 2).mean(axis=1) / 2 / full.var(axis=1, ddof=1)


def share_with_einops(full, swapped):
    n = full.shape[1]
    centred = full - einops.reduce(full, "k n -> k 1", "mean")
    moved = einops.reduce((full - swapped) ** 2, "k n -> k", "sum") / n
    return moved * (n - 1) / (2 * einops.reduce(centred**2, "k n -> k", "sum"))


def share_row_by_row(full, swapped):
    rows = [(a - b).pow(2).mean() / (a.std() ** 2 + a.std() ** 2) for a, b in zip(full, swapped)]
    return torch.stack(rows)


ALTERNATIVES = (
    Alternative("embedding_baseline", "a matrix of equal tokens", one_hot_baseline),
    Alternative("embedding_baseline", "dictionary", baseline_in_a_dictionary),
    Alternative("embedding_baseline", "numpy", baseline_in_numpy),
    Alternative("embedding_baseline", "scatter_reduce", baseline_by_scatter),
    Alternative("explained_by_token", "sums", r_squared),
    Alternative("explained_by_token", "numpy", r_squared_in_numpy),
    Alternative("explained_by_token", "loops", r_squared_in_loops),
    Alternative("explained_by_token", "einops", r_squared_with_einops),
    Alternative("same_token_rates", "bincount", right_rates),
    Alternative("same_token_rates", "loop over tokens", rates_in_a_loop),
    Alternative("same_token_rates", "sets", rates_with_sets),
    Alternative("same_token_rates", "numpy", rates_in_numpy),
    Alternative("share_of_past", "all pairs", share_over_pairs),
    Alternative("share_of_past", "numpy", share_in_numpy),
    Alternative("share_of_past", "einops", share_with_einops),
    Alternative("share_of_past", "row by row", share_row_by_row),
)
