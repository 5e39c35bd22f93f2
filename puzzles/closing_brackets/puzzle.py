"""Three deep: what is asked, how it is checked, and what each wrong answer looks like."""

import itertools
import math

import torch

from mechpuzzles.puzzle import Case, FreeText, Part, Prediction, Puzzle, Symptom

# ---- the oracle -----------------------------------------------------------------------------------------------------


def slow_agreement(model_says, says):
    rows, wanted = says.tolist(), model_says.tolist()
    telling = [i for i in range(len(wanted)) if len({row[i] for row in rows}) == 2]
    return torch.tensor([sum(row[i] == wanted[i] for i in telling) / len(telling) for row in rows], dtype=torch.double)


def slow_swings(odds):
    """All pairs of entries that differ in one bracket, one pair after the other."""
    table, found = odds.double().tolist(), []

    def entry(kinds):
        value = table
        for kind in kinds:
            value = value[kind]
        return value

    for pair in range(odds.ndim):
        moves = []
        for others in itertools.product((0, 1), repeat=odds.ndim - 1):
            written = [(*others[:pair], kind, *others[pair:]) for kind in (0, 1)]
            moves.append(entry(written[0]) - entry(written[1]))
        found.append(math.fsum(moves) / len(moves))
    return torch.tensor(found, dtype=torch.double)


def slow_look_away(pattern, head, key):
    rows = pattern.double().tolist()
    for example in rows:
        last = example[head][-1]
        rest = math.fsum(share for place, share in enumerate(last) if place != key)
        example[head][-1] = [0.0 if place == key else share / rest for place, share in enumerate(last)]
    return torch.tensor(rows, dtype=torch.double)


# ---- the inputs -----------------------------------------------------------------------------------------------------


def agreement_cases(rng):
    """Candidates that agree on half of the prompts, and a model that mostly follows one of them, not the first."""
    for candidates, prompts, follows in ((3, 41, 2), (4, 53, 1), (5, 67, 3)):
        shared = torch.rand(prompts, generator=rng) < 0.5
        easy = torch.rand(prompts, generator=rng) < 0.5
        easy[0] = True
        says = torch.where(easy, shared, torch.rand(candidates, prompts, generator=rng) < 0.5)
        alone = torch.eye(candidates) > 0  # each candidate is alone once, saying either
        says[:, 1 : 1 + 2 * candidates] = torch.cat([alone, ~alone], 1)
        slips = torch.rand(prompts, generator=rng) < 0.2
        slips[0] = True
        yield Case((says[follows] ^ slips, says))


def swings_cases(rng):
    """Tables with a habit, brackets of unequal weight, and contexts that differ."""
    for pairs in (2, 3, 4):
        table = 3 + torch.randn([2] * pairs, generator=rng)
        for pair in range(pairs):
            weight = (1 + 2 * torch.rand((), generator=rng)) * (-1 if pair == 1 else 1)
            table = table + weight * torch.tensor([1.0, -1.0]).view([2 if i == pair else 1 for i in range(pairs)])
        yield Case((table,))


def random_pattern(rng, batch, head, pos):
    scores = torch.randn(batch, head, pos, pos, generator=rng)
    return scores.masked_fill(torch.ones(pos, pos).triu(1).bool(), -math.inf).softmax(-1)


def look_away_cases(rng):
    """Causal patterns; the key that is left has at least a tenth of the attention of most queries."""
    for batch, heads, pos, head, key in ((2, 3, 6, 1, 2), (3, 2, 7, 0, 4), (1, 4, 5, 3, 1)):
        pattern = 0.8 * random_pattern(rng, batch, heads, pos)
        pattern[:, :, :key, 0] += 0.2
        pattern[:, :, key:, key] += 0.2
        yield Case((pattern, head, key))


# ---- the learner's own boxes ----------------------------------------------------------------------------------------


def kind(bracket):
    return 1.0 if bracket in "()" else -1.0


def still_open(brackets):
    left = []
    for bracket in brackets:
        if bracket not in "()[]":
            raise ValueError(f"a box reads ( ) [ ] and nothing else, such as '([]', not {brackets!r}")
        if bracket in "([":
            left.append(kind(bracket))
        elif left:
            left.pop()
        else:
            raise ValueError(f"in {brackets!r} something closes that was never opened")
    return left


def opened(brackets):
    return [kind(bracket) for bracket in brackets if bracket in "(["]


RULES = {
    "stack": lambda brackets: still_open(brackets)[-1],
    "nearest": lambda brackets: opened(brackets)[-1],
    "outermost": lambda brackets: still_open(brackets)[0],
    "count": lambda brackets: sum(still_open(brackets)),
    "tally": lambda brackets: sum(opened(brackets)),
    "fading": lambda brackets: sum(one * 0.6**age for age, one in enumerate(reversed(opened(brackets)))),
}
N_BOXES = 8


class Boxes:
    """Eight boxes; each answers brackets with the log odds of ) over ]."""

    n_boxes = N_BOXES

    def __init__(self, labels, sizes, habits):
        self._labels, self._sizes, self._habits = labels, sizes, habits

    def __call__(self, number, brackets):
        if not 0 <= number < N_BOXES:
            raise ValueError(f"there are boxes 0 to {N_BOXES - 1}, and no {number!r}")
        if not still_open(brackets):
            raise ValueError(f"in {brackets!r} nothing is open: there is nothing to close")
        return self._habits[number] + self._sizes[number] * RULES[self._labels[number]](brackets)


def draw_boxes(rng):
    """Boxes of every kind, and two more, each with a size and a habit of its own."""
    more = torch.randint(len(RULES), (N_BOXES - len(RULES),), generator=rng).tolist()
    labels = [*RULES, *(list(RULES)[i] for i in more)]
    labels = [labels[i] for i in torch.randperm(N_BOXES, generator=rng).tolist()]
    sizes = (1 + 2 * torch.rand(N_BOXES, generator=rng)).tolist()
    habits = (6 * torch.rand(N_BOXES, generator=rng) - 3).tolist()
    return Boxes(tuple(labels), tuple(sizes), tuple(habits))


def own_case(rng):
    boxes = draw_boxes(rng)
    return [Case((boxes,), want=list(boxes._labels))]


# ---- the ways of being wrong ----------------------------------------------------------------------------------------


def same(model_says, says):
    """[candidate, prompt]: 1 where a candidate says what the model says."""
    return (says == model_says).double()


def telling(says):
    return says.any(0) & ~says.all(0)


AGREEMENT_SYMPTOMS = (
    Symptom.gives(
        "all_prompts",
        lambda model_says, says: same(model_says, says).mean(1),
        says="Every prompt is counted. Where all candidates say the same, all of them earn or lose alike: leave those out.",
    ),
    Symptom.gives(
        "divided_by_all",
        lambda model_says, says: same(model_says, says)[:, telling(says)].sum(1) / says.shape[1],
        says="The right prompts are counted, but divided by the number of all prompts. Divide by those that you count.",
    ),
    Symptom.gives(
        "easy_ones",
        lambda model_says, says: same(model_says, says)[:, ~telling(says)].mean(1),
        says="These are the prompts on which all candidates agree. You want the others.",
    ),
    Symptom.gives(
        "chosen_by_the_model",
        lambda model_says, says: same(model_says, says)[:, (says != model_says).any(0)].mean(1),
        says="The prompts were chosen by what the model says: some on which all candidates agree came in. "
        "Choose by the candidates alone.",
    ),
    Symptom.gives(
        "against_the_first",
        lambda model_says, says: (says == says[0])[:, telling(says)].double().mean(1),
        lambda model_says, says: (says == says[0]).double().mean(1),
        says="The candidates are compared with the first of them. Right or wrong is not the question: compare with the model.",
    ),
    Symptom.gives(
        "first_two",
        lambda model_says, says: same(model_says, says)[:, says[0] != says[1]].mean(1),
        lambda model_says, says: same(model_says, says)[:, says[0] != says[-1]].mean(1),
        says="Only two of the candidates decide here which prompts count. Any two that differ will do.",
    ),
    Symptom.gives(
        "all_against_the_first",
        lambda model_says, says: same(model_says, says)[:, (says[1:] != says[0]).all(0)].mean(1),
        says="Only prompts count here on which the first candidate is alone. One that differs, whichever, is enough.",
    ),
    Symptom.from_truth(
        "disagreement",
        lambda want, model_says, says: 1 - want,
        says="This is the share on which they differ from the model.",
    ),
    Symptom.gives(
        "counts",
        lambda model_says, says: same(model_says, says)[:, telling(says)].sum(1),
        says="These are numbers of prompts. Asked for are shares.",
    ),
    Symptom(
        "per_prompt",
        lambda got, want, model_says, says: (
            got.ndim == 1 and len(got) != len(want) and len(got) in (says.shape[1], int(telling(says).sum()))
        ),
        says="There is one number for each prompt. Average over the prompts, not over the candidates.",
    ),
    Symptom(
        "one_number",
        lambda got, want, model_says, says: got.ndim == 0,
        says="There is one number for all candidates. Keep one for each.",
    ),
)


def moves(odds, pair):
    """Round minus square for one pair, [context]; the first context has all others round, the last all square."""
    ends = odds.movedim(pair, -1).reshape(-1, 2)
    return ends @ torch.tensor([1.0, -1.0], dtype=odds.dtype)


def per_pair(odds, number):
    return torch.stack([number(moves(odds, pair)) for pair in range(odds.ndim)])


def round_side(odds, pair):
    return odds.movedim(pair, 0)[0].flatten()


SWING_SYMPTOMS = (
    Symptom.from_truth(
        "sign_flipped",
        lambda want, odds: -want,
        says="The sign is turned. Index 0 is round: round minus square.",
    ),
    Symptom.from_truth(
        "halved",
        lambda want, odds: want / 2,
        says="This is half of it: the way from the mean to one side. Asked for is the way from square to round.",
    ),
    Symptom.gives(
        "others_round",
        lambda odds: per_pair(odds, lambda d: d[0]),
        says="The other brackets stay round here: one context of many. Average over all the ways to write the others.",
    ),
    Symptom.gives(
        "others_square",
        lambda odds: per_pair(odds, lambda d: d[-1]),
        says="The other brackets stay square here: one context of many. Average over all the ways to write the others.",
    ),
    Symptom.gives(
        "two_contexts",
        lambda odds: per_pair(odds, lambda d: (d[0] + d[-1]) / 2),
        says="Only contexts in which the others are all alike were averaged. Take every way to write them.",
    ),
    Symptom.gives(
        "absolute",
        lambda odds: per_pair(odds, lambda d: d.abs().mean()),
        lambda odds: per_pair(odds, lambda d: d.mean().abs()),
        says="The sign is lost. A bracket that pushes the other way has a negative swing.",
    ),
    Symptom.gives(
        "summed",
        lambda odds: per_pair(odds, lambda d: d.sum()),
        says="The contexts are added up. They are alternatives: take their mean.",
    ),
    Symptom.gives(
        "largest",
        lambda odds: per_pair(odds, lambda d: d.max()),
        lambda odds: per_pair(odds, lambda d: d[d.abs().argmax()]),
        says="This is the largest move over the contexts. Take the mean.",
    ),
    Symptom.from_truth(
        "reversed",
        lambda want, odds: want.flip(0),
        says="The pairs come in reverse order: the first axis is the pair that opens first.",
    ),
    Symptom.gives(
        "round_only",
        lambda odds: torch.stack([round_side(odds, pair).mean() for pair in range(odds.ndim)]),
        says="This is the mean with the bracket round. The model's habit is in it: subtract the mean with the bracket square.",
    ),
    Symptom.from_truth(
        "shares",
        lambda want, odds: want / want.sum(),
        says="The swings were divided by their sum. They are log odds, as they are.",
    ),
    Symptom.gives(
        "corners",
        lambda odds: (odds.flatten()[0] - odds.flatten()[-1]).expand(odds.ndim),
        says="All brackets turn at once here: that is one number, not one for each. Turn one at a time.",
    ),
    Symptom(
        "not_averaged",
        lambda got, want, odds: got.ndim > 1,
        says="There is still a number for each context. Average over the other pairs.",
    ),
)


def changed_row(pattern, head, row):
    """The pattern with another last row for one head."""
    changed = pattern.clone()
    changed[:, head, -1] = row
    return changed


def without_key(pattern, key):
    left = pattern.clone()
    left[..., key] = 0
    return left


def last(pattern, head):
    return pattern[:, head, -1]


def rescaled(row):
    return row / row.sum(-1, keepdim=True)


def given_to(pattern, head, key, place):
    row = without_key(last(pattern, head), key)
    row[:, place] += last(pattern, head)[:, key]
    return changed_row(pattern, head, row)


def shared_equally(pattern, head, key, among):
    row = last(pattern, head) + last(pattern, head)[:, [key]] / among
    return changed_row(pattern, head, without_key(row, key))


def every_query(pattern, head, key, again):
    changed = pattern.clone()
    changed[:, head] = again(without_key(pattern[:, head], key))
    return changed


def every_head(pattern, key, again):
    changed = pattern.clone()
    changed[:, :, -1] = again(without_key(pattern[:, :, -1], key))
    return changed


def unchanged(row):
    return row


LOOK_AWAY_SYMPTOMS = (
    Symptom.gives(
        "not_rescaled",
        lambda pattern, head, key: changed_row(pattern, head, without_key(last(pattern, head), key)),
        says="The row no longer sums to 1. Attention that leaves one key has to go to the others.",
    ),
    Symptom.gives(
        "every_query",
        lambda pattern, head, key: every_query(pattern, head, key, rescaled),
        lambda pattern, head, key: every_query(pattern, head, key, unchanged),
        says="Every query looks away. Only the last one is to: what the others read is another experiment.",
    ),
    Symptom.gives(
        "every_head",
        lambda pattern, head, key: every_head(pattern, key, rescaled),
        lambda pattern, head, key: every_head(pattern, key, unchanged),
        says="All heads look away. Only the one that was named is to.",
    ),
    Symptom.gives(
        "everything",
        lambda pattern, head, key: rescaled(without_key(pattern, key)),
        lambda pattern, head, key: without_key(pattern, key),
        says="All heads and all queries look away. Only the named head's last query is to.",
    ),
    Symptom.gives(
        "shared_equally",
        lambda pattern, head, key: shared_equally(pattern, head, key, pattern.shape[-1] - 1),
        lambda pattern, head, key: shared_equally(pattern, head, key, pattern.shape[-1]),
        says="What was freed is shared equally. In proportion means: whoever had twice as much gets twice as much.",
    ),
    Symptom.gives(
        "to_one_place",
        lambda pattern, head, key: given_to(pattern, head, key, 0),
        lambda pattern, head, key: given_to(pattern, head, key, -1),
        lambda pattern, head, key: given_to(pattern, head, key, key - 1),
        lambda pattern, head, key: given_to(pattern, head, key, key + 1),
        says="All that was freed goes to one place. Share it out over the other keys, in proportion to what they had.",
    ),
    Symptom.gives(
        "softmax_again",
        lambda pattern, head, key: changed_row(
            pattern, head, last(pattern, head).index_fill(1, torch.tensor([key]), -math.inf).softmax(-1)
        ),
        lambda pattern, head, key: changed_row(pattern, head, without_key(last(pattern, head), key).softmax(-1)),
        says="The row went through a softmax again, which flattens it. The pattern has had its softmax: divide by the row's sum.",
    ),
    Symptom.gives(
        "looks_only_there",
        lambda pattern, head, key: changed_row(
            pattern, head, last(pattern, head) - without_key(last(pattern, head), key)
        ),
        lambda pattern, head, key: changed_row(
            pattern, head, rescaled(last(pattern, head) - without_key(last(pattern, head), key))
        ),
        says="The head looks at that key and at nothing else. It is to look everywhere else.",
    ),
    Symptom.gives(
        "axes_exchanged",
        lambda pattern, head, key: _column_changed(pattern, head, key, rescaled),
        lambda pattern, head, key: _column_changed(pattern, head, key, unchanged),
        says="Here the key's own row changed, where it is the query. The axes are [batch, head, query_pos, key_pos].",
    ),
    Symptom(
        "row_only",
        lambda got, want, pattern, head, key: got.ndim < want.ndim,
        says="Only a part came back. A hook returns the whole pattern, changed in one place.",
    ),
    Symptom(
        "sum_not_one",
        lambda got, want, pattern, head, key: (
            got.shape == want.shape
            and not torch.allclose(got[:, head, -1].double().sum(-1), torch.ones(len(got)).double(), atol=1e-4)
        ),
        says="In that row the attention no longer adds up to 1. Divide each example's row by what is left of its own sum.",
    ),
)


def _column_changed(pattern, head, key, again):
    changed = pattern.clone()
    row = pattern[:, head, key].clone()
    row[:, -1] = 0
    changed[:, head, key] = again(row)
    if again is unchanged:
        changed[:, head, key] = 0
    return changed


def mistaken(*pairs):
    """Some boxes are labelled wrongly, and each of them in one of these ways: a label taken for the other."""
    both = {*pairs, *((b, a) for a, b in pairs)}

    def when(got, want, *given):
        return len(got) == len(want) and {(g, w) for g, w in zip(got, want, strict=True) if g != w} <= both

    return when


BOX_SYMPTOMS = (
    Symptom(
        "number_of_labels",
        lambda got, want, *given: len(got) != len(want),
        says="The list needs eight labels, one for each box, in order.",
    ),
    Symptom(
        "other_words",
        lambda got, want, *given: not set(got) <= set(RULES),
        says='The labels are "stack", "nearest", "outermost", "count", "tally" and "fading", in lower case.',
    ),
    Symptom(
        "all_the_same",
        lambda got, want, *given: len(set(got)) == 1,
        says="All your labels are the same. On a single bracket all candidates are: choose shapes on which they differ.",
    ),
    Symptom(
        "nothing_closed",
        mistaken(("stack", "nearest"), ("count", "tally")),
        says="One or more labels are wrong, and only between candidates that say the same as long as nothing is closed. "
        "Ask about a shape with a closed pair.",
    ),
    Symptom(
        "one_left_open",
        mistaken(("stack", "outermost"), ("stack", "count"), ("outermost", "count")),
        says="One or more labels are wrong, and only between candidates that say the same where a single bracket is left open. "
        "Ask about a shape that leaves two.",
    ),
    Symptom(
        "signs_only",
        mistaken(("nearest", "fading")),
        says="nearest and fading are confused. Up to three openers they agree on every sign; the swings of the earlier openers differ.",
    ),
    Symptom(
        "sizes",
        mistaken(("tally", "fading"), ("tally", "nearest")),
        says="One or more labels are wrong, and only between candidates that ignore closing. "
        "How does the swing change from each opener to the next?",
    ),
    Symptom(
        "several",
        lambda got, want, *given: True,
        says="Several labels are not so. Write down the swings that each candidate predicts for two or three shapes, then compare.",
    ),
)

PUZZLE = Puzzle(
    slug="closing_brackets",
    title="Three deep",
    question="A model closes one bracket correctly. Does it track nesting?",
    principle="Right answers on easy inputs leave the algorithm open: write down candidates, "
    "and measure where they predict different things.",
    minutes=45,
    models=("mini-python", "gpt-neo-125m", "mini-deep", "mini-gpt2"),
    after=("induction_heads",),
    problems={"2.14": "look_away", "2.17": "agreement", "6.46": "look_away"},
    draw=draw_boxes,
    parts=(
        Part(
            name="agreement",
            takes=("prompt", "candidate prompt"),
            returns="candidate",
            points=2,
            cases=agreement_cases,
            spec=slow_agreement,
            symptoms=AGREEMENT_SYMPTOMS,
            hints=(
                "A prompt tells if some candidate says True and some candidate says False. Which axis do you look along?",
                "(says != says[0]).any(0) is such a mask. says == model_says has one row for each candidate.",
            ),
            meaning="A prompt on which all candidates agree is no evidence for any of them, however often the model is right.",
        ),
        Part(
            name="swings",
            takes=("",),
            returns="pair",
            points=2,
            cases=swings_cases,
            spec=slow_swings,
            symptoms=SWING_SYMPTOMS,
            hints=(
                "odds.select(pair, 0) holds every prompt in which that pair is round. Which tensor holds the same with it square?",
                "Their difference has one entry for each way to write the others. Take its mean, for each of the odds.ndim pairs.",
            ),
            meaning="Whatever prompts share, a liking for ) above all, cancels in a difference.",
        ),
        Part(
            name="look_away",
            takes=("batch head query_pos key_pos", "", ""),
            returns="batch head query_pos key_pos",
            points=2,
            cases=look_away_cases,
            spec=slow_look_away,
            symptoms=LOOK_AWAY_SYMPTOMS,
            hints=(
                "Clone the pattern. Its row is changed[:, head, -1], of shape [batch, key_pos].",
                "Put 0 at the key, then divide the row by its sum over key_pos; keepdim=True keeps the shapes fit.",
            ),
            meaning="The head reads what it read before, in the same proportions, but for one token.",
        ),
        Part(
            name="my_boxes",
            takes=(),
            returns="box",
            points=3,
            cases=own_case,
            spec=None,
            symptoms=BOX_SYMPTOMS,
            kind="label",
            value=True,
            hints=(
                "table(partial(boxes, 0), shape) asks box 0 about every way to write a shape; swings(...) of it removes the box's habit.",
                'What does each candidate predict for "(("? And for "(()"? Together these two shapes tell all six apart.',
            ),
            meaning="One bracket could not tell any two of them apart. You chose the questions on which they differ.",
        ),
    ),
    predictions=(
        Prediction("the story", choices=("stack", "nearest", "count", "fading"), right="fading"),
        Prediction("the closed pair's share of the swings", between=(0, 1)),
    ),
    free_text=(
        FreeText(
            name="explanation",
            points=3,
            rubric=(
                "97 % is counted on inputs where a stack, the nearest opener and others say the same: only inputs on which they differ "
                "count, and in ordinary code these are few.",
                "Measure differences, not right answers: turn one bracket and keep all else, so that a liking for ) cancels; "
                "a stack predicts no swing for a closed pair.",
                "Attention to the opener is what several algorithms need: make the heads look away from one opener at a time "
                "and see whose swing goes, with another token as control.",
            ),
        ),
    ),
)
