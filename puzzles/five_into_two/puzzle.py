"""Five into two: what is asked, how it is checked, and what each wrong answer looks like."""

import itertools
import math

import torch

from mechpuzzles.puzzle import Case, FreeText, Part, Prediction, Puzzle, Symptom

# ---- the oracle -----------------------------------------------------------------------------------------------------


def slow_all_inputs(density, values):
    """Row by row, each feature's state looked up in a table of its own."""
    tables = [{0.0: 1 - p, **{float(v): p / len(values) for v in values}} for p in density.double().tolist()]
    rows = list(itertools.product([0.0, *map(float, values)], repeat=len(tables)))
    chance = [math.prod(table[state] for table, state in zip(tables, row, strict=True)) for row in rows]
    return torch.tensor(rows, dtype=torch.float64), torch.tensor(chance, dtype=torch.float64)


def slow_price_list(W, b, values):
    """Each set of features, at each combination of values, output by output."""
    rows, biases = W.double().tolist(), b.double().tolist()
    overlap = [[math.fsum(x * y for x, y in zip(one, other, strict=True)) for other in rows] for one in rows]
    prices = []
    for count in range(len(rows) + 1):
        losses = []
        for features in itertools.combinations(range(len(rows)), count):
            for amounts in itertools.product(values, repeat=count):
                given = dict(zip(features, amounts, strict=True))
                errors = []
                for to, bias in enumerate(biases):
                    before = math.fsum([bias, *(amount * overlap[to][i] for i, amount in given.items())])
                    errors.append(max(before, 0.0) - given.get(to, 0.0))
                losses.append(math.fsum(error * error for error in errors))
        prices.append(math.fsum(losses) / len(losses))
    return torch.tensor(prices, dtype=torch.float64)


def ring(n):
    """One answer of many; what counts is `worst_of_one`."""
    turns = [2 * math.pi * k / n for k in range(n)]
    a = 2 / (1 - math.cos(turns[1]))
    arrows = [[math.sqrt(a) * math.cos(turn), math.sqrt(a) * math.sin(turn)] for turn in turns]
    return torch.tensor(arrows, dtype=torch.float64), torch.full((n,), 1 - a, dtype=torch.float64)


CLOSE = 0.01


def fits(got, n):
    W, b = got
    return W.shape == (n, 2) and b.shape == (n,)


def outputs(got):
    """[input, feature]: the outputs with each feature at 1 alone, and in the last row with all at 0."""
    W, b = (one.double() for one in got)
    return torch.cat([W @ W.T, torch.zeros(1, len(W), dtype=W.dtype)]).add(b).clamp(min=0)


def worst_of_one(got, want, n):
    """The largest error over all outputs, in allowed errors."""
    if not fits(got, n):
        return math.inf
    wanted = torch.cat([torch.eye(n), torch.zeros(1, n)]).double()
    worst = float((outputs(got) - wanted).abs().max()) / CLOSE
    return math.inf if math.isnan(worst) else worst


# ---- the inputs -----------------------------------------------------------------------------------------------------


def inputs_cases(rng):
    """Densities all different, none near 0, 1/2 or 1; two and three values; as few features as show a transpose."""
    for n, values in ((2, [1.0, 3.0]), (4, [0.5, 2.0]), (3, [0.25, 1.0, 1.5])):
        steps = torch.randperm(6, generator=rng)[:n]
        yield Case((0.15 + 0.12 * steps + 0.04 * torch.rand(n, generator=rng), values))


def price_cases(rng):
    """Rows of unequal length that disturb each other both ways, biases of both signs, unequal values."""
    for n, d_hidden, values in ((4, 2, [0.5, 2.0]), (3, 5, [0.3, 1.0, 1.7]), (5, 3, [1.5])):
        lengths = torch.exp(0.3 * torch.randn(n, 1, generator=rng))
        W = lengths * torch.randn(n, d_hidden, generator=rng) / math.sqrt(d_hidden) * 1.3
        signs = 1 - 2.0 * (torch.arange(n) % 2)
        yield Case((W, signs * (0.2 + 0.5 * torch.rand(n, generator=rng)), values))


def number_cases(rng):
    for low, high in ((5, 9), (9, 21), (21, 61)):
        yield Case((int(torch.randint(low, high, (), generator=rng)),))


# ---- the learner's own W --------------------------------------------------------------------------------------------

LABELS = ("alone", "pair", "twins", "triangle", "pentagon", "dropped")
N_FEATURES, D_HIDDEN, NOISE = 12, 6, 0.008


def polygon(n):
    turns = 2 * math.pi * torch.arange(n) / n
    return torch.stack([turns.cos(), turns.sin()], dim=1)


def draw_features(rng):
    """Labels and W: groups in dimensions of their own, two dropped features beside two that are not, all turned."""

    def uniform(low, high):
        return low + (high - low) * float(torch.rand((), generator=rng))

    five = bool(torch.randint(2, (), generator=rng))
    # Twelve features and six dimensions either way: a pentagon, or a triangle and one more pair.
    kinds = ["pentagon", "pair", "twins", "alone"] if five else ["triangle", "pair", "pair", "twins", "alone"]
    shapes = {
        "pentagon": polygon(5),
        "triangle": polygon(3),
        "pair": torch.tensor([[1.0], [-1.0]]),
        "twins": torch.tensor([[1.0], [1.0]]),
        "alone": torch.tensor([[1.0]]),
    }
    labels, W, axis = [], torch.zeros(N_FEATURES, D_HIDDEN), 0
    for kind in kinds:
        shape = shapes[kind]
        block = slice(len(labels), len(labels) + len(shape))
        W[block, axis : axis + shape.shape[1]] = uniform(0.9, 1.3) * shape
        labels += [kind] * len(shape)
        axis += shape.shape[1]
    along = [labels.index("alone"), labels.index("pair")]
    for place, neighbour in zip(range(len(labels), N_FEATURES), along, strict=True):
        W[place] = -uniform(0.1, 0.15) * W[neighbour] / W[neighbour].norm()
    labels += ["dropped"] * len(along)
    turn = torch.linalg.qr(torch.randn(D_HIDDEN, D_HIDDEN, generator=rng)).Q
    order = torch.randperm(N_FEATURES, generator=rng).tolist()
    W = W @ turn + NOISE * torch.randn(N_FEATURES, D_HIDDEN, generator=rng)
    return [labels[i] for i in order], W[order]


def own_case(rng):
    labels, W = draw_features(rng)
    return [Case((W,), want=labels)]


# ---- the ways of being wrong ----------------------------------------------------------------------------------------


def listed(n, states):
    """[input, feature]: every way of giving each feature one of the states, the last changing fastest."""
    return torch.tensor(list(itertools.product(map(float, states), repeat=n)), dtype=torch.float64)


def with_chances(*slips):
    """The true inputs, with chances made by one of these from (x, density, values, number of values)."""

    def when(got, want, density, values):
        x, p = want[0], density.double()
        return (
            len(got) == 2
            and got[0].shape == x.shape
            and bool(torch.allclose(got[0], x, atol=1e-4))
            and any(close(got[1], slip(x, p, len(values))) for slip in slips)
        )

    return when


def close(got, formula):
    return got.shape == formula.shape and bool(torch.allclose(got, formula.to(got.dtype), rtol=1e-4, atol=1e-5))


def times(x, on, off):
    """Multiply up each feature's factor."""
    return torch.where(x > 0, on, off).prod(1)


INPUTS_SYMPTOMS = (
    Symptom(
        "exchanged",
        lambda got, want, *given: got[0].ndim == 1 and got[1].ndim == 2,
        says="The two are exchanged: first the inputs, then their chances.",
    ),
    Symptom(
        "transposed",
        lambda got, want, *given: close(got[0], want[0].T),
        says="Each column is an input. Asked for is one row for each input, one column for each feature.",
    ),
    Symptom.gives(
        "values_ignored",
        lambda density, values: (
            listed(len(density), (0, 1)),
            times(listed(len(density), (0, 1)), density.double(), 1 - density.double()),
        ),
        says="Your features are 0 or 1. One that is on takes each of the values in turn, so there are more inputs than that.",
    ),
    Symptom(
        "never_off",
        lambda got, want, density, values: close(got[0], listed(len(density), values)),
        says="No feature is ever off in your list. 0 is a state, too, and comes first.",
    ),
    Symptom(
        "all_off_missing",
        lambda got, want, *given: close(got[0], want[0][1:]),
        says="The input with all features off is missing. It is the likeliest of all where features are rare.",
    ),
    Symptom(
        "all_off_last",
        lambda got, want, density, values: close(got[0], listed(len(density), [*values, 0])),
        says="All off comes last. In each feature's list of states 0 goes first.",
    ),
    Symptom(
        "first_fastest",
        lambda got, want, *given: close(got[0], want[0].flip(1)),
        says="The *first* feature changes fastest. In the order of itertools.product the last one does.",
    ),
    Symptom(
        "not_shared_out",
        with_chances(lambda x, p, v: times(x, p, 1 - p)),
        says="The chances add up to more than 1: each value got the whole density. A feature that is on takes each value equally often.",
    ),
    Symptom(
        "shared_once",
        with_chances(
            lambda x, p, v: times(x, p, 1 - p) / v,
            lambda x, p, v: times(x, p, 1 - p) / torch.where((x > 0).any(1), v, 1),
        ),
        says="The density was shared out among the values once for each input. Every feature that is on shares out its own.",
    ),
    Symptom(
        "off_forgotten",
        with_chances(
            lambda x, p, v: times(x, p / v, torch.ones_like(p)), lambda x, p, v: times(x, p, torch.ones_like(p))
        ),
        says="The features that are off do not count in your chances. Being off has a chance of its own, 1 - density.",
    ),
    Symptom(
        "on_and_off_swapped",
        with_chances(lambda x, p, v: times(x, (1 - p) / v, p), lambda x, p, v: times(x, 1 - p, p)),
        says="On and off are exchanged: density is the chance of being on.",
    ),
    Symptom(
        "off_among_the_values",
        with_chances(
            lambda x, p, v: times(x, p / (v + 1), 1 - p),
            lambda x, p, v: times(x, p / (v + 1), 1 - p + p / (v + 1)),
        ),
        says="The density was shared out among one value too many: 0 is not among the values of a feature that is on.",
    ),
    Symptom(
        "one_density",
        with_chances(
            lambda x, p, v: times(x, p.mean() / v, 1 - p.mean()),
            lambda x, p, v: times(x, p[0] / v, 1 - p[0]),
        ),
        says="One density was used for every feature. Each has its own.",
    ),
    Symptom(
        "added",
        with_chances(lambda x, p, v: torch.where(x > 0, p / v, 1 - p).sum(1)),
        says="The features' chances were added. They are independent, so the chances multiply.",
    ),
    Symptom(
        "averaged",
        with_chances(lambda x, p, v: torch.where(x > 0, p / v, 1 - p).mean(1)),
        says="The features' chances were averaged. They are independent, so the chances multiply.",
    ),
    Symptom(
        "all_equal",
        with_chances(lambda x, p, v: torch.full((len(x),), 1 / len(x), dtype=torch.float64)),
        says="All inputs come out equally likely. How likely one is depends on the densities.",
    ),
    Symptom(
        "values_weighed",
        lambda got, want, density, values: (
            close(got[0], want[0])
            and close(
                got[1], times(want[0], 1, 1 - density.double()) * torch.where(want[0] > 0, want[0] * density, 1).prod(1)
            )
        ),
        says="The values themselves were multiplied into the chances. How large a value is says nothing of how often it comes.",
    ),
)


def by_count(loss, x, how=torch.Tensor.mean):
    """One number for each count of features that are on."""
    on = (x > 0).sum(1)
    return torch.stack([how(loss[on == count]) for count in range(x.shape[1] + 1)])


def outcome(W, b, x):
    """What goes into the ReLU."""
    return torch.einsum("if,fd,gd->ig", x, W.double(), W.double()) + b.double()


def miss(W, b, x):
    """[input, feature] of output minus input."""
    return outcome(W, b, x).clamp(min=0) - x


def slip(per_input, how=torch.Tensor.mean):
    """Prices made by another loss(W, b, x) per input, or by another way of putting the losses together."""

    def formula(W, b, values):
        x = listed(len(W), [0, *values])
        return by_count(per_input(W, b, x), x, how)

    return formula


def squared(W, b, x):
    return miss(W, b, x).pow(2).sum(1)


def through_hidden_relu(W, b, x, last):
    before = torch.einsum("id,gd->ig", torch.einsum("if,fd->id", x, W.double()).clamp(min=0), W.double()) + b.double()
    return ((before.clamp(min=0) if last else before) - x).pow(2).sum(1)


def unit(W):
    return W / W.norm(dim=1, keepdim=True)


def first_so_many_on(W, b, values):
    x = listed(len(W), [0, *values])
    on = x > 0
    in_order = (on[:, :-1] >= on[:, 1:]).all(1)
    return by_count(squared(W, b, x)[in_order], x[in_order])


PRICE_SYMPTOMS = (
    Symptom.gives(
        "relu_forgotten",
        slip(lambda W, b, x: (outcome(W, b, x) - x).pow(2).sum(1)),
        slip(lambda W, b, x: (outcome(W, torch.zeros_like(b), x) - x).pow(2).sum(1)),
        says="The ReLU is missing. Without it, what is negative is disturbance too, and most of it is negative.",
    ),
    Symptom.gives(
        "bias_forgotten",
        slip(lambda W, b, x: squared(W, torch.zeros_like(b), x)),
        slip(lambda W, b, x: (outcome(W, torch.zeros_like(b), x).clamp(min=0) + b.double() - x).pow(2).sum(1)),
        says="The bias is missing, or it is added after the ReLU. It comes before: relu(x @ W @ W.T + b).",
    ),
    Symptom.gives(
        "bias_subtracted",
        slip(lambda W, b, x: squared(W, -b, x)),
        says="The bias was subtracted. It is added.",
    ),
    Symptom.gives(
        "relu_on_hidden",
        slip(lambda W, b, x: through_hidden_relu(W, b, x, last=True)),
        slip(lambda W, b, x: through_hidden_relu(W, b, x, last=False)),
        says="There is a ReLU on the hidden numbers. They may be negative: the only ReLU comes at the end.",
    ),
    Symptom.gives(
        "normalised",
        slip(lambda W, b, x: squared(unit(W), b, x)),
        says="The rows of W were brought to length one. How long a feature's arrow is decides how much of it comes back.",
    ),
    Symptom.gives(
        "averaged_over_features",
        slip(lambda W, b, x: miss(W, b, x).pow(2).mean(1)),
        says="The squared errors are averaged over the {feature} features. They are to be summed: {feature} times as much.",
    ),
    Symptom.gives(
        "absolute",
        slip(lambda W, b, x: miss(W, b, x).abs().sum(1)),
        says="These are absolute errors. The loss is the squared error.",
    ),
    Symptom.gives(
        "root",
        slip(lambda W, b, x: squared(W, b, x).sqrt()),
        lambda W, b, values: slip(squared)(W, b, values).sqrt(),
        says="A root was taken. The loss is the squared error itself, not the length of the error.",
    ),
    Symptom.gives(
        "summed_then_squared",
        slip(lambda W, b, x: miss(W, b, x).sum(1).pow(2)),
        says="The errors were summed before squaring, so that those of opposite sign cancel.",
    ),
    Symptom.gives(
        "only_those_on",
        slip(lambda W, b, x: torch.where(x > 0, miss(W, b, x), 0).pow(2).sum(1)),
        says="Only the features that are on are counted. What they write into the others is an error as well.",
    ),
    Symptom.gives(
        "only_those_off",
        slip(lambda W, b, x: torch.where(x > 0, 0, miss(W, b, x)).pow(2).sum(1)),
        says="Only the features that are off are counted. Those that are on come back changed, too.",
    ),
    Symptom.gives(
        "summed_over_inputs",
        slip(squared, torch.Tensor.sum),
        says="The losses of all inputs with k on were summed. There are many such inputs: take their mean.",
    ),
    Symptom.gives(
        "share_of_all",
        lambda W, b, values: slip(squared, torch.Tensor.sum)(W, b, values) / (1 + len(values)) ** len(W),
        says="Each sum is divided by the number of *all* inputs. Divide by the number of those with k on, "
        "so that the list holds at any density.",
    ),
    Symptom.gives(
        "half_density",
        lambda W, b, values: (
            slip(squared)(W, b, values) * torch.tensor([math.comb(len(W), k) / 2 ** len(W) for k in range(len(W) + 1)])
        ),
        says="The prices carry chances of density 0.5. The list is to hold at any density: given k on, all inputs count the same.",
    ),
    Symptom.gives(
        "per_feature_on",
        lambda W, b, values: slip(squared)(W, b, values) / torch.arange(len(W) + 1).clamp(min=1),
        says="The loss is divided by the number of features on. Asked for is the loss of the whole input.",
    ),
    Symptom.from_truth(
        "none_left_out",
        lambda want, *given: want[1:],
        says="The list starts with one feature on. Entry 0 is the loss with none on: a positive bias costs something there.",
    ),
    Symptom.from_truth(
        "all_left_out",
        lambda want, *given: want[:-1],
        says="The list stops one short: with {feature} features, {feature} may be on.",
    ),
    Symptom.gives(
        "at_least",
        lambda W, b, values: torch.stack(
            [
                squared(W, b, x)[(x > 0).sum(1) >= count].mean()
                for x in [listed(len(W), [0, *values])]
                for count in range(len(W) + 1)
            ]
        ),
        says="Your entries are over inputs with at least k on. Asked for is exactly k.",
    ),
    Symptom.gives(
        "at_most",
        lambda W, b, values: torch.stack(
            [
                squared(W, b, x)[(x > 0).sum(1) <= count].mean()
                for x in [listed(len(W), [0, *values])]
                for count in range(len(W) + 1)
            ]
        ),
        says="Your entries are over inputs with at most k on. Asked for is exactly k.",
    ),
    Symptom.gives(
        "one_times_count",
        lambda W, b, values: slip(squared)(W, b, values)[1] * torch.arange(len(W) + 1),
        lambda W, b, values: (
            slip(squared)(W, b, values)[0]
            + (slip(squared)(W, b, values)[1] - slip(squared)(W, b, values)[0]) * torch.arange(len(W) + 1)
        ),
        says="This is the price of one on, times how many are on. Errors do not add up: list the inputs with two, three and more on.",
    ),
    Symptom.gives(
        "first_so_many",
        first_so_many_on,
        says="Only the first k features were switched on. Which ones are on matters: take every set of k.",
    ),
    Symptom(
        "one_value",
        lambda got, want, W, b, values: (
            any(close(got, slip(squared)(W, b, [value])) for value in [*values, sum(values) / len(values), 1.0])
            or close(got, torch.stack([slip(squared)(W, b, [value]) for value in values]).mean(0))
        ),
        says="Every feature that is on has the same value. Take every combination of values.",
    ),
    Symptom.gives(
        "worst",
        slip(squared, torch.Tensor.max),
        says="These are the largest losses. Asked for are means.",
    ),
    Symptom.gives(
        "median",
        slip(squared, torch.Tensor.median),
        says="These are medians. A bill adds up means.",
    ),
    Symptom.from_truth(
        "reversed",
        lambda want, *given: want.flip(0),
        says="The list runs from all on to none on. Entry 0 belongs to none.",
    ),
)


def squares(got):
    return got[0].double().square().sum(1)


def turns_of(got):
    """The directions of the arrows in turns from 0 to 1, sorted, and the gaps between neighbours."""
    W = got[0].double()
    at = (torch.atan2(W[:, 1], W[:, 0]) / (2 * math.pi) % 1).sort().values
    return torch.cat([at[1:] - at[:-1], at[:1] + 1 - at[-1:]])


def own_outputs(got):
    return outputs(got)[:-1].diagonal()


def nobody_else(got):
    """The largest output of a feature that is off while another is on."""
    out = outputs(got)[:-1]
    return float((out - out.diagonal().diag()).max())


NUMBER_SYMPTOMS = (
    Symptom(
        "other_shapes",
        lambda got, want, n: not fits(got, n),
        says="The shapes are not [n, 2] and [n]. Two numbers have to do, and every feature has a bias of its own, if only the same.",
    ),
    Symptom(
        "on_when_all_is_off",
        lambda got, want, n: float(got[1].max()) > CLOSE,
        says="With every feature off, out is relu(b), and that should be 0. No bias may be positive.",
    ),
    Symptom(
        "ends_meet",
        lambda got, want, n: float(turns_of(got).min()) < 1e-4 and float(turns_of(got).median()) > 1e-3,
        says="Two of your arrows are the same: a whole turn ends where it began. n arrows divide it into n steps.",
    ),
    Symptom(
        "half_a_turn",
        lambda got, want, n: float(turns_of(got).max()) > 0.45,
        says="Your arrows stay on one side of the plane. There is a whole turn to spread them over, and what is opposite is free.",
    ),
    Symptom(
        "uneven",
        lambda got, want, n: float(turns_of(got).max() - turns_of(got).min()) > 0.02,
        says="Your arrows are not evenly spread. The closest two disturb each other most.",
    ),
    Symptom(
        "rounding",
        lambda got, want, n: (
            float(squares(got).max()) > 2e4
            and abs(float(squares(got).max() + got[1].max()) - 1) < 0.1 * float(squares(got).max())
        ),
        says="Your arrows are so long that rounding in float32 shows: 1 is left over from two huge numbers. As long as n needs is enough.",
    ),
    Symptom(
        "length_not_squared",
        lambda got, want, n: (
            close(squares(got).sqrt() + got[1].double(), torch.ones(n)) and float(squares(got).max()) > 1.01
        ),
        says="Your bias fits the arrows' length. A feature's own output is its *squared* length, plus the bias.",
    ),
    Symptom(
        "no_bias",
        lambda got, want, n: float(got[1].abs().max()) < 1e-4,
        says="Without a bias, neighbours less than a quarter turn away hear each other. A negative one silences them; "
        "what does it do to the feature itself?",
    ),
    Symptom(
        "too_short",
        lambda got, want, n: nobody_else(got) < CLOSE and float(own_outputs(got).max()) < 1 - CLOSE,
        says="Neighbours are silent, but a feature's own output falls short of 1: the bias takes from that as well. Lengthen the arrows.",
    ),
    Symptom(
        "too_long",
        lambda got, want, n: nobody_else(got) < CLOSE and float(own_outputs(got).min()) > 1 + CLOSE,
        says="A feature's own output is above 1: squared length plus bias should be 1.",
    ),
    Symptom(
        "neighbours_heard",
        lambda got, want, n: nobody_else(got) > CLOSE and bool((own_outputs(got) - 1).abs().max() < CLOSE),
        says="Alone a feature returns 1, but its neighbours hear it. With more features they are closer: "
        "the squared length, and with it the bias, has to grow with n.",
    ),
)


def mistaken(*pairs):
    """Some features are labelled wrongly, and each of them in one of these ways: (label given, true label)."""

    def when(got, want, W):
        return {(g, w) for g, w in zip(got, want, strict=True) if g != w} <= set(pairs)

    return when


def company_of_the_dropped(got, want, W):
    """Only dropped features are labelled wrongly, one at least, and those that lie along one."""
    cosine = unit(W) @ unit(W).T
    dropped = [i for i, label in enumerate(want) if label == "dropped"]
    wrong = [i for i in range(len(want)) if got[i] != want[i]]
    return bool(set(dropped) & set(wrong)) and all(i in dropped or cosine[i, dropped].abs().max() > 0.2 for i in wrong)


FEATURES_SYMPTOMS = (
    Symptom(
        "number_of_labels",
        lambda got, want, W: len(got) != len(want),
        says="The list needs twelve labels, one for each row of my_W, in order.",
    ),
    Symptom(
        "other_words",
        lambda got, want, W: not set(got) <= set(LABELS),
        says='The labels are "alone", "pair", "twins", "triangle", "pentagon" and "dropped", in lower case.',
    ),
    Symptom(
        "sign_lost",
        mistaken(("pair", "twins"), ("twins", "pair")),
        says="Pairs and twins are confused. Both lie on one line: the sign of their product tells them apart.",
    ),
    Symptom(
        "wrong_polygon",
        mistaken(("triangle", "pentagon"), ("pentagon", "triangle")),
        says="How many are in that plane? Count the features that are not at right angles to it.",
    ),
    Symptom(
        "opposite_only",
        mistaken(("pair", "triangle"), ("pair", "pentagon"), ("alone", "twins"), ("pair", "twins")),
        says="You looked for the one feature most opposite. Some have more company than that, and twins have it on their own side.",
    ),
    Symptom(
        "dropped_unseen",
        company_of_the_dropped,
        says="A cosine forgets length. Which features have next to none? They are no company for the others, either.",
    ),
    Symptom(
        "dropped_too_often",
        mistaken(*[("dropped", label) for label in LABELS]),
        says="One or more features that you call dropped have a length of nearly one. Axes mean nothing here: use the rows' lengths.",
    ),
    Symptom(
        "all_alone",
        mistaken(*[("alone", label) for label in LABELS]),
        says="One or more features that you call alone are not at right angles to all others. Look along their row of W @ W.T.",
    ),
    Symptom(
        "several",
        lambda got, want, W: True,
        says="Several labels are not so. Begin with my_W @ my_W.T: each row shows a feature's length, squared, and its company.",
    ),
)

PUZZLE = Puzzle(
    slug="five_into_two",
    title="Five into two",
    question="How do five features live in two dimensions, and what does it cost?",
    principle="Features share dimensions at the price of being on together: not how rare they are but how often they meet decides who can.",
    minutes=40,
    models=(),
    after=(),
    problems={"4.4": "all_inputs", "4.7": "all_inputs", "4.8": "all_inputs", "4.9": "all_inputs", "4.16": "price_list"},
    draw=lambda rng: draw_features(rng)[1],
    parts=(
        Part(
            name="all_inputs",
            takes=("feature", ""),
            returns=("input feature", "input"),
            points=2,
            cases=inputs_cases,
            spec=slow_all_inputs,
            symptoms=INPUTS_SYMPTOMS,
            hints=(
                "Each feature has a list of states, 0 and the values. torch.cartesian_prod(*lists), or itertools.product, lists all combinations.",
                "In each input, replace every feature's state by its chance, 1 - density or density / len(values). What do you do along the row?",
            ),
            meaning="Chances add up to 1, and the rarest input has its weight. Another world is another list.",
        ),
        Part(
            name="price_list",
            takes=("feature d_hidden", "feature", ""),
            returns="count",
            points=2,
            cases=price_cases,
            spec=slow_price_list,
            symptoms=PRICE_SYMPTOMS,
            hints=(
                "all_inputs(torch.full((len(W),), 0.5), values) lists the inputs you need; its chances you do not need. "
                "(x > 0).sum(1) says how many are on.",
                "One loss for each input, then loss[on == k].mean() for each k from 0 to n_features.",
            ),
            meaning="What an arrangement costs by how many are on, whatever the density.",
        ),
        Part(
            name="one_at_a_time",
            takes=("",),
            returns=("feature d_hidden", "feature"),
            points=2,
            cases=number_cases,
            spec=ring,
            gap=worst_of_one,
            symptoms=NUMBER_SYMPTOMS,
            hints=(
                "Spread n arrows evenly over a whole turn. Feature j hears feature i at W[i] @ W[j] + b. Which of these should be 1, and which at most 0?",
                "With squared length a and angle t between neighbours: a + b = 1, and a * cos(t) + b <= 0. Solve for a.",
            ),
            meaning="Two numbers hold any one of sixty. They cannot hold two of them.",
        ),
        Part(
            name="my_features",
            takes=("feature d_hidden",),
            returns="feature",
            points=2,
            cases=own_case,
            spec=None,
            symptoms=FEATURES_SYMPTOMS,
            kind="label",
            value=True,
            hints=(
                "A rotation changes every entry of W and nothing in W @ W.T. Its diagonal is each feature's squared length.",
                "Set the short rows aside. For each other row count the entries of W @ W.T that are far from 0, and look at their signs.",
            ),
            meaning="Who shares says who had better not meet. Twins cannot be told apart even alone.",
        ),
    ),
    predictions=(
        Prediction("what makes them fit", choices=("room", "rare", "turns"), right="turns"),
        Prediction("features' worth kept at density 0.3", between=(0, 5), within=0.3),
        Prediction("world without a gain", choices=("independent", "never", "always", "none"), right="always"),
    ),
    free_text=(
        FreeText(
            name="explanation",
            points=3,
            rubric=(
                "The arrows alone show nothing: a linear model, or one whose features are always on, has five arrows too.",
                "Measure what comes back and hold it against PCA on the same inputs.",
                "Being on together is what costs, not frequency: features as rare but always together gain nothing; "
                "so count how often features meet.",
            ),
        ),
    ),
)
