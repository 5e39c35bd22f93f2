"""Nothing happened, for authors only: wrong answers, other right answers, and why it is built so."""

import einops
import numpy as np
import torch

from mechpuzzles.puzzle import Alternative, Mutant


def effect(outputs, nodes, direction):
    source, destination = (1, 0) if direction == "denoising" else (0, 1)
    k = outputs.ndim
    run = tuple(source if n in nodes else destination for n in range(k))
    start = outputs[(destination,) * k]
    return (outputs[run] - start) / (outputs[(source,) * k] - start)


def table_of(outputs):
    k, clean, corrupted = outputs.ndim, outputs.flatten()[-1], outputs.flatten()[0]
    rows = []
    for n in range(k):
        one, rest = tuple(int(i == n) for i in range(k)), tuple(int(i != n) for i in range(k))
        rows.append(torch.stack([outputs[one] - corrupted, clean - outputs[rest]]) / (clean - corrupted))
    return torch.stack(rows)


# ---- patch_effect: wrong ----------------------------------------------------------------------------------------------


def swaps_directions(outputs, nodes, direction):
    return effect(outputs, nodes, "noising" if direction == "denoising" else "denoising")


def always_denoises(outputs, nodes, direction):
    return effect(outputs, nodes, "denoising")


def always_noises(outputs, nodes, direction):
    return effect(outputs, nodes, "noising")


def patches_the_others(outputs, nodes, direction):
    others = [n for n in range(outputs.ndim) if n not in nodes]
    return effect(outputs, others, direction)


def measures_from_corrupted(outputs, nodes, direction):
    k = outputs.ndim
    inside = 1 if direction == "denoising" else 0
    run = tuple(inside if n in nodes else 1 - inside for n in range(k))
    clean, corrupted = outputs[(1,) * k], outputs[(0,) * k]
    return (outputs[run] - corrupted) / (clean - corrupted)


def measures_what_is_left(outputs, nodes, direction):
    return 1 - effect(outputs, nodes, direction)


def divides_by_the_size(outputs, nodes, direction):
    source = 1 if direction == "denoising" else 0
    run = tuple(source if n in nodes else 1 - source for n in range(outputs.ndim))
    start, end = outputs[(1 - source,) * outputs.ndim], outputs[(source,) * outputs.ndim]
    return (outputs[run] - start) / (end - start).abs()


def indexes_with_a_list(outputs, nodes, direction):
    source = 1 if direction == "denoising" else 0
    run = [source if n in nodes else 1 - source for n in range(outputs.ndim)]
    start, end = outputs[[1 - source] * outputs.ndim], outputs[[source] * outputs.ndim]
    return (outputs[run] - start) / (end - start)


def turns_the_sign(outputs, nodes, direction):
    return -effect(outputs, nodes, direction)


def turns_the_sign_of_noising(outputs, nodes, direction):
    k = outputs.ndim
    source = 1 if direction == "denoising" else 0
    run = tuple(source if n in nodes else 1 - source for n in range(k))
    return (outputs[run] - outputs[(1 - source,) * k]) / (outputs[(1,) * k] - outputs[(0,) * k])


def does_not_normalise(outputs, nodes, direction):
    source = 1 if direction == "denoising" else 0
    run = tuple(source if n in nodes else 1 - source for n in range(outputs.ndim))
    return outputs[run] - outputs[(1 - source,) * outputs.ndim]


def does_not_normalise_clean_minus_patched(outputs, nodes, direction):
    source = 1 if direction == "denoising" else 0
    run = tuple(source if n in nodes else 1 - source for n in range(outputs.ndim))
    change = outputs[run] - outputs[(1 - source,) * outputs.ndim]
    return change if source else -change


def divides_by_the_source(outputs, nodes, direction):
    source = 1 if direction == "denoising" else 0
    run = tuple(source if n in nodes else 1 - source for n in range(outputs.ndim))
    return (outputs[run] - outputs[(1 - source,) * outputs.ndim]) / outputs[(source,) * outputs.ndim]


def divides_by_the_destination(outputs, nodes, direction):
    source = 1 if direction == "denoising" else 0
    run = tuple(source if n in nodes else 1 - source for n in range(outputs.ndim))
    start = outputs[(1 - source,) * outputs.ndim]
    return (outputs[run] - start) / start


def divides_by_clean(outputs, nodes, direction):
    source = 1 if direction == "denoising" else 0
    run = tuple(source if n in nodes else 1 - source for n in range(outputs.ndim))
    return (outputs[run] - outputs[(1 - source,) * outputs.ndim]) / outputs[(1,) * outputs.ndim]


def divides_outputs(outputs, nodes, direction):
    source = 1 if direction == "denoising" else 0
    run = tuple(source if n in nodes else 1 - source for n in range(outputs.ndim))
    return outputs[run] / outputs[(source,) * outputs.ndim]


def returns_the_output(outputs, nodes, direction):
    source = 1 if direction == "denoising" else 0
    return outputs[tuple(source if n in nodes else 1 - source for n in range(outputs.ndim))]


def takes_the_size(outputs, nodes, direction):
    return abs(effect(outputs, nodes, direction))


def clips(outputs, nodes, direction):
    return effect(outputs, nodes, direction).clamp(0, 1)


def adds_up(outputs, nodes, direction):
    total = 0
    for node in nodes:
        total = total + effect(outputs, [node], direction)
    return total


def averages_nodes(outputs, nodes, direction):
    total = 0
    for node in nodes:
        total = total + effect(outputs, [node], direction) / len(nodes)
    return total


def patches_the_first(outputs, nodes, direction):
    return effect(outputs, nodes[:1], direction)


def patches_the_last(outputs, nodes, direction):
    return effect(outputs, nodes[-1:], direction)


def counts_from_the_end(outputs, nodes, direction):
    return effect(outputs, [outputs.ndim - 1 - node for node in nodes], direction)


def averages_directions(outputs, nodes, direction):
    return (effect(outputs, nodes, "denoising") + effect(outputs, nodes, "noising")) / 2


# ---- patch_table: wrong -----------------------------------------------------------------------------------------------


def swaps_columns(outputs):
    return table_of(outputs).flip(1)


def transposes(outputs):
    return table_of(outputs).T


def denoises_twice(outputs):
    return table_of(outputs)[:, [0, 0]]


def noises_twice(outputs):
    return table_of(outputs)[:, [1, 1]]


def only_denoises(outputs):
    return table_of(outputs)[:, 0]


def takes_the_complement(outputs):
    denoising = table_of(outputs)[:, 0]
    return torch.stack([denoising, 1 - denoising], dim=1)


def measures_both_from_corrupted(outputs):
    denoising, noising = table_of(outputs).T
    return torch.stack([denoising, 1 - noising], dim=1)


def makes_noising_negative(outputs):
    denoising, noising = table_of(outputs).T
    return torch.stack([denoising, -noising], dim=1)


def reverses_nodes(outputs):
    return table_of(outputs.permute(*range(outputs.ndim)[::-1]))


def leaves_one_out(outputs):
    k, clean, corrupted = outputs.ndim, outputs.flatten()[-1], outputs.flatten()[0]
    rows = []
    for n in range(k):
        one, rest = tuple(int(i == n) for i in range(k)), tuple(int(i != n) for i in range(k))
        rows.append(torch.stack([outputs[rest] - corrupted, clean - outputs[one]]) / (clean - corrupted))
    return torch.stack(rows)


def keeps_units(outputs):
    k, clean, corrupted = outputs.ndim, outputs.flatten()[-1], outputs.flatten()[0]
    rows = []
    for n in range(k):
        one, rest = tuple(int(i == n) for i in range(k)), tuple(int(i != n) for i in range(k))
        rows.append(torch.stack([outputs[one] - corrupted, outputs[rest] - clean]))
    return torch.stack(rows)


def keeps_units_clean_minus(outputs):
    k, clean, corrupted = outputs.ndim, outputs.flatten()[-1], outputs.flatten()[0]
    rows = []
    for n in range(k):
        one, rest = tuple(int(i == n) for i in range(k)), tuple(int(i != n) for i in range(k))
        rows.append(torch.stack([outputs[one] - corrupted, clean - outputs[rest]]))
    return torch.stack(rows)


def returns_the_outputs(outputs):
    k = outputs.ndim
    rows = []
    for n in range(k):
        one, rest = tuple(int(i == n) for i in range(k)), tuple(int(i != n) for i in range(k))
        rows.append(torch.stack([outputs[one], outputs[rest]]))
    return torch.stack(rows)


def clips_the_table(outputs):
    return table_of(outputs).clamp(0, 1)


def averages_the_columns(outputs):
    mean = table_of(outputs).mean(1)
    return torch.stack([mean, mean], dim=1)


def makes_effects_add(outputs):
    table = table_of(outputs)
    return table / table.sum(0, keepdim=True)


def takes_sizes(outputs):
    return table_of(outputs).abs()


def averages_contexts(outputs):
    k, whole = outputs.ndim, outputs.flatten()[-1] - outputs.flatten()[0]
    means = [outputs.diff(dim=n).mean() / whole for n in range(k)]
    return torch.stack([torch.stack(means), torch.stack(means)], dim=1)


# ---- reading: wrong ---------------------------------------------------------------------------------------------------


def swaps_gates(table):
    labels = []
    for denoising, noising in table.tolist():
        if abs(noising - denoising) > 0.1:
            labels.append("OR" if noising > denoising else "AND")
        else:
            labels.append("unseen" if max(abs(denoising), abs(noising)) <= 0.1 else "alone")
    return labels


def reads_denoising(table):
    return ["alone" if abs(denoising) > 0.1 else "unseen" for denoising, _ in table.tolist()]


def reads_denoising_as_or(table):
    return ["OR" if denoising > 0.1 else "unseen" for denoising, _ in table.tolist()]


def reads_noising(table):
    return ["alone" if abs(noising) > 0.1 else "unseen" for _, noising in table.tolist()]


def calls_and_unseen(table):
    labels = []
    for denoising, noising in table.tolist():
        if denoising - noising > 0.1:
            labels.append("OR")
        else:
            labels.append("alone" if abs(denoising) > 0.1 and abs(noising - denoising) <= 0.1 else "unseen")
    return labels


def calls_or_unseen(table):
    labels = []
    for denoising, noising in table.tolist():
        if noising - denoising > 0.1:
            labels.append("AND")
        else:
            labels.append("alone" if abs(noising) > 0.1 and abs(noising - denoising) <= 0.1 else "unseen")
    return labels


def ignores_negative(table):
    labels = []
    for denoising, noising in table.tolist():
        if abs(noising - denoising) > 0.1:
            labels.append("AND" if noising > denoising else "OR")
        else:
            labels.append("alone" if denoising > 0.1 or noising > 0.1 else "unseen")
    return labels


def compares_sizes(table):
    labels = []
    for denoising, noising in table.abs().tolist():
        if abs(noising - denoising) > 0.1:
            labels.append("AND" if noising > denoising else "OR")
        else:
            labels.append("unseen" if max(denoising, noising) <= 0.1 else "alone")
    return labels


def rounds_first(table):
    names = {(0, 0): "unseen", (0, 1): "AND", (1, 0): "OR", (1, 1): "alone"}
    return [names[int(denoising > 0.5), int(noising > 0.5)] for denoising, noising in table.tolist()]


def wants_a_zero(table):
    labels = []
    for denoising, noising in table.tolist():
        if max(abs(denoising), abs(noising)) <= 0.1:
            labels.append("unseen")
        elif abs(denoising) <= 0.1:
            labels.append("AND")
        else:
            labels.append("OR" if abs(noising) <= 0.1 else "alone")
    return labels


def asks_denoising_first(table):
    labels = []
    for denoising, noising in table.tolist():
        if denoising > 0.1:
            labels.append("OR")
        elif noising > 0.1:
            labels.append("AND")
        else:
            labels.append("alone" if abs(denoising) > 0.1 else "unseen")
    return labels


def compares_exactly(table):
    labels = []
    for denoising, noising in table.tolist():
        if noising != denoising:
            labels.append("AND" if noising > denoising else "OR")
        else:
            labels.append("alone" if denoising else "unseen")
    return labels


def forgets_alone(table):
    return ["AND" if n - d > 0.1 else "OR" if d - n > 0.1 else "unseen" for d, n in table.tolist()]


def forgets_unseen(table):
    return ["AND" if n - d > 0.1 else "OR" if d - n > 0.1 else "alone" for d, n in table.tolist()]


def reads_upwards(table):
    labels = []
    for denoising, noising in table.flip(0).tolist():
        if abs(noising - denoising) > 0.1:
            labels.append("AND" if noising > denoising else "OR")
        else:
            labels.append("unseen" if max(abs(denoising), abs(noising)) <= 0.1 else "alone")
    return labels


def labels_columns(table):
    return ["AND" if column.mean() > 0.5 else "OR" for column in table.T]


# ---- my_heads: wrong --------------------------------------------------------------------------------------------------


def right_labels(outputs):
    clean, corrupted = outputs.flatten()[-1], outputs.flatten()[0]
    labels = []
    for n in range(outputs.ndim):
        effects = (outputs.select(n, 1) - outputs.select(n, 0)) / (clean - corrupted)
        denoising, noising = effects.flatten()[0], effects.flatten()[-1]
        if abs(noising - denoising) > 0.1:
            labels.append("AND" if noising > denoising else "OR")
        elif abs(denoising) > 0.1:
            labels.append("alone")
        else:
            labels.append("hidden" if effects.abs().max() > 0.01 else "uninvolved")
    return labels


def trusts_single_patches(outputs):
    return [{"hidden": "uninvolved"}.get(one, one) for one in right_labels(outputs)]


def suspects_everyone(outputs):
    return [{"uninvolved": "hidden"}.get(one, one) for one in right_labels(outputs)]


def stops_at_the_reading(outputs):
    return [{"uninvolved": "unseen", "hidden": "unseen"}.get(one, one) for one in right_labels(outputs)]


def swaps_own_gates(outputs):
    return [{"AND": "OR", "OR": "AND"}.get(one, one) for one in right_labels(outputs)]


def only_denoises_own(outputs):
    return [{"AND": "uninvolved", "hidden": "uninvolved"}.get(one, one) for one in right_labels(outputs)]


def only_noises_own(outputs):
    return [{"OR": "uninvolved", "hidden": "uninvolved"}.get(one, one) for one in right_labels(outputs)]


def gives_everyone_a_gate(outputs):
    return [{"alone": "OR"}.get(one, one) for one in right_labels(outputs)]


def reads_own_backwards(outputs):
    return right_labels(outputs)[::-1]


def lists_the_gates(outputs):
    return sorted(set(right_labels(outputs)))


def spells_freely(outputs):
    return [one.lower() for one in right_labels(outputs)]


MUTANTS = (
    Mutant("patch_effect", "directions_swapped", swaps_directions),
    Mutant("patch_effect", "always_denoising", always_denoises),
    Mutant("patch_effect", "always_noising", always_noises),
    Mutant("patch_effect", "others_patched", patches_the_others),
    Mutant("patch_effect", "same_ruler", measures_from_corrupted),
    Mutant("patch_effect", "what_is_left", measures_what_is_left),
    Mutant("patch_effect", "sign", turns_the_sign),
    Mutant("patch_effect", "size_of_the_way", divides_by_the_size),
    Mutant("patch_effect", "many_runs", indexes_with_a_list),
    Mutant("patch_effect", "noising_negative", turns_the_sign_of_noising),
    Mutant("patch_effect", "unnormalised", does_not_normalise),
    Mutant("patch_effect", "unnormalised_towards_clean", does_not_normalise_clean_minus_patched),
    Mutant("patch_effect", "divided_by_the_source", divides_by_the_source),
    Mutant("patch_effect", "divided_by_the_destination", divides_by_the_destination),
    Mutant("patch_effect", "divided_by_clean", divides_by_clean),
    Mutant("patch_effect", "ratio_of_outputs", divides_outputs),
    Mutant("patch_effect", "patched_output", returns_the_output),
    Mutant("patch_effect", "absolute", takes_the_size),
    Mutant("patch_effect", "clipped", clips),
    Mutant("patch_effect", "assumed_to_add", adds_up),
    Mutant("patch_effect", "averaged_over_nodes", averages_nodes),
    Mutant("patch_effect", "one_node_only", patches_the_first),
    Mutant("patch_effect", "one_node_only", patches_the_last),
    Mutant("patch_effect", "nodes_reversed", counts_from_the_end),
    Mutant("patch_effect", "directions_averaged", averages_directions),
    Mutant("patch_table", "columns_swapped", swaps_columns),
    Mutant("patch_table", "transposed", transposes),
    Mutant("patch_table", "one_direction_twice", denoises_twice),
    Mutant("patch_table", "noising_twice", noises_twice),
    Mutant("patch_table", "one_direction", only_denoises),
    Mutant("patch_table", "own_complement", takes_the_complement),
    Mutant("patch_table", "same_ruler", measures_both_from_corrupted),
    Mutant("patch_table", "noising_negative", makes_noising_negative),
    Mutant("patch_table", "nodes_reversed", reverses_nodes),
    Mutant("patch_table", "others_patched", leaves_one_out),
    Mutant("patch_table", "unnormalised", keeps_units),
    Mutant("patch_table", "unnormalised_towards_clean", keeps_units_clean_minus),
    Mutant("patch_table", "patched_output", returns_the_outputs),
    Mutant("patch_table", "clipped", clips_the_table),
    Mutant("patch_table", "directions_averaged", averages_the_columns),
    Mutant("patch_table", "made_to_add", makes_effects_add),
    Mutant("patch_table", "absolute", takes_sizes),
    Mutant("patch_table", "over_contexts", averages_contexts),
    Mutant("reading", "gates_swapped", swaps_gates),
    Mutant("reading", "denoising_only", reads_denoising),
    Mutant("reading", "denoising_only", reads_denoising_as_or),
    Mutant("reading", "noising_only", reads_noising),
    Mutant("reading", "uninvolved", calls_and_unseen),
    Mutant("reading", "not_needed", calls_or_unseen),
    Mutant("reading", "negative_is_nothing", ignores_negative),
    Mutant("reading", "sizes_compared", compares_sizes),
    Mutant("reading", "rounded_first", rounds_first),
    Mutant("reading", "needs_a_zero", wants_a_zero),
    Mutant("reading", "either_large", asks_denoising_first),
    Mutant("reading", "exact", compares_exactly),
    Mutant("reading", "alone_forgotten", forgets_alone),
    Mutant("reading", "unseen_forgotten", forgets_unseen),
    Mutant("reading", "reversed", reads_upwards),
    Mutant("reading", "one_per_direction", labels_columns),
    Mutant("my_heads", "hidden_is_uninvolved", trusts_single_patches),
    Mutant("my_heads", "uninvolved_is_hidden", suspects_everyone),
    Mutant("my_heads", "left_unseen", stops_at_the_reading),
    Mutant("my_heads", "gates_swapped", swaps_own_gates),
    Mutant("my_heads", "denoising_only", only_denoises_own),
    Mutant("my_heads", "noising_only", only_noises_own),
    Mutant("my_heads", "alone_is_a_gate", gives_everyone_a_gate),
    Mutant("my_heads", "reversed", reads_own_backwards),
    Mutant("my_heads", "not_one_per_head", lists_the_gates),
    Mutant("my_heads", "other_words", spells_freely),
)


# ---- right, in other styles -------------------------------------------------------------------------------------------


def effect_with_a_copy(outputs, nodes, direction):
    """Walk from the destination's corner of the table to the patched one, an axis at a time."""
    source = int(direction == "denoising")
    patched, start, end = outputs, outputs, outputs
    for node in range(outputs.ndim):
        patched = patched.select(0, source if node in nodes else 1 - source)
        start, end = start.select(0, 1 - source), end.select(0, source)
    return ((patched - start) / (end - start)).item()


def effect_in_numpy(outputs, nodes, direction):
    flat, k = outputs.numpy().astype(np.float64).ravel(), outputs.ndim
    mask = sum(1 << (k - 1 - node) for node in set(nodes))
    whole = (1 << k) - 1
    if direction == "denoising":
        return (flat[mask] - flat[0]) / (flat[whole] - flat[0])
    return (flat[whole] - flat[whole ^ mask]) / (flat[whole] - flat[0])


def effect_by_flipping(outputs, nodes, direction):
    """Noising is denoising with clean and corrupted exchanged on every axis."""
    if direction == "noising":
        outputs = outputs.flip(*range(outputs.ndim))
    run = [0] * outputs.ndim
    for node in nodes:
        run[node] = 1
    return (outputs[tuple(run)] - outputs.flatten()[0]) / (outputs.flatten()[-1] - outputs.flatten()[0])


def table_of_effects(outputs):
    both = ("denoising", "noising")
    return torch.tensor([[float(effect(outputs, [n], direction)) for direction in both] for n in range(outputs.ndim)])


def table_in_numpy(outputs):
    flat, k = outputs.numpy().astype(np.float64).ravel(), outputs.ndim
    bits = 2 ** np.arange(k)[::-1]
    both = np.stack([flat[bits] - flat[0], flat[-1] - flat[-1 - bits]], axis=1)
    return both / (flat[-1] - flat[0])


def table_with_einops(outputs):
    k, low, high = outputs.ndim, outputs.flatten()[0], outputs.flatten()[-1]
    one_hot = torch.eye(k, dtype=torch.long)
    denoised = outputs[tuple(one_hot.T)] - low
    noised = high - outputs[tuple((1 - one_hot).T)]
    return einops.rearrange([denoised, noised], "direction node -> node direction") / (high - low)


def reading_in_tensors(table):
    gap, size = table[:, 1] - table[:, 0], table.abs().amax(1)
    kind = torch.where(gap > 0.1, 0, torch.where(gap < -0.1, 1, torch.where(size <= 0.1, 2, 3)))
    return [("AND", "OR", "unseen", "alone")[i] for i in kind]


def reading_in_numpy(table):
    d, n = table.numpy().T
    near = np.maximum(np.abs(d), np.abs(n)) <= 0.1
    return np.select([n - d > 0.1, d - n > 0.1, near], ["AND", "OR", "unseen"], "alone").tolist()


def own_by_pairs(outputs):
    """Unseen heads are told apart by denoising them together with one other head."""
    k, low, high = outputs.ndim, outputs.flatten()[0], outputs.flatten()[-1]

    def denoised(*clean):
        return ((outputs[tuple(int(n in clean) for n in range(k))] - low) / (high - low)).item()

    def noised(head):
        return ((high - outputs[tuple(int(n != head) for n in range(k))]) / (high - low)).item()

    labels = []
    for head in range(k):
        d, n = denoised(head), noised(head)
        if abs(n - d) > 0.1:
            labels.append("AND" if n > d else "OR")
        elif abs(d) > 0.1:
            labels.append("alone")
        else:
            moves = [abs(denoised(head, other) - denoised(other)) > 0.01 for other in range(k) if other != head]
            labels.append("hidden" if any(moves) else "uninvolved")
    return labels


def own_by_all_contexts(outputs):
    """From the set of effects over all contexts: nothing, one value, or two, and which of them is met more often."""
    labels = []
    for head in range(outputs.ndim):
        effects = ((outputs.select(head, 1) - outputs.select(head, 0)) / outputs.flatten()[[0, -1]].diff()).flatten()
        corrupted, clean = effects[0], effects[-1]
        acts = (effects.abs() > 0.05).float().mean()
        if acts in (0, 1):
            labels.append("alone" if acts else "uninvolved")
        else:
            labels.append("AND" if clean > 0.05 else "OR" if corrupted > 0.05 else "hidden")
    return labels


ALTERNATIVES = (
    Alternative("patch_effect", "an axis at a time", effect_with_a_copy),
    Alternative("patch_effect", "numpy, bit masks", effect_in_numpy),
    Alternative("patch_effect", "noising as flipped denoising", effect_by_flipping),
    Alternative("patch_table", "patch_effect for each", table_of_effects),
    Alternative("patch_table", "numpy, bit masks", table_in_numpy),
    Alternative("patch_table", "einops and advanced indexing", table_with_einops),
    Alternative("reading", "torch.where", reading_in_tensors),
    Alternative("reading", "numpy.select", reading_in_numpy),
    Alternative("my_heads", "pairs", own_by_pairs),
    Alternative("my_heads", "all contexts", own_by_all_contexts),
)

DESIGN_NOTE = """
One principle: a patch asks about a component in a context. Denoising asks with all else corrupted, noising with all else
clean. The parts follow the argument: one effect with source and destination named, both directions for every node, the
reading of a row, and then a circuit in which single patches are not enough.

A circuit is plain data: the outputs of all its runs, an axis of size 2 for each node. That makes noising a set one minus
denoising the rest (checked in the notebook), swapping the prompts a flip of all axes, and a patch in a real model a
circuit of two nodes, the head and the rest. How much single patches can tell follows by counting: with two nodes the
second direction is the same runs again, with three the single patches show all eight runs, with four they no longer do.

Fixtures for effects are random tables of two to five nodes: clean below corrupted as often as above (a lost sign of the
gap shows), neither near zero (dividing by an output shows and does not explode), effects below 0 and above 1 (absolute
values and clipping show), lists of nodes out of order and of one, two and three (adding effects, the first only, reversed
axes show). For the reading: crisp and soft rows, two equal negative effects (an opposing head is not unseen), soft gates
with both effects above a half or both below (rounding shows), nothing near the boundary of 0.1. Two rows have effects of opposite
signs, -0.6 and 0.3 in either order: without them, comparing sizes passed. (-0.6 and 0 would cost three mutants their symptom.)

The reference table does not call patch_effect, so that a wrong first part does not cost the points of the later ones.

The learner's own circuit holds an AND, an OR, a vote of three, one or two heads alone and one or two uninvolved, of ten.
The vote is the trap: no effect in either direction. Each gate moves at least 0.15 of the gap. An XOR has no place in it:
with both inputs changed its gap is zero, with one it reads as alone; the notebook prints its raw outputs instead.

Tried and dropped. An AND and an OR of the same two heads, as a head that only looks alone: their sum is exactly the sum of
the heads, so there is nothing to find; one AND and one OR with different partners it had to be. Gates as min and max: the
code on the first screen then says what they are; three ReLU neurons with biases 0, -1 and -2 make every gate of up to
three heads by their output weights alone. All heads of mini-gpt2 as one table of 2^4 runs: frozen activations of layer 1
block what layer 0 sends through it, which is another experiment than activation patching.

Measured on mini-gpt2, `f(x` against `f[x`, 108 prompts (32 of them in the notebook), log odds of the two closing brackets:
noising minus denoising of a head is 0.04 in size on average (at most 0.23), and 0.37 for the probability made from the
same log odds, where its mean over the heads follows the halfway point of the log odds with a correlation of -0.99. So the
gates of that model on these prompts are mostly the metric's; of the 128 rows in the notebook 13 are gates in log odds too,
nearly all AND. Over all tokens of the vocabulary the probability of the bracket
behaves less simply, so the probability here is that of one bracket against the other.

Looking at it in a browser changed: the prediction's label lay orange on an orange bar (head 2 is now the uninvolved one),
row labels of the heatmap were cut off, lines of code ran out of their cells, the slow cell printed the noised run before
the picture, and one story in the list claimed to predict what another predicts as well.
"""
