"""A circuit for what, for authors only: wrong answers, other right answers, and why it is built so."""

import einops
import numpy as np
import torch

from mechpuzzles.puzzle import Alternative, Mutant

# ---- matched_corruption: wrong ------------------------------------------------------------------------------------------


def right(prompt, variable, name):
    giver = prompt[12]
    receiver = prompt[8] if prompt[6] == giver else prompt[6]
    if variable == "order":
        return prompt[[0, 1, 2, 3, 4, 5, 8, 7, 6, 9, 10, 11, 12, 13, 14, 15]]
    return torch.where(prompt == (giver if variable == "giver" else receiver), torch.tensor(name), prompt)


def counts_from_one(prompt, variable, name):
    out = prompt.clone()
    if variable == "order":
        out[7], out[9] = prompt[9], prompt[7]
    else:
        out[7 if variable == "receiver" else 13] = name
    return out


def turns_the_sentence_round(prompt, variable, name):
    return prompt.flip(0) if variable == "order" else right(prompt, variable, name)


def changes_nothing(prompt, variable, name):
    out = prompt.clone()
    out[out == variable] = name
    return out


def leaves_word_12(prompt, variable, name):
    if variable != "giver":
        return right(prompt, variable, name)
    out = prompt.clone()
    out[6 if prompt[6] == prompt[12] else 8] = name
    return out


def leaves_the_mention(prompt, variable, name):
    if variable != "giver":
        return right(prompt, variable, name)
    out = prompt.clone()
    out[12] = name
    return out


def lets_the_other_give(prompt, variable, name):
    if variable != "order":
        return right(prompt, variable, name)
    out = prompt.clone()
    out[12] = prompt[6] + prompt[8] - prompt[12]
    return out


def swaps_and_lets_the_other_give(prompt, variable, name):
    if variable != "order":
        return right(prompt, variable, name)
    out = prompt.clone()
    out[6], out[8], out[12] = prompt[8], prompt[6], prompt[6] + prompt[8] - prompt[12]
    return out


def overwrites_before_reading(prompt, variable, name):
    if variable != "order":
        return right(prompt, variable, name)
    out = prompt.clone()
    out[6], out[8] = out[8], out[6]
    return out


def overwrites_the_second(prompt, variable, name):
    if variable != "order":
        return right(prompt, variable, name)
    out = prompt.clone()
    out[8] = out[6]
    out[6] = out[8]
    return out


def swaps_and_renames(prompt, variable, name):
    if variable != "order":
        return right(prompt, variable, name)
    out = right(prompt, "receiver", name)
    return right(out, "order", name)


def thinks_the_second_gives(prompt, variable, name):
    if variable == "order":
        return right(prompt, variable, name)
    out = prompt.clone()
    out[[6] if variable == "receiver" else [8, 12]] = name
    return out


def thinks_the_first_gives(prompt, variable, name):
    if variable == "order":
        return right(prompt, variable, name)
    out = prompt.clone()
    out[[8] if variable == "receiver" else [6, 12]] = name
    return out


def mixes_the_roles(prompt, variable, name):
    return right(prompt, {"receiver": "giver", "giver": "receiver"}.get(variable, variable), name)


def renames_both(prompt, variable, name):
    if variable == "order":
        return right(prompt, variable, name)
    out = prompt.clone()
    out[[6, 8]] = name
    return out


def writes_into_the_prompt(prompt, variable, name):
    if variable == "order":
        prompt[[6, 8]] = prompt[[8, 6]]
    else:
        prompt[prompt == (prompt[12] if variable == "giver" else prompt[6] + prompt[8] - prompt[12])] = name
    return prompt


# ---- effect_table: wrong --------------------------------------------------------------------------------------------------


def unit_of(clean, corrupted):
    return (clean - corrupted[0]).mean()


def table_of(clean, corrupted, patched):
    return ((clean - patched).mean(-1) / unit_of(clean, corrupted)).T


def divides_by_own_ends(clean, corrupted, patched):
    own = clean.mean() - corrupted.mean(1)
    return ((clean.mean() - patched.mean(2)) / own[:, None]).T


def transposes(clean, corrupted, patched):
    return table_of(clean, corrupted, patched).T


def reshapes(clean, corrupted, patched):
    return transposes(clean, corrupted, patched).reshape(patched.shape[1], len(patched))


def turns_the_sign(clean, corrupted, patched):
    return ((patched.mean(-1) - clean.mean()) / unit_of(clean, corrupted)).T


def measures_from_roles(clean, corrupted, patched):
    return ((patched.mean(-1) - corrupted[0].mean()) / unit_of(clean, corrupted)).T


def measures_from_its_own_end(clean, corrupted, patched):
    return ((patched.mean(-1) - corrupted.mean(-1)[:, None]) / unit_of(clean, corrupted)).T


def averages_ratios(clean, corrupted, patched):
    ratios = (clean - patched) / (clean - corrupted[0])
    return ratios.mean(2).T


def keeps_logits(clean, corrupted, patched):
    return (clean.mean() - patched.mean(2)).T


def divides_by_clean(clean, corrupted, patched):
    return (1 - patched.mean(2) / clean.mean()).T


def divides_by_corrupted(clean, corrupted, patched):
    return ((clean.mean() - patched.mean(2)) / corrupted[0].mean()).T


def takes_the_last_row(clean, corrupted, patched):
    return ((clean - patched).mean(-1) / (clean - corrupted[-1]).mean()).T


def averages_all_ends(clean, corrupted, patched):
    return ((clean - patched).mean(-1) / (clean.mean() - corrupted.mean())).T


def takes_sizes(clean, corrupted, patched):
    return table_of(clean, corrupted, patched).abs()


def takes_sizes_first(clean, corrupted, patched):
    return ((clean - patched).abs().mean(-1) / unit_of(clean, corrupted)).T


def clips(clean, corrupted, patched):
    return table_of(clean, corrupted, patched).clamp(0, 1)


def takes_medians(clean, corrupted, patched):
    return ((clean - patched).median(-1).values / (clean - corrupted[0]).median()).T


def makes_effects_add(clean, corrupted, patched):
    table = table_of(clean, corrupted, patched)
    return table / table.sum(0, keepdim=True)


def keeps_prompts(clean, corrupted, patched):
    return ((clean - patched) / unit_of(clean, corrupted)).transpose(0, 1)


# ---- carries: wrong -------------------------------------------------------------------------------------------------------

COLUMNS = ("receiver", "giver", "order")


def label(effects, floor, names=("receiver", "giver", "order"), size=abs):
    return "+".join(n for n, e in zip(names, effects, strict=False) if size(e) > floor) or "unseen"


def forgets_the_first_column(table, floor):
    return [label(row, floor) for row in table.tolist()]


def reads_roles(table, floor):
    return [label(row, floor, ("roles", *COLUMNS)) for row in table.tolist()]


def asks_roles_first(table, floor):
    return [label(row[1:], floor) if abs(row[0]) > floor else "unseen" for row in table.tolist()]


def forgets_negative(table, floor):
    return [label(row[1:], floor, size=float) for row in table.tolist()]


def names_the_largest(table, floor):
    best = table[:, 1:].abs().max(1)
    return [COLUMNS[i] if e > floor else "unseen" for i, e in zip(best.indices, best.values, strict=True)]


def names_the_largest_always(table, floor):
    return [COLUMNS[i] for i in table[:, 1:].abs().argmax(1)]


def names_the_largest_signed(table, floor):
    return [COLUMNS[i] for i in table[:, 1:].argmax(1)]


def names_what_is_below(table, floor):
    return [
        "+".join(n for n, e in zip(COLUMNS, row[1:], strict=True) if abs(e) <= floor) or "unseen"
        for row in table.tolist()
    ]


def counts_everything(table, floor):
    return [label(row[1:], 0.0) for row in table.tolist()]


def has_a_floor_of_its_own(table, floor):
    return [label(row[1:], 0.1) for row in table.tolist()]


def divides_by_roles(table, floor):
    return [label([e / row[0] for e in row[1:]], floor) for row in table.tolist()]


def leaves_it_empty(table, floor):
    return ["+".join(n for n, e in zip(COLUMNS, row[1:], strict=True) if abs(e) > floor) for row in table.tolist()]


def sorts_names(table, floor):
    return ["+".join(sorted(label(row[1:], floor).split("+"))) for row in table.tolist()]


def joins_by_commas(table, floor):
    return [label(row[1:], floor).replace("+", ", ") for row in table.tolist()]


def reads_upwards(table, floor):
    return [label(row[1:], floor) for row in table.flip(0).tolist()]


def labels_columns(table, floor):
    return [label([column.abs().max()], floor, (n,)) for n, column in zip(COLUMNS, table.T[1:], strict=True)]


# ---- my_heads: wrong --------------------------------------------------------------------------------------------------------


def renamed(circuit, **new):
    new = {old.replace("_and_", "+"): label for old, label in new.items()}
    return [new.get(kind, kind) for kind in circuit._kinds]


def stops_at_unseen(circuit):
    return renamed(circuit, shared="unseen", uninvolved="unseen")


def drops_the_shared(circuit):
    return renamed(circuit, shared="uninvolved")


def suspects_everyone(circuit):
    return renamed(circuit, uninvolved="shared")


def trusts_roles(circuit):
    return renamed(circuit, receiver_and_giver="uninvolved")


def divides_zero_by_zero(circuit):
    return renamed(circuit, order="uninvolved")


def drops_negative(circuit):
    return renamed(circuit, receiver_and_giver="receiver")


def renames_halfway(circuit):
    return renamed(circuit, giver="uninvolved")


def mixes_own_roles(circuit):
    return renamed(circuit, giver="receiver", receiver="giver")


def has_one_label(circuit):
    return ["uninvolved" if kind in ("shared", "uninvolved", "receiver+giver") else "giver" for kind in circuit._kinds]


def reads_own_backwards(circuit):
    return list(circuit._kinds)[::-1]


def lists_the_kinds(circuit):
    return sorted(set(circuit._kinds))


def spells_freely(circuit):
    return [kind.upper() for kind in circuit._kinds]


MUTANTS = (
    Mutant("matched_corruption", "other_words", counts_from_one),
    Mutant("matched_corruption", "other_words", turns_the_sentence_round),
    Mutant("matched_corruption", "nothing_changed", changes_nothing),
    Mutant("matched_corruption", "giver_left_behind", leaves_word_12),
    Mutant("matched_corruption", "mention_left_behind", leaves_the_mention),
    Mutant("matched_corruption", "order_by_roles", lets_the_other_give),
    Mutant("matched_corruption", "order_and_roles", swaps_and_lets_the_other_give),
    Mutant("matched_corruption", "one_name_twice", overwrites_before_reading),
    Mutant("matched_corruption", "one_name_twice", overwrites_the_second),
    Mutant("matched_corruption", "renamed_in_order", swaps_and_renames),
    Mutant("matched_corruption", "always_second", thinks_the_second_gives),
    Mutant("matched_corruption", "always_first", thinks_the_first_gives),
    Mutant("matched_corruption", "receiver_and_giver_swapped", mixes_the_roles),
    Mutant("matched_corruption", "both_renamed", renames_both),
    Mutant("matched_corruption", "changes_its_input", writes_into_the_prompt),
    Mutant("effect_table", "own_ends", divides_by_own_ends),
    Mutant("effect_table", "transposed", transposes),
    Mutant("effect_table", "reshaped", reshapes),
    Mutant("effect_table", "sign", turns_the_sign),
    Mutant("effect_table", "what_is_left", measures_from_roles),
    Mutant("effect_table", "from_own_corrupted", measures_from_its_own_end),
    Mutant("effect_table", "mean_of_ratios", averages_ratios),
    Mutant("effect_table", "unnormalised", keeps_logits),
    Mutant("effect_table", "divided_by_clean", divides_by_clean),
    Mutant("effect_table", "divided_by_corrupted", divides_by_corrupted),
    Mutant("effect_table", "last_row_as_unit", takes_the_last_row),
    Mutant("effect_table", "mean_end_as_unit", averages_all_ends),
    Mutant("effect_table", "absolute", takes_sizes),
    Mutant("effect_table", "absolute_before_mean", takes_sizes_first),
    Mutant("effect_table", "clipped", clips),
    Mutant("effect_table", "median", takes_medians),
    Mutant("effect_table", "made_to_add", makes_effects_add),
    Mutant("effect_table", "per_prompt", keeps_prompts),
    Mutant("carries", "off_by_one", forgets_the_first_column),
    Mutant("carries", "roles_read", reads_roles),
    Mutant("carries", "roles_decides", asks_roles_first),
    Mutant("carries", "signed", forgets_negative),
    Mutant("carries", "largest_only", names_the_largest),
    Mutant("carries", "largest_only", names_the_largest_always),
    Mutant("carries", "largest_only", names_the_largest_signed),
    Mutant("carries", "below_the_floor", names_what_is_below),
    Mutant("carries", "everything_counts", counts_everything),
    Mutant("carries", "own_floor", has_a_floor_of_its_own),
    Mutant("carries", "share_of_roles", divides_by_roles),
    Mutant("carries", "empty", leaves_it_empty),
    Mutant("carries", "order_of_names", sorts_names),
    Mutant("carries", "other_sign_between", joins_by_commas),
    Mutant("carries", "reversed", reads_upwards),
    Mutant("carries", "one_per_column", labels_columns),
    Mutant("my_heads", "left_unseen", stops_at_unseen),
    Mutant("my_heads", "shared_is_uninvolved", drops_the_shared),
    Mutant("my_heads", "uninvolved_is_shared", suspects_everyone),
    Mutant("my_heads", "mentions_unseen", trusts_roles),
    Mutant("my_heads", "order_unseen", divides_zero_by_zero),
    Mutant("my_heads", "negative_dropped", drops_negative),
    Mutant("my_heads", "renamed_halfway", renames_halfway),
    Mutant("my_heads", "receiver_and_giver_swapped", mixes_own_roles),
    Mutant("my_heads", "roles_only", has_one_label),
    Mutant("my_heads", "reversed", reads_own_backwards),
    Mutant("my_heads", "not_one_per_head", lists_the_kinds),
    Mutant("my_heads", "other_labels", spells_freely),
)


# ---- right, in other styles -----------------------------------------------------------------------------------------------


def corruption_word_by_word(prompt, variable, name):
    words = prompt.tolist()
    if variable == "order":
        words[6], words[8] = words[8], words[6]
    else:
        receiver, giver = sorted((words[6], words[8]), key=lambda word: word == words[12])
        old = giver if variable == "giver" else receiver
        words = [name if word == old else word for word in words]
    return torch.tensor(words)


def corruption_in_numpy(prompt, variable, name):
    words = prompt.numpy().copy()
    if variable == "order":
        words[6:9] = words[6:9][::-1].copy()
        return words
    gives = words[[6, 8]] == words[12]
    place = np.array([6, 8])[gives if variable == "giver" else ~gives]
    words[place] = name
    if variable == "giver":
        words[12] = name
    return words


def table_by_means(clean, corrupted, patched):
    return (clean.mean() - patched.mean(-1).T) / (clean.mean() - corrupted[0].mean())


def table_in_numpy(clean, corrupted, patched):
    clean, corrupted, patched = (x.numpy().astype(np.float64) for x in (clean, corrupted, patched))
    return np.einsum("cnp->nc", clean - patched) / (clean - corrupted[0]).sum()


def table_with_einops(clean, corrupted, patched):
    moved = einops.reduce(clean.double() - patched.double(), "corruption node prompt -> node corruption", "mean")
    return moved / (clean.double() - corrupted[0].double()).mean()


def table_in_loops(clean, corrupted, patched):
    unit = sum(clean.tolist()) - sum(corrupted[0].tolist())
    n_corruptions, n_nodes, _ = patched.shape
    table = torch.zeros(n_nodes, n_corruptions)
    for c in range(n_corruptions):
        for n in range(n_nodes):
            table[n, c] = sum((a - b).item() for a, b in zip(clean, patched[c, n], strict=True)) / unit
    return table


def carries_by_mask(table, floor):
    masks = (table.abs() > floor)[:, 1:]
    return ["+".join(np.array(COLUMNS)[mask.numpy()]) if mask.any() else "unseen" for mask in masks]


def carries_in_loops(table, floor):
    labels = []
    for row in table:
        text = ""
        for i, name in enumerate(COLUMNS, start=1):
            if row[i] > floor or row[i] < -floor:
                text = f"{text}+{name}" if text else name
        labels.append(text if text else "unseen")
    return labels


def own_by_one_sentence(circuit):
    """One sentence and its corruptions; the shared words are changed one at a time."""
    clean = torch.tensor([0, 45, 46, 47, 48, 49, 1, 41, 2, 42, 50, 51, 2, 43, 52, 44])
    changed = {"receiver": {6: 3}, "giver": {8: 3, 12: 3}, "order": {6: 2, 8: 1}}
    changed |= {f"shared {pos}": {pos: 45} for pos in (0, 7, 9, 13, 15)}
    sources = {name: torch.tensor([[new.get(i, int(w)) for i, w in enumerate(clean)]]) for name, new in changed.items()}

    def margin(logits):
        return float(logits[0, 1] - logits[0, 2])

    labels = []
    for head in range(8):
        moved = {n: margin(circuit(clean[None], s, [head])) - margin(circuit(clean[None])) for n, s in sources.items()}
        seen = dict.fromkeys(name.split()[0] for name, by in moved.items() if abs(by) > 0.01)
        labels.append("+".join(seen) or "uninvolved")
    return labels


ALTERNATIVES = (
    Alternative("matched_corruption", "lists", corruption_word_by_word),
    Alternative("matched_corruption", "numpy, by position", corruption_in_numpy),
    Alternative("effect_table", "means first", table_by_means),
    Alternative("effect_table", "numpy sums", table_in_numpy),
    Alternative("effect_table", "einops, float64", table_with_einops),
    Alternative("effect_table", "loops", table_in_loops),
    Alternative("carries", "masks", carries_by_mask),
    Alternative("carries", "loops", carries_in_loops),
    Alternative("my_heads", "one sentence", own_by_one_sentence),
)

DESIGN_NOTE = """
One principle: the corrupted prompt chooses the variable that patching can see. The parts follow the argument: change one
variable, however many words that takes; measure with one unit for all corruptions; read which variables a node shows;
then a circuit in which some heads show nothing until a word is changed that all the prompts share.

A sentence is receiver, giver, order of the mentions, and fillers. In these coordinates the usual corruption (the other one
gives, one word) changes three variables, and the change of one variable takes one word (receiver) or two (giver, order).
Other coordinates are possible: with first name, second name and place of the giver it is one variable. "One variable" is
relative to a choice, and the notebook shows the choice it makes.

Measured on toy-ioi (300 sentences; margin: logit of the clean receiver minus that of the clean giver; unit: the way of
roles, 32.7 logits). At the last word, effects under roles / receiver / giver / order: layer 0, all heads 0.00 / 0.14 /
-0.09 / 0.00; layer 1, heads 0 and 1 0.03 / 0.12 / -0.05 / 0.00; heads 2 and 3 0.97 / 0.19 / 0.29 / 0.00. The word at 12:
1.00 / 0.00 / 0.49 / 0.00. Layer 0 at word 12: 0.28 / 0.13 / 0.04 / 0.00. Fillers: at most 0.0004. Under another giver the
last word's layer 0 moves the old giver's logit by -5.0 and the new one's by +5.1; heads 2 and 3 by +5.9 and -6.3. Under
another receiver: layer 0 -4.2 and +6.7, heads 0 and 1 -3.8 and +4.8, heads 2 and 3 -6.1 and +8.8. So names are lifted for
being mentioned, along many routes, and two heads, which look at word 12 with 0.84 and 0.76 of their attention, push down
whoever gives and lift the other one nearly as much (directly, against names not mentioned: -8.2 and +7.5). Which change is
larger depends on the margin: 32.7 against 17.8 in the clean one, which cannot see the new name; 32.8 and 35.2 each in its own. The two do not part the variables between them: 0.60 and 0.36 under roles, 0.09 and
0.08 under receiver, 0.23 and 0.12 under giver.

toy-ioi has no order path. Sizes (229 other sentences) for single sentences are about 0.01 of a turned answer under order (fillers: 0.005), and a
linear probe for "the first name gives" on the residual at words 12, 13 and 15 finds 0.49 to 0.54. The clean case of an
order head is therefore hand-set. In it, heads that copy by place outweigh those that push the giver down, so that the
patch of the order head always turns the answer, between two prompts with one answer and one margin.

What all the prompts share: replacing "gave" does nothing (0.00), replacing "to" by "the" takes heads 2 and 3 to 0.46 (the
largest of nine replacements: "and" 0.42, the begin token 0.36, "park" 0.29, a name 0.18, "went" 0.04), though both words were constant in training: "to" is the word whose query the heads ask with. Forty spare names give
15.5 to 17.0 logits to the new receiver over the giver; a filler in a name's place is another experiment (the whole way is 0.68
instead of 0.53 units, and the giver gains 4.6 logits).

Fixtures. Corruption: each variable with either giver, so that a rule that knows one sentence fails on the other. Table:
negative effects and effects above 1 (sizes, clipping), ways that vary over the prompts and effects that grow with them
(mean of ratios, medians), ends of the later corruptions near the clean one but not equal to it: exactly equal ends would
make the commonest mistake infinite, and an infinite answer can be told from nothing. Reading: all eight sets of variables,
both signs, a column of roles that says nothing about the others, two floors.

Tried and dropped. Effects normalised by each corruption's own ends, undefined where they meet, with NaN as the right
answer: one unit for all says more and needs no special case; the notebook shows the share of -178 that the usual formula
gives. The corruption "other names in the same pattern" as a column: it is receiver and giver at once. A hand-set head that
carries the fillers: it is one more way of being uninvolved. Order heads in pairs: each alone then no longer turns the answer.

One sentence is an anecdote: for Lena and Tom the two heads have 0.45 of the way under roles instead of 1.00; with Eva as the
new receiver 0.22 instead of 0.40. Over 229 other sentences, in the first screen's metric, they have 0.98 under roles and 0.44 under
receiver (the others 0.31 and 0.23). So the first screen shows a sentence that is like the average one: Ada, Ben, Tom.

Looking at it in a browser changed: lines of code ran out of their cells, the prediction's label lay on the tallest bars,
and heads 1, 3, 5 and 7 had no number at the heatmap.
"""
