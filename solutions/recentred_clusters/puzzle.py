"""Recentred clusters: what is asked, how it is checked, and what each wrong answer looks like."""

import math

import torch

from mechpuzzles.limits import Limits
from mechpuzzles.puzzle import Case, FreeText, Part, Prediction, Puzzle, Symptom

# ---- the oracle: plain Python over pairs of rows; it never forms the mean of anything ------------------------------


def dot(a, b):
    return math.fsum(x * y for x, y in zip(a, b, strict=True))


def cosine(a, b):
    return dot(a, b) / math.sqrt(dot(a, a) * dot(b, b))


def average(numbers):
    numbers = list(numbers)
    return math.fsum(numbers) / len(numbers)


def pairs_of(tokens, alike):
    """Index pairs i > j of equal tokens, or of different ones."""
    ids = tokens.tolist()
    return [(i, j) for i in range(len(ids)) for j in range(i) if (ids[i] == ids[j]) is alike]


def slow_inter_type_cosine(resid, tokens):
    rows = resid.double().tolist()
    return average(cosine(rows[i], rows[j]) for i, j in pairs_of(tokens, alike=False))


def slow_intra_type_cosine(resid, tokens):
    rows = resid.double().tolist()
    return average(cosine(rows[i], rows[j]) for i, j in pairs_of(tokens, alike=True))


def slow_recentre(resid, labels):
    """A recentred row is its average difference from the rows of its group, itself among them."""
    rows = resid.double()
    moved = []
    for row, label in zip(rows, labels.tolist(), strict=True):
        group = [other for other, its in zip(rows, labels.tolist(), strict=True) if its == label]
        moved.append(torch.stack([row - other for other in group]).sum(0) / len(group))
    return torch.stack(moved)


def squared_distances(rows):
    """The sum of squared distances from the mean: that over all pairs, divided by the number of rows."""
    pairs = ((a, b) for i, a in enumerate(rows) for b in rows[:i])
    return math.fsum((x - y) ** 2 for a, b in pairs for x, y in zip(a, b, strict=True)) / len(rows)


def slow_share_explained(resid, labels):
    groups = {}
    for row, label in zip(resid.double().tolist(), labels.tolist(), strict=True):
        groups.setdefault(label, []).append(row)
    lost = math.fsum(map(squared_distances, groups.values()))
    return (squared_distances(resid.double().tolist()) - lost) / squared_distances(resid.double().tolist())


# ---- the inputs -----------------------------------------------------------------------------------------------------


def dealt(counts, names, rng):
    """Each name as often as its count, in an order in which equal names do not all lie together."""
    dealt_out = torch.tensor([name for name, count in zip(names, counts, strict=True) for _ in range(count)])
    while True:
        order = dealt_out[torch.randperm(len(dealt_out), generator=rng)]
        runs = len(order.unique_consecutive())
        if len(set(names)) + 2 <= runs <= len(order) - 1:
            return order


def typed_rows(rng, counts, names, d_model, lengths=0.7):
    """Rows that share an offset, and with their token's other occurrences a direction; heavy-tailed lengths."""
    tokens = dealt(counts, names, rng)
    _, which = tokens.unique(return_inverse=True)
    own = torch.randn(len(names), d_model, generator=rng)
    common = 0.8 * (torch.randn(d_model, generator=rng) + 0.6)
    noise = 0.6 * torch.randn(len(tokens), d_model, generator=rng)
    size = torch.exp(lengths * torch.randn(len(tokens), 1, generator=rng))
    frequent = names[counts.index(max(counts))]
    size[(tokens == frequent).nonzero()[-1]] *= -1  # so that some cosine is negative, also within a type
    return size * (own[which] + common + noise), tokens


def token_cases(rng):
    for counts, names, d_model in (((4, 3, 1, 2), (7, 0, 31, 12), 5), ((2, 5, 2, 1, 3), (3, 90, 41, 8, 5), 7)):
        yield Case(typed_rows(rng, counts, names, d_model))


def large_case(rng, n, limits, alike, d_model=6, groups=5, kinds=1_000, types=20):
    """Many rows but fewer directions, so that the mean over all pairs is known from a table of cosines in float64.

    With only a handful of directions, a float32 sum that is run up row by row would round the same way each time.
    """
    each = kinds // groups
    directions = (torch.randn(groups, d_model, generator=rng) + 0.4).repeat_interleave(each, 0)
    directions = directions + 0.3 * torch.randn(kinds, d_model, generator=rng)
    tokens = (types * torch.rand(n, generator=rng) ** 2).long()
    drawn = torch.randint(groups, (n,), generator=rng)
    group = torch.where(torch.rand(n, generator=rng) < 0.6, tokens % groups, drawn)
    kind = each * group + torch.randint(each, (n,), generator=rng)
    resid = directions[kind] * torch.exp(0.5 * torch.randn(n, 1, generator=rng))
    unit = directions.double() / directions.double().norm(dim=1, keepdim=True)
    cosines = unit @ unit.T
    table = torch.zeros(kinds, types, dtype=torch.float64)  # how many rows of this direction have this token
    table.index_put_((kind, tokens), torch.ones(n, dtype=torch.float64), accumulate=True)
    same_ordered = (table.sum(0) ** 2).sum().item()
    same_total = ((cosines @ table) * table).sum().item()
    if alike:
        want = (same_total - n) / (same_ordered - n)
    else:
        everything = (table.sum(1) @ cosines @ table.sum(1)).item()
        want = (everything - same_total) / (n * n - same_ordered)
    return Case((resid, tokens), want=want, limits=limits)


def inter_cases(rng):
    yield from token_cases(rng)
    yield large_case(rng, n=1_500, limits=Limits(seconds=20, extra_mb=4), alike=False)
    yield large_case(rng, n=100_000, limits=Limits(seconds=4), alike=False)


def intra_cases(rng):
    yield from token_cases(rng)
    yield large_case(rng, n=1_500, limits=Limits(seconds=20, extra_mb=4), alike=True)
    yield large_case(rng, n=100_000, limits=Limits(seconds=4), alike=True)


def grouped_rows(rng, counts, names, d_model):
    """Groups of unequal size around far centres, off zero, with coordinates of unequal spread."""
    labels = dealt(counts, names, rng)
    _, which = labels.unique(return_inverse=True)
    centres = 2 * torch.randn(len(names), d_model, generator=rng) + 1.5
    size = torch.exp(0.6 * torch.randn(len(labels), 1, generator=rng))
    spread = torch.linspace(0.4, 2.0, d_model)
    return size * (centres[which] + spread * torch.randn(len(labels), d_model, generator=rng)), labels


def group_cases(rng):
    for counts, names, d_model in (((3, 6, 2), (2, 9, 5), 4), ((4, 2, 7, 3), (30, 1, 4, 11), 6)):
        yield Case(grouped_rows(rng, counts, names, d_model))


# ---- the learner's own cloud ------------------------------------------------------------------------------------------


def draw(rng, n=300, d_model=12):
    """A cloud around three groups, and six labellings of it; returns them and the number of the planted one.

    Beside the planted labelling: one of 180 groups drawn by lot, which explains the most; the planted groups cut
    into twenty pieces each, which explains more than they do; two of them merged; a quarter of the rows
    relabelled; and three groups drawn by lot.
    """
    groups = torch.multinomial(torch.tensor([0.45, 0.3, 0.25]), n, replacement=True, generator=rng)
    axes = torch.linalg.qr(torch.randn(d_model, d_model, generator=rng)).Q
    cloud = 3.2 * axes[:3][groups] + torch.randn(n, d_model, generator=rng) + 2 * axes[3]
    relabelled = torch.rand(n, generator=rng) < 0.25
    by_lot = torch.randint(3, (n,), generator=rng)
    labellings = [
        groups,
        torch.randperm(n, generator=rng) % 180,
        20 * groups + torch.randint(20, (n,), generator=rng),
        groups.clamp(max=1),
        torch.where(relabelled, by_lot, groups),
        torch.randint(3, (n,), generator=rng),
    ]
    order = torch.randperm(len(labellings), generator=rng).tolist()
    return cloud, torch.stack([labellings[i] for i in order]), order.index(0)


def own_case(rng):
    cloud, labellings, planted = draw(rng)
    return [Case((cloud, labellings), want=planted)]


# ---- the ways of being wrong ----------------------------------------------------------------------------------------


def unit_rows(X):
    return X / X.norm(dim=-1, keepdim=True)


def cosines(X):
    return unit_rows(X) @ unit_rows(X).T


def differ(tokens):
    return tokens[:, None] != tokens


def others(tokens):
    return ~torch.eye(len(tokens), dtype=torch.bool)


def twins(tokens):
    return ~differ(tokens) & others(tokens)


def off(matrix):
    """The mean over all pairs of two different rows."""
    return matrix[others(matrix)].mean()


def grouped(X, labels):
    return [X[labels == label] for label in labels.unique()]


def group_means(X, labels):
    return torch.stack([group.mean(0) for group in grouped(X, labels)])


def first_of_each(tokens):
    ids = tokens.tolist()
    return torch.tensor([ids.index(one) for one in dict.fromkeys(ids)])


def spread_out(values, labels):
    """One value for each group, handed to all its rows."""
    return values[labels.unique(return_inverse=True)[1]]


def runs_of(tokens):
    """The same rows, with every run of equal tokens taken for a type of its own."""
    return tokens.unique_consecutive(return_inverse=True)[1]


def small(wrong):
    """A wrong formula over pairs, tried on few rows only."""
    return lambda X, tokens: wrong(X, tokens) if len(X) < 1_500 else torch.tensor(math.nan)


def between_types(X, tokens):
    """The mean cosine for each pair of types: rows and columns are types."""
    _, which = tokens.unique(return_inverse=True)
    member = torch.nn.functional.one_hot(which).float()
    return (member.T @ cosines(X) @ member) / torch.outer(member.sum(0), member.sum(0))


def within_types(X, tokens):
    """For each type with several occurrences, their mean cosine."""
    return torch.stack([off(cosines(group)) for group in grouped(X, tokens) if len(group) > 1])


def n_by_n(broken):
    return (
        f"Right on few rows, but on {{n}} rows {{broke}}. {broken} "
        "You need sums of cosines, not each of them: with unit rows added up type by type, what is the squared length?"
    )


PAIR_LIMITS = (
    Symptom.exceeds("n_by_n", "memory", says=n_by_n("A text has as many rows as tokens.")),
    Symptom.exceeds("pair_by_pair", "time", says=n_by_n("The work should grow with the rows, not with the pairs.")),
    Symptom(
        "subsample",
        lambda got, want, X, tokens: len(X) >= 1_500 and got.shape == want.shape,
        says="Right on few rows, but not on {n}. If you took a sample: every row counts here.",
    ),
)

INTER_SYMPTOMS = (
    Symptom.gives(
        "same_type_kept",
        small(lambda X, t: off(cosines(X))),
        says="This is the mean over all pairs of two different rows. Pairs of the same token are among them: leave those out.",
    ),
    Symptom.gives(
        "diagonal_kept",
        small(lambda X, t: cosines(X).mean()),
        says="Every row is compared with every row here, itself included. Keep only pairs whose tokens differ.",
    ),
    Symptom.from_truth(
        "divided_by_all_pairs",
        lambda want, X, t: want * differ(t).sum() / (len(t) * (len(t) - 1)) if len(t) < 1_500 else math.nan,
        says="The sum leaves out pairs of the same token, but the division still counts them: {n} rows have fewer inter-type pairs.",
    ),
    Symptom.from_truth(
        "divided_by_n_squared",
        lambda want, X, t: want * differ(t).sum() / len(t) ** 2 if len(t) < 1_500 else math.nan,
        says="The sum is right, but it was divided by n squared. Count the pairs whose tokens differ.",
    ),
    Symptom.gives(
        "divided_by_too_few",
        small(lambda X, t: off(cosines(X)) * len(t) * (len(t) - 1) / differ(t).sum()),
        says="The division counts inter-type pairs only, but the sum still holds the pairs of the same token.",
    ),
    Symptom.gives(
        "diagonal_in_the_sum",
        small(lambda X, t: cosines(X).sum() / differ(t).sum()),
        says="The sum still holds every pair, each row with itself too, while the division counts inter-type pairs only.",
    ),
    Symptom.from_truth(
        "half",
        lambda want, X, t: want / 2,
        says="Exactly half: the sum has each pair once, the count has it twice.",
    ),
    Symptom.from_truth(
        "twice",
        lambda want, X, t: want * 2,
        says="Exactly twice the mean: the squared length of a sum holds each pair twice, as i with j and as j with i.",
    ),
    Symptom.gives(
        "types_equal",
        small(lambda X, t: off(between_types(X, t))),
        says="First averaged within each pair of types, and then over those: a rare type weighs as much as a frequent one. "
        "Here every pair of rows counts once.",
    ),
    Symptom.gives(
        "type_means",
        small(lambda X, t: off(cosines(group_means(X, t)))),
        small(lambda X, t: off(cosines(group_means(unit_rows(X), t)))),
        says="The rows of a type were averaged first, and the averages compared. An average hides how its rows differ: compare rows.",
    ),
    Symptom.gives(
        "one_occurrence",
        small(lambda X, t: off(cosines(X[first_of_each(t)]))),
        says="Only the first occurrence of each type was used. That is a sample; here every pair of rows counts.",
    ),
    Symptom.gives(
        "intra",
        small(lambda X, t: cosines(X)[twins(t)].mean()),
        says="This is the mean over pairs of the *same* token. Asked for are the others.",
    ),
    Symptom.gives(
        "runs",
        small(lambda X, t: cosines(X)[differ(runs_of(t))].mean()),
        says="A type was taken for a run of equal tokens. Two occurrences of one type need not be neighbours.",
    ),
    Symptom.gives(
        "dot_products",
        small(lambda X, t: (X @ X.T)[differ(t)].mean()),
        says="The rows keep their lengths, so these are dot products. A cosine divides by both lengths.",
    ),
    Symptom.gives(
        "absolute_values",
        small(lambda X, t: cosines(X).abs()[differ(t)].mean()),
        says="This is the mean of |cosine|. Opposite directions should cancel.",
    ),
    Symptom.gives(
        "already_centred",
        small(lambda X, t: cosines(X - X.mean(0))[differ(t)].mean()),
        says="The mean row was subtracted first. Measure the rows as they are; the cure comes later.",
    ),
    Symptom.gives(
        "row_mean_subtracted",
        small(lambda X, t: cosines(X - X.mean(1, keepdim=True))[differ(t)].mean()),
        says="Each row's own mean over its {d_model} coordinates was subtracted first. Take the rows as they are.",
    ),
    Symptom.gives(
        "columns_normalised",
        small(lambda X, t: ((X / X.norm(dim=0)) @ (X / X.norm(dim=0)).T)[differ(t)].mean()),
        says="The columns were given length one. It is the {n} rows that need length one.",
    ),
    Symptom.gives(
        "neighbouring_rows",
        small(lambda X, t: torch.cosine_similarity(X[:-1], X[1:], dim=1)[t[:-1] != t[1:]].mean()),
        says="Only neighbouring rows were compared: {n} rows have many more pairs than that.",
    ),
    *PAIR_LIMITS,
)

INTRA_SYMPTOMS = (
    Symptom.gives(
        "self_pairs",
        small(lambda X, t: cosines(X)[~differ(t)].mean()),
        says="Each row is compared with itself too: {n} of these cosines are 1 for no reason. An occurrence is no pair.",
    ),
    Symptom.gives(
        "self_pairs_in_the_sum",
        small(lambda X, t: cosines(X)[~differ(t)].sum() / twins(t).sum()),
        says="The count leaves out each row with itself, but the sum still holds those {n} ones.",
    ),
    Symptom.from_truth(
        "self_pairs_in_the_count",
        lambda want, X, t: want * twins(t).sum() / (~differ(t)).sum() if len(t) < 1_500 else math.nan,
        says="The sum leaves out each row with itself, but the count still has those {n} pairs.",
    ),
    Symptom.from_truth(
        "half",
        lambda want, X, t: want / 2,
        says="Exactly half: the sum has each pair once, the count has it twice.",
    ),
    Symptom.from_truth(
        "twice",
        lambda want, X, t: want * 2,
        says="Exactly twice the mean: the squared length of a sum holds each pair twice.",
    ),
    Symptom.gives(
        "types_equal",
        small(lambda X, t: within_types(X, t).mean()),
        says="First averaged within each type, and then over types: a type that occurs twice weighs as much as one that occurs often. "
        "Here every pair counts once.",
    ),
    Symptom.gives(
        "lone_types",
        small(lambda X, t: within_types(X, t).sum() / len(t.unique())),
        small(lambda X, t: (within_types(X, t).sum() + (t.unique(return_counts=True)[1] == 1).sum()) / len(t.unique())),
        says="Averaged over all types, also those that occur once. A lone occurrence has no pair, and every pair counts once.",
    ),
    Symptom.gives(
        "weighted_by_rows",
        small(lambda X, t: sum(len(g) * off(cosines(g)) for g in grouped(X, t) if len(g) > 1) / len(t)),
        small(
            lambda X, t: (
                sum(len(g) * off(cosines(g)) for g in grouped(X, t) if len(g) > 1)
                / sum(len(g) for g in grouped(X, t) if len(g) > 1)
            )
        ),
        says="Each type was weighted by its rows. A type of m occurrences has m(m-1)/2 pairs, and every pair counts once.",
    ),
    Symptom.gives(
        "to_the_type_mean",
        small(lambda X, t: torch.cosine_similarity(X, spread_out(group_means(X, t), t), dim=1).mean()),
        small(
            lambda X, t: torch.cosine_similarity(X, spread_out(group_means(unit_rows(X), t), t), dim=1).mean(),
        ),
        says="Each row was compared with its type's average row, of which it is a part. Compare two occurrences.",
    ),
    Symptom.gives(
        "with_the_first",
        small(
            lambda X, t: cosines(X)[
                twins(t) & torch.isin(torch.arange(len(t)), first_of_each(t))[None].expand(len(t), -1)
            ].mean()
        ),
        says="Every occurrence was compared with its type's first one only. Any two of them are a pair.",
    ),
    Symptom.gives(
        "inter",
        small(lambda X, t: cosines(X)[differ(t)].mean()),
        says="This is the mean over pairs of *different* tokens. Asked for are pairs of the same.",
    ),
    Symptom.gives(
        "all_pairs",
        small(lambda X, t: off(cosines(X))),
        says="This is the mean over all pairs of rows, whatever their tokens.",
    ),
    Symptom.gives(
        "runs",
        small(lambda X, t: cosines(X)[twins(runs_of(t))].mean()),
        says="Only occurrences in one run of equal tokens were compared. Two occurrences of a type need not be neighbours.",
    ),
    Symptom.gives(
        "dot_products",
        small(lambda X, t: (X @ X.T)[twins(t)].mean()),
        says="The rows keep their lengths, so these are dot products. A cosine divides by both lengths.",
    ),
    Symptom.gives(
        "dot_products_minus_ones",
        small(lambda X, t: ((X @ X.T)[~differ(t)].sum() - len(t)) / twins(t).sum()),
        says="Each row with itself was taken off as a one, but the rows were never given length one.",
    ),
    Symptom.gives(
        "absolute_values",
        small(lambda X, t: cosines(X).abs()[twins(t)].mean()),
        says="This is the mean of |cosine|. Occurrences that point apart should count against it.",
    ),
    Symptom.gives(
        "recentred_by_type",
        small(lambda X, t: cosines(X - spread_out(group_means(X, t), t)).nan_to_num()[twins(t)].mean()),
        says="Each type's mean was subtracted first: that is just what its occurrences share. Take the rows as they are.",
    ),
    Symptom.gives(
        "already_centred",
        small(lambda X, t: cosines(X - X.mean(0))[twins(t)].mean()),
        says="The mean row was subtracted first. Measure the rows as they are.",
    ),
    *PAIR_LIMITS,
)


def unit_groups(X, labels):
    return spread_out(group_means(unit_rows(X), labels), labels)


RECENTRE_SYMPTOMS = (
    Symptom.gives(
        "one_group",
        lambda X, labels: X - X.mean(0),
        says="One mean was subtracted from all {n} rows: that is centring. Each row should lose the mean of its own group.",
    ),
    Symptom.gives(
        "row_mean_subtracted",
        lambda X, labels: X - X.mean(1, keepdim=True),
        says="Each row lost its own mean over {d_model} coordinates, as in LayerNorm. A group's mean averages over its rows.",
    ),
    Symptom.from_truth(
        "means_returned",
        lambda want, X, labels: X - want,
        says="These are the groups' means. Asked for is what is left of each row without it.",
    ),
    Symptom.from_truth(
        "means_added",
        lambda want, X, labels: 2 * X - want,
        says="The mean was added. Subtract it.",
    ),
    Symptom.from_truth(
        "moved_to_the_mean",
        lambda want, X, labels: want + X.mean(0),
        says="Every group now lies around the mean of all rows. Its middle should be at zero.",
    ),
    Symptom.from_truth(
        "means_centred",
        lambda want, X, labels: want - X.mean(0),
        says="The mean of all rows was subtracted as well. After its own mean a group is at zero: once is enough.",
    ),
    Symptom.gives(
        "summed",
        lambda X, labels: X - spread_out(torch.stack([g.sum(0) for g in grouped(X, labels)]), labels),
        says="The groups' sums were subtracted. A mean divides by the size of its group.",
    ),
    Symptom.gives(
        "divided_by_all",
        lambda X, labels: X - spread_out(torch.stack([g.sum(0) / len(X) for g in grouped(X, labels)]), labels),
        says="Each group's sum was divided by all {n} rows. A mean divides by the size of its own group.",
    ),
    Symptom.from_truth(
        "by_groups",
        lambda want, X, labels: torch.cat([want[labels == label] for label in labels.unique()]),
        says="The rows come back group by group. Return them in the order in which they came.",
    ),
    Symptom.gives(
        "mean_of_means",
        lambda X, labels: X - group_means(X, labels).mean(0),
        says="The mean of the groups' means was subtracted from all rows. Each group has its own.",
    ),
    Symptom.gives(
        "mean_of_directions",
        lambda X, labels: X - unit_groups(X, labels),
        says="The rows were given length one before they were averaged. Take each group's mean of the rows as they are.",
    ),
    Symptom.gives(
        "normalised_before",
        lambda X, labels: unit_rows(X) - unit_groups(X, labels),
        says="The rows were given length one and then recentred: that removes another mean.",
    ),
    Symptom.from_truth(
        "normalised_after",
        lambda want, X, labels: unit_rows(want),
        says="Recentred, and then every row was given length one. Keep the lengths.",
    ),
    Symptom.from_truth(
        "standardised",
        lambda want, X, labels: (
            want / spread_out(torch.stack([g.std(0) for g in grouped(want.float(), labels)]), labels)
        ),
        says="Recentred, and then divided by each group's spread. Keep the scale.",
    ),
    Symptom.gives(
        "median_subtracted",
        lambda X, labels: X - spread_out(torch.stack([g.median(0).values for g in grouped(X, labels)]), labels),
        says="Each group lost its median. Asked for is the mean.",
    ),
    Symptom.gives(
        "direction_projected_out",
        lambda X, labels: (
            X
            - (X * unit_rows(spread_out(group_means(X, labels), labels))).sum(1, keepdim=True)
            * unit_rows(spread_out(group_means(X, labels), labels))
        ),
        says="The whole direction of the group's mean was removed. Recentring subtracts the same vector from all rows of a group.",
    ),
    Symptom(
        "some_left_alone",
        lambda got, want, X, labels: (
            got.shape == want.shape
            and 0 < (got - X).abs().amax(1).lt(1e-6).sum() < len(X)
            and bool(((got - want).abs().amax(1).lt(1e-4) | (got - X).abs().amax(1).lt(1e-6)).all())
        ),
        says="Some groups were left as they are. Labels are any integers: do not count on 0, 1, 2.",
    ),
)

SHARE_SYMPTOMS = (
    Symptom.from_truth(
        "rest",
        lambda want, X, labels: 1 - want,
        says="This is the share that is left within the groups. Asked for is the share that they explain.",
    ),
    Symptom.gives(
        "total_about_zero",
        lambda X, labels: 1 - sum((g - g.mean(0)).square().sum() for g in grouped(X, labels)) / X.square().sum(),
        says="Something was measured from zero, so the mean of all rows counts as explained. Where zero lies should not matter: "
        "measure the whole from that mean.",
    ),
    Symptom.from_truth(
        "between_over_within",
        lambda want, X, labels: want / (1 - want),
        says="This is the spread between the groups over that within them. A share is a part of the whole.",
    ),
    Symptom.from_truth(
        "within_over_between",
        lambda want, X, labels: (1 - want) / want,
        says="This is the spread within the groups over that between them. A share is a part of the whole.",
    ),
    Symptom.from_truth(
        "root",
        lambda want, X, labels: want.abs().sqrt(),
        says="This is the square root of the share.",
    ),
    Symptom.from_truth(
        "squared_twice",
        lambda want, X, labels: want**2,
        says="This is the square of the share.",
    ),
    Symptom.gives(
        "distances_not_squared",
        lambda X, labels: (
            1 - (X - spread_out(group_means(X, labels), labels)).norm(dim=1).sum() / (X - X.mean(0)).norm(dim=1).sum()
        ),
        says="These are distances, not squared ones. Only squares split exactly into a part between and a part within the groups.",
    ),
    Symptom.gives(
        "norms_of_matrices",
        lambda X, labels: 1 - (X - spread_out(group_means(X, labels), labels)).norm() / (X - X.mean(0)).norm(),
        says="A root was taken of both sums of squares before dividing. Divide the sums themselves.",
    ),
    Symptom.gives(
        "coordinates_averaged",
        lambda X, labels: (
            1 - (X - spread_out(group_means(X, labels), labels)).square().sum(0) / (X - X.mean(0)).square().sum(0)
        ).mean(),
        says="A share for each coordinate, then averaged: a coordinate with hardly any spread counts as much as a large one. "
        "Add up before dividing.",
    ),
    Symptom.gives(
        "per_coordinate",
        lambda X, labels: (
            1 - (X - spread_out(group_means(X, labels), labels)).square().sum(0) / (X - X.mean(0)).square().sum(0)
        ),
        says="One share for each of the {d_model} coordinates came back. Add up over the coordinates before dividing.",
    ),
    Symptom.gives(
        "groups_equal",
        lambda X, labels: (
            1
            - torch.stack([(g - g.mean(0)).square().sum(1).mean() for g in grouped(X, labels)]).mean()
            / (X - X.mean(0)).square().sum(1).mean()
        ),
        says="Each group has the same weight, whatever its size. Add up over rows: a large group has more of them.",
    ),
    Symptom.gives(
        "means_equal",
        lambda X, labels: (
            (group_means(X, labels) - X.mean(0)).square().sum(1).mean() / (X - X.mean(0)).square().sum(1).mean()
        ),
        lambda X, labels: (
            (group_means(X, labels) - group_means(X, labels).mean(0)).square().sum(1).mean()
            / (X - X.mean(0)).square().sum(1).mean()
        ),
        says="This is the spread of the groups' means, each counted once. A group of many rows moves more of the whole.",
    ),
    Symptom.gives(
        "sizes_forgotten",
        lambda X, labels: (group_means(X, labels) - X.mean(0)).square().sum() / (X - X.mean(0)).square().sum(),
        says="Each group's mean counts once above, each row once below. Count a mean for every row of its group.",
    ),
    Symptom.from_truth(
        "adjusted",
        lambda want, X, labels: 1 - (1 - want) * (len(X) - 1) / (len(X) - len(labels.unique())),
        says="You corrected for the number of groups. A good thought, for later: here is asked for the plain share.",
    ),
    Symptom.gives(
        "unbiased",
        lambda X, labels: 1 - sum(len(g) * g.var(0).sum() for g in grouped(X, labels)) / (len(X) * X.var(0).sum()),
        says="var divides by one less than the rows. Use plain sums of squares, or correction=0.",
    ),
    Symptom.gives(
        "normalised_first",
        lambda X, labels: (
            1
            - (unit_rows(X) - unit_groups(X, labels)).square().sum()
            / (unit_rows(X) - unit_rows(X).mean(0)).square().sum()
        ),
        says="The rows were given length one first. Take them as they are.",
    ),
    Symptom(
        "sum_not_share",
        lambda got, want, X, labels: (
            got.shape == want.shape and abs(got / (want * (X.double() - X.double().mean(0)).square().sum()) - 1) < 1e-4
        ),
        says="This is the explained part itself. Divide it by the whole.",
    ),
)


def groups_in(cloud, labellings):
    return [len(one.unique()) for one in labellings]


def picked(which):
    """The symptom of having picked the labelling that `which(numbers of groups, want, cloud, labellings)` names."""

    def when(got, want, cloud, labellings):
        return int(got) in which(groups_in(cloud, labellings), int(want), cloud, labellings)

    return when


def of_three(sizes, want):
    return [i for i, size in enumerate(sizes) if size == 3 and i != want]


def agreement(a, b):
    return (a == b).float().mean()


def related(sizes, want, cloud, labellings):
    """The labelling of three groups that is mostly the planted one."""
    return [i for i in of_three(sizes, want) if agreement(labellings[i], labellings[want]) > 0.6]


OWN_SYMPTOMS = (
    Symptom(
        "most_groups",
        picked(lambda sizes, want, cloud, labellings: [sizes.index(max(sizes))]),
        says="It explains the most, and it has the most groups. How much do its own labels explain, shuffled?",
    ),
    Symptom(
        "too_fine",
        picked(
            lambda sizes, want, cloud, labellings: [i for i, size in enumerate(sizes) if 3 < size < max(sizes)],
        ),
        says="Its groups are pieces of the planted ones, so it explains a little more than they do. "
        "How much of that would pieces explain by chance?",
    ),
    Symptom(
        "too_coarse",
        picked(lambda sizes, want, cloud, labellings: [i for i, size in enumerate(sizes) if size == 2]),
        says="It has the fewest groups, but it lumps two planted groups together: another labelling explains more than chance allows.",
    ),
    Symptom(
        "almost",
        picked(related),
        says="It agrees with the planted labelling on most rows, so it explains much. Another one of few groups explains more.",
    ),
    Symptom(
        "unrelated",
        picked(
            lambda sizes, want, cloud, labellings: [
                i for i in of_three(sizes, want) if i not in related(sizes, want, cloud, labellings)
            ]
        ),
        says="Its groups were drawn by lot: they explain no more than shuffled ones.",
    ),
    Symptom(
        "no_such_number",
        lambda got, want, cloud, labellings: got.ndim == 0 and not 0 <= int(got) < len(labellings),
        says="There are six labellings, numbered from 0.",
    ),
)

PUZZLE = Puzzle(
    slug="recentred_clusters",
    title="Recentred clusters",
    question="Hidden states of different words have a positive cosine in every layer. What does recentring by cluster do?",
    principle="A number that random groups improve as well says nothing about clusters; what a cluster's mean holds is information.",
    minutes=45,
    models=("mini-deep", "mini-induction"),
    after=("similar_embeddings",),
    draw=lambda rng: draw(rng)[:2],
    parts=(
        Part(
            name="inter_type_cosine",
            takes=("n d_model", "n"),
            returns="",
            points=3,
            cases=inter_cases,
            spec=slow_inter_type_cosine,
            symptoms=INTER_SYMPTOMS,
            hints=(
                "Give every row length one. Then the squared length of a sum of rows is the sum of all their cosines.",
                "Do so twice: for the sum of all rows, and for the sum of each type's rows. What does the difference hold?",
                "Count in the same way: n squared ordered pairs, less m squared for a type that occurs m times.",
            ),
            meaning="One sum for all and one for each type: twenty million pairs without forming any.",
        ),
        Part(
            name="intra_type_cosine",
            takes=("n d_model", "n"),
            returns="",
            points=2,
            cases=intra_cases,
            spec=slow_intra_type_cosine,
            symptoms=INTRA_SYMPTOMS,
            hints=(
                "The sums of the types again. What else does the squared length of a type's sum hold?",
                "Each row with itself, a cosine of one. Take it off the sum, and off the count.",
            ),
            meaning="It is high in a model where a token's states stay alike in all contexts. A cure should not cost that.",
        ),
        Part(
            name="recentre",
            takes=("n d_model", "n"),
            returns="n d_model",
            points=2,
            cases=group_cases,
            spec=slow_recentre,
            symptoms=RECENTRE_SYMPTOMS,
            hints=(
                "For one label: resid[labels == label] are its rows, and their mean(0) is what they lose.",
                "Labels are any integers. labels.unique(return_inverse=True) numbers them from 0, row by row.",
            ),
            meaning="With one label for all rows it is centring, and with one label for each row nothing is left.",
        ),
        Part(
            name="share_explained",
            takes=("n d_model", "n"),
            returns="",
            points=2,
            cases=group_cases,
            spec=slow_share_explained,
            symptoms=SHARE_SYMPTOMS,
            hints=(
                "Two sums of squares: the rows less their group's mean, and the rows less the mean of all.",
                "Add up over all rows and coordinates before you divide.",
            ),
            meaning="It never falls when groups are split, and reaches 1 with one row a group: a share alone proves nothing.",
        ),
        Part(
            name="my_labelling",
            takes=(),
            returns="",
            points=2,
            cases=own_case,
            spec=None,
            symptoms=OWN_SYMPTOMS,
            kind="integer",
            value=True,
            hints=(
                "Print share_explained(mine, labels) for each labelling, and beside it the same for shuffled(labels).",
                "Which labelling gains the most over its own shuffled labels?",
            ),
            meaning="More groups explain more of anything. What counts is the gain over groups of the same sizes drawn by lot.",
        ),
    ),
    predictions=(
        Prediction("the story", choices=("clusters", "one mean", "k-means", "kinds"), right="one mean"),
        Prediction("cosine with random groups", between=(-1, 1)),
        Prediction(
            "what the clusters are", choices=("begin", "token", "second showing", "position", "other"), right="other"
        ),
    ),
    free_text=(
        FreeText(
            name="explanation",
            points=3,
            rubric=(
                "Controls: random groups of the same sizes or one group for all; and k-means on a cloud without clusters. Any one of these.",
                "What the mean misses: opposite clusters cancel, so look at the histogram (or at what the groups explain).",
                "What else may be gone: information in the clusters' means, such as how sure the model is, or what a type's occurrences share.",
            ),
        ),
    ),
)
