"""Before the cliff: what is asked, how it is checked, and what each wrong answer looks like."""

import math

import torch

from mechpuzzles.puzzle import Case, FreeText, Part, Prediction, Puzzle, Symptom

# ---- the oracle -----------------------------------------------------------------------------------------------------


def slow_second_loss(logits, tokens, period):
    """Token by token, in plain numbers."""
    rows = []
    for guesses, row in zip(logits.double().tolist(), tokens.tolist(), strict=True):
        lost = []
        for place in range(len(row) - period + 1, len(row)):  # the token that is to be guessed
            before = guesses[place - 1]
            highest = max(before)
            total = math.fsum(math.exp(x - highest) for x in before)
            lost.append(math.log(total) + highest - before[row[place]])
        rows.append(math.fsum(lost) / len(lost))
    return torch.tensor(rows, dtype=torch.float64)


def slow_onset(values, controls):
    """Walk back from the last checkpoint as long as the mean is above every control's."""
    bar = max(math.fsum(row) / len(row) for row in controls.double().tolist())
    at = len(values)
    for row in reversed(values.double().tolist()):
        if math.fsum(row) / len(row) <= bar:
            break
        at -= 1
    return at


def slow_onset_range(values, controls, draws):
    found = []
    for draw in draws.tolist():
        taken = [torch.stack([table[:, sequence] for sequence in draw], dim=1) for table in (values, controls)]
        found.append(slow_onset(*taken))
    found.sort()
    return torch.tensor([found[0], found[-1]])


def slow_suddenness(curve, steps):
    y, x = curve.double().tolist(), steps.double().tolist()
    whole = (y[-1] - y[0]) / (x[-1] - x[0])
    return max((y[i] - y[i - 1]) / (x[i] - x[i - 1]) / whole for i in range(1, len(y)))


# ---- the inputs -----------------------------------------------------------------------------------------------------


def loss_cases(rng):
    """Logits of unequal spread, the second showing in another order, sizes all different."""
    for batch, period, d_vocab in ((3, 5, 11), (4, 6, 9), (2, 4, 13)):
        once = 1 + torch.rand(batch, d_vocab - 1, generator=rng).argsort(1)[:, :period]
        again = once.gather(1, torch.rand(batch, period, generator=rng).argsort(1))
        tokens = torch.cat([torch.zeros(batch, 1, dtype=torch.int64), once, again], dim=1)
        spread = torch.exp(0.5 * torch.randn(batch, 2 * period + 1, 1, generator=rng)) * 1.5
        yield Case((spread * torch.randn(batch, 2 * period + 1, d_vocab, generator=rng), tokens, period))


def history(rng, curve, batch, noise, offset=0.0):
    """[step, batch]: a curve seen through noisy sequences, some of them far out."""
    far = torch.where(torch.rand(batch, generator=rng) < 0.2, 3.0, 1.0)
    return torch.tensor(curve)[:, None] + offset + noise * far * torch.randn(len(curve), batch, generator=rng)


def quiet(rng, n, batch, noise, offset=0.0):
    return history(rng, (0.12 * torch.rand(n, generator=rng)).tolist(), batch, noise, offset)


CURVES = (  # each with bars of 0.1 or so to rise above, and the place where it does for good
    (0.0, 0.0, 0.8, -0.1, 0.0, 0.4, 0.5, 1.4, 4.0),  # up once too early
    (0.0, -0.2, 0.0, 0.0, 0.5, 0.6, 0.7),  # rises once
    (0.7, 0.8, 0.6, 2.0, 1.5),  # above from the first
    (0.0, 0.9, 0.8, 0.7, 0.0, -0.1),  # not above in the end
    (0.0, 0.7, 0.6, 0.5, -0.3, 0.6, 1.2, 2.0),
    (0.0, 0.0, 0.1, 0.0, 0.0, 0.0, -0.5, 2.5),  # only at the last
    (0.0, 0.5, 0.6, -0.9, 0.7, 1.2),  # falls below most controls, but for one sequence
    (0.198, -3.0, -1.71, -1.27, 0.195, 0.196, 0.196, 0.6, 0.9),  # stays for a while just below the highest control
)
NEARLY = CURVES[-1]


def onset_cases(rng):
    for number, curve in enumerate(CURVES):
        batch, scale = 24 + number, float(torch.exp(torch.randn((), generator=rng)))
        offset = 0.5 * number
        values = history(rng, curve, batch, 0.12, offset)
        values[min(curve) == torch.tensor(curve), 0] += 4.0 * (min(curve) < -0.5)
        if curve is NEARLY:  # one sequence far up, or far down: the middle one is below the highest control, or above
            values[4, 0] += 6.0
            values[5:7, 0] -= 6.0
        # Means well away from the bar: a different order of summing may not decide.
        values = values - values.mean(1, keepdim=True) + torch.tensor(curve)[:, None] + offset
        means = one_high() if curve is NEARLY else spread_of(5 + number)
        controls = quiet(rng, len(means), batch, 0.12, offset)
        controls = controls - controls.mean(1, keepdim=True) + offset + means
        yield Case((scale * values, scale * controls))


def spread_of(n):
    """The controls' means: most low, one at 0.2."""
    means = torch.linspace(-0.6, 0.0, n)
    means[n // 2] = 0.2
    return means[:, None]


def one_high():
    """Means of many controls, of which the highest is three of their spreads above their mean."""
    return torch.cat([torch.linspace(-2.5, -1.15, 19), torch.tensor([0.2])])[:, None]


def range_cases(rng):
    """Slow rises, so that the draws disagree, and controls that disagree as well; then one that never rises."""
    made = 0
    while made < 5:
        batch, n = 9 + 2 * made, 7 + made
        slow = torch.linspace(-0.3, 1.2, n)
        values = slow[:, None] + 1.1 * torch.randn(n, batch, generator=rng)
        controls = 0.9 * torch.randn(4 + made, batch, generator=rng)
        draws = torch.randint(batch, ((4, 25, 5, 26, 6)[made], batch), generator=rng)
        found, (earliest, latest) = slow_onset(values, controls), slow_onset_range(values, controls, draws).tolist()
        together = slow_onset(values[:, draws].mean(1), controls[:, draws].mean(1))
        if not earliest < found < latest or (len(draws) < 10 and together == found):
            continue
        if clear(values, controls, draws):
            made += 1
            yield Case((values, controls, draws))


def clear(values, controls, draws):
    """No mean lies so near the bar that rounding decides."""
    by_draw = torch.stack([values[:, draw].double().mean(1) for draw in draws])
    bars = torch.stack([controls[:, draw].double().mean(1).max() for draw in draws])
    return bool((by_draw - bars[:, None]).abs().min() > 1e-5)


def curve_cases(rng):
    """Rises and falls at uneven steps, with turns against the whole."""
    for n, turn in ((7, 1.0), (9, -1.0), (6, 1.0), (8, -1.0)):
        gaps = 20 + (180 * torch.rand(n, generator=rng) ** 2).round()
        steps = gaps.cumsum(0) - gaps[0]
        rise = 0.6 * torch.randn(n - 1, generator=rng) + 0.5
        jump = int(torch.randint(1, n - 2, (), generator=rng))
        rise[jump] = 3.0 + torch.rand((), generator=rng)
        rise[(jump + 2) % (n - 1)] = -1.0 - 0.5 * torch.rand((), generator=rng)
        curve = torch.cat([torch.zeros(1), rise.cumsum(0)]) + torch.randn((), generator=rng)
        yield Case((turn * curve, steps))
    # The gap is short where the turn is: steepest against the whole.
    gaps = torch.tensor([0.0, 90.0, 160.0, 70.0, 20.0, 140.0, 110.0])
    rise = torch.tensor([0.4, 3.3, 0.7, -1.2, 0.9, 0.6]) + 0.2 * torch.rand(6, generator=rng)
    yield Case((torch.cat([torch.zeros(1), rise.cumsum(0)]) + torch.randn((), generator=rng), gaps.cumsum(0)))


# ---- the learner's own runs -----------------------------------------------------------------------------------------

LABELS = ("score", "function", "open", "never")
N_STEPS, N_SEQUENCES, N_CONTROLS, N_DRAWS = 12, 24, 10, 100


def rising(at, slope, height):
    """A curve that is flat before the checkpoint `at`, and then rises to a height."""
    return [min(height, max(0.0, slope * (t - at + 1))) for t in range(N_STEPS)]


def fast_range(values, controls, draws):
    """The earliest and latest onset, and how near a mean comes to the bar, over the controls' spread."""
    weights = torch.nn.functional.one_hot(draws, values.shape[1]).double().mean(1).T  # [sequence, draw]
    means, bars = values.double() @ weights, (controls.double() @ weights).amax(0)
    lasting = (means > bars).flip(0).long().cumprod(0).sum(0)
    near = (means - bars).abs().min() / controls.std()
    return len(values) - int(lasting.max()), len(values) - int(lasting.min()), float(near)


def label_of(run, draws):
    """The label, or None where rounding could decide."""
    (a, b, near), (c, d, near_too) = (fast_range(values, controls, draws) for values, controls in run)
    if min(near, near_too) < 1e-5:
        return None
    if max(b, d) == N_STEPS:
        return "never"
    return "score" if b < c else "function" if d < a else "open"


def first_crossing(values, controls):
    above = values.mean(1) > controls.mean(1).max()
    return int(above.int().argmax()) if above.any() else len(values)


def draw_runs(rng):
    """Six runs of a score and an effect, their labels, and the draws of sequences."""
    draws = torch.randint(N_SEQUENCES, (N_DRAWS, N_SEQUENCES), generator=rng)
    more = ("score", "function")[int(torch.randint(2, (), generator=rng))]
    wanted = ["score", "function", "open", "open", "never", more]
    runs = [one_run(rng, label, number, draws) for number, label in enumerate(wanted)]
    order = torch.randperm(len(wanted), generator=rng).tolist()
    tables = [
        torch.stack([runs[i][quantity][which] for i in order]) for quantity in (0, 1) for which in (0, 1)
    ]  # scores, their controls, effects, their controls
    return [wanted[i] for i in order], (*tables, draws)


def one_run(rng, label, number, draws):
    """Drawn again until it has its label, and until whoever takes the first crossing or no interval is misled."""
    while True:
        early, late = 3 + int(torch.randint(2, (), generator=rng)), 7 + int(torch.randint(2, (), generator=rng))
        at = {"score": (early, late), "function": (late, early), "open": (6, 6), "never": (early, 4)}[label]
        slopes = [0.35, 0.35]
        if number == 3:  # the score's rise is slow, and begins first
            at, slopes = (5, 7), [0.07, 0.35]
        curves = [rising(place, slope, 1.5) for place, slope in zip(at, slopes, strict=True)]
        if label in ("score", "function"):
            curves[0 if label == "function" else 1][1] += 0.8  # a blip of what comes second
        if label == "never":
            loser = int(torch.randint(2, (), generator=rng))
            curves[loser] = [0.8 * (t in (2, 3)) for t in range(N_STEPS)]
        run = []
        for curve in curves:
            scale, offset = (math.exp(float(x)) for x in torch.randn(2, generator=rng))
            values = history(rng, curve, N_SEQUENCES, 0.3, offset)
            controls = quiet(rng, N_CONTROLS, N_SEQUENCES, 0.3, offset)
            run.append((scale * values, scale * controls))
        points = [fast_range(*table, torch.arange(N_SEQUENCES)[None])[0] for table in run]
        crossings = [first_crossing(*table) for table in run]
        if label in ("score", "function") and (crossings[0] < crossings[1]) == (points[0] < points[1]):
            continue
        if label == "open" and number == 3 and not points[0] < points[1]:
            continue
        if label == "never" and max(points) != N_STEPS:
            continue
        if label_of(run, draws) == label:
            return run


def own_case(rng):
    labels, given = draw_runs(rng)
    return [Case(given, want=labels)]


# ---- the ways of being wrong ----------------------------------------------------------------------------------------


def nats(logits, tokens, shift=1):
    """[batch, token] losses of tokens[:, shift:]."""
    guesses = logits.log_softmax(-1)[:, : tokens.shape[1] - shift]
    return -guesses.gather(-1, tokens[:, shift:, None]).squeeze(-1)


LOSS_SYMPTOMS = (
    Symptom.gives(
        "not_shifted",
        lambda logits, tokens, period: nats(logits, tokens, 0)[:, -period:].mean(1),
        lambda logits, tokens, period: nats(logits, tokens, 0)[:, 1 - period :].mean(1),
        says="Each guess is compared with the token it was made *at*. logits[:, i] are a guess of tokens[:, i + 1].",
    ),
    Symptom.gives(
        "both_showings",
        lambda logits, tokens, period: nats(logits, tokens).mean(1),
        says="This is the mean over both showings. Nothing can be known on the first, so it waters down every change.",
    ),
    Symptom.gives(
        "first_showing",
        lambda logits, tokens, period: nats(logits, tokens)[:, :period].mean(1),
        lambda logits, tokens, period: nats(logits, tokens)[:, 1:period].mean(1),
        lambda logits, tokens, period: nats(logits, tokens)[:, : period - 1].mean(1),
        says="These are losses on the first showing.",
    ),
    Symptom.gives(
        "first_of_second",
        lambda logits, tokens, period: nats(logits, tokens)[:, -period:].mean(1),
        says="The second showing's first token is among them. What comes after the first showing, nobody can know: leave it out.",
    ),
    Symptom.gives(
        "one_too_few",
        lambda logits, tokens, period: nats(logits, tokens)[:, 2 - period :].mean(1),
        lambda logits, tokens, period: nats(logits, tokens)[:, 1 - period : -1].mean(1),
        says="One token is missing: of the second showing's tokens all but the first count.",
    ),
    Symptom.gives(
        "batch_averaged",
        lambda logits, tokens, period: nats(logits, tokens)[:, 1 - period :].mean(),
        lambda logits, tokens, period: nats(logits, tokens)[:, 1 - period :].mean(0),
        says="The sequences were averaged. Keep one loss for each: you will need to know how much they differ.",
    ),
    Symptom.gives(
        "summed",
        lambda logits, tokens, period: nats(logits, tokens)[:, 1 - period :].sum(1),
        says="The losses were summed over the tokens. Take their mean.",
    ),
    Symptom.from_truth(
        "sign",
        lambda want, *given: -want,
        says="The sign is turned. A loss is *minus* the log-probability.",
    ),
    Symptom.from_truth(
        "bits",
        lambda want, *given: want / math.log(2),
        lambda want, *given: want / math.log(10),
        says="The logarithm has another base. In nats it is the natural one.",
    ),
    Symptom.gives(
        "mean_of_probabilities",
        lambda logits, tokens, period: -(-nats(logits, tokens)[:, 1 - period :]).exp().mean(1).log(),
        lambda logits, tokens, period: (-nats(logits, tokens)[:, 1 - period :]).exp().mean(1),
        says="You averaged probabilities. Average the losses: take each token's logarithm first.",
    ),
    Symptom.gives(
        "raw_logits",
        lambda logits, tokens, period: (
            -logits[:, :-1].gather(-1, tokens[:, 1:, None]).squeeze(-1)[:, 1 - period :].mean(1)
        ),
        says="These are logits. A log-probability is the logit after log_softmax over the vocabulary.",
    ),
    Symptom.gives(
        "median",
        lambda logits, tokens, period: nats(logits, tokens)[:, 1 - period :].median(1).values,
        says="These are medians over the tokens. Asked for are means.",
    ),
)


def last_run(above):
    """The first place of the True values that reach to the end."""
    at = len(above)
    while at and bool(above[at - 1]):
        at -= 1
    return at


def first_true(above):
    return next((i for i, one in enumerate(above.tolist()) if one), len(above))


def is_one_of(*formulas):
    def when(got, want, *inputs):
        return any(got.shape == () and int(got) == formula(*inputs) for formula in formulas)

    return when


ONSET_SYMPTOMS = (
    Symptom(
        "last_below",
        is_one_of(lambda v, c: last_run(v.mean(1) > c.mean(1).max()) - 1),
        says="That is the last checkpoint that is *not* above. The onset is the one after it.",
    ),
    Symptom(
        "never_forgotten",
        lambda got, want, v, c: want == len(v) and int(got) in (-1, 0, len(v) - 1),
        says="Here the mean is not above in the end. Then there is no such checkpoint, and the number of checkpoints is asked for.",
    ),
    Symptom(
        "first_crossing",
        is_one_of(
            lambda v, c: first_true(v.mean(1) > c.mean(1).max()),
            lambda v, c: first_true(v.mean(1) > c.mean(1).max()) % len(v),
        ),
        says="That is the first time above. It falls back afterwards: look for the checkpoint from which on it *stays* above.",
    ),
    Symptom(
        "against_the_start",
        is_one_of(
            lambda v, c: last_run(v.mean(1) > v.mean(1)[0]),
            lambda v, c: first_true(v.mean(1) > v.mean(1)[0]),
        ),
        says="You compare with the first checkpoint alone. The controls say how far a mean strays by itself.",
    ),
    Symptom(
        "mean_control",
        is_one_of(
            lambda v, c: last_run(v.mean(1) > c.mean()),
            lambda v, c: last_run(v.mean(1) > c.mean(1).median()),
            lambda v, c: last_run(v.mean(1) > c.mean(1).min()),
        ),
        says="Your bar is the controls' mean, or lower. Half of them are above that: clear *every* control.",
    ),
    Symptom(
        "single_sequences",
        is_one_of(
            lambda v, c: last_run(v.mean(1) > c.max()),
            lambda v, c: last_run((v > c.mean(1).max()).all(1)),
            lambda v, c: last_run((v > c.max()).all(1)),
            lambda v, c: last_run(v.min(1).values > c.max()),
        ),
        says="Single sequences decide here. Average over the batch first, then compare means with means.",
    ),
    Symptom(
        "median_sequence",
        is_one_of(
            lambda v, c: last_run(v.median(1).values > c.mean(1).max()),
            lambda v, c: last_run(v.median(1).values > c.median(1).values.max()),
            lambda v, c: last_run((v > c.mean(1).max()).double().mean(1) > 0.5),
        ),
        says="Most sequences decide here, or the one in the middle. Compare means over the batch.",
    ),
    Symptom(
        "controls_over_steps",
        is_one_of(lambda v, c: last_run(v.mean(1) > c.mean(0).max())),
        says="The controls were averaged over their rows. Each row is one control: average it over the batch, mean(1).",
    ),
    Symptom(
        "bar_from_spread",
        is_one_of(
            *(lambda v, c, q=q: last_run(v.mean(1) > c.mean(1).quantile(q)) for q in (0.9, 0.95, 0.975, 0.99)),
            *(lambda v, c, k=k: last_run(v.mean(1) > c.mean() + k * c.mean(1).std()) for k in (1, 2, 3)),
            lambda v, c: last_run(v.mean(1) > c.mean() + 2 * c.std()),
        ),
        says="Your bar is a quantile of the controls, or a number of their spreads. Here it is the highest control's mean itself.",
    ),
    Symptom(
        "largest_sequence",
        is_one_of(
            lambda v, c: last_run(v.max(1).values > c.mean(1).max()),
            lambda v, c: last_run((v > c.mean(1).max()).any(1)),
            lambda v, c: last_run(v.max(1).values > c.max()),
        ),
        says="The highest sequence decides here. Average over the batch before comparing.",
    ),
    Symptom(
        "share_of_final",
        is_one_of(
            *(
                lambda v, c, share=share: first_true(v.mean(1) > share * v.mean(1)[-1])
                for share in (0.5, 0.1, 0.2, 0.05)
            ),
            *(lambda v, c, share=share: last_run(v.mean(1) > share * v.mean(1)[-1]) for share in (0.5, 0.1, 0.2, 0.05)),
        ),
        says="Your bar is a share of the last value. It would move if training went on; the controls' does not.",
    ),
    Symptom(
        "steepest_place",
        is_one_of(
            lambda v, c: int(v.mean(1).diff().argmax()),
            lambda v, c: int(v.mean(1).diff().argmax()) + 1,
            lambda v, c: int(v.mean(1).argmax()),
        ),
        says="That is where the mean rises most, or is highest. The onset is where it leaves its controls.",
    ),
    Symptom(
        "smoothed",
        is_one_of(
            *(
                lambda v, c, rule=rule: rule(
                    torch.nn.functional.avg_pool1d(
                        v.mean(1)[None, None], 3, 1, padding=1, count_include_pad=False
                    ).flatten()
                    > c.mean(1).max()
                )
                for rule in (last_run, first_true)
            )
        ),
        says="The curve was smoothed first. A mean over neighbours rises before the thing itself does.",
    ),
    Symptom(
        "counted",
        is_one_of(lambda v, c: int((v.mean(1) > c.mean(1).max()).sum())),
        says="That is how many checkpoints are above. Asked for is the number of the first of the lasting ones.",
    ),
)


def ranges(got, *formulas):
    return any(got.shape == (2,) and got.tolist() == [float(x) for x in formula] for formula in formulas)


def over(values, controls, draws, take_values=True, take_controls=True, unique=False):
    found = []
    for draw in draws:
        draw = draw.unique() if unique else draw
        found.append(
            slow_onset(values[:, draw] if take_values else values, controls[:, draw] if take_controls else controls)
        )
    return found


def ends(found):
    return min(found), max(found)


RANGE_SYMPTOMS = (
    Symptom(
        "controls_kept",
        lambda got, want, v, c, d: ranges(got, ends(over(v, c, d, take_controls=False))),
        says="The values were drawn again and the controls were not. They come from the same sequences: take both.",
    ),
    Symptom(
        "values_kept",
        lambda got, want, v, c, d: ranges(got, ends(over(v, c, d, take_values=False))),
        says="The controls were drawn again and the values were not. They come from the same sequences: take both.",
    ),
    Symptom(
        "exchanged",
        lambda got, want, v, c, d: ranges(got, want.flip(0).tolist()),
        says="The two are exchanged: first the earliest, then the latest.",
    ),
    Symptom(
        "without_repeats",
        lambda got, want, v, c, d: ranges(got, ends(over(v, c, d, unique=True))),
        says="Sequences that a draw names twice count once here. The repeats are what makes one draw differ from the next.",
    ),
    Symptom(
        "one_onset",
        lambda got, want, v, c, d: ranges(got, [slow_onset(v, c)] * 2),
        says="Both are the onset on all sequences. How far would it move with other sequences? Each draw stands for such a set.",
    ),
    Symptom(
        "each_sequence",
        lambda got, want, v, c, d: ranges(got, ends([slow_onset(v[:, [i]], c[:, [i]]) for i in range(v.shape[1])])),
        says="These are onsets of single sequences. Asked for is how far the onset of a *mean* over as many sequences strays.",
    ),
    Symptom(
        "draws_averaged",
        lambda got, want, v, c, d: ranges(
            got,
            [slow_onset(v[:, d].mean(1), c[:, d].mean(1))] * 2,
            [slow_onset(v[:, d].flatten(1), c[:, d].flatten(1))] * 2,
        ),
        says="The draws were thrown together. Find each draw's onset; then compare.",
    ),
    Symptom(
        "quantiles",
        lambda got, want, v, c, d: ranges(
            got,
            *(
                torch.tensor(over(v, c, d)).double().quantile(torch.tensor(q).double()).round().tolist()
                for q in ((0.05, 0.95), (0.025, 0.975), (0.25, 0.75), (0.1, 0.9), (0.16, 0.84))
            ),
        ),
        says="The outer draws were cut off. Here the range is over all of them.",
    ),
    Symptom(
        "typical",
        lambda got, want, v, c, d: ranges(
            got,
            *(
                [round(mean - spread), round(mean + spread)]
                for found in [torch.tensor(over(v, c, d)).double()]
                for mean in [float(found.mean())]
                for spread in (0.0, float(found.std()), float(found.std(correction=0)), 2 * float(found.std()))
            ),
        ),
        says="That is a mean and a spread. Asked for are the earliest and the latest onset themselves.",
    ),
)


def steepness(curve, steps):
    return curve.diff() / steps.diff()


def whole(curve, steps):
    return (curve[-1] - curve[0]) / (steps[-1] - steps[0])


def places(curve):
    return torch.arange(len(curve)).to(curve.dtype)


SUDDEN_SYMPTOMS = (
    Symptom.gives(
        "steps_ignored",
        lambda curve, steps: (steepness(curve, places(curve)) / whole(curve, places(curve))).max(),
        says="The checkpoints count as evenly spaced. They are not: divide each change by its number of steps.",
    ),
    Symptom.gives(
        "half_ignored",
        lambda curve, steps: (curve.diff() / whole(curve, steps)).max(),
        lambda curve, steps: (steepness(curve, steps) / (curve[-1] - curve[0])).max(),
        says="Only one of the two slopes is per step. Divide both changes by their numbers of steps.",
    ),
    Symptom.gives(
        "log_axis",
        lambda curve, steps: (steepness(curve, (steps + 1).log()) / whole(curve, (steps + 1).log())).max(),
        lambda curve, steps: (steepness(curve, (steps + 1).log()) / whole(curve, (steps + 1).log()))[1:].max(),
        says="The steps were put on a log axis. That squeezes late training, and anything that happens late looks like a jump.",
    ),
    Symptom.gives(
        "not_divided",
        lambda curve, steps: steepness(curve, steps).max(),
        lambda curve, steps: steepness(curve, steps).abs().max(),
        says="That is the steepest slope itself. Divide it by the slope of the whole.",
    ),
    Symptom.gives(
        "share_of_change",
        lambda curve, steps: (curve.diff() / (curve[-1] - curve[0])).max(),
        says="That is the largest share of the change between two checkpoints. Two that lie far apart have a large share without a jump.",
    ),
    Symptom.gives(
        "direction_lost",
        lambda curve, steps: steepness(curve, steps).max() / whole(curve, steps),
        lambda curve, steps: steepness(curve, steps).max() / whole(curve, steps).abs(),
        says="A falling curve is steepest where its slope is most *negative*. Divide by the whole's slope before taking the largest.",
    ),
    Symptom.gives(
        "either_direction",
        lambda curve, steps: (steepness(curve, steps) / whole(curve, steps)).abs().max(),
        says="A slope against the whole counts as steep here. Divide by the whole's slope, with its sign, and take the largest: "
        "slopes against it are then negative.",
    ),
    Symptom.gives(
        "height_below",
        lambda curve, steps: (
            steepness(curve, steps) * curve.diff().sum().sign() / (curve.max() - curve.min()) * (steps[-1] - steps[0])
        ).max(),
        says="The whole runs from lowest to highest here. It runs from the first checkpoint to the last.",
    ),
    Symptom.gives(
        "mean_of_slopes",
        lambda curve, steps: (steepness(curve, steps) / steepness(curve, steps).mean()).max(),
        says="You divide by the mean of the slopes, in which short gaps count as much as long ones. Take the slope from first to last.",
    ),
    Symptom.gives(
        "smoothed",
        lambda curve, steps: (((curve[2:] - curve[:-2]) / (steps[2:] - steps[:-2])) / whole(curve, steps)).max(),
        says="Each slope reaches over two gaps. Smoothing makes every jump less sudden.",
    ),
    Symptom.from_truth(
        "upside_down",
        lambda want, *given: 1 / want,
        says="The ratio stands upside down.",
    ),
    Symptom.gives(
        "least",
        lambda curve, steps: (steepness(curve, steps) / whole(curve, steps)).min(),
        says="That is the flattest slope, or one against the whole. Asked for is the steepest.",
    ),
)


def only(*pairs):
    """Some runs are labelled wrongly, and each of them in one of these ways: (label given, true label)."""

    def when(got, want, *given):
        return len(got) == len(want) and {(g, w) for g, w in zip(got, want, strict=True) if g != w} <= set(pairs)

    return when


RUNS_SYMPTOMS = (
    Symptom(
        "number_of_labels",
        lambda got, want, *given: len(got) != len(want),
        says="The list needs six labels, one for each run, in order.",
    ),
    Symptom(
        "other_words",
        lambda got, want, *given: not set(got) <= set(LABELS),
        says='The labels are "score", "function", "open" and "never", in lower case.',
    ),
    Symptom(
        "order_turned",
        only(("score", "function"), ("function", "score")),
        says="Score and function are confused in one run or more. Did you take the first crossing? What blips once has not begun.",
    ),
    Symptom(
        "no_interval",
        only(("score", "open"), ("function", "open")),
        says="One or more runs are not decided: their ranges meet. Without an interval any two onsets have an order.",
    ),
    Symptom(
        "never_unseen",
        only(("score", "never"), ("function", "never"), ("open", "never")),
        says="In one run, score or function is back among its controls in the end, in some draw at least. It never begins.",
    ),
    Symptom(
        "too_careful",
        only(("open", "score"), ("open", "function"), ("never", "score"), ("never", "function"), ("never", "open")),
        says="One or more runs that you leave open are decided. Ranges that do not meet say who came first.",
    ),
    Symptom(
        "several",
        lambda got, want, *given: True,
        says="Several labels are not so. For each run take onset_range of score and of effect, each with its own controls.",
    ),
)

PUZZLE = Puzzle(
    slug="before_the_cliff",
    title="Before the cliff",
    question="Which comes first, the head's score or its function?",
    principle="An onset belongs to a measurement: measure where the function reads, against a control, with an interval, and only then say what came first.",
    minutes=40,
    models=("mini-induction", "mini-induction-onset"),
    after=("induction_heads",),
    problems={
        "5.24": "second_loss",
        "5.22": "onset",
        "5.25": "onset",
        "5.12": "onset_range",
        "5.14": "suddenness",
    },
    draw=lambda rng: draw_runs(rng)[1],
    parts=(
        Part(
            name="second_loss",
            takes=("batch pos d_vocab", "batch pos", ""),
            returns="batch",
            points=2,
            cases=loss_cases,
            spec=slow_second_loss,
            symptoms=LOSS_SYMPTOMS,
            hints=(
                "Write out begin, a, b, c, b, c, a and number the places. Which three logits guess the second showing, and which of them can know something?",
                "logits[:, period + 1 : -1] guess tokens[:, period + 2 :]. Then log_softmax, gather, and a mean over the tokens.",
            ),
            meaning="One loss for each sequence, where something can be known. Averaged with the first showing, half of every fall would be hidden.",
        ),
        Part(
            name="onset",
            takes=("step batch", "control batch"),
            returns="",
            points=2,
            cases=onset_cases,
            spec=slow_onset,
            symptoms=ONSET_SYMPTOMS,
            kind="integer",
            hints=(
                "The bar is controls.mean(1).max(). Which checkpoints are not above it?",
                "The onset is one after the last of those; 0 if there are none.",
            ),
            meaning="The bar was there before you looked at the curve, and a blip is no beginning.",
        ),
        Part(
            name="onset_range",
            takes=("step batch", "control batch", "draw batch"),
            returns="end",
            points=2,
            cases=range_cases,
            spec=slow_onset_range,
            symptoms=RANGE_SYMPTOMS,
            kind="integer",
            hints=(
                "values[:, draw] are the values on the sequences of one draw, repeats and all.",
                "A list of onset(values[:, draw], controls[:, draw]) for each draw; then its smallest and largest.",
            ),
            meaning="How far other sequences would move the onset. The gap to the checkpoint before it comes on top.",
        ),
        Part(
            name="suddenness",
            takes=("step", "step"),
            returns="",
            points=1,
            cases=curve_cases,
            spec=slow_suddenness,
            symptoms=SUDDEN_SYMPTOMS,
            hints=(
                "curve.diff() / steps.diff() are the slopes between neighbours.",
                "Divide them by (curve[-1] - curve[0]) / (steps[-1] - steps[0]), then take the largest.",
            ),
            meaning="On a linear axis of steps a straight line has 1, and the finest you can see is the spacing of your checkpoints.",
        ),
        Part(
            name="my_runs",
            takes=("run step batch", "run control batch", "run step batch", "run control batch", "draw batch"),
            returns="run",
            points=2,
            cases=own_case,
            spec=None,
            symptoms=RUNS_SYMPTOMS,
            kind="label",
            value=True,
            hints=(
                "onset_range(scores[i], score_controls[i], draws) and the same for effects: two pairs of numbers for each run.",
                'One of them reaches 12: "never". They share a checkpoint, or one lies within the other: "open".',
            ),
            meaning="Two of six cannot be decided, and saying so is part of the answer.",
        ),
    ),
    predictions=(
        Prediction("which comes first", choices=("score", "function", "together")),
        Prediction("score at the cliff", between=(0, 1)),
    ),
    free_text=(
        FreeText(
            name="explanation",
            points=3,
            rubric=(
                "The score is taken on the second showing; induction reads this head's output at the keys of the first, and there the score rose with the function.",
                "An onset needs a bar fixed by controls and an interval; one within the same gap between checkpoints is undecided.",
                "One run is one run: compare seeds; and an effect shows that the head matters for this text, by this way of switching off.",
            ),
        ),
    ),
)
