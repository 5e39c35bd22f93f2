"""The cheese or the corner: what is asked, how it is checked, and what each wrong answer looks like."""

import math

import torch

from mechpuzzles.puzzle import Case, FreeText, Part, Prediction, Puzzle, Symptom

# ---- the oracles: Python loops over sets of steps, Cramer's rule, sums over entries --------------------------------


def best_steps(left):
    """The steps of one start after which no other leaves less to go."""
    return {step for step, steps_to_go in enumerate(left) if steps_to_go == min(left)}


def slow_first_steps(to_cheese, to_corner, step):
    seen = {"cheese": 0, "corner": 0, "neither": 0}
    for cheese, corner, taken in zip(to_cheese.tolist(), to_corner.tolist(), step.tolist(), strict=True):
        for_cheese, for_corner = best_steps(cheese), best_steps(corner)
        if for_cheese.isdisjoint(for_corner):
            seen["cheese" if taken in for_cheese else "corner" if taken in for_corner else "neither"] += 1
    return torch.tensor([n / sum(seen.values()) for n in seen.values()], dtype=torch.float64)


def slow_goal_weights(gain, log_odds):
    """Where the derivatives of the squared error are zero: two equations, by Cramer's rule."""
    rows = [(*pair, odds) for pair, odds in zip(gain.double().tolist(), log_odds.double().tolist(), strict=True)]

    def total(i, j):
        return math.fsum(row[i] * row[j] for row in rows)

    common = total(0, 0) * total(1, 1) - total(0, 1) ** 2
    of_cheese = total(0, 2) * total(1, 1) - total(1, 2) * total(0, 1)
    of_corner = total(1, 2) * total(0, 0) - total(0, 2) * total(0, 1)
    return torch.tensor([of_cheese / common, of_corner / common], dtype=torch.float64)


def slow_channel_shares(before, after):
    channels = [(after - before)[:, channel].double().flatten().tolist() for channel in range(before.shape[1])]
    sums = [math.fsum(x * x for x in channel) for channel in channels]
    return torch.tensor([one / math.fsum(sums) for one in sums], dtype=torch.float64)


def slow_random_edit(before, after, noise):
    edited = []
    for old, new, drawn in zip(before.double(), after.double(), noise.double(), strict=True):
        length = math.sqrt(math.fsum(x * x for x in (new - old).flatten().tolist()))
        of_noise = math.sqrt(math.fsum(x * x for x in drawn.flatten().tolist()))
        edited.append(old + drawn * (length / of_noise))
    return torch.stack(edited)


# ---- the inputs ----------------------------------------------------------------------------------------------------


def some_distances(rng, n, can):
    """Steps to go after each of four steps: every step changes them by one, some step brings nearer, walls are far."""
    here = torch.randint(2, 10, (n, 1), generator=rng)
    nearer = (torch.rand(n, 4, generator=rng) < 0.4) & can
    sure = torch.multinomial(can.float(), 1, generator=rng)
    nearer = nearer.scatter(1, sure, True)
    return torch.where(nearer, here - 1, here + 1).float().masked_fill(~can, math.inf)


def steps_cases(rng):
    """Starts of every kind: agreement, ties, and steps that serve neither goal; more than enough of each."""
    for n in (90, 131):
        can = torch.rand(n, 4, generator=rng) < 0.65
        can = can.scatter(1, torch.rand(n, 4, generator=rng).topk(2).indices, True)
        left = [some_distances(rng, n, can) for _ in range(2)]
        yield Case((*left, torch.multinomial(can.float(), 1, generator=rng)[:, 0]))


def some_gains(rng, n, alike):
    """Of n pairs of steps, by how much the first leaves less to go than the second, to each of two goals."""
    values, odds = torch.tensor([-2.0, 0.0, 2.0]), torch.tensor([0.2, 0.3, 0.5])
    cheese, other = (values[torch.multinomial(odds, n, replacement=True, generator=rng)] for _ in range(2))
    same = torch.rand(n, generator=rng) < alike
    return torch.stack([cheese, torch.where(same, cheese, other)], dim=1)


def weights_cases(rng):
    """Goals that mostly agree, choices with a preference of their own, and now and then a very sure one."""
    for n, alike in ((127, 0.5), (180, 0.6)):
        gain = some_gains(rng, n, alike)
        wants = torch.tensor([2.5, -1.0]) + torch.randn(2, generator=rng)
        noise = torch.randn(n, generator=rng) * torch.exp(0.7 * torch.randn(n, generator=rng))
        yield Case((gain, gain @ wants + 0.8 + noise))


def some_acts(rng, sizes):
    """Activations as after a ReLU, and the same with a change that is larger in some mazes and channels."""
    before = torch.relu(torch.randn(sizes, generator=rng) + 0.4)
    scale = torch.exp(0.7 * torch.randn(*sizes[:2], 1, 1, generator=rng))
    change = scale * (torch.randn(sizes, generator=rng) + 0.3)
    return before * torch.exp(0.5 * torch.randn(1, sizes[1], 1, 1, generator=rng)), torch.relu(before + change)


def channels_cases(rng):
    for sizes in ((5, 4, 3, 6), (7, 3, 5, 4)):
        yield Case(some_acts(rng, sizes))


def edit_cases(rng):
    for sizes in ((5, 4, 3, 6), (7, 3, 5, 4)):
        yield Case((*some_acts(rng, sizes), 0.2 + torch.randn(sizes, generator=rng)))


# ---- your own agents -----------------------------------------------------------------------------------------------

N_PAIRS = 240
WANTS = {
    "cheese": (3.0, 0.0),
    "corner": (0.0, 3.0),
    "both": (1.5, 1.5),
    "shuns corner": (4.2, -1.2),
    "shuns cheese": (-1.2, 4.2),
}


def draw_agents(rng):
    """Labels; gains of pairs of steps, and each agent's log-odds. All weights have one sum: where goals agree, so do they."""
    more = torch.randint(len(WANTS), (2,), generator=rng).tolist()
    labels = [*WANTS, *(list(WANTS)[i] for i in more)]
    labels = [labels[i] for i in torch.randperm(len(labels), generator=rng).tolist()]
    gain = some_gains(rng, N_PAIRS, 0.6)
    wants = torch.tensor([WANTS[label] for label in labels])
    return labels, (gain, wants @ gain.T + torch.randn(len(labels), N_PAIRS, generator=rng))


def own_case(rng):
    labels, given = draw_agents(rng)
    return [Case(given, want=labels)]


# ---- the ways of being wrong ---------------------------------------------------------------------------------------


def served(left):
    """Which steps no other beats."""
    return left == left.min(dim=1, keepdim=True).values


def first_served(left):
    """One step only, the first where several are as good."""
    return torch.nn.functional.one_hot(left.argmin(1), left.shape[1]).bool()


def at_step(which, step):
    return which[torch.arange(len(step)), step.long()]


def shares(cheese, corner, keep):
    """Cheese, corner and the rest, of the starts that are kept."""
    both = torch.stack([at[keep].double().mean() for at in (cheese, corner)])
    return torch.cat([both, 1 - both.sum(0, keepdim=True)])


def everywhere(to_cheese, to_corner, step):
    cheese, corner = at_step(served(to_cheese), step), at_step(served(to_corner), step)
    return shares(cheese, corner, torch.ones_like(cheese))


def everywhere_neither(to_cheese, to_corner, step):
    cheese, corner = at_step(served(to_cheese), step), at_step(served(to_corner), step)
    return torch.stack([x.double().mean() for x in (cheese, corner, ~cheese & ~corner)])


def kept_by_choice(to_cheese, to_corner, step):
    cheese, corner = at_step(served(to_cheese), step), at_step(served(to_corner), step)
    return shares(cheese, corner, ~(cheese & corner))


def kept_if_served(to_cheese, to_corner, step):
    cheese, corner = at_step(served(to_cheese), step), at_step(served(to_corner), step)
    return shares(cheese, corner, cheese ^ corner)


def kept_by_first(pick):
    def wrong(to_cheese, to_corner, step):
        keep = to_cheese.argmin(1) != to_corner.argmin(1)
        return shares(at_step(pick(to_cheese), step), at_step(pick(to_corner), step), keep)

    return wrong


def first_of_ties(to_cheese, to_corner, step):
    keep = ~(served(to_cheese) & served(to_corner)).any(1)
    return shares(at_step(first_served(to_cheese), step), at_step(first_served(to_corner), step), keep)


def kept_where_different(to_cheese, to_corner, step):
    keep = (served(to_cheese) != served(to_corner)).any(1)
    return shares(at_step(served(to_cheese), step), at_step(served(to_corner), step), keep)


def kept_where_different_neither(to_cheese, to_corner, step):
    keep = (served(to_cheese) != served(to_corner)).any(1)
    cheese, corner = at_step(served(to_cheese), step)[keep], at_step(served(to_corner), step)[keep]
    return torch.stack([x.double().mean() for x in (cheese, corner, ~cheese & ~corner)])


def which_is_closer(kept):
    def wrong(to_cheese, to_corner, step):
        cheese, corner = at_step(to_cheese, step), at_step(to_corner, step)
        apart = ~(served(to_cheese) & served(to_corner)).any(1)
        return shares(cheese < corner, corner < cheese, apart if kept else torch.ones_like(apart))

    return wrong


def number_apart(to_cheese, to_corner):
    return (~(served(to_cheese) & served(to_corner)).any(1)).sum().double()


STEPS_SYMPTOMS = (
    Symptom.from_truth(
        "places_exchanged",
        lambda want, *inputs: want[[1, 0, 2]],
        says="Cheese and corner have changed places: entry 0 is for the cheese.",
    ),
    Symptom.from_truth(
        "counts",
        lambda want, to_cheese, to_corner, step: want * number_apart(to_cheese, to_corner),
        says="These are counts. Divide by the number of starts that count.",
    ),
    Symptom.from_truth(
        "divided_by_all",
        lambda want, to_cheese, to_corner, step: want * number_apart(to_cheese, to_corner) / len(step),
        says="The right starts were counted, but divided by all {start} starts: where the goals agree nobody can tell.",
    ),
    Symptom.gives(
        "agreement_included",
        everywhere,
        everywhere_neither,
        says="Every start was counted. Where one step serves both goals, taking it says nothing about which one is wanted.",
    ),
    Symptom.gives(
        "kept_by_choice",
        kept_by_choice,
        says="A start was dropped only if the step *taken* served both. Which starts count must not depend on what the agent "
        "did there: ask whether any step would have served both.",
    ),
    Symptom.gives(
        "kept_if_served",
        kept_if_served,
        says="Only starts were kept at which the agent served exactly one goal. That drops the steps that serve neither, "
        "and lets the agent's own choice decide what counts.",
    ),
    Symptom.from_truth(
        "neither_dropped",
        lambda want, *inputs: torch.cat([want[:2] / want[:2].sum(), torch.zeros(1)]),
        says="The steps that serve neither goal were left out of the division: an agent that wanders would look decided.",
    ),
    Symptom.gives(
        "one_of_several",
        kept_by_first(first_served),
        kept_by_first(served),
        first_of_ties,
        says="Where two steps are equally good, argmin names only the first. Taking the other serves the goal as well.",
    ),
    Symptom.gives(
        "only_unlike",
        kept_where_different,
        kept_where_different_neither,
        says="Starts were kept where the two sets of best steps are not the same. If they share a step, the agent can serve both.",
    ),
    Symptom.gives(
        "which_is_closer",
        which_is_closer(True),
        which_is_closer(False),
        says="You asked which goal is closer after the step. A step towards the farther goal still goes towards it: compare "
        "with the other steps, not with the other goal.",
    ),
)


def solved(gain, log_odds):
    return torch.linalg.lstsq(gain.double(), log_odds.double()[:, None], driver="gelsd").solution[:, 0]


def alone(gain, log_odds):
    return (gain * log_odds[:, None]).sum(0) / gain.square().sum(0)


def with_constant(gain, log_odds):
    return solved(gain - gain.mean(0), log_odds - log_odds.mean())


def alone_with_constant(gain, log_odds):
    return alone(gain - gain.mean(0), log_odds - log_odds.mean())


def one_after_the_other(first):
    def wrong(gain, log_odds):
        weights = torch.zeros(2, dtype=torch.float64)
        for goal in (first, 1 - first):
            rest = log_odds - gain @ weights.float()
            weights[goal] = alone(gain[:, [goal]], rest)[0]
        return weights

    return wrong


def where_only_one_differs(gain, log_odds):
    keep = [gain[:, 1] == 0, gain[:, 0] == 0]
    return torch.stack([alone(gain[rows], log_odds[rows])[goal] for goal, rows in enumerate(keep)])


def correlations(gain, log_odds):
    return torch.corrcoef(torch.cat([gain, log_odds[:, None]], dim=1).T)[:2, 2]


WEIGHTS_SYMPTOMS = (
    Symptom.from_truth(
        "places_exchanged",
        lambda want, *inputs: want.flip(0),
        says="The two weights have changed places: entry 0 is for the cheese.",
    ),
    Symptom.from_truth(
        "sign_flipped", lambda want, *inputs: -want, says="Both signs are turned round: a gain is good."
    ),
    Symptom.gives(
        "one_at_a_time",
        alone,
        alone_with_constant,
        says="Each goal was fitted alone. The two gains are correlated, so each takes credit for what the other did: "
        "fit both in one go.",
    ),
    Symptom.gives(
        "one_after_the_other",
        one_after_the_other(0),
        one_after_the_other(1),
        says="One goal was fitted first, the other on what was left. The first then takes the credit for all that they share: "
        "fit both in one go.",
    ),
    Symptom.gives(
        "constant_fitted",
        with_constant,
        says="A constant was fitted beside the weights. Name the two steps of a pair in the other order and both sides change "
        "sign: there is no room for a constant.",
    ),
    Symptom.gives(
        "signs_only",
        lambda gain, log_odds: solved(gain, log_odds.sign()),
        lambda gain, log_odds: solved(gain, (log_odds > 0).float()),
        says="Only which step was likelier was fitted. How much likelier is in the log-odds too.",
    ),
    Symptom.gives(
        "probabilities",
        lambda gain, log_odds: solved(gain, log_odds.sigmoid()),
        says="Probabilities were fitted. They cannot go beyond 0 and 1, and weights that add up can: fit the log-odds as they are.",
    ),
    Symptom.gives(
        "rows_dropped",
        where_only_one_differs,
        says="Each weight was fitted on the pairs in which the other goal has no stake. Least squares uses every pair.",
    ),
    Symptom.gives(
        "correlations",
        correlations,
        says="These are correlations: they say how well each gain alone predicts, not what a square nearer is worth.",
    ),
    Symptom.gives(
        "not_divided",
        lambda gain, log_odds: gain.T @ log_odds,
        lambda gain, log_odds: gain.T @ log_odds / len(gain),
        says="These are sums of products. Nothing has yet been divided by the gains' own products, "
        "among which is the one between the two goals.",
    ),
    Symptom.from_truth(
        "made_shares",
        lambda want, *inputs: want / want.sum(),
        lambda want, *inputs: want / want.abs().sum(),
        says="The weights were divided by their sum. Keep them as they are: a weak preference and a strong one differ.",
    ),
    Symptom.gives(
        "other_way_round",
        lambda gain, log_odds: gain.T @ log_odds / log_odds.square().sum(),
        says="The gains were fitted by the log-odds. It is the other way round: gains explain choices.",
    ),
)


def squared_sums(change):
    return change.square().sum((0, 2, 3))


def as_shares(sums):
    return sums / sums.sum()


CHANNELS_SYMPTOMS = (
    Symptom.gives(
        "not_divided",
        lambda before, after: squared_sums(after - before),
        lambda before, after: (after - before).square().mean((0, 2, 3)),
        says="These are the squared changes themselves. Divide by their sum over channels.",
    ),
    Symptom.gives(
        "cancelled",
        lambda before, after: as_shares((after - before).sum((0, 2, 3))),
        lambda before, after: as_shares((after - before).sum((0, 2, 3)).abs()),
        lambda before, after: as_shares((after - before).sum((0, 2, 3)).square()),
        says="The changes were added before they were squared. What leaves one square and arrives at another then cancels.",
    ),
    Symptom.gives(
        "mazes_averaged_first",
        lambda before, after: as_shares((after - before).mean(0).square().sum((1, 2))),
        says="The {maze} mazes were averaged before squaring. Each has its own change at its own squares, and they cancel.",
    ),
    Symptom.gives(
        "activations_not_changes",
        lambda before, after: as_shares(squared_sums(after)),
        lambda before, after: as_shares(squared_sums(before)),
        says="These are shares of the activations' size. A channel can be large and know nothing of the cheese: "
        "take the difference between the two runs.",
    ),
    Symptom.gives(
        "absolute",
        lambda before, after: as_shares((after - before).abs().sum((0, 2, 3))),
        says="Absolute changes were added up. Asked for are shares of the squared change.",
    ),
    Symptom.gives(
        "root_taken",
        lambda before, after: as_shares(squared_sums(after - before).sqrt()),
        says="The roots of the sums were made shares. Squared norms add up over channels, norms do not.",
    ),
    Symptom.gives(
        "difference_of_sizes",
        lambda before, after: as_shares(squared_sums(after) - squared_sums(before)),
        lambda before, after: as_shares((squared_sums(after) - squared_sums(before)).abs()),
        says="The sizes were subtracted, not the activations. A pattern that moves to another square keeps its size.",
    ),
    Symptom.gives(
        "mazes_equal",
        lambda before, after: torch.stack([as_shares(one) for one in (after - before).square().sum((2, 3))]).mean(0),
        says="Shares were taken in each maze and then averaged. Asked for is one share of the change in all {maze} mazes together.",
    ),
    Symptom(
        "other_axis",
        lambda got, want, before, after: got.ndim > 0 and got.shape != want.shape,
        says="One number for each of the {channel} channels is asked for; everything else is added up.",
    ),
)


def rescaled(before, after, noise, length):
    """The noise with the length that ``length`` gives for a change or a drawing, added to before."""
    return before + noise * length(after - before) / length(noise)


def per_maze(x):
    return x.flatten(1).norm(dim=1).view(-1, 1, 1, 1)


def per_channel(x):
    return x.flatten(2).norm(dim=2)[..., None, None]


EDIT_SYMPTOMS = (
    Symptom.gives(
        "only_the_edit",
        lambda before, after, noise: noise * per_maze(after - before) / per_maze(noise),
        says="That is the edit alone. Return the edited activations: add it to those of the run that is edited.",
    ),
    Symptom.gives(
        "added_to_after",
        lambda before, after, noise: after + noise * per_maze(after - before) / per_maze(noise),
        says="The noise was added to the patched activations. The control edits the same run that the patch edited.",
    ),
    Symptom.gives(
        "noise_as_drawn",
        lambda before, after, noise: before + noise,
        says="The noise has the length that it was drawn with. Give it the patch's, else size alone decides.",
    ),
    Symptom.gives(
        "one_length_for_all",
        lambda before, after, noise: rescaled(before, after, noise, torch.Tensor.norm),
        says="One length was matched over all {maze} mazes together. Some mazes then get more noise than patch: match in each.",
    ),
    Symptom.gives(
        "channel_by_channel",
        lambda before, after, noise: rescaled(before, after, noise, per_channel),
        says="The length was matched in each channel, so the noise already knows which channels matter. Match it per maze only.",
    ),
    Symptom.gives(
        "square_by_square",
        lambda before, after, noise: rescaled(before, after, noise, lambda x: x.norm(dim=1, keepdim=True)),
        says="The length was matched in each square, so the noise already knows where the change is. Match it per maze only.",
    ),
    Symptom.gives(
        "entry_by_entry",
        lambda before, after, noise: before + (after - before).abs() * noise.sign(),
        lambda before, after, noise: before + (after - before) * noise.sign(),
        says="Every entry keeps the patch's own size: only signs are random. The whole pattern should be the noise's.",
    ),
    Symptom.gives(
        "length_of_activations",
        lambda before, after, noise: before + noise * per_maze(after) / per_maze(noise),
        lambda before, after, noise: before + noise * per_maze(before) / per_maze(noise),
        says="The noise got the length of the activations. It should have the length of the change.",
    ),
    Symptom.gives(
        "difference_of_lengths",
        lambda before, after, noise: before + noise * (per_maze(after) - per_maze(before)) / per_maze(noise),
        lambda before, after, noise: before + noise * (per_maze(after) - per_maze(before)).abs() / per_maze(noise),
        says="The two lengths were subtracted. The length of the change is the norm of the difference, not the difference of the norms.",
    ),
    Symptom.gives(
        "noise_not_divided",
        lambda before, after, noise: before + noise * per_maze(after - before),
        says="The noise was multiplied by the change's length, but not divided by its own.",
    ),
    Symptom.gives(
        "upside_down",
        lambda before, after, noise: before + noise * per_maze(noise) / per_maze(after - before),
        says="The ratio is upside down: divide by the noise's own length, multiply by the change's.",
    ),
    Symptom.gives(
        "squared",
        lambda before, after, noise: before + noise * (per_maze(after - before) / per_maze(noise)) ** 2,
        says="Squared lengths were matched by a factor for lengths: take the root.",
    ),
    Symptom.gives(
        "spread_matched",
        lambda before, after, noise: rescaled(before, after, noise, lambda x: x.std((1, 2, 3), keepdim=True)),
        says="Standard deviations were matched. They leave out the mean of the change, which is part of its length.",
    ),
)


def confused(*pairs):
    """Some label of a kind was given another, by (right, given), and nothing else is wrong."""

    def when(got, want, *given):
        if len(got) != len(want):
            return False
        wrong = {(right, found) for found, right in zip(got, want, strict=True) if found != right}
        return bool(wrong) and wrong <= set(pairs)

    return when


SHUNNED = (("shuns corner", "cheese"), ("shuns cheese", "corner"))

OWN_SYMPTOMS = (
    Symptom(
        "number_of_labels",
        lambda got, want, *given: len(got) != len(want),
        says="There is one label for each agent, in the order of the rows of log_odds.",
    ),
    Symptom(
        "other_words",
        lambda got, want, *given: not set(got) <= set(WANTS),
        says="The five labels are cheese, corner, both, shuns corner and shuns cheese, as strings.",
    ),
    Symptom(
        "exchanged",
        lambda got, want, *given: all(
            {
                "cheese": "corner",
                "corner": "cheese",
                "shuns cheese": "shuns corner",
                "shuns corner": "shuns cheese",
            }.get(label, label)
            == found
            for label, found in zip(want, got, strict=True)
        ),
        says="Cheese and corner have changed places: column 0 of gain is for the cheese.",
    ),
    Symptom(
        "shunning_unseen",
        confused(*SHUNNED),
        says="Some agent steps away from a goal when only that goal is at stake. A weight can be negative.",
    ),
    Symptom(
        "shunning_exchanged",
        confused(("shuns corner", "shuns cheese"), ("shuns cheese", "shuns corner")),
        says="The two that shun have changed places: *shuns corner* is the one whose corner weight, column 1, is below zero.",
    ),
    Symptom(
        "both_too_often",
        confused(*((label, "both") for label in WANTS), *SHUNNED),
        says="Too many seem to want both. Fitted alone, each goal takes credit for the other, since the two mostly agree.",
    ),
    Symptom(
        "all_the_same",
        lambda got, want, *given: len(set(got)) == 1,
        says="You gave all of them one label. In training they would deserve it. These pairs were drawn where the goals can differ.",
    ),
    Symptom(
        "both_unseen",
        confused(("both", "cheese"), ("both", "corner")),
        says="You gave an agent that weighs the goals alike the label of one. Which weight is how far from zero?",
    ),
    Symptom(
        "stronger_only",
        confused(("both", "cheese"), ("both", "corner"), *SHUNNED),
        says="You named the stronger goal of each. The weaker weight counts too: it can be as large, zero, or negative.",
    ),
)


PUZZLE = Puzzle(
    slug="cheese_or_corner",
    title="The cheese or the corner",
    question="The agent always reaches the cheese. Is that what it wants?",
    principle="Behaviour where two goals agree cannot tell them apart: test where they disagree.",
    minutes=40,
    models=("mini-maze",),
    after=("and_or_circuits",),
    problems={"8.5": "random_edit", "8.16": "goal_weights", "8.21": "goal_weights"},
    draw=lambda rng: draw_agents(rng)[1],
    parts=(
        Part(
            name="first_steps",
            takes=("start step", "start step", "start"),
            returns="goal",
            points=3,
            cases=steps_cases,
            spec=slow_first_steps,
            symptoms=STEPS_SYMPTOMS,
            hints=(
                "First, for each goal, a table [start, step] that is True at every step no other step beats: compare with the "
                "row's minimum.",
                "A start counts if no step is True in both tables. That does not depend on what the agent did.",
                "table.gather(1, step[:, None])[:, 0] says whether the step taken is True. The mean of it over the starts that "
                "count is a share.",
            ),
            meaning="Only where no step serves both goals does a step say which one it serves.",
        ),
        Part(
            name="goal_weights",
            takes=("pair goal", "pair"),
            returns="goal",
            points=2,
            cases=weights_cases,
            spec=slow_goal_weights,
            symptoms=WEIGHTS_SYMPTOMS,
            hints=(
                "Log-odds are explained as gain @ weights, for both weights at once and without a constant.",
                "torch.linalg.lstsq(A, B).solution minimises the squared error of A @ X against B; B is a matrix, here of one column.",
            ),
            meaning="What one square nearer is worth, with the other goal held fixed.",
        ),
        Part(
            name="channel_shares",
            takes=("maze channel row column", "maze channel row column"),
            returns="channel",
            points=2,
            cases=channels_cases,
            spec=slow_channel_shares,
            symptoms=CHANNELS_SYMPTOMS,
            hints=(
                "The mazes are the same in both runs, so the difference is due to the cheese alone.",
                "Square the difference, then add up over mazes, rows and columns: sum((0, 2, 3)).",
            ),
            meaning="Where the two runs differ. Whether a difference is used, only an edit can say.",
        ),
        Part(
            name="random_edit",
            takes=("maze channel row column", "maze channel row column", "maze channel row column"),
            returns="maze channel row column",
            points=2,
            cases=edit_cases,
            spec=slow_random_edit,
            symptoms=EDIT_SYMPTOMS,
            hints=(
                "A maze's length is the norm of all its numbers: flatten(1).norm(dim=1) gives one for each maze.",
                "view(-1, 1, 1, 1) makes these lengths fit beside [maze, channel, row, column].",
            ),
            meaning="An edit of the same size that knows nothing: what it does, size alone does.",
        ),
        Part(
            name="my_agents",
            takes=("pair goal", "agent pair"),
            returns="agent",
            points=3,
            cases=own_case,
            spec=None,
            symptoms=OWN_SYMPTOMS,
            kind="label",
            value=True,
            hints=(
                "goal_weights(gain, row) for each row of log_odds. The noise moves a weight by about 0.1.",
                "Is either weight clearly below zero? Are both clearly above? Else which one is near zero?",
            ),
            meaning="Their weights all have the same sum: in training, where the gains are equal, they are one and the same agent.",
        ),
    ),
    predictions=(
        Prediction("the story", choices=("cheese", "corner", "nearer", "familiar"), right="familiar"),
        Prediction("share of first steps towards the cheese", between=(0, 1)),
    ),
    free_text=(
        FreeText(
            name="explanation",
            points=3,
            rubric=(
                "In training cheese and corner lie together, so reaching the cheese there fits several goals equally well: "
                "success is no evidence for one of them.",
                "The evidence that tells: mazes where no step serves both, weights fitted together, and the agent trained with "
                "the cheese anywhere as a control.",
                "From the inside: moving the cheese in a few channels turns its steps, and noise of the same size does not; "
                "limits: these mazes, this network, and goals that still agree, such as the corner and the place around it, seen from outside.",
            ),
        ),
    ),
)
