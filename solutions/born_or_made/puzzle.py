"""Born or made: what is asked, how it is checked, and what each wrong answer looks like."""

import math
from itertools import pairwise

import torch

from mechpuzzles.limits import Limits
from mechpuzzles.puzzle import Case, FreeText, Part, Prediction, Puzzle, Symptom

# ---- the oracle: plain Python over pairs; the gradient by automatic differentiation --------------------------------


def dot(a, b):
    return math.fsum(x * y for x, y in zip(a, b, strict=True))


def cosine(a, b):
    return dot(a, b) / math.sqrt(dot(a, a) * dot(b, b))


def slow_mean_cosine(rows):
    pairs = [(i, j) for i in range(len(rows)) for j in range(i)]
    return math.fsum(cosine(rows[i], rows[j]) for i, j in pairs) / len(pairs)


def slow_similarity_curve(W_E_by_step):
    return torch.tensor([slow_mean_cosine(W) for W in W_E_by_step.double().tolist()], dtype=torch.float64)


def slow_by_frequency(W, counts, edges):
    rows, shown = W.double().tolist(), counts.tolist()
    groups = [[row for row, c in zip(rows, shown) if c in range(lo, hi)] for lo, hi in pairwise(edges)]
    return torch.tensor([slow_mean_cosine(group) for group in groups], dtype=torch.float64)


def differentiated_output_gradient(logits, targets, resid):
    """Add a small matrix to the unembedding, and differentiate the loss by it."""
    change = torch.zeros(logits.shape[1], resid.shape[1], dtype=torch.float64, requires_grad=True)
    log_probs = (logits.double() + resid.double() @ change.T).log_softmax(-1)
    loss = -log_probs[torch.arange(len(targets)), targets].mean()
    return torch.autograd.grad(loss, change)[0]


# ---- the inputs ----------------------------------------------------------------------------------------------------


def rows(rng, n, d_model, offset):
    """Heavy-tailed lengths, and a common offset whose coordinates do not average to zero."""
    directions = torch.randn(n, d_model, generator=rng)
    common = offset * (torch.randn(d_model, generator=rng) + 0.7)
    return torch.exp(0.9 * torch.randn(n, 1, generator=rng)) * (directions + common)


def curve_cases(rng):
    for n_steps, n, d_model, start in ((4, 7, 5, 0.0), (3, 6, 9, 0.8), (5, 11, 4, 2.0)):
        yield Case((torch.stack([rows(rng, n, d_model, abs(start - 0.6 * step)) for step in range(n_steps)]),))
    yield many_rows(rng, n_steps=3, n=2_500, limits=Limits(seconds=20, extra_mb=8))


def many_rows(rng, n_steps, n, limits, d_model=8, kinds=6):
    """Many rows but few directions, so that the mean over all pairs is known exactly from a few cosines."""
    steps, want = [], []
    for _ in range(n_steps):
        directions = torch.randn(kinds, d_model, generator=rng) + 0.5
        kind = torch.randint(kinds, (n,), generator=rng)
        steps.append(directions[kind] * torch.exp(0.5 * torch.randn(n, 1, generator=rng)))
        of = list(zip(kind.bincount(minlength=kinds).tolist(), directions.double().tolist()))
        total = math.fsum(m * k * cosine(a, b) for m, a in of for k, b in of)
        want.append((total - n) / (n * (n - 1)))
    return Case((torch.stack(steps),), want=torch.tensor(want, dtype=torch.float64), limits=limits)


def frequency_cases(rng):
    """Counts on every edge and just below it, and tokens outside all groups."""
    for d_model, edges in ((5, [1, 4, 20, 90]), (9, [2, 7, 30]), (4, [0, 1, 5, 25, 400])):
        counts = [0, 0, 1, edges[-1], edges[-1], edges[-1] + 3, 5 * edges[-1]]
        for more, (lo, hi) in enumerate(pairwise(edges)):
            counts += [lo, lo, hi - 1, hi - 1]
            counts += torch.randint(lo, hi, (1 + more,), generator=rng).tolist()
        counts = torch.tensor(counts)[torch.randperm(len(counts), generator=rng)]
        group = torch.bucketize(counts, torch.tensor(edges[1:-1]), right=True)[:, None]
        pull = torch.randn(d_model, generator=rng) + 0.7
        W = torch.randn(len(counts), d_model, generator=rng) + pull * (1.8 - 0.8 * group)
        yield Case((W * torch.exp(0.7 * torch.randn(len(W), 1, generator=rng)), counts, edges))


def vocabulary(rng, n, d_model, k, offset):
    """An embedding as `mini-gpt2`'s or, with an offset, `mini-neo`'s: k rows never trained, k hardly trained, others.

    Lengths and directions are those measured: never trained rows 3.3 along one direction and 0.5 around it, hardly
    trained ones 2.2 and closer around it, the others 0.9 long and along it by some part of that. The offset leans
    against the direction by a cosine of -0.34, as `mini-neo`'s does.
    """
    common, other = torch.linalg.qr(torch.randn(d_model, 2, generator=rng))[0].T
    around = torch.randn(n, d_model, generator=rng)
    around -= (around @ common)[:, None] * common
    around /= around.norm(dim=1, keepdim=True)
    share = 0.8 * torch.rand(n, generator=rng)
    along, beside = 0.9 * share, 0.9 * (1 - share**2).sqrt()
    along[:k], beside[:k] = 3.3, 0.5
    along[k : 2 * k], beside[k : 2 * k] = 2.2, 0.2
    scale = 1 + 0.03 * torch.randn(n, 1, generator=rng)
    W = scale * (along[:, None] * common + beside[:, None] * around) + offset * (0.94 * other - 0.34 * common)
    order = torch.randperm(n, generator=rng)
    return Case((W[order], k), want=(order < k).nonzero().flatten())


def never_cases(rng):
    yield vocabulary(rng, n=310, d_model=17, k=21, offset=0.0)
    yield vocabulary(rng, n=260, d_model=23, k=19, offset=5.0)


def gradient_cases(rng):
    for n_pos, d_vocab, d_model in ((6, 9, 4), (11, 7, 5), (5, 13, 3)):
        resid = torch.randn(n_pos, d_model, generator=rng) + 0.8 * torch.randn(d_model, generator=rng)
        logits = 1.5 * torch.randn(n_pos, d_vocab, generator=rng)
        targets = torch.randint(d_vocab // 2, (n_pos,), generator=rng)  # some are right twice, many never
        yield Case((logits, targets, resid))


# ---- the ways of being wrong ---------------------------------------------------------------------------------------


def unit(W):
    return W / W.norm(dim=-1, keepdim=True)


def over_pairs(matrix):
    """The mean off the diagonal, over the last two axes."""
    n = matrix.shape[-1]
    return (matrix.sum((-1, -2)) - matrix.diagonal(dim1=-2, dim2=-1).sum(-1)) / (n * (n - 1))


def minus_n_ones(matrix):
    n = matrix.shape[-1]
    return (matrix.sum((-1, -2)) - n) / (n * (n - 1))


def gram(W):
    return W @ W.mT


def by_columns(W):
    return W / W.norm(dim=-2, keepdim=True)


def by_whole(W):
    return W / W.norm(dim=(-2, -1), keepdim=True)


def from_middle(W):
    return W - W.mean(-2, keepdim=True)


def to_middle(W):
    return torch.cosine_similarity(W, W.mean(-2, keepdim=True), dim=-1).mean(-1)


def small(wrong):
    """A wrong formula that needs an n-by-n matrix, tried on few rows only."""
    return lambda W: wrong(W) if W.shape[1] < 2_500 else torch.tensor(math.nan)


def like(*wrong):
    """As in `Symptom.gives`, but for formulas whose values may be large, or NaN."""

    def same(got, values):
        return got.shape == values.shape and torch.allclose(got, values, rtol=1e-4, atol=1e-4, equal_nan=True)

    return lambda got, want, *inputs: any(same(got, formula(*inputs).double()) for formula in wrong)


CURVE_SYMPTOMS = (
    Symptom.from_truth(
        "diagonal_kept",
        lambda want, W: (want * (W.shape[1] - 1) + 1) / W.shape[1],
        says="At each step the {n} comparisons of a token with itself are counted as well, and all of them are 1.",
    ),
    Symptom.from_truth(
        "ones_left_in",
        lambda want, W: want + 1 / (W.shape[1] - 1),
        says="The sum still holds the {n} rows with themselves, each a one. Take them off before you divide by n(n-1).",
    ),
    Symptom.from_truth(
        "pairs_half_counted",
        lambda want, W: want / 2,
        says="Exactly half at every step: each pair was added once, but divided by as if added twice.",
    ),
    Symptom.from_truth(
        "pairs_counted_twice",
        lambda want, W: want * 2,
        says="Exactly twice at every step: the squared length of the sum holds each pair twice, as i with j and as j with i.",
    ),
    Symptom.from_truth(
        "divided_by_all_pairs",
        lambda want, W: want * (W.shape[1] - 1) / W.shape[1],
        says="The sum leaves out each token with itself, but the division still counts those pairs.",
    ),
    Symptom.from_truth(
        "change_from_start",
        lambda want, W: want - want[0],
        says="The first step's value was subtracted from all. Keep it: whether it is zero is the question.",
    ),
    Symptom.from_truth(
        "averaged_away",
        lambda want, W: want.mean(),
        says="Right, but averaged over the steps: keep one number per step.",
    ),
    Symptom.gives(
        "square_forgotten",
        small(lambda W: (gram(unit(W)).sum((1, 2)).sqrt() - W.shape[1]) / (W.shape[1] * (W.shape[1] - 1))),
        says="The length of the sum of unit rows was used as it is. It is the squared length that multiplies out into pairs.",
    ),
    Symptom(
        "dot_products",
        like(small(lambda W: over_pairs(gram(W))), small(lambda W: minus_n_ones(gram(W)))),
        says="The rows keep their lengths, so these are dot products: a row that merely grows would look like one that turns.",
    ),
    Symptom.gives(
        "columns_normalised",
        small(lambda W: over_pairs(gram(by_columns(W)))),
        small(lambda W: minus_n_ones(gram(by_columns(W)))),
        says="Length one was given along axis 1, which runs over the {n} tokens. With three axes, a token's coordinates are the last: dim=-1.",
    ),
    Symptom.gives(
        "normalised_along_steps",
        small(lambda W: over_pairs(gram(W / W.norm(dim=0)))),
        small(lambda W: minus_n_ones(gram(W / W.norm(dim=0)))),
        says="Length one was given along axis 0, which runs over the {step} steps. A token's coordinates are the last axis: dim=-1.",
    ),
    Symptom.gives(
        "whole_matrix_normalised",
        small(lambda W: minus_n_ones(gram(by_whole(W)))),
        says="Each step's whole matrix was divided by one number. Every row needs its own length.",
    ),
    Symptom.gives(
        "absolute_values",
        small(lambda W: over_pairs(gram(unit(W)).abs())),
        says="This is the mean of |cosine|, which is far from zero even for random rows. Opposite directions should cancel.",
    ),
    Symptom.gives(
        "already_centred",
        small(lambda W: over_pairs(gram(unit(from_middle(W))))),
        says="Each step's mean row was subtracted first. That removes what you want to watch: measure the rows as they are.",
    ),
    Symptom.gives(
        "row_mean_subtracted",
        small(lambda W: over_pairs(gram(unit(W - W.mean(-1, keepdim=True))))),
        says="Each row's own mean over its {d_model} coordinates was subtracted first. Take the rows as they are.",
    ),
    Symptom.gives(
        "compared_with_start",
        lambda W: torch.cosine_similarity(W, W[:1], dim=-1).mean(-1),
        says="Each token was compared with itself at the first step: how far it has turned. Asked for are pairs of different tokens within one step.",
    ),
    Symptom.gives(
        "to_the_mean",
        to_middle,
        says="This is the mean cosine between a token and the average token of its step. Asked for are pairs of tokens.",
    ),
    Symptom.gives(
        "to_the_mean_squared",
        lambda W: to_middle(W) ** 2,
        says="This is the squared mean cosine with the average token: close when lengths are alike, but not the mean over pairs.",
    ),
    Symptom.gives(
        "steps_pooled",
        small(lambda W: over_pairs(gram(unit(W.flatten(0, 1))))),
        says="All steps were thrown together, so tokens of different steps were compared. Keep the steps apart: one number each.",
    ),
    Symptom(
        "one_per_token",
        lambda got, want, W: got.shape == W.shape[1:2],
        says="One number per token came back: the sum ran over the wrong axis. Axis 0 is the step, and it is to stay.",
    ),
    Symptom(
        "one_step_missing",
        lambda got, want, W: got.ndim == 1 and len(got) == len(W) - 1,
        says="One step is missing. The matrix before the first update counts as well, and so does the last one.",
    ),
    Symptom.exceeds(
        "n_by_n",
        "memory",
        says="Right on few rows, but on {n} rows {broke}. You need the sum of all cosines of a step, not each of them: "
        "that is the squared length of one vector.",
    ),
    Symptom(
        "not_a_mean_of_cosines",
        lambda got, want, W: got.shape == want.shape and bool((got.abs() > 1 + 1e-6).any()),
        says="A mean of cosines lies between -1 and 1. One of yours does not.",
    ),
)


def for_groups(inside, mean=lambda W, chosen: over_pairs(gram(unit(W[chosen])))):
    """``mean`` over each group, where ``inside(counts, lo, hi)`` says who belongs to it."""

    def wrong(W, counts, edges):
        return torch.stack([mean(W, inside(counts, lo, hi)) for lo, hi in pairwise(edges)])

    return wrong


def members(counts, lo, hi):
    return (counts > lo - 1) & (counts < hi)


def with_the_rest(W, chosen):
    cosines = gram(unit(W))
    return (cosines[chosen].sum() - chosen.sum()) / (chosen.sum() * (len(W) - 1))


def by_occurrence(W, counts, edges):
    values = []
    for lo, hi in pairwise(edges):
        chosen = members(counts, lo, hi)
        weight = torch.outer(counts[chosen], counts[chosen]).float().fill_diagonal_(0)
        values.append((gram(unit(W[chosen])) * weight).sum() / weight.sum())
    return torch.stack(values)


def joined(first, last):
    """Half-open groups, of which the first and the last one may be another."""

    def wrong(W, counts, edges):
        values = for_groups(members)(W, counts, edges)
        inside_first, inside_last = first(counts, edges), last(counts, edges)
        if inside_first is not None:
            values[0] = over_pairs(gram(unit(W[inside_first])))
        if inside_last is not None:
            values[-1] = over_pairs(gram(unit(W[inside_last])))
        return values

    return wrong


FREQUENCY_SYMPTOMS = (
    Symptom.gives(
        "closed_above",
        for_groups(lambda counts, lo, hi: (counts > lo) & (counts < hi + 1)),
        says="A token whose count is an edge is in the group below it. A group holds its lower edge, not its upper one. "
        "(Without right=True, torch.bucketize does just this.)",
    ),
    Symptom.gives(
        "closed_both",
        for_groups(lambda counts, lo, hi: (counts > lo - 1) & (counts < hi + 1)),
        says="A token whose count is an inner edge is in two groups. A group holds its lower edge, not its upper one.",
    ),
    Symptom(
        "open_both",
        like(for_groups(lambda counts, lo, hi: (counts > lo) & (counts < hi))),
        says="A token whose count is an edge is in no group. A group holds its lower edge, not its upper one.",
    ),
    Symptom.gives(
        "last_group_closed",
        joined(lambda counts, edges: None, lambda counts, edges: members(counts, edges[-2], edges[-1] + 1)),
        says="All but the last group are right: it holds its upper edge too, as numpy's histogram does. Here it does not.",
    ),
    Symptom.gives(
        "last_group_endless",
        joined(lambda counts, edges: None, lambda counts, edges: counts > edges[-2] - 1),
        says="All but the last group are right: it holds tokens beyond the last edge. They are in no group.",
    ),
    Symptom.gives(
        "first_group_endless",
        joined(lambda counts, edges: counts < edges[1], lambda counts, edges: None),
        says="All but the first group are right: it holds tokens below the first edge. They are in no group.",
    ),
    Symptom.gives(
        "ends_endless",
        joined(lambda counts, edges: counts < edges[1], lambda counts, edges: counts > edges[-2] - 1),
        says="The first and the last group hold tokens from beyond the outer edges. Those are in no group.",
    ),
    Symptom.gives(
        "cumulative",
        for_groups(lambda counts, lo, hi: counts < hi),
        for_groups(lambda counts, lo, hi: counts > lo - 1),
        says="Each group holds its neighbours too: only one of its two edges was used.",
    ),
    Symptom(
        "rows_sliced",
        like(
            for_groups(lambda counts, lo, hi: (torch.arange(len(counts)) > lo - 1) & (torch.arange(len(counts)) < hi))
        ),
        says="The edges were used as row numbers. They are counts: a token belongs to a group by how often it was shown.",
    ),
    Symptom.gives(
        "diagonal_kept",
        for_groups(members, lambda W, chosen: gram(unit(W[chosen])).mean()),
        says="Each token is also compared with itself. In a group of few tokens that is a large part of the mean.",
    ),
    Symptom.gives(
        "ones_left_in",
        for_groups(members, lambda W, chosen: gram(unit(W[chosen])).sum() / (chosen.sum() * (chosen.sum() - 1))),
        says="Each group's sum still holds its rows with themselves, each a one. Take them off before you divide.",
    ),
    Symptom.gives(
        "whole_vocabulary_counted",
        lambda W, counts, edges: torch.stack(
            [
                (gram(unit(W[chosen])).sum() - len(W)) / (len(W) * (len(W) - 1))
                for chosen in (members(counts, lo, hi) for lo, hi in pairwise(edges))
            ]
        ),
        says="The number of rows is that of the whole vocabulary, {n}. Each group has its own number of tokens, and of pairs.",
    ),
    Symptom(
        "dot_products",
        like(
            for_groups(members, lambda W, chosen: over_pairs(gram(W[chosen]))),
            for_groups(members, lambda W, chosen: minus_n_ones(gram(W[chosen]))),
        ),
        says="The rows keep their lengths, so these are dot products. A cosine divides by both lengths.",
    ),
    Symptom.gives(
        "columns_normalised",
        for_groups(members, lambda W, chosen: minus_n_ones(gram(by_columns(W[chosen])))),
        for_groups(members, lambda W, chosen: minus_n_ones(gram(by_columns(W)[chosen]))),
        says="The columns were given length one. A token is a row.",
    ),
    Symptom.gives(
        "already_centred",
        for_groups(members, lambda W, chosen: over_pairs(gram(unit(from_middle(W)[chosen])))),
        says="The mean of all tokens was subtracted first. Then the rare ones decide where zero is. Take the rows as they are.",
    ),
    Symptom.gives(
        "group_centred",
        for_groups(members, lambda W, chosen: over_pairs(gram(unit(from_middle(W[chosen]))))),
        says="Each group's own mean was subtracted, and with it all that its tokens share. Take the rows as they are.",
    ),
    Symptom.gives(
        "absolute_values",
        for_groups(members, lambda W, chosen: over_pairs(gram(unit(W[chosen])).abs())),
        says="These are means of |cosine|. Opposite directions should cancel, not add.",
    ),
    Symptom.gives(
        "with_all_tokens",
        for_groups(members, with_the_rest),
        says="Each group's tokens were compared with the whole vocabulary. Both tokens of a pair are to be in the group.",
    ),
    Symptom.gives(
        "to_the_mean",
        for_groups(members, lambda W, chosen: to_middle(W[chosen])),
        says="These are cosines with the group's mean. Asked for are pairs of tokens.",
    ),
    Symptom(
        "weighted_by_count",
        like(by_occurrence),
        says="Each pair was weighted by how often its tokens were shown. Within a group every pair counts once.",
    ),
    Symptom.from_truth(
        "averaged_away",
        lambda want, W, counts, edges: want.mean(),
        says="Right, but averaged over the groups: keep one number per group.",
    ),
    Symptom.from_truth(
        "reversed",
        lambda want, W, counts, edges: want.flip(0),
        says="Right, but in the opposite order: the rarest tokens come first.",
    ),
    Symptom(
        "one_per_edge",
        lambda got, want, W, counts, edges: got.ndim == 1 and len(got) in (len(edges), len(edges) + 1),
        says="There are more numbers than groups. Between two neighbouring edges lies one group; what lies outside is in none.",
    ),
    Symptom(
        "one_per_token",
        lambda got, want, W, counts, edges: got.shape == counts.shape,
        says="One number per token came back. Asked for is one per group.",
    ),
)

MISSED = 0.06  # the share of the tokens sought that one may miss: one of twenty


def missed(got, want, W, k):
    """The share of the planted rows that is missing, in units of what one may miss."""
    if got.shape != want.shape or len(set(got.tolist())) < len(got):
        return math.inf
    return (1 - torch.isin(want, got).double().mean().item()) / MISSED


def picks(*scores):
    """Whether the answer is the k tokens with the highest score, one or two apart."""

    def when(got, want, W, k):
        chosen = set(got.tolist())
        return len(chosen) == k and any(len(chosen & set(s(W).topk(k).indices.tolist())) > 0.85 * k for s in scores)

    return when


def lengths(W):
    return W.norm(dim=1)


def along_mean(W):
    return torch.cosine_similarity(W, W.mean(0, keepdim=True), dim=1)


def mean_cosines(W):
    return gram(unit(W)).sum(1)


NEVER_SYMPTOMS = (
    Symptom(
        "repeated",
        lambda got, want, W, k: len(set(got.tolist())) < len(got),
        says="A token occurs twice among your choices. Name different ones.",
    ),
    Symptom(
        "not_k",
        lambda got, want, W, k: got.shape != want.shape,
        says="Name exactly k tokens, as their row numbers in one list or tensor.",
    ),
    Symptom(
        "longest",
        picks(
            lengths,
            lambda W: W @ W.mean(0),
            lambda W: (W - W.mean(1, keepdim=True)).norm(dim=1),
            lambda W: W.abs().sum(1),
        ),
        says="These are the rows farthest from zero, the longest ones. Where all rows carry one common offset, as in mini-neo, "
        "zero is nobody's home, and hardly any of the tokens sought is among them. From where could you measure instead?",
    ),
    Symptom(
        "shortest",
        picks(lambda W: -lengths(W)),
        says="These are the shortest rows. So they would be had training left them alone. Look again who moved.",
    ),
    Symptom(
        "along_the_mean",
        picks(along_mean, mean_cosines, lambda W: unit(W) @ unit(W).mean(0)),
        says="These point most nearly along what all rows share. Tokens shown a few times do so too, or even more: "
        "a cosine forgets how far a row has gone.",
    ),
    Symptom(
        "most_alike",
        picks(
            lambda W: gram(unit(W)).topk(6, dim=1).values.sum(1), lambda W: gram(unit(W)).topk(2, dim=1).values.sum(1)
        ),
        says="These are the tokens with the most similar neighbours. Tokens shown a few times crowd as well: "
        "a cosine forgets how far a row has gone.",
    ),
    Symptom(
        "against_the_mean",
        picks(lambda W: -along_mean(W), lambda W: -mean_cosines(W), lambda W: -(W @ W.mean(0))),
        says="These point least along the mean. With a common offset that may find some; without one it finds the common tokens.",
    ),
    Symptom(
        "direction_from_the_middle",
        picks(lambda W: torch.cosine_similarity(from_middle(W), W.mean(0, keepdim=True), dim=1)),
        says="The rows were seen from their middle, but only by direction, against the mean's. How far they are from it tells more.",
    ),
    Symptom(
        "nearest_to_the_middle",
        picks(lambda W: -from_middle(W).norm(dim=1)),
        says="These are the rows nearest to the mean row. What was never trained might sit in the middle, but look again who moved.",
    ),
    Symptom(
        "last_rows",
        picks(lambda W: torch.arange(len(W)).float(), lambda W: -torch.arange(len(W)).float()),
        says="These are the first or the last row numbers. The order of a vocabulary is the tokenizer's, not the weights'.",
    ),
)


def one_hot(targets, d_vocab):
    return torch.eye(d_vocab)[targets]


def pull(logits, targets, resid):
    """The mean final residual at the positions where a token is right, times their share."""
    return one_hot(targets, logits.shape[1]).T @ resid / len(targets)


GRADIENT_SYMPTOMS = (
    Symptom.from_truth(
        "sign_flipped",
        lambda want, *inputs: -want,
        says="The sign is flipped: this is the direction in which a step goes. The gradient points uphill.",
    ),
    Symptom.from_truth(
        "pull_forgotten",
        lambda want, *inputs: want + pull(*inputs),
        says="Right for tokens that are never the answer. A token that is right at a position has a log-probability to gain there: its own logit is in the loss twice.",
    ),
    Symptom.from_truth(
        "pull_added",
        lambda want, *inputs: want + 2 * pull(*inputs),
        says="Both terms are there, but the right answer pushes the wrong way: raising its logit lowers the loss.",
    ),
    Symptom.gives(
        "pull_only",
        lambda *inputs: -pull(*inputs),
        pull,
        says="Only the right answers contribute. The loss also holds the logarithm of a sum over all {d_vocab} logits: every token is in it, at every position.",
    ),
    Symptom.gives(
        "targets_at_all_positions",
        lambda logits, targets, resid: (
            (logits.softmax(-1) - torch.isin(torch.arange(logits.shape[1]), targets).float()).T @ (resid / len(targets))
        ),
        says="Every target lost a one at every position. A token is right only where it is the target: "
        "error[torch.arange(pos), targets].",
    ),
    Symptom.from_truth(
        "summed",
        lambda want, logits, targets, resid: want * len(targets),
        says="This is the gradient of the loss summed over {pos} positions. Asked for is that of the mean.",
    ),
    Symptom.from_truth(
        "divided_by_vocabulary",
        lambda want, logits, targets, resid: want * len(targets) / logits.shape[1],
        says="The sum was divided by the size of the vocabulary. The mean loss is a mean over the {pos} positions.",
    ),
    Symptom(
        "divided_twice",
        lambda got, want, logits, targets, resid: any(
            torch.allclose(got * size, want, rtol=0, atol=1e-4) for size in (len(targets), logits.shape[1])
        ),
        says="One division too many: the mean is over the {pos} positions, once.",
    ),
    Symptom.from_truth(
        "transposed",
        lambda want, *inputs: want.T,
        says="Right, but transposed: one row for each token of the vocabulary.",
    ),
    Symptom.gives(
        "softmax_over_positions",
        lambda logits, targets, resid: logits.softmax(0).T @ (resid / len(targets)) - pull(logits, targets, resid),
        says="The probabilities sum to one over the positions. They are to sum to one over the vocabulary, at each position.",
    ),
    Symptom.gives(
        "logits_for_probabilities",
        lambda logits, targets, resid: logits.T @ (resid / len(targets)) - pull(logits, targets, resid),
        says="Logits stand where probabilities should.",
    ),
    Symptom.gives(
        "log_probabilities",
        lambda logits, targets, resid: logits.log_softmax(-1).T @ (resid / len(targets)) - pull(logits, targets, resid),
        says="Log-probabilities stand where probabilities should.",
    ),
    Symptom.gives(
        "not_normalised",
        lambda logits, targets, resid: logits.exp().T @ (resid / len(targets)) - pull(logits, targets, resid),
        lambda logits, targets, resid: logits.sigmoid().T @ (resid / len(targets)) - pull(logits, targets, resid),
        says="These are not probabilities: at each position they do not sum to one over the vocabulary.",
    ),
    Symptom(
        "one_per_coordinate",
        lambda got, want, logits, targets, resid: got.shape in (resid.shape, resid.shape[1:]),
        says="This has the shape of the residuals. Asked for is the gradient by the unembedding: one row for each of {d_vocab} tokens.",
    ),
    Symptom(
        "one_per_logit",
        lambda got, want, logits, targets, resid: got.shape == logits.shape,
        says="This has the shape of the logits, one row per position. One step of the chain rule is missing: how does a logit depend on its token's row?",
    ),
)

PUZZLE = Puzzle(
    slug="born_or_made",
    title="Born or made?",
    question="Tokens that a model was never shown have nearly the same embedding. Were they born so, or did training do it?",
    principle="A row of a matrix learns from every use of that matrix: what is never read in may still be an answer, and a wrong one.",
    minutes=40,
    models=("mini-gpt2", "mini-untied", "mini-neo"),
    after=("similar_embeddings",),
    parts=(
        Part(
            name="similarity_curve",
            takes=("step n d_model",),
            returns="step",
            points=2,
            cases=curve_cases,
            spec=slow_similarity_curve,
            symptoms=CURVE_SYMPTOMS,
            hints=(
                "One step is the first puzzle's question: with n rows of length one, what is the squared length of their sum?",
                "Three axes now. Lengths run over the last, the sum over the one in the middle; axis 0 stays.",
                "The whole method: give each row length one along dim=-1, sum over dim=1, square and sum over d_model, "
                "take away n, divide by n(n-1).",
            ),
            meaning="One number per step, over all pairs: now you can watch a matrix become similar, or not.",
        ),
        Part(
            name="by_frequency",
            takes=("n d_model", "n", ""),
            returns="bin",
            points=2,
            cases=frequency_cases,
            spec=slow_by_frequency,
            symptoms=FREQUENCY_SYMPTOMS,
            hints=(
                "For one group: which rows have lo <= count and count < hi? A mask of the counts selects them.",
                "A group is a smaller embedding: similarity_curve(W[mask][None]) has one step.",
            ),
            meaning="A mean over a vocabulary can be the work of a few: groups tell who.",
        ),
        Part(
            name="never_trained",
            takes=("n d_model", ""),
            returns="k",
            points=3,
            cases=never_cases,
            spec=None,
            symptoms=NEVER_SYMPTOMS,
            hints=(
                "Print the lengths of the never-shown rows of mini-gpt2 beside the lengths of the others.",
                "The same rows in mini-neo, where one vector was added to every row: which lengths would show them there too?",
                "Take the mean row for the origin. Which k rows are farthest from it? topk(k).indices gives row numbers.",
            ),
            meaning="The weights remember what the text did not hold: these rows went one way, and nothing ever called them back.",
            kind="integer",
            gap=missed,
        ),
        Part(
            name="output_gradient",
            takes=("pos d_vocab", "pos", "pos d_model"),
            returns="d_vocab d_model",
            points=3,
            cases=gradient_cases,
            spec=differentiated_output_gradient,
            symptoms=GRADIENT_SYMPTOMS,
            hints=(
                "Chain rule: how does the loss at one position change with one logit, and that logit with its token's row?",
                "The first is a probability, less one where the token is the right answer. The second is the residual at that position.",
                "Shapes: [pos, d_vocab] transposed, times [pos, d_model], over the number of positions.",
            ),
            meaning="At each position every token's row is pushed away from the residual by its probability, "
            "and only the right one is pulled towards it.",
        ),
    ),
    predictions=(
        Prediction("the story", choices=("born", "decay", "read", "answer"), right="answer"),
        Prediction("similarity before training", between=(-1, 1)),
        Prediction("similarity of the commonest", between=(-1, 1)),
    ),
    free_text=(
        FreeText(
            name="explanation",
            points=3,
            rubric=(
                "Not born: the first matrix has a mean cosine near zero, also for these tokens, and it is the same in both models.",
                "Made by the row's use as an answer: at each position a token that is wrong is pushed away from the residual, and one that "
                "is never right is never pulled back; silencing it as an answer, or untying the matrices, leaves W_E's row alone.",
                "What it does not mean: likeness of meaning. Or a limit: one text, one small model, AdamW; the commonest tokens are another matter.",
            ),
        ),
    ),
)
