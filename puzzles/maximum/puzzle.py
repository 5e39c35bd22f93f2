"""The largest of five: what is asked, how it is checked, and what each wrong answer looks like."""

import itertools
import math

import numpy as np
import torch

from mechpuzzles.puzzle import Case, FreeText, Part, Prediction, Puzzle, Symptom

# ---- the oracle: lists spelt out, in float64 ------------------------------------------------------------------------


def slow_tables(W_E, W_Q, W_K, W_V, W_O, W_U):
    """Each token by itself, between END and the logits."""
    W_E, W_Q, W_K, W_V, W_O, W_U = (one.double() for one in (W_E, W_Q, W_K, W_V, W_O, W_U))
    end, scores, writes = W_E[-1], [], []
    for x in W_E:
        scores.append(torch.dot(end @ W_Q, x @ W_K) / math.sqrt(W_Q.shape[1]))
        writes.append(end @ W_U + ((x @ W_V) @ W_O) @ W_U)
    return torch.stack(scores), torch.stack(writes)


def slow_copying_score(table):
    """The roots of the characteristic polynomial, whose coefficients are traces (Faddeev and LeVerrier)."""
    table, n = table.double(), len(table)
    coefficients, power = [1.0], torch.zeros(n, n, dtype=torch.float64)
    for k in range(1, n + 1):
        power = table @ power + coefficients[-1] * torch.eye(n)
        coefficients.append(-float((table @ power).trace()) / k)
    roots = np.roots(coefficients).tolist()
    return math.fsum(root.real for root in roots) / math.fsum(abs(root) for root in roots)


def slow_logits_from(scores, writes, counts):
    """The lists position by position."""
    rows = []
    for row in counts.long().tolist():
        tokens = [token for token, count in enumerate(row) for _ in range(count)]
        top = max(float(scores[token]) for token in tokens)
        weights = [math.exp(float(scores[token]) - top) for token in tokens]
        seen = [weight * writes[token].double() for weight, token in zip(weights, tokens, strict=True)]
        rows.append(sum(seen) / math.fsum(weights))
    return torch.stack(rows)


def logits_of(scores, writes, lists, end=1):
    """The logits for lists of one length, [batch, pos]; END stands behind each, ``end`` times."""
    tokens = torch.cat([lists, torch.full((len(lists), end), len(scores) - 1, dtype=torch.long)], 1)
    return torch.einsum("bp,bpn->bn", scores.double()[tokens].softmax(1), writes.double()[tokens])


def leads(logits, best):
    others = logits.clone()
    others[:, best] = -math.inf
    return logits[:, best] - others.max(1).values


def lead_of(scores, writes, best, numbers):
    return float(leads(logits_of(scores, writes, torch.tensor([numbers])), best)[0])


def slow_hardest_list(scores, writes, best, length):
    """All lists there are, order apart."""
    rest = itertools.combinations_with_replacement(range(best + 1), length - 1)
    lists = torch.tensor([(best, *numbers) for numbers in rest])
    return lists[leads(logits_of(scores, writes, lists), best).argmin()].tolist()


def legal(numbers, best, length):
    return len(numbers) == length and max(numbers) == best and min(numbers) >= 0


def harder_than(got, want, scores, writes, best, length):
    """How much smaller a lead there is than that of the list given, in thousandths."""
    if got.ndim != 1 or not len(got) or not legal(got.tolist(), best, length):
        return math.inf
    found, least = (lead_of(scores, writes, best, one.tolist()) for one in (got, want))
    return max(0.0, found - least) * 1e3


# ---- the inputs: no two axes alike ----------------------------------------------------------------------------------


def tables_cases(rng):
    for n, d_model, d_head in ((5, 7, 3), (4, 6, 9), (8, 3, 5)):
        shapes = ((n + 1, d_model), *[(d_model, d_head)] * 3, (d_head, d_model), (d_model, n))
        yield Case(tuple(torch.randn(shape, generator=rng) * shape[1] ** -0.25 for shape in shapes))


def other_scores(table):
    """What is taken for the copying score, by name."""
    table, of = table.double(), torch.linalg.eigvals(table.double())
    symmetric = torch.linalg.eigvalsh(table)
    sizes, trace = torch.linalg.svdvals(table), table.trace()
    return {
        "real_sizes": of.real.sum() / of.real.abs().sum(),
        "both_ways": of.real.sum() / (of.real.abs() + of.imag.abs()).sum(),
        "singular_values": trace / sizes.sum(),
        "all_singular": of.real.sum().abs() / sizes.sum(),
        "diagonal": trace / table.diagonal().abs().sum(),
        "whole_table": trace / table.abs().sum(),
        "whole_length": trace / table.norm(),
        "one_triangle": symmetric.sum() / symmetric.abs().sum(),
        "symmetric_half": trace / torch.linalg.eigvalsh(table + table.T).div(2).abs().sum(),
        "positive_share": (of.real > 0).double().mean(),
        "share_of_size": of.abs()[of.real > 0].sum() / of.abs().sum(),
        "directions": (of.real / of.abs()).mean(),
        "trace": trace,
        "mean": of.real.mean(),
        "size_of_sum": of.sum().abs() / of.abs().sum(),
        "top_rows": (table.argmax(1) == torch.arange(len(table))).double().mean(),
        "top_columns": (table.argmax(0) == torch.arange(len(table))).double().mean(),
        "sizes_first": of.abs().sum() / of.real.sum(),
    }


def copying_cases(rng):
    """Some eigenvalues are complex, one score is negative, and no wrong score is near the right one."""
    for n, lift in ((5, 0.6), (6, -0.9), (8, 0.3)):
        while True:
            table = torch.randn(n, n, generator=rng) + lift * torch.eye(n)
            right, wrong = slow_copying_score(table), other_scores(table)
            near = [name for name, one in wrong.items() if abs(float(one) - right) < 0.02]
            if right * lift > 0.02 and near in ([], ["size_of_sum"]):
                break
        yield Case((table,))


def logits_cases(rng):
    """Repeated tokens, absent ones, and in the second case scores whose exp is too large for float32."""
    for batch, n, offset in ((4, 6, 0.0), (5, 3, 120.0), (3, 5, 1.0)):
        scores = torch.randn(n + 1, generator=rng) + offset
        counts = torch.randint(0, 4, (batch, n + 1), generator=rng).float()
        counts[:, 0], counts[:, 1] = 3.0, torch.arange(batch) % 3
        counts[0, 2], counts[-1, 2], counts[:, -1] = 0.0, 2.0, 1.0
        yield Case((scores, 2 * torch.randn(n + 1, n, generator=rng), counts))


def picks(rule, scores, writes, best, length, end=1):
    """The number below best that a rule repeats."""
    lists = torch.tensor([[best, *[r] * (length - 1)] for r in range(best + 1)])
    logits = logits_of(scores, writes, lists, end)
    return int(rule(logits, best))


def hardest_by(scores, writes, best, length, end=1):
    return picks(lambda logits, best: leads(logits, best).argmin(), scores, writes, best, length, end)


def loudest_against(scores, writes, best, length):
    """Of those that vote worst against best, one for each rival, the one with the smallest lead."""
    weight = (scores.double() - scores.max()).exp()[: best + 1, None]
    votes = weight * (writes.double()[: best + 1, best, None] - writes.double()[: best + 1])
    worst = sorted({int(votes[:, rival].argmin()) for rival in range(votes.shape[1]) if rival != best})
    lists = torch.tensor([[best] + [r] * (length - 1) for r in worst])
    return worst[leads(logits_of(scores, writes, lists), best).argmin()]


RULES = {
    "hardest": hardest_by,
    "easiest": lambda s, w, best, length: picks(lambda logits, b: leads(logits, b).argmax(), s, w, best, length),
    "neighbour": lambda s, w, best, length: best - 1,
    "loudest": lambda s, w, best, length: int(s[:best].argmax()),
    "farthest": lambda s, w, best, length: 0,
    "best_alone": lambda s, w, best, length: best,
    "without_end": lambda s, w, best, length: hardest_by(s, w, best, length, end=0),
    "as_a_pair": lambda s, w, best, length: hardest_by(s, w, best, 2),
    "scores_ignored": lambda s, w, best, length: hardest_by(torch.zeros_like(s), w, best, length),
    "own_rival": lambda s, w, best, length: picks(
        lambda logits, b: (logits[:b, b] - logits[:b, :b].diagonal()).argmin(), s, w, best, length
    ),
    "lowest_logit": lambda s, w, best, length: picks(lambda logits, b: logits[:, b].argmin(), s, w, best, length),
    "worst_vote": loudest_against,
    "below_best": lambda s, w, best, length: picks(lambda logits, b: leads(logits[:b], b).argmin(), s, w, best, length),
}


def repeated(name, scores, writes, best, length):
    return [best] + [RULES[name](scores, writes, best, length)] * (length - 1)


def spread(scores, writes, best, length):
    return [best - i for i in range(length)]


def hardest_cases(rng):
    """Cases are added until each two rules differ in one where the first is wrong; none is nearly right."""
    apart = {(one, other) for one in RULES for other in RULES if "hardest" != one != other}
    while apart:
        n, length = 9, 3 + int(torch.randint(1, 3, (), generator=rng))
        best = int(torch.randint(5, n, (), generator=rng))
        scores = 0.5 * torch.arange(n + 1) + torch.randn(n + 1, generator=rng)
        scores[n] = scores[best] + torch.rand((), generator=rng)
        writes = 1.5 * torch.randn(n + 1, n, generator=rng) + 3 * torch.eye(n + 1, n)
        writes[best, best] -= 5.0 * int(torch.randint(2, (), generator=rng))  # then copies of best itself may do harm
        given = (scores, writes, best, length)
        hardest = repeated("hardest", *given)
        if all(repeated(name, *given) == hardest for name in {one for one, _ in apart}):
            continue  # it tells nothing new apart
        lists = {name: repeated(name, *given) for name in RULES}
        wrong = {name: numbers for name, numbers in lists.items() if numbers != hardest}
        tried = torch.tensor([hardest, spread(*given), *wrong.values()])
        least, *others = leads(logits_of(scores, writes, tried), best).tolist()
        new = {(a, b) for a, b in apart if a in wrong and lists[a] != lists[b]}
        if new and min(others) - least >= 0.05:
            apart -= new
            yield Case(given)


# ---- the learner's own model ----------------------------------------------------------------------------------------

N, LONGEST = 12, 6
KINDS = ("alone", "pair", "crowd", "never")


def lead_table(scores, writes, length, end=1):
    """Leads [best, other] on lists of best and length - 1 copies of other; infinite where other is above best."""
    weight, writes = (scores.double() - scores.max()).exp()[:, None], writes.double()
    vote, copies = weight * writes, length - 1
    logits = vote[:N, None] + copies * vote[None, :N] + end * vote[N]
    logits = logits / (weight[:N, None] + copies * weight[None, :N] + end * weight[N])
    own = logits.diagonal(dim1=0, dim2=2).T
    others = logits.masked_fill(torch.eye(N, dtype=torch.bool)[:, None], -math.inf).max(2).values
    return (own - others).masked_fill(torch.ones(N, N).triu(1).bool(), math.inf)


def kinds(scores, writes, lengths=(1, 2, LONGEST), end=1, below=None):
    """Labels by the first of the lengths whose hardest list fails."""
    found = ["never"] * N
    for length in reversed(lengths):
        table = lead_table(scores, writes, length, end)
        name = "alone" if length == 1 else "pair" if length == 2 else "crowd"
        for best in range(N):
            least = table[best].min() if below is None else table[best, below(best)]
            found[best] = name if least <= 0 else found[best]
    return found


def gap_kinds(scores, writes, longest=LONGEST):
    """By attention alone: who gets less than half of it?"""
    found = ["never"]
    for best in range(1, N):
        gap = float((scores[best] - scores[:best]).min())
        found.append("pair" if gap < 0 else "crowd" if gap < math.log(longest - 1) else "never")
    return found


def order_kinds(scores, writes):
    return ["pair" if best and scores[best] < scores[:best].max() else "never" for best in range(N)]


def row_kinds(scores, writes):
    return ["never" if int(writes[best].argmax()) == best else "alone" for best in range(N)]


KIND_RULES = {
    "right": kinds,
    "attention_alone": gap_kinds,
    "order_alone": order_kinds,
    "rows_alone": row_kinds,
    "without_end": lambda s, w: kinds(s, w, end=0),
    "neighbours_only": lambda s, w: kinds(s, w, below=lambda best: max(best - 1, 0)),
    "one_short": lambda s, w: kinds(s, w, (1, 2, LONGEST - 1)),
    "no_crowd": lambda s, w: kinds(s, w, (1, 2)),
    "alone_not_tried": lambda s, w: kinds(s, w, (2, LONGEST)),
    "longest_first": lambda s, w: kinds(s, w, (LONGEST, 2, 1)),
}


def uniform(rng, low, high):
    return low + (high - low) * float(torch.rand((), generator=rng))


def planned(rng):
    """Scores and writes: vote is a number's score plus the log of how much it writes; its distances decide."""
    others = ["miscopied", "crowd", "close", *["fine"] * 4]
    order = [others[i] for i in torch.randperm(len(others), generator=rng)]
    at = int(torch.randint(1, len(order), (), generator=rng))
    order[at:at] = ["pair", "follows", *["fine"] * 2]
    steps = {"fine": (2.3, 2.9), "miscopied": (2.3, 2.9), "crowd": (0.7, 0.95), "close": (1.48, 1.53)}
    steps |= {"pair": (-1.3, -1.1), "follows": (0.8, 0.95)}
    loud = torch.exp(1.8 * torch.rand(N + 1, generator=rng) - 0.9)
    vote = torch.zeros(N + 1)
    top = vote[N] = uniform(rng, 1.1, 1.3)  # END, against number 0
    writes = 0.01 * torch.randn(N + 1, N, generator=rng)
    target = [*range(N), int(torch.randint(3, N, (), generator=rng))]
    for number, kind in enumerate(order, start=1):
        vote[number] = top + uniform(rng, *steps[kind])
        top = max(top, vote[number])
        if kind == "miscopied":
            target[number] = int(torch.randint(0, number, (), generator=rng))
    writes[torch.arange(N + 1), torch.tensor(target)] += loud
    return vote - loud.log(), writes


def well_apart(scores, writes):
    """Whether no label hangs on a hair, and every rule gives labels of its own."""
    near = [float(lead_table(scores, writes, length).abs().min()) for length in (1, 2, LONGEST - 1, LONGEST)]
    labels = [tuple(rule(scores, writes)) for rule in KIND_RULES.values()]
    return min(near) > 0.004 and len(set(labels)) == len(labels)


def weights_for(scores, writes, rng, d_model=16, d_head=14):
    """Six matrices that have these tables: the embeddings are orthonormal, the rest is solved for."""
    basis = torch.linalg.qr(torch.randn(d_model, d_model, generator=rng))[0]
    W_E, W_U = basis[: N + 1], torch.randn(d_model, N, generator=rng)
    W_Q = torch.randn(d_model, d_head, generator=rng) / 4
    q = W_E[-1] @ W_Q
    noise = torch.randn(N + 1, d_head, generator=rng)
    keys = noise - torch.outer(noise @ q / (q @ q), q) + torch.outer(scores * d_head**0.5 / (q @ q), q)
    through = torch.linalg.qr(torch.randn(d_head, d_head, generator=rng))[0][:N]
    W_V = W_E.T @ (writes - W_E[-1] @ W_U) @ through
    return W_E, W_Q, W_E.T @ keys, W_V, through.T @ torch.linalg.pinv(W_U), W_U


def draw(rng):
    """The six matrices of the learner's model."""
    while not well_apart(*(plan := planned(rng))):
        pass
    return weights_for(*plan, rng)


def own_case(rng):
    given = draw(rng)
    return [Case(given, want=kinds(*slow_tables(*given)))]


# ---- the ways of being wrong ----------------------------------------------------------------------------------------


def asks(W_E, W_Q, W_K, query):
    return (W_E @ W_K @ (W_E[query] @ W_Q)) / W_Q.shape[1] ** 0.5


def through_head(W_E, W_V, W_O, W_U):
    return W_E @ W_V @ W_O @ W_U


TABLES_SYMPTOMS = (
    Symptom.gives(
        "not_scaled",
        lambda W_E, W_Q, W_K, W_V, W_O, W_U: asks(W_E, W_Q, W_K, -1) * W_Q.shape[1] ** 0.5,
        says="The scores lack the division by the square root of d_head.",
        at=0,
    ),
    Symptom.gives(
        "scaled_otherwise",
        lambda W_E, W_Q, *w: asks(W_E, W_Q, w[0], -1) * (W_Q.shape[1] / W_Q.shape[0]) ** 0.5,
        lambda W_E, W_Q, *w: asks(W_E, W_Q, w[0], -1) / W_Q.shape[1] ** 0.5,
        says="The scores are divided by something else than the square root of d_head, here {d_head}.",
        at=0,
    ),
    Symptom.gives(
        "end_as_key",
        lambda W_E, W_Q, W_K, *w: asks(W_E, W_K, W_Q, -1),
        says="Query and key are exchanged: END asks, through W_Q, and each token answers, through W_K.",
        at=0,
    ),
    Symptom.gives(
        "each_asks_itself",
        lambda W_E, W_Q, W_K, *w: ((W_E @ W_Q) * (W_E @ W_K)).sum(1) / W_Q.shape[1] ** 0.5,
        says="Each token is its own query here. The model answers at END, so END is the query for all.",
        at=0,
    ),
    Symptom.gives(
        "first_asks",
        lambda W_E, W_Q, W_K, *w: asks(W_E, W_Q, W_K, 0),
        says="Token 0 is the query here. END is the last row of W_E.",
        at=0,
    ),
    Symptom.gives(
        "already_attention",
        lambda W_E, W_Q, W_K, *w: asks(W_E, W_Q, W_K, -1).softmax(0),
        says="This is a softmax over the whole vocabulary. Leave the scores as they are: which tokens share attention, a list decides.",
        at=0,
    ),
    Symptom.gives(
        "head_alone",
        lambda W_E, W_Q, W_K, W_V, W_O, W_U: through_head(W_E, W_V, W_O, W_U),
        says="writes has the head's part only. END's own embedding also reaches the logits, past the head.",
        at=1,
    ),
    Symptom.gives(
        "own_embedding_added",
        lambda W_E, W_Q, W_K, W_V, W_O, W_U: through_head(W_E, W_V, W_O, W_U) + W_E @ W_U,
        says="Each token's own embedding was added. Past the head, the answer's position holds the embedding of END.",
        at=1,
    ),
    Symptom.gives(
        "direct_alone",
        lambda W_E, W_Q, W_K, W_V, W_O, W_U: W_E @ W_U,
        says="writes leaves out the head: W_V and W_O.",
        at=1,
    ),
    Symptom(
        "all_pairs",
        lambda got, want, *w: got[0].ndim == 2,
        says="scores has two axes. The query is always END, so one number for each token is enough.",
    ),
)


def score_of(name):
    return lambda table: other_scores(table)[name]


COPYING_SYMPTOMS = (
    Symptom.gives(
        "real_sizes",
        score_of("real_sizes"),
        says="Below the line are the sizes of the real parts alone. An eigenvalue's absolute value counts its imaginary part, too.",
    ),
    Symptom.gives(
        "both_ways",
        score_of("both_ways"),
        says="The absolute value of a complex number is the root of the squares of its two parts, not the sum of their sizes.",
    ),
    Symptom.gives(
        "singular_values",
        score_of("singular_values"),
        score_of("all_singular"),
        says="Those are singular values, which are never negative and forget where they point. Eigenvalues are asked for.",
    ),
    Symptom.gives(
        "diagonal",
        score_of("diagonal"),
        says="The diagonal's sum is that of the eigenvalues, but the sizes of its entries are not theirs.",
    ),
    Symptom.gives(
        "whole_table",
        score_of("whole_table"),
        score_of("whole_length"),
        says="The sum is divided by the size of the whole table. Divide by the eigenvalues' absolute values, added up.",
    ),
    Symptom.gives(
        "as_if_symmetric",
        score_of("one_triangle"),
        score_of("symmetric_half"),
        says="This treats the table as symmetric: eigvalsh reads one half of it. What 3 writes for 5 is not what 5 writes for 3.",
    ),
    Symptom.gives(
        "share_of_positive",
        score_of("positive_share"),
        score_of("share_of_size"),
        says="This is how many eigenvalues are positive, or their share of the size: between 0 and 1. The score goes from -1 to 1.",
    ),
    Symptom.gives(
        "each_divided",
        score_of("directions"),
        says="Each eigenvalue was divided by its own size, and then the mean taken. Small ones then count as much as large ones: add up first.",
    ),
    Symptom.gives(
        "not_divided",
        score_of("trace"),
        score_of("mean"),
        says="This is the sum of the eigenvalues, or their mean: it grows with the table. Divide by the sum of their absolute values.",
    ),
    Symptom.gives(
        "sign_lost",
        score_of("size_of_sum"),
        says="The sign is lost: abs was taken of the sum. The real part of the sum keeps it.",
    ),
    Symptom.gives(
        "top_entries",
        score_of("top_rows"),
        score_of("top_columns"),
        says="This is the share of rows or columns that are largest at their own number. What do the eigenvalues say?",
    ),
    Symptom.gives(
        "upside_down",
        score_of("sizes_first"),
        says="The quotient is upside down.",
    ),
)


def shares(scores, counts):
    return (scores.double() + counts.double().log()).softmax(1)


LOGITS_SYMPTOMS = (
    Symptom(
        "overflow",
        lambda got, want, *given: bool(got.isnan().any() or got.isinf().any()),
        says="There is a NaN or an infinity: exp overflows, or a row has nothing but minus infinity. Adding a constant to all scores changes no softmax.",
    ),
    Symptom.gives(
        "copies_not_counted",
        lambda scores, writes, counts: shares(scores, (counts > 0).double()) @ writes.double(),
        says="A token that stands in the list three times got the attention of one. The softmax goes over positions.",
    ),
    Symptom.gives(
        "counts_times_scores",
        lambda scores, writes, counts: (scores * counts).softmax(1) @ writes,
        says="The counts multiply the scores. They multiply exp(score): each copy enters the softmax by itself.",
    ),
    Symptom.gives(
        "same_for_all",
        lambda scores, writes, counts: (scores.softmax(0) @ writes).expand(len(counts), -1),
        says="The counts play no part: this is attention to the whole vocabulary.",
    ),
    Symptom.gives(
        "absent_tokens",
        lambda scores, writes, counts: shares(scores, counts + 1) @ writes.double(),
        lambda scores, writes, counts: shares(scores, counts.clamp(min=1)) @ writes.double(),
        says="Tokens that are not in the list get attention. Their share is zero.",
    ),
    Symptom.gives(
        "not_normalised",
        lambda scores, writes, counts: (counts * scores.softmax(0)) @ writes,
        says="The shares of a row do not add up to one. Divide by their sum, list by list.",
    ),
    Symptom.gives(
        "scores_not_used",
        lambda scores, writes, counts: counts / counts.sum(1, keepdim=True) @ writes,
        says="Every position gets the same attention. Weigh by exp(score).",
    ),
    Symptom.gives(
        "winner_takes_all",
        lambda scores, writes, counts: writes[torch.where(counts > 0, scores, -math.inf).argmax(1)],
        says="All attention goes to the highest score. Softmax is not argmax: the others keep a share.",
    ),
    Symptom.gives(
        "over_lists",
        lambda scores, writes, counts: (
            (scores.double() + counts.double().log()).softmax(0).nan_to_num() @ writes.double()
        ),
        says="The softmax runs over the lists. Each list shares out its own attention.",
    ),
    Symptom(
        "shares_only",
        lambda got, want, scores, writes, counts: got.shape == counts.shape,
        says="One number for each token came back: the shares of attention. Multiply by writes.",
    ),
)


def same_numbers(wrong):
    def when(got, want, *given):
        return sorted(got.tolist()) == sorted(wrong(*given))

    return when


def repeats(name):
    return same_numbers(lambda *given: repeated(name, *given))


HARDEST_SYMPTOMS = (
    Symptom(
        "another_length",
        lambda got, want, s, w, best, length: len(got) != length,
        says="The list has another length than asked for. best itself is one of the numbers; END is not.",
    ),
    Symptom(
        "too_large",
        lambda got, want, s, w, best, length: bool(got.max() > best),
        says="There is a number above best in the list.",
    ),
    Symptom(
        "best_missing",
        lambda got, want, s, w, best, length: best not in got.tolist(),
        says="best is not in the list.",
    ),
    Symptom("easiest", repeats("easiest"), says="This is the easiest such list: the lead is largest on it."),
    Symptom(
        "spread",
        same_numbers(spread),
        says="Different rivals split their votes. Take the worst of them, several times.",
    ),
    Symptom(
        "best_alone",
        repeats("best_alone"),
        says="Nothing but copies of best: that is the hardest list only if no other number does more harm.",
    ),
    Symptom(
        "neighbour",
        repeats("neighbour"),
        says="You repeat the next lower number. It need not be the worst: try all.",
    ),
    Symptom(
        "loudest",
        repeats("loudest"),
        says="You repeat the number that takes most attention away. What does it write? It may write for best.",
    ),
    Symptom("farthest", repeats("farthest"), says="You repeat 0. Try all numbers up to best."),
    Symptom(
        "scores_ignored",
        repeats("scores_ignored"),
        says="You repeat the number that writes most against best. How much attention does it get?",
    ),
    Symptom(
        "without_end",
        repeats("without_end"),
        says="This is the hardest list without END. END stands behind every list, gets attention, and votes.",
    ),
    Symptom(
        "as_a_pair",
        repeats("as_a_pair"),
        says="You repeat the number that is hardest as a pair. With more copies another may be harder: try it at full length.",
    ),
    Symptom(
        "below_best",
        repeats("below_best"),
        says="You never repeat best itself. Copies of best may be the hardest company: try range(best + 1).",
    ),
    Symptom(
        "own_rival",
        repeats("own_rival"),
        says="You compare best with the repeated number only. The largest other logit may be a third number's.",
    ),
    Symptom(
        "lowest_logit",
        repeats("lowest_logit"),
        says="On this list the logit of best is lowest. Asked for is its lead over the largest other logit.",
    ),
    Symptom(
        "worst_vote",
        repeats("worst_vote"),
        says="You repeat the number that votes worst. That decides the sign of a lead, not its size: a loud vote enlarges "
        "the denominator, too. Compare leads.",
    ),
)


def by_rule(name):
    """The symptom's test: these are the labels that the rule gives."""
    return lambda *given: KIND_RULES[name](*slow_tables(*given))


OWN_SYMPTOMS = (
    Symptom.gives(
        "attention_alone",
        by_rule("attention_alone"),
        says="You judge by attention: who gets less than half. What a number writes can be weak or strong.",
    ),
    Symptom.gives(
        "order_alone",
        by_rule("order_alone"),
        says="You judge by the order of the scores. A right order can lose to copies, and a wrong one can win.",
    ),
    Symptom.gives(
        "rows_alone",
        by_rule("rows_alone"),
        says="You judge by the rows of writes. They say what happens if a number gets all attention.",
    ),
    Symptom.gives(
        "without_end",
        by_rule("without_end"),
        says="END is missing from your lists. For one number, it decides.",
    ),
    Symptom.gives(
        "neighbours_only",
        by_rule("neighbours_only"),
        says="You set each number against the next lower one only. For one number the danger comes from further down.",
    ),
    Symptom.gives(
        "one_short",
        by_rule("one_short"),
        says="Your longest lists are one short: six numbers, one of them the largest, five others.",
    ),
    Symptom.gives(
        "no_crowd",
        by_rule("no_crowd"),
        says="No crowd wins in your labels. Some numbers win every pair, and lose to copies of one rival; different rivals do less harm.",
    ),
    Symptom.gives(
        "alone_not_tried",
        by_rule("alone_not_tried"),
        says="You begin with pairs. Some numbers are not even read right with nothing beside them.",
    ),
    Symptom.gives(
        "longest_first",
        by_rule("longest_first"),
        says="Every failure is a crowd to you. Asked for is the shortest list that fails.",
    ),
    Symptom(
        "number_of_labels",
        lambda got, want, *given: isinstance(got, tuple) and len(got) != len(want),
        says="Give twelve labels, for the numbers 0 to 11, in order.",
    ),
    Symptom(
        "other_words",
        lambda got, want, *given: isinstance(got, tuple) and bool(set(got) - set(KINDS)),
        says='The labels are "alone", "pair", "crowd" and "never", spelt so.',
    ),
)

PUZZLE = Puzzle(
    slug="maximum",
    title="The largest of five",
    question="How does attention compare numbers, and when does it get them wrong?",
    principle="A mechanism that explains the right answers must name the wrong ones: attention scores each token by "
    "itself and lets every copy vote, so its hardest inputs follow from the weights, and a few hundred lists stand for all.",
    minutes=40,
    models=(),
    after=("induction_heads",),
    problems={"3.5": "tables", "6.10": "copying_score"},
    draw=draw,
    parts=(
        Part(
            name="tables",
            takes=("d_vocab d_model", *["d_model d_head"] * 3, "d_head d_model", "d_model n"),
            returns=("d_vocab", "d_vocab n"),
            points=2,
            cases=tables_cases,
            spec=slow_tables,
            symptoms=TABLES_SYMPTOMS,
            hints=(
                "END's query is W_E[-1] @ W_Q. The keys of all tokens are W_E @ W_K.",
                "A token that gets all attention sends its row of W_E through W_V, W_O and W_U. What else reaches the logits?",
            ),
            meaning="No number's score depends on the others: where, then, are numbers compared?",
        ),
        Part(
            name="copying_score",
            takes=("n n",),
            returns="",
            points=1,
            cases=copying_cases,
            spec=slow_copying_score,
            symptoms=COPYING_SYMPTOMS,
            hints=(
                "torch.linalg.eigvals(table) gives n complex numbers. Add them up; add up their abs().",
                "The sum is complex, though its imaginary part is zero: take .real. It is also table.trace().",
            ),
            meaning="One number for a whole table. Which failures does it see?",
        ),
        Part(
            name="logits_from",
            takes=("d_vocab", "d_vocab n", "batch d_vocab"),
            returns="batch n",
            points=2,
            cases=logits_cases,
            spec=slow_logits_from,
            symptoms=LOGITS_SYMPTOMS,
            hints=(
                "A token that stands in a list c times gets c * exp(score), divided by the sum of these over the list.",
                "c * exp(score) is exp(score + log(c)), and softmax does the rest; log(0) is minus infinity, and that is right.",
            ),
            meaning="Numbers meet only here, in one denominator. A copy counts as much as a number of its own.",
        ),
        Part(
            name="hardest_list",
            takes=("d_vocab", "d_vocab n", "", ""),
            returns="length",
            points=3,
            cases=hardest_cases,
            spec=slow_hardest_list,
            gap=harder_than,
            symptoms=HARDEST_SYMPTOMS,
            kind="integer",
            hints=(
                "Take a mixed company apart: let each of its members fill all the places. Against a given rival, the lead on the mixed "
                "list is a weighted mean of the leads on those lists. Can it be the smallest?",
                "So the others are all the same number: best + 1 lists remain. Try them all with logits_from.",
                "counts has a 1 for END, a 1 for best, and length - 1 more for the number that is repeated.",
            ),
            meaning="A lead above 0 here is a proof for every list of that length with that largest number.",
        ),
        Part(
            name="my_numbers",
            takes=("d_vocab d_model", *["d_model d_head"] * 3, "d_head d_model", "d_model n"),
            returns="number",
            points=3,
            cases=own_case,
            spec=None,
            symptoms=OWN_SYMPTOMS,
            kind="label",
            value=True,
            hints=(
                "hardest_list and logits_from answer it for each number and length; for one number alone, logits_from does.",
                "Try the lengths 1, 2 and 6. Which of them is the first whose hardest list fails?",
            ),
            meaning="Scores alone mislabel some of these, and so do rows alone: a vote is attention times what is written. "
            "And with a copying score near 1, one number is not copied at all.",
        ),
    ),
    predictions=(
        Prediction("hardest company", choices=("close", "copies", "low"), right="copies"),
        Prediction("numbers that can fail", between=(0, 32), within=4),
        Prediction("matrix that mends it", choices=("W_Q", "W_U", "both", "neither"), right="W_Q"),
    ),
    free_text=(
        FreeText(
            name="explanation",
            points=3,
            rubric=(
                "Random tests hardly ever draw the lists that matter: the failures are near ties with many copies.",
                "The mechanism: each number is scored by itself, every copy votes with exp(score) times what it writes, "
                "and copies of a close rival outvote the largest.",
                "Next: compute from the weights the hardest list for each number and run the model on it, or train on such "
                "lists; no failing one means a proof, for this length.",
            ),
        ),
    ),
)
