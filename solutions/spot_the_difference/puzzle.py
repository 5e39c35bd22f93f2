"""Spot the difference: what is asked, how it is checked, and what each wrong answer looks like."""

import math

import torch

from mechpuzzles.puzzle import Case, FreeText, Part, Prediction, Puzzle, Symptom

# ---- the oracle: sums over single numbers ---------------------------------------------------------------------------


def log_prob(logits, token):
    """The log-probability of one token, from a list of logits."""
    top = max(logits)
    return logits[token] - top - math.log(math.fsum(math.exp(x - top) for x in logits))


def slow_gains(old_logits, new_logits, tokens):
    rows = []
    for old, new, row in zip(old_logits.double().tolist(), new_logits.double().tolist(), tokens.tolist(), strict=True):
        places = range(len(row) - 1)
        rows.append([log_prob(new[p], row[p + 1]) - log_prob(old[p], row[p + 1]) for p in places])
    return torch.tensor(rows, dtype=torch.float64)


def slow_change(old, new):
    """The largest eigenvalue of the difference's Gram matrix, by squaring that matrix over and over."""
    moved = new.double() - old.double()
    squares = math.fsum(x * x for x in moved.flatten().tolist())
    gram = torch.einsum("ik,jk->ij", moved, moved) / squares
    power = gram.clone()
    for _ in range(60):
        power = torch.einsum("ij,jk->ik", power, power)
        power = power / power.diagonal().sum()
    top = (power * gram).sum()
    size = math.sqrt(squares / math.fsum(x * x for x in old.double().flatten().tolist()))
    return torch.tensor([size, float(top)], dtype=torch.float64)


def slow_direct_gains(old_parts, new_parts, old_scale, new_scale, direction):
    weights = direction.double().tolist()
    rows = []
    for old, new in zip(old_parts.double().tolist(), new_parts.double().tolist(), strict=True):
        said = []
        for side, scales, sign in ((new, new_scale, 1), (old, old_scale, -1)):
            for vector, scale in zip(side, scales.double().tolist(), strict=True):
                said.append(sign * math.fsum(x * w for x, w in zip(vector, weights, strict=True)) / scale)
        rows.append(math.fsum(said) / len(old))
    return torch.tensor(rows, dtype=torch.float64)


def slow_closed(scores):
    table, n = scores.double().tolist(), scores.ndim

    def score(new_parts):
        found = table
        for part in range(n):
            found = found[int(part in new_parts)]
        return found

    everything = set(range(n))
    gap = score(everything) - score(set())
    rows = [
        [(score({part}) - score(set())) / gap, (score(everything) - score(everything - {part})) / gap]
        for part in range(n)
    ]
    return torch.tensor(rows, dtype=torch.float64)


# ---- the inputs -----------------------------------------------------------------------------------------------------


def gains_cases(rng):
    """Logits that differ also by a number of their own at each position, which no probability sees."""
    for batch, pos, d_vocab in ((3, 6, 9), (2, 8, 5), (4, 5, 7)):
        logits = [
            2.0 * torch.randn(batch, pos, d_vocab, generator=rng) + 3.0 * torch.randn(batch, pos, 1, generator=rng)
            for _ in range(2)
        ]
        yield Case((*logits, torch.randint(d_vocab, (batch, pos), generator=rng)))


def change_cases(rng):
    """A change with one strong direction and noise, of another size than the matrix; some have a mean."""
    for rows, columns, strength in ((7, 5, 2.0), (4, 9, 1.0), (6, 11, 3.0)):
        old = torch.randn(rows, columns, generator=rng) * (2.0 + torch.rand((), generator=rng)) + 0.8
        ends = torch.randn(rows, 1, generator=rng), torch.randn(1, columns, generator=rng)
        moved = 0.35 * torch.randn(rows, columns, generator=rng) + 0.3 * strength * ends[0] * ends[1]
        yield Case((old, old + moved))


def direct_cases(rng):
    for part, batch, d_model in ((4, 3, 6), (5, 4, 7), (3, 5, 8)):
        sides = [torch.randn(part, batch, d_model, generator=rng) + 0.5 for _ in range(2)]
        scales = [0.4 + 2.0 * torch.rand(batch, generator=rng) * (1 + 2 * side) for side in range(2)]
        yield Case((*sides, *scales, torch.randn(d_model, generator=rng) + 0.3))


def closed_cases(rng):
    """Scores of hybrids that are no sums: anything may happen in between, and the gap has either sign."""
    for n, sign in ((3, 1.0), (4, -1.0), (5, 1.0)):
        scores = torch.randn([2] * n, generator=rng) - 2.0
        flat = scores.flatten()
        flat[-1] = flat[0] + sign * (2.0 + 2.0 * torch.rand((), generator=rng))
        yield Case((scores,))


# ---- the learner's own two models -----------------------------------------------------------------------------------

D_VOCAB, D_MODEL, D_MLP, N_LAYERS = 48, 56, 30, 5
FIRES, QUIET = 9.0, -1.5  # what one unit reads of its token, and of every other


def logits_of(W):
    """The hand-set model's logits after each token of the vocabulary."""
    resid = W["W_E"]
    for W_in, W_out in zip(W["W_in"], W["W_out"], strict=True):
        resid = resid + (resid @ W_in).relu() @ W_out
    return resid @ W["W_U"]


def with_each_layer(old, new):
    """The old model with each layer of the new in turn, as one batch of models: W_in and W_out are [layer, model, ...]."""
    its_own = torch.eye(N_LAYERS, dtype=torch.bool)[:, :, None, None]
    return old | {name: torch.where(its_own, new[name][:, None], old[name][:, None]) for name in ("W_in", "W_out")}


def apart(old, new):
    """KL divergence in nats after each token."""
    p, q = logits_of(old).log_softmax(-1), logits_of(new).log_softmax(-1)
    return (p.exp() * (p - q)).sum(-1)


def one_by_one(old, new):
    """How far each layer alone takes the old model from itself, [layer, token]."""
    return apart(old, with_each_layer(old, new))


def how_far(old, new):
    """Each layer's relative change, of both its matrices together."""
    return sum((new[k] - old[k]).norm(dim=(1, 2)) / old[k].norm(dim=(1, 2)) for k in ("W_in", "W_out"))


def most_moved(old, new):
    """The layer with the largest relative change."""
    return int(how_far(old, new).argmax())


def strongest(old, new):
    """The layer whose change has the largest singular value."""
    top = [torch.linalg.matrix_norm(new[k] - old[k], 2) for k in ("W_in", "W_out")]
    return int(torch.maximum(*top).argmax())


def try_models(rng):
    """An old and a new model, where they differ in what they say, and what was done to which layer."""

    def normal(*shape):
        return torch.randn(*shape, generator=rng)

    basis = torch.linalg.qr(normal(D_MODEL, D_MODEL)).Q
    used, unused = basis[:D_VOCAB], basis[D_VOCAB:]
    order = torch.randperm(N_LAYERS, generator=rng).tolist()
    (taught, shaken), (renamed, unread, idle) = sorted(order[:2]), order[2:]
    token, source = torch.randperm(D_VOCAB, generator=rng)[:2].tolist()
    W_E = 3 * used[torch.randperm(D_VOCAB, generator=rng)]
    W_in = normal(N_LAYERS, D_MODEL, D_MLP) / math.sqrt(D_MODEL)
    W_out = 0.4 * normal(N_LAYERS, D_MLP, D_MODEL) / math.sqrt(D_MODEL)
    W_out[shaken] *= 4
    W_out = W_out @ used.T @ used
    unit, resid = int(torch.randint(D_MLP, (1,), generator=rng)), W_E
    for layer in range(N_LAYERS):
        if layer == taught:  # one unit fires after one token, in both models
            reads = torch.where(torch.arange(D_VOCAB) == token, FIRES, QUIET).double()
            W_in[layer][:, unit] = torch.linalg.lstsq(resid.double(), reads[:, None]).solution[:, 0].float()
        resid = resid + (resid @ W_in[layer]).relu() @ W_out[layer]
    successor = torch.randperm(D_VOCAB, generator=rng)
    W_U = W_E.T @ torch.eye(D_VOCAB)[successor] / 2
    old = {"W_E": W_E, "W_in": W_in, "W_out": W_out, "W_U": W_U}
    new = {name: W.clone() for name, W in old.items()}
    for name, inside in (("W_in", torch.eye(D_MLP)), ("W_out", used.T @ used)):
        jitter = normal(*old[name].shape) @ inside
        size = old[name].flatten(1).norm(dim=1) / jitter.flatten(1).norm(dim=1)
        new[name] += 0.03 * size[:, None, None] * jitter
    units, stretch = torch.randperm(D_MLP, generator=rng), torch.exp(0.4 * normal(D_MLP))
    new["W_in"][renamed] = (W_in[renamed] * stretch)[:, units]
    new["W_out"][renamed] = (W_out[renamed] / stretch[:, None])[units]
    there, along = normal(len(unused)) @ unused, normal(D_MLP)
    new["W_in"][unread] += 6 * torch.outer(there / there.norm(), along / along.norm())
    trial = {name: W.clone() for name, W in old.items()}
    drift = normal(D_MLP, D_MODEL) @ used.T @ used
    trial["W_out"][shaken] += drift
    new["W_out"][shaken] += 0.6 * drift / (logits_of(trial) - logits_of(old)).std()
    new["W_out"][taught][unit] += 1.5 * (W_E[source] - W_E[token]) / FIRES
    roles = {"taught": taught, "shaken": shaken, "renamed": renamed, "unread": unread, "idle": idle}
    return old, new, (token, int(successor[source]), taught), roles


def sound(old, new, answer, roles):
    """Whether the draw shows what it is to show: one token far apart, and three layers that mislead."""
    alone = one_by_one(old, new)
    if int(alone.mean(1).argmax()) != roles["shaken"]:  # most draws that are not sound end here
        return False
    token, said, _ = answer
    far, single = apart(old, new), alone[:, token]
    was, now = (logits_of(W).log_softmax(-1) for W in (old, new))
    moved, others = now - was, torch.arange(D_VOCAB) != token
    first, second = now[token].topk(2)[0]
    without = logits_of(with_each_layer(new, old))[:, token].log_softmax(-1)[:, said]
    return bool(
        int(now[token].argmax()) == said
        and int(was[token].argmax()) != said
        and first - second > 1
        and far[token] > 3 * far[others].max()
        and int(moved[token].argmax()) == said
        and moved[token, said] > moved[others].abs().max() + 0.5  # one entry may rise far and count for little in KL
        and int(without.argmin()) == roles["taught"]
        and most_moved(old, new) == roles["renamed"]
        and int(single.argmax()) == roles["taught"]
        and strongest(old, new) == roles["unread"]
        and how_far(old, new).argsort()[:2].tolist() == [roles["idle"], roles["taught"]]
        and single[roles["taught"]] > 3 * single[roles["shaken"]]
    )


def draw_models(rng):
    """Draws until one is sound."""
    while True:
        drawn = try_models(rng)
        if sound(*drawn):
            return drawn


def own_case(rng):
    old, new, answer, _ = draw_models(rng)
    yield Case((old, new), want=list(answer))


# ---- what each wrong answer looks like ------------------------------------------------------------------------------


def read_off(values, tokens, shift=1):
    """Entries of [batch, pos, d_vocab] for the token `shift` places on."""
    pos = tokens.shape[1] - 1
    first = 0 if shift >= 0 else 1
    wanted = tokens[:, 1:] if shift else tokens[:, :-1]
    return torch.take_along_dim(values[:, first : first + pos], wanted[..., None], 2).squeeze(2)


def log_softmax(logits):
    return logits - logits.logsumexp(-1, keepdim=True)


GAIN_SYMPTOMS = (
    Symptom.gives(
        "logits_compared",
        lambda old, new, tokens: read_off(new, tokens) - read_off(old, tokens),
        says="These are differences of logits. All logits of a position may move together and change no probability: "
        "take log-probabilities first.",
    ),
    Symptom.gives(
        "probabilities_compared",
        lambda old, new, tokens: read_off(new.softmax(-1), tokens) - read_off(old.softmax(-1), tokens),
        says="These are differences of probabilities: from 0.001 to 0.01 looks like nothing there. Take the logarithms.",
    ),
    Symptom.gives(
        "own_token",
        lambda old, new, tokens: read_off(log_softmax(new), tokens, 0) - read_off(log_softmax(old), tokens, 0),
        says="This asks each position about the token that stands there. Position p predicts token p + 1.",
    ),
    Symptom.gives(
        "one_late",
        lambda old, new, tokens: read_off(log_softmax(new), tokens, -1) - read_off(log_softmax(old), tokens, -1),
        says="This reads token p + 1 off position p + 1, which has seen it already. Position p predicts it.",
    ),
    Symptom.from_truth(
        "wrong_way_round",
        lambda want, *inputs: -want,
        says="The sign: a gain is the new model's log-probability minus the old one's. As a loss it is the other way round.",
    ),
    Symptom.from_truth(
        "in_bits",
        lambda want, *inputs: want / math.log(2),
        says="These are bits. A nat is the natural logarithm's unit.",
    ),
    Symptom.from_truth(
        "ratio",
        lambda want, *inputs: want.exp(),
        says="These are ratios of probabilities. A gain in nats is the ratio's logarithm.",
    ),
    Symptom.from_truth(
        "sign_lost",
        lambda want, *inputs: want.abs(),
        says="These are absolute values: what was lost counts as won.",
    ),
    Symptom.gives(
        "softmax_over_positions",
        lambda old, new, tokens: read_off(new.log_softmax(1), tokens) - read_off(old.log_softmax(1), tokens),
        lambda old, new, tokens: (
            read_off(new[:, :-1].log_softmax(1), tokens) - read_off(old[:, :-1].log_softmax(1), tokens)
        ),
        says="The softmax is over positions. Probabilities sum to one over the vocabulary, the last axis.",
    ),
    Symptom.gives(
        "whole_distribution",
        lambda old, new, tokens: (new.softmax(-1) * (log_softmax(new) - log_softmax(old))).sum(-1)[:, :-1],
        lambda old, new, tokens: (old.softmax(-1) * (log_softmax(old) - log_softmax(new))).sum(-1)[:, :-1],
        says="This is the KL divergence between all that the two might say. Asked for is the one token that comes next.",
    ),
    Symptom.from_truth(
        "averaged",
        lambda want, *inputs: want.mean(),
        lambda want, *inputs: want.mean(0),
        lambda want, *inputs: want.mean(1),
        says="This is a mean, and a mean hides the few places that matter. Keep one number for each place.",
    ),
    Symptom(
        "last_place_kept",
        lambda got, want, old, new, tokens: got.shape == tokens.shape,
        says="There is an entry for each position. Nothing comes after the last: there are pos - 1.",
    ),
)


def spectrum(M):
    return torch.linalg.svdvals(M.double())


CHANGE_SYMPTOMS = (
    Symptom.from_truth(
        "swapped",
        lambda want, old, new: want.flip(0),
        says="Both numbers are there, in the other order: first the size, then the share.",
    ),
    Symptom(
        "not_divided",
        lambda got, want, old, new: math.isclose(got[0], (new - old).norm(), rel_tol=1e-4),
        says="Entry 0 is the bare norm: a large matrix moves far at once. Divide by the norm of old.",
    ),
    Symptom(
        "divided_by_new",
        lambda got, want, old, new: math.isclose(got[0], (new - old).norm() / new.norm(), rel_tol=1e-4),
        says="Entry 0 is divided by the norm of new. The old matrix is the measure.",
    ),
    Symptom(
        "size_squared",
        lambda got, want, old, new: math.isclose(got[0], want[0] ** 2, rel_tol=1e-4),
        says="Entry 0 is the square of what is asked for: norms are roots.",
    ),
    Symptom(
        "norms_compared",
        lambda got, want, old, new: math.isclose(
            abs(got[0]), abs(new.norm() / old.norm() - 1), rel_tol=1e-4, abs_tol=1e-6
        ),
        says="Entry 0 compares two norms. A matrix can turn into quite another one of the same norm: "
        "take the norm of the difference.",
    ),
    Symptom(
        "spectral",
        lambda got, want, old, new: any(
            math.isclose(got[0], spectrum(new - old)[0] / below, rel_tol=1e-4)
            for below in (spectrum(old)[0], old.norm())
        ),
        says="Entry 0 is made of largest singular values. The Frobenius norm counts all directions.",
    ),
    Symptom(
        "entry_by_entry",
        lambda got, want, old, new: any(
            math.isclose(got[0], of, rel_tol=1e-3)
            for of in (((new - old) / old).abs().mean(), (new - old).abs().mean() / old.abs().mean())
        ),
        says="Entry 0 averages over entries. The Frobenius norm is the root of the sum of squares.",
    ),
    Symptom(
        "not_squared",
        lambda got, want, old, new: math.isclose(got[1], want[1].sqrt(), rel_tol=1e-4),
        says="Entry 1 is a ratio of norms. Shares add up to one over all directions only when they are squared.",
    ),
    Symptom(
        "sum_of_singular_values",
        lambda got, want, old, new: any(
            math.isclose(got[1], of, rel_tol=1e-4)
            for s in [spectrum(new - old)]
            for of in (s[0] / s.sum(), s[0] ** 2 / s.sum() ** 2)
        ),
        says="Entry 1 divides by the sum of the singular values. Square them before you add them up.",
    ),
    Symptom(
        "not_of_the_difference",
        lambda got, want, old, new: any(
            math.isclose(got[1], spectrum(M)[0] ** 2 / spectrum(M).square().sum(), rel_tol=1e-4) for M in (old, new)
        ),
        says="Entry 1 is about one of the two matrices. The directions are those of their difference.",
    ),
    Symptom(
        "not_a_share",
        lambda got, want, old, new: any(
            math.isclose(got[1], spectrum(new - old)[0] ** power, rel_tol=1e-4) for power in (1, 2)
        ),
        says="Entry 1 is the largest singular value itself. How much of the whole difference is that?",
    ),
)


def effects(parts, scale, direction):
    return torch.einsum("pbd,d->pb", parts, direction) / scale


def alone_normed(parts, direction):
    centred = parts - parts.mean(-1, keepdim=True)
    return torch.einsum("pbd,d->pb", centred / centred.square().mean(-1, keepdim=True).sqrt(), direction)


DIRECT_SYMPTOMS = (
    Symptom.gives(
        "one_scale",
        lambda a, b, s, t, w: (effects(b, s, w) - effects(a, s, w)).mean(1),
        lambda a, b, s, t, w: (effects(b, t, w) - effects(a, t, w)).mean(1),
        says="Both outputs are divided by one model's scale. Each run has a LayerNorm, and a scale, of its own.",
    ),
    Symptom.gives(
        "not_scaled",
        lambda a, b, s, t, w: (effects(b, 1, w) - effects(a, 1, w)).mean(1),
        says="Nothing is divided by the scale: what the final LayerNorm shrinks looks large here.",
    ),
    Symptom.gives(
        "scales_exchanged",
        lambda a, b, s, t, w: (effects(b, s, w) - effects(a, t, w)).mean(1),
        says="The scales are exchanged: the new outputs are divided by the old scale, and the other way round.",
    ),
    Symptom.from_truth(
        "wrong_way_round",
        lambda want, *inputs: -want,
        says="The sign: new minus old.",
    ),
    Symptom.from_truth(
        "summed",
        lambda want, a, b, s, t, w: want * len(s),
        says="This is summed over the batch: more prompts, more effect. Take the mean.",
    ),
    Symptom.gives(
        "mean_scale",
        lambda a, b, s, t, w: effects(b, 1, w).mean(1) / t.mean() - effects(a, 1, w).mean(1) / s.mean(),
        says="The mean output is divided by the mean scale. A ratio's mean is not the ratio of means: divide first.",
    ),
    Symptom.gives(
        "sign_lost",
        lambda a, b, s, t, w: (effects(b, t, w) - effects(a, s, w)).abs().mean(1),
        lambda a, b, s, t, w: (effects(b, t, w) - effects(a, s, w)).mean(1).abs(),
        says="An absolute value is in it: what speaks against the answer counts for it.",
    ),
    Symptom.gives(
        "direction_of_length_one",
        lambda a, b, s, t, w: (effects(b, t, w) - effects(a, s, w)).mean(1) / w.norm(),
        says="The direction was scaled to length one. Its length is part of the logit.",
    ),
    Symptom.gives(
        "own_norm",
        lambda a, b, s, t, w: (alone_normed(b, w) - alone_normed(a, w)).mean(1),
        says="Each output is normed by itself. In the model there is one scale for all parts, that of the whole sum.",
    ),
    Symptom.gives(
        "new_only",
        lambda a, b, s, t, w: effects(b, t, w).mean(1),
        says="This is the new model's direct effect. What the old one had already is no gain.",
    ),
    Symptom.gives(
        "batch_kept",
        lambda a, b, s, t, w: effects(b, t, w) - effects(a, s, w),
        says="There is still one number for each prompt. Average over the batch, the last axis.",
    ),
)


def two_columns(first, second):
    return torch.stack([first, second], dim=1)


def contexts(scores, part):
    """[context] scores with a part old, and with it new."""
    order = [part, *(p for p in range(scores.ndim) if p != part)]
    return scores.permute(order).reshape(2, -1)


CLOSED_SYMPTOMS = (
    Symptom.from_truth(
        "columns_swapped",
        lambda want, scores: want.flip(1),
        says="The columns are exchanged. Column 0 starts from the old model, at scores[0, 0, ...]; column 1 from the new.",
    ),
    Symptom.from_truth(
        "wrong_way_round",
        lambda want, scores: -want,
        lambda want, scores: want * torch.tensor([1.0, -1.0]),
        lambda want, scores: want * torch.tensor([-1.0, 1.0]),
        says="A sign: the gap is new minus old, column 0 is a rise and column 1 a drop.",
    ),
    Symptom.from_truth(
        "not_divided",
        lambda want, scores: want * (scores.flatten()[-1] - scores.flatten()[0]),
        says="These are differences of scores. As fractions of the gap they say how much of the way was gone.",
    ),
    Symptom.from_truth(
        "divided_by_the_score",
        lambda want, scores: want * (scores.flatten()[-1] - scores.flatten()[0]) / scores.flatten()[-1],
        lambda want, scores: want * (scores.flatten()[-1] - scores.flatten()[0]) / scores.flatten()[0],
        says="Divided by a score. Its zero is nowhere in particular: the gap between the two models is the measure.",
    ),
    Symptom.from_truth(
        "one_direction",
        lambda want, scores: want[:, [0, 0]],
        lambda want, scores: want[:, [1, 1]],
        says="Both columns are the same direction of exchange. What a part brings alone is not what is lost without it.",
    ),
    Symptom.from_truth(
        "taken_for_the_rest",
        lambda want, scores: two_columns(want[:, 0], 1 - want[:, 0]),
        says="Column 1 is one minus column 0. That would hold if parts added up; look the drop up instead.",
    ),
    Symptom.from_truth(
        "what_is_left",
        lambda want, scores: two_columns(want[:, 0], 1 - want[:, 1]),
        says="Column 1 is what is left without the part. Asked for is the drop.",
    ),
    Symptom.gives(
        "averaged_over_contexts",
        lambda scores: two_columns(
            *[
                torch.stack([(contexts(scores, p)[1] - contexts(scores, p)[0]).mean() for p in range(scores.ndim)])
                / (scores.flatten()[-1] - scores.flatten()[0])
            ]
            * 2
        ),
        says="This averages over all settings of the other parts. Column 0 has them all old, column 1 all new.",
    ),
    Symptom.from_truth(
        "clipped",
        lambda want, scores: want.clamp(0, 1),
        lambda want, scores: want.clamp(min=0),
        says="Clipped: a part may harm, or overshoot. Both are worth knowing.",
    ),
    Symptom.from_truth(
        "backwards",
        lambda want, scores: want.flip(0),
        says="The parts are counted backwards: the first axis of scores is part 0.",
    ),
    Symptom.from_truth(
        "transposed",
        lambda want, scores: want.T,
        says="One row for each direction came back. Asked for is one row for each part.",
    ),
)


def answers_of(old, new):
    """What each token's answer is, before and after, and where the two are furthest apart."""
    return logits_of(old).argmax(-1), logits_of(new).argmax(-1), apart(old, new)


def misled(layer_of):
    """Token and answer are right, and the layer is another one that stands out."""

    def when(got, want, old, new):
        return got.shape == want.shape and got[:2].equal(want[:2]) and int(got[2]) == layer_of(old, new)

    return when


DIFFERENCE_SYMPTOMS = (
    Symptom(
        "number_of_entries",
        lambda got, want, *models: got.shape != want.shape,
        says="Three integers are asked for: token, answer, layer.",
    ),
    Symptom(
        "other_order",
        lambda got, want, *models: not got.equal(want) and got.sort().values.equal(want.sort().values),
        says="These are the right three, in another order: token, answer, layer.",
    ),
    Symptom(
        "counted_from_one",
        lambda got, want, *models: got.equal(want + 1),
        says="You counted from one. The first token, the first answer and the first layer are 0.",
    ),
    Symptom(
        "most_moved",
        misled(most_moved),
        says="That layer moved most, and says what it said before: its units were renamed and stretched. "
        "Exchange it, and nothing happens.",
    ),
    Symptom(
        "strongest_direction",
        misled(strongest),
        says="That layer's change has the largest singular value, along a direction that no token ever uses. "
        "Exchange it, and nothing happens.",
    ),
    Symptom(
        "largest_on_average",
        misled(lambda old, new: int(one_by_one(old, new).mean(1).argmax())),
        says="That layer changes all tokens a little, and on average most. Ask about the one token.",
    ),
    Symptom(
        "another_layer",
        lambda got, want, *models: got[:2].equal(want[:2]),
        says="Token and answer are right, the layer is not. Give the old model one layer of the new at a time: "
        "W_in and W_out together.",
    ),
    Symptom(
        "old_answer",
        lambda got, want, old, new: got[0] == want[0] and got[1] == answers_of(old, new)[0][got[0]],
        says="The token is right, the answer is what the *old* model said after it.",
    ),
    Symptom(
        "another_token",
        lambda got, want, *models: got[0] != want[0],
        says="That is not the token. Others may have another first answer now, by a hair: "
        "where are the two models' log-probabilities furthest apart?",
    ),
    Symptom(
        "another_answer",
        lambda got, want, *models: got[1] != want[1],
        says="The token is right. What does the new model say after it?",
    ),
)

PUZZLE = Puzzle(
    slug="spot_the_difference",
    title="Spot the difference",
    question="Two models differ by a fine-tune. Where is it?",
    principle="The largest difference need not be the one that matters: find where two models speak differently, "
    "then exchange parts, both ways, against a fine-tune on nothing new.",
    minutes=45,
    models=("mini-gpt2", "mini-gpt2-tuned", "mini-deep"),
    after=("freeze_the_norm", "which_corruption"),
    problems={
        "5.16": "gains",
        "5.17": "gains",
        "5.18": "closed",
        "5.20": "closed",
        "6.49": "gains",
        "6.50": "gains",
        "6.54": "change",
        "6.55": "change",
        "6.56": "change",
        "6.57": "direct_gains",
        "6.58": "closed",
    },
    draw=lambda rng: draw_models(rng)[:2],
    parts=(
        Part(
            name="gains",
            takes=("batch pos d_vocab", "batch pos d_vocab", "batch pos"),
            returns="batch place",
            points=2,
            cases=gains_cases,
            spec=slow_gains,
            symptoms=GAIN_SYMPTOMS,
            hints=(
                "log_softmax over the last axis turns logits into log-probabilities. Which position of them speaks about token p + 1?",
                "Drop the last position of the log-probabilities and the first token; then gather(-1, ...) needs the tokens "
                "with one more axis at the end.",
            ),
            meaning="Nothing but what they say: the two models may be built as differently as they like.",
        ),
        Part(
            name="change",
            takes=("row column", "row column"),
            returns="two",
            points=2,
            cases=change_cases,
            spec=slow_change,
            symptoms=CHANGE_SYMPTOMS,
            hints=(
                "A matrix's .norm() is Frobenius', and its square is the sum of all squared singular values.",
                "torch.linalg.matrix_norm(M, 2) is the largest singular value; torch.linalg.svdvals(M) are all of them.",
            ),
            meaning="How far, and how narrow. Not yet: what for.",
        ),
        Part(
            name="direct_gains",
            takes=("part batch d_model", "part batch d_model", "batch", "batch", "d_model"),
            returns="part",
            points=2,
            cases=direct_cases,
            spec=slow_direct_gains,
            symptoms=DIRECT_SYMPTOMS,
            hints=(
                "outputs @ direction is [part, batch]: one number for each part and prompt. What does each prompt divide it by?",
                "Two such tables, each over its own scale, new minus old. Which axis is the mean over?",
            ),
            meaning="Who speaks differently. Whether on its own account, or because it heard something else, only an exchange tells.",
        ),
        Part(
            name="closed",
            takes=("",),
            returns="part direction",
            points=2,
            cases=closed_cases,
            spec=slow_closed,
            symptoms=CLOSED_SYMPTOMS,
            hints=(
                "scores.select(part, 1) has every hybrid in which that part is new. In which entry of it are all the others old?",
                "After .flatten(), entry 0 has all axes at 0 and entry -1 has all at 1.",
            ),
            meaning="Enough and needed are two questions, and a part may be either without the other.",
        ),
        Part(
            name="my_difference",
            takes=("", ""),
            returns="entry",
            points=2,
            cases=own_case,
            spec=None,
            symptoms=DIFFERENCE_SYMPTOMS,
            kind="integer",
            value=True,
            hints=(
                "run(was).log_softmax(-1) and run(became).log_softmax(-1) are [token, answer]: which entry rose most?",
                "Copy was, put one layer's W_in and W_out of became into the copy, and ask it about that token. Five copies, five answers.",
            ),
            meaning="The layer that carries it moved least of the four that moved. You found it by what it does.",
        ),
    ),
    predictions=(
        Prediction("the story", choices=("spread", "chain", "one"), right="one"),
        Prediction("share of the best part", between=(0, 1)),
    ),
    free_text=(
        FreeText(
            name="explanation",
            points=3,
            rubric=(
                "A mean over tokens hides a rare one: look at the largest differences of log-probability, place by place.",
                "Any fine-tune moves every matrix; a control of the same recipe says how much is drift. Size is not effect.",
                "Exchange parts between the models, in both directions, and keep the claim to what was exchanged and where.",
            ),
        ),
    ),
)
