"""A feature beyond the embedding: what is asked, how it is checked, and what each wrong answer looks like."""

import math
from collections import defaultdict

import torch

from mechpuzzles.puzzle import Case, FreeText, Part, Prediction, Puzzle, Symptom

# ---- the oracles: plain Python over lists and dictionaries; the share of the past over pairs ------------------------


def average(numbers):
    return math.fsum(numbers) / len(numbers) if numbers else math.nan


def by_token(values, tokens):
    """For each token the values that were met on it, in order."""
    met = defaultdict(list)
    for value, token in zip(values.tolist(), tokens.tolist(), strict=True):
        met[token].append(value)
    return met


def guesses(acts, tokens, new_tokens, summary=average, unseen=None):
    """A summary of each new token's activations; without any, ``unseen``, by default the mean over all places."""
    met = by_token(acts.double(), tokens)
    other = average(acts.double().tolist()) if unseen is None else unseen
    return torch.tensor([summary(met[t]) if t in met else other for t in new_tokens.tolist()], dtype=torch.float64)


def squares(numbers):
    return math.fsum(x * x for x in numbers)


def differences(a, b):
    return [x - y for x, y in zip(a.double().tolist(), b.double().tolist(), strict=True)]


def around(numbers, centre):
    return squares([x - centre for x in numbers])


def slow_explained(acts, guess):
    row = acts.double().tolist()
    return 1 - squares(differences(acts, guess)) / around(row, average(row))


def in_both(tokens, english):
    """The tokens that occur in English and in code."""
    return [t for t, met in by_token(english, tokens).items() if any(met) and not all(met)]


def places(tokens, english):
    """For each token: its places in English, and those in code."""
    found = {}
    for place, (token, where) in enumerate(zip(tokens.tolist(), english.tolist(), strict=True)):
        found.setdefault(token, ([], []))[0 if where else 1].append(place)
    return found


def slow_rates(fires, tokens, english):
    rows = [found for found in places(tokens, english).values() if all(found)]
    hits = fires.double().tolist()
    return tuple(average([average([hits[p] for p in row[side]]) for row in rows]) for side in (0, 1))


def mean_over_pairs(row, other=None):
    """Mean squared difference of two different places."""
    other = row if other is None else other
    n = len(row)
    return math.fsum((row[i] - other[j]) ** 2 for i in range(n) for j in range(n) if i != j) / (n * (n - 1))


def slow_share_of_past(full, swapped):
    rows = zip(full.double(), swapped.double(), strict=True)
    return torch.tensor(
        [squares(differences(a, b)) / len(a) / mean_over_pairs(a.tolist()) for a, b in rows], dtype=torch.float64
    )


# ---- the inputs: activations are zero in many places and heavy-tailed elsewhere -------------------------------------


def some_acts(rng, *shape, silent=0.35):
    loud = torch.exp(0.8 * torch.randn(*shape, generator=rng)) + 0.2
    return torch.where(torch.rand(*shape, generator=rng) < silent, 0.0, loud)


def baseline_cases(rng):
    """Tokens met once, a few times and often; new ones that were never met, below, between and above the met ones."""
    for n, n_new in ((23, 17), (31, 14), (19, 26)):
        kinds = torch.randperm(40, generator=rng)[:6] * 50 + 10  # multiples, so that others lie between
        times = torch.tensor([n - 13, 5, 3, 2, 2, 1])
        tokens = kinds.repeat_interleave(times)
        order = torch.randperm(n, generator=rng)
        level = (torch.tensor([0.5, 3.0, 1.5, 4.0, 2.0, 6.0]) * (0.8 + 0.4 * torch.rand(6, generator=rng)))[
            torch.arange(6).repeat_interleave(times)
        ]
        acts = level * some_acts(rng, n, silent=0.3)
        acts[-1] = level[-1]  # the token met once fires
        acts[-3:-1] = torch.tensor([0.0, 2.5])  # on one token it fires once of twice
        unseen = torch.tensor([3, int(kinds.max()) + 7, int(kinds.min()) + 20, 2047])
        drawn = kinds[torch.randint(6, (n_new - 10,), generator=rng)]
        new = torch.cat([unseen, kinds, drawn])
        yield Case((acts[order], tokens[order], new[torch.randperm(n_new, generator=rng)]))


def explained_cases(rng):
    """A mean far from zero, guesses that are too high and too flat; one guess is worse than the mean."""
    for n, lift, stretch in ((9, 0.4, 0.7), (14, 0.7, 0.6), (11, 4.0, -0.8)):
        acts = 1.5 + some_acts(rng, n)
        acts[:2] = torch.tensor([1.5, 6.0])
        guess = acts.mean() + lift + stretch * (acts - acts.mean()) + 0.3 * torch.randn(n, generator=rng)
        yield Case((acts, guess))


def rate_cases(rng):
    """Tokens of English alone, of code alone and of both; the shared ones differ in how often, where, and what they do."""
    for extra in (3, 6, 9):
        tokens, english, fires = [], [], []
        ids = (torch.randperm(60, generator=rng)[:7] * 31 + 5).tolist()
        # places in English, firing there; places in code, firing there
        rows = [
            (5, 4, 2, 1),
            (3, 1, 8, 2),
            (2, 2, 3 + extra, 1),
            (4, 0, 5, 0),
            (9, 8, 0, 0),
            (0, 0, 7, 1),
            (6, 3, 1, 0),
        ]
        for token, (n_in, hit_in, n_out, hit_out) in zip(ids, rows, strict=True):
            tokens += [token] * (n_in + n_out)
            english += [True] * n_in + [False] * n_out
            fires += [p < hit_in for p in range(n_in)] + [p < hit_out for p in range(n_out)]
        order = torch.randperm(len(tokens), generator=rng)
        yield Case(tuple(torch.tensor(x)[order] for x in (fires, tokens, english)))


def past_cases(rng):
    """Rows on scales of their own; swapped activations that keep some of the full ones and have another level."""
    for k, n in ((3, 7), (5, 9), (4, 6)):
        scale = 0.6 * 1.7 ** torch.arange(float(k))[:, None]
        full = scale * some_acts(rng, k, n)
        full[:, 0], full[:, 1] = 0.0, 4 * scale[:, 0]
        keep = torch.linspace(0.1, 0.8, k)[:, None]
        swapped = keep * full + (1 - keep) * scale * some_acts(rng, k, n) + 0.5 * scale
        yield Case((full, swapped))


# ---- the ways of being wrong ----------------------------------------------------------------------------------------


def firing_only(numbers):
    """The mean over the places where it fires."""
    return average([x for x in numbers if x > 0] or [0.0])


def middle(numbers, upper=False):
    ordered = sorted(numbers)
    return ordered[(len(ordered) - (0 if upper else 1)) // 2]


def halfway(numbers):
    return (middle(numbers) + middle(numbers, upper=True)) / 2


def of_tokens(acts, tokens):
    """The mean over tokens of their means."""
    return average([average(met) for met in by_token(acts.double(), tokens).values()])


def nearest_below(acts, tokens, new_tokens):
    met = by_token(acts.double(), tokens)
    known = sorted(met)
    rows = [max((k for k in known if k <= t), default=known[0]) for t in new_tokens.tolist()]
    return torch.tensor([average(met[t]) for t in rows], dtype=torch.float64)


BASELINE_SYMPTOMS = (
    Symptom(
        "not_a_number",
        lambda got, want, acts, tokens, new_tokens: got.shape == want.shape and bool(got.isnan().any()),
        says="There is a NaN in it: nothing divided by nothing. A token never met before gets the mean over everything.",
    ),
    Symptom.gives(
        "unseen_as_zero",
        lambda acts, tokens, new_tokens: guesses(acts, tokens, new_tokens, unseen=0.0),
        says="A token never met before was given zero. You know no more about it than about any token: what is then the best guess?",
    ),
    Symptom.gives(
        "unseen_as_mean_of_means",
        lambda acts, tokens, new_tokens: guesses(acts, tokens, new_tokens, unseen=of_tokens(acts, tokens)),
        lambda acts, tokens, new_tokens: guesses(
            acts, tokens, new_tokens, unseen=of_tokens(acts, tokens) * len(tokens.unique()) / 2048
        ),
        says="For a token never met before you averaged the table, in which a rare token weighs as much as a frequent one. "
        "Take the mean over all places.",
    ),
    Symptom.gives(
        "unseen_as_another",
        nearest_below,
        says="A token never met before was given a neighbour's mean. Neighbouring ids have nothing to do with each other.",
    ),
    Symptom.gives(
        "fitted_on_itself",
        lambda acts, tokens, new_tokens: guesses(acts, tokens, tokens),
        says="These are guesses for the tokens that the table was fitted on. Asked for is one guess for each of new_tokens.",
    ),
    Symptom.gives(
        "maximum",
        lambda acts, tokens, new_tokens: guesses(acts, tokens, new_tokens, max),
        lambda acts, tokens, new_tokens: guesses(acts, tokens, new_tokens, max, max(acts.tolist())),
        lambda acts, tokens, new_tokens: guesses(acts, tokens, new_tokens, max, 0.0),
        says="This is the largest activation on each token, its best example. The guess that is least wrong is the mean.",
    ),
    Symptom.gives(
        "median",
        lambda acts, tokens, new_tokens: guesses(acts, tokens, new_tokens, middle),
        lambda acts, tokens, new_tokens: guesses(acts, tokens, new_tokens, halfway),
        lambda acts, tokens, new_tokens: guesses(acts, tokens, new_tokens, middle, acts.median().item()),
        lambda acts, tokens, new_tokens: guesses(acts, tokens, new_tokens, halfway, halfway(acts.tolist())),
        says="This is the median on each token, mostly zero for a sparse unit. For squared errors the best guess is the mean.",
    ),
    Symptom.gives(
        "sums",
        lambda acts, tokens, new_tokens: guesses(acts, tokens, new_tokens, math.fsum),
        lambda acts, tokens, new_tokens: guesses(acts, tokens, new_tokens, math.fsum, 0.0),
        says="These are sums: a frequent token gets a large guess for being frequent. Divide by how often it occurs.",
    ),
    Symptom.gives(
        "firing_only",
        lambda acts, tokens, new_tokens: guesses(acts, tokens, new_tokens, firing_only),
        lambda acts, tokens, new_tokens: guesses(acts, tokens, new_tokens, firing_only, firing_only(acts.tolist())),
        lambda acts, tokens, new_tokens: guesses(acts, tokens, new_tokens, firing_only, 0.0),
        says="The mean was taken over the places where the unit fires. Where it is silent it has an activation too: zero.",
    ),
    Symptom.gives(
        "firing_rate",
        lambda acts, tokens, new_tokens: guesses((acts > 0).double(), tokens, new_tokens),
        says="This is how often the unit fires on each token. Asked for is a guess of its activation.",
    ),
    Symptom.gives(
        "last_seen",
        lambda acts, tokens, new_tokens: guesses(acts, tokens, new_tokens, lambda met: met[-1]),
        lambda acts, tokens, new_tokens: guesses(acts, tokens, new_tokens, lambda met: met[-1], 0.0),
        lambda acts, tokens, new_tokens: guesses(acts, tokens, new_tokens, lambda met: met[0]),
        says="Each token got one of its activations, the first or the last. Writing table[tokens] = acts keeps one and "
        "forgets the others.",
    ),
    Symptom.gives(
        "one_more",
        lambda acts, tokens, new_tokens: guesses(acts, tokens, new_tokens, lambda met: math.fsum(met) / (len(met) + 1)),
        lambda acts, tokens, new_tokens: guesses(
            acts, tokens, new_tokens, lambda met: math.fsum(met) / (len(met) + 1), 0.0
        ),
        says="The sums were divided by one more than the count. That avoids dividing by zero, and shrinks every rare token.",
    ),
    Symptom.gives(
        "overall_mean",
        lambda acts, tokens, new_tokens: torch.full((len(new_tokens),), average(acts.tolist())),
        says="Every token got the mean over everything. That guess does not look at the token.",
    ),
    Symptom.gives(
        "share_of_everything",
        lambda acts, tokens, new_tokens: guesses(
            acts, tokens, new_tokens, lambda met: math.fsum(met) / len(acts), unseen=0.0
        ),
        lambda acts, tokens, new_tokens: guesses(acts, tokens, new_tokens, lambda met: math.fsum(met) / len(acts)),
        says="The sums were divided by all {pos} places. Divide each by the number of its own token's places.",
    ),
    Symptom(
        "whole_table",
        lambda got, want, acts, tokens, new_tokens: (
            got.ndim == 1 and got.shape != want.shape and len(got) != len(tokens)
        ),
        says="One guess per entry of the vocabulary came back, it seems. Look up new_tokens in it.",
    ),
)


def with_spread(below):
    """One minus the squared misses over something else."""
    return lambda acts, guess: 1 - squares(differences(acts, guess)) / below(acts, guess)


def own_spread(numbers):
    row = numbers.double().tolist()
    return around(row, average(row))


def correlation(a, b):
    x, y = (one.double() - one.double().mean() for one in (a, b))
    return float(x @ y / (x.norm() * y.norm()))


def absolute(numbers):
    return math.fsum(abs(x) for x in numbers)


EXPLAINED_SYMPTOMS = (
    Symptom.gives(
        "against_zero",
        with_spread(lambda acts, guess: squares(acts.double().tolist())),
        says="The misses were held against someone who always says zero. Any constant beats that one: hold them against the mean.",
    ),
    Symptom.gives(
        "correlation_squared",
        lambda acts, guess: correlation(acts, guess) ** 2,
        says="This is the squared correlation, which forgives a guess that is too high, too flat, or upside down. "
        "These guesses are to be used as they are.",
    ),
    Symptom.gives(
        "correlation",
        correlation,
        says="This is the correlation. A guess that is always too high by ten correlates perfectly.",
    ),
    Symptom.gives(
        "bias_forgiven",
        lambda acts, guess: 1 - own_spread(acts - guess) / own_spread(acts),
        says="The variance of the misses forgives a guess that is wrong by the same amount everywhere. Square the misses as they are.",
    ),
    Symptom.gives(
        "spread_of_the_guess",
        lambda acts, guess: own_spread(guess) / own_spread(acts),
        says="This is the variance of the guess over that of the activations. A guess can vary much and be wrong.",
    ),
    Symptom.from_truth(
        "unexplained",
        lambda want, acts, guess: 1 - want,
        says="This is the share that stays unexplained. Asked for is the rest.",
    ),
    Symptom.from_truth(
        "below_zero_hidden",
        lambda want, acts, guess: max(float(want), 0.0),
        says="Right, but what is below zero was set to zero. A guess worse than the mean should show.",
    ),
    Symptom.from_truth(
        "sign_lost",
        lambda want, acts, guess: abs(float(want)),
        says="Right, but for the sign: a guess worse than the mean explains less than nothing.",
    ),
    Symptom.from_truth(
        "upside_down",
        lambda want, acts, guess: float(want) - 1,
        says="The one is missing: this is minus the unexplained share.",
    ),
    Symptom.gives(
        "swapped",
        lambda acts, guess: slow_explained(guess, acts),
        says="The misses were held against the variance of the guess. It is the activations that are to be explained.",
    ),
    Symptom.gives(
        "around_the_guess",
        with_spread(lambda acts, guess: around(acts.double().tolist(), average(guess.double().tolist()))),
        says="The spread was taken around the mean of the guess. The rival says the mean of the activations.",
    ),
    Symptom.from_truth(
        "one_fewer",
        lambda want, acts, guess: 1 - (1 - want) * (len(acts) - 1) / len(acts),
        says="Above, the squares were divided by {pos}; below, by one fewer, as var does by default. Use the same for both.",
    ),
    Symptom.gives(
        "spread_not_squared",
        with_spread(lambda acts, guess: len(acts) * math.sqrt(own_spread(acts) / len(acts))),
        with_spread(lambda acts, guess: len(acts) * math.sqrt(own_spread(acts) / (len(acts) - 1))),
        says="Squares above, no square below: a standard deviation is not a variance.",
    ),
    Symptom.from_truth(
        "roots",
        lambda want, acts, guess: 1 - math.sqrt(1 - float(want)),
        says="Roots of squared errors were compared: lengths, not variances. Leave the squares.",
    ),
    Symptom.gives(
        "absolute_misses",
        lambda acts, guess: (
            1
            - absolute(differences(acts, guess))
            / absolute([x - average(acts.double().tolist()) for x in acts.double().tolist()])
        ),
        says="The misses were not squared. The mean is the best constant for squares, not for absolute values.",
    ),
    Symptom.gives(
        "misses",
        lambda acts, guess: squares(differences(acts, guess)),
        lambda acts, guess: squares(differences(acts, guess)) / len(acts),
        lambda acts, guess: 1 - squares(differences(acts, guess)) / len(acts),
        lambda acts, guess: 1 - squares(differences(acts, guess)),
        says="The squared misses are there, but not what they are held against: the squared distance from the mean.",
    ),
    Symptom.gives(
        "one_too_often",
        lambda acts, guess: 1 - squares(differences(acts, guess)) / own_spread(acts) * len(acts),
        lambda acts, guess: 1 - squares(differences(acts, guess)) / own_spread(acts) / len(acts),
        says="A sum was divided by a mean, or the other way round: the share then depends on how many tokens there are.",
    ),
)


def rates_over(fires, tokens, english, keep, missing=None):
    """Mean over tokens of the rate in English, and in code, of those tokens for which ``keep`` holds."""
    hits, rows = fires.double().tolist(), [row for row in places(tokens, english).values() if keep(row)]
    sides = []
    for side in (0, 1):
        rates = [average([hits[p] for p in row[side]]) if row[side] else missing for row in rows]
        sides.append(average([rate for rate in rates if rate is not None]))
    return tuple(sides)


def pooled(fires, tokens, english, keep):
    """Rates over all places of the tokens for which ``keep`` holds."""
    hits, rows = fires.double().tolist(), [row for row in places(tokens, english).values() if keep(row)]
    return tuple(average([hits[p] for row in rows for p in row[side]]) for side in (0, 1))


def counted(fires, tokens, english):
    hits, rows = fires.double().tolist(), [row for row in places(tokens, english).values() if all(row)]
    return tuple(average([math.fsum(hits[p] for p in row[side]) for row in rows]) for side in (0, 1))


def precise(fires, tokens, english, keep):
    """Of the places where it fires: the share in English, and in code."""
    hits, rows = fires.tolist(), [row for row in places(tokens, english).values() if keep(row)]
    found = [sum(hits[p] for row in rows for p in row[side]) for side in (0, 1)]
    return tuple(one / sum(found) for one in found)


def matched(row):
    return all(row)


def everything(row):
    return True


def weighed(fires, tokens, english, weight):
    hits, rows = fires.double().tolist(), [row for row in places(tokens, english).values() if all(row)]
    weights = [weight(row) for row in rows]
    return tuple(
        math.fsum(w * average([hits[p] for p in row[side]]) for w, row in zip(weights, rows, strict=True))
        / sum(weights)
        for side in (0, 1)
    )


def that_fire(fires, tokens, english):
    """Only tokens that fire somewhere."""
    hits = fires.tolist()
    return rates_over(fires, tokens, english, lambda row: all(row) and any(hits[p] for side in row for p in side))


def that_fire_in_both(fires, tokens, english):
    hits = fires.tolist()
    return rates_over(fires, tokens, english, lambda row: all(any(hits[p] for p in side) for side in row))


RATES_SYMPTOMS = (
    Symptom(
        "not_a_number",
        lambda got, want, *inputs: any(bool(one.isnan()) for one in got),
        says="There is a NaN in it: a token that never occurs on one side has no rate there. Leave out such tokens.",
    ),
    Symptom.from_truth(
        "sides_swapped",
        lambda want, *inputs: (want[1], want[0]),
        says="Right numbers, wrong order: English first, then code.",
    ),
    Symptom.gives(
        "not_matched",
        lambda *inputs: pooled(*inputs, everything),
        says="These are the rates over all English and all code. The two hold other tokens, and a table can tell those apart.",
    ),
    Symptom.gives(
        "frequent_tokens_count_more",
        lambda *inputs: pooled(*inputs, matched),
        says="The tokens are matched, but pooled: English is weighed by the tokens frequent there, code by others. "
        "One rate per token and side first, then the mean over tokens.",
    ),
    Symptom.gives(
        "one_side_is_enough",
        lambda *inputs: rates_over(*inputs, everything),
        says="Each side was averaged over the tokens that occur there. Average both over the same tokens: those of both sides.",
    ),
    Symptom.gives(
        "missing_as_zero",
        lambda *inputs: rates_over(*inputs, everything, missing=0.0),
        lambda *inputs: tuple(x * len(inputs[1].unique()) / 2048 for x in rates_over(*inputs, everything, missing=0.0)),
        says="A token that never occurs on one side was given the rate zero there. It has none: leave it out.",
    ),
    Symptom.gives(
        "english_ones_kept",
        lambda *inputs: rates_over(*inputs, lambda row: bool(row[0]), missing=0.0),
        lambda *inputs: rates_over(*inputs, lambda row: bool(row[1]), missing=0.0),
        lambda *inputs: rates_over(*inputs, lambda row: bool(row[0])),
        lambda *inputs: rates_over(*inputs, lambda row: bool(row[1])),
        says="All tokens of one side were kept, also those that never occur on the other.",
    ),
    Symptom.gives(
        "only_where_it_fires",
        that_fire,
        that_fire_in_both,
        says="Tokens on which the unit does not fire were left out. Their rates are zero, and count.",
    ),
    Symptom.gives(
        "counts",
        counted,
        says="These are numbers of firings per token. A rate divides by how often the token occurs on that side.",
    ),
    Symptom.gives(
        "share_of_both_sides",
        lambda fires, tokens, english: tuple(
            average(
                [
                    math.fsum(fires.double().tolist()[p] for p in row[side]) / sum(map(len, row))
                    for row in places(tokens, english).values()
                    if all(row)
                ]
            )
            for side in (0, 1)
        ),
        says="Firings on one side were divided by the token's places on both. Divide by its places on that side.",
    ),
    Symptom.gives(
        "precision",
        lambda *inputs: precise(*inputs, everything),
        lambda *inputs: precise(*inputs, matched),
        says="This says where the unit is when it fires. Asked for is how often it fires where the token is.",
    ),
    Symptom.gives(
        "weighed_by_frequency",
        lambda fires, tokens, english: weighed(fires, tokens, english, lambda row: len(row[0]) + len(row[1])),
        lambda fires, tokens, english: weighed(fires, tokens, english, lambda row: min(map(len, row))),
        says="Frequent tokens were given more weight. Here each token counts once.",
    ),
    Symptom.from_truth(
        "silence",
        lambda want, *inputs: tuple(1 - one for one in want),
        says="These are the rates at which the unit is silent.",
    ),
)


def rows_of(function):
    """A wrong share of each row."""
    return lambda full, swapped: torch.tensor(
        [function(a.tolist(), b.tolist()) for a, b in zip(full.double(), swapped.double(), strict=True)],
        dtype=torch.float64,
    )


def moved(a, b):
    return squares([x - y for x, y in zip(a, b, strict=True)]) / len(a)


def variance(row, fewer=0):
    return around(row, average(row)) / (len(row) - fewer)


def over(below):
    return rows_of(lambda a, b: moved(a, b) / below(a, b))


def pearson(a, b):
    return correlation(torch.tensor(a), torch.tensor(b))


PAST_SYMPTOMS = (
    Symptom.from_truth(
        "twice",
        lambda want, full, swapped: 2 * want,
        says="Exactly twice the share. Two unrelated places differ twice over: each of them strays from the mean.",
    ),
    Symptom.from_truth(
        "twice_and_with_itself",
        lambda want, full, swapped: 2 * want * full.shape[1] / (full.shape[1] - 1),
        says="This is over twice the share: two unrelated places each stray from the mean. And no place is paired with itself.",
    ),
    Symptom.from_truth(
        "paired_with_itself",
        lambda want, full, swapped: want * full.shape[1] / (full.shape[1] - 1),
        says="Below the line each place is also paired with itself, {n} differences of zero.",
    ),
    Symptom.from_truth(
        "half",
        lambda want, full, swapped: want / 2,
        says="Exactly half of the share: below the line is twice what it should be.",
    ),
    Symptom.gives(
        "against_zero",
        over(lambda a, b: squares(a) / len(a)),
        says="Below the line is the mean square, the distance from zero. Hold the change against that between two places.",
    ),
    Symptom.from_truth(
        "what_is_kept",
        lambda want, full, swapped: 1 - want,
        says="This is what is left. Asked for is what moved.",
    ),
    Symptom.from_truth(
        "root",
        lambda want, full, swapped: want.sqrt(),
        says="This is the root of the share. Leave the squares above and below.",
    ),
    Symptom.gives(
        "not_squared",
        rows_of(
            lambda a, b: (
                absolute([x - y for x, y in zip(a, b, strict=True)])
                / len(a)
                / (absolute([x - y for x in a for y in a]) / (len(a) * (len(a) - 1)))
            )
        ),
        rows_of(lambda a, b: absolute([x - y for x, y in zip(a, b, strict=True)]) / len(a) / (2 * variance(a, 1))),
        says="The changes were not squared.",
    ),
    Symptom.gives(
        "level_only",
        rows_of(lambda a, b: (average(a) - average(b)) ** 2 / mean_over_pairs(a)),
        rows_of(lambda a, b: (average(a) - average(b)) / mean_over_pairs(a)),
        says="The average came before the square: changes up and down cancel. Square each change first.",
    ),
    Symptom.gives(
        "level_forgiven",
        rows_of(lambda a, b: variance([x - y for x, y in zip(a, b, strict=True)]) / mean_over_pairs(a)),
        rows_of(lambda a, b: variance([x - y for x, y in zip(a, b, strict=True)], 1) / mean_over_pairs(a)),
        says="The variance of the changes forgives one that is the same everywhere. Square the changes as they are.",
    ),
    Symptom.gives(
        "variances_compared",
        rows_of(lambda a, b: variance(b, 1) / variance(a, 1)),
        rows_of(lambda a, b: 1 - variance(b, 1) / variance(a, 1)),
        says="Only the spreads were compared. Activations can be shuffled entirely and keep their spread: compare place by place.",
    ),
    Symptom.gives(
        "correlation",
        rows_of(lambda a, b: 1 - pearson(a, b)),
        rows_of(lambda a, b: 1 - pearson(a, b) ** 2),
        rows_of(pearson),
        rows_of(lambda a, b: pearson(a, b) ** 2),
        says="A correlation does not see a change of level or of scale. Square the changes themselves.",
    ),
    Symptom.gives(
        "wrong_end",
        over(lambda a, b: mean_over_pairs(b)),
        over(lambda a, b: variance(b, 1)),
        says="Below the line is the spread of the swapped activations. The unrelated places are those of the untouched run.",
    ),
    Symptom.gives(
        "pairs_across",
        over(mean_over_pairs),
        says="Below the line, untouched places were paired with swapped ones. Both of a pair are untouched.",
    ),
    Symptom.gives(
        "one_spread_for_all",
        lambda full, swapped: (full - swapped).double().square().mean(1) / (2 * full.double().var()),
        lambda full, swapped: (full - swapped).double().square().mean(1) / full.double().var(),
        lambda full, swapped: (full - swapped).double().square().mean(1) / full.double().var(1).mean() / 2,
        says="All {k} rows were held against one and the same spread. Each row has its own places, and its own spread.",
    ),
    Symptom.gives(
        "sums",
        over(lambda a, b: mean_over_pairs(a) / len(a)),
        over(lambda a, b: variance(a, 1) / len(a)),
        says="The squared changes were added, not averaged: more places would look like a larger share.",
    ),
    Symptom.gives(
        "spread_not_squared",
        over(lambda a, b: math.sqrt(variance(a, 1))),
        over(lambda a, b: 2 * math.sqrt(variance(a, 1))),
        says="Squares above, no square below: the share would change with the unit's scale. Use the variance.",
    ),
    Symptom(
        "one_per_place",
        lambda got, want, full, swapped: tuple(got.shape) == (full.shape[1],),
        says="One number per place came back. Average over the {n} places, the second axis.",
    ),
    Symptom(
        "averaged_away",
        lambda got, want, full, swapped: got.ndim == 0,
        says="One number came back. Keep one for each of the {k} rows.",
    ),
)

PUZZLE = Puzzle(
    slug="feature_beyond_the_embedding",
    title="A feature beyond the embedding",
    question="A dictionary feature fires on English in Python code. Did the model compute it, or was it in the token all along?",
    principle="What a unit detects is a claim against the best table of tokens, and what the table misses is not yet computed.",
    minutes=45,
    models=("mini-python",),
    after=(),
    problems={
        "6.36": "share_of_past",
        "9.6": "same_token_rates",
        "9.8": "explained_by_token",
        "9.16": "share_of_past",
        "9.56": "explained_by_token",
    },
    parts=(
        Part(
            name="embedding_baseline",
            takes=("pos", "pos", "new_pos"),
            returns="new_pos",
            points=3,
            cases=baseline_cases,
            spec=guesses,
            symptoms=BASELINE_SYMPTOMS,
            hints=(
                "Make a table with one entry per id, 2048 of them. Then the answer is a look-up.",
                "torch.bincount(tokens, minlength=2048) says how often each id occurs. With weights=acts, what does it say?",
                "torch.where fills the entries with a count of zero.",
            ),
            meaning="In squared error no function of the token alone does better than its mean, whatever happens inside the model.",
        ),
        Part(
            name="explained_by_token",
            takes=("pos", "pos"),
            returns="",
            points=1,
            cases=explained_cases,
            spec=slow_explained,
            symptoms=EXPLAINED_SYMPTOMS,
            hints=(
                "Two squared errors: the guess's, and that of always saying the mean of acts.",
                "The second is the variance of acts, divided by the same number: var(correction=0).",
            ),
            meaning="Against the mean, so that zero is worth nothing; and below zero where a guess does harm.",
        ),
        Part(
            name="same_token_rates",
            takes=("pos", "pos", "pos"),
            returns=("", ""),
            points=3,
            cases=rate_cases,
            spec=slow_rates,
            symptoms=RATES_SYMPTOMS,
            hints=(
                "First one rate per token and side: firings over places. bincount counts both.",
                "tokens[english & fires] are the tokens of the firings in English.",
                "A token without places on a side gives 0 / 0, a NaN. Keep the tokens that have a rate on both sides.",
            ),
            meaning="Any table scores the same on both sides, whatever is in it. A gap is something that is not in the token.",
        ),
        Part(
            name="share_of_past",
            takes=("k n", "k n"),
            returns="k",
            points=2,
            cases=past_cases,
            spec=slow_share_of_past,
            symptoms=PAST_SYMPTOMS,
            hints=(
                "Multiply out the square of (x - mean) - (y - mean), and average over x and y. What happens to the product?",
                "Two unrelated places differ by their two distances from the mean, so by twice the variance. "
                "var's default counts no place against itself.",
            ),
            meaning="0 where the earlier text does not matter, 1 where the unit might as well stand elsewhere.",
        ),
    ),
    predictions=(
        Prediction("the story", choices=("words", "computed", "either", "any"), right="either"),
        Prediction("busiest unit, explained", between=(-1, 1)),
    ),
    free_text=(
        FreeText(
            name="explanation",
            points=3,
            rubric=(
                "A baseline from the token alone, fitted on other text than it is judged on, over all activations and not the top ones.",
                "Controls for what the token leaves: the same token in both kinds of text, an untrained model, directions searched as hard.",
                "The swap of earlier text is an intervention: it shows that context matters to the unit, and how far back.",
            ),
        ),
    ),
)
