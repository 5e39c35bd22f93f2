# %% [markdown]
# # A new puzzle
#
# What is surprising, in two sentences.
#
# **Does it add up?**

# %%
from mechpuzzles import load_puzzle, plots
from mechpuzzles.geometry import cosine_histogram

puzzle = load_puzzle("new_puzzle")

# %% open="predict"
puzzle.predict("the number", ..., because="")

# %% [markdown]
# Say what to write, and how long the answer is. About one line.


# %% stub="row_sums"
def row_sums(W):
    """The sum of each row of W; shape [n]."""
    ### BEGIN SOLUTION
    return W.sum(dim=1)
    ### END SOLUTION


# %% check="row_sums"
puzzle.check("row_sums", row_sums)
### BEGIN HIDDEN TESTS
puzzle.grade("row_sums", row_sums)
### END HIDDEN TESTS

# %%
plots.pair_histogram(cosine_histogram([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]))

# %% [markdown]
# Explain in three sentences.

# %% [markdown] free_text="explanation"
# ### BEGIN SOLUTION
# Because each row is added.
# ### END SOLUTION

# %% [markdown] reveal="answer"
# Sums are sums.

# %% open="play"
row_sums
