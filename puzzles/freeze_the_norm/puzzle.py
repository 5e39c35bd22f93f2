"""Freeze the norm: what is asked, how it is checked, and what each wrong answer looks like."""

import math
import statistics

import torch

from mechpuzzles.answers import agree
from mechpuzzles.puzzle import Case, FreeText, Part, Prediction, Puzzle, Symptom

# ---- the oracles: plain Python on lists; a norm that is run, a slope that is measured, a root that is searched ------


def scale_of(row, eps):
    return math.sqrt(statistics.pvariance(row) + eps)


def dot(a, b):
    return math.fsum(x * y for x, y in zip(a, b, strict=True))


def slow_difference_direction(W_U, b_U, weight, bias, right, wrong):
    """Run the norm and the unembedding on a stream of zeros, then on each basis vector."""
    weight, bias, W_U, b_U = (one.double().tolist() for one in (weight, bias, W_U, b_U))

    def difference(row, scale):
        normed = [(x - statistics.fmean(row)) / scale * w + c for x, w, c in zip(row, weight, bias, strict=True)]
        by_token = [dot(normed, [reader[token] for reader in W_U]) + b_U[token] for token in (right, wrong)]
        return by_token[0] - by_token[1]

    constant = difference([0.0] * len(weight), 1.0)
    basis = [[float(i == j) for j in range(len(weight))] for i in range(len(weight))]
    scales = [scale_of(row, 0.0) for row in basis]
    direction = [(difference(row, s) - constant) * s for row, s in zip(basis, scales, strict=True)]
    return torch.tensor(direction, dtype=torch.float64), constant


def difference_of(row, direction, eps):
    """The logit difference of one stream, a list, without its constant."""
    return dot(row, direction) / scale_of(row, eps)


def as_lists(parts, direction):
    parts = parts.double().tolist()
    return parts, [math.fsum(column) for column in zip(*parts, strict=True)], direction.double().tolist()


def slow_removals(parts, direction, eps):
    """Each part is left out of a new sum."""
    parts, stream, direction = as_lists(parts, direction)
    rows = []
    for gone, part in enumerate(parts):
        others = [row for number, row in enumerate(parts) if number != gone]
        rest = [math.fsum(column) for column in zip(*others, strict=True)]
        fall = difference_of(stream, direction, eps) - difference_of(rest, direction, eps)
        words = dot(part, direction) / scale_of(stream, eps)
        rows.append([words, fall - words])
    return torch.tensor(rows, dtype=torch.float64)


def slow_gradients(parts, direction, eps):
    """The slope along each part, from four points of a small step."""
    parts, stream, direction = as_lists(parts, direction)

    def at(part, t):
        return difference_of([x + t * y for x, y in zip(stream, part, strict=True)], direction, eps)

    def slope(part, h):
        return (at(part, h) - at(part, -h)) / (2 * h)

    return torch.tensor([(4 * slope(part, 1e-4) - slope(part, 2e-4)) / 3 for part in parts], dtype=torch.float64)


def slow_silent(stream, direction, factor):
    """Add more and more of what the pair of tokens cannot see, or take it away, until the answer is as asked."""
    stream, direction = stream.double().tolist(), direction.double().tolist()
    mean, share = statistics.fmean(stream), dot(stream, direction) / dot(direction, direction)
    unseen = [x - mean - share * y for x, y in zip(stream, direction, strict=True)]
    least, most = -1.0, 1.0 / factor  # of the unseen; the answer falls as it grows
    wanted = factor * difference_of(stream, direction, 0.0)
    for _ in range(100):
        middle = (least + most) / 2
        found = difference_of([x + middle * y for x, y in zip(stream, unseen, strict=True)], direction, 0.0)
        least, most = (middle, most) if abs(found) > abs(wanted) else (least, middle)
    return torch.tensor([least * y for y in unseen], dtype=torch.float64)


# ---- the inputs -----------------------------------------------------------------------------------------------------


def normal(rng, *shape):
    return torch.randn(*shape, generator=rng)


def away_from_zero(rng, size):
    """Numbers of both signs between 0.6 and 2 in size: none passes for 0 or 1."""
    signs = torch.where(torch.arange(size) % 3 == 0, -1.0, 1.0)
    return signs * (0.6 + 1.4 * torch.rand(size, generator=rng))


def direction_cases(rng):
    for d_model, d_vocab, right, wrong in ((5, 9, 2, 7), (8, 6, 4, 1), (6, 11, 0, 3)):
        W_U, b_U = normal(rng, d_model, d_vocab), normal(rng, d_vocab)
        weight, bias = away_from_zero(rng, d_model), away_from_zero(rng, d_model)
        W_U[:, right] += 1.0 + 0.5 * bias  # what the mean, the weight and the bias do must show
        b_U[right] += 3.0
        yield Case((W_U, b_U, weight, bias, right, wrong))


def level(row):
    return row - row.mean(-1, keepdim=True)


def unit(row):
    return row / row.norm()


def some_direction(rng, d_model):
    return (1.3 + 0.5 * float(torch.rand((), generator=rng))) * unit(level(normal(rng, d_model)))


def stream_of(rng, part, d_model, direction):
    """Parts of different length with means of their own, which share a stretch of the way and say much in sum."""
    common = unit(level(normal(rng, d_model)))
    lengths = 0.6 + 1.8 * torch.linspace(0, 1, part)[torch.randperm(part, generator=rng)]
    parts = lengths[:, None] * (unit(level(normal(rng, d_model))) * 0.4 + common + 0.5 * normal(rng, part, d_model))
    parts = parts + 0.8 * away_from_zero(rng, part)[:, None]
    short_of = 3.0 - float(parts.sum(0) @ unit(direction))
    return parts + short_of * lengths[:, None] / lengths.sum() * unit(direction)


def stream_cases(rng):
    """One eps is negligible, the others are not; the logit difference is never near zero."""
    for part, d_model, eps in ((4, 9, 1e-5), (6, 8, 0.7), (3, 11, 1.6)):
        direction = some_direction(rng, d_model)
        yield Case((stream_of(rng, part, d_model, direction), direction, eps))


def silent_cases(rng):
    """What speaks is a fifth to a third of the stream; the answer is turned up, and once down."""
    for d_model, factor in ((9, 2.0), (12, 1.5), (7, 0.6), (10, 2.5)):
        direction = some_direction(rng, d_model)
        unseen = level(normal(rng, d_model))
        unseen = unseen - (unseen @ unit(direction)) * unit(direction)
        share = 0.2 + 0.12 * float(torch.rand((), generator=rng))
        stream = 2.5 * unit(unseen) + 2.5 * share * unit(direction)
        yield Case((stream + 1.2 + float(torch.rand((), generator=rng)), direction, factor))


# ---- the ways of being wrong ----------------------------------------------------------------------------------------


def columns(W_U, right, wrong):
    return W_U[:, right] - W_U[:, wrong]


def tokens_swapped(got, want, *inputs):
    return agree(got[0], -want[0], want[0]) and agree(got[1], -want[1], want[1])


def order_swapped(got, want, *inputs):
    return agree(got[0], want[1], want[1]) and agree(got[1], want[0], want[0])


DIRECTION_SYMPTOMS = (
    Symptom("order_swapped", order_swapped, says="Right values, wrong order: first the direction, then the constant."),
    Symptom(
        "tokens_swapped",
        tokens_swapped,
        says="Both values have the other sign: the difference is that of the right token minus the wrong one.",
    ),
    Symptom.gives(
        "not_centred",
        lambda W_U, b_U, weight, bias, right, wrong: weight * columns(W_U, right, wrong),
        says="The direction still sees a number added to all {d_model} coordinates of the stream. The norm subtracts it. "
        "(A mean over the vocabulary is another thing, and cancels in a difference.)",
        at=0,
    ),
    Symptom.gives(
        "centred_too_early",
        lambda W_U, b_U, weight, bias, right, wrong: weight * level(columns(W_U, right, wrong)),
        lambda W_U, b_U, weight, bias, right, wrong: level(level(columns(W_U, right, wrong)) * weight),
        says="Centring came on the wrong side of the weight. The stream is centred first and weighted then; "
        "moved into the direction, the order turns round.",
        at=0,
    ),
    Symptom.gives(
        "weight_centred",
        lambda W_U, b_U, weight, bias, right, wrong: level(weight) * columns(W_U, right, wrong),
        says="The weight was centred. Centring acts on the stream, so on the product of weight and W_U.",
        at=0,
    ),
    Symptom.gives(
        "weight_forgotten",
        lambda W_U, b_U, weight, bias, right, wrong: level(columns(W_U, right, wrong)),
        lambda W_U, b_U, weight, bias, right, wrong: columns(W_U, right, wrong),
        says="The norm's weight is missing from the direction: it multiplies each coordinate before W_U reads it.",
        at=0,
    ),
    Symptom.gives(
        "weight_divided",
        lambda W_U, b_U, weight, bias, right, wrong: level(columns(W_U, right, wrong) / weight),
        says="The direction was divided by the weight. The norm multiplies by it.",
        at=0,
    ),
    Symptom.gives(
        "one_token",
        lambda W_U, b_U, weight, bias, right, wrong: level(weight * W_U[:, right]),
        says="That direction reads the right token's logit alone. Subtract the wrong token's column.",
        at=0,
    ),
    Symptom.from_truth(
        "unit_length",
        lambda want, *i: want / want.norm(),
        says="The direction was scaled to length one. Its length counts: it turns a stream into logits.",
        at=0,
    ),
    Symptom.gives(
        "constant_left_out",
        lambda *i: 0.0,
        says="The constant is zero. A stream of zeros passes through the norm too: what does the model say then?",
        at=1,
    ),
    Symptom.gives(
        "bias_left_out",
        lambda W_U, b_U, weight, bias, right, wrong: b_U[right] - b_U[wrong],
        says="The constant holds b_U alone. The norm's own bias is read through W_U.",
        at=1,
    ),
    Symptom.gives(
        "unembedding_bias_left_out",
        lambda W_U, b_U, weight, bias, right, wrong: bias @ columns(W_U, right, wrong),
        says="b_U is not in the constant. In this model it is zero; once a norm is folded into W_U, it is not.",
        at=1,
    ),
    Symptom.gives(
        "unembedding_bias_of_one",
        lambda W_U, b_U, weight, bias, right, wrong: bias @ columns(W_U, right, wrong) + b_U[right],
        says="The constant has b_U of the right token, and not minus that of the wrong one.",
        at=1,
    ),
    Symptom.gives(
        "bias_treated_as_stream",
        lambda W_U, b_U, weight, bias, right, wrong: (
            (weight * bias) @ columns(W_U, right, wrong) + b_U[right] - b_U[wrong]
        ),
        lambda W_U, b_U, weight, bias, right, wrong: (
            level(weight * columns(W_U, right, wrong)) @ bias + b_U[right] - b_U[wrong]
        ),
        lambda W_U, b_U, weight, bias, right, wrong: level(bias) @ columns(W_U, right, wrong) + b_U[right] - b_U[wrong],
        says="The norm's bias was centred or weighted like the stream. It is added after both, and read through W_U as it is.",
        at=1,
    ),
)


def deviation(x, eps):
    return (x.var(-1, unbiased=False) + eps).sqrt()


def root_mean_square(x, eps):
    return (x.square().mean(-1) + eps).sqrt()


def eps_outside(x, eps):
    return x.var(-1, unbiased=False).sqrt() + eps


def one_degree_less(x, eps):
    return (x.var(-1) + eps).sqrt()


def length(x, eps):
    return (level(x).square().sum(-1) + eps).sqrt()


def pair(words, effect):
    return torch.stack([words, effect - words], dim=1)


def by_scale(scale):
    """What another scale would make of every part's removal."""

    def formula(parts, direction, eps):
        whole = parts.sum(0)
        rest = whole.expand_as(parts) - parts
        words = parts @ direction / scale(whole, eps)
        return pair(words, words.sum() - rest @ direction / scale(rest, eps))

    return formula


def without_eps(parts, direction, eps):
    return by_scale(deviation)(parts, direction, 0.0)


def put_in_again(parts, direction, eps):
    """The falls when each part is added once more."""
    whole = parts.sum(0)
    twice = whole + parts
    words = parts @ direction / deviation(whole, eps)
    return pair(words, words.sum() - twice @ direction / deviation(twice, eps))


def one_after_another(parts, direction, eps):
    """The falls when those before have gone already."""
    whole = parts.sum(0)
    rest = whole - parts.cumsum(0)
    words = parts @ direction / deviation(whole, eps)
    return pair(words, words.sum() - rest @ direction / deviation(rest, eps))


def went_one_after_another(got, want, parts, direction, eps):
    """All removals but the last, after which only rounding is left to divide by; falls from the whole, or one by one."""
    words, volume = one_after_another(parts, direction, eps).T
    so_far = words + volume
    each = so_far.diff(prepend=so_far.new_zeros(1))
    return any(agree(got[:-1], pair(words, falls)[:-1], want[:-1]) for falls in (so_far, each))


def words_at_new_scale(parts, direction, eps):
    whole = parts.sum(0)
    rest = whole - parts
    words, effect = by_scale(deviation)(parts, direction, eps).T[0], by_scale(deviation)(parts, direction, eps).sum(1)
    return pair(words * deviation(whole, eps) / deviation(rest, eps), effect)


def own_scale(parts, direction, eps):
    """Each part read through a norm of its own."""
    effect = by_scale(deviation)(parts, direction, eps).sum(1)
    return pair(parts @ direction / deviation(parts, eps), effect)


def second(want, column):
    return torch.stack([want[:, 0], column], dim=1)


def ratios(parts, eps):
    """Scale of the whole stream over that without each part."""
    whole = parts.sum(0)
    return deviation(whole, eps) / deviation(whole - parts, eps)


def sign_turned(got, want, *inputs):
    turned = (second(want, -want[:, 1]), second(want, -want.sum(1) - want[:, 0]), second(want, -want.sum(1)), -want)
    return any(agree(got, one, want) for one in turned)


REMOVAL_SYMPTOMS = (
    Symptom(
        "one_column",
        lambda got, want, *i: got.ndim == 1,
        says="There is one number for each part. Two are asked for: words, and volume.",
    ),
    Symptom.from_truth(
        "transposed",
        lambda want, *i: want.T,
        says="Rows and columns are exchanged: one row for each of the {part} parts, two columns.",
    ),
    Symptom.from_truth(
        "columns_swapped",
        lambda want, *i: want.flip(1),
        says="The columns are swapped: first words, then volume.",
    ),
    Symptom.from_truth(
        "scale_held",
        lambda want, *i: second(want, torch.zeros(len(want))),
        says="Nothing is left for volume, so the scale was still that of the whole stream. "
        "Without the part, the norm divides by the scale of the rest.",
    ),
    Symptom.from_truth(
        "whole_fall",
        lambda want, *i: second(want, want.sum(1)),
        says="The second column is the whole fall. Volume is what is left of it when the words are taken off.",
    ),
    Symptom(
        "sign_turned",
        sign_turned,
        says="A sign is turned. A fall is the logit difference of the whole stream, minus that without the part.",
    ),
    Symptom.from_truth(
        "own_words_turned_up",
        lambda want, parts, direction, eps: second(want, (1 - ratios(parts, eps)) * want[:, 0].sum()),
        says="The new scale was applied to the part's own words as well. They are gone: volume acts on what the others say.",
    ),
    Symptom.from_truth(
        "ratio_upside_down",
        lambda want, parts, direction, eps: second(
            want, (1 - 1 / ratios(parts, eps)) * (want[:, 0].sum() - want[:, 0])
        ),
        says="The ratio of the two scales is upside down: in a shorter stream the others get louder, not quieter.",
    ),
    Symptom.gives(
        "added",
        put_in_again,
        says="The part was put in once more. Take it out: the stream minus the part.",
    ),
    Symptom(
        "one_after_another",
        went_one_after_another,
        says="The parts went one after another. Each is to go alone, with all the others there.",
    ),
    Symptom.gives(
        "words_at_new_scale",
        words_at_new_scale,
        says="The words were read at the scale without the part. Read them at that of the whole stream; the rest is volume.",
    ),
    Symptom.gives(
        "own_scale",
        own_scale,
        says="Each part was divided by its own scale. The norm sees the whole stream only.",
    ),
    Symptom.gives(
        "not_centred",
        by_scale(root_mean_square),
        says="The scale has the row's mean in it, as in RMSNorm. LayerNorm takes the variance.",
    ),
    Symptom.gives("eps_ignored", without_eps, says="The eps is missing. It is added to the variance, under the root."),
    Symptom.gives(
        "eps_outside",
        by_scale(eps_outside),
        says="The eps was added to the standard deviation. It belongs under the root.",
    ),
    Symptom.gives(
        "one_degree_less",
        by_scale(one_degree_less),
        says="The squares were divided by {d_model} minus one, torch's habit in var and std. LayerNorm divides by {d_model}.",
    ),
    Symptom.gives(
        "length_for_scale",
        by_scale(length),
        says="You divided by the length of the stream. The scale is the root of the *mean* square of its coordinates.",
    ),
)


def slope_parts(parts, direction, eps, scale=deviation):
    """Words, and how much the parts say in sum, and how far each goes along the stream, all at one scale."""
    whole = parts.sum(0)
    words = parts @ direction / scale(whole, eps)
    along = (level(parts) * level(whole)).mean(1) / scale(whole, eps) ** 2
    return words, words.sum(), along


def volume_alone(parts, direction, eps):
    _, total, along = slope_parts(parts, direction, eps)
    return -total * along


def times_volume(factor):
    """The slopes with the change of the scale ``factor`` times too large."""

    def formula(parts, direction, eps):
        words, total, along = slope_parts(parts, direction, eps)
        return words - factor(parts, eps) * total * along

    return formula


def at_the_part(parts, direction, eps):
    """Each slope taken where the part stands alone."""
    alone = deviation(parts, eps)
    return parts @ direction / alone * (1 - level(parts).square().mean(1) / alone**2)


def slopes_of_rms(parts, direction, eps):
    whole = parts.sum(0)
    scale = root_mean_square(whole, eps)
    words = parts @ direction / scale
    return words - words.sum() * (parts * whole).mean(1) / scale**2


def slopes_uncentred(parts, direction, eps):
    """The scale is right, and its slope is that of a root mean square."""
    words, total, _ = slope_parts(parts, direction, eps)
    whole = parts.sum(0)
    return words - total * (parts * whole).mean(1) / deviation(whole, eps) ** 2


def slopes_with_var(parts, direction, eps):
    whole = parts.sum(0)
    scale = one_degree_less(whole, eps)
    words = parts @ direction / scale
    return words - words.sum() * (level(parts) * level(whole)).sum(1) / (len(whole) - 1) / scale**2


def slopes_with_length(parts, direction, eps):
    whole = parts.sum(0)
    scale = length(whole, eps)
    words = parts @ direction / scale
    return words - words.sum() * (level(parts) * level(whole)).sum(1) / scale**2


def slopes_without_eps(parts, direction, eps):
    words, total, along = slope_parts(parts, direction, 0.0)
    return words - total * along


def scale_of_whole(parts, eps):
    return deviation(parts.sum(0), eps)


GRADIENT_SYMPTOMS = (
    Symptom(
        "summed",
        lambda got, want, *i: got.ndim == 0,
        says="One number came back. Asked for is one for each of the {part} parts.",
    ),
    Symptom(
        "not_dotted",
        lambda got, want, parts, *i: got.shape == parts.shape or got.shape == parts.shape[1:],
        says="That has an axis of {d_model} coordinates. Take the dot product of the gradient with each part.",
    ),
    Symptom.gives(
        "scale_held",
        lambda parts, direction, eps: slope_parts(parts, direction, eps)[0],
        says="These are the frozen attributions: the scale was taken for a constant. It depends on the stream as well.",
    ),
    Symptom.gives(
        "volume_alone",
        volume_alone,
        says="That is only what the scale does. The words are missing.",
    ),
    Symptom.gives(
        "sign_of_volume",
        times_volume(lambda parts, eps: -1.0),
        says="The words are right; what the scale does has the wrong sign. A longer stream makes the answer quieter.",
    ),
    Symptom.from_truth(
        "accumulated",
        lambda want, *i: want * torch.arange(1, len(want) + 1),
        says="The gradient grew with every part: backward adds to what is there. One gradient serves all parts.",
    ),
    Symptom.from_truth(
        "averaged",
        lambda want, parts, *i: want / parts.shape[1],
        says="The product of gradient and part was averaged over {d_model} coordinates. A dot product adds.",
    ),
    Symptom.gives(
        "removed",
        lambda parts, direction, eps: by_scale(deviation)(parts, direction, eps).sum(1),
        says="These are the falls when each part goes. Asked for is the slope where the stream stands, times the part.",
    ),
    Symptom.gives(
        "at_the_part",
        at_the_part,
        says="Each gradient was taken at the part by itself. Take one, at the whole stream.",
    ),
    Symptom.gives(
        "wrong_power",
        times_volume(scale_of_whole),
        times_volume(lambda parts, eps: scale_of_whole(parts, eps) ** 2),
        times_volume(lambda parts, eps: 1 / scale_of_whole(parts, eps)),
        says="Words are right, and in what the scale does a power of the scale is off. Let autograd try.",
    ),
    Symptom.gives(
        "half_or_double",
        times_volume(lambda parts, eps: 0.5),
        times_volume(lambda parts, eps: 2.0),
        says="Words are right; what the scale does is half or double. The root's half and the square's two cancel.",
    ),
    Symptom.gives(
        "mean_forgotten",
        times_volume(lambda parts, eps: float(parts.shape[1])),
        says="Words are right; what the scale does is {d_model} times too large. The scale holds a mean, not a sum.",
    ),
    Symptom.gives(
        "slope_not_centred",
        slopes_uncentred,
        says="Words are right; what the scale does is that of a stream with its mean. The scale is of the centred stream; so is its slope.",
    ),
    Symptom.gives(
        "not_centred",
        slopes_of_rms,
        says="The scale has the row's mean in it, as in RMSNorm. LayerNorm takes the variance.",
    ),
    Symptom.gives(
        "eps_ignored",
        slopes_without_eps,
        says="The eps is missing. It is added to the variance, under the root.",
    ),
    Symptom.gives(
        "one_degree_less",
        slopes_with_var,
        says="The squares were divided by {d_model} minus one, torch's habit in var and std. LayerNorm divides by {d_model}.",
    ),
    Symptom.gives(
        "length_for_scale",
        slopes_with_length,
        says="You divided by the length of the stream. The scale is the root of the *mean* square of its coordinates.",
    ),
)


def loudness(stream, direction):
    """The logit difference over what it could be at most: a cosine."""
    return float(torch.cosine_similarity(level(stream.double()), direction.double(), dim=0))


def words_of(vector, stream, direction):
    """What the vector says, in what the stream says."""
    return float(vector.double() @ direction.double() / (stream.double() @ direction.double()))


SILENT_TOLERANCE = 2e-4


def silent_gap(got, want, stream, direction, factor):
    """Any vector will do that says nothing and multiplies the answer by ``factor``."""
    if got.shape != stream.shape or not got.isfinite().all():
        return math.inf
    turned_up = loudness(stream + got, direction) / loudness(stream, direction)
    return max(abs(words_of(got, stream, direction)), abs(turned_up / factor - 1)) / SILENT_TOLERANCE


def is_right(vector, stream, direction, factor):
    return silent_gap(vector, None, stream, direction, factor) <= 1


def silent_part(stream, direction):
    """What of the centred stream the pair of tokens cannot see."""
    return level(stream) - (stream @ direction) / (direction @ direction) * direction


def without_root(want, stream, direction):
    """The silent part kept by the square of the right factor."""
    silent = silent_part(stream, direction)
    kept = (want + silent).norm() / silent.norm()
    return (kept**2 - 1) * silent


def is_silent(got, stream, direction):
    return abs(words_of(got, stream, direction)) <= SILENT_TOLERANCE


def follows_the_stream(got, centred):
    """Nothing but a multiple of the centred stream, and a number on all coordinates."""
    across = level(got) - (got @ centred) / (centred @ centred) * centred
    return bool(got.norm() > 1e-3 and across.norm() < 1e-3 * got.norm())


SILENT_SYMPTOMS = (
    Symptom(
        "new_stream",
        lambda got, want, stream, direction, factor: (
            is_right(got - stream, stream, direction, factor)
            or is_right(got - level(stream), stream, direction, factor)
        ),
        says="That is the new stream. Asked for is what has to be added to the old one.",
    ),
    Symptom(
        "sign_turned",
        lambda got, want, stream, direction, factor: is_right(-got, stream, direction, factor),
        says="Right, but for the sign: the vector is added to the stream.",
    ),
    Symptom(
        "whole_stream",
        lambda got, want, stream, direction, factor: follows_the_stream(got, level(stream.double())),
        says="That changes the whole stream by a factor, or all coordinates alike. The norm hears neither: the answer stays.",
    ),
    Symptom(
        "speaks",
        lambda got, want, stream, direction, factor: not is_silent(got, stream, direction),
        says="The vector has a dot product with the direction. It is to say nothing, and to act through the scale alone.",
    ),
    Symptom(
        "factor_upside_down",
        lambda got, want, stream, direction, factor: is_right(got, stream, direction, 1 / factor),
        says="The answer was multiplied by one over the factor. A shorter stream is a louder one.",
    ),
    Symptom(
        "loud_part_forgotten",
        lambda got, want, stream, direction, factor: agree(
            got, (1 / factor - 1) * silent_part(stream, direction), want
        ),
        says="What is silent was scaled by one over the factor. But what speaks is also part of the length, and it stays: "
        "solve for the length of the whole.",
    ),
    Symptom(
        "root_missing",
        lambda got, want, stream, direction, factor: agree(got, without_root(want, stream, direction), want),
        says="A root is missing: lengths add by their squares, and the factor you need is that of a length.",
    ),
    Symptom(
        "another_factor",
        lambda got, want, stream, direction, factor: is_silent(got, stream, direction),
        says="It says nothing, as asked, but the answer is multiplied by another number. "
        "The answer goes with one over the length of the centred stream, vector included.",
    ),
)


PUZZLE = Puzzle(
    slug="freeze_the_norm",
    title="Freeze the norm",
    question="Direct logit attributions do not add up. What did you forget?",
    principle="The last norm's scale belongs to all parts at once: frozen, each part is credited with its words, "
    "and nobody with how loud it leaves the others.",
    minutes=45,
    models=("mini-gpt2", "gpt2", "mini-deep", "gpt-neo-125m", "mini-neo", "mini-noln"),
    after=("without_layernorm",),
    problems={"3.27": "removals", "6.1": "silent", "6.4": "removals"},
    parts=(
        Part(
            name="difference_direction",
            takes=("d_model d_vocab", "d_vocab", "d_model", "d_model", "", ""),
            returns=("d_model", ""),
            points=1,
            cases=direction_cases,
            spec=slow_difference_direction,
            symptoms=DIRECTION_SYMPTOMS,
            hints=(
                "Write out what the norm does to a stream, and read it with the column of the right token minus that of the wrong one.",
                "Centring the stream and then taking a dot product is the same as centring the other vector.",
                "What is left when the stream is zero? The norm's bias, read by the same two columns, and b_U.",
            ),
            meaning="All of the norm but its scale is in these two. Only the scale is left to forget.",
        ),
        Part(
            name="removals",
            takes=("part d_model", "d_model", ""),
            returns="part effect",
            points=2,
            cases=stream_cases,
            spec=slow_removals,
            symptoms=REMOVAL_SYMPTOMS,
            hints=(
                "The stream without each part is stream - parts: one row for each part.",
                "scale(stream - parts, eps) gives one scale for each of these rows.",
                "The fall is one quotient minus another. Volume is the fall minus the words.",
            ),
            meaning="Who leaves takes its words along, and leaves the others louder or quieter.",
        ),
        Part(
            name="gradients",
            takes=("part d_model", "d_model", ""),
            returns="part",
            points=2,
            cases=stream_cases,
            spec=slow_gradients,
            symptoms=GRADIENT_SYMPTOMS,
            hints=(
                "One gradient, of one number, at one stream. Then a dot product with every part.",
                "x = parts.sum(0).requires_grad_() is where you differentiate; backward() puts the gradient into x.grad.",
            ),
            meaning="Two linear readings of one norm: one holds the scale, the other lets it follow.",
        ),
        Part(
            name="silent",
            takes=("d_model", "d_model", ""),
            returns="d_model",
            points=3,
            cases=silent_cases,
            spec=slow_silent,
            symptoms=SILENT_SYMPTOMS,
            hints=(
                "Split the centred stream in two: what goes along the direction, and the rest. The rest is silent.",
                "Louder means shorter: keep what speaks, and multiply the rest by a number t. By Pythagoras, "
                "speaking squared plus t squared times silent squared is the new length squared.",
                "The new length is the old one over the factor. What is added is (t - 1) times the silent rest.",
            ),
            meaning="Its attribution is zero, and it decides how large the answer is.",
            gap=silent_gap,
        ),
    ),
    predictions=(
        Prediction("fall without the last MLP", between=(-3, 3)),
        Prediction("sum of the gradients", choices=("answer", "falls", "zero"), right="zero"),
    ),
    free_text=(
        FreeText(
            name="explanation",
            points=3,
            rubric=(
                "The attributions hold the scale of the whole stream: they say whose words are in the sum, and the sum is no test of what a removal does.",
                "Taking the part out changes the scale, and so what all others say: by intervention the fall differs from the words.",
                "When the frozen scale may be believed: what replaces the part leaves the stream's length; so report the ratio of the scales, or run the model.",
            ),
        ),
    ),
)
