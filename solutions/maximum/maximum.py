# %% [markdown]
# # The largest of five
#
# One attention head, trained on *pairs* of numbers: say the larger. It gets all 1,024 pairs right.
# Then it meets lists of five, which it has never seen. Of 20,000 random lists it gets 20,000 right, and 19,999 of ten numbers.
#
# Yet there are lists of five that it gets wrong: one in 230,000. You will know which numbers they have at the top after trying one list in 700.
#
# **How does attention compare numbers, and when does it get them wrong?**
#
# The control: a second head with the same marks at five. It has no such list, and you will know that without trying them all.
#
# *40 minutes. You need to know queries, keys and values. Guesses are kept on your machine and never marked.*

# %%
from itertools import combinations_with_replacement, permutations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from mechpuzzles import load_puzzle, plots

torch.set_grad_enabled(False)
puzzle = load_puzzle("maximum")
END = 32  # the numbers are 0 to 31; token 32 stands behind every list


# %% [markdown]
# No positions, MLP or LayerNorm. The answer is read at END.


# %%
def model(w, lists):  # logits, [batch, 32]; a token has one key and one value, wherever it stands
    tokens, end = F.pad(lists, (0, 1), value=END), w["W_E"][END]
    q, k, v = end @ w["W_Q"], (w["W_E"] @ w["W_K"])[tokens], (w["W_E"] @ w["W_V"])[tokens]
    pattern = (k @ q / k.shape[-1] ** 0.5).softmax(-1)
    return (end + (pattern[:, None] @ v)[:, 0] @ w["W_O"]) @ w["W_U"]


def fresh(seed):  # W_E is [33, 16], W_U is [16, 32], the others are [16, 16]
    rng, sizes = torch.Generator().manual_seed(seed), {"W_E": 33, "W_Q": 16, "W_K": 16, "W_V": 16, "W_O": 16, "W_U": 16}
    columns = {name: 32 if name == "W_U" else 16 for name in sizes}
    return {n: torch.randn(sizes[n], columns[n], generator=rng, dtype=torch.float64) / 4 for n in sizes}


# %%
def train(columns, steps, seed=2):  # on pairs [a, b], in the order that columns says: [0, 1, 1] is a, b, b
    w, rng = {name: one.requires_grad_() for name, one in fresh(seed).items()}, torch.Generator().manual_seed(seed)
    adam = torch.optim.Adam(w.values(), lr=0.01)
    for _ in range(steps):
        lists = torch.randint(32, (256, 2), generator=rng)[:, columns]
        with torch.enable_grad():
            F.cross_entropy(model(w, lists), lists.max(1).values).backward()
        adam.step()
        adam.zero_grad()
    return {name: one.detach().float() for name, one in w.items()}


# %%
def correct(w, lists):
    return torch.cat([model(w, some).argmax(1) == some.max(1).values for some in lists.split(20_000)])


w = train([0, 1], steps=600)
pairs = torch.cartesian_prod(torch.arange(32), torch.arange(32))
print(f"pairs: {correct(w, pairs).sum()} of {len(pairs)} right")
rng = torch.Generator().manual_seed(0)
tests = {length: torch.randint(32, (20_000, length), generator=rng) for length in (5, 10)}
for length, lists in tests.items():
    print(f"random lists of {length}: {correct(w, lists).sum()} of {len(lists)} right")

# %% [markdown]
# ## Commit
#
# In a list of five, 12 is the largest. Which company is most dangerous?
#
# - `"close"`: 11, 10, 9, 8
# - `"copies"`: 11, 11, 11, 11
# - `"low"`: 0, 0, 0, 0
#
# And how many of the 32 numbers are the largest of *some* list of five that the model gets wrong?

# %% open="predict-company"
puzzle.predict("hardest company", ..., because="", sure=...)

# %% open="predict-count"
puzzle.predict("numbers that can fail", ..., because="", sure=...)  # between 0 and 32

# %% [markdown]
# ## Two tables
#
# The query is always END. So each token has one score, whatever stands beside it, and one row of logits that it would give if it got all attention.
# About two lines.


# %% stub="tables"
def tables(W_E, W_Q, W_K, W_V, W_O, W_U):
    """scores, shape [d_vocab], and writes, shape [d_vocab, n], of a model like the one above.

    scores[t]: the attention score, before the softmax, that the query of END gives the key of token t.
    writes[t]: the logits at END if all attention went to token t; END's own embedding still reaches them.
    W_E is [d_vocab, d_model], its last row END's. W_Q, W_K and W_V are [d_model, d_head], W_O is [d_head, d_model],
    and W_U is [d_model, n].
    """
    ### BEGIN SOLUTION
    end = W_E[-1]
    return W_E @ W_K @ (end @ W_Q) / W_Q.shape[1] ** 0.5, (end + W_E @ W_V @ W_O) @ W_U
    ### END SOLUTION


# %% check="tables"
puzzle.check("tables", tables)
### BEGIN HIDDEN TESTS
puzzle.grade("tables", tables)
### END HIDDEN TESTS

# %%
scores, writes = tables(**w)
untrained, _ = tables(**fresh(2))
titles = {"x_title": "number", "y_title": "score above that of 0"}
plots.lines(range(32), {"trained": scores[:32] - scores[0], "untrained": untrained[:32] - untrained[0]}, **titles)

# %%
rises = scores[1:32] - scores[:31]
print(f"the score rises {(rises > 0).sum()} times of 31, by {rises.min():.2f} to {rises.max():.2f}")
plots.heatmap(writes[:32], rows=range(32), columns=range(32), x_title="for", y_title="number", colour_title="logit")

# %% [markdown]
# Larger numbers score higher, and each number writes itself.
#
# "Writes itself" is often reported as one number, the **copying score**: an eigenvalue says by how much the table multiplies some mix of numbers.
# All positive, score 1: it copies. All negative, score -1: it suppresses. About two lines.


# %% stub="copying_score"
def copying_score(table: Float[Tensor, "n n"]):
    """The sum of the eigenvalues of a square table, over the sum of their absolute values; one real number.

    Eigenvalues may be complex. Their imaginary parts cancel in the first sum; in the second they count.
    """
    ### BEGIN SOLUTION
    eigenvalues = torch.linalg.eigvals(table)
    return eigenvalues.sum().real / eigenvalues.abs().sum()
    ### END SOLUTION


# %% check="copying_score"
puzzle.check("copying_score", copying_score)
### BEGIN HIDDEN TESTS
puzzle.grade("copying_score", copying_score)
### END HIDDEN TESTS

# %% [markdown]
# Two tables made by hand stand beside the head's. In `lower`, 0 writes itself, and every other number the next lower one.
# In `tilted`, each number writes itself most, but the larger ones almost as much, and the smaller ones as much the other way.

# %%
upper = torch.ones(32, 32).triu(1)
lower = torch.ones(32, 32).tril(-1).triu(-1)
lower[0, 0] = 1.0
tilted = torch.eye(32) + 0.9 * (upper - upper.T)
made = {"the head": writes[:32], "untrained": tables(**fresh(2))[1][:32], "lower": lower, "tilted": tilted}
for name, table in made.items():
    right = (table.argmax(1) == torch.arange(32)).sum()
    print(f"{name:>9}: copying score {copying_score(table):.2f}, rows largest at their own number: {right} of 32")

# %% [markdown]
# `lower` scores 1 and is right about one number: a triangular table has its eigenvalues on the diagonal, and they see nothing beside it.
# `tilted` scores low and is right about all: its eigenvalues are complex, each with real part 1, and their imaginary parts count below the line only.
#
# A score sums up a table and names no failure. So far this is a story about success. Where does it fail?
#
# ## Counts
#
# Without positions, a list is its counts. One or two lines.


# %% stub="logits_from"
def logits_from(
    scores: Float[Tensor, "d_vocab"], writes: Float[Tensor, "d_vocab n"], counts: Float[Tensor, "batch d_vocab"]
) -> Float[Tensor, "batch n"]:
    """The model's logits for lists that are given by their counts.

    counts[i, t]: how often token t stands in list i; END, the last token, is counted too.
    Each position gets its softmax share of attention. A score may be above 100, where exp overflows in float32.
    """
    ### BEGIN SOLUTION
    return (scores + counts.log()).softmax(-1) @ writes
    ### END SOLUTION


# %% check="logits_from"
puzzle.check("logits_from", logits_from)
### BEGIN HIDDEN TESTS
puzzle.grade("logits_from", logits_from)
### END HIDDEN TESTS


# %%
def counted(lists, d_vocab=END + 1):  # [batch, d_vocab]; the last of d_vocab tokens, END, is added to each list
    return F.one_hot(F.pad(lists, (0, 1), value=d_vocab - 1), d_vocab).sum(1).float()


def lead(logits, best):  # of best over the largest other
    return logits[:, best] - logits.index_fill(1, torch.tensor(best), -torch.inf).max(1).values


apart = (logits_from(scores, writes, counted(tests[5])) - model(w, tests[5])).abs().max()
print(f"counts and model differ by at most {apart:.4f}")

# %%
companies = {"close": [11, 10, 9, 8], "copies": [11, 11, 11, 11], "low": [0, 0, 0, 0]}
puzzle.recall("hardest company")
leads = {}
for name, others in companies.items():
    leads[name] = [lead(model(w, torch.tensor([[12, *others[:n]]])), 12)[0] for n in range(1, 5)]
plots.lines(range(1, 5), leads, x_title="12, with how many others", y_title="lead of 12, logits")

# %% [markdown]
# With four copies the lead is negative: the model says 11. No number is compared with another. Each is scored alone, and each copy **votes**:
#
#     logit[best] - logit[j] = sum over the list of share * (writes[best] - writes[j])
#
# The shares have one positive denominator, so a copy's vote has a size and a sign of its own.
# Which list of a given length has the smallest lead? There are 376,992 lists of five. How many need trying? About three lines, with `counted` and `lead`.


# %% stub="hardest_list"
def hardest_list(scores: Float[Tensor, "d_vocab"], writes: Float[Tensor, "d_vocab n"], best, length):
    """A list of `length` ints, largest number `best`, on which the lead of best is smallest.

    The lead is the logit of best minus the largest other logit. Numbers are 0 to best, in any order and repeated
    as you like; best stands in the list at least once. END, not part of the result, stands behind it.
    The tables have a size of their own: counted(lists, len(scores)).
    """
    ### BEGIN SOLUTION
    lists = torch.tensor([[best] + [other] * (length - 1) for other in range(best + 1)])
    leads = lead(logits_from(scores, writes, counted(lists, len(scores))), best)
    return lists[leads.argmin()].tolist()
    ### END SOLUTION


# %% check="hardest_list"
puzzle.check("hardest_list", hardest_list)
### BEGIN HIDDEN TESTS
puzzle.grade("hardest_list", hardest_list)
### END HIDDEN TESTS


# %%
def hardest_leads(w, length):  # for each number, from the weights alone
    scores, writes = tables(**w)
    found = [torch.tensor([hardest_list(scores, writes, best, length)]) for best in range(32)]
    return torch.cat([lead(logits_from(scores, writes, counted(one)), best) for best, one in enumerate(found)])


# %%
predicted = [best for best, smallest in enumerate(hardest_leads(w, 5)) if smallest <= 0]
puzzle.recall("numbers that can fail", found=len(predicted))
print("from the weights, these fail at five:", predicted)
for best in predicted[:4]:
    numbers = hardest_list(scores, writes, best, 5)
    print(f"{numbers}: the model says {model(w, torch.tensor([numbers])).argmax()}")

# %%
can_fail = [int((hardest_leads(w, length) <= 0).sum()) for length in range(1, 11)]
titles = {"x_title": "length of the list", "y_title": "numbers that can fail"}
guess = puzzle.prediction("numbers that can fail")
plots.lines(range(1, 11), {"on pairs": can_fail}, **titles, prediction=guess)

# %% [markdown]
# Your line meets the curve at the length for which your guess is right.
# Now let the model try all lists of five.

# %%
every = torch.tensor(list(combinations_with_replacement(range(32), 5)))
wrong = every[~correct(w, every)]
print(f"{len(wrong)} of {len(every):,} fail; their largest numbers: {sorted(set(wrong[:, -1].tolist()))}")
print(wrong.tolist()[:5])
orders = sum(len(set(permutations(row))) for row in wrong.tolist())
print(f"a random list of five fails once in {32**5 / orders:,.0f}")

# %% [markdown]
# Not one number was missed, and none was named for nothing.
#
# ## Controls
#
# The second head was trained on lists `a, b, b, b, b`. And an untrained one.

# %%
safe = train([0, 1, 1, 1, 1], steps=1000)
heads = {"on pairs": w, "on copies": safe, "untrained": {name: one.float() for name, one in fresh(2).items()}}
for name, head in heads.items():
    passed = [int(correct(head, lists).sum()) for lists in (pairs, *tests.values())]
    can_fail = [int((hardest_leads(head, length) <= 0).sum()) for length in (5, 10)]
    print(f"{name}: right {passed}; numbers that can fail: {can_fail[0]} at five, {can_fail[1]} at ten")

# %%
titles = {"x_title": "largest number", "y_title": "smallest lead, logits"}
plots.lines(range(32), {name: hardest_leads(heads[name], 5) for name in ("on pairs", "on copies")}, **titles)

# %% [markdown]
# The tests hardly tell the two trained heads apart. The weights do: the second is right on *every* list of five.
# There are 1.1 billion lists of ten, and still only 528 to try.
#
# ## Intervene
#
# If the votes are right, you know what mends the first head. Double `W_Q`, or double `W_U`: after which can no number fail at five?

# %% open="predict-matrix"
puzzle.predict("matrix that mends it", ..., because="", sure=...)  # "W_Q", "W_U", "both" or "neither"

# %%
puzzle.recall("matrix that mends it")
for name in ("W_Q", "W_U"):
    doubled = w | {name: 2 * w[name]}
    can_fail = [int((hardest_leads(doubled, length) <= 0).sum()) for length in (5, 10)]
    print(f"{name} doubled: {can_fail[0]} can fail at five, {can_fail[1]} at ten")
    print("  12, 11, 11, 11, 11: it says", model(doubled, torch.tensor([[12, 11, 11, 11, 11]])).argmax().item())

# %% [markdown]
# `W_U` scales all votes alike. `W_Q` widens the gaps between scores, and shares go with exp(gap).
#
# Are scores the whole story, then? Say that a number fails where its four copied rivals take more than half of the attention:

# %%
by_attention = [best for best in range(1, 32) if 4 * (scores[best - 1] - scores[best]).exp() > 1]
print("less than half of the attention:", by_attention)
print("of these, right all the same:", [best for best in by_attention if best not in predicted])

# %% [markdown]
# Attention alone names seven for nothing. A vote is attention *times what is written*.
#
# ## Your own head
#
# Yours knows the numbers 0 to 11; token 12 is END. Label each number by the shortest list that it is the largest of, and the head gets wrong:
#
# - `"alone"`: it stands there once, alone
# - `"pair"`: two numbers
# - `"crowd"`: three to six
# - `"never"`: none of up to six

# %% open="variant"
my_weights = puzzle.variant("your name or id")  # W_E, W_Q, W_K, W_V, W_O, W_U
my_scores, my_writes = tables(*my_weights)
print(f"copying score {copying_score(my_writes[:12]):.2f}")
plots.lines(range(12), {"my head": my_scores[:12]}, x_title="number", y_title="score")

# %% stub="my_numbers"
my_numbers = ...  # a list of twelve labels
### BEGIN SOLUTION
my_numbers = []
for best in range(12):
    label = "never"
    for name, length in (("crowd", 6), ("pair", 2), ("alone", 1)):
        numbers = torch.tensor([hardest_list(my_scores, my_writes, best, length)])
        smallest = lead(logits_from(my_scores, my_writes, counted(numbers, 13)), best)
        label = name if smallest <= 0 else label
    my_numbers.append(label)
### END SOLUTION

# %% check="my_numbers"
puzzle.check("my_numbers", my_numbers)
### BEGIN HIDDEN TESTS
puzzle.grade("my_numbers", my_numbers)
### END HIDDEN TESTS

# %% [markdown]
# ## Explain
#
# A colleague writes: "The head attends to the largest number and copies it. It passed 20,000 random tests, so that is how it works."
# Answer in three to five sentences: what is missing, where would you look for a failure, and what would convince you that there is none?

# %% [markdown] free_text="explanation"
# ### BEGIN SOLUTION
# Random lists hardly ever hold several copies of a number just below the largest, so 20,000 of them say next to nothing about these.
# The head does not compare: it scores each number by itself, and every copy votes with exp(score) times what it writes, so enough copies of a close rival outvote the largest.
# I would read the scores and what is written from the weights, compute for each number the hardest list, and run the model on these.
# If the smallest lead is positive for every number, that is a proof for all lists of this length.
# ### END SOLUTION

# %% [markdown]
# ## The answer
#
# In rot13. Run the cell to decode it, once you have tried a part.

# %% [markdown] reveal="answer"
# It holds an election. The query is always END, so each number gets a score that knows nothing of the others. The softmax turns scores into weights, exp(score), and every copy in the list votes with its weight for what it writes. The largest wins if its votes, weight times what it writes, beat the others' together. A score that is higher by 0.6 gives 1.8 times the weight; training on pairs asks for no more than one.
#
# Between two candidates, the lead on a mixed list is a weighted mean of the leads on lists where one of the others fills all places. So the smallest lead has one repeated number, and trying them one after the other finds it. A few hundred lists stand for all.
#
# Softmax is not argmax, and a mechanism that says "attends to the largest, and copies it" is not finished: it says neither by how much, nor against how many. One that is finished names its failures. Here it named all of them, and no other.
#
# What this rests on: one layer, one fixed query, no positions and no norm. In a model that has these, the tables depend on more, and bounds take the place of equalities.

# %% [markdown]
# ## Play
#
# Other lengths, seeds and training lists. How long may lists get before the second head can fail?

# %% open="play"
played = safe  # or train([0, 1, 1], steps=600, seed=5)
can_fail = {length: int((hardest_leads(played, length) <= 0).sum()) for length in (2, 3, 4, 5, 10, 20)}
plots.bars(can_fail, x_title="length", y_title="numbers that can fail")

# %% [markdown]
# ## Where next
#
# - *Induction heads*: a head whose query is not fixed.
# - Problem 3.1: what do the scores of a head look like that *sorts*?
# - Problem 6.10: where else do copying scores mislead?
#
# Copying scores: Elhage et al. (2021), "A Mathematical Framework for Transformer Circuits", who leave out END's own embedding: 1.00 for this head. Gross et al. (2024, arXiv 2406.11779), "Compact Proofs of Model Performance via Mechanistic Interpretability", prove bounds for max-of-four, where the last number is the query.
