"""Three deep, for authors only: wrong answers, other right answers, and why it is built so."""

import functools
import math

import einops
import numpy as np
import torch

from mechpuzzles.puzzle import Alternative, Mutant

DESIGN_NOTE = """
One principle: right answers on easy inputs leave the algorithm open. It comes twice. First between candidates that close
differently on some inputs (a stack and the nearest opener); then between two that never do (the nearest opener and a
fading sum, up to three openers), where only the size of each bracket's push tells.

What was measured on mini-python. Log odds of all tokens that begin with ) against all that begin with ]; 24 draws of
words. Right at zero: 100, 97, 97 % with one, two, three open and nothing closed. After a closed pair 67 %, with two closed
pairs 50 %: there the liking for ) decides, so right and wrong say little, and the swings do. Of "((" they are 3.4 and
7.6, of "(()" 3.0 (open) and 4.0 (closed), of "(()()" 1.0, 1.7, 3.6; 60 draws from 238 words give the same to 0.4. The first
look at the model had "nested brackets fail", from `(1, [2, 3`: that is the liking for ), not depth. Depth alone does
little harm; closing does.

The log odds are nearly additive in the brackets: a sum of single swings explains 0.96 to 0.999 of the variance of the
means of a shape. This was left out as a part, for a stack is additive as well on any one shape. A closer of its own kind, matching or not, has
a swing of -0.8 to -0.85 against +3.8 to +4.8 of its opener, and it lowers the other swings by taking attention.

The heads. L1H1 and L2H0 carry the votes: with both looking away from an opener at the last query, its swing goes from 3.4
to 0.1 (first of "((") and from 4.0 to -0.6 (closed one of "(()": what is left is the closer's own). Other heads, L2H2 above all, look at openers as hard
(0.80 of its attention on a single one) and hardly matter, 0.4 of 7.6: attention alone would have named it. With zeros and no rescaling the
picture is the same. Blocking all heads of all layers takes the last bit. By resid_pre patches the kind stays at the opener's
position until layer 1, then is at the last: there is no relay over the words between.

In L1H1 the ratio of attention to the two openers is 1.4 with a comma and 1.3 with a closer in its place; in L2H0 2.1 and
1.5. So closing shifts something in L2H0, far from enough. Everything else is dilution.

Other bundled models, the same shapes, have the same form with smaller numbers (mini-deep 2.4 4.4 and 1.7 2.4; mini-gpt2 2.8 4.5 and
2.1 2.7): eight layers do not help at this size and training. An untrained model: within 0.2.

Real code: of 2,595 closings after a letter or digit in einops and markdown_it 97.6 % are right; 39 tell a stack from the
nearest opener, 49 % right, and always saying ) would have got 79 %. In 107 the nearest opener is closed, by a count of
the tokenizer's own brackets (brackets inside strings do not count); all lie in the window. Right of the 39 where it is of the wrong kind,
and of the 68 where it is of the right one: 19 and 56 intact; 38 and 45 with the two heads looking away from it; 19 and 57 from the token
after it; 22 and 55 with L1H2 and L2H2 looking away. From all closed openers at once: 38 and 44. So 75 of 107 become 83.
What breaks is mostly square, 17 to 8 of 29, the liking for ) taking over; of the 8 square among the 39, 3 become 7.
Where the nearest opener is open, looking away from all closed ones changes next to nothing (118 and 117 of 120).
"These heads only lacked the knowledge of what was closed" stood here at first. It was read off the 39 alone, where any vote
lost helps by construction; the 68 are the other half of the test. The other heads tell that it is these two.

Of all prompts with two open a closer is the top token in 76 %, with 53 % of the probability; with three, 75 and 59 %.
"Right" is throughout about ) against ], not about closing.

False starts. Accuracy with a calibrated threshold was the first plan for the model's answers: it needs a mean over the shape,
which is used for agreement, but a learner cannot see in it that the outer bracket matters too. A regression on
+-1 codes gives half the swing: hence that symptom. A share for the untrained model (0.7) is a ratio of noise and was
taken out of the picture. "Interaction" of opener and closer was tried as a test of matching: it is there, 1.6 log odds for
a square pair and 0.1 for a round one, too uneven to teach.

Fixtures. Prompts on which all candidates agree include some on which the model does not, else choosing by the model's
answers would not show. Tables of odds have a habit, one negative swing, and contexts that differ, so that one context,
absolute values and largest moves show. Patterns give the key a fifth of the attention, so that a row that is not rescaled
shows. Boxes have habits of up to three and sizes from one to three: signs of single answers mislead.
"""


def mask(says):
    return (says != says[:1]).any(0)


# ---- agreement: wrong -------------------------------------------------------------------------------------------------


def scores_every_prompt(model_says, says):
    return (says == model_says).float().mean(1)


def divides_by_every_prompt(model_says, says):
    return ((says == model_says) & mask(says)).float().mean(1)


def keeps_the_easy_ones(model_says, says):
    return (says == model_says)[:, ~mask(says)].float().mean(1)


def lets_the_model_choose(model_says, says):
    hard = (says != model_says).any(0)
    return (says == model_says)[:, hard].float().mean(1)


def takes_the_first_for_the_truth(model_says, says):
    return (says == says[0])[:, mask(says)].float().mean(1)


def takes_the_first_for_the_truth_everywhere(model_says, says):
    return (says == says[0]).float().mean(1)


def compares_two_candidates(model_says, says):
    return (says == model_says)[:, says[0] ^ says[1]].float().mean(1)


def compares_the_outer_two(model_says, says):
    return (says == model_says)[:, says[0] ^ says[-1]].float().mean(1)


def wants_the_first_alone(model_says, says):
    return (says == model_says)[:, (says != says[0])[1:].all(0)].float().mean(1)


def counts_mistakes(model_says, says):
    return (says != model_says)[:, mask(says)].float().mean(1)


def returns_numbers(model_says, says):
    return (says == model_says)[:, mask(says)].float().sum(1)


def averages_over_candidates(model_says, says):
    return (says == model_says)[:, mask(says)].float().mean(0)


def averages_over_everything(model_says, says):
    return (says == model_says)[:, mask(says)].float().mean()


# ---- swings: wrong ----------------------------------------------------------------------------------------------------


def main_effects(odds):
    return torch.stack([-odds.diff(dim=pair).mean() for pair in range(odds.ndim)])


def subtracts_round_from_square(odds):
    return torch.stack([odds.diff(dim=pair).mean() for pair in range(odds.ndim)])


def regresses_on_signs(odds):
    signs = torch.cartesian_prod(*[torch.tensor([1.0, -1.0])] * odds.ndim)
    X = torch.cat([torch.ones(len(signs), 1), signs], 1)
    return torch.linalg.lstsq(X, odds.flatten()[:, None]).solution[1:, 0]


def starts_from_the_mean(odds):
    return torch.stack([odds.select(pair, 0).mean() - odds.mean() for pair in range(odds.ndim)])


def keeps_the_others_round(odds):
    zero = (0,) * odds.ndim
    ones = [tuple(int(i == pair) for i in range(odds.ndim)) for pair in range(odds.ndim)]
    return torch.stack([odds[zero] - odds[one] for one in ones])


def keeps_the_others_square(odds):
    full = (1,) * odds.ndim
    ones = [tuple(int(i != pair) for i in range(odds.ndim)) for pair in range(odds.ndim)]
    return torch.stack([odds[one] - odds[full] for one in ones])


def keeps_the_others_alike(odds):
    return (keeps_the_others_round(odds) + keeps_the_others_square(odds)) / 2


def drops_signs(odds):
    return torch.stack([odds.diff(dim=pair).abs().mean() for pair in range(odds.ndim)])


def drops_signs_at_the_end(odds):
    return main_effects(odds).abs()


def adds_contexts(odds):
    return torch.stack([(odds.select(pair, 0) - odds.select(pair, 1)).sum() for pair in range(odds.ndim)])


def takes_the_largest(odds):
    return torch.stack([(odds.select(pair, 0) - odds.select(pair, 1)).max() for pair in range(odds.ndim)])


def counts_from_the_inside(odds):
    return main_effects(odds.permute(*reversed(range(odds.ndim))))


def forgets_to_subtract(odds):
    return torch.stack([odds.select(pair, 0).mean() for pair in range(odds.ndim)])


def divides_by_the_sum(odds):
    return main_effects(odds) / main_effects(odds).sum()


def turns_all_at_once(odds):
    return (odds.flatten()[0] - odds.flatten()[-1]).repeat(odds.ndim)


def forgets_the_mean(odds):
    return torch.stack([odds.select(pair, 0) - odds.select(pair, 1) for pair in range(odds.ndim)])


# ---- look_away: wrong -------------------------------------------------------------------------------------------------


def rescales(row):
    return row / row.sum(-1, keepdim=True)


def forgets_to_rescale(pattern, head, key):
    changed = pattern.clone()
    changed[:, head, -1, key] = 0
    return changed


def divides_by_one_sum_for_all(pattern, head, key):
    row = pattern[:, head, -1].clone()
    row[:, key] = 0
    changed = pattern.clone()
    changed[:, head, -1] = row / row.sum()
    return changed


def adds_its_share_of_the_freed_once(pattern, head, key):
    changed = pattern.clone()
    row = changed[:, head, -1]
    freed = row[:, key].clone()
    row[:, key] = 0
    row += row * freed[:, None]
    return changed


def turns_every_query(pattern, head, key):
    changed = pattern.clone()
    changed[:, head, :, key] = 0
    changed[:, head] = rescales(changed[:, head])
    return changed


def turns_every_query_and_forgets(pattern, head, key):
    changed = pattern.clone()
    changed[:, head, :, key] = 0
    return changed


def turns_every_head(pattern, head, key):
    changed = pattern.clone()
    changed[:, :, -1, key] = 0
    changed[:, :, -1] = rescales(changed[:, :, -1])
    return changed


def turns_everything(pattern, head, key):
    changed = pattern.clone()
    changed[..., key] = 0
    return rescales(changed)


def shares_out_equally(pattern, head, key):
    changed = pattern.clone()
    freed = changed[:, head, -1, key].clone()
    changed[:, head, -1] += freed[:, None] / (pattern.shape[-1] - 1)
    changed[:, head, -1, key] = 0
    return changed


def gives_it_to_the_begin_token(pattern, head, key):
    changed = pattern.clone()
    changed[:, head, -1, 0] += changed[:, head, -1, key]
    changed[:, head, -1, key] = 0
    return changed


def gives_it_to_itself(pattern, head, key):
    changed = pattern.clone()
    changed[:, head, -1, -1] += changed[:, head, -1, key]
    changed[:, head, -1, key] = 0
    return changed


def takes_a_softmax(pattern, head, key):
    changed = pattern.clone()
    changed[:, head, -1, key] = -math.inf
    changed[:, head, -1] = changed[:, head, -1].softmax(-1)
    return changed


def takes_a_softmax_of_zeros(pattern, head, key):
    changed = pattern.clone()
    changed[:, head, -1, key] = 0
    changed[:, head, -1] = changed[:, head, -1].softmax(-1)
    return changed


def looks_at_nothing_else(pattern, head, key):
    changed = pattern.clone()
    changed[:, head, -1] = 0
    changed[:, head, -1, key] = 1
    return changed


def exchanges_query_and_key(pattern, head, key):
    changed = pattern.clone()
    changed[:, head, key, -1] = 0
    changed[:, head, key] = rescales(changed[:, head, key])
    return changed


def silences_the_token(pattern, head, key):
    changed = pattern.clone()
    changed[:, head, key] = 0
    return changed


def returns_the_row(pattern, head, key):
    row = pattern[:, head, -1].clone()
    row[:, key] = 0
    return rescales(row)


def returns_the_head(pattern, head, key):
    changed = pattern[:, head].clone()
    changed[:, -1, key] = 0
    changed[:, -1] = rescales(changed[:, -1])
    return changed


def changes_it_in_place(pattern, head, key):
    pattern[:, head, -1, key] = 0
    pattern[:, head, -1] /= pattern[:, head, -1].sum(-1, keepdim=True)
    return pattern


# ---- my_boxes: wrong --------------------------------------------------------------------------------------------------

NAMES = ("stack", "nearest", "outermost", "count", "tally", "fading")
TWO_OPEN = {  # swings of "((" and of "(()"
    "stack": (0, 1, 1, 0),
    "nearest": (0, 1, 0, 1),
    "outermost": (1, 0, 1, 0),
    "count": (1, 1, 1, 0),
    "tally": (1, 1, 1, 1),
    "fading": (0.6, 1, 0.6, 1),
}


def each(boxes):
    return [functools.partial(boxes, number) for number in range(8)]


def ask(box, writings):
    """Two swings from the four ways to write a shape of two pairs."""
    rr, rs, sr, ss = (box(brackets) for brackets in writings)
    return [(rr + rs - sr - ss) / 2, (rr + sr - rs - ss) / 2]


def measured(box):
    return [*ask(box, ("((", "([", "[(", "[[")), *ask(box, ("(()", "([]", "[()", "[[]"))]


def closest(swings, columns, order=NAMES):
    swings = [swings[c] for c in columns]

    def apart(name):
        model = [TWO_OPEN[name][c] for c in columns]
        dot = math.fsum(a * b for a, b in zip(swings, model, strict=True))
        return -round(dot / math.hypot(*swings) / math.hypot(*model), 6)

    return min(order, key=apart)


def right_labels(boxes):
    return [closest(measured(box), range(4)) for box in each(boxes)]


def asks_about_one_bracket(boxes):
    return ["stack" for box in each(boxes) if box("(") > box("[")]


def closes_nothing(boxes):
    return [closest(measured(box), (0, 1)) for box in each(boxes)]


def leaves_one_open(boxes):
    return [closest(measured(box), (2, 3)) for box in each(boxes)]


def reads_signs(boxes):
    """Candidates whose answers, less the mean of the shape, have the same signs; the first that fits."""
    instead = {"fading": "nearest"}
    return [instead.get(label, label) for label in right_labels(boxes)]


def ignores_sizes(boxes):
    instead = {"fading": "tally"}
    return [instead.get(label, label) for label in right_labels(boxes)]


def labels_backwards(boxes):
    return right_labels(boxes)[::-1]


def labels_seven(boxes):
    return right_labels(boxes)[:-1]


def uses_other_words(boxes):
    return [label.capitalize() for label in right_labels(boxes)]


MUTANTS = (
    Mutant("agreement", "all_prompts", scores_every_prompt),
    Mutant("agreement", "divided_by_all", divides_by_every_prompt),
    Mutant("agreement", "easy_ones", keeps_the_easy_ones),
    Mutant("agreement", "chosen_by_the_model", lets_the_model_choose),
    Mutant("agreement", "against_the_first", takes_the_first_for_the_truth),
    Mutant("agreement", "against_the_first", takes_the_first_for_the_truth_everywhere),
    Mutant("agreement", "first_two", compares_two_candidates),
    Mutant("agreement", "first_two", compares_the_outer_two),
    Mutant("agreement", "all_against_the_first", wants_the_first_alone),
    Mutant("agreement", "disagreement", counts_mistakes),
    Mutant("agreement", "counts", returns_numbers),
    Mutant("agreement", "per_prompt", averages_over_candidates),
    Mutant("agreement", "one_number", averages_over_everything),
    Mutant("swings", "sign_flipped", subtracts_round_from_square),
    Mutant("swings", "halved", regresses_on_signs),
    Mutant("swings", "halved", starts_from_the_mean),
    Mutant("swings", "others_round", keeps_the_others_round),
    Mutant("swings", "others_square", keeps_the_others_square),
    Mutant("swings", "two_contexts", keeps_the_others_alike),
    Mutant("swings", "absolute", drops_signs),
    Mutant("swings", "absolute", drops_signs_at_the_end),
    Mutant("swings", "summed", adds_contexts),
    Mutant("swings", "largest", takes_the_largest),
    Mutant("swings", "reversed", counts_from_the_inside),
    Mutant("swings", "round_only", forgets_to_subtract),
    Mutant("swings", "shares", divides_by_the_sum),
    Mutant("swings", "corners", turns_all_at_once),
    Mutant("swings", "not_averaged", forgets_the_mean),
    Mutant("look_away", "not_rescaled", forgets_to_rescale),
    Mutant("look_away", "every_query", turns_every_query),
    Mutant("look_away", "every_query", turns_every_query_and_forgets),
    Mutant("look_away", "every_head", turns_every_head),
    Mutant("look_away", "everything", turns_everything),
    Mutant("look_away", "shared_equally", shares_out_equally),
    Mutant("look_away", "to_one_place", gives_it_to_the_begin_token),
    Mutant("look_away", "to_one_place", gives_it_to_itself),
    Mutant("look_away", "softmax_again", takes_a_softmax),
    Mutant("look_away", "softmax_again", takes_a_softmax_of_zeros),
    Mutant("look_away", "looks_only_there", looks_at_nothing_else),
    Mutant("look_away", "axes_exchanged", exchanges_query_and_key),
    Mutant("look_away", "axes_exchanged", silences_the_token),
    Mutant("look_away", "row_only", returns_the_row),
    Mutant("look_away", "row_only", returns_the_head),
    Mutant("look_away", "sum_not_one", divides_by_one_sum_for_all),
    Mutant("look_away", "sum_not_one", adds_its_share_of_the_freed_once),
    Mutant("look_away", "changes_its_input", changes_it_in_place),
    Mutant("my_boxes", "all_the_same", asks_about_one_bracket),
    Mutant("my_boxes", "nothing_closed", closes_nothing),
    Mutant("my_boxes", "one_left_open", leaves_one_open),
    Mutant("my_boxes", "signs_only", reads_signs),
    Mutant("my_boxes", "sizes", ignores_sizes),
    Mutant("my_boxes", "several", labels_backwards),
    Mutant("my_boxes", "number_of_labels", labels_seven),
    Mutant("my_boxes", "other_words", uses_other_words),
)


# ---- right, in other styles -------------------------------------------------------------------------------------------


def agreement_in_loops(model_says, says):
    hits, n = [0] * len(says), 0
    for prompt, truth in enumerate(model_says.tolist()):
        column = says[:, prompt].tolist()
        if any(column) and not all(column):
            n += 1
            hits = [hit + (one == truth) for hit, one in zip(hits, column, strict=True)]
    return torch.tensor([hit / n for hit in hits])


def agreement_in_numpy(model_says, says):
    says, model_says = says.numpy(), model_says.numpy()
    kept = says.min(0) != says.max(0)
    return np.mean(says[:, kept] == model_says[kept], axis=1)


def agreement_with_counts(model_says, says):
    votes = says.double().sum(0)
    tell = ((votes > 0) & (votes < len(says))).double()
    return torch.einsum("cp,p->c", (says == model_says).double(), tell) / tell.sum()


def swings_with_diff(odds):
    return torch.stack([-odds.diff(dim=pair).mean() for pair in range(odds.ndim)])


def swings_in_numpy(odds):
    table = odds.numpy().astype(np.float64)
    return np.array([np.subtract(*np.moveaxis(table, pair, 0)).mean() for pair in range(table.ndim)])


def swings_in_a_loop(odds):
    totals = [0.0] * odds.ndim
    for kinds in np.ndindex(*odds.shape):
        for pair, kind in enumerate(kinds):
            totals[pair] += float(odds[kinds]) * (1 - 2 * kind)
    return torch.tensor(totals) * 2 / odds.numel()


def swings_by_regression(odds):
    signs = torch.cartesian_prod(*[torch.tensor([0.5, -0.5], dtype=torch.float64)] * odds.ndim)
    X = torch.cat([torch.ones(len(signs), 1, dtype=torch.float64), signs], 1)
    return torch.linalg.lstsq(X, odds.double().flatten()[:, None]).solution[1:, 0]


def look_away_by_mask(pattern, head, key):
    keep = torch.ones_like(pattern)
    keep[:, head, -1, key] = 0
    kept = pattern * keep
    total = torch.ones_like(kept[..., :1])
    total[:, head, -1] = kept[:, head, -1].sum(-1, keepdim=True)
    return kept / total


def look_away_in_numpy(pattern, head, key):
    out = pattern.numpy().astype(np.float64)
    out[:, head, -1] /= 1 - out[:, head, -1, [key]]
    out[:, head, -1, key] = 0
    return out


def look_away_in_a_loop(pattern, head, key):
    changed = pattern.clone()
    for example in changed:
        row = example[head, -1]
        row[key] = 0
        row /= row.sum()
    return changed


def look_away_by_log_softmax(pattern, head, key):
    changed = pattern.clone()
    scores = pattern[:, head, -1].log()
    scores[:, key] = -torch.inf
    changed[:, head, -1] = scores.softmax(-1)
    return changed


def look_away_with_einops(pattern, head, key):
    rows = einops.rearrange(pattern.double(), "batch head query key -> head query batch key").clone()
    rows[head, -1, :, key] = 0
    rows[head, -1] /= einops.reduce(rows[head, -1], "batch key -> batch 1", "sum")
    return einops.rearrange(rows, "head query batch key -> batch head query key")


def labels_by_hand(boxes):
    def differ(number, round_one, square_one):
        return boxes(number, round_one) - boxes(number, square_one)

    found = []
    for number in range(8):
        earlier, later = differ(number, "((", "[("), differ(number, "((", "([")
        closed = abs(differ(number, "(()", "([]")) > 1e-6
        if abs(earlier) < 1e-6:
            found.append("nearest" if closed else "stack")
        elif abs(later) < 1e-6:
            found.append("outermost")
        elif abs(earlier - later) > 1e-6:
            found.append("fading")
        else:
            found.append("tally" if closed else "count")
    return found


ALTERNATIVES = (
    Alternative("agreement", "loop", agreement_in_loops),
    Alternative("agreement", "numpy", agreement_in_numpy),
    Alternative("agreement", "votes and einsum", agreement_with_counts),
    Alternative("swings", "diff", swings_with_diff),
    Alternative("swings", "numpy, float64", swings_in_numpy),
    Alternative("swings", "loop over the table", swings_in_a_loop),
    Alternative("swings", "least squares", swings_by_regression),
    Alternative("look_away", "mask", look_away_by_mask),
    Alternative("look_away", "numpy, float64", look_away_in_numpy),
    Alternative("look_away", "loop", look_away_in_a_loop),
    Alternative("look_away", "softmax of logarithms", look_away_by_log_softmax),
    Alternative("look_away", "einops", look_away_with_einops),
    Alternative("my_boxes", "nearest profile", right_labels),
    Alternative("my_boxes", "by hand", labels_by_hand),
)
