"""A known dictionary: what is asked, how it is checked, and what each wrong answer looks like."""

import functools
import itertools
import math

import torch

from mechpuzzles.puzzle import Case, FreeText, Part, Prediction, Puzzle, Symptom

# ---- the oracle -----------------------------------------------------------------------------------------------------


def dot(a, b):
    return math.fsum(p * q for p, q in zip(a, b, strict=True))


def all_cosines(units, features):
    """[feature, unit], one by one."""
    rows, columns = features.double().tolist(), units.double().tolist()
    table = [[dot(a, b) / math.sqrt(dot(a, a) * dot(b, b)) for b in columns] for a in rows]
    return torch.tensor(table, dtype=torch.float64)


@functools.cache
def every_pairing(n_rows, n_columns):
    """All ways to make as many pairs as possible, as index tensors [way, pair] of rows and of columns."""
    if n_rows > n_columns:
        columns, rows = every_pairing(n_columns, n_rows)
        return rows, columns
    columns = torch.tensor(list(itertools.permutations(range(n_columns), n_rows)))
    return torch.arange(n_rows).expand_as(columns), columns


def paired(values, scores):
    """[row]: each row's value in the pairing of the highest total score; 0 for a row without a column."""
    rows, columns = every_pairing(*scores.shape)
    best = scores[rows, columns].sum(1).argmax()
    found = torch.zeros(len(values), dtype=values.dtype)
    found[rows[best]] = values[rows[best], columns[best]]
    return found


def slow_matched_cosines(units, features):
    cosines = all_cosines(units, features)
    return paired(cosines, cosines)


def slow_carriers(acts, on):
    """One feature after the other: shares of the squared responses, and one over the sum of the shares' squares."""
    rows, answer = acts.double().tolist(), []
    for marks in on.T.tolist():
        sides = [[row for row, mark in zip(rows, marks, strict=True) if mark == side] for side in (True, False)]
        inside, outside = ([math.fsum(unit) / len(side) for unit in zip(*side, strict=True)] for side in sides)
        squares = [(a - b) ** 2 for a, b in zip(inside, outside, strict=True)]
        answer.append(1 / math.fsum((square / math.fsum(squares)) ** 2 for square in squares))
    return torch.tensor(answer, dtype=torch.float64)


def eliminated(system, target):
    """The solution of a few linear equations, by elimination with the largest pivot."""
    table = [[*row, value] for row, value in zip(system, target, strict=True)]
    for i in range(len(table)):
        pivot = max(range(i, len(table)), key=lambda k: abs(table[k][i]))
        table[i], table[pivot] = table[pivot], table[i]
        for k in range(len(table)):
            if k != i:
                factor = table[k][i] / table[i][i]
                table[k] = [a - factor * b for a, b in zip(table[k], table[i], strict=True)]
    return [row[-1] / row[i] for i, row in enumerate(table)]


def slow_refit(x, acts, units):
    """Row by row, the normal equations of the units that are on."""
    answer, directions = torch.zeros(acts.shape, dtype=torch.float64), units.double().tolist()
    for i, (target, row) in enumerate(zip(x.double().tolist(), acts.tolist(), strict=True)):
        on = [unit for unit, act in enumerate(row) if act > 0]
        system = [[dot(directions[a], directions[b]) for b in on] for a in on]
        for unit, strength in zip(on, eliminated(system, [dot(directions[a], target) for a in on]), strict=True):
            answer[i, unit] = strength
    return answer


# ---- the inputs -----------------------------------------------------------------------------------------------------


def lengths(rng, n, spread=0.7):
    return torch.exp(spread * torch.randn(n, 1, generator=rng))


def matching_cases(rng):
    """Directions of unequal length, drawn again until every easy way of pairing them gives something else.

    In the last case all have to be paired, one of them with a cosine below zero.
    """
    for n_features, n_units, d_model in ((4, 6, 3), (5, 4, 3), (4, 4, 5)):
        while True:
            features = lengths(rng, n_features) * torch.randn(n_features, d_model, generator=rng)
            units = lengths(rng, n_units) * torch.randn(n_units, d_model, generator=rng)
            if telling(units.double(), features.double(), below_zero=n_features == n_units):
                break
        yield Case((units, features))


def telling(units, features, below_zero):
    """Whether the best pairing is clearly the best, and the easy ones clearly are not it."""
    cosines = cosine_table(units, features)
    rows, columns = every_pairing(*cosines.shape)
    first, second = cosines[rows, columns].sum(1).topk(2).values
    want = paired(cosines, cosines)
    if first - second < 0.05 or (below_zero and want.min() > -0.05) or (greedy(cosines) - want).abs().max() < 0.02:
        return False
    sizes = cosines.abs()[rows, columns].sum(1).topk(2).values
    if sizes[0] - sizes[1] < 0.02:
        return False  # an auction that is a thousandth off for each pair may not decide
    by_products = paired(cosines, scalar_products(units, features))
    easy = [best_for_each(cosines), greedy(cosines), in_turn(cosines), mutual(cosines), by_number(cosines)]
    easy += [paired(cosines, cosines.abs()), paired(cosines, -cosines)]
    apart = [(by_products, want), *((one, other) for one in easy for other in (want, by_products))]
    return all((a - b).abs().max() > 0.02 for a, b in apart)


def carriers_cases(rng):
    """Units with a large level of their own, features of unequal frequency, one of them carried by a single unit."""
    for n_rows, n_units, n_features in ((14, 6, 4), (17, 4, 5), (12, 7, 3)):
        on = torch.rand(n_rows, n_features, generator=rng) < torch.linspace(0.25, 0.6, n_features)
        on[0], on[1] = True, False
        on[2, 0], on[3, 0] = True, False
        responses = lengths(rng, n_units, 1.0).T * torch.randn(n_features, n_units, generator=rng)
        responses[0, 1:] *= 0.1
        level = 2 * torch.rand(n_units, generator=rng) + 1
        acts = level + on.float() @ responses + 0.2 * torch.randn(n_rows, n_units, generator=rng)
        yield Case((acts.clamp(min=0), on))


def refit_cases(rng):
    """Units that overlap and differ in length; rows with none to three of them on, and acts that are too small.

    Drawn again until least squares needs a number below zero.
    """
    for n_rows, n_units, d_model, most in ((7, 6, 4, 3), (6, 4, 5, 3), (8, 5, 3, 2)):
        while True:
            directions = unit_rows(torch.randn(n_units, d_model, generator=rng))
            if not 0.4 < (directions @ directions.T).fill_diagonal_(0).abs().max() < 0.75:
                continue
            units = directions * (0.6 + 1.2 * torch.rand(n_units, 1, generator=rng))
            on = torch.zeros(n_rows, n_units)
            for row in range(n_rows):
                on[row, torch.randperm(n_units, generator=rng)[: (2 + row) % (most + 1)]] = 1
            strengths = on * (0.8 + torch.rand(n_rows, n_units, generator=rng))
            x = strengths @ units + 0.8 * torch.randn(n_rows, d_model, generator=rng)
            acts = (strengths - 0.5 - 0.2 * torch.rand(n_rows, n_units, generator=rng)).clamp(min=0)
            if slow_refit(x, acts, units).min() < -0.1:
                break
        yield Case((x, acts, units))


def unit_rows(rows):
    return rows / rows.norm(dim=1, keepdim=True)


# ---- the learner's own dictionaries ---------------------------------------------------------------------------------

LABELS = ("every", "some", "merged", "none")
N_FEATURES, N_UNITS, D_MODEL, N_ROWS, N_PAIRS, N_GONE = 28, 40, 20, 500, 3, 3


def apart(rng):
    """Features of which no two have a cosine beyond 0.5 on either side."""
    kept = unit_rows(torch.randn(1, D_MODEL, generator=rng))
    while len(kept) < N_FEATURES:
        one = unit_rows(torch.randn(1, D_MODEL, generator=rng))
        if (kept @ one.T).abs().max() < 0.5:
            kept = torch.cat([kept, one])
    return kept


def together(rng, features, strengths):
    """Three pairs whose first comes never without its second, and a direction between the two of each."""
    near = [
        (a, b)
        for a in range(N_FEATURES)
        for b in range(N_FEATURES)
        if a != b and 0 < float(features[a] @ features[b]) < 0.35
    ]
    pairs, used = [], set()
    for i in torch.randperm(len(near), generator=rng).tolist():
        if not used & set(near[i]) and len(pairs) < N_PAIRS:
            pairs.append(near[i])
            used |= set(near[i])
    for first, second in pairs:
        joint = strengths[:, first] > 0
        strengths[joint, second] = 0.5 + torch.rand(int(joint.sum()), generator=rng)
    return pairs


def dictionary(rng, kind, features, strengths, pairs):
    """Units and activations of one dictionary, [unit, d_model] and [row, unit]; what is left over never fires."""
    if kind == "none":
        turn = torch.linalg.qr(torch.randn(N_UNITS, N_UNITS, generator=rng)).Q[:, :N_FEATURES]
        return turn @ features, strengths @ turn.T
    units, acts = features.clone(), strengths.clone()
    if kind == "every":  # a price on each activation: rebuilt worst of all
        acts = (acts - 0.45).clamp(min=0)
    gone = torch.randperm(N_FEATURES, generator=rng)[:N_GONE] if kind == "some" else []
    acts[:, gone] = 0  # their units point the right way, and never fire
    if kind == "merged":
        for first, second in pairs:
            joint = acts[:, first] > 0
            units[first] = units[first] + units[second]
            units[first] /= units[first].norm()
            acts[joint, first] = (
                strengths[joint][:, [first, second]] @ features[[first, second]] @ units[first]
            ).clamp(min=0)
            acts[joint, second] = 0
    units = unit_rows(units + 0.03 * torch.randn(units.shape, generator=rng))
    spare = N_UNITS - len(units)
    units = torch.cat([units, unit_rows(torch.randn(spare, D_MODEL, generator=rng))])
    acts = torch.cat([acts, torch.zeros(len(acts), spare)], dim=1)
    twice = int((acts > 0.6).sum(0).argmax())  # the busiest unit shares its work with a spare one
    strong = acts[:, twice] > 0.6
    units[-1], acts[strong, -1] = units[twice], acts[strong, twice]
    acts[strong, twice] = 0
    size = lengths(rng, N_UNITS, 0.4)
    return size * units, acts / size.T


def draw_dictionaries(rng):
    """Labels, and what the learner is given: features, their strengths, and six dictionaries' units and activations."""
    features = apart(rng)
    shape = (N_ROWS, N_FEATURES)
    strengths = (torch.rand(shape, generator=rng) < 0.05) * (0.5 + torch.rand(shape, generator=rng))
    pairs = together(rng, features, strengths)
    labels = [*LABELS, *(LABELS[i] for i in torch.randint(3, (2,), generator=rng).tolist())]
    labels = [labels[i] for i in torch.randperm(len(labels), generator=rng).tolist()]
    drawn = []
    for kind in labels:
        units, acts = dictionary(rng, kind, features, strengths, pairs)
        order = torch.randperm(N_UNITS, generator=rng)
        drawn.append((units[order], acts[:, order]))
    units, acts = (torch.stack(parts) for parts in zip(*drawn, strict=True))
    return labels, (features, strengths, units, acts)


def own_case(rng):
    labels, given = draw_dictionaries(rng)
    return [Case(given, want=labels)]


# ---- the ways of being wrong: matching ------------------------------------------------------------------------------


def cosine_table(units, features):
    return torch.cosine_similarity(features[:, None], units[None], dim=2)


def best_for_each(table):
    return table.amax(1)


def greedy(table, values=None):
    """The best pair first, then the best of what is left."""
    values, table = table if values is None else values, table.clone()
    found = torch.zeros(len(table), dtype=table.dtype)
    for _ in range(min(table.shape)):
        row, column = divmod(int(table.argmax()), table.shape[1])
        found[row] = values[row, column]
        table[row], table[:, column] = -math.inf, -math.inf
    return found


def in_turn(table):
    """Each row in turn takes the best that is left."""
    table, found = table.clone(), torch.zeros(len(table), dtype=table.dtype)
    for row in range(min(table.shape)):
        column = int(table[row].argmax())
        found[row] = table[row, column]
        table[:, column] = -math.inf
    return found


def mutual(table):
    """Pairs in which each is the other's best; 0 for the rest."""
    best, back = table.argmax(1), table.argmax(0)
    keep = back[best] == torch.arange(len(table))
    return torch.where(keep, table.amax(1), torch.zeros(()).to(table))


def by_number(table):
    found = torch.zeros(len(table), dtype=table.dtype)
    found[: min(table.shape)] = table.diagonal()
    return found


def by_unit(table):
    """[unit] of the best pairing."""
    return paired(table.T, table.T)


def left_out(table):
    """Only the features that have a unit, in their order."""
    found = paired(table, table)
    return found[found != 0]


def on_table(change):
    return lambda units, features: change(cosine_table(units, features))


def scalar_products(units, features):
    return torch.einsum("fd,ud->fu", features, units)


def centred(units, features):
    table = torch.corrcoef(torch.cat([features, units]))[: len(features), len(features) :]
    return paired(table, table)


def columns_normalised(units, features):
    a, b = (rows / rows.square().sum(0).sqrt() for rows in (units, features))
    table = scalar_products(a, b)
    return paired(table, table)


def half_normalised(which):
    def formula(units, features):
        sizes = (1 if which == "units" else features.norm(dim=1)[:, None]) * (
            1 if which == "features" else units.norm(dim=1)[None]
        )
        table = scalar_products(units, features) / sizes
        return paired(table, table)

    return formula


def kept_from(total, value):
    """Pair by one table, return another's values."""

    def formula(units, features):
        return paired(value(units, features), total(units, features))

    return formula


MATCHING_SYMPTOMS = (
    Symptom.gives(
        "best_for_each",
        on_table(best_for_each),
        says="Each feature takes its best unit, and some units are taken more than once: a unit between two features "
        "would count as having found both. One unit for one feature.",
    ),
    Symptom.gives(
        "best_for_each_unit",
        on_table(lambda table: table.amax(0)),
        says="There is one number for each unit, and it is that unit's best feature. Asked for is one for each feature.",
    ),
    Symptom.gives(
        "greedy",
        on_table(greedy),
        says="The best pair was taken first, then the best of the rest. An early pair can cost a later one more than it "
        "gained. The largest *total* decides.",
    ),
    Symptom.gives(
        "in_turn",
        on_table(in_turn),
        says="The features choose in turn, so the answer depends on their order. The largest total decides.",
    ),
    Symptom.gives(
        "mutual",
        on_table(mutual),
        says="Only pairs count here in which each is the other's best. A feature whose favourite is taken gets its next.",
    ),
    Symptom.gives(
        "by_number",
        on_table(by_number),
        on_table(lambda table: table.diagonal()),
        says="Feature 0 was compared with unit 0, and so on. Nobody told the units an order.",
    ),
    Symptom.gives(
        "lengths_kept",
        kept_from(scalar_products, scalar_products),
        half_normalised("units"),
        half_normalised("features"),
        says="These are scalar products in which lengths still count. Divide by the lengths of both for cosines.",
    ),
    Symptom.gives(
        "paired_by_products",
        kept_from(scalar_products, cosine_table),
        says="The values are cosines, but the pairs were chosen by scalar products: long units came first.",
    ),
    Symptom.gives(
        "columns_normalised",
        columns_normalised,
        says="The coordinates were scaled to length one, not the directions: normalise along the last axis.",
    ),
    Symptom.gives(
        "sign_ignored",
        kept_from(lambda u, f: cosine_table(u, f).abs(), lambda u, f: cosine_table(u, f).abs()),
        kept_from(lambda u, f: cosine_table(u, f).abs(), cosine_table),
        lambda u, f: paired(cosine_table(u, f), cosine_table(u, f)).abs(),
        says="The sign was dropped. A unit that points the other way, and cannot be negative, is no find: keep the sign.",
    ),
    Symptom.gives(
        "worst",
        kept_from(lambda u, f: -cosine_table(u, f), cosine_table),
        kept_from(lambda u, f: -cosine_table(u, f), lambda u, f: -cosine_table(u, f)),
        says="This is the pairing of the smallest total. `assign` looks for the largest: no minus sign.",
    ),
    Symptom.gives(
        "distance",
        lambda u, f: 1 - paired(cosine_table(u, f), cosine_table(u, f)),
        says="This is one minus the cosine. Return the cosine.",
    ),
    Symptom.gives(
        "squared",
        kept_from(lambda u, f: cosine_table(u, f).square(), lambda u, f: cosine_table(u, f).square()),
        lambda u, f: paired(cosine_table(u, f), cosine_table(u, f)).square(),
        says="These are squares of cosines. Opposite directions would look alike.",
    ),
    Symptom.gives(
        "centred",
        centred,
        says="This is Pearson's correlation: each direction's own mean was subtracted first. A cosine starts at the origin.",
    ),
    Symptom(
        "averaged",
        lambda got, want, units, features: got.ndim == 0,
        says="One number came back. Keep one for each feature, so that one can see which are missing.",
    ),
    Symptom(
        "left_out",
        lambda got, want, units, features: got.ndim == 1 and len(got) == min(len(units), len(features)) < len(want),
        says="A feature without a unit was left out. It counts, as 0.",
    ),
    Symptom(
        "by_unit",
        lambda got, want, units, features: got.ndim == 1 and len(got) == len(units) != len(want),
        says="There is one number for each unit. Asked for is one for each feature, in the features' order.",
    ),
    Symptom(
        "other_order",
        lambda got, want, units, features: (
            got.ndim == 1
            and int((got != 0).sum()) == int((want != 0).sum())
            and torch.allclose(got[got != 0].sort().values, want[want != 0].sort().values, atol=1e-4)
        ),
        says="The cosines are right but not in the features' order. `assign` returns rows and columns: put each at its row.",
    ),
    Symptom(
        "table",
        lambda got, want, units, features: got.ndim == 2,
        says="This is a table of features and units. Asked for is one cosine for each feature, that of its own unit.",
    ),
)

# ---- the ways of being wrong: carriers ------------------------------------------------------------------------------


def means(acts, on):
    """[feature, unit] where the feature is on, and where it is off."""
    marks = on.to(acts.dtype)
    return (
        torch.einsum("rf,ru->fu", marks, acts) / marks.sum(0)[:, None],
        torch.einsum("rf,ru->fu", 1 - marks, acts) / (1 - marks).sum(0)[:, None],
    )


def change(acts, on):
    inside, outside = means(acts, on)
    return inside - outside


def number_of(parts, axis=1):
    """One over the sum of squared shares of what is not negative."""
    shares = parts / parts.sum(axis, keepdim=True)
    return 1 / shares.square().sum(axis)


def standardised(acts, on):
    return change(acts, on) / acts.std(0)


def sums(acts, on):
    marks = on.to(acts.dtype)
    return torch.einsum("rf,ru->fu", 2 * marks - 1, acts)


def units_on(acts, on):
    """How many units are not at zero where the feature is on, on average."""
    marks = on.to(acts.dtype)
    return torch.einsum("rf,r->f", marks, (acts > 0).sum(1).to(acts.dtype)) / marks.sum(0)


def entropy_number(acts, on, power=2):
    parts = change(acts, on).abs() ** power
    shares = parts / parts.sum(1, keepdim=True)
    return torch.exp(-(shares * shares.clamp(min=1e-12).log()).sum(1))


CARRIERS_SYMPTOMS = (
    Symptom.gives(
        "level_kept",
        lambda acts, on: number_of(means(acts, on)[0].square()),
        says="This is what the units do while the feature is on, not what it changes: a unit that is always on seems to "
        "carry every feature. Subtract its mean where the feature is off.",
    ),
    Symptom.gives(
        "off_only",
        lambda acts, on: number_of(means(acts, on)[1].square()),
        says="These are the means where the feature is off. A response is on minus off.",
    ),
    Symptom.gives(
        "not_squared",
        lambda acts, on: number_of(change(acts, on).abs()),
        says="The shares are of absolute responses. With many units, small noise in each would add up: take shares of squares.",
    ),
    Symptom.gives(
        "signed",
        lambda acts, on: change(acts, on).sum(1).square() / change(acts, on).square().sum(1),
        says="Responses of either sign were added up and cancel. Square them first.",
    ),
    Symptom.gives(
        "upside_down",
        lambda acts, on: 1 / number_of(change(acts, on).square()),
        says="Upside down: this falls as more units take part. k equal responses should give k.",
    ),
    Symptom.gives(
        "square_forgotten",
        lambda acts, on: change(acts, on).square().sum(1) / change(acts, on).pow(4).sum(1),
        says="This depends on the units' scale: multiply acts by two, and it changes. Square the sum above the line, too.",
    ),
    Symptom.gives(
        "root",
        lambda acts, on: number_of(change(acts, on).square()).sqrt(),
        says="This is the root of the number: k equal responses give the root of k.",
    ),
    Symptom.gives(
        "entropy",
        entropy_number,
        lambda acts, on: entropy_number(acts, on, 1),
        says="This counts by the entropy of the shares, which is another effective number. Asked for are the squared shares.",
    ),
    Symptom.gives(
        "largest_share",
        lambda acts, on: 1 / (change(acts, on).square() / change(acts, on).square().sum(1, keepdim=True)).amax(1),
        says="This looks at the largest response only. Two features can agree in that and differ in all others.",
    ),
    Symptom.gives(
        "features_per_unit",
        lambda acts, on: number_of(change(acts, on).square(), 0),
        says="There is one number for each unit: by how many features it is moved. Asked for is one for each feature.",
    ),
    Symptom.gives(
        "sums",
        lambda acts, on: number_of(sums(acts, on).square()),
        says="Sums were subtracted, not means. A feature is off far more often than on.",
    ),
    Symptom.gives(
        "standardised",
        lambda acts, on: number_of(standardised(acts, on).square()),
        lambda acts, on: number_of((change(acts, on) / acts.std(0, correction=0)).square()),
        says="Each unit was divided by its own spread. Here a unit counts by how far it moves.",
    ),
    Symptom.gives(
        "units_on",
        units_on,
        says="This counts the units that are not zero. One that is on all the time carries nothing.",
    ),
    Symptom.gives(
        "counted",
        lambda acts, on: (change(acts, on) > 0).sum(1),
        lambda acts, on: (change(acts, on) != 0).sum(1),
        says="Every response counts as one here, however small. Weak ones count for little.",
    ),
    Symptom(
        "averaged",
        lambda got, want, acts, on: got.ndim == 0,
        says="One number came back. Keep one for each feature.",
    ),
)

# ---- the ways of being wrong: refitting -----------------------------------------------------------------------------


def dense(x, acts, units):
    """Least squares over all units, whether on or off; of many solutions the smallest."""
    return torch.einsum("rd,du->ru", x, torch.linalg.pinv(units))


def on_of(acts):
    return (acts > 0).to(acts.dtype)


def projected(x, acts, units):
    return torch.einsum("rd,ud->ru", x, units) / units.square().sum(1)


def rebuilt(acts, units):
    return torch.einsum("ru,ud->rd", acts, units)


def one_factor_each(x, acts, units):
    """Each row's activations times one number, the best one."""
    made = rebuilt(acts, units)
    return acts * ((x * made).sum(1) / made.square().sum(1).clamp(min=1e-12))[:, None]


def one_factor(x, acts, units):
    made = rebuilt(acts, units)
    return acts * (x * made).sum() / made.square().sum()


def what_is_left(x, acts, units):
    return torch.einsum("rd,ud->ru", x - rebuilt(acts, units), units)


REFIT_SYMPTOMS = (
    Symptom.gives(
        "all_units",
        dense,
        says="All units were used, also those that are off. That rebuilds anything, and is not sparse any more.",
    ),
    Symptom.gives(
        "fitted_then_cut",
        lambda x, acts, units: dense(x, acts, units) * on_of(acts),
        says="All units were fitted, and those that are off cut afterwards. The others counted on them: choose first, then fit.",
    ),
    Symptom.gives(
        "one_at_a_time",
        lambda x, acts, units: projected(x, acts, units) * on_of(acts),
        lambda x, acts, units: torch.einsum("rd,ud->ru", x, units) * on_of(acts),
        says="Each unit was fitted by itself. Units that overlap then claim the same part of x twice: fit those that are on together.",
    ),
    Symptom.gives(
        "one_step",
        lambda x, acts, units: acts + what_is_left(x, acts, units) * on_of(acts),
        lambda x, acts, units: acts + what_is_left(x, acts, units) / units.square().sum(1) * on_of(acts),
        says="What is left of x was handed to each unit that is on by its own product, once. Overlapping units get it twice.",
    ),
    Symptom.gives(
        "one_factor",
        one_factor_each,
        one_factor,
        says="The activations were multiplied by a number. Each unit that is on needs its own.",
    ),
    Symptom(
        "negatives_cut",
        lambda got, want, x, acts, units: got.shape == want.shape and torch.allclose(got, want.clamp(min=0), atol=1e-4),
        says="Negative results were set to 0. Least squares may need them: leave them in.",
    ),
    Symptom.gives(
        "lengths_forgotten",
        lambda x, acts, units: slow_refit(x, acts, units / units.norm(dim=1, keepdim=True)),
        says="The units were taken to have length one. Their lengths differ here: fit with units as they are.",
    ),
    Symptom.gives(
        "rebuilt",
        lambda x, acts, units: rebuilt(slow_refit(x, acts, units).to(x), units),
        says="This is x rebuilt. Asked for are the activations that rebuild it.",
    ),
    Symptom.gives(
        "change_only",
        lambda x, acts, units: slow_refit(x, acts, units) - acts,
        says="This is by how much each activation changes. Return the new activations.",
    ),
    Symptom.gives(
        "unchanged",
        lambda x, acts, units: acts,
        says="The activations came back as they were.",
    ),
    Symptom.gives(
        "sum_kept",
        lambda x, acts, units: slow_refit(x, acts, units) + acts,
        says="The new activations were added to the old ones. They replace them.",
    ),
    Symptom(
        "off_units_on",
        lambda got, want, x, acts, units: got.shape == want.shape and bool((got[acts == 0] != 0).any()),
        says="Units that were off are on now. A unit without activation in a row stays at 0 there.",
    ),
)

# ---- the ways of being wrong: labels --------------------------------------------------------------------------------


def mistaken(*pairs):
    """Some dictionaries are labelled wrongly, and each of them in one of these ways: (label given, true label)."""

    def when(got, want, *given):
        return len(got) == len(want) and {(g, w) for g, w in zip(got, want, strict=True) if g != w} <= set(pairs)

    return when


DICTIONARIES_SYMPTOMS = (
    Symptom(
        "number_of_labels",
        lambda got, want, *given: len(got) != len(want),
        says="The list needs six labels, one for each dictionary, in order.",
    ),
    Symptom(
        "other_words",
        lambda got, want, *given: not set(got) <= set(LABELS),
        says='The labels are "every", "some", "merged" and "none", in lower case.',
    ),
    Symptom(
        "merged_unseen",
        mistaken(("every", "merged")),
        says="In one or more of your complete dictionaries some features have a unit that lies beside them, with a cosine near 0.75. "
        "What else lies there?",
    ),
    Symptom(
        "dead_counted",
        mistaken(("every", "some")),
        says="In one or more of your complete dictionaries some units point at a feature and never fire. They rebuild nothing: leave them out.",
    ),
    Symptom(
        "neighbours",
        mistaken(("merged", "some"), ("some", "merged")),
        says="A missing feature has no unit nearer than chance, about 0.5 here; a merged one has a unit near 0.75 that fires with it. "
        "One or more of your dictionaries have the other kind.",
    ),
    Symptom(
        "spare_units",
        mistaken(("some", "every"), ("merged", "every")),
        says="One or more of the dictionaries that you call incomplete have a unit for every feature. "
        "Units left over, or two that share a feature, do not count against it, nor does a bad reconstruction.",
    ),
    Symptom(
        "dead_counted_and_merged_unseen",
        mistaken(("every", "some"), ("some", "merged")),
        says="Two slips. Some units point at a feature and never fire: leave those out. And where a feature has no cosine above 0.9, "
        "look whether a unit lies beside it, near 0.75: then it is merged, not missing.",
    ),
    Symptom(
        "by_reconstruction",
        mistaken(
            ("every", "none"),
            ("some", "every"),
            ("none", "every"),
            ("merged", "every"),
            ("some", "none"),
            ("merged", "none"),
        ),
        says="How well x is rebuilt does not rank them. Count the cosines above 0.9.",
    ),
    Symptom(
        "several",
        lambda got, want, *given: True,
        says="Several labels are not so. Begin with matched_cosines(units[k], features) for each k: which are above 0.9?",
    ),
)

PUZZLE = Puzzle(
    slug="known_dictionary",
    title="A known dictionary",
    question="An autoencoder reconstructs perfectly. Did it find the features?",
    principle="An objective is met by whatever meets it: reconstruction fixes only what the directions span, sparsity prefers "
    "what is cheap, and agreement what is easy to find again. That a direction is a feature is a claim about that one direction.",
    minutes=40,
    models=("mini-python",),
    after=(),
    problems={
        "4.20": "matched_cosines",
        "4.31": "carriers",
        "9.47": "carriers",
        "9.48": "carriers",
        "9.49": "carriers",
    },
    draw=lambda rng: draw_dictionaries(rng)[1],
    parts=(
        Part(
            name="matched_cosines",
            takes=("unit d_model", "feature d_model"),
            returns="feature",
            points=2,
            cases=matching_cases,
            spec=slow_matched_cosines,
            symptoms=MATCHING_SYMPTOMS,
            hints=(
                "`normalize` gives rows of length one. Which product of two such matrices has features as rows and units as columns?",
                "assign returns two index tensors: the features that have a unit, and their units. Start from zeros, and fill in those.",
            ),
            meaning="Each unit counts for one feature, and each feature has to have a unit of its own.",
        ),
        Part(
            name="carriers",
            takes=("row unit", "row feature"),
            returns="feature",
            points=2,
            cases=carriers_cases,
            spec=slow_carriers,
            symptoms=CARRIERS_SYMPTOMS,
            hints=(
                "on.float().T @ acts adds up, for each feature and unit, the activations where the feature is on. How many rows are these?",
                "Do the same with ~on. Square the difference; then the sum over units, squared, over the sum of squares.",
            ),
            meaning="1: one unit carries the feature. As many as there are units: everybody takes part.",
        ),
        Part(
            name="refit",
            takes=("row d_model", "row unit", "unit d_model"),
            returns="row unit",
            points=2,
            cases=refit_cases,
            spec=slow_refit,
            symptoms=REFIT_SYMPTOMS,
            hints=(
                "Take one row. units[acts[row] > 0] are its units. torch.linalg.lstsq(A, b) solves A @ w = b: what is A?",
                "A has a column for each unit that is on, so it is those units transposed; b is x[row] as a column. "
                "A row without any unit stays zero.",
            ),
            meaning="The same units at the same places; only the price is no longer taken off.",
            tolerance=1e-3,
        ),
        Part(
            name="my_dictionaries",
            takes=("feature d_model", "row feature", "dictionary unit d_model", "dictionary row unit"),
            returns="dictionary",
            points=2,
            cases=own_case,
            spec=None,
            symptoms=DICTIONARIES_SYMPTOMS,
            kind="label",
            value=True,
            hints=(
                "A unit that never fires has found nothing: keep units[k][acts[k].abs().sum(0) > 0].",
                "matched_cosines of what is left: 28 above 0.9, or none, or 24, or some near 0.75?",
            ),
            meaning="The one that rebuilds worst may be the only complete one.",
        ),
    ),
    predictions=(
        Prediction(
            "the story",
            choices=("all", "A and B", "only C", "C and one more"),
            right="C and one more",
        ),
        Prediction("A's mean cosine", between=(0, 1)),
        Prediction("found of the eight", between=(0, 8)),
    ),
    free_text=(
        FreeText(
            name="explanation",
            points=3,
            rubric=(
                "Explained variance says nothing about single directions: any turned dictionary has the same.",
                "A high best cosine is to be held against chance for so many units, one unit for one feature.",
                "Agreement of two seeds shows that the objective leads there, not that these are the features: merged units agree as well. "
                "Independent starts, and data without features, are the controls.",
            ),
        ),
    ),
)
