"""Growing residuals: what is asked, how it is checked, and what each wrong answer looks like."""

import itertools
import math

import torch

from mechpuzzles.puzzle import Case, FreeText, Part, Prediction, Puzzle, Symptom

# ---- the oracles: plain Python on lists; a line by the two sums of its normal equations ----------------------------


def length(numbers):
    return math.sqrt(math.fsum(x * x for x in numbers))


def average(numbers):
    return math.fsum(numbers) / len(numbers)


def slow_residual_norms(resid):
    layers = resid.double().tolist()
    positions = range(resid.shape[2])
    return torch.tensor(
        [[average([length(window[pos]) for window in layer]) for pos in positions] for layer in layers],
        dtype=torch.float64,
    )


def profile(norms, first=1):
    """One norm per layer: the average over the positions from ``first``."""
    return [average(row[first:]) for row in norms.double().tolist()]


def fit(x, y):
    """Intercept and slope, from the sums that the normal equations hold."""
    n, sx, sy = len(x), math.fsum(x), math.fsum(y)
    sxx, sxy = math.fsum(a * a for a in x), math.fsum(a * b for a, b in zip(x, y, strict=True))
    slope = (n * sxy - sx * sy) / (n * sxx - sx * sx)
    return (sy - slope * sx) / n, slope


def slope_over_layers(y):
    return fit(list(range(len(y))), y)[1]


def fitted(y):
    intercept, slope = fit(list(range(len(y))), y)
    return [intercept + slope * layer for layer in range(len(y))]


def rate_of(row):
    return math.exp(slope_over_layers([math.log(x) for x in row]))


def slow_growth_rate(norms):
    return rate_of(profile(norms))


def exponential_through(row):
    return [math.exp(y) for y in fitted([math.log(x) for x in row])]


def walk_through(row):
    return [math.sqrt(max(y, 0.0)) for y in fitted([x * x for x in row])]


def miss(model, row):
    return length([a - b for a, b in zip(model, row, strict=True)]) / math.sqrt(len(row)) / average(row)


def misses(row):
    return miss(exponential_through(row), row), miss(walk_through(row), row)


def slow_compare_fits(norms):
    return misses(profile(norms))


def slow_weight_norms(W, gain):
    return torch.tensor(
        [
            length([g * w for g, row in zip(gains, matrix, strict=True) for w in row])
            for gains, matrix in zip(gain.double().tolist(), W.double().tolist(), strict=True)
        ],
        dtype=torch.float64,
    )


# ---- the inputs ----------------------------------------------------------------------------------------------------


def resid_cases(rng):
    """Vectors with a common part (their mean does not vanish), lengths with a heavy tail, and a mean over d_model."""
    for sizes in ((4, 5, 3, 6), (3, 4, 6, 7), (6, 2, 4, 5)):
        common = torch.randn(sizes[0], 1, sizes[2], sizes[3], generator=rng) + 0.8
        lengths = torch.exp(0.7 * torch.randn(*sizes[:3], 1, generator=rng))
        yield Case((lengths * (common + torch.randn(*sizes, generator=rng)),))


def uneven(rng, n_layers, n_pos):
    """Norms that bend, with positions that grow at rates of their own, and a first position that shrinks."""
    rates = torch.tensor([0.4, 0.06, 0.22, 0.3, 0.12, 0.2])[: n_pos - 1]
    depth = torch.arange(n_layers + 1.0)[:, None]
    norms = (1 + torch.rand(1, n_pos - 1, generator=rng)) * torch.exp(rates * depth)
    norms = norms * torch.exp(0.25 * torch.randn(n_layers + 1, n_pos - 1, generator=rng))
    norms[0] *= 0.4
    norms[-1] *= 1.5
    first = 60 * torch.exp(-0.15 * depth + 0.2 * torch.randn(n_layers + 1, 1, generator=rng))
    return torch.cat([first, norms], dim=1)


def exactly(rng, row, n_pos):
    """Positions whose average is ``row``, after a first one of its own."""
    share = torch.rand(1, n_pos - 1, generator=rng) + 0.3
    row = torch.tensor(row, dtype=torch.float64)[:, None]
    first = 30 * torch.rand(len(row), 1, generator=rng) + 20
    return torch.cat([first.double(), row * (share / share.mean()).double()], dim=1).float()


def drawn(rng, low, high):
    return low + (high - low) * torch.rand((), generator=rng).item()


def rate_cases(rng):
    yield Case((uneven(rng, 7, 5),))
    yield Case((uneven(rng, 5, 4),))
    rate = drawn(rng, 1.2, 1.4)
    yield Case((exactly(rng, [3 * rate**layer for layer in range(7)], 5),), want=rate)


def fit_cases(rng):
    yield Case((uneven(rng, 7, 5),))
    yield Case((uneven(rng, 5, 4),))
    rate, step = drawn(rng, 1.7, 1.9), drawn(rng, 2.0, 3.0)
    yield Case((exactly(rng, [0.4 * rate**layer for layer in range(8)], 4),))
    yield Case((exactly(rng, [math.sqrt(1.5 + step * layer) for layer in range(7)], 6),))


def weight_cases(rng):
    for n_layers, d_in, d_out in ((3, 4, 6), (5, 7, 4), (2, 5, 8)):
        depth = torch.exp(0.3 * torch.randn(n_layers, 1, 1, generator=rng))
        gain = 0.4 + 1.6 * torch.rand(n_layers, d_in, generator=rng)
        gain[:, 0] *= -2
        yield Case((depth * (torch.randn(n_layers, d_in, d_out, generator=rng) + 0.3), gain))


# ---- the ways of being wrong ---------------------------------------------------------------------------------------

NORMS_SYMPTOMS = (
    Symptom.gives(
        "norm_of_mean",
        lambda resid: resid.mean(1).norm(dim=-1),
        says="The {batch} vectors were averaged first, and then measured: opposite vectors cancel. Norm first, then mean.",
    ),
    Symptom.gives(
        "embedding_left_out",
        lambda resid: slow_residual_norms(resid[1:]),
        says="The first entry of the layer axis is gone: that is the embedding, before any layer. Keep all {layer_plus_1}.",
    ),
    Symptom.gives(
        "last_left_out",
        lambda resid: slow_residual_norms(resid[:-1]),
        says="The last entry of the layer axis is gone: {layer_plus_1} of them are one embedding and the layers. Keep all.",
    ),
    Symptom.gives(
        "positions_averaged",
        lambda resid: slow_residual_norms(resid).mean(1),
        says="The {pos} positions were averaged too. Keep them apart: the first will be set aside.",
    ),
    Symptom.gives(
        "batch_kept",
        lambda resid: torch.linalg.vector_norm(resid, dim=3),
        says="These are the lengths of all vectors, in every window. Average over the {batch} windows.",
    ),
    Symptom.gives(
        "averaged_over_positions",
        lambda resid: torch.linalg.vector_norm(resid, dim=3).mean(2),
        says="The average went over the {pos} positions and kept the windows. It is the other way round.",
    ),
    Symptom.from_truth(
        "layers_last",
        lambda want, resid: want.T,
        says="Right numbers, axes swapped: the layer comes first, the position second.",
    ),
    Symptom.gives(
        "squared",
        lambda resid: resid.square().sum(3).mean(1),
        says="These are mean squared lengths. The root is missing, and it comes before the mean.",
    ),
    Symptom.from_truth(
        "truth_squared",
        lambda want, resid: want**2,
        says="These are the squares of the mean lengths. Leave the lengths as they are.",
    ),
    Symptom.gives(
        "root_mean_square",
        lambda resid: resid.square().sum(3).mean(1).sqrt(),
        says="This is the root of the mean square over the windows. Take each vector's length, then the plain mean.",
    ),
    Symptom.from_truth(
        "per_coordinate",
        lambda want, resid: want / math.sqrt(resid.shape[3]),
        says="This is the root mean square of a coordinate: the length divided by the root of {d_model}. Leave it undivided.",
    ),
    Symptom.gives(
        "centred",
        lambda resid: torch.linalg.vector_norm(resid - resid.mean(3, keepdim=True), dim=3).mean(1),
        lambda resid: resid.std(3, unbiased=False).mean(1),
        says="Each vector lost its own mean first: that is the spread that LayerNorm divides by, not the length.",
    ),
    Symptom.gives(
        "sum_of_absolutes",
        lambda resid: resid.abs().sum(3).mean(1),
        says="These are sums of absolute values. A length is the root of a sum of squares.",
    ),
    Symptom.gives(
        "one_long_vector",
        lambda resid: resid.square().sum((1, 3)).sqrt(),
        says="All windows were strung together to one long vector, which grows with their number ({batch}). "
        "One length for each, then the mean.",
    ),
    Symptom.from_truth(
        "summed",
        lambda want, resid: want * resid.shape[1],
        says="Added up over the {batch} windows, but not divided by their number.",
    ),
    Symptom.gives(
        "median",
        lambda resid: torch.linalg.vector_norm(resid, dim=3).median(1).values,
        says="This is the median over the windows. Asked for is the mean.",
    ),
    Symptom.gives(
        "largest",
        lambda resid: torch.linalg.vector_norm(resid, dim=3).amax(1),
        says="This is the longest of the {batch} vectors. Asked for is their mean length.",
    ),
    Symptom.gives(
        "one_window",
        lambda resid: slow_residual_norms(resid[:, :1]),
        says="Only the first of the {batch} windows was measured. Take all of them.",
    ),
    Symptom.gives(
        "other_axis",
        lambda resid: torch.linalg.vector_norm(resid, dim=1).mean(2),
        lambda resid: torch.linalg.vector_norm(resid, dim=2).mean(1),
        lambda resid: torch.linalg.vector_norm(resid, dim=3).mean(0),
        lambda resid: torch.linalg.vector_norm(resid, dim=1),
        says="The wrong axis went. The axes are layer, batch, pos, d_model: a vector lies along the last, the mean goes over batch.",
    ),
)


def every_rate(norms):
    """The growth of each position but the first."""
    return [rate_of(column) for column in norms[:, 1:].T.double().tolist()]


def log_profile(norms):
    return [average([math.log(x) for x in row[1:]]) for row in norms.double().tolist()]


def through_zero(y):
    return math.fsum(k * v for k, v in enumerate(y)) / math.fsum(k * k for k in range(len(y)))


def ratios(row):
    return [b / a for a, b in itertools.pairwise(row)]


RATE_SYMPTOMS = (
    Symptom.gives(
        "first_position_kept",
        lambda norms: rate_of(profile(norms, first=0)),
        says="The first position was averaged in with the others. It is one of {pos} and can be larger than all the rest.",
    ),
    Symptom.gives(
        "last_position_set_aside",
        lambda norms: rate_of(profile(norms[:, :-1], first=0)),
        says="The last position was set aside, and the first kept. It is the first that is not like the others.",
    ),
    Symptom(
        "curve_returned",
        lambda got, want, norms: got.shape == norms.shape[:1],
        says="One number per layer came back: the fitted curve. Asked for is the slope's one factor.",
    ),
    Symptom.gives(
        "first_position_only",
        lambda norms: rate_of(norms[:, 0].double().tolist()),
        says="This is the growth at the first position, the one to be set aside.",
    ),
    Symptom.gives(
        "logs_averaged",
        lambda norms: math.exp(slope_over_layers(log_profile(norms))),
        says="The logarithms were averaged over positions. Average the norms, then take one logarithm per layer.",
    ),
    Symptom.gives(
        "rates_averaged",
        lambda norms: average(every_rate(norms)),
        says="Each position got a fit of its own, and the rates were averaged. Average the norms first, then fit once.",
    ),
    Symptom.from_truth(
        "logarithm_left",
        lambda want, norms: want.log(),
        says="This is the slope, the logarithm of the factor. Undo the logarithm.",
    ),
    Symptom.from_truth(
        "one_subtracted",
        lambda want, norms: want - 1,
        says="This is the growth as a share: the factor minus one. Asked for is the factor.",
    ),
    Symptom(
        "bases_mixed",
        lambda got, want, norms: any(
            abs(got - want**power) < 1e-4 for power in (1 / math.log(10), math.log(10), 1 / math.log(2), math.log(2))
        ),
        says="Two bases met: the logarithm was taken in one and undone in another. "
        "The pairs are log with exp, log10 with 10**, log2 with 2**.",
    ),
    Symptom.from_truth(
        "squared",
        lambda want, norms: want**2,
        says="This is the factor by which the squared norm grows. Fit the norms' logarithms, not those of their squares.",
    ),
    Symptom.from_truth(
        "upside_down",
        lambda want, norms: 1 / want,
        says="This shrinks where the norms grow: the fit ran from the last layer to the first.",
    ),
    Symptom.gives(
        "linear_fit",
        lambda norms: slope_over_layers(profile(norms)),
        lambda norms: math.exp(slope_over_layers(profile(norms))),
        lambda norms: (profile(norms)[-1] - profile(norms)[0]) / (len(norms) - 1),
        lambda norms: 1 + slope_over_layers(profile(norms)) / average(profile(norms)),
        says="The line went through the norms themselves: that is growth by a constant amount. A constant factor is a line in the logarithm.",
    ),
    Symptom.gives(
        "ends_only",
        lambda norms: (profile(norms)[-1] / profile(norms)[0]) ** (1 / (len(norms) - 1)),
        says="Only the first and the last layer count in this (the ratios between multiply out to their quotient). "
        "A least-squares line listens to all {layer_plus_1}.",
    ),
    Symptom.gives(
        "ends_and_one_too_many",
        lambda norms: (profile(norms)[-1] / profile(norms)[0]) ** (1 / len(norms)),
        says="Only the first and the last layer count here, and from the first to the last are fewer steps than {layer_plus_1}.",
    ),
    Symptom.gives(
        "ratios_averaged",
        lambda norms: average(ratios(profile(norms))),
        says="This is the plain mean of the ratios, in which one jump weighs most. Fit a line to the logarithms.",
    ),
    Symptom.gives(
        "total_growth",
        lambda norms: profile(norms)[-1] / profile(norms)[0],
        says="This is the growth over all layers together. Asked for is the factor for one.",
    ),
    Symptom.gives(
        "embedding_left_out",
        lambda norms: rate_of(profile(norms)[1:]),
        says="The embedding was left out of the fit. Here all {layer_plus_1} entries count.",
    ),
    Symptom.gives(
        "last_left_out",
        lambda norms: rate_of(profile(norms)[:-1]),
        says="The last layer was left out of the fit. Here all {layer_plus_1} entries count.",
    ),
    Symptom.gives(
        "through_the_origin",
        lambda norms: math.exp(through_zero([math.log(x) for x in profile(norms)])),
        says="The line was held at zero where the depth is zero, as if the embedding had norm one. Give it an intercept.",
    ),
    Symptom.gives(
        "over_positions",
        lambda norms: rate_of(norms.double().mean(0)[1:].tolist()),
        lambda norms: rate_of(norms.double().mean(0).tolist()),
        lambda norms: rate_of(norms[1:].double().mean(0).tolist()),
        says="The fit ran along the positions. The line goes over the layers, which are the first axis.",
    ),
    Symptom.gives(
        "embedding_for_first_position",
        lambda norms: rate_of(profile(norms[1:], first=0)),
        says="The first layer was set aside, not the first position: norms has the layer first, the position second.",
    ),
    Symptom.gives(
        "squares_averaged",
        lambda norms: rate_of(root_of_squares(norms)),
        says="The squares were averaged over positions. Average the norms, then take the logarithm.",
    ),
)


def about(name, *wrong, says):
    """Like `Symptom.gives`, but to a share of each number: squared norms can be hundreds of times the misses."""

    def when(got, want, norms):
        return any(
            all(math.isclose(g, w, rel_tol=1e-4, abs_tol=1e-5) for g, w in zip(got, formula(norms), strict=True))
            for formula in wrong
        )

    return Symptom(name, when, says)


def pair(score):
    """A wrong way of scoring, applied to both fits."""
    return lambda norms: tuple(
        score(model(profile(norms)), profile(norms)) for model in (exponential_through, walk_through)
    )


def root_mean_square(a, b):
    return length([x - y for x, y in zip(a, b, strict=True)]) / math.sqrt(len(a))


def explained(model, row):
    return 1 - root_mean_square(model, row) ** 2 / root_mean_square(row, [average(row)] * len(row)) ** 2


def logs(row):
    return [math.log(x) for x in row]


def squares(row):
    return [x * x for x in row]


def at_home(norms):
    row = profile(norms)
    return root_mean_square(fitted(logs(row)), logs(row)), root_mean_square(fitted(squares(row)), squares(row))


def explained_at_home(norms):
    row = profile(norms)
    return explained(fitted(logs(row)), logs(row)), explained(fitted(squares(row)), squares(row))


def with_another_walk(other):
    return lambda norms: (misses(profile(norms))[0], miss(other(profile(norms)), profile(norms)))


def line_over_roots(row):
    roots = [math.sqrt(k) for k in range(len(row))]
    intercept, slope = fit(roots, row)
    return [intercept + slope * root for root in roots]


def walk_from_zero(row):
    return [math.sqrt(through_zero(squares(row)) * k) for k in range(len(row))]


def root_of_squares(norms):
    """One norm per layer, from the mean of squares over the positions."""
    return [math.sqrt(average(squares(row[1:]))) for row in norms.double().tolist()]


def exponential_from_the_first(row):
    return [row[0] * rate_of(row) ** k for k in range(len(row))]


def walk_from_the_first(row):
    step = slope_over_layers(squares(row))
    return [math.sqrt(max(row[0] ** 2 + step * k, 0.0)) for k in range(len(row))]


def from_the_first(norms, walk=walk_through):
    row = profile(norms)
    return miss(exponential_from_the_first(row), row), miss(walk(row), row)


FIT_SYMPTOMS = (
    Symptom(
        "below_zero",
        lambda got, want, norms: any(one.isnan().any() for one in got),
        says="There is a NaN in it: the line through the squares dips below zero, and has no root there. Count it as zero.",
    ),
    Symptom.gives(
        "mirrored_below_zero",
        with_another_walk(lambda row: [math.sqrt(abs(y)) for y in fitted(squares(row))]),
        says="Where the line through the squares dips below zero, its sign was dropped. Count it as zero.",
    ),
    about(
        "not_turned_back",
        lambda norms: (
            miss(fitted(logs(profile(norms))), profile(norms)),
            miss(fitted(squares(profile(norms))), profile(norms)),
        ),
        says="The lines through logarithms and squares were held against the norms as they are. Turn each back into norms first.",
    ),
    Symptom.from_truth(
        "swapped",
        lambda want, norms: (want[1], want[0]),
        says="Right numbers, wrong order: first the exponential, then the walk.",
    ),
    about(
        "home_grounds",
        at_home,
        explained_at_home,
        lambda norms: (
            miss(fitted(logs(profile(norms))), logs(profile(norms))),
            miss(fitted(squares(profile(norms))), squares(profile(norms))),
        ),
        lambda norms: tuple(1 - x for x in explained_at_home(norms)),
        says="Each fit was judged on its own ground, one on logarithms and one on squares. These do not compare: "
        "turn both back into norms first.",
    ),
    about(
        "judged_on_squares",
        pair(lambda model, row: root_mean_square(squares(model), squares(row))),
        pair(lambda model, row: miss(squares(model), squares(row))),
        pair(lambda model, row: root_mean_square(squares(model), squares(row)) / average(row)),
        says="Both fits were judged on squared norms, where the walk was fitted and the last layers weigh most. "
        "Judge them on the norms.",
    ),
    Symptom.gives(
        "explained_share",
        pair(explained),
        pair(lambda model, row: 1 - explained(model, row)),
        pair(lambda model, row: math.sqrt(1 - explained(model, row))),
        pair(lambda model, row: math.sqrt((1 - explained(model, row)) * (len(row) - 1) / len(row))),
        says="This is a share of the norms' spread, explained or not. Asked for is the miss: root mean square, over the mean norm.",
    ),
    Symptom.from_truth(
        "not_divided",
        lambda want, norms: tuple(x * average(profile(norms)) for x in want),
        says="The misses are in units of the norm, so a larger model misses by more. Divide by the mean norm.",
    ),
    Symptom.from_truth(
        "no_root",
        lambda want, norms: tuple((x * average(profile(norms))) ** 2 / average(profile(norms)) for x in want),
        says="The mean square is there, its root is not: take it before you divide by the mean norm.",
    ),
    Symptom.from_truth(
        "squared",
        lambda want, norms: tuple(x**2 for x in want),
        says="These are the squares of the misses.",
    ),
    Symptom.from_truth(
        "summed",
        lambda want, norms: tuple(x * math.sqrt(len(norms)) for x in want),
        says="The squares were added over {layer_plus_1} layers, not averaged: more layers would look like a worse fit.",
    ),
    Symptom.from_truth(
        "two_fewer",
        lambda want, norms: tuple(x * math.sqrt(len(norms) / (len(norms) - 2)) for x in want),
        says="The squares were divided by the layers minus two. A fair habit, but asked for is the plain mean; "
        "both fits have two free numbers.",
    ),
    Symptom.gives(
        "absolute",
        pair(lambda model, row: average([abs(a - b) for a, b in zip(model, row, strict=True)]) / average(row)),
        says="This is the mean absolute miss. Asked for is the root mean square.",
    ),
    Symptom.gives(
        "layer_by_layer",
        pair(lambda model, row: root_mean_square([a / b for a, b in zip(model, row, strict=True)], [1.0] * len(row))),
        says="Each layer's miss was divided by its own norm, so that the small first layers decide. Divide once, by the mean norm.",
    ),
    Symptom.gives(
        "first_position_kept",
        lambda norms: misses(profile(norms, first=0)),
        says="The first position was averaged in with the others. Set it aside as before.",
    ),
    Symptom.gives(
        "squares_averaged",
        lambda norms: misses(root_of_squares(norms)),
        lambda norms: (misses(profile(norms))[0], miss(walk_through(root_of_squares(norms)), profile(norms))),
        says="The squares were averaged over positions. Average the norms, then square the average.",
    ),
    Symptom.gives(
        "logs_averaged",
        lambda norms: misses([math.exp(x) for x in log_profile(norms)]),
        lambda norms: (
            miss([math.exp(x) for x in fitted(log_profile(norms))], profile(norms)),
            misses(profile(norms))[1],
        ),
        says="The logarithms were averaged over positions. Average the norms, then take the logarithm.",
    ),
    Symptom.gives(
        "walk_is_linear",
        with_another_walk(fitted),
        says="The second line went through the norms. A walk adds a constant to the *squared* norm.",
    ),
    Symptom.gives(
        "line_over_roots",
        with_another_walk(line_over_roots),
        says="The norms were fitted over the root of the layer's number: a walk that starts from one fixed place. "
        "Fit a line to the squared norms; it finds the start by itself.",
    ),
    Symptom.gives(
        "walk_from_zero",
        with_another_walk(walk_from_zero),
        says="The walk starts from nothing here. The embedding has a length too: give the line an intercept.",
    ),
    Symptom.gives(
        "embedding_left_out",
        lambda norms: misses(profile(norms)[1:]),
        says="The embedding was left out of the fits. Here all {layer_plus_1} entries count.",
    ),
    about(
        "from_the_first_layer",
        from_the_first,
        lambda norms: from_the_first(norms, walk_from_the_first),
        says="The curve was hung on the first layer. The fitted line has an intercept of its own.",
    ),
)


def spectral(gain_and_W):
    return torch.linalg.matrix_norm(gain_and_W, ord=2)


WEIGHT_SYMPTOMS = (
    Symptom.gives(
        "gain_forgotten",
        lambda W, gain: W.square().sum((1, 2)).sqrt(),
        says="The gain is not in it. Half the gain with twice the weights is the same model; your number would double.",
    ),
    Symptom.gives(
        "gain_inverted",
        lambda W, gain: (W / gain.unsqueeze(2)).square().sum((1, 2)).sqrt(),
        says="The rows were divided by the gain. LayerNorm multiplies by it before W reads.",
    ),
    Symptom.gives(
        "gain_squared",
        lambda W, gain: (W * gain.unsqueeze(2) ** 2).square().sum((1, 2)).sqrt(),
        says="The gain counts twice. Multiply the rows by it once, and square only for the norm.",
    ),
    Symptom.gives(
        "gain_under_the_root",
        lambda W, gain: (W.square() * gain.unsqueeze(2).abs()).sum((1, 2)).sqrt(),
        lambda W, gain: (W.square() * gain.unsqueeze(2)).sum((1, 2)).sqrt(),
        says="The squares were multiplied by the gain as it is. Multiply first, then square: the gain is squared too.",
    ),
    Symptom.gives(
        "norms_multiplied",
        lambda W, gain: W.square().sum((1, 2)).sqrt() * gain.norm(dim=1),
        lambda W, gain: W.square().sum((1, 2)).sqrt() * gain.mean(1),
        lambda W, gain: W.square().sum((1, 2)).sqrt() * gain.abs().mean(1),
        lambda W, gain: W.square().sum((1, 2)).sqrt() * gain.square().mean(1).sqrt(),
        says="One number for the gain was multiplied with one number for W. Each row of W has its own gain.",
    ),
    Symptom.gives(
        "largest_singular_value",
        lambda W, gain: spectral(W * gain.unsqueeze(2)),
        says="This is the largest singular value. The Frobenius norm is the root of the sum of all squared entries.",
    ),
    Symptom.gives(
        "nuclear",
        lambda W, gain: torch.linalg.matrix_norm(W * gain.unsqueeze(2), ord="nuc"),
        says="This is the sum of the singular values. The Frobenius norm squares the entries, adds and takes the root.",
    ),
    Symptom.from_truth(
        "squared",
        lambda want, W, gain: want**2,
        says="The root is missing: these are the sums of squares.",
    ),
    Symptom.from_truth(
        "root_mean_square",
        lambda want, W, gain: want / math.sqrt(W[0].numel()),
        says="This is the root mean square of an entry. Asked for is the norm: add the squares, do not average them.",
    ),
    Symptom.gives(
        "mean_row_norm",
        lambda W, gain: (W * gain.unsqueeze(2)).norm(dim=2).mean(1),
        lambda W, gain: (W * gain.unsqueeze(2)).norm(dim=1).mean(1),
        says="The rows (or columns) were measured one by one and averaged. Measure each layer's matrix as a whole.",
    ),
    Symptom.gives(
        "row_norms",
        lambda W, gain: (W * gain.unsqueeze(2)).square().sum(2).sqrt(),
        says="One number per row came back. Asked for is one per layer: square and add over both axes.",
    ),
    Symptom.gives(
        "all_layers_in_one",
        lambda W, gain: (W * gain.unsqueeze(2)).square().sum().sqrt(),
        says="All {layer} layers went into one number. Keep the first axis.",
    ),
    Symptom.gives(
        "absolute_sum",
        lambda W, gain: (W * gain.unsqueeze(2)).abs().sum((1, 2)),
        says="These are sums of absolute values. The Frobenius norm squares, adds and takes the root.",
    ),
    Symptom.gives(
        "gain_added",
        lambda W, gain: (W + gain.unsqueeze(2)).square().sum((1, 2)).sqrt(),
        lambda W, gain: (W * (1 + gain.unsqueeze(2))).square().sum((1, 2)).sqrt(),
        says="A gain multiplies, and by itself: nothing is added to it or to W.",
    ),
    Symptom.gives(
        "layers_merged",
        lambda W, gain: (W * gain.unsqueeze(2)).square().sum((0, 1)).sqrt(),
        lambda W, gain: (W * gain.unsqueeze(2)).square().sum((0, 2)).sqrt(),
        says="The layer axis was added up. Keep the first axis; square and add over the last two.",
    ),
    Symptom.gives(
        "first_gain_for_all",
        lambda W, gain: (W * gain[0].view(1, -1, 1)).square().sum((1, 2)).sqrt(),
        says="Every layer got the first layer's gain. Each of the {layer} has its own.",
    ),
)

PUZZLE = Puzzle(
    slug="growing_residuals",
    title="Growing residuals",
    question="LayerNorm resets every reader. So why does the residual stream grow with depth, and is the growth anything?",
    principle="Growth is no finding until the null that grows too has been ruled out: ask for the shape, not the number.",
    minutes=35,
    models=("gpt2", "mini-deep"),
    after=(),
    parts=(
        Part(
            name="residual_norms",
            takes=("layer_plus_1 batch pos d_model",),
            returns="layer_plus_1 pos",
            points=1,
            cases=resid_cases,
            spec=slow_residual_norms,
            symptoms=NORMS_SYMPTOMS,
            hints=(
                "Two axes go: one is measured, the other averaged. Which comes first?",
                "Length along d_model, the last axis. Then the mean over the batch, axis 1 of what is left.",
            ),
            meaning="One length for each layer and position: what LayerNorm is about to forget.",
        ),
        Part(
            name="growth_rate",
            takes=("layer_plus_1 pos",),
            returns="",
            points=2,
            cases=rate_cases,
            spec=slow_growth_rate,
            symptoms=RATE_SYMPTOMS,
            hints=(
                "If the norm is c times r to the power of the layer, what is its logarithm?",
                "One norm per layer first: norms[:, 1:].mean(1). Then its logarithm into straight_line, and the slope out of it.",
            ),
            meaning="One factor for the whole depth. Any growing curve has one; it does not say that the factor is constant.",
        ),
        Part(
            name="compare_fits",
            takes=("layer_plus_1 pos",),
            returns=("", ""),
            points=3,
            cases=fit_cases,
            spec=slow_compare_fits,
            symptoms=FIT_SYMPTOMS,
            hints=(
                "straight_line gives the fitted values too. What undoes the logarithm, and what the square?",
                "Both fits end as one norm per layer, to be held against the same measured norms.",
                "Before the root, clamp(min=0). For each fit: subtract, square, mean, root, divide by the mean norm.",
            ),
            meaning="Both fits have two free numbers and are judged on the same ground, so the smaller miss may speak.",
        ),
        Part(
            name="weight_norms",
            takes=("layer d_in d_out", "layer d_in"),
            returns="layer",
            points=2,
            cases=weight_cases,
            spec=slow_weight_norms,
            symptoms=WEIGHT_SYMPTOMS,
            hints=(
                "The gain belongs to d_in, the axis that is read. Which axis must it get to meet W?",
                "gain[:, :, None] has shape [layer, d_in, 1]. After the product, one norm over the last two axes.",
            ),
            meaning="With the gain folded in, the norm belongs to the function and not to how it is written down.",
        ),
    ),
    predictions=(
        Prediction("the story", choices=("amplifier", "walk", "louder", "chorus")),
        Prediction("untrained growth", between=(0, 100), within=1),
    ),
    free_text=(
        FreeText(
            name="explanation",
            points=3,
            rubric=(
                "A null that grows too: the untrained model or a random walk, whose fitted rate can be as large.",
                "What would show an exponential: a ratio per layer that does not fall, over much growth, wherever the fit starts.",
                "LayerNorm removes the common scale only: the ratio of old to new remains, so growth lets the old fade.",
            ),
        ),
    ),
)
