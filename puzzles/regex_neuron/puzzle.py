"""Twenty out of twenty: what is asked, how it is checked, and what each wrong answer looks like."""

import functools
import math
import re

import torch

from mechpuzzles.puzzle import Case, FreeText, Part, Prediction, Puzzle, Symptom

# ---- the oracles: plain Python over lists ---------------------------------------------------------------------------


def inside(act, low, high):
    return low <= act < high


def columns(acts, matches, edges, belongs=inside, empty=0.0):
    """For each band: its places, its matches, precision and the share of all matches."""
    places = list(zip(acts.double().tolist(), matches.tolist(), strict=True))
    limits = edges.double().tolist()
    total = sum(hit for _, hit in places)
    rows = []
    for number in range(len(limits) - 1):
        found = [hit for act, hit in places if belongs(act, limits[number], limits[number + 1])]
        rows.append((len(found), sum(found), sum(found) / len(found) if found else empty, sum(found) / total))
    return torch.tensor(rows, dtype=torch.float64)


def slow_bands(acts, matches, edges):
    return columns(acts, matches, edges)[:, 2:]


def strongest(row, k, key=lambda act: act):
    """The places of the k largest."""
    return sorted(range(len(row)), key=lambda place: key(row[place]), reverse=True)[:k]


def chosen_stories(acts, matches, k, fits, prefer, otherwise=-1, key=lambda act: act):
    """For each neuron the preferred one of the stories that fit its strongest places."""
    hits = matches.T.tolist()
    answer = []
    for row in acts.double().T.tolist():
        top = strongest(row, k, key)
        good = [s for s, hit in enumerate(hits) if fits([hit[place] for place in top])]
        answer.append(prefer(good, hits, top) if good else otherwise)
    return torch.tensor(answer)


def rarest(good, hits, top):
    return min(good, key=lambda s: sum(hits[s]))


def slow_stories(acts, matches, k):
    return chosen_stories(acts, matches, k, all, rarest)


def effects(w_out, W_U):
    return torch.einsum("nd,dv->nv", w_out.double(), W_U.double())


def ranked(scores, following, count, over=None):
    """The mean over a neuron's examples of a number made of all scores and the one of the token that followed."""
    rows = []
    for row, tokens in zip(scores.tolist(), following.tolist(), strict=True):
        rows.append(math.fsum(count(row, row[token]) for token in tokens) / len(tokens) / (over or len(row)))
    return torch.tensor(rows, dtype=torch.float64)


def fewer(row, score):
    return sum(other < score for other in row)


def slow_promoted(w_out, W_U, following):
    return ranked(effects(w_out, W_U), following, fewer)


def contributions(parts, scale, w_in, centred=True):
    """[source][pos]: what each source adds to the input of the neuron."""
    weights, lengths = w_in.double().tolist(), scale.double().tolist()
    rows = []
    for source in parts.double().tolist():
        row = []
        for vector, length in zip(source, lengths, strict=True):
            middle = math.fsum(vector) / len(vector) if centred else 0.0
            row.append(math.fsum((x - middle) / length * w for x, w in zip(vector, weights, strict=True)))
        rows.append(row)
    return rows


def against(rows, chosen, summary, base):
    """For each source: a summary of the chosen places less a base made of all of them."""
    marks = chosen.tolist()
    return torch.tensor(
        [summary([x for x, mark in zip(row, marks, strict=True) if mark]) - base(row, marks) for row in rows],
        dtype=torch.float64,
    )


def average(numbers):
    return math.fsum(numbers) / len(numbers)


def of_all(row, marks):
    return average(row)


def slow_driven(parts, scale, w_in, chosen):
    return against(contributions(parts, scale, w_in), chosen, average, of_all)


# ---- the inputs: heavy tails, places exactly on an edge, a band without a place -------------------------------------


def whole(rng, low, high):
    return int(torch.randint(low, high + 1, (), generator=rng))


def band_cases(rng):
    """Matches below the first edge and above the last; large negative activations; one band is empty."""
    for n_bands, empty in ((3, 1), (5, 3), (4, 2)):
        edges = torch.cumsum(0.3 + torch.rand(n_bands + 1, generator=rng) * 1.5, 0)
        acts, matches = [], []

        def put(values, hit, acts=acts, matches=matches):
            acts.extend(torch.as_tensor(values).flatten().tolist())
            matches.extend([hit] * (len(acts) - len(matches)))

        for hit in (True, False):
            put(-edges[-1] * torch.rand(whole(rng, 4, 6) + 4 * (not hit), generator=rng), hit)
            put(edges[-1] + torch.rand(whole(rng, 2, 3), generator=rng), hit)
            put(edges[-1], hit)
        for band in range(n_bands):
            if band == empty:
                continue
            low, width = edges[band], edges[band + 1] - edges[band]
            for hit, most in ((True, 2 + 2 * band), (False, 6)):
                put(low + width * (0.1 + 0.8 * torch.rand(whole(rng, most - 1, most), generator=rng)), hit)
            put(low, True)
            put([float(low)] * 2, False)
        order = torch.randperm(len(acts), generator=rng)
        yield Case((torch.tensor(acts)[order], torch.tensor(matches)[order], edges))


def story_cases(rng):
    """Two stories fit some neurons, the rarer one before or after the other; one neuron is fitted by none.

    The rarest story of all misses the weakest place of one neuron, the strongest of another, and of a third all but one.
    """
    for k, n_neurons, n_stories, filler in ((3, 4, 8, 48), (4, 5, 9, 53), (5, 6, 10, 57)):
        pos = n_neurons * k + filler
        acts = 0.5 * torch.randn(pos, n_neurons, generator=rng)
        matches = torch.zeros(pos, n_stories, dtype=torch.bool)
        names = torch.randperm(n_stories, generator=rng).tolist()
        common, rare = [min(names[:2]), max(names[2:4])], [max(names[:2]), min(names[2:4])]
        rarest_of_all, less, nearly, own = names[4:8]
        tops = []
        for neuron in range(n_neurons):
            start = neuron * k
            acts[start : start + k, neuron] = (3 + 2 * torch.rand(k, generator=rng)).sort(descending=True).values
            tops.append(list(range(start, start + k)))
            off = n_neurons * k + k * neuron  # large, and the wrong way
            acts[off : off + k - 1, neuron] = -6 - torch.rand(k - 1, generator=rng)
        for neuron in (0, 1):
            matches[tops[neuron], common[neuron]] = matches[tops[neuron], rare[neuron]] = True
        matches[n_neurons * k : n_neurons * k + k - 1, common[0]] = True
        matches[tops[0][:-1] + tops[1][1:] + tops[3][1:2], rarest_of_all] = True
        matches[tops[2][:-1], nearly] = matches[tops[2][:-2], less] = True
        for neuron in range(3, n_neurons):
            matches[tops[neuron], own] = True
        middle = [story for story in names[7:] if story not in (*common, *rare)]
        goals = {rarest_of_all: 11} | {
            story: 24 + 3 * i for i, story in enumerate([*rare, less, nearly, *middle, *common])
        }
        for story, goal in goals.items():
            free = [place for place in range(n_neurons * k, pos) if not matches[place, story]]
            more = goal - int(matches[:, story].sum())
            matches[[free[i] for i in torch.randperm(len(free), generator=rng)[:more]], story] = True
        order, shuffled = torch.randperm(pos, generator=rng), torch.randperm(n_neurons, generator=rng)
        yield Case((acts[order][:, shuffled], matches[order], k))


def promoted_cases(rng):
    """Tokens whose unembeddings differ in length, neurons that differ in strength, tokens that follow twice."""
    for n_neurons, d_model, d_vocab, k in ((3, 5, 13, 4), (4, 6, 17, 7), (5, 7, 19, 6)):
        W_U = torch.randn(d_model, d_vocab, generator=rng) * torch.exp(0.9 * torch.randn(d_vocab, generator=rng))
        w_out = torch.randn(n_neurons, d_model, generator=rng) * torch.linspace(0.5, 3, n_neurons)[:, None]
        rank = (w_out @ W_U).argsort(1)  # the tokens that follow are mostly promoted, and one is the least
        following = torch.stack(
            [row[-1 - torch.randperm(d_vocab // 2, generator=rng)[:k] % (d_vocab // 2)] for row in rank]
        )
        following[:, 1], following[:, 2] = following[:, 0], rank[:, 0]
        yield Case((w_out, W_U, following))


def driven_cases(rng):
    """Vectors whose mean is not zero, scales that differ between places, and weights whose sum is not zero.

    What the sources add does not cancel: shares of next to nothing would be rounding.
    """
    sizes = [(3, 8, 5, 3), (4, 11, 6, 4), (5, 13, 7, 3)]
    while sizes:
        n_sources, pos, d_model, n_chosen = sizes[0]
        parts = torch.randn(n_sources, pos, d_model, generator=rng) + torch.randn(n_sources, 1, 1, generator=rng)
        parts = parts + 2 * torch.rand(n_sources, pos, 1, generator=rng)
        parts[1] *= 3
        scale = torch.exp(0.7 * torch.randn(pos, generator=rng))
        w_in = torch.randn(d_model, generator=rng) + 0.8
        chosen = torch.zeros(pos, dtype=torch.bool)
        chosen[torch.randperm(pos, generator=rng)[:n_chosen]] = True
        if abs(slow_driven(parts, scale, w_in, chosen).sum()) > 0.2:
            yield Case((parts, scale, w_in, chosen))
            sizes.pop(0)


# ---- the learner's own neuron: on every other file, by transformers' own model ---------------------------------------

MY_NEURONS = {  # some of those with a story: the text so far ends in it
    65: r" m\Z",
    126: r" to\Z",
    225: r" e\Z",
    231: r" st\Z",
    316: r" st\Z",
    320: r" re\Z",
    328: r" p\Z",
    329: r" st\Z",
    337: r"lock\Z",
    405: r" and\Z",
    442: r" re\Z",
    511: r" re\Z",
}


@functools.cache
def on_other_files():
    """What each of MY_NEURONS is at all places, and for each place the text up to its end."""
    from tokenizers import Tokenizer

    from mechpuzzles.zoo import directory
    from mechpuzzles.zoo.corpus import package_source
    from mechpuzzles.zoo.measure import load_shipped

    tokenizer, model = (
        Tokenizer.from_file(str(directory("mini-1l") / "tokenizer.json")),
        load_shipped(directory("mini-1l")),
    )
    found, windows, texts, some = [], [], [], list(MY_NEURONS)
    mlp = model.transformer.h[0].mlp
    mlp.c_proj.register_forward_pre_hook(lambda module, inputs: found.append(inputs[0][:, 1:, some]))
    for source in [*package_source("einops"), *package_source("markdown_it")][1::2]:
        coded = tokenizer.encode(source, add_special_tokens=False)
        tokens, ends = coded.ids, [end for _, end in coded.offsets]
        for i in range(0, len(tokens) - 64, 192):
            windows.append([0, *tokens[i : i + 63]])
            texts += [source[max(0, end - 40) : end] for end in ends[i : i + 63]]
    with torch.no_grad():
        for batch in torch.tensor(windows).split(64):
            model.transformer(batch)
    return dict(zip(MY_NEURONS, torch.cat(found).flatten(0, 1).T, strict=True)), texts


MY_SHARES = (0.45, 0.65)  # of the largest activation; near none of the thresholds that people take in its place
NEAREST = 1e-4  # an activation may come to the threshold: whoever computes it, it stays on its side
APART = 0.1  # precision and recall at least, so that one is not right for the other


@functools.cache
def of_neuron(neuron):
    """What it is at each place, and whether the place matches its regex."""
    acts, texts = on_other_files()
    return acts[neuron].clone(), torch.tensor([re.search(MY_NEURONS[neuron], text) is not None for text in texts])


def draw_neuron(rng):
    """A neuron, the regex that its strongest places match, and the share of its largest activation to start from."""
    neuron = list(MY_NEURONS)[whole(rng, 0, len(MY_NEURONS) - 1)]
    acts, matches = of_neuron(neuron)
    shares, (low, high) = acts.double() / acts.double().max(), MY_SHARES
    while True:
        share = low + (high - low) * float(torch.rand((), generator=rng, dtype=torch.float64))
        on = shares >= share
        precision, recall = matches[on].double().mean(), on[matches].double().mean()
        if (shares - share).abs().min() > NEAREST and abs(precision - recall) > APART:
            return neuron, MY_NEURONS[neuron], share


def own_case(rng):
    neuron, _, share = draw_neuron(rng)
    return [Case((*of_neuron(neuron), share))]


def slow_my_neuron(acts, matches, share):
    least = max(acts.double().tolist()) * share
    on = [hit for act, hit in zip(acts.double().tolist(), matches.tolist(), strict=True) if act >= least]
    return sum(on) / len(on), sum(on) / int(matches.sum())


# ---- the ways of being wrong ----------------------------------------------------------------------------------------


def filled(got, want):
    return got.shape == want.shape and not got.isnan().any()


def reads_bands(belongs):
    return lambda *inputs: columns(*inputs, belongs)[:, 2:]


def beside(first, second):
    """Two columns: the places of one kind of band, then those of another."""
    return lambda *inputs: torch.stack([columns(*inputs, first)[:, 2], columns(*inputs, second)[:, 3]], dim=1)


def from_edge_up(act, low, high):
    return act >= low


def weighed_bands(acts, matches, edges):
    rows = []
    total = math.fsum(act for act, hit in zip(acts.double().tolist(), matches.tolist(), strict=True) if hit)
    for low, high in zip(edges.tolist(), edges.tolist()[1:], strict=False):
        found = [(a, h) for a, h in zip(acts.double().tolist(), matches.tolist(), strict=True) if inside(a, low, high)]
        mass = math.fsum(a for a, h in found if h)
        rows.append([mass / math.fsum(a for a, _ in found) if found else 0.0, mass / total])
    return torch.tensor(rows, dtype=torch.float64)


def second_column(change):
    """A right precision beside another second column, made of the counts and the inputs."""

    def wrong(*inputs):
        table = columns(*inputs)
        return torch.stack([table[:, 2], change(table, *inputs)], dim=1)

    return wrong


BAND_SYMPTOMS = (
    Symptom(
        "empty_band",
        lambda got, want, acts, matches, edges: (
            got.shape == want.shape
            and torch.allclose(got[want[:, 1] > 0], want[want[:, 1] > 0], atol=1e-4)
            and bool((columns(acts, matches, edges)[:, 0] == 0).any())
        ),
        says="All is right but the row of a band in which there is no place. Nothing divided by nothing: put 0 there.",
    ),
    Symptom.from_truth(
        "columns_swapped",
        lambda want, *inputs: want.flip(1),
        says="The columns are swapped: first the share of the band that matches, then the share of the matches in the band.",
    ),
    Symptom.gives(
        "upper_edge",
        reads_bands(lambda act, low, high: low < act <= high),
        says="A place exactly on an edge was put into the band below it. A band holds its lower edge, not its upper one.",
    ),
    Symptom.gives(
        "both_edges",
        reads_bands(lambda act, low, high: low <= act <= high),
        says="A place exactly on an edge was counted in two bands. A band holds its lower edge, not its upper one.",
    ),
    Symptom.gives(
        "no_edge",
        reads_bands(lambda act, low, high: low < act < high),
        says="A place exactly on an edge is in no band. A band holds its lower edge.",
    ),
    Symptom.gives(
        "last_edge",
        lambda acts, matches, edges: columns(
            acts, matches, edges, lambda act, low, high: low <= act < high or act == high == edges[-1].item()
        )[:, 2:],
        says="The last band also holds its upper edge, as in numpy.histogram. Here no band does.",
    ),
    Symptom.gives(
        "from_the_edge_up",
        reads_bands(from_edge_up),
        beside(from_edge_up, inside),
        beside(inside, from_edge_up),
        says="Everything above a lower edge was taken, not only the band: the strong places hide the middling ones.",
    ),
    Symptom.gives(
        "matches_in_bands",
        second_column(lambda table, *inputs: table[:, 1] / table[:, 1].sum()),
        says="The second column was divided by the matches that lie in some band. "
        "Divide by all matches: those below the first edge count most.",
    ),
    Symptom.gives(
        "matches_above_the_first_edge",
        second_column(
            lambda table, acts, matches, edges: table[:, 1] / (matches & (acts >= edges[0])).sum().item(),
        ),
        says="The second column was divided by the matches above the first edge. "
        "Those below it count too: there the story says yes and the neuron says no.",
    ),
    Symptom.gives(
        "of_all_places",
        second_column(lambda table, acts, *inputs: table[:, 1] / len(acts)),
        says="The second column was divided by all {pos} places. Divide by the number of places that match.",
    ),
    Symptom.gives(
        "how_full",
        second_column(lambda table, acts, *inputs: table[:, 0] / len(acts)),
        second_column(lambda table, *inputs: table[:, 0] / table[:, 0].sum()),
        says="The second column says how many places lie in the band. Asked for is how many of the *matches* do.",
    ),
    Symptom.gives(
        "the_others_fire",
        second_column(lambda table, acts, matches, edges: (table[:, 0] - table[:, 1]) / (~matches).sum().item()),
        says="The second column is about the places that do not match: of these, the share in the band.",
    ),
    Symptom.gives(
        "missed",
        second_column(lambda table, *inputs: 1 - table[:, 3]),
        says="The second column is the share of matches outside the band. Asked for are those inside.",
    ),
    Symptom.gives(
        "mismatches",
        lambda *inputs: torch.stack(
            [(columns(*inputs)[:, 2] * -1 + 1) * (columns(*inputs)[:, 0] > 0), columns(*inputs)[:, 3]], dim=1
        ),
        lambda *inputs: torch.stack([1 - columns(*inputs)[:, 2], columns(*inputs)[:, 3]], dim=1),
        says="The first column is the share of the band that does not match.",
    ),
    Symptom.gives(
        "weighed",
        weighed_bands,
        says="The places were weighed by their activations. Count them: each place once.",
    ),
    Symptom.gives(
        "counts",
        lambda *inputs: columns(*inputs)[:, [1, 1]],
        lambda *inputs: columns(*inputs)[:, [0, 1]],
        lambda *inputs: columns(*inputs)[:, [1, 0]],
        says="These are numbers of places. Asked for are shares.",
    ),
    Symptom.gives(
        "absolute",
        lambda acts, matches, edges: columns(acts.abs(), matches, edges)[:, 2:],
        says="The sign of the activations was dropped. A neuron at -2 is not on.",
    ),
    Symptom(
        "a_row_per_edge",
        lambda got, want, acts, matches, edges: got.shape == (len(edges), 2),
        says="One row for each edge came back. Between {edge} edges lie one band fewer.",
    ),
    Symptom.from_truth(
        "transposed",
        lambda want, *inputs: want.T,
        says="One row for each column came back: the rows are the bands.",
    ),
)


def by_hits(least):
    return lambda hits: sum(hits) >= least * len(hits)


def most_hits(good, hits, top):
    return max(good, key=lambda s: sum(hits[s][place] for place in top))


def most_hits_then_rarest(good, hits, top):
    return max(good, key=lambda s: (sum(hits[s][place] for place in top), -sum(hits[s])))


def commonest(good, hits, top):
    return max(good, key=lambda s: sum(hits[s]))


def first(good, hits, top):
    return good[0]


def last(good, hits, top):
    return good[-1]


def told(fits=all, prefer=rarest, otherwise=-1, key=lambda act: act):
    return lambda acts, matches, k: chosen_stories(acts, matches, k, fits, prefer, otherwise, key)


def anything(hits):
    return True


def slow_best_share(acts, matches, k):
    """For each neuron the story of which the largest share of places is among the strongest."""
    return chosen_stories(
        acts,
        matches,
        k,
        anything,
        lambda good, hits, top: max(good, key=lambda s: sum(hits[s][p] for p in top) / max(1, sum(hits[s]))),
    )


STORY_SYMPTOMS = (
    Symptom.gives(
        "none_fits",
        told(otherwise=0),
        told(otherwise=1),
        lambda acts, matches, k: chosen_stories(acts, matches, k, all, rarest, matches.sum(0).argmin().item()),
        lambda acts, matches, k: chosen_stories(acts, matches, k, all, rarest, matches.shape[1]),
        lambda acts, matches, k: chosen_stories(acts, matches, k, all, rarest, matches.shape[1] - 1),
        says="Where no story fits, something else than -1 came back. argmin and argmax always find somebody.",
    ),
    Symptom.gives(
        "commonest",
        told(prefer=commonest),
        told(prefer=commonest, otherwise=0),
        says="Where several stories fit, you took the one that matches most places. The sharpest claim is the one that matches fewest.",
    ),
    Symptom.gives(
        "first_that_fits",
        told(prefer=first),
        told(prefer=first, otherwise=0),
        told(prefer=last),
        says="Where several stories fit, you took one by its place in the list. Take the one that matches the fewest places.",
    ),
    Symptom.gives(
        "not_all",
        told(anything, most_hits),
        told(anything, most_hits_then_rarest),
        told(by_hits(0.5), most_hits),
        told(by_hits(0.5)),
        told(by_hits(0.5), most_hits_then_rarest),
        says="A story was taken that misses one of the k strongest places. It has to match all of them.",
    ),
    Symptom.gives(
        "one_is_enough",
        told(any),
        told(any, first),
        lambda acts, matches, k: slow_stories(acts, matches, 1),
        lambda acts, matches, k: chosen_stories(acts, matches, 1, all, first),
        says="A story was taken that matches one of the strongest places. It has to match all k of them.",
    ),
    Symptom.gives(
        "one_more_or_less",
        lambda acts, matches, k: slow_stories(acts, matches, k + 1),
        lambda acts, matches, k: slow_stories(acts, matches, k - 1),
        says="You looked at one place more or less than k of them.",
    ),
    Symptom.gives(
        "weakest",
        told(key=lambda act: -act),
        says="You took the places with the smallest activations. The strongest are the largest.",
    ),
    Symptom.gives(
        "absolute",
        told(key=abs),
        says="You took the largest activations without their sign. A neuron at -6 is off.",
    ),
    Symptom.gives(
        "share_of_the_story",
        slow_best_share,
        says="You took the story of which most is among the strongest places. A rare story that misses one is not a fit.",
    ),
    Symptom(
        "one_per_story",
        lambda got, want, acts, matches, k: got.shape == (matches.shape[1],),
        says="One number per story came back. Asked for is one story for each of the {neuron} neurons.",
    ),
    Symptom(
        "a_table",
        lambda got, want, *inputs: got.ndim == 2,
        says="A table came back. Asked for is one story for each of the {neuron} neurons.",
    ),
    Symptom(
        "does_not_fit",
        lambda got, want, acts, matches, k: (
            got.shape == want.shape
            and any(
                0 <= story < matches.shape[1] and not matches[acts[:, i].topk(k).indices, int(story)].all()
                for i, story in enumerate(got.tolist())
            )
        ),
        says="For some neuron a story came back that misses one of its k strongest places. "
        "If you take an argmin: zero is the smallest of sizes, so give a story that does not fit a size that cannot win.",
    ),
)


def scored(count, over=None, of=effects):
    return lambda w_out, W_U, following: ranked(of(w_out, W_U), following, count, over)


def sorted_places(w_out, W_U, following):
    """What argsort once says of the tokens: the token at that rank, not the rank of that token."""
    order = torch.tensor([sorted(range(len(row)), key=row.__getitem__) for row in effects(w_out, W_U).tolist()])
    return order.gather(1, following).double().mean(1) / W_U.shape[1]


def sorted_places_down(w_out, W_U, following):
    return sorted_places(-w_out, W_U, following)


def cosines(w_out, W_U):
    return effects(w_out, W_U) / W_U.double().square().sum(0).sqrt()


def mean_rank_only(w_out, W_U, following):
    """The rank of the mean effect."""
    scores = effects(w_out, W_U)
    means = scores.gather(1, following).mean(1, keepdim=True)
    return (scores < means).double().mean(1)


PROMOTED_SYMPTOMS = (
    Symptom.gives(
        "from_the_top",
        scored(lambda row, score: sum(other > score for other in row)),
        scored(lambda row, score: sum(other >= score for other in row)),
        says="This is the share that is promoted *more*. Then a small number would be a good sign.",
    ),
    Symptom.gives(
        "itself",
        scored(lambda row, score: sum(other <= score for other in row)),
        says="The token itself was counted among those that are promoted less.",
    ),
    Symptom.gives(
        "sorted_once",
        sorted_places,
        sorted_places_down,
        lambda w_out, W_U, following: 1 - sorted_places_down(w_out, W_U, following),
        says="argsort gives the token at each rank, not the rank of each token. Sort twice, or count.",
    ),
    Symptom.gives(
        "effect",
        scored(lambda row, score: score, 1),
        scored(lambda row, score: score - average(row), 1),
        says="This is the mean effect itself, in logits. Asked for is a share of the vocabulary.",
    ),
    Symptom.gives(
        "absolute",
        scored(lambda row, score: sum(abs(other) < abs(score) for other in row)),
        says="The sign of the effects was dropped: what the neuron suppresses counts as promoted.",
    ),
    Symptom.gives(
        "top_of_the_list",
        scored(lambda row, score: score == max(row), 1),
        scored(lambda row, score: fewer(row, score) >= len(row) - 5, 1),
        scored(lambda row, score: fewer(row, score) >= len(row) - 10, 1),
        scored(lambda row, score: score > 0, 1),
        scored(lambda row, score: score > average(row), 1),
        says="This is the share of examples whose token is near the top of the list, or above zero. "
        "Asked for is how far up each of them is.",
    ),
    Symptom.gives(
        "cosine",
        scored(fewer, of=cosines),
        says="The unembeddings were made equally long first. The logits know their length.",
    ),
    Symptom.gives(
        "rank_of_the_mean",
        mean_rank_only,
        says="You averaged the effects first and took the rank of that. Each example has a rank of its own: average those.",
    ),
    Symptom.gives(
        "across_neurons",
        lambda w_out, W_U, following: torch.stack(
            [
                (effects(w_out, W_U)[:, tokens] < effects(w_out, W_U)[neuron, tokens]).double().mean()
                for neuron, tokens in enumerate(following)
            ]
        ),
        says="Each token's effect was compared with that of the other neurons. Compare it with the other tokens.",
    ),
    Symptom.gives(
        "ranks",
        scored(fewer, 1),
        scored(lambda row, score: sum(other > score for other in row), 1),
        scored(lambda row, score: sum(other <= score for other in row), 1),
        scored(lambda row, score: sum(other >= score for other in row), 1),
        says="These are ranks. Divide by the size of the vocabulary.",
    ),
    Symptom.gives(
        "probability",
        lambda w_out, W_U, following: effects(w_out, W_U).softmax(1).gather(1, following).mean(1),
        says="This is a probability, as if this neuron were the whole model. Asked for is how many tokens it promotes less.",
    ),
    Symptom.gives(
        "best_example",
        lambda *inputs: (
            torch.stack([slow_promoted(*inputs[:2], inputs[2][:, [i]]) for i in range(inputs[2].shape[1])])
            .max(0)
            .values
        ),
        lambda *inputs: (
            torch.stack([slow_promoted(*inputs[:2], inputs[2][:, [i]]) for i in range(inputs[2].shape[1])])
            .median(0)
            .values
        ),
        lambda *inputs: slow_promoted(*inputs[:2], inputs[2][:, :1]),
        says="One example stands for all: the best, the middle or the first. Take the mean over them.",
    ),
    Symptom(
        "not_averaged",
        lambda got, want, w_out, W_U, following: got.shape == following.shape,
        says="One number for each example came back. Average over the {k} examples of a neuron.",
    ),
    Symptom(
        "averaged_away",
        lambda got, want, *inputs: got.ndim == 0,
        says="One number came back. Keep one for each of the {neuron} neurons.",
    ),
)


def driven_by(rows, summary=average, base=of_all):
    return lambda parts, scale, w_in, chosen: against(rows(parts, scale, w_in), chosen, summary, base)


def of_the_rest(row, marks):
    return average([x for x, mark in zip(row, marks, strict=True) if not mark])


def nothing(row, marks):
    return 0.0


def own_scale(parts, scale, w_in, eps=0.0):
    centred = parts.double() - parts.double().mean(-1, keepdim=True)
    lengths = (centred.square().mean(-1, keepdim=True) + eps).sqrt()
    return torch.einsum("spd,d->sp", centred / lengths, w_in.double()).tolist()


def summed_scale(parts, scale, w_in):
    """Divided by the scale of the parts' sum, whatever scale was given."""
    whole_stream = parts.double().sum(0)
    lengths = whole_stream.var(-1, correction=0).sqrt()
    return contributions(parts, lengths, w_in)


def unscaled(parts, scale, w_in):
    return contributions(parts, torch.ones_like(scale), w_in)


def uncentred(parts, scale, w_in):
    return contributions(parts, scale, w_in, centred=False)


def neither(parts, scale, w_in):
    return contributions(parts, torch.ones_like(scale), w_in, centred=False)


def multiplied(parts, scale, w_in):
    return contributions(parts, 1 / scale.double(), w_in)


def one_scale(parts, scale, w_in):
    return contributions(parts, torch.full_like(scale, scale.mean().item()), w_in)


def centred_over_places(parts, scale, w_in):
    return contributions(parts - parts.mean(1, keepdim=True), scale, w_in, centred=False)


DRIVEN_SYMPTOMS = (
    Symptom.gives(
        "own_scale",
        driven_by(own_scale),
        driven_by(functools.partial(own_scale, eps=1e-5)),  # torch's layer_norm
        driven_by(summed_scale),
        says="Each source was divided by a length of its own. They share one norm, that of the whole stream: use scale.",
    ),
    Symptom.gives(
        "not_divided",
        driven_by(unscaled),
        driven_by(neither),
        says="The scale is missing: the neuron reads the stream after its norm.",
    ),
    Symptom.gives(
        "not_centred",
        driven_by(uncentred),
        says="The norm subtracts each vector's own mean over d_model, and that is missing here.",
    ),
    Symptom.gives(
        "centred_over_places",
        driven_by(centred_over_places),
        says="The mean over the places was subtracted before dividing. The norm subtracts each vector's own mean, over d_model.",
    ),
    Symptom.gives(
        "multiplied",
        driven_by(multiplied),
        says="You multiplied by the scale. A norm divides by it.",
    ),
    Symptom.gives(
        "one_scale",
        driven_by(one_scale),
        says="All places were divided by one and the same scale. Each has its own.",
    ),
    Symptom.gives(
        "no_baseline",
        driven_by(contributions, base=nothing),
        driven_by(uncentred, base=nothing),
        says="This is what the sources add at the chosen places. Much of it they add everywhere: subtract the mean over all places.",
    ),
    Symptom.gives(
        "against_the_rest",
        driven_by(contributions, base=of_the_rest),
        says="You subtracted the mean over the places that were not chosen. The baseline is the mean over all places.",
    ),
    Symptom.gives(
        "all_places",
        lambda parts, scale, w_in, chosen: torch.tensor([average(row) for row in contributions(parts, scale, w_in)]),
        says="The chosen places play no part in this: it is the mean over all of them.",
    ),
    Symptom.gives(
        "sums",
        driven_by(contributions, summary=math.fsum, base=lambda row, marks: math.fsum(row)),
        driven_by(contributions, summary=math.fsum),
        driven_by(contributions, summary=math.fsum, base=nothing),
        says="The places were added, not averaged: more places would look like a stronger cause.",
    ),
    Symptom.from_truth(
        "wrong_way_round",
        lambda want, *inputs: -want,
        says="The sign is the other way round: the chosen places less all places.",
    ),
    Symptom.from_truth(
        "shares",
        lambda want, *inputs: want / want.sum(),
        says="These are shares of the total. Keep the amounts: a share explodes where sources cancel.",
    ),
    Symptom.from_truth(
        "averaged_away",
        lambda want, *inputs: want.sum(),
        lambda want, *inputs: want.mean(),
        says="One number came back. Keep one for each of the {source} sources.",
    ),
    Symptom(
        "one_per_place",
        lambda got, want, parts, *inputs: got.shape == parts.shape[:2],
        says="One number per place came back. Average over the chosen places.",
    ),
)


def above(another):
    """Precision and recall from another threshold."""

    def wrong(acts, matches, share):
        on = acts >= another * acts.max()
        return (on & matches).sum() / on.sum(), (on & matches).sum() / matches.sum()

    return wrong


def of_the_strongest(acts, matches, share):
    top = matches[acts.topk(20).indices].double()
    return top.mean(), top.sum() / matches.sum()


MINE_SYMPTOMS = (
    Symptom.from_truth(
        "swapped",
        lambda want, *inputs: (want[1], want[0]),
        says="Right numbers, wrong order: first precision, then recall.",
    ),
    Symptom.gives(
        "another_threshold",
        above(0.9),
        above(0.75),
        above(0.5),
        above(0.25),
        above(0.2),
        above(0.1),
        above(0.05),
        above(1e-9),
        says="These are precision and recall for another threshold. Count from my_share of its largest activation up.",
    ),
    Symptom.gives(
        "twenty_only",
        of_the_strongest,
        says="These are the twenty strongest places alone. Take all from my_share of its largest activation up.",
    ),
    Symptom(
        "recall_of_another",
        lambda got, want, *inputs: abs(got[0] - want[0]) < 0.005,
        says="The precision is right. Recall: of all places that match, the share that is on.",
    ),
    Symptom(
        "elsewhere",
        lambda got, want, *inputs: all(0 <= one <= 1 for one in got),
        says="Two shares, but not these. Is it your neuron, with your regex, on half b?",
    ),
)

PUZZLE = Puzzle(
    slug="regex_neuron",
    title="Twenty out of twenty",
    question="A neuron's twenty strongest examples all match one regex. Is that what it means?",
    principle="The strongest examples are a selection: a meaning is held against every activation and every match.",
    minutes=45,
    models=("mini-1l",),
    after=(),
    draw=draw_neuron,
    problems={
        "1.1": "promoted",
        "1.8": "by_band",
        "6.27": "fitting_story",
        "6.32": "promoted",
        "6.34": "by_band",
        "9.1": "my_neuron",
        "9.9": "by_band",
        "9.10": "promoted",
        "9.12": "driven",
        "9.45": "by_band",
        "9.63": "by_band",
    },
    parts=(
        Part(
            name="by_band",
            takes=("pos", "pos", "edge"),
            returns="band column",
            points=2,
            cases=band_cases,
            spec=slow_bands,
            symptoms=BAND_SYMPTOMS,
            hints=(
                "One band at a time: which places are in it? (acts >= low) & (acts < high), for neighbouring edges.",
                "The places in the band that match are counted once, and divided twice: by the band, and by all matches.",
                "An empty band: clamp the number you divide by to at least 1.",
            ),
            meaning="Two questions about one table of counts: what does the neuron's word mean, and does it say it when it should?",
        ),
        Part(
            name="fitting_story",
            takes=("pos neuron", "pos story", ""),
            returns="neuron",
            points=3,
            cases=story_cases,
            spec=slow_stories,
            symptoms=STORY_SYMPTOMS,
            kind="integer",
            hints=(
                "acts.topk(k, dim=0).indices is [k, neuron]. What does matches[...] of that look like, and what does all(0) say?",
                "Give a story that does not fit a size that cannot win, and take the argmin of the sizes.",
                "Where no story fits, argmin still names one: torch.where puts -1 there.",
            ),
            meaning="The search that people do by eye, for all neurons at once. It never looks below the top.",
        ),
        Part(
            name="promoted",
            takes=("neuron d_model", "d_model d_vocab", "neuron k"),
            returns="neuron",
            points=2,
            cases=promoted_cases,
            spec=slow_promoted,
            symptoms=PROMOTED_SYMPTOMS,
            hints=(
                "w_out @ W_U is what each neuron adds to each logit: [neuron, d_vocab].",
                "gather(1, following) takes out the effects on the tokens that followed. Compare each with the whole row.",
            ),
            meaning="One half where the neuron's word has nothing to do with what follows, 1 where it names it.",
        ),
        Part(
            name="driven",
            takes=("source pos d_model", "pos", "d_model", "pos"),
            returns="source",
            points=2,
            cases=driven_cases,
            spec=slow_driven,
            symptoms=DRIVEN_SYMPTOMS,
            hints=(
                "The norm subtracts each vector's mean over d_model and divides by the scale of its place; then the neuron "
                "takes the product with w_in. All of this is linear once the scale is held.",
                "That gives one number for each source and place. Two means of it, and their difference.",
            ),
            meaning="With the scale held, the sources add up to the neuron's input, up to a constant.",
        ),
        Part(
            name="my_neuron",
            takes=("pos", "pos", ""),
            returns=("", ""),
            points=2,
            cases=own_case,
            spec=slow_my_neuron,
            symptoms=MINE_SYMPTOMS,
            tolerance=5e-3,
            value=True,
            hints=(
                "acts_b[:, my_number], and matching(my_regex, texts_b).",
                "by_band with a single band, from my_share of the largest activation to infinity.",
            ),
            meaning="Twenty out of twenty, and these two numbers: the examples said neither.",
        ),
    ),
    predictions=(
        Prediction("share that matches where it is on", between=(0, 1)),
        Prediction("random directions with a story", between=(0, 512), within=10),
    ),
    free_text=(
        FreeText(
            name="explanation",
            points=3,
            rubric=(
                "Precision down the whole range of activations, not at the top alone, where new text confirms it as well.",
                "Recall: over all matches, the share at which the neuron is on.",
                "A control searched as hard, such as random directions, or an intervention: where does the loss rise without it?",
            ),
        ),
    ),
)
