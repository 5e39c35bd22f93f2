"""Suspiciously similar embeddings: what is asked, how it is checked, and what each wrong answer looks like."""

import math

import torch

from mechpuzzles.limits import Limits
from mechpuzzles.puzzle import Case, FreeText, Part, Prediction, Puzzle, Symptom

# ---- the oracle: plain Python over pairs of rows; it never forms the mean vector ------------------------------------


def dot(a, b):
    return math.fsum(x * y for x, y in zip(a, b, strict=True))


def cosine(a, b):
    return dot(a, b) / math.sqrt(dot(a, a) * dot(b, b))


def slow_mean_pairwise_cosine(W):
    rows = W.double().tolist()
    pairs = [(i, j) for i in range(len(rows)) for j in range(i)]
    return math.fsum(cosine(rows[i], rows[j]) for i, j in pairs) / len(pairs)


def slow_cosine_to_mean(W):
    """``w_i . m`` is the average of ``w_i . w_j`` over j, and ``m . m`` the average of those."""
    rows = W.double().tolist()
    along = [math.fsum(dot(a, b) for b in rows) / len(rows) for a in rows]
    squared_length = math.fsum(along) / len(rows)
    return torch.tensor([x / math.sqrt(dot(a, a) * squared_length) for x, a in zip(along, rows, strict=True)])


def slow_centre(W):
    """A centred row is its average difference from every row."""
    return torch.stack([torch.stack([row - other for other in W.double()]).mean(0) for row in W.double()])


def slow_offset_ratio(W):
    """The squared length of the mean is the average dot product over all ordered pairs, each row with itself too."""
    rows = W.double().tolist()
    squared_length = math.fsum(dot(a, b) for a in rows for b in rows) / len(rows) ** 2
    return math.sqrt(squared_length) * len(rows) / math.fsum(math.sqrt(dot(a, a)) for a in rows)


# ---- the inputs: heavy-tailed norms, few rows, a common offset whose coordinates do not average to zero ------------


def rows(rng, n, d_model, offset):
    directions = torch.randn(n, d_model, generator=rng)
    common = offset * (torch.randn(d_model, generator=rng) + 0.7)
    lengths = torch.exp(0.9 * torch.randn(n, 1, generator=rng))
    return lengths * (directions + common)


def small_cases(rng):
    for n, d_model, offset in ((7, 5, 2.0), (6, 9, 0.8), (11, 4, 0.0)):
        yield Case((rows(rng, n, d_model, offset),))


def vocabulary_case(rng, n, limits, d_model=8, kinds=1_000):
    """Many rows but fewer directions, so that the mean over all pairs is known from a table of cosines in float64.

    With only a handful of directions, a float32 sum that is run up row by row would round the same way each time.
    """
    directions = torch.randn(kinds, d_model, generator=rng) + 0.5
    kind = (kinds * torch.rand(n, generator=rng) ** 2).long()
    W = directions[kind] * torch.exp(0.5 * torch.randn(n, 1, generator=rng))
    counts, table = kind.bincount(minlength=kinds).double(), cosines(directions.double())
    total = float(counts @ table @ counts)
    return Case((W,), want=(total - n) / (n * (n - 1)), limits=limits)


def mean_cases(rng):
    yield from small_cases(rng)
    yield vocabulary_case(rng, n=3_000, limits=Limits(seconds=20, extra_mb=16))
    yield vocabulary_case(rng, n=100_000, limits=Limits(seconds=4))


# ---- the ways of being wrong --------------------------------------------------------------------------------------


def cosines(W):
    return unit_rows(W) @ unit_rows(W).T


def over_pairs(matrix):
    n = len(matrix)
    return (matrix.sum() - matrix.trace()) / (n * (n - 1))


def minus_n_ones(matrix):
    """`over_pairs`, if the diagonal held ones."""
    n = len(matrix)
    return (matrix.sum() - n) / (n * (n - 1))


def gram(W):
    return W @ W.T


def unit_rows(W):
    return W / W.norm(dim=-1, keepdim=True)


def row_centred(W):
    return W - W.mean(dim=1, keepdim=True)


def mean_row(W):
    return W.mean(0, keepdim=True)


def along(W, direction):
    """The cosine of each row with a direction."""
    return (unit_rows(W) @ unit_rows(direction).T).squeeze(-1)


def median_row(W):
    return W.median(0).values


def without_largest_coordinate(W):
    return torch.where(torch.arange(W.shape[1]) == W.mean(0).abs().argmax(), 0.0, W)


def small(wrong):
    """A wrong formula that needs an n-by-n matrix, tried on few rows only."""
    return lambda W: wrong(W) if len(W) < 3_000 else torch.tensor(math.nan)


MEAN_SYMPTOMS = (
    Symptom.from_truth(
        "diagonal_kept",
        # Where rows are many it changes next to nothing, and a sample may hit upon it.
        lambda want, W: (want * (len(W) - 1) + 1) / len(W) if len(W) < 3_000 else math.nan,
        says="This is the mean when each token is also compared with itself: {n} of those cosines are 1 for no reason.",
    ),
    Symptom.from_truth(
        "ones_left_in",
        lambda want, W: want + 1 / (len(W) - 1) if len(W) < 3_000 else math.nan,
        says="The sum still holds the {n} rows with themselves, each a one. Take them off before you divide by n(n-1).",
    ),
    Symptom(
        "subsample",
        lambda got, want, W: len(W) >= 3_000 and got.shape == want.shape,
        says="Right on few rows, but not on {n}. If you took a sample: every row counts here, and the rare ones differ.",
    ),
    Symptom.from_truth(
        "pairs_half_counted",
        lambda want, W: want / 2,
        says="Exactly half of the mean: each pair was added once, but divided by as if it had been added twice.",
    ),
    Symptom.from_truth(
        "pairs_counted_twice",
        lambda want, W: want * 2,
        says="Exactly twice the mean: the squared length of the sum holds each pair twice, as i with j and as j with i.",
    ),
    Symptom.from_truth(
        "divided_by_all_pairs",
        lambda want, W: want * (len(W) - 1) / len(W),
        says="The sum leaves out each token with itself, but the division by n squared still counts those pairs.",
    ),
    Symptom.gives(
        "square_forgotten",
        small(lambda W: (cosines(W).sum().sqrt() - len(W)) / (len(W) * (len(W) - 1))),
        says="The length of the sum of unit rows was used as it is. It is the squared length that multiplies out into pairs.",
    ),
    Symptom.gives(
        "length_of_the_mean",
        small(lambda W: unit_rows(W).mean(0).norm()),
        says="This is the length of the mean unit row. Square it; and then each row with itself is still in it.",
    ),
    Symptom.gives(
        "dot_products",
        small(lambda W: over_pairs(gram(W))),
        small(lambda W: minus_n_ones(gram(W))),
        says="The rows keep their lengths, so these are dot products. A cosine divides by both lengths: "
        "a long row counts no more than a short one.",
    ),
    Symptom.gives(
        "absolute_values",
        small(lambda W: over_pairs(cosines(W).abs())),
        says="This is the mean of |cosine|. Opposite directions should cancel, not add.",
    ),
    Symptom.gives(
        "row_mean_subtracted",
        small(lambda W: over_pairs(cosines(row_centred(W)))),
        says="Each row's own mean over its {d_model} coordinates was subtracted first. Take the rows as they are.",
    ),
    Symptom.gives(
        "already_centred",
        small(lambda W: over_pairs(cosines(W - mean_row(W)))),
        says="The mean row was subtracted first. First measure the rows as they are; the cure comes later.",
    ),
    Symptom.gives(
        "columns_normalised",
        small(lambda W: over_pairs(gram(W / W.norm(dim=0)))),
        small(lambda W: minus_n_ones(gram(W / W.norm(dim=0)))),
        says="The columns were given length one. A token is a row: it is the {n} rows that need length one.",
    ),
    Symptom.gives(
        "whole_matrix_normalised",
        small(lambda W: minus_n_ones(gram(W / W.norm()))),
        says="The whole matrix was divided by one number. Each of the {n} rows needs its own length: norm(dim=1, keepdim=True).",
    ),
    Symptom.gives(
        "to_the_mean",
        lambda W: along(W, mean_row(W)).mean(),
        says="This is the mean cosine between a token and the average token. Asked for are pairs of tokens.",
    ),
    Symptom.gives(
        "to_the_mean_squared",
        lambda W: along(W, mean_row(W)).mean() ** 2,
        says="This is the squared mean cosine with the average token: close when rows have like lengths, but not the mean over pairs.",
    ),
    Symptom.gives(
        "neighbouring_rows",
        lambda W: torch.cosine_similarity(W[:-1], W[1:], dim=1).mean(),
        says="Only neighbouring rows were compared: {n} rows have many more pairs than that.",
    ),
    Symptom.exceeds(
        "n_by_n",
        "memory",
        says="Right on few rows, but on {n} rows {broke}. GPT-Neo has 50,257: 2.5 billion cosines, 10 GB. "
        "You need their sum, not each of them, and that is the squared length of one vector. Which?",
    ),
    Symptom.exceeds(
        "pair_by_pair",
        "time",
        says="Right on few rows, but on {n} rows {broke}. The work should grow with the rows, not with the pairs: "
        "you need the sum of all cosines, and that is the squared length of one vector. Which?",
    ),
    Symptom(
        "not_a_mean_of_cosines",
        lambda got, want, W: got.shape == want.shape and abs(got) > 1 + 1e-6,
        says="A cosine lies between -1 and 1, and so does a mean of cosines. Yours does not.",
    ),
)

TO_MEAN_SYMPTOMS = (
    Symptom.gives(
        "dot_products",
        lambda W: W @ W.mean(0),
        says="These are dot products with the mean row. Divide by both lengths: the row's and the mean's.",
    ),
    Symptom.gives(
        "row_length_missing",
        lambda W: W @ unit_rows(mean_row(W))[0],
        says="Divided by the length of the mean, but not by each row's own: long rows look aligned merely by being long.",
    ),
    Symptom.gives(
        "mean_length_missing",
        lambda W: unit_rows(W) @ W.mean(0),
        says="Divided by each row's length, but not by the mean's own: these are lengths along each row, not cosines.",
    ),
    Symptom.gives(
        "mean_of_directions",
        lambda W: along(W, mean_row(unit_rows(W))),
        lambda W: unit_rows(W) @ unit_rows(W).mean(0),
        says="The rows were given length one before they were averaged. Asked for is the mean of the rows as they are.",
    ),
    Symptom.from_truth(
        "averaged_away",
        lambda want, W: want.mean(),
        says="Right, but averaged: keep one cosine per token, so that one can see whether any token escapes.",
    ),
    Symptom.gives(
        "mean_pairwise",
        lambda W: (cosines(W).sum(1) - 1) / (len(W) - 1),
        says="This is each token's mean cosine with the other tokens: close, but an average of cosines "
        "is not a cosine with the average.",
    ),
    Symptom.gives(
        "own_mean",
        lambda W: along(W, torch.ones(1, W.shape[1])),
        lambda W: torch.cosine_similarity(W, W.mean(1, keepdim=True), dim=1),
        says="Each row was compared with its own mean over the {d_model} coordinates. The mean row averages over the {n} tokens.",
    ),
    Symptom.gives(
        "already_centred",
        lambda W: along(W - mean_row(W), mean_row(W)),
        says="The mean was subtracted from the rows before they were compared with it. Take the rows as they are.",
    ),
    Symptom.from_truth(
        "squared",
        lambda want, W: want**2,
        says="These are the squares of the cosines: a token that points away from the mean no longer shows.",
    ),
    Symptom.from_truth(
        "distance",
        lambda want, W: 1 - want,
        says="These are one minus the cosine, a distance. Asked for is the cosine.",
    ),
    Symptom(
        "per_coordinate",
        lambda got, want, W: got.shape == W.shape[1:],
        says="One number per coordinate came back. Asked for is one per token: compare along dim=1.",
    ),
)

CENTRE_SYMPTOMS = (
    Symptom.gives(
        "row_mean_subtracted",
        row_centred,
        lambda W: torch.nn.functional.layer_norm(W, W.shape[1:]),
        says="Each row lost its own mean over {d_model} coordinates: that is what LayerNorm does. "
        "What the rows share is the mean over the {n} tokens.",
    ),
    Symptom.gives(
        "scalar_mean_subtracted",
        lambda W: W - W.mean(),
        says="One number was subtracted everywhere: the mean of all {n} x {d_model} entries. The mean row has {d_model} numbers.",
    ),
    Symptom.gives(
        "normalised_before_centring",
        lambda W: unit_rows(W) - mean_row(unit_rows(W)),
        says="The rows were given length one and then centred. That removes another mean, "
        "in which a short row counts as much as a long one.",
    ),
    Symptom.gives(
        "mean_of_directions",
        lambda W: W - mean_row(unit_rows(W)),
        says="The mean of the unit rows was subtracted from the rows. The middle of the cloud is the mean of the rows as they are.",
    ),
    Symptom.from_truth(
        "normalised_after_centring",
        lambda want, W: unit_rows(want),
        says="Centred, and then every row was given length one. Keep the lengths: only the origin is to move.",
    ),
    Symptom.from_truth(
        "standardised",
        lambda want, W: want / W.std(0),
        says="Centred, and then each coordinate was divided by its spread. Keep the scale: only the origin is to move.",
    ),
    Symptom.gives(
        "direction_projected_out",
        lambda W: W - (W @ unit_rows(mean_row(W)).T) * unit_rows(mean_row(W)),
        says="The whole direction of the mean was removed, from each row another amount. "
        "Centring subtracts the same vector everywhere.",
    ),
    Symptom.gives(
        "coordinate_removed",
        without_largest_coordinate,
        says="One coordinate was set to zero. What the rows share is a vector, which may be spread over all coordinates.",
    ),
    Symptom.gives(
        "median_subtracted",
        lambda W: W - median_row(W),
        says="The median of each coordinate was subtracted. The rows then need not sum to zero: take the mean.",
    ),
    Symptom.gives(
        "a_row_subtracted",
        lambda W: W - W[0],
        says="All differences are kept, but the new origin is the first token. Why that one? Take the middle of the cloud.",
    ),
    Symptom.gives(
        "sum_subtracted",
        lambda W: W - W.sum(0),
        says="The sum of the rows was subtracted, {n} times the mean: the origin overshot the cloud.",
    ),
    Symptom.from_truth(
        "mean_added",
        lambda want, W: 2 * W - want,
        says="The mean row was added, not subtracted: the origin moved the wrong way.",
    ),
    Symptom.gives(
        "mean_returned",
        lambda W: W.mean(0),
        says="That is the vector to subtract. Return the rows after subtracting it.",
    ),
)

RATIO_SYMPTOMS = (
    Symptom.from_truth(
        "upside_down",
        lambda want, W: 1 / want,
        says="The ratio is upside down. The length of the mean goes above.",
    ),
    Symptom.from_truth(
        "norm_of_norms",
        lambda want, W: want * W.norm(dim=1).mean() / W.square().sum(1).mean().sqrt(),
        says="Below the line is the root mean square of the lengths. Asked for is their plain mean, which a few long rows pull less.",
    ),
    Symptom.gives(
        "mean_of_directions",
        lambda W: unit_rows(W).mean(0).norm(),
        says="The rows were given length one before they were averaged. Take the mean of the rows as they are.",
    ),
    Symptom.gives(
        "always_one",
        lambda W: torch.ones(()),
        says="That is the norm of the mean over the norm of the mean. The average below the line is over lengths: "
        "norm first, then mean.",
    ),
    Symptom.from_truth(
        "frobenius",
        lambda want, W: want * W.norm(dim=1).mean() / W.norm(),
        says="Below the line is the norm of the whole matrix, which grows with the number of rows. "
        "Take one length per row, then their mean.",
    ),
    Symptom.from_truth(
        "columns_measured",
        lambda want, W: want * W.norm(dim=1).mean() / W.norm(dim=0).mean(),
        says="Below the line are the lengths of the columns. A token is a row: norm(dim=1).",
    ),
    Symptom.from_truth(
        "mean_of_ratios",
        lambda want, W: want * W.norm(dim=1).mean() * (1 / W.norm(dim=1)).mean(),
        says="This is a mean of ratios, in which the shortest rows dominate. Asked for is a ratio of means.",
    ),
    Symptom.gives(
        "spread_below",
        lambda W: W.mean(0).norm() / (W - mean_row(W)).norm(dim=1).mean(),
        says="Below the line is the spread around the mean: a good question, with no upper bound. "
        "Asked for is the mean length of the rows as they are.",
    ),
    Symptom.from_truth(
        "squared",
        lambda want, W: want**2,
        says="This is the square of the ratio.",
    ),
    Symptom.from_truth(
        "not_divided",
        lambda want, W: want * W.norm(dim=1).mean(),
        says="This is the length of the mean by itself, in whatever units the embedding has. Divide by the mean length of a row.",
    ),
    Symptom.gives(
        "mean_cosine",
        lambda W: along(W, mean_row(W)).mean(),
        says="This is the mean cosine with the mean row, which ignores how long each row is.",
    ),
)

PUZZLE = Puzzle(
    slug="similar_embeddings",
    title="Suspiciously similar embeddings",
    question="Two random tokens of GPT-Neo have embeddings with cosine above 0.9. Does it think all words mean the same?",
    principle="A cosine is measured from an origin, and nothing says that the model's zero means anything.",
    minutes=30,
    models=("gpt-neo-125m", "mini-neo", "gpt2", "mini-gpt2", "mini-untied"),
    after=(),
    parts=(
        Part(
            name="mean_pairwise_cosine",
            takes=("n d_model",),
            returns="",
            points=3,
            cases=mean_cases,
            spec=slow_mean_pairwise_cosine,
            symptoms=MEAN_SYMPTOMS,
            hints=(
                "Give each row length one. What is the dot product of two such rows?",
                "Multiply out |u_1 + u_2 + ... + u_n|^2 for three rows on paper. Which terms do you want, and which not?",
                "The whole method: sum the unit rows, square the length of that sum, take away the n ones, "
                "divide by the n(n-1) terms left.",
            ),
            meaning="One vector did it: for unit rows, the mean over all pairs is the squared length of their mean, "
            "up to the diagonal. Much similarity needs only one big common part.",
        ),
        Part(
            name="cosine_to_mean",
            takes=("n d_model",),
            returns="n",
            points=2,
            cases=small_cases,
            spec=slow_cosine_to_mean,
            symptoms=TO_MEAN_SYMPTOMS,
            hints=(
                "The mean is over tokens: it is one vector with d_model numbers.",
                "A cosine divides a dot product by two lengths. Here: W @ mean, the length of each row, the length of the mean.",
            ),
            meaning="Where these are near 1, every token points along one vector, and so any two point along each other.",
        ),
        Part(
            name="centre",
            takes=("n d_model",),
            returns="n d_model",
            points=2,
            cases=small_cases,
            spec=slow_centre,
            symptoms=CENTRE_SYMPTOMS,
            hints=(
                "You want a new origin, the same for all tokens. Which point?",
                "W has shape [n, d_model]. Over which of the two axes do you average to be left with one vector?",
            ),
            meaning="All differences between tokens are as they were; only the point from which they are seen has moved.",
        ),
        Part(
            name="offset_ratio",
            takes=("n d_model",),
            returns="",
            points=2,
            cases=small_cases,
            spec=slow_offset_ratio,
            symptoms=RATIO_SYMPTOMS,
            hints=(
                "Two averages, in opposite order: the length of an average above, the average of lengths below.",
                "Above: W.mean(0).norm(). Below, one length for each row first, and only then their mean.",
            ),
            meaning="Near 0 the cloud surrounds its origin. Near 1 it lies to one side, and every cosine is a view from afar.",
        ),
    ),
    predictions=(
        Prediction("the story", choices=("meaning", "dimension", "coordinate", "offset"), right="offset"),
        Prediction("mean cosine after centring", between=(-1, 1)),
    ),
    free_text=(
        FreeText(
            name="explanation",
            points=3,
            rubric=(
                "The mean embedding is large against the spread around it, so it dominates every cosine.",
                "The origin is arbitrary: centre, or say why not.",
                "What the centred histogram shows and does not: rows of like lengths have a mean near zero by arithmetic, and "
                "vectors without meaning are as wide; that tokens are told apart shows elsewhere, in the neighbours.",
            ),
        ),
    ),
)
