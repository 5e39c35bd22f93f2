"""Without LayerNorm: what is asked, how it is checked, and what each wrong answer looks like."""

import math

import torch

from mechpuzzles.answers import agree
from mechpuzzles.puzzle import Case, FreeText, Part, Prediction, Puzzle, Symptom

# ---- the oracles: plain Python on lists, and linear maps found by trying them on basis vectors ---------------------


def average(numbers):
    return math.fsum(numbers) / len(numbers)


def slow_split_norm(x, eps):
    """The variance by pairs: half the average squared difference between two coordinates."""
    rows = x.double().tolist()
    differences = [[average([a - b for b in row]) for a in row] for row in rows]
    variances = [average([(a - b) ** 2 for a in row for b in row]) / 2 for row in rows]
    return torch.tensor(differences, dtype=torch.float64), torch.tensor([math.sqrt(v + eps) for v in variances])


def constant_norm(row, weight, bias, divisor):
    """One row, a list, through a norm whose divisor is given."""
    middle = average(row)
    return [(x - middle) / divisor * w + c for x, w, c in zip(row, weight, bias, strict=True)]


def slow_direct_effects(parts, divisor, weight, bias, W_U):
    """A part's effect is what the row with it gives, minus what a row of zeros gives."""
    weight, bias, W_U = weight.double().tolist(), bias.double().tolist(), W_U.double()
    readings = []
    for part in [*parts.double().tolist(), None]:
        rows = []
        for n, by in enumerate(divisor.double().tolist()):
            nothing = torch.tensor(constant_norm([0.0] * len(weight), weight, bias, by), dtype=torch.float64)
            if part is None:
                rows.append(nothing @ W_U)
            else:
                something = torch.tensor(constant_norm(part[n], weight, bias, by), dtype=torch.float64)
                rows.append(something @ W_U - nothing @ W_U)
        readings.append(torch.stack(rows))
    return torch.stack(readings)


def slow_left_over(change, reading):
    """By pairs of tokens: a square around the mean is half the average squared difference between two entries."""

    def pairs(rows):
        return math.fsum((a - b) ** 2 for row in rows for a in row for b in row)

    change, reading = change.double().tolist(), reading.double().tolist()
    rest = [[c - r for c, r in zip(cs, rs, strict=True)] for cs, rs in zip(change, reading, strict=True)]
    return pairs(rest) / pairs(change)


def slow_fold(W, b, weight, bias, eps):
    """Row i of the new W is what the reader makes of basis vector i, minus what it makes of nothing."""
    weight, bias, d_model = weight.double().tolist(), bias.double().tolist(), len(weight)

    def read(row):
        normed = constant_norm(row, weight, bias, math.sqrt(eps))
        return torch.tensor(normed, dtype=torch.float64) @ W.double() + b.double()

    nothing = read([0.0] * d_model)
    return torch.stack([read([float(i == j) for j in range(d_model)]) - nothing for i in range(d_model)]), nothing


# ---- the inputs ----------------------------------------------------------------------------------------------------


def normal(rng, *shape):
    return torch.randn(*shape, generator=rng)


def away_from_zero(rng, size):
    """Numbers of both signs between 0.6 and 2 in size: none passes for 0 or 1 all over."""
    signs = torch.where(torch.arange(size) % 3 == 0, -1.0, 1.0)
    return signs * (0.6 + 1.4 * torch.rand(size, generator=rng))


def split_cases(rng):
    """The eps is negligible, then as large as the variance, then huge; means are away from zero."""
    for n, d_model, eps, spread in ((6, 5, 1e-5, 1.0), (4, 7, 0.7, 0.8), (5, 3, 1e12, 1.0)):
        lengths = spread * (0.6 + torch.rand(n, 1, generator=rng))
        yield Case((lengths * (normal(rng, n, d_model) + away_from_zero(rng, n)[:, None]), eps))


def direct_cases(rng):
    for part, n, d_model, d_vocab in ((3, 4, 6, 9), (5, 2, 7, 11)):
        parts = normal(rng, part, n, d_model) * (0.5 + torch.rand(part, 1, 1, generator=rng)) + normal(rng, part, n, 1)
        divisor = 0.4 + 2.2 * torch.linspace(0, 1, n) + 0.2 * torch.rand(n, generator=rng)
        W_U = normal(rng, d_model, d_vocab) + 0.6
        yield Case((parts, divisor, away_from_zero(rng, d_model), away_from_zero(rng, d_model), W_U))


def left_over_cases(rng):
    """A reading that is partly right, rows of different size, each with a level of its own, columns too."""
    for n, d_vocab, share, noise in ((6, 9, 0.7, 0.5), (5, 13, 0.4, 0.9), (7, 4, -0.3, 1.2)):
        sizes = 0.5 + 2 * torch.linspace(0, 1, n)[:, None]
        change = sizes * normal(rng, n, d_vocab) + 0.5 * normal(rng, d_vocab)
        reading = share * change + noise * normal(rng, n, d_vocab)
        yield Case((change + 2 * normal(rng, n, 1) + 1.5, reading + 2 * normal(rng, n, 1) - 1))


def fold_cases(rng):
    """The published layout, a milder one, and one that divides by less than one."""
    for d_model, d_out, eps in ((6, 4, 1e12), (5, 8, 40.0), (7, 3, 0.3)):
        weight = away_from_zero(rng, d_model) * math.sqrt(eps)
        yield Case((normal(rng, d_model, d_out) + 0.5, normal(rng, d_out), weight, away_from_zero(rng, d_model), eps))


# ---- the ways of being wrong ---------------------------------------------------------------------------------------


def swapped(got, want, *inputs):
    return agree(got[0], want[1], want[1]) and agree(got[1], want[0], want[0])


def variance(x):
    return x.var(1, unbiased=False)


SPLIT_SYMPTOMS = (
    Symptom("swapped", swapped, says="Right values, wrong order: first the rows, then the divisors."),
    Symptom.gives(
        "not_centred",
        lambda x, eps: x,
        says="The rows came back as they were. Each still has its own mean in it.",
        at=0,
    ),
    Symptom.gives(
        "columns_centred",
        lambda x, eps: x - x.mean(0),
        says="The mean over the {n} rows was subtracted. LayerNorm knows one row at a time: its mean over {d_model} coordinates.",
        at=0,
    ),
    Symptom.gives(
        "one_mean_for_all",
        lambda x, eps: x - x.mean(),
        says="One number was subtracted everywhere. Each of the {n} rows has its own mean.",
        at=0,
    ),
    Symptom(
        "already_divided",
        lambda got, want, x, eps: agree(got[0] * want[1][:, None], want[0], want[0]),
        says="The rows are divided already. Keep the two steps apart: the first is linear, and the second is not.",
    ),
    Symptom.gives(
        "eps_ignored",
        lambda x, eps: variance(x).sqrt(),
        says="There is no eps in the divisor. In the files of a model without LayerNorm, eps is all that counts.",
        at=1,
    ),
    Symptom.gives(
        "eps_outside_the_root",
        lambda x, eps: variance(x).sqrt() + eps,
        lambda x, eps: x.std(1) + eps,
        says="The eps was added to the standard deviation. It belongs under the root: a huge one counts by its root only.",
        at=1,
    ),
    Symptom.gives(
        "eps_squared",
        lambda x, eps: (variance(x) + eps**2).sqrt(),
        says="The eps was squared before it was added. It is added to the variance as it is.",
        at=1,
    ),
    Symptom.gives(
        "root_of_each",
        lambda x, eps: variance(x).sqrt() + math.sqrt(eps),
        says="Variance and eps got a root each. Add first, then take one root.",
        at=1,
    ),
    Symptom.gives(
        "eps_as_floor",
        lambda x, eps: variance(x).clamp(min=eps).sqrt(),
        lambda x, eps: variance(x).sqrt().clamp(min=eps),
        says="The eps served as a floor. It is added, also where the variance is larger.",
        at=1,
    ),
    Symptom.gives(
        "mean_left_in",
        lambda x, eps: (x.square().mean(1) + eps).sqrt(),
        says="This is the root mean square of the row with its mean still in it, as in RMSNorm. Take the centred row.",
        at=1,
    ),
    Symptom.gives(
        "one_degree_less",
        lambda x, eps: (x.var(1) + eps).sqrt(),
        lambda x, eps: x.std(1),
        says="The squares were divided by {d_model} minus one, torch's habit in var and std. LayerNorm divides by {d_model}.",
        at=1,
    ),
    Symptom.gives(
        "summed",
        lambda x, eps: (variance(x) * x.shape[1] + eps).sqrt(),
        says="The squares were added, not averaged: this is the row's length. A wider model would divide by more.",
        at=1,
    ),
    Symptom.from_truth(
        "no_root",
        lambda want, x, eps: want**2,
        says="This is variance plus eps. The root is missing.",
        at=1,
    ),
    Symptom.from_truth(
        "inverse",
        lambda want, x, eps: 1 / want,
        says="This is one over the divisor. Asked for is what LayerNorm divides by.",
        at=1,
    ),
    Symptom.gives(
        "one_divisor_for_all",
        lambda x, eps: (variance(x).mean() + eps).sqrt().expand(len(x)),
        lambda x, eps: (x.var(unbiased=False) + eps).sqrt().expand(len(x)),
        says="All {n} rows got the same divisor. Each has its own, and there lies the trouble.",
        at=1,
    ),
    Symptom(
        "per_column",
        lambda got, want, x, eps: got[1].shape == x.shape[1:],
        says="One divisor per coordinate came back. Asked for is one for each of the {n} rows.",
    ),
    Symptom(
        "axis_kept",
        lambda got, want, x, eps: got[1].shape == (len(x), 1),
        says="The divisors have a second axis of size one. It helps while you divide; return one number for each row.",
    ),
)


def row_means_gone(x):
    return x - x.mean(-1, keepdim=True)


def effects(parts, divisor, weight, bias, W_U, last=None, each=0.0):
    """What a slip makes of the parts, given what it makes of the rest; ``each`` comes on top of every part."""
    last = (bias @ W_U).expand(1, parts.shape[1], -1) if last is None else last
    return torch.cat([(parts / divisor.unsqueeze(-1) * weight) @ W_U + each, last])


def own_divisor(parts):
    return row_means_gone(parts).square().mean(-1).sqrt()


def shared_out(parts, divisor, weight, bias, W_U):
    readings = effects(row_means_gone(parts), divisor, weight, bias, W_U)
    return readings[:-1] + readings[-1:] / len(parts)


def no_bias_here(want):
    return torch.cat([want[:-1], torch.zeros_like(want[:1])])


def with_last(want, last):
    return torch.cat([want[:-1], last.expand_as(want[:1])])


DIRECT_SYMPTOMS = (
    Symptom(
        "bias_left_out",
        lambda got, want, *i: agree(got, no_bias_here(want), want) or agree(got, want[:-1], want),
        says="The bias has no row. The readings then miss the logits by what it adds.",
    ),
    Symptom.from_truth(
        "bias_in_every_part",
        lambda want, *i: torch.cat([want[:-1] + want[-1:], want[-1:]]),
        says="The bias is in every part's reading and in its own row: {part} times too often.",
    ),
    Symptom(
        "bias_counted_with_parts",
        lambda got, want, *i: agree(got, want[:-1] + want[-1:], want),
        says="The bias was added to each of the {part} parts. It is there once, and belongs to none of them: give it the last row.",
    ),
    Symptom.gives(
        "bias_shared_out",
        shared_out,
        lambda *i: torch.cat([shared_out(*i), torch.zeros_like(shared_out(*i)[:1])]),
        says="The bias was shared out among the parts. The sum is right, and each part is blamed for what it did not say.",
    ),
    Symptom.from_truth(
        "bias_first",
        lambda want, *i: want.roll(1, 0),
        says="The bias came first. Right rows; it is the last one that is asked for the bias.",
    ),
    Symptom.from_truth(
        "bias_divided",
        lambda want, parts, divisor, *i: with_last(want, want[-1:] / divisor.unsqueeze(-1)),
        says="The bias was divided too. LayerNorm adds it after dividing.",
    ),
    Symptom.gives(
        "bias_weighted",
        lambda parts, divisor, weight, bias, W_U: effects(
            row_means_gone(parts),
            divisor,
            weight,
            bias,
            W_U,
            last=((bias * weight) @ W_U).expand(1, len(divisor), -1),
        ),
        says="The bias was multiplied by the weight. LayerNorm adds it after that.",
    ),
    Symptom.gives(
        "bias_centred",
        lambda parts, divisor, weight, bias, W_U: effects(
            row_means_gone(parts), divisor, weight, row_means_gone(bias), W_U
        ),
        says="The bias was centred. LayerNorm centres what comes in; the bias is added at the end.",
    ),
    Symptom.gives(
        "bias_not_read",
        lambda parts, divisor, weight, bias, W_U: effects(
            row_means_gone(parts), divisor, weight, bias, W_U, last=torch.ones(1, len(divisor), W_U.shape[1])
        ),
        says="The last row holds ones. The bias is read through W_U like everything else.",
    ),
    Symptom.gives(
        "centring_dropped",
        effects,
        says="The parts were not centred. A norm without its divisor still subtracts each row's own mean.",
    ),
    Symptom.gives(
        "centred_over_parts",
        lambda parts, *rest: effects(parts - parts.mean(0), *rest),
        says="The mean over the {part} parts was subtracted, as if they were samples. Centre each row over its {d_model} coordinates.",
    ),
    Symptom.gives(
        "centred_over_rows",
        lambda parts, *rest: effects(parts - parts.mean(1, keepdim=True), *rest),
        says="The mean over the {n} rows was subtracted. Centre each row over its {d_model} coordinates.",
    ),
    Symptom.gives(
        "own_divisors",
        lambda parts, divisor, *rest: torch.cat(
            [effects(row_means_gone(one)[None], own_divisor(one), *rest)[:1] for one in parts]
            + [effects(parts, divisor, *rest)[-1:]]
        ),
        says="Each part was divided by its own spread. In the model all parts of a row share one divisor, the one you are given.",
    ),
    Symptom.from_truth(
        "not_divided",
        lambda want, parts, divisor, *i: torch.cat([want[:-1] * divisor.unsqueeze(-1), want[-1:]]),
        says="The parts were not divided at all.",
    ),
    Symptom.from_truth(
        "multiplied",
        lambda want, parts, divisor, *i: torch.cat([want[:-1] * divisor.unsqueeze(-1) ** 2, want[-1:]]),
        says="The parts were multiplied by the divisor.",
    ),
    Symptom.from_truth(
        "divided_twice",
        lambda want, parts, divisor, *i: torch.cat([want[:-1] / divisor.unsqueeze(-1), want[-1:]]),
        says="The parts were divided twice, or by the square of the divisor.",
    ),
    Symptom.from_truth(
        "divided_by_the_root",
        lambda want, parts, divisor, *i: torch.cat([want[:-1] * divisor.unsqueeze(-1).sqrt(), want[-1:]]),
        says="The parts were divided by the root of the divisor. The root is in it already.",
    ),
    Symptom.from_truth(
        "average_divisor",
        lambda want, parts, divisor, *i: torch.cat([want[:-1] * divisor.unsqueeze(-1) / divisor.mean(), want[-1:]]),
        says="All {n} rows were divided by the average divisor. Each row has its own.",
    ),
    Symptom.gives(
        "weight_forgotten",
        lambda parts, divisor, weight, bias, W_U: effects(row_means_gone(parts), divisor, 1.0, bias, W_U),
        says="The norm's weight is missing: it multiplies each coordinate before W_U reads it.",
    ),
    Symptom.gives(
        "weight_before_centring",
        lambda parts, divisor, weight, bias, W_U: effects(row_means_gone(parts * weight), divisor, 1.0, bias, W_U),
        says="The weight came before the centring. LayerNorm centres first.",
    ),
    Symptom.from_truth(
        "centred_over_the_vocabulary",
        lambda want, *i: row_means_gone(want),
        says="The readings were centred over the vocabulary. No prediction minds, but they no longer sum to the logits.",
    ),
    Symptom(
        "summed",
        lambda got, want, *i: got.shape == want.shape[1:],
        says="The parts were added up. Keep one reading for each.",
    ),
    Symptom(
        "axes_swapped",
        lambda got, want, *i: got.shape == want.transpose(0, 1).shape,
        says="The axes came in another order: parts first, then rows, then the vocabulary.",
    ),
)


def rest_over(change, reading, whole=None):
    whole = change if whole is None else whole
    return (change - reading).square().sum() / whole.square().sum()


def columns_gone(x):
    return x - x.mean(0, keepdim=True)


def on_centred(formula):
    """A slip made after the centring was done rightly."""
    return lambda change, reading: formula(row_means_gone(change), row_means_gone(reading))


def cosine(a, b):
    return (a * b).sum() / (a.norm() * b.norm())


LEFT_OVER_SYMPTOMS = (
    Symptom.gives(
        "not_centred",
        rest_over,
        says="The rows keep their means. A number added to all {d_vocab} logits of a row changes no prediction, and should not count.",
    ),
    Symptom.gives(
        "rows_averaged_out",
        lambda c, r: rest_over(columns_gone(c), columns_gone(r)),
        says="The mean over the {n} rows was subtracted. Softmax is blind to a number added to a row: subtract the mean over {d_vocab}.",
    ),
    Symptom.gives(
        "one_mean_for_all",
        lambda c, r: rest_over(c - c.mean(), r - r.mean()),
        says="One number was subtracted everywhere. Each row has its own level.",
    ),
    Symptom.gives(
        "half_centred",
        lambda c, r: rest_over(c - r, 0 * r, row_means_gone(c)),
        lambda c, r: rest_over(row_means_gone(c - r), 0 * r, c),
        lambda c, r: rest_over(row_means_gone(c), r),
        lambda c, r: rest_over(c, row_means_gone(r), row_means_gone(c)),
        lambda c, r: rest_over(c, row_means_gone(r)),
        says="Only one side was centred. Do so to the change and to the reading, before anything is squared.",
    ),
    Symptom.gives(
        "divided_by_the_reading",
        on_centred(lambda c, r: rest_over(c, r, r)),
        says="Below stands the reading. What is to be explained is the change.",
    ),
    Symptom.from_truth(
        "root",
        lambda want, *i: want.sqrt(),
        says="This is the ratio of two lengths. A share of squares adds up with what is explained; lengths do not.",
    ),
    Symptom.from_truth(
        "squared",
        lambda want, *i: want**2,
        says="It is squared once too often.",
    ),
    Symptom.from_truth(
        "explained",
        lambda want, *i: 1 - want,
        says="This is the share that the reading gets right. Asked for is what it leaves over.",
    ),
    Symptom.from_truth(
        "upside_down",
        lambda want, *i: 1 / want,
        says="The ratio is upside down.",
    ),
    Symptom.gives(
        "mean_of_ratios",
        on_centred(lambda c, r: ((c - r).square().sum(1) / c.square().sum(1)).mean()),
        on_centred(lambda c, r: ((c - r).square().sum(0) / c.square().sum(0)).mean()),
        says="This is a mean of ratios, in which the smallest changes count most. Pool first: all squares above, all squares below.",
    ),
    Symptom.gives(
        "one_per_row",
        on_centred(lambda c, r: (c - r).square().sum(1) / c.square().sum(1)),
        says="One number per row came back. Pool the {n} rows: all squares above, all squares below.",
    ),
    Symptom.gives(
        "best_multiple",
        on_centred(lambda c, r: 1 - cosine(c, r) ** 2),
        on_centred(lambda c, r: 1 - cosine(c, r)),
        lambda c, r: 1 - torch.corrcoef(torch.stack([c.flatten(), r.flatten()]))[0, 1] ** 2,
        lambda c, r: 1 - torch.corrcoef(torch.stack([c.flatten(), r.flatten()]))[0, 1],
        on_centred(cosine),
        on_centred(lambda c, r: cosine(c, r) ** 2),
        says="A correlation forgives a wrong size. The reading claims an amount: hold it against the change as it is.",
    ),
    Symptom.gives(
        "squares_subtracted",
        on_centred(lambda c, r: 1 - r.square().sum() / c.square().sum()),
        on_centred(lambda c, r: (c.square().sum() - r.square().sum()).abs() / c.square().sum()),
        says="The squares were subtracted, so that a large reading of the wrong thing looks good. Subtract, then square.",
    ),
    Symptom.gives(
        "added",
        on_centred(lambda c, r: rest_over(c, -r)),
        says="Reading and change were added. What is left over is their difference.",
    ),
    Symptom.gives(
        "not_divided",
        on_centred(lambda c, r: (c - r).square().sum()),
        on_centred(lambda c, r: (c - r).square().mean()),
        says="These are squares of logits. Divide by those of the change, to have a share.",
    ),
    Symptom.gives(
        "absolute",
        on_centred(lambda c, r: (c - r).abs().sum() / c.abs().sum()),
        says="These are absolute values. Asked for are squares.",
    ),
)


def gained(W, weight, eps):
    return W * (weight / eps**0.5).unsqueeze(1)


def columns_sum_to_zero(W):
    return W - W.mean(0, keepdim=True)


FOLD_SYMPTOMS = (
    Symptom.gives(
        "centring_dropped",
        lambda W, b, weight, bias, eps: gained(W, weight, eps),
        says="The divisor went, and the centring with it. The norm subtracts each row's mean whatever eps is: let new_W do so.",
        at=0,
    ),
    Symptom.gives(
        "outputs_centred",
        lambda W, b, weight, bias, eps: row_means_gone(gained(W, weight, eps)),
        says="Each row of the matrix lost its mean over the {d_out} outputs. The norm subtracts a mean over the {d_model} inputs.",
        at=0,
    ),
    Symptom.gives(
        "centred_before_the_weight",
        lambda W, b, weight, bias, eps: gained(columns_sum_to_zero(W), weight, eps),
        says="Both are there, in the wrong order: x is centred before the weight, so the weight meets W first. "
        "A push along (1, ..., 1) should do nothing.",
        at=0,
    ),
    Symptom.gives(
        "weight_centred",
        lambda W, b, weight, bias, eps: gained(W, weight - weight.mean(), eps),
        says="The weight was centred. It is x that the norm centres.",
        at=0,
    ),
    Symptom.gives(
        "one_mean_for_all",
        lambda W, b, weight, bias, eps: gained(W, weight, eps) - gained(W, weight, eps).mean(),
        says="One number was subtracted from all of W. Each of the {d_out} columns has its own mean over the inputs.",
        at=0,
    ),
    Symptom.from_truth(
        "divisor_forgotten",
        lambda want, W, b, weight, bias, eps: want * math.sqrt(eps),
        says="Nothing is divided. With gpt2_noLN's weights, every reader would get its input a million times too large.",
        at=0,
    ),
    Symptom.from_truth(
        "eps_without_root",
        lambda want, W, b, weight, bias, eps: want / math.sqrt(eps),
        says="The weight was divided by eps. The norm divides by its root.",
        at=0,
    ),
    Symptom.from_truth(
        "multiplied",
        lambda want, W, b, weight, bias, eps: want * eps,
        says="The weight was multiplied by the root of eps. The norm divides by it.",
        at=0,
    ),
    Symptom.from_truth(
        "divided_by_a_million",
        lambda want, W, b, weight, bias, eps: want * math.sqrt(eps) / 1e6,
        says="A million is right for one value of eps. Use the one you are given.",
        at=0,
    ),
    Symptom.gives(
        "weight_forgotten",
        lambda W, b, weight, bias, eps: columns_sum_to_zero(W),
        lambda W, b, weight, bias, eps: columns_sum_to_zero(W) / math.sqrt(eps),
        says="The norm's weight is not in it: each coordinate is multiplied by its own before W reads it.",
        at=0,
    ),
    Symptom.gives(
        "folded_twice",
        lambda W, b, weight, bias, eps: columns_sum_to_zero(gained(gained(W, weight, eps), weight, eps)),
        lambda W, b, weight, bias, eps: columns_sum_to_zero(
            gained(columns_sum_to_zero(gained(W, weight, eps)), weight, eps)
        ),
        says="The weight is folded in twice. A norm that has been folded must not act again.",
        at=0,
    ),
    Symptom.gives("W_as_it_was", lambda W, b, weight, bias, eps: W, says="W came back as it was.", at=0),
    Symptom(
        "transposed",
        lambda got, want, *i: got[0].shape == want[0].T.shape,
        says="The matrix is transposed. Rows are inputs here: x @ new_W.",
    ),
    Symptom("swapped", swapped, says="Right values, wrong order: first the matrix, then the bias."),
    Symptom.gives(
        "bias_dropped",
        lambda W, b, weight, bias, eps: b,
        says="The norm's bias was dropped. The reader reads it too, in every row.",
        at=1,
    ),
    Symptom.from_truth(
        "reader_bias_dropped",
        lambda want, W, b, weight, bias, eps: want - b,
        says="The reader's own b is missing.",
        at=1,
    ),
    Symptom.gives(
        "bias_through_the_new_matrix",
        lambda W, b, weight, bias, eps: b + gained(W, weight, eps).T @ bias,
        lambda W, b, weight, bias, eps: b + columns_sum_to_zero(gained(W, weight, eps)).T @ bias,
        says="The norm's bias went through the new matrix. It is added after centring, dividing and the weight, so the old W reads it.",
        at=1,
    ),
    Symptom.from_truth(
        "bias_divided",
        lambda want, W, b, weight, bias, eps: b + (want - b) / math.sqrt(eps),
        says="The norm's bias was divided by the root of eps. It is added after the division.",
        at=1,
    ),
    Symptom.gives(
        "bias_centred",
        lambda W, b, weight, bias, eps: b + columns_sum_to_zero(W).T @ bias,
        says="The norm's bias was centred. It is x that the norm centres; the bias comes later.",
        at=1,
    ),
    Symptom.from_truth(
        "bias_twice",
        lambda want, W, b, weight, bias, eps: 2 * want - b,
        says="The norm's bias is folded in twice.",
        at=1,
    ),
    Symptom.gives(
        "bias_added_unread",
        lambda W, b, weight, bias, eps: b + bias.sum(),
        lambda W, b, weight, bias, eps: b + bias.mean(),
        says="The norm's bias was added without being read. It lives among the {d_model} inputs: W takes it to the {d_out} outputs.",
        at=1,
    ),
    Symptom.from_truth(
        "bias_subtracted",
        lambda want, W, b, weight, bias, eps: 2 * b - want,
        says="What the reader makes of the norm's bias was subtracted. It is added.",
        at=1,
    ),
)

PUZZLE = Puzzle(
    slug="without_layernorm",
    title="Without LayerNorm",
    question="What is left to explain when LayerNorm is gone?",
    principle="Parts that add up are no explanation: a reading becomes an effect only where nobody else reads the part.",
    minutes=45,
    models=("mini-noln", "mini-gpt2"),
    after=(),
    problems={"3.27": "left_over", "6.4": "fold"},
    parts=(
        Part(
            name="split_norm",
            takes=("n d_model", ""),
            returns=("n d_model", "n"),
            points=1,
            cases=split_cases,
            spec=slow_split_norm,
            symptoms=SPLIT_SYMPTOMS,
            hints=(
                "Both means, of the row and of its squares, run over d_model, the last axis.",
                "x.mean(1, keepdim=True) can be subtracted from x. The variance is the mean square of what is left.",
            ),
            meaning="The first step is linear. The divisor is the only place where one part of a row can change what another says.",
        ),
        Part(
            name="direct_effects",
            takes=("part n d_model", "n", "d_model", "d_model", "d_model d_vocab"),
            returns="part_plus_1 n d_vocab",
            points=2,
            cases=direct_cases,
            spec=slow_direct_effects,
            symptoms=DIRECT_SYMPTOMS,
            hints=(
                "Follow the four steps of LayerNorm. Which of them act on a part, and which one is there once?",
                "divisor[:, None] meets [part, n, d_model] row by row.",
                "Put the bias, expanded to [1, n, d_model], behind the parts, and read them all with W_U at once.",
            ),
            meaning="With the divisor given, reading is linear: whatever is added up before can be added up after.",
        ),
        Part(
            name="left_over",
            takes=("n d_vocab", "n d_vocab"),
            returns="",
            points=2,
            cases=left_over_cases,
            spec=slow_left_over,
            symptoms=LEFT_OVER_SYMPTOMS,
            hints=(
                "Centre both over the vocabulary, axis 1. Then two sums of squares.",
                "Above stands the difference, below the change; both sums run over all rows and all tokens.",
            ),
            meaning="0 if the reading is the effect, 1 if you might as well have guessed zero, more if it misleads.",
        ),
        Part(
            name="fold",
            takes=("d_model d_out", "d_out", "d_model", "d_model", ""),
            returns=("d_model d_out", "d_out"),
            points=3,
            cases=fold_cases,
            spec=slow_fold,
            symptoms=FOLD_SYMPTOMS,
            hints=(
                "What does the reader make of a row of zeros? That is new_b.",
                "The weight belongs to the inputs, so to the rows of W: weight[:, None].",
                "Centring x before a matrix is the same as centring the matrix over its inputs.",
            ),
            meaning="A norm with a fixed divisor is no step of its own. It was a part of every reader.",
        ),
    ),
    predictions=(
        Prediction("the story", choices=("all", "layer", "last", "none"), right="last"),
        Prediction("left over of the embedding", between=(0, 2)),
    ),
    free_text=(
        FreeText(
            name="explanation",
            points=3,
            rubric=(
                "The sum shows only that the last step is linear; with a shared divisor it adds up with LayerNorm too.",
                "The test is an intervention: take the part out, run again, hold the change against the reading.",
                "What is left: how later parts answer to earlier ones, that is attention's choices and GELU's.",
            ),
        ),
    ),
)
