"""Fifty-three hours: what is asked, how it is checked, and what each wrong answer looks like."""

import math

import torch

from mechpuzzles.puzzle import Case, FreeText, Part, Prediction, Puzzle, Symptom

# ---- the oracle -----------------------------------------------------------------------------------------------------


def slow_shares(W):
    """Column by column and hour by hour, with cosine and sine apart."""
    p, columns = len(W), W.double().T.tolist()
    powers = []
    for k in range(1, (p + 1) // 2):
        power = 0.0
        for column in columns:
            for wave in (math.cos, math.sin):
                along = math.fsum(value * wave(math.tau * k * hour / p) for hour, value in enumerate(column))
                power += 2 / p * along**2
        powers.append(power)
    return torch.tensor([power / math.fsum(powers) for power in powers], dtype=torch.float64)


def slow_part(W, basis):
    """Direction by direction, as a list of rows."""
    rows, directions = W.double().tolist(), basis.double().tolist()
    part = [[0.0] * len(rows[0]) for _ in rows]
    for direction in directions:
        for j in range(len(rows[0])):
            along = math.fsum(x * row[j] for x, row in zip(direction, rows, strict=True))
            for hour, x in enumerate(direction):
                part[hour][j] += x * along
    return torch.tensor(part, dtype=torch.float64)


def slow_split(W, basis):
    part = slow_part(W, basis)
    mean = [math.fsum(column) / len(W) for column in W.double().T.tolist()]
    return torch.tensor(mean, dtype=torch.float64) + part, W.double() - part


def slow_two_losses(W_E, W_in, b_in, W_out, basis, answer, shown):
    """Pair by pair."""
    W_in, b_in, W_out = W_in.double(), b_in.double(), W_out.double()
    losses = []
    for embedding, wanted in zip(slow_split(W_E, basis), (False, True), strict=True):
        pairs = []
        for a, row in enumerate(shown.tolist()):
            for b, trained in enumerate(row):
                if trained is wanted:
                    hidden = (embedding[a] @ W_in[0] + embedding[b] @ W_in[1] + b_in).clamp(min=0)
                    scores = (hidden @ W_out).tolist()
                    most = max(scores)
                    total = most + math.log(math.fsum(math.exp(score - most) for score in scores))
                    pairs.append(total - scores[int(answer[a, b])])
        losses.append(math.fsum(pairs) / len(pairs))
    return losses[0], losses[1]


# ---- the inputs -----------------------------------------------------------------------------------------------------


def shares_cases(rng):
    """Columns of very different size, constants larger than the waves, and frequencies of different power."""
    for p, columns in ((7, 4), (11, 3), (9, 5)):
        W = torch.randn(p, columns, generator=rng) * torch.exp(0.6 * torch.randn(columns, generator=rng))
        turns = 2 * math.pi * torch.arange(p) / p
        sizes = 1.5 + torch.rand(2, columns, generator=rng)  # so that the shares are not sorted by chance
        planted = torch.stack([(2 * turns).cos(), ((p - 1) // 2 * turns).sin()], dim=1) @ sizes
        yield Case((W + planted + 1.5 + torch.rand(columns, generator=rng),))


def orthonormal(rng, directions, p):
    """Rows of length one, orthogonal to one another and to the constant; no waves."""
    drawn = torch.randn(p, directions, generator=rng)
    return torch.linalg.qr(drawn - drawn.mean(0)).Q.T.contiguous()


def split_cases(rng):
    """The rows of W have a mean of their own and the columns another; sizes all different."""
    for p, columns, directions in ((7, 4, 2), (9, 5, 3), (6, 3, 4)):
        W = torch.randn(p, columns, generator=rng) * torch.exp(0.5 * torch.randn(columns, generator=rng))
        yield Case((W + 1 + torch.rand(columns, generator=rng), orthonormal(rng, directions, p)))


def losses_cases(rng):
    """Networks that are sure of themselves, and wrong; addition, subtraction and one more rule."""
    for p, d_model, d_mlp, factor, directions in ((5, 3, 7, 1, 2), (7, 4, 9, -1, 4), (5, 6, 8, 2, 2)):
        sizes = ((p, d_model), (2, d_model, d_mlp), (d_mlp,), (d_mlp, p))
        weights = [torch.randn(*size, generator=rng) for size in sizes]
        weights[0] = weights[0] + torch.randn(d_model, generator=rng)
        hours = torch.arange(p)
        shown = torch.rand(p, p, generator=rng) < 0.4
        shown[0], shown[1] = hours % 2 == 0, hours % 2 == 1
        answer = (hours[:, None] + factor * hours) % p
        yield Case((*weights, orthonormal(rng, directions, p), answer, shown))


# ---- the learner's own clock ----------------------------------------------------------------------------------------

P, COPIES, D_MODEL = 37, 7, 13


def circle(k):
    """[hour, 2]: cosine and sine of the wave that goes round k times."""
    turns = 2 * math.pi * k * torch.arange(P) / P
    return torch.stack([turns.cos(), turns.sin()], dim=1)


def loss_of(weights, W_E):
    """Mean over all pairs, with another embedding."""
    hours = torch.arange(P)
    answer = (hours[:, None] + hours) % P
    return float(mean_loss(scores(weights, W_E), answer, torch.ones_like(answer, dtype=torch.bool)))


def draw_clock(rng):
    """As `draw_one`, again until each of those that are used matters enough to be found."""
    while True:
        used, _, _, weights = drawn = draw_one(rng)
        whole = loss_of(weights, weights[0])
        without = [weights[0] - 2 / P * circle(k) @ (circle(k).T @ weights[0]) for k in used]
        if min(loss_of(weights, embedding) for embedding in without) > 1.8 * whole:
            return drawn


def draw_one(rng):
    """The frequencies that are used, one that units read to no effect, one that none reads; and the weights.

    Sizes in W_E say nothing of the votes, and no single frequency is needed to be right. The one that is not read is
    larger than any that is used.
    """

    def uniform(low, high):
        return low + (high - low) * float(torch.rand((), generator=rng))

    drawn = (1 + torch.randperm((P - 1) // 2, generator=rng)[:6]).tolist()
    used, idle, unread = drawn[:4], drawn[4], drawn[5]
    votes = [uniform(0.9, 1.1) * vote for vote in (1.0, 0.9, 0.8, 0.6)]
    sizes = [uniform(low, low + 0.3) for low in (0.5, 0.8, 0.6, 0.7)] + [uniform(0.7, 1.6), uniform(1.3, 1.8)]
    circles = [size * circle(k) for k, size in zip(drawn, sizes, strict=True)]
    mixing = torch.linalg.qr(torch.randn(D_MODEL, D_MODEL, generator=rng)).Q
    W_E = torch.cat([*circles, torch.ones(P, 1)], dim=1) @ mixing + 0.02 * torch.randn(P, D_MODEL, generator=rng)
    reads, writes = [], []
    for number, k in enumerate(drawn[:5]):
        for copy in range(COPIES):
            angle = 2 * math.pi * (copy + 0.3 * number) / COPIES
            read = torch.zeros(D_MODEL)
            read[2 * number : 2 * number + 2] = torch.tensor([math.cos(angle), -math.sin(angle)]) / sizes[number]
            wave = circle(k) @ torch.tensor([math.cos(2 * angle), -math.sin(2 * angle)])
            if k == idle:  # two units that read the same and write the opposite
                reads, writes = [*reads, read, read], [*writes, 2 * wave, -2 * wave]
            else:
                reads, writes = [*reads, read], [*writes, 6 * votes[number] * wave]
    order = torch.randperm(len(reads), generator=rng)
    W_in = (mixing.T @ torch.stack(reads, dim=1)[:, order]).repeat(2, 1, 1)
    return used, idle, unread, (W_E, W_in, torch.zeros(len(reads)), torch.stack(writes)[order])


def own_case(rng):
    used, _, _, weights = draw_clock(rng)
    return [Case(weights, want=sorted(used))]


def same_set(got, want, *weights):
    """The order does not matter."""
    return 0.0 if sorted(got.tolist()) == want.tolist() else math.inf


# ---- the ways of being wrong ----------------------------------------------------------------------------------------


def spectrum(W):
    """[hour, column], complex: all frequencies, 0 and those above a half too."""
    return torch.fft.fft(W.double(), dim=0)


def powers(W, of=None):
    """The power of each frequency, or of what is made of its complex numbers."""
    half = spectrum(W)[1 : (len(W) + 1) // 2]
    return (half.abs().pow(2) if of is None else of(half)).sum(1)


def normed(numbers):
    return numbers / numbers.sum()


def per_column(W):
    half = spectrum(W)[1 : (len(W) + 1) // 2].abs().pow(2)
    return half / half.sum(0)


def in_components(W):
    sizes = torch.linalg.svdvals(W.double() - W.double().mean(0)).pow(2)
    out = torch.zeros((len(W) - 1) // 2, dtype=torch.float64)
    out[: len(sizes)] = normed(sizes)[: len(out)]
    return out


SHARES_SYMPTOMS = (
    Symptom.gives(
        "both_ends",
        lambda W: normed(spectrum(W).abs().pow(2).sum(1)[1:]),
        lambda W: normed(powers(W).repeat(2)),
        says="Frequencies k and p - k are both listed. At whole hours they are the same wave: cos(2 pi (p - k) h / p) is cos(2 pi k h / p).",
    ),
    Symptom.gives(
        "constant_listed",
        lambda W: normed(torch.fft.rfft(W.double(), dim=0).abs().pow(2).sum(1)),
        lambda W: normed(spectrum(W).abs().pow(2).sum(1)),
        lambda W: torch.cat([torch.zeros(1, dtype=torch.float64), normed(powers(W))]),
        says="Frequency 0 is in the list. That is the constant of a column, which does not vary from hour to hour.",
    ),
    Symptom.gives(
        "one_off",
        lambda W: normed(torch.fft.rfft(W.double(), dim=0).abs().pow(2).sum(1)[:-1]),
        says="Your first entry is the constant's, and the last frequency is missing. Entry 0 is for frequency 1.",
    ),
    Symptom.gives(
        "constant_in_the_total",
        lambda W: powers(W) / torch.fft.rfft(W.double(), dim=0).abs().pow(2).sum(),
        lambda W: powers(W) * 2 / len(W) / W.double().pow(2).sum(),
        lambda W: powers(W) / spectrum(W).abs().pow(2).sum(),
        says="They do not add up to 1: the total holds the constant too.",
    ),
    Symptom.gives(
        "half_of_the_total",
        lambda W: normed(powers(W)) / 2,
        says="They add up to one half: the total counts frequencies k and p - k, which are one wave.",
    ),
    Symptom.gives(
        "cosines_only",
        lambda W: normed(powers(W, lambda half: half.real.pow(2))),
        says="Only the cosines count. A wave may begin anywhere: it has a cosine and a sine.",
    ),
    Symptom.gives(
        "sines_only",
        lambda W: normed(powers(W, lambda half: half.imag.pow(2))),
        says="Only the sines count. A wave may begin anywhere: it has a cosine and a sine.",
    ),
    Symptom.gives(
        "amplitudes",
        lambda W: normed(powers(W, torch.abs)),
        lambda W: normed(powers(W).sqrt()),
        lambda W: normed(powers(W, lambda half: half.real.abs() + half.imag.abs())),
        says="These are shares of amplitude. Power is its square; only squares add up to the whole.",
    ),
    Symptom.gives(
        "columns_alike",
        lambda W: per_column(W).mean(1),
        lambda W: normed(powers(W / W.norm(dim=0))),
        lambda W: normed(powers(W / W.std(dim=0))),
        says="Each column counts the same here, however little it varies. Add up powers over columns, then divide once.",
    ),
    Symptom.gives(
        "columns_added_first",
        lambda W: normed(powers(W.sum(1, keepdim=True))),
        says="The columns were added up before squaring. Waves of different columns then cancel: square first.",
    ),
    Symptom.gives(
        "cosine_plus_sine",
        lambda W: normed(powers(W, lambda half: (half.real + half.imag).pow(2))),
        lambda W: normed(powers(W, lambda half: (half.real - half.imag).pow(2))),
        says="Cosine and sine were added before squaring. They are at right angles: square each, then add.",
    ),
    Symptom.gives(
        "half_a_turn",
        lambda W: normed(half_turns(W)),
        says="Your waves go round k / 2 times: a whole turn is 2 pi.",
    ),
    Symptom.gives(
        "not_divided",
        powers,
        lambda W: powers(W) / len(W),
        lambda W: powers(W) * 2 / len(W),
        lambda W: powers(W) / len(W) ** 2,
        says="These are powers, or in proportion to them. Divide, so that they add up to 1.",
    ),
    Symptom.gives(
        "divided_by_the_largest",
        lambda W: powers(W) / powers(W).max(),
        says="The largest is 1. Divide by the sum of all.",
    ),
    Symptom.gives(
        "kept_apart",
        lambda W: (lambda half: half / half.sum())(spectrum(W)[1 : (len(W) + 1) // 2].abs().pow(2)),
        per_column,
        says="There is a number for each column. Add up the columns' powers: one share for each frequency.",
    ),
    Symptom.gives(
        "sorted_away",
        lambda W: normed(powers(W)).sort(descending=True).values,
        says="The shares are sorted, so nobody knows which frequency is which. Keep the order of the frequencies.",
    ),
    Symptom.gives(
        "components",
        in_components,
        says="These are principal components' shares. Their sizes know nothing of which hour follows which.",
    ),
    Symptom.gives(
        "across_columns",
        lambda W: normed(torch.fft.rfft(W.double(), dim=1)[:, 1:].abs().pow(2).sum(0)),
        says="The waves run along the columns' axis. They go from hour to hour: down the rows.",
    ),
)


def half_turns(W):
    p = len(W)
    angle = math.pi * torch.outer(torch.arange(1, (p + 1) // 2).double(), torch.arange(p).double()) / p
    return (angle.cos() @ W.double()).pow(2).sum(1) + (angle.sin() @ W.double()).pow(2).sum(1)


def onto(W, basis):
    """The projection, as a sum over directions."""
    return torch.einsum("dh,dg,gc->hc", basis.double(), basis.double(), W.double())


def mean_row(W):
    return W.double().mean(0, keepdim=True).expand(len(W), -1)


def either(kept=None, removed=None):
    """The truth, with one or both of the two exchanged for another formula of (W, basis)."""

    def formula(want, W, basis):
        one = want[0] if kept is None else kept(W, basis)
        two = want[1] if removed is None else removed(W, basis)
        return one, two

    return formula


def one_line(W, basis):
    return torch.outer(basis.double().sum(0), basis.double().sum(0) @ W.double())


SPLIT_SYMPTOMS = (
    Symptom(
        "exchanged",
        lambda got, want, W, basis: near(got[0], want[1]) and near(got[1], want[0]),
        says="The two are exchanged: first W with nothing but the basis, then W without it.",
    ),
    Symptom.from_truth(
        "no_mean_at_all",
        either(lambda W, basis: onto(W, basis), lambda W, basis: W.double() - mean_row(W) - onto(W, basis)),
        says="Neither has the mean. It belongs to both: what you cut out is to be how rows *differ*.",
    ),
    Symptom.from_truth(
        "mean_not_kept",
        either(kept=onto),
        says="The first lacks the columns' means. A network that never saw rows around zero may fail for that alone.",
    ),
    Symptom.from_truth(
        "mean_removed",
        either(removed=lambda W, basis: W.double() - mean_row(W) - onto(W, basis)),
        says="The second has lost the columns' means with the basis. Take away the part alone.",
    ),
    Symptom.from_truth(
        "all_kept",
        either(kept=lambda W, basis: W.double() + onto(W, basis)),
        says="The first is all of W with its part added once more. Keep the mean and the part, nothing else.",
    ),
    Symptom.from_truth(
        "added",
        either(removed=lambda W, basis: W.double() + onto(W, basis)),
        says="The second has the part added where it should be taken away.",
    ),
    Symptom(
        "coordinates",
        lambda got, want, W, basis: got[0].shape == (len(basis), W.shape[1]),
        says="The first has a row for each direction: these are coordinates. Go back to the hours: each direction times its coordinate, added up.",
    ),
    Symptom.from_truth(
        "one_direction",
        either(
            lambda W, basis: mean_row(W) + onto(W, basis[:1]),
            lambda W, basis: W.double() - onto(W, basis[:1]),
        ),
        says="Only the first direction counts. The part is in the space of all rows of the basis.",
    ),
    Symptom.from_truth(
        "directions_added",
        either(
            lambda W, basis: mean_row(W) + one_line(W, basis),
            lambda W, basis: W.double() - one_line(W, basis),
        ),
        says="The directions were added up into one before projecting. Project onto each, then add.",
    ),
    Symptom.from_truth(
        "divided_again",
        either(
            lambda W, basis: mean_row(W) + onto(W, basis) / len(basis),
            lambda W, basis: W.double() - onto(W, basis) / len(basis),
        ),
        either(
            lambda W, basis: mean_row(W) + onto(W, basis) / len(W),
            lambda W, basis: W.double() - onto(W, basis) / len(W),
        ),
        says="The part is too small: divided by a number of rows. The directions have length one, so nothing is left to divide by.",
    ),
    Symptom.from_truth(
        "rows_means",
        either(kept=lambda W, basis: W.double().mean(1, keepdim=True) + onto(W, basis)),
        says="The first has each *hour's* mean. Asked for is each column's, over the hours.",
    ),
    Symptom.from_truth(
        "one_mean",
        either(kept=lambda W, basis: W.double().mean() + onto(W, basis)),
        says="The first has one mean for all of W. Each column has its own.",
    ),
    Symptom.from_truth(
        "mean_in_both_ways",
        either(removed=lambda W, basis: mean_row(W) + W.double() - onto(W, basis)),
        says="The second has the mean twice: W minus the part holds it already.",
    ),
)


def near(got, formula):
    return got.shape == formula.shape and bool(torch.allclose(got, formula.double(), rtol=1e-4, atol=1e-4))


def scores(weights, embedding, act=torch.relu):
    """Logits [a, b, c] with another embedding."""
    _, W_in, b_in, W_out = (weight.double() for weight in weights)
    read = torch.einsum("hd,sdm->shm", embedding.double(), W_in)
    return act(read[0, :, None] + read[1, None] + b_in) @ W_out


def mean_loss(logits, answer, pairs):
    log_probs = logits.log_softmax(-1).gather(-1, answer[..., None])[..., 0]
    return -log_probs[pairs].mean()


def two_of(kept=None, removed=None, on=("others", "shown"), measure=mean_loss, act=torch.relu):
    """Both losses, with another embedding in place of either, other pairs, or another measure."""

    def formula(*given):
        weights, (basis, answer, shown) = given[:4], given[4:]
        W_E = weights[0].double()
        sets = {"others": ~shown, "shown": shown, "all": torch.ones_like(shown)}
        one = mean_row(W_E) + onto(W_E, basis) if kept is None else kept(W_E, basis)
        two = W_E - onto(W_E, basis) if removed is None else removed(W_E, basis)
        runs = [scores(weights, embedding, act) for embedding in (one, two)]
        return tuple(measure(run, answer, sets[which]) for run, which in zip(runs, on, strict=True))

    return formula


def single(formula, at):
    """A formula for the one value at that place."""
    return lambda want, *given: formula(*given)[at]


def both(got, formula):
    """Whether both values are those of a formula."""
    return all(near(one, torch.as_tensor(two)) for one, two in zip(got, formula, strict=True))


def gives_both(name, *formulas, says):
    return Symptom(name, lambda got, want, *given: any(both(got, formula(*given)) for formula in formulas), says=says)


def accuracy(logits, answer, pairs):
    return (logits.argmax(-1) == answer)[pairs].double().mean()


def wrong_sign(logits, answer, pairs):
    return -mean_loss(logits, answer, pairs)


def in_bits(logits, answer, pairs):
    return mean_loss(logits, answer, pairs) / math.log(2)


def summed(logits, answer, pairs):
    return mean_loss(logits, answer, pairs) * pairs.sum()


LOSSES_SYMPTOMS = (
    Symptom(
        "exchanged",
        lambda got, want, *given: both(got, (want[1], want[0])),
        says="The two are exchanged: restricted first, which keeps the basis, then excluded, which lacks it.",
    ),
    gives_both(
        "pairs_exchanged",
        two_of(on=("shown", "others")),
        says="The pairs are exchanged. What the basis alone can do shows on pairs that were *not* trained on; what is lost without it, on those that were.",
    ),
    gives_both(
        "embeddings_exchanged",
        two_of(
            kept=lambda W_E, basis: W_E - onto(W_E, basis),
            removed=lambda W_E, basis: mean_row(W_E) + onto(W_E, basis),
        ),
        says="The embeddings are exchanged: restricted *keeps* the basis, excluded goes without it.",
    ),
    gives_both(
        "shown_only",
        two_of(on=("shown", "shown")),
        says="Both are taken on the shown pairs. There a table is as good as a way of adding: the restricted loss needs the others.",
    ),
    gives_both(
        "others_only",
        two_of(on=("others", "others")),
        says="Both are taken on pairs that were not shown. The excluded loss asks what is left of what was trained.",
    ),
    gives_both(
        "all_pairs",
        two_of(on=("all", "all")),
        two_of(on=("all", "shown")),
        two_of(on=("others", "all")),
        says="A loss is taken on all pairs. The shown ones and the others tell different stories: keep them apart.",
    ),
    gives_both(
        "nothing_cut",
        two_of(kept=lambda W_E, basis: W_E, removed=lambda W_E, basis: W_E),
        says="These are the losses of the network as it is: nothing was cut out of W_E.",
    ),
    gives_both(
        "mean_cut_too",
        two_of(kept=onto, removed=lambda W_E, basis: W_E - mean_row(W_E) - onto(W_E, basis)),
        two_of(kept=onto),
        two_of(removed=lambda W_E, basis: W_E - mean_row(W_E) - onto(W_E, basis)),
        says="The columns' means were cut too. They stay in both, as in `split`.",
    ),
    Symptom.from_truth(
        "restricted_is_all",
        single(two_of(kept=lambda W_E, basis: W_E), 0),
        at=0,
        says="The first is the plain loss on the others. For the restricted one, keep only the basis and the mean of W_E.",
    ),
    Symptom.from_truth(
        "excluded_is_all",
        single(two_of(removed=lambda W_E, basis: W_E), 1),
        at=1,
        says="The second is the plain loss on the shown pairs. For the excluded one, take the basis out of W_E.",
    ),
    gives_both(
        "share_right",
        two_of(measure=accuracy),
        two_of(measure=lambda *given: 1 - accuracy(*given)),
        says="These are shares of answers. A loss is a cross-entropy: it moves before any answer turns right.",
    ),
    gives_both(
        "sign_turned",
        two_of(measure=wrong_sign),
        says="The sign is turned: these are mean log-probabilities.",
    ),
    gives_both("bits", two_of(measure=in_bits), says="These are bits. In nats the logarithm is the natural one."),
    gives_both("summed", two_of(measure=summed), says="The pairs' losses were added up. Asked for are means."),
    gives_both(
        "without_relu",
        two_of(act=lambda x: x),
        says="The ReLU is missing. `run` has it.",
    ),
    gives_both(
        "cut_after",
        lambda *given: cut_logits(given[:4], *given[4:]),
        says="You cut the logits. Cut the embedding, then run: what comes after it has to work with what is left.",
    ),
)


def cut_logits(weights, basis, answer, shown):
    logits = scores(weights, weights[0])
    part = torch.einsum("dc,de,abe->abc", basis.double(), basis.double(), logits)
    mean = logits.mean(-1, keepdim=True)
    return mean_loss(mean + part, answer, ~shown), mean_loss(logits - part, answer, shown)


def found(got):
    return set(got.tolist())


def about(rule):
    """A symptom of the learner's own clock: rule(found, used, idle, unread), as sets and numbers."""

    def when(got, want, *weights):
        used = set(want.tolist())
        strong = set((1 + torch.tensor([float(x) for x in own_shares(weights[0])]).topk(6).indices).tolist())
        read = own_read(weights)
        return rule(found(got), used, strong, read)

    return when


def own_shares(W):
    return normed(powers(W))


def own_read(weights):
    """The frequencies that hidden units read."""
    share = own_shares(weights[0].double() @ weights[1][0].double())
    return {k for k, one in enumerate(share.tolist(), start=1) if one > 0.02}


CLOCK_SYMPTOMS = (
    Symptom(
        "twice",
        lambda got, want, *weights: len(found(got)) < len(got) or any(P - k in found(got) for k in found(got)),
        says="A frequency is listed twice, perhaps as k and as p - k: those are one wave.",
    ),
    Symptom(
        "above_a_half",
        lambda got, want, *weights: any(k > P // 2 for k in found(got)),
        says="Frequencies end at 18 here: k and 37 - k are one wave.",
    ),
    Symptom(
        "counted_from_zero",
        lambda got, want, *weights: found(got) == {k - 1 for k in want.tolist()},
        says="Each is one too small. Python counts from 0: the first share belongs to frequency 1.",
    ),
    Symptom(
        "constant",
        lambda got, want, *weights: 0 in found(got) and found(got) - {0} <= set(range(1, P // 2 + 1)),
        says="0 is in the list. That is the constant, or Python's count from 0: the first share belongs to frequency 1.",
    ),
    Symptom(
        "none",
        lambda got, want, *weights: len(got) == 0,
        says="The list is empty. Of several that vote, none may be needed to be *right*; look at the loss.",
    ),
    Symptom(
        "by_share",
        about(lambda mine, used, strong, read: mine == strong),
        says="All that are large in W_E are in your list. Does the output change without each of them?",
    ),
    Symptom(
        "read_not_used",
        about(lambda mine, used, strong, read: mine == read),
        says="One of yours is read by hidden units, and what they write cancels. Only the output tells.",
    ),
    Symptom(
        "only_the_largest",
        about(lambda mine, used, strong, read: bool(mine) and mine < strong and not mine < used),
        says="A frequency that is large in W_E is in your list, and the loss is the same without it. And at least one is missing that matters.",
    ),
    Symptom(
        "some_missing",
        about(lambda mine, used, strong, read: mine < used),
        says="All yours matter, and they are not all. One that others can do without is still used: look at the loss, not at what is right.",
    ),
    Symptom(
        "too_many",
        about(lambda mine, used, strong, read: mine > used),
        says="All that matter are in your list, and another that does not: without it the loss hardly moves.",
    ),
)


# ---- the puzzle -----------------------------------------------------------------------------------------------------

WEIGHTS = ("hour d_model", "input d_model d_mlp", "d_mlp", "d_mlp hour")

PUZZLE = Puzzle(
    slug="clockwork",
    title="Fifty-three hours",
    question="How does a network add on a clock?",
    principle="A basis is a claim about the task: in the right one few parts do the work, and keeping, removing and turning them shows it.",
    minutes=45,
    models=("mini-clock",),
    after=(),
    problems={
        "3.3": "split",
        "3.4": "shares",
        "3.23": "shares",
        "3.25": "split",
        "3.26": "shares",
        "5.4": "two_losses",
        "5.5": "shares",
    },
    draw=lambda rng: draw_clock(rng)[3],
    parts=(
        Part(
            name="shares",
            takes=("hour column",),
            returns="frequency",
            points=2,
            cases=shares_cases,
            spec=slow_shares,
            symptoms=SHARES_SYMPTOMS,
            hints=(
                "Make all cosines at once: torch.outer(frequencies, hours) times 2 pi / p has a row for each frequency. A matrix product with W adds up over hours.",
                "Square the products with the cosines and those with the sines, add the two, then add up over columns. Divide by the sum at the end.",
            ),
            meaning="Adding 1 to every hour turns each wave and mixes no two: that is what makes them the parts of a clock.",
        ),
        Part(
            name="split",
            takes=("hour column", "direction hour"),
            returns=("hour column", "hour column"),
            points=2,
            cases=split_cases,
            spec=slow_split,
            symptoms=SPLIT_SYMPTOMS,
            hints=(
                "basis @ W has each direction's coordinates, one for each column. basis.T takes them back to the hours.",
                "W.mean(0) is a row of the columns' means. The rows of the basis add up to 0, so the part holds nothing of it.",
            ),
            meaning="The same two lines cut out waves or principal components: the knife does not know which basis is right.",
        ),
        Part(
            name="two_losses",
            takes=(*WEIGHTS, "direction hour", "hour hour", "hour hour"),
            returns=("", ""),
            points=2,
            cases=losses_cases,
            spec=slow_two_losses,
            symptoms=LOSSES_SYMPTOMS,
            hints=(
                "Cut W_E as in split. Then run(another_embedding, W_in, b_in, W_out) gives the logits of all pairs.",
                "logits[shown] has a row for each shown pair, answer[shown] its answer; ~shown are the others. cross_entropy takes the mean.",
            ),
            meaning="One says what the basis can do alone, where nothing was learned by heart; the other what is left without it.",
        ),
        Part(
            name="my_clock",
            takes=WEIGHTS,
            returns="frequency",
            points=2,
            cases=own_case,
            spec=None,
            symptoms=CLOCK_SYMPTOMS,
            kind="integer",
            gap=same_set,
            value=True,
            hints=(
                "split(mine[0], waves([k], 37))[1] is the embedding without frequency k. Run it, and take the cross-entropy over all pairs.",
                "Compare each loss with that of the whole clock: cross_entropy(logits.flatten(0, 1), sums.flatten()).",
            ),
            meaning="Large is not used, read is not used, and not needed is not unused.",
        ),
    ),
    predictions=(
        Prediction("what is there at step 750", choices=("table", "hidden", "blur"), right="hidden"),
        Prediction("share right without the strongest", between=(0, 1)),
    ),
    free_text=(
        FreeText(
            name="explanation",
            points=3,
            rubric=(
                "The sizes of PCA cannot tell: they are the same for relabelled hours. "
                "To see a clock in components, one has to look at them in the order of the hours.",
                "Several frequencies vote: one can go, all five cannot; the loss shows what the share right hides.",
                "Use is shown by an experiment: keep only these, remove them together, or turn them and see the answers turn; a control such as the twin.",
            ),
        ),
    ),
)
