"""Bias without a home: what is asked, how it is checked, and what each wrong answer looks like."""

import math

import torch

from mechpuzzles.puzzle import Case, FreeText, Part, Prediction, Puzzle, Symptom

# ---- the oracle: plain Python, row by row and pair by pair ---------------------------------------------------------


def slow_move_offset(W_E, W_pos, v):
    """The new positions are whatever keeps every sum of a token and a place."""
    tokens = torch.stack([row + v.double() for row in W_E.double()])
    sums = [[token + place for token in W_E.double()] for place in W_pos.double()]
    places = [torch.stack([s - t for s, t in zip(of_place, tokens, strict=True)]).mean(0) for of_place in sums]
    return tokens, torch.stack(places)


def slow_log_prob_gap(logits_a, logits_b):
    worst = 0.0
    for a, b in zip(logits_a.double().flatten(0, 1).tolist(), logits_b.double().flatten(0, 1).tolist(), strict=True):
        total_a, total_b = log_sum_exp(a), log_sum_exp(b)
        worst = max(worst, *(abs((x - total_a) - (y - total_b)) for x, y in zip(a, b, strict=True)))
    return worst


def log_sum_exp(numbers):
    top = max(numbers)
    return top + math.log(math.fsum(math.exp(x - top) for x in numbers))


def slow_mean_cosine(W):
    return float(slow_mean_cosines(W[None]))


def slow_mean_cosines(W):
    """For each matrix of the batch the table of all cosines, each pair once."""
    rows = W.double() / W.double().norm(dim=-1, keepdim=True)
    below = torch.tril_indices(W.shape[1], W.shape[1], -1)
    return (rows @ rows.mT)[:, *below].mean(1)


def slow_offset_for(W_E, target):
    """Many lengths are tried, from the one that centres W_E upwards; the best is refined ten times over."""
    mean, W = W_E.double().mean(0), W_E.double()
    lengths = torch.cat([torch.linspace(-1, 1, 41), torch.logspace(0, 3, 61)]).double()
    for _ in range(10):
        misses = (slow_mean_cosines(W + lengths[:, None, None] * mean) - target).abs()
        at = int(misses.argmin())
        lengths = torch.linspace(
            float(lengths[max(at - 1, 0)]), float(lengths[min(at + 1, len(lengths) - 1)]), 9
        ).double()
    return lengths[len(lengths) // 2] * mean


def slow_shared_start(W_E, W_pos):
    starts = [token + place for token in W_E.double() for place in W_pos.double()]
    return torch.stack(starts).mean(0)


# ---- the inputs ---------------------------------------------------------------------------------------------------


def rows(rng, n, d_model, offset):
    """Rows of heavy-tailed lengths around an offset whose coordinates do not average to zero."""
    lengths = torch.exp(0.4 * torch.randn(n, 1, generator=rng))
    common = torch.randn(d_model, generator=rng) + 0.7
    return lengths * torch.randn(n, d_model, generator=rng) + offset * common


def matrices(rng, d_vocab, n_ctx, d_model):
    return rows(rng, d_vocab, d_model, 1.5), rows(rng, n_ctx, d_model, -0.8)


SIZES = ((7, 4, 3), (5, 9, 6), (11, 2, 8))  # d_vocab, n_ctx, d_model


def move_cases(rng):
    for d_vocab, n_ctx, d_model in SIZES:
        W_E, W_pos = matrices(rng, d_vocab, n_ctx, d_model)
        v = 2 * torch.randn(d_model, generator=rng) + 1
        yield Case((W_E, W_pos, v))
    yield Case((W_E, W_pos, -W_E.mean(0)))


def start_cases(rng):
    for sizes in SIZES:
        yield Case(matrices(rng, *sizes))


def logits_cases(rng):
    for (batch, pos, d_vocab), swapped in (((2, 3, 5), False), ((3, 4, 7), True)):
        a, b = two_logits(rng, batch, pos, d_vocab)
        unlikely = int(a[-1, 1].argmin())
        b[-1, 1, unlikely] -= 4  # in the last text, and neither at the first place nor at the last
        yield Case((b, a) if swapped else (a, b))
    a = 3 * torch.randn(2, 4, 6, generator=rng)
    yield Case((a, a + 5 + 20 * torch.rand(2, 4, 1, generator=rng)))  # the same predictions
    a, b = two_logits(rng, 2, 3, 6)
    a[-1, 1, 2], b[-1, 1, 2] = -210, -230  # too unlikely for a probability in float32, and the largest change
    yield Case((a + 110, b + 130))  # and too large to be exponentiated as they are
    a, b = two_logits(rng, 2, 3, 6)
    b[0, 0, int(a[0, 0].argmin())] -= 4  # at the first place
    yield Case((a, b))


def two_logits(rng, batch, pos, d_vocab):
    a = 2 * torch.randn(batch, pos, d_vocab, generator=rng)
    per_place = 6 + 5 * torch.rand(batch, pos, 1, generator=rng)
    return a, a + per_place + 0.5 * torch.randn(batch, pos, d_vocab, generator=rng)


def offset_cases(rng):
    for n, d_model, offset, share in ((7, 5, 0.6, 0.4), (10, 8, 0.3, 0.9), (12, 6, 3.0, -0.6)):
        W = rows(rng, n, d_model, offset)
        now, least = slow_mean_cosine(W), slow_mean_cosine(W - W.mean(0))
        target = now + share * (1 - now) if share > 0 else now + share * (now - least)
        yield Case((W, round(target, 4)))


# ---- the ways of being wrong --------------------------------------------------------------------------------------

MOVE_SYMPTOMS = (
    Symptom.from_truth(
        "other_way",
        lambda want, W_E, W_pos, v: (2 * W_E - want[0], 2 * W_pos - want[1]),
        says="The sums are kept, but v moved the other way: W_E is to gain it, and W_pos to give it up.",
    ),
    Symptom.from_truth(
        "positions_left_alone",
        lambda want, W_E, W_pos, v: (want[0], W_pos),
        says="Only W_E changed, so every sum of a token and a place grew by v: something has to give up what W_E gains.",
    ),
    Symptom.from_truth(
        "tokens_left_alone",
        lambda want, W_E, W_pos, v: (W_E, want[1]),
        says="Only W_pos changed, so every sum of a token and a place lost v.",
    ),
    Symptom.from_truth(
        "both_gain",
        lambda want, W_E, W_pos, v: (want[0], 2 * W_pos - want[1]),
        says="Both matrices gained v: every sum grew by 2 v. Nothing was moved.",
    ),
    Symptom.from_truth(
        "both_lose",
        lambda want, W_E, W_pos, v: (2 * W_E - want[0], want[1]),
        says="Both matrices lost v: every sum shrank by 2 v. Nothing was moved.",
    ),
    Symptom.from_truth(
        "total_kept",
        lambda want, W_E, W_pos, v: (want[0], W_pos + (want[1] - W_pos) * len(W_E) / len(W_pos)),
        says="The sum over all rows of both matrices is kept. The model never adds those: "
        "it adds one row of {d_vocab} and one row of {n_ctx}.",
    ),
    Symptom.from_truth(
        "shared_out",
        lambda want, W_E, W_pos, v: (want[0], W_pos + (want[1] - W_pos) / len(W_pos)),
        says="Each place gave up a share of v only. But a token meets one place, not all {n_ctx}: that one has to give up all of v.",
    ),
    Symptom.from_truth(
        "first_place_only",
        lambda want, W_E, W_pos, v: (want[0], torch.cat([want[1][:1], W_pos[1:]])),
        says="Only the first place gave up v. A token may stand at any place.",
    ),
    Symptom.gives(
        "one_number_of_v",
        lambda W_E, W_pos, v: (W_E + v.mean(), W_pos - v.mean()),
        lambda W_E, W_pos, v: (W_E + v.norm(), W_pos - v.norm()),
        says="v was made one number, the same for every coordinate. It has {d_model}, and each goes to its own coordinate.",
    ),
    Symptom.gives(
        "own_mean_moved",
        lambda W_E, W_pos, v: (W_E - W_E.mean(0), W_pos + W_E.mean(0)),
        says="The mean of W_E was moved out, whatever v is. That is one case; move the v that is given.",
    ),
    Symptom(
        "matrices_swapped",
        lambda got, want, W_E, W_pos, v: got[0].shape == W_pos.shape and got[1].shape == W_E.shape,
        says="The two matrices came back in the other order. W_E goes first.",
    ),
)


def change(a, b):
    """By how much each token's surprise differs."""
    return (b.logsumexp(-1, keepdim=True) - b) - (a.logsumexp(-1, keepdim=True) - a)


def floored(floor):
    """With a small number added to each probability."""
    return lambda a, b: ((a.softmax(-1) + floor).log() - (b.softmax(-1) + floor).log()).abs().max()


GAP_SYMPTOMS = (
    Symptom.gives(
        "floored",
        floored(1e-9),
        floored(1e-12),
        says="The probabilities got a floor before the logarithm, so that what is unlikely no longer counts. "
        "Go from logits straight to log-probabilities.",
    ),
    Symptom.gives(
        "raw_logits",
        lambda a, b: (a - b).abs().max(),
        says="These are differences of raw logits. One number added to all logits of a place changes no prediction, and shows here.",
    ),
    Symptom.gives(
        "probabilities",
        lambda a, b: (a.softmax(-1) - b.softmax(-1)).abs().max(),
        says="These are differences of probabilities. Between a chance of 1 in 1,000 and of 1 in 1,000,000 they see next to nothing; "
        "take the logarithm.",
    ),
    Symptom.from_truth(
        "in_bits",
        lambda want, a, b: want / math.log(2),
        says="This is in bits. Asked for are nats: the natural logarithm.",
    ),
    Symptom.gives(
        "averaged",
        lambda a, b: change(a, b).abs().mean(),
        says="This is the mean change. A mean can hide a prediction that changed a lot: report the worst.",
    ),
    Symptom.gives(
        "added_up",
        lambda a, b: change(a, b).abs().sum(),
        lambda a, b: change(a, b).norm(),
        says="The changes were added up over all places and tokens, so a longer text looks like a larger change. Report the worst.",
    ),
    Symptom.gives(
        "squared",
        lambda a, b: change(a, b).square().max(),
        says="This is the square of the largest change.",
    ),
    Symptom.gives(
        "least_change",
        lambda a, b: change(a, b).abs().min(),
        says="This is the smallest change. To claim that nothing moved, report the largest.",
    ),
    Symptom.gives(
        "one_sign",
        lambda a, b: change(a, b).max(),
        lambda a, b: (b.log_softmax(-1) - a.log_softmax(-1)).max(),
        says="Only changes of one sign were seen. A log-probability that moved the other way counts too.",
    ),
    Symptom.gives(
        "maxima_compared",
        lambda a, b: (a.softmax(-1).max().log() - b.softmax(-1).max().log()).abs(),
        lambda a, b: (a.softmax(-1).amax(-1).log() - b.softmax(-1).amax(-1).log()).abs().max(),
        says="The maxima were taken first and then compared. Compare entry by entry, and take the maximum last.",
    ),
    Symptom.gives(
        "favourites_only",
        lambda a, b: change(a, b).gather(-1, a.argmax(-1, keepdim=True)).abs().max(),
        says="Only the likeliest token of each place was compared. All {d_vocab} count.",
    ),
    Symptom.gives(
        "softmax_over_another_axis",
        lambda a, b: (a.log_softmax(1) - b.log_softmax(1)).abs().max(),
        lambda a, b: (a.log_softmax(0) - b.log_softmax(0)).abs().max(),
        says="The probabilities were made to sum to one over another axis. At each place, they sum to one over the {d_vocab} tokens.",
    ),
    Symptom.gives(
        "softmax_over_everything",
        lambda a, b: (a.flatten().log_softmax(0) - b.flatten().log_softmax(0)).abs().max(),
        says="One softmax was taken over all places together. Each place has probabilities of its own, over {d_vocab} tokens.",
    ),
    Symptom.gives(
        "centred_logits",
        lambda a, b: ((a - a.mean(-1, keepdim=True)) - (b - b.mean(-1, keepdim=True))).abs().max(),
        lambda a, b: ((a - a.amax(-1, keepdim=True)) - (b - b.amax(-1, keepdim=True))).abs().max(),
        says="The logits lost their mean or their maximum. That removes what all tokens share, "
        "but a log-probability is measured from another point: where the probabilities sum to one.",
    ),
    Symptom.gives(
        "first_place_dropped",
        lambda a, b: change(a, b)[:, 1:].abs().max(),
        says="The first place was left out. Predictions are made at all {pos}.",
    ),
    Symptom.gives(
        "last_place_only",
        lambda a, b: change(a, b)[:, -1].abs().max(),
        says="Only the last place was compared. Predictions are made at all {pos}.",
    ),
    Symptom.gives(
        "first_text_only",
        lambda a, b: change(a, b)[0].abs().max(),
        says="Only the first text of the batch was compared. There are {batch}.",
    ),
    Symptom.gives(
        "divergence",
        lambda a, b: (a.softmax(-1) * change(a, b)).sum(-1).max(),
        lambda a, b: (a.softmax(-1) * change(a, b)).sum(-1).mean(),
        says="This is a Kullback-Leibler divergence: a weighted mean in which unlikely tokens hardly count. Here each counts.",
    ),
    Symptom(
        "underflow",
        lambda got, want, a, b: got.shape == () and not math.isfinite(got),
        says="On large or widely spread logits this is not a finite number: an exponential overflowed, or a probability became zero "
        "before its logarithm was taken. Torch has one function that goes straight from logits to log-probabilities.",
    ),
    Symptom(
        "kept_apart",
        lambda got, want, a, b: got.ndim > 0,
        says="Several numbers came back. Asked for is the largest of all changes, over texts, places and tokens: one number.",
    ),
)


def including_itself(W):
    """The mean cosine when each row is also compared with itself."""
    return (slow_mean_cosine(W) * (len(W) - 1) + 1) / len(W)


def with_the_mean(W):
    return float(torch.cosine_similarity(W, W.mean(0, keepdim=True), dim=1).mean())


def length_ratio(W):
    return float(W.mean(0).norm() / W.norm(dim=1).mean())


def power_ratio(W):
    """What the mean cosine would be if all rows had one length."""
    return float(W.mean(0).square().sum() / W.square().sum(1).mean())


def adjusted_power_ratio(W):
    """`power_ratio` without the diagonal."""
    n = len(W)
    return (n * power_ratio(W) - 1) / (n - 1)


def misaligned(v, W):
    """The share of v that is not along the mean row of W; 0 if v is along it, whichever way."""
    mean = W.double().mean(0)
    across = v - (v @ mean) / (mean @ mean) * mean
    return float(across.norm() / v.norm().clamp_min(1e-30))


def offset_gap(got, want, W_E, target):
    """Right is any vector along the mean row with which the mean cosine is the target."""
    if got.shape != want.shape or not got.isfinite().all():
        return math.inf
    miss = abs(slow_mean_cosine(W_E.double() + got) - target)
    return max(miss, misaligned(got, W_E)) / 1e-3


def hits(*statistics):
    """Whether v is along the mean row and makes one of these statistics the target, in place of the mean cosine."""

    def when(got, want, W_E, target):
        along = got.shape == want.shape and misaligned(got, W_E) < 1e-3
        return along and any(abs(stat(W_E.double() + got) - target) < 1e-3 for stat in statistics)

    return when


def hits_from(*origins):
    """Whether the mean cosine is the target from another start than W_E + v: functions of W_E, v and W_E's mean."""

    def when(got, want, W_E, target):
        W, mean = W_E.double(), W_E.double().mean(0)
        along = got.shape == want.shape and misaligned(got, W_E) < 1e-3
        return along and any(abs(slow_mean_cosine(of(W, got, mean)) - target) < 1e-3 for of in origins)

    return when


def is_one_of(*factors):
    """Whether v is one of these multiples of the mean row, from the present mean cosine, the target and the row's length."""

    def when(got, want, W_E, target):
        mean, now = W_E.double().mean(0), slow_mean_cosine(W_E)
        guesses = [factor(now, target, float(mean.norm())) * mean for factor in factors]
        return got.shape == want.shape and any(float((got - v).norm() / v.norm()) < 3e-3 for v in guesses)

    return when


def only_upwards(got, want, W_E, target):
    along = got.shape == want.shape and misaligned(got, W_E) < 1e-3
    return along and target < slow_mean_cosine(W_E) and got @ W_E.double().mean(0) > -1e-3


def near(got, want, W_E, target):
    along = got.shape == want.shape and misaligned(got, W_E) < 1e-3
    return along and abs(slow_mean_cosine(W_E.double() + got) - target) < 0.11


def across(got, want, W_E, target):
    return got.shape == want.shape and misaligned(got, W_E) >= 1e-3


OFFSET_SYMPTOMS = (
    Symptom(
        "length_only",
        lambda got, want, W_E, target: got.ndim == 0,
        says="One number came back. If it is a length or a factor, multiply the direction of the mean row by it: "
        "v has {d_model} coordinates.",
    ),
    Symptom(
        "matrix_returned",
        lambda got, want, W_E, target: got.shape == W_E.shape,
        says="A whole matrix came back. Return v alone, {d_model} numbers.",
    ),
    Symptom(
        "one_number_per_token",
        lambda got, want, W_E, target: got.shape == W_E.shape[:1],
        says="One number per token came back. The mean row averages over the tokens and has {d_model} coordinates.",
    ),
    Symptom.gives(
        "direction_only",
        lambda W_E, target: W_E.mean(0) / W_E.mean(0).norm(),
        lambda W_E, target: W_E.mean(0),
        says="This is the direction. How far to go along it depends on the target: that length is what you search for.",
    ),
    Symptom(
        "target_as_factor",
        is_one_of(
            lambda now, target, length: target,
            lambda now, target, length: target / length,
            lambda now, target, length: target - now,
            lambda now, target, length: (target - now) / length,
            lambda now, target, length: target / now,
            lambda now, target, length: target / now - 1,
            lambda now, target, length: (target / now - 1) / length,
        ),
        says="The target was used as a factor, as if the mean cosine grew in step with the length of v. "
        "It does not: it levels off towards 1. Try a length, measure, and correct.",
    ),
    Symptom(
        "for_centred_rows",
        hits_from(lambda W, v, mean: W - mean + v),
        says="This v is right for centred embeddings. W_E holds its mean already, and v comes on top.",
    ),
    Symptom(
        "subtracted",
        hits_from(lambda W, v, mean: W - v),
        says="W_E minus v has the target, W_E plus v has not: the sign is the other one.",
    ),
    Symptom(
        "units_mixed",
        hits_from(lambda W, v, mean: W + v * mean.norm(), lambda W, v, mean: W + v / mean.norm()),
        says="The factor you found belongs to another vector: search along the mean row and multiply the mean row, "
        "or take the unit vector both times.",
    ),
    Symptom(
        "diagonal_kept",
        hits(including_itself),
        says="With your v the target is met if each token is also compared with itself. Leave those {n} ones out.",
    ),
    Symptom(
        "to_the_mean",
        hits(with_the_mean),
        says="With your v the tokens' mean cosine with the *mean row* is the target. Asked for are pairs of tokens: "
        "two that point along a third need not point as closely along each other.",
    ),
    Symptom(
        "ratio_of_lengths",
        hits(length_ratio),
        says="With your v the length of the mean row over the mean length of a row is the target. That ratio is not a cosine of pairs.",
    ),
    Symptom(
        "lengths_taken_as_equal",
        hits(power_ratio, adjusted_power_ratio),
        says="Your v would be right if all rows had one length. They do not, and a cosine divides by each row's own.",
    ),
    Symptom(
        "only_upwards",
        only_upwards,
        says="Here the target is below what W_E has, and your v does not point against the mean. A mean can also be taken away.",
    ),
    Symptom(
        "near",
        near,
        says="Near, but the mean cosine of W_E + v is not within 0.001 of the target. Halve the interval more often, or make the grid finer.",
    ),
    Symptom(
        "every_coordinate_alike",
        lambda got, want, W_E, target: (
            across(got, want, W_E, target) and (got.max() - got.min()) < 1e-4 * got.abs().max()
        ),
        says="v has the same number in every coordinate. The mean row has {d_model} numbers of its own: average over tokens only.",
    ),
    Symptom(
        "another_direction",
        across,
        says="v does not lie along the mean row of W_E. Many directions can reach a target; asked for is this one.",
    ),
    Symptom(
        "off_target",
        lambda got, want, W_E, target: got.shape == want.shape and misaligned(got, W_E) < 1e-3,
        says="The direction is right, the length is not. Put your v in: compare the mean cosine of W_E + v with the target.",
    ),
)

START_SYMPTOMS = (
    Symptom.gives(
        "tokens_only",
        lambda W_E, W_pos: W_E.mean(0),
        says="This is the mean of W_E alone. The model never reads it alone: a place is added to every token.",
    ),
    Symptom.gives(
        "positions_only",
        lambda W_E, W_pos: W_pos.mean(0),
        says="This is the mean of W_pos alone. A token is added to every place.",
    ),
    Symptom.from_truth(
        "halved",
        lambda want, W_E, W_pos: want / 2,
        says="Half of it. A token and its place are added, not averaged.",
    ),
    Symptom.gives(
        "rows_thrown_together",
        lambda W_E, W_pos: torch.cat([W_E, W_pos]).mean(0),
        says="This is the mean of {d_vocab} + {n_ctx} single rows. Asked for is the mean over {d_vocab} x {n_ctx} sums.",
    ),
    Symptom.from_truth(
        "difference",
        lambda want, W_E, W_pos: 2 * W_E.mean(0) - want,
        says="The two means were subtracted. Token and place are added.",
    ),
    Symptom.gives(
        "first_tokens_only",
        lambda W_E, W_pos: (W_E[: len(W_pos)] + W_pos[: len(W_E)]).mean(0),
        says="The first token was paired with the first place, the second with the second. Every token can stand at every place.",
    ),
    Symptom.gives(
        "sum_of_sums",
        lambda W_E, W_pos: W_E.sum(0) + W_pos.sum(0),
        lambda W_E, W_pos: W_E.sum(0) * len(W_pos) + W_pos.sum(0) * len(W_E),
        says="These are sums, which grow with the {d_vocab} tokens and the {n_ctx} places. Divide by how many there are.",
    ),
    Symptom.gives(
        "directions_averaged",
        lambda W_E, W_pos: (
            (W_E / W_E.norm(dim=1, keepdim=True)).mean(0) + (W_pos / W_pos.norm(dim=1, keepdim=True)).mean(0)
        ),
        says="The rows were given length one first. The model adds them as they are.",
    ),
    Symptom.from_truth(
        "length_only",
        lambda want, W_E, W_pos: want.norm(),
        says="This is the length of it. Return the vector: two starts can be equally long and point apart.",
    ),
    Symptom(
        "all_starts",
        lambda got, want, W_E, W_pos: got.ndim == 3,
        says="These are all {d_vocab} x {n_ctx} sums. Average them over tokens and over places.",
    ),
)

PUZZLE = Puzzle(
    slug="bias_without_a_home",
    title="Bias without a home",
    question="The embeddings' mean cosine is near 0.3 in GPT-2 and above 0.9 in GPT-Neo. What does the difference tell you?",
    principle="A number that can be changed without changing one prediction is no property of what the model computes.",
    minutes=35,
    models=("gpt2", "mini-gpt2", "gpt-neo-125m", "mini-neo", "mini-untied"),
    after=("similar_embeddings",),
    parts=(
        Part(
            name="move_offset",
            takes=("d_vocab d_model", "n_ctx d_model", "d_model"),
            returns=("d_vocab d_model", "n_ctx d_model"),
            points=2,
            cases=move_cases,
            spec=slow_move_offset,
            symptoms=MOVE_SYMPTOMS,
            hints=(
                "Take one token at one place. Its embedding has just grown by v. What must its place do for the sum to stay?",
                "Every row of W_E changes by the same vector, and so does every row of W_pos. Return both, W_E first.",
            ),
            meaning="Every sum of a token and a place is what it was, so every layer reads what it read.",
        ),
        Part(
            name="log_prob_gap",
            takes=("batch pos d_vocab", "batch pos d_vocab"),
            returns="",
            points=2,
            cases=logits_cases,
            spec=slow_log_prob_gap,
            symptoms=GAP_SYMPTOMS,
            hints=(
                "Two sets of logits make the same predictions if their log-probabilities agree. Over which axis do probabilities sum to one?",
                "log_softmax over the last axis of each, then the difference, then its size, then the largest.",
            ),
            meaning="Zero means that no prediction moved anywhere. What all logits of a place share does not count.",
        ),
        Part(
            name="offset_for",
            takes=("n d_model", ""),
            returns="d_model",
            points=3,
            cases=offset_cases,
            spec=slow_offset_for,
            gap=offset_gap,
            symptoms=OFFSET_SYMPTOMS,
            hints=(
                "There is one unknown: how many mean rows to add. What is the mean cosine when you add minus one? And a thousand?",
                "With minus one it is below the target, with a thousand above. Try the middle: which half holds the target?",
                "The whole method: low, high = -1, 1000; forty times, take x halfway, measure the mean cosine of "
                "W_E + x * mean, and move low up to x, or high down to x. Return x * mean.",
            ),
            meaning="Any mean cosine from about 0 to nearly 1 is one vector away.",
        ),
        Part(
            name="shared_start",
            takes=("d_vocab d_model", "n_ctx d_model"),
            returns="d_model",
            points=2,
            cases=start_cases,
            spec=slow_shared_start,
            symptoms=START_SYMPTOMS,
            hints=(
                "Write the double sum over tokens and places. Which term does not depend on the place?",
                "The mean of a sum is the sum of the means.",
            ),
            meaning="What one matrix gains and the other gives up cancels here: moving v leaves it alone.",
        ),
    ),
    predictions=(
        Prediction("the difference", choices=("meaning", "use", "nothing"), right="nothing"),
        Prediction("rise in loss, mean deleted", between=(-1, 15), within=0.5),
    ),
    free_text=(
        FreeText(
            name="explanation",
            points=3,
            rubric=(
                "A vector can be moved between W_E and W_pos, every sum stays, and no log-probability changes: "
                "so the mean cosine of W_E is no property of the function.",
                "Deleting is not moving: it shifts every sum, and the layers are tuned to where the sums lie, so the loss rises.",
                "Where it fails: without learned positions v has nowhere to go (but for the all-ones direction under LayerNorm), "
                "and two models can differ in what they share; compare the sums of both matrices.",
            ),
        ),
    ),
)
