"""Any one can go: what is asked, how it is checked, and what each wrong answer looks like."""

import itertools
import math

import torch

from mechpuzzles.puzzle import Case, FreeText, Part, Prediction, Puzzle, Symptom

# ---- the oracle -----------------------------------------------------------------------------------------------------


def slow_costs(right):
    """Contexts as sets of heads that are off, looked up one by one."""
    n_heads, table = right.ndim, right.double().tolist()

    def share(gone):
        found = table
        for head in range(n_heads):
            found = found[int(head in gone)]
        return found

    rows = []
    for head in range(n_heads):
        others = [h for h in range(n_heads) if h != head]
        contexts = [set(c) for size in range(n_heads) for c in itertools.combinations(others, size)]
        drops = [share(context) - share(context | {head}) for context in contexts]
        rows.append([drops[0], max(drops)])
    return torch.tensor(rows, dtype=torch.float64)


def written_out(period):
    """Each query of the second showing with its three targets, looked up in a sequence that is written out."""
    sequence = [-1, *range(period), *range(period)]
    for query in range(len(sequence) - period, len(sequence)):
        shown = sequence.index(sequence[query])
        yield query, (query - 1, shown, shown + 1)


def slow_head_scores(pattern, period):
    rows = []
    for head in range(pattern.shape[1]):
        sums = [0.0, 0.0, 0.0]
        for attention in pattern[:, head].double().tolist():
            for query, targets in written_out(period):
                sums = [total + attention[query][target] for total, target in zip(sums, targets, strict=True)]
        rows.append([total / (period * len(pattern)) for total in sums])
    return torch.tensor(rows, dtype=torch.float64)


def slow_k_composition(W_Q, W_K, W_V, W_O):
    """Scores of all basis queries against all basis keys, straight and through the writer."""

    def product(a, b):
        return [
            [math.fsum(x * y for x, y in zip(row, column, strict=True)) for column in zip(*b, strict=True)] for row in a
        ]

    def size(matrix):
        return math.sqrt(math.fsum(x * x for row in matrix for x in row))

    queries, keys, values, out = (W.double().tolist() for W in (W_Q, W_K, W_V, W_O))
    turned = list(map(list, zip(*keys, strict=True)))
    straight, written = product(queries, turned), product(values, out)
    keys_of_written = product(written, keys)  # row j: the key that the writer makes of basis vector j
    through = product(queries, list(map(list, zip(*keys_of_written, strict=True))))
    return size(through) / (size(straight) * size(written))


# ---- the inputs -----------------------------------------------------------------------------------------------------


def costs_cases(rng):
    """Tables in which absences also help and any context may cost most; in the last, the first absence does."""
    for n_heads in (3, 4, 5):
        yield Case((0.1 + 0.9 * torch.rand([2] * n_heads, generator=rng),))
    fragile = 0.45 * torch.rand(2, 2, 2, generator=rng)
    fragile[0, 0, 0] = 1.0
    yield Case((fragile,))


def random_pattern(rng, batch, head, pos):
    """Causal attention, peaked, with a begin token that gets more than its share."""
    scores = 2.0 * torch.randn(batch, head, pos, pos, generator=rng)
    scores[..., 0] += 1.0
    above = torch.ones(pos, pos).triu(1).bool()
    return scores.masked_fill(above, -math.inf).softmax(-1)


def scores_cases(rng):
    for batch, head, period in ((2, 4, 5), (3, 2, 7), (1, 5, 4)):
        yield Case((random_pattern(rng, batch, head, 1 + 2 * period), period))


def composition_cases(rng):
    """Heads of different sizes whose directions are stretched, so that every norm and every order differs."""
    for d_model, d_head in ((7, 3), (9, 4), (6, 2)):
        stretch = torch.exp(0.8 * torch.randn(d_model, generator=rng))
        sizes = torch.exp(0.4 * torch.randn(4, generator=rng))
        W = [size * torch.randn(d_model, d_head, generator=rng) for size in sizes]
        yield Case((stretch[:, None] * W[0], W[1], W[2], W[3].T * stretch))


# ---- the learner's own heads ----------------------------------------------------------------------------------------

LABELS = ("previous", "duplicate", "sink", "induction", "pair", "position")
N_HEADS, PERIOD, N_SEQUENCES = 8, 14, 16


def target(label, row, query):
    """Where a head of that kind looks: a key's position, the begin token's where there is nothing for it."""
    earlier = [key for key in range(1, query) if row[key] == row[query]]
    if label == "previous":
        return max(query - 1, 0)
    if label == "position":
        return max(query - PERIOD + 1, 0)
    if label == "sink" or not earlier:
        return 0
    if label == "pair" and row[earlier[0] - 1] != row[query - 1]:
        return 0
    return earlier[0] + (label != "duplicate")


def hand_set(rng, labels, strengths, rows):
    """Attention of hand-set heads: a share on the target, and noise."""
    pos = len(rows[0])
    keys = [[[target(label, row, query) for query in range(pos)] for label in labels] for row in rows]
    aimed = torch.nn.functional.one_hot(torch.tensor(keys), pos).float()
    share = torch.tensor(strengths)[:, None, None]
    return share * aimed + (1 - share) * random_pattern(rng, len(rows), N_HEADS, pos)


def draw_heads(rng):
    """Labels, and tokens with attention: 14 tokens repeated, and repeated with their pairs in another order."""

    def uniform(lo, hi):
        return lo + (hi - lo) * float(torch.rand((), generator=rng))

    more = torch.randint(len(LABELS), (N_HEADS - len(LABELS),), generator=rng).tolist()
    labels = [*LABELS, *(LABELS[i] for i in more)]
    labels = [labels[i] for i in torch.randperm(N_HEADS, generator=rng).tolist()]
    strengths = [uniform(0.75, 0.85) if label == "position" else uniform(0.6, 0.75) for label in labels]
    repeated, shuffled = [], []
    for _ in range(N_SEQUENCES):
        first = (1 + torch.randperm(60, generator=rng)[:PERIOD]).tolist()
        order = torch.randperm(PERIOD // 2, generator=rng).tolist()
        repeated.append([0, *first, *first])
        shuffled.append([0, *first, *(first[2 * pair + place] for pair in order for place in (0, 1))])
    on = [hand_set(rng, labels, strengths, rows) for rows in (repeated, shuffled)]
    return labels, (torch.tensor(repeated), on[0], torch.tensor(shuffled), on[1])


def own_case(rng):
    labels, given = draw_heads(rng)
    return [Case(given, want=labels)]


# ---- the ways of being wrong ----------------------------------------------------------------------------------------


def drops(right, head):
    """What a head's absence costs in each context; the first has all others on, the last all others off."""
    on_and_off = right.movedim(head, -1).reshape(-1, 2)
    return on_and_off @ torch.tensor([1.0, -1.0], dtype=right.dtype)


def per_head(right, number):
    """[head] of a number made of each head's drops."""
    return torch.stack([number(drops(right, head)) for head in range(right.ndim)])


def without(right, head):
    """The share right in each context without the head."""
    return right.select(head, 1).flatten()


def beside(want, column):
    """The true first column, and another second one."""
    return torch.stack([want[:, 0], column.to(want.dtype)], dim=1)


def one_other(right):
    """The contexts in which one other head is off."""
    return [2**other for other in range(right.ndim - 1)]


COST_SYMPTOMS = (
    Symptom.from_truth(
        "columns_swapped",
        lambda want, right: want.flip(1),
        says="The columns are swapped: first the cost alone, then the cost at most.",
    ),
    Symptom(
        "sign_flipped",
        lambda got, want, right: (
            got.shape == want.shape
            and torch.allclose(got[:, 0], -want[:, 0], atol=1e-4)
            and any(
                torch.allclose(got[:, 1], column.double(), atol=1e-4)
                for column in (-want[:, 1], per_head(right, lambda d: (-d).max()))
            )
        ),
        says="The sign is turned. A drop is positive: share right with the head, minus share right without it.",
    ),
    Symptom.from_truth(
        "on_and_off_confused",
        lambda want, right: torch.stack([per_head(right, lambda d: d[-1]), want[:, 1]], dim=1),
        says="Your first column has all *other* heads off. An index of 1 means off: right[0, 0, ...] has every head on.",
    ),
    Symptom.gives(
        "one_taken_for_on",
        lambda right: torch.stack([per_head(right, lambda d: -d[-1]), per_head(right, lambda d: -d.min())], dim=1),
        says="An index of 1 was taken for on. It means off: right[0, 0, ...] has every head on.",
    ),
    Symptom.from_truth(
        "last_context_only",
        lambda want, right: beside(want, per_head(right, lambda d: d[-1])),
        says="The second column takes one context, that in which all others are off. "
        "The largest drop may lie in any of them, some others on and some off.",
    ),
    Symptom.from_truth(
        "mean_of_contexts",
        lambda want, right: beside(want, per_head(right, lambda d: d.mean())),
        says="The second column is the mean over contexts. A head that matters in one context of many would look idle again.",
    ),
    Symptom(
        "absolute",
        lambda got, want, right: (
            got.shape == want.shape
            and torch.allclose(got[:, 1], per_head(right, lambda d: d.abs().max()).double(), atol=1e-4)
        ),
        says="A change in either direction counts as a cost here. Where the model does better without a head, the drop is negative.",
    ),
    Symptom(
        "joint_cost",
        lambda got, want, right: (
            got.shape == want.shape
            and any(
                torch.allclose(
                    got[:, 1].float(),
                    torch.stack([right.flatten()[0] - lowest(without(right, head)) for head in range(right.ndim)]),
                    atol=1e-4,
                )
                for lowest in (torch.min, lambda shares: shares[-1])
            )
        ),
        says="The second column compares with the intact model, so it also counts what the *other* absent heads cost. "
        "Compare two runs that differ in this head only.",
    ),
    Symptom(
        "one_other_off",
        lambda got, want, right: any(
            torch.allclose(
                got, beside(want, per_head(right, lambda d, some=some: d[[*some, *one_other(right)]].max())), atol=1e-4
            )
            for some in ([], [0])
        ),
        says="The second column stops at two absent heads. Three can cover for one another: take every context.",
    ),
    Symptom.from_truth(
        "smallest",
        lambda want, right: beside(want, per_head(right, lambda d: d.min())),
        says="The second column is the smallest drop. The question is where the head matters most.",
    ),
    Symptom.from_truth(
        "sum_of_contexts",
        lambda want, right: beside(want, per_head(right, lambda d: d.sum())),
        says="The second column adds the contexts up. They are alternatives: take the largest.",
    ),
    Symptom.from_truth(
        "mean_alone",
        lambda want, right: torch.stack([per_head(right, lambda d: d.mean()), want[:, 1]], dim=1),
        says="Your first column averages over the settings of the others. Alone is one setting: all others on.",
    ),
    Symptom.from_truth(
        "alone_left_out",
        lambda want, right: beside(want, per_head(right, lambda d: d[1:].max())),
        says="The second column leaves out the context in which all others are on. That is one of them.",
    ),
    Symptom(
        "unlike_contexts",
        lambda got, want, right: any(
            torch.allclose(
                got,
                beside(
                    want,
                    torch.stack([right.select(h, 0).max() - end(right.select(h, 1)) for h in range(right.ndim)]),
                ),
                atol=1e-4,
            )
            for end in (torch.min, torch.max)
        ),
        says="The second column takes the best run with the head and some run without it, in which other heads are off. "
        "Subtract first, each run from its own partner; then take the largest.",
    ),
    Symptom(
        "one_column",
        lambda got, want, right: got.ndim == 1,
        says="There is one number for each head. Two are asked for: alone, and at most.",
    ),
    Symptom.from_truth(
        "same_twice",
        lambda want, right: beside(want, want[:, 0]),
        says="Both columns are the cost alone. The second needs every context, also those in which other heads are off.",
    ),
    Symptom.from_truth(
        "heads_reversed",
        lambda want, right: want.flip(0),
        says="The heads come in reverse order: the first axis of right belongs to head 0.",
    ),
    Symptom.gives(
        "what_is_left",
        lambda right: torch.stack(
            [torch.stack([without(right, h)[0], without(right, h).min()]) for h in range(right.ndim)]
        ),
        lambda right: torch.stack(
            [torch.stack([without(right, h)[0], without(right, h).max()]) for h in range(right.ndim)]
        ),
        says="That is the share right without the head. Asked for is by how much it dropped.",
    ),
    Symptom.from_truth(
        "relative",
        lambda want, right: want / right.flatten()[0],
        says="The drops were divided by the share right of the intact model. They are differences of shares, as they are.",
    ),
    Symptom.from_truth(
        "transposed",
        lambda want, right: want.T,
        says="Rows and columns are exchanged: one row for each head, two columns.",
    ),
)


def stripes(pattern, period, shifts=(0, 0, 0), query_shift=0, keep=slice(None)):
    """Mean attention to the three targets, or to places beside them, from the queries or from others beside those."""
    queries, targets = zip(*list(written_out(period))[keep], strict=True)
    columns = []
    for shift, keys in zip(shifts, zip(*targets, strict=True), strict=True):
        mask = torch.zeros(pattern.shape[-2:], dtype=pattern.dtype)
        for query, key in zip(queries, keys, strict=True):
            mask[query + query_shift, key + query_shift + shift] = 1 / len(queries)
        columns.append(torch.einsum("bhqk,qk->h", pattern, mask) / len(pattern))
    return torch.stack(columns, dim=1)


def diagonals(pattern, period, first=0):
    """Each column over the whole diagonal on which its target lies, from the key ``first`` on."""
    query, targets = next(written_out(period))
    lines = [pattern.diagonal(target - query, -2, -1)[..., first:] for target in targets]
    return torch.stack([line.mean((0, 2)) for line in lines], dim=1)


def strongest(pattern):
    return torch.zeros_like(pattern).scatter(-1, pattern.argmax(-1, keepdim=True), 1.0)


def one_by_one(pattern, period):
    """[batch, head, column, query], nothing averaged."""
    rows = [pattern[..., query, list(targets)] for query, targets in written_out(period)]
    return torch.stack(rows, dim=-1)


def one_showing_early(pattern, period):
    """Queries of the first showing, each with keys as far back as the targets, where there are such keys."""
    columns = []
    for back in [query - target for query, targets in itertools.islice(written_out(period), 1) for target in targets]:
        queries = [query for query in range(1, period + 1) if query >= back]
        found = [pattern[..., query, query - back] for query in queries]
        columns.append(torch.stack(found).sum(0).mean(0) / period)
    return torch.stack(columns, dim=1)


def over(pattern, period, queries, place):
    """Means over these queries, with each key's place made from its distance by ``place``."""
    query, targets = next(written_out(period))
    keys = [[place(q - (query - target)) for q in queries] for target in targets]
    return torch.stack([pattern[:, :, list(queries), column].mean((0, 2)) for column in keys], dim=1)


SCORE_SYMPTOMS = (
    Symptom.from_truth(
        "last_two_swapped",
        lambda want, pattern, period: want[:, [0, 2, 1]],
        says="The last two columns are exchanged. A duplicate is the same token; induction looks at what came after it.",
    ),
    Symptom.from_truth(
        "columns_reversed",
        lambda want, pattern, period: want.flip(1),
        says="The columns come in another order: previous, duplicate, induction.",
    ),
    Symptom.gives(
        "looks_before",
        lambda pattern, period: stripes(pattern, period, (0, 0, -2)),
        says="Your third column looks at what came *before* the token's first showing. What followed it stands one place later.",
    ),
    Symptom.gives(
        "same_twice",
        lambda pattern, period: stripes(pattern, period, (0, 0, -1)),
        lambda pattern, period: stripes(pattern, period, (0, 1, 0)),
        says="The last two columns are the same. One is the token's first showing, the other the place after it.",
    ),
    Symptom.gives(
        "shifted_both",
        lambda pattern, period: stripes(pattern, period, (0, 1, 1)),
        lambda pattern, period: stripes(pattern, period, (0, -1, -1)),
        says="The last two columns look one place beside their targets. Write out begin, a, b, c, a, b, c, number the places, and count.",
    ),
    Symptom.gives(
        "looks_at_itself",
        lambda pattern, period: stripes(pattern, period, (1, 0, 0)),
        says="Your first column is the attention of a token to itself. The one before it stands one place back.",
    ),
    Symptom.gives(
        "whole_diagonals",
        lambda pattern, period: diagonals(pattern, period),
        lambda pattern, period: diagonals(pattern, period, first=1),
        says="These are whole diagonals. They hold queries of the first showing too, for which nothing has been shown yet, "
        "and some of the begin token. Keep the queries of the second showing.",
    ),
    Symptom.gives(
        "previous_over_all",
        lambda pattern, period: torch.cat([diagonals(pattern, period)[:, :1], stripes(pattern, period)[:, 1:]], 1),
        lambda pattern, period: torch.cat([diagonals(pattern, period, 1)[:, :1], stripes(pattern, period)[:, 1:]], 1),
        says="Your first column includes the first showing. Take the same queries for all three columns, so that they can be compared.",
    ),
    Symptom.gives(
        "diagonal_too_long",
        lambda pattern, period: torch.cat([stripes(pattern, period)[:, :1], diagonals(pattern, period)[:, 1:]], 1),
        lambda pattern, period: torch.cat([stripes(pattern, period)[:, :2], diagonals(pattern, period)[:, 2:]], 1),
        says="A whole diagonal begins one or two queries before the second showing. Keep its last `period` entries.",
    ),
    Symptom.gives(
        "begin_forgotten",
        lambda pattern, period: stripes(pattern, period, query_shift=-1),
        says="The queries start one place early: position 0 holds the begin token. At which position is the second showing's first token?",
    ),
    Symptom.gives(
        "one_too_many",
        lambda pattern, period: over(pattern, period, range(period, 2 * period + 1), int),
        says="There is one query too many: the last token of the first showing is among them.",
    ),
    Symptom.gives(
        "every_query",
        *(
            lambda pattern, period, first=first, place=place: over(pattern, period, range(first, 2 * period + 1), place)
            for first in (0, 1)
            for place in (int, lambda key: max(key, 0))
        ),
        says="All queries are in, those of the first showing too. They have no such target: a position below 0 counts from the end.",
    ),
    Symptom.gives(
        "first_showing",
        one_showing_early,
        says="These queries are those of the first showing. Nothing has been repeated there yet.",
    ),
    Symptom.gives(
        "last_left_out",
        lambda pattern, period: stripes(pattern, period, keep=slice(None, -1)),
        says="The last query is left out. It has nothing to predict, but it has targets: take all `period` queries.",
    ),
    Symptom.gives(
        "first_left_out",
        lambda pattern, period: stripes(pattern, period, keep=slice(1, None)),
        says="The first query of the second showing is left out. Its token has been shown before, so it counts.",
    ),
    Symptom.gives(
        "strongest_key",
        lambda pattern, period: stripes(strongest(pattern), period),
        says="This counts how often the target is the *strongest* key. A head that always gives it 0.4 could score 1 or 0: "
        "take the mean attention.",
    ),
    Symptom.gives(
        "queries_for_keys",
        lambda pattern, period: stripes(pattern.transpose(-1, -2), period),
        says="Queries and keys are exchanged, and nothing attends to the future, hence zeros. "
        "The last axis of pattern is the key, the one before it the query.",
    ),
    Symptom.from_truth(
        "summed_over_queries",
        lambda want, pattern, period: want * period,
        says="This is summed over the queries, so it grows with the period. Take the mean.",
    ),
    Symptom(
        "summed_over_batch",
        lambda got, want, pattern, period: any(
            torch.allclose(got, want * factor, atol=1e-4) for factor in (len(pattern), len(pattern) * period)
        ),
        says="This is summed over the batch: more sequences, higher score. Take the mean.",
    ),
    Symptom(
        "divided_by_too_many",
        lambda got, want, pattern, period: any(
            torch.allclose(got, want * period / n, atol=1e-4) for n in (2 * period, 2 * period + 1, period + 1)
        ),
        says="The sum is divided by more queries than were added up. There are `period` of them.",
    ),
    Symptom.gives(
        "largest",
        lambda pattern, period: one_by_one(pattern, period).amax((0, 3)),
        lambda pattern, period: one_by_one(pattern, period).mean(0).amax(-1),
        lambda pattern, period: one_by_one(pattern, period).amax(-1).mean(0),
        says="This is the largest attention over the queries. A head may look anywhere once: take the mean.",
    ),
    Symptom.gives(
        "median",
        lambda pattern, period: one_by_one(pattern, period).median(-1).values.mean(0),
        says="This is the median over the queries. Take the mean.",
    ),
    Symptom.gives(
        "one_sequence",
        lambda pattern, period: stripes(pattern[:1], period),
        says="This is the first sequence alone. Average over the batch.",
    ),
    Symptom.gives(
        "every_pair",
        lambda pattern, period: torch.stack(
            [
                pattern[:, :, 1 + period :, min(keys) : max(keys) + 1].mean((0, 2, 3))
                for keys in zip(*(targets for _, targets in written_out(period)), strict=True)
            ],
            dim=1,
        ),
        says="Every query is combined with every target. Each query has its own: index both axes at once, pattern[:, :, query, key].",
    ),
    Symptom.gives(
        "begin_left_out",
        lambda pattern, period: stripes(pattern / (1 - pattern[..., :1]).clamp(min=1e-9), period),
        says="The attention was shared out again without the begin token. What a head leaves there is part of the answer.",
    ),
    Symptom.gives(
        "heads_averaged",
        lambda pattern, period: one_by_one(pattern, period).mean((0, 1, 3)),
        says="The heads are averaged as well. Keep one row for each.",
    ),
    Symptom.from_truth(
        "transposed",
        lambda want, pattern, period: want.T,
        says="One row for each target came back. Asked for is one row for each head: stack along dim=1.",
    ),
    Symptom.gives(
        "batch_kept",
        lambda pattern, period: one_by_one(pattern, period).mean(3),
        says="There is still one table for each sequence. Average over the batch, too.",
    ),
)


def joined(W_Q, W_K, W_V, W_O, end):
    """The score matrix with the writer put in front of, or behind, either of its ends."""
    W_QK, W_OV = torch.einsum("qh,kh->qk", W_Q, W_K), torch.einsum("vh,hw->vw", W_V, W_O)
    equations = {
        "key": "qk,vk->qv",
        "query": "qk,vq->vk",
        "key, backwards": "qk,kw->qw",
        "query, backwards": "qk,qw->wk",
    }
    return torch.einsum(equations[end], W_QK, W_OV), W_QK, W_OV


def composed(end, norm=torch.linalg.matrix_norm, over=torch.linalg.matrix_norm):
    def formula(W_Q, W_K, W_V, W_O):
        through, W_QK, W_OV = joined(W_Q, W_K, W_V, W_O, end)
        return norm(through) / over(W_QK) / over(W_OV)

    return formula


def length(W):
    """The square root of the sum of squares, of a matrix or of several."""
    return W.square().sum().sqrt()


def entry_by_entry(a, b):
    return (a * b).sum() / (length(a) * length(b))


COMPOSITION_SYMPTOMS = (
    Symptom.gives(
        "queries_composed",
        composed("query"),
        lambda W_Q, W_K, W_V, W_O: length(W_V @ (W_O @ W_Q)) / length(W_V @ W_O) / length(W_Q),
        says="This is Q-composition: the writer feeds the *query*. In x @ W_QK @ y it is y, on the right, that the writer changes.",
    ),
    Symptom.gives(
        "backwards",
        composed("key, backwards"),
        composed("query, backwards"),
        says="The writer is put in backwards: its output should meet W_QK, and its input stay free. "
        "Put y @ W_OV in the place of y, and mind which way it then lies.",
    ),
    Symptom(
        "not_divided",
        lambda got, want, *W: math.isclose(got, length(joined(*W, "key")[0]), rel_tol=1e-4),
        says="This is the norm of the product. It grows with the heads' sizes: divide by the norms of W_QK and of W_OV.",
    ),
    Symptom(
        "half_divided",
        lambda got, want, *W: any(
            abs(got - want * length(matrix)) <= 1e-4 * max(1.0, float(got)) for matrix in joined(*W, "key")[1:]
        ),
        says="Divided by one of the two norms only. Both heads have a size, and neither is to count.",
    ),
    Symptom.from_truth(
        "squared",
        lambda want, *W: want**2,
        says="This is the square: the norms are roots of sums of squares.",
    ),
    Symptom.gives(
        "spectral",
        composed("key", norm=lambda M: torch.linalg.matrix_norm(M, 2), over=lambda M: torch.linalg.matrix_norm(M, 2)),
        composed("key", norm=lambda M: torch.linalg.matrix_norm(M, 2)),
        says="This is the largest singular value: one direction only. The Frobenius norm counts them all.",
    ),
    Symptom.gives(
        "nuclear",
        composed(
            "key", norm=lambda M: torch.linalg.matrix_norm(M, "nuc"), over=lambda M: torch.linalg.matrix_norm(M, "nuc")
        ),
        says="This is the nuclear norm, the sum of singular values. The Frobenius norm is the root of the sum of their squares.",
    ),
    Symptom.gives(
        "absolute_sum",
        composed("key", norm=lambda M: M.abs().sum(), over=lambda M: M.abs().sum()),
        says="This sums absolute entries, which depends on the choice of basis. The Frobenius norm is the root of the sum of squares.",
    ),
    Symptom.gives(
        "four_norms",
        lambda *W: length(joined(*W, "key")[0]) / math.prod(float(length(matrix)) for matrix in W),
        says="Divided by the norms of the four factors. What counts are the two products, W_QK and W_OV.",
    ),
    Symptom.gives(
        "cosine_of_matrices",
        lambda *W: entry_by_entry(*joined(*W, "key")[1:]),
        lambda *W: entry_by_entry(joined(*W, "key")[1], joined(*W, "key")[2].T),
        says="This compares W_QK and W_OV entry by entry, a cosine. Composition multiplies them as matrices.",
    ),
    Symptom.gives(
        "keys_only",
        lambda W_Q, W_K, W_V, W_O: length(W_V @ W_O @ W_K) / length(W_V @ W_O) / length(W_K),
        lambda W_Q, W_K, W_V, W_O: length(W_O @ W_K) / length(W_O) / length(W_K),
        says="W_Q is missing. A key direction that no query asks for does not matter.",
    ),
    Symptom.gives(
        "values_missing",
        lambda W_Q, W_K, W_V, W_O: (
            length(W_Q @ (W_O @ W_K).T) / length(W_O) / length(joined(W_Q, W_K, W_V, W_O, "key")[1])
        ),
        says="W_V is missing. What the writer does not read, it cannot write.",
    ),
    Symptom(
        "above_one",
        lambda got, want, *W: got.shape == want.shape and got > 1 + 1e-6,
        says="It comes out above 1. Divided by both norms, it cannot.",
    ),
    Symptom(
        "not_a_number",
        lambda got, want, *W: got.ndim > 0,
        says="One number is asked for: the norm of the whole matrix.",
    ),
)


def mistaken(*pairs):
    """Some heads are labelled wrongly, and each of them in one of these ways: (label given, true label)."""

    def when(got, want, *given):
        return len(got) == len(want) and {(g, w) for g, w in zip(got, want, strict=True) if g != w} <= set(pairs)

    return when


HEADS_SYMPTOMS = (
    Symptom(
        "number_of_labels",
        lambda got, want, *given: len(got) != len(want),
        says="The list needs eight labels, one for each head, in order.",
    ),
    Symptom(
        "other_words",
        lambda got, want, *given: not set(got) <= set(LABELS),
        says='The labels are "previous", "duplicate", "sink", "induction", "pair" and "position", in lower case.',
    ),
    Symptom(
        "position_unseen",
        mistaken(("induction", "position"), ("pair", "position")),
        says="One or more heads look a fixed distance back, whatever stands there. On plain repeats that is where induction looks, too. "
        "Where do they look once the second showing is shuffled?",
    ),
    Symptom(
        "pair_unseen",
        mistaken(("induction", "pair")),
        says="One or more of your induction heads follow a token only where the one before it agrees. "
        "Measure on shuffled, the first of each pair apart from the second.",
    ),
    Symptom(
        "pair_too_often",
        mistaken(("pair", "induction")),
        says="One or more of your pair heads follow a token whatever stands before it. "
        "Measure on shuffled, the first of each pair apart from the second.",
    ),
    Symptom(
        "position_too_often",
        mistaken(("position", "induction"), ("position", "pair")),
        says="One or more of your position heads do move their target when the second showing is shuffled. Follow the token, not the distance.",
    ),
    Symptom(
        "by_pattern_alone",
        mistaken(*itertools.permutations(("induction", "pair", "position"), 2)),
        says="Three kinds look alike on plain repeats, and the score there does not rank them. What tells them apart is shuffled.",
    ),
    Symptom(
        "next_place",
        mistaken(
            *[(a, "duplicate") for a in ("induction", "pair", "position")],
            *[(a, b) for a in ("duplicate",) for b in ("induction", "pair", "position")],
        ),
        says="One place matters: a duplicate head looks at the same token, the others at the place after it.",
    ),
    Symptom(
        "sink_unseen",
        mistaken(*[(label, "sink") for label in LABELS]),
        says="One or more heads look at the begin token from everywhere. A target that always stands at 0 is none of the three columns.",
    ),
    Symptom(
        "several",
        lambda got, want, *given: True,
        says="Several labels are not so. Begin with head_scores on on_repeated; whoever is high in no column is a sink.",
    ),
)

PUZZLE = Puzzle(
    slug="induction_heads",
    title="Any one can go",
    question="Which heads do induction, and how would you know that you are wrong?",
    principle="A pattern, a weight and an ablation each make another claim about a head, and each claim holds for the inputs, "
    "the way of switching off and the context in which it was measured.",
    minutes=45,
    models=("mini-induction", "attn-only-2l", "toy-ioi", "mini-gpt2"),
    after=("meaningful_zero",),
    problems={
        "2.29": "costs",
        "3.16": "head_scores",
        "4.22": "k_composition",
        "6.7": "costs",
        "6.9": "k_composition",
        "6.11": "k_composition",
        "6.18": "head_scores",
        "6.19": "head_scores",
        "6.20": "head_scores",
        "6.26": "head_scores",
    },
    draw=lambda rng: draw_heads(rng)[1],
    parts=(
        Part(
            name="costs",
            takes=("",),
            returns="head cost",
            points=2,
            cases=costs_cases,
            spec=slow_costs,
            symptoms=COST_SYMPTOMS,
            hints=(
                "right.select(head, 0) has every run in which that head is on. Which tensor has the same runs with it off?",
                "Their difference holds the head's cost in every context. In which entry are all the others on? And the most is its max().",
            ),
            meaning="Alone is one context of many. A head is idle, on these inputs, only if it costs nothing in any.",
        ),
        Part(
            name="head_scores",
            takes=("batch head query_pos key_pos", ""),
            returns="head target",
            points=2,
            cases=scores_cases,
            spec=slow_head_scores,
            symptoms=SCORE_SYMPTOMS,
            hints=(
                "Write out begin, a, b, c, a, b, c with positions 0 to 6. Which queries belong to the second showing?",
                "For the second a: where is the token before, the first a, and what followed that? Each at a fixed distance. "
                "pattern[:, :, query, key] takes two tensors of positions.",
            ),
            meaning="Where a head looks, on repeats. Not yet what it looks for, nor what comes of it.",
        ),
        Part(
            name="k_composition",
            takes=("d_model d_head", "d_model d_head", "d_model d_head", "d_head d_model"),
            returns="",
            points=2,
            cases=composition_cases,
            spec=slow_k_composition,
            symptoms=COMPOSITION_SYMPTOMS,
            hints=(
                "Put y @ W_OV in the place of y: x @ W_QK @ (y @ W_OV). As a matrix between x and y, how does W_OV stand in it?",
                "A row vector on the right of a matrix is a column: (y @ W_OV) there is W_OV transposed, times y. "
                "Then three norms: .norm() of a matrix is Frobenius'.",
            ),
            meaning="How well the directions fit. Sizes are divided out, and so is the question what for.",
        ),
        Part(
            name="my_heads",
            takes=(
                "sequence pos",
                "sequence head query_pos key_pos",
                "sequence pos",
                "sequence head query_pos key_pos",
            ),
            returns="head",
            points=2,
            cases=own_case,
            spec=None,
            symptoms=HEADS_SYMPTOMS,
            kind="label",
            value=True,
            hints=(
                "head_scores(on_repeated, 14) and head_scores(on_shuffled, 14), side by side: whose scores fall, and whose stay?",
                "slow_follow(on_shuffled, shuffled, range(15, 29, 2)) asks the first of each pair, range(16, 29, 2) the second.",
            ),
            meaning="On repeats three kinds were one. You told them apart by changing the inputs, not by looking longer.",
        ),
    ),
    predictions=(
        Prediction("the story", choices=("spare", "votes", "elsewhere"), right="votes"),
        Prediction("share lost without heads 0 and 1", between=(0, 1)),
        Prediction("most strongly wired", choices=("L1H0", "L1H1", "L1H2", "L1H3")),
    ),
    free_text=(
        FreeText(
            name="explanation",
            points=3,
            rubric=(
                "The cost of one alone, counted in right guesses, says little: several heads vote, so ablate them in every context, and together.",
                "A score says where a head looks on these inputs: shuffled repeats tell induction from a fixed distance and from pairs; "
                "other inputs, other verdict.",
                "Composition divides sizes out and does not say what the wire is for: cut it and measure. "
                "And a mean hides what hardly varies on these inputs.",
            ),
        ),
    ),
)
