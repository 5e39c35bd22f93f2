# %% [markdown]
# # The cheese or the corner
#
# A small network runs mazes. Reward alone trained it: reach the cheese.
# In its training the cheese lay somewhere in the three top rows and right columns.
# In mazes that it has never seen, made the same way, it finds the cheese in 99 of 100.
#
# **The agent always reaches the cheese. Is that what it wants?**
#
# You will lay the cheese elsewhere, weigh what pulls at the agent, and turn it round from the inside.
# Beside it runs a control, trained alike but with the cheese anywhere.
#
# *40 minutes. You need to know what activation patching is. Guesses are kept on your machine and never marked.*

# %%
import dataclasses
import math
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mechpuzzles import load_puzzle, plots
from mechpuzzles.zoo import mazes

# %%
torch.set_grad_enabled(False)
puzzle = load_puzzle("cheese_or_corner")
agents = mazes.load() | {"untrained": mazes.hooked()}
rng = torch.Generator().manual_seed(0)
grids = mazes.draw(400, rng)  # [maze, row, column], True where open; squares are numbered row by row
usual, cheese = mazes.place(grids, rng, region=3), mazes.place(grids, rng)
corner = torch.full_like(cheese, mazes.CORNER)  # the top right square


# %%
def show(agent, maze, cheese):
    steps = agent(mazes.observe(grids, cheese))[maze].argmax(0)
    signs = [["↑→↓←"[steps[r, c]] if grids[maze, r, c] else "#" for c in range(7)] for r in range(7)]
    signs[cheese[maze] // 7][cheese[maze] % 7] = "C"
    print("\n".join(" ".join(row) for row in signs))


show(agents["near"], 3, usual)

# %% [markdown]
# `C` is the cheese. The network gives log-probabilities of four steps for *every* square; arrows show the likeliest.

# %%
start = mazes.place(grids, rng)[:, None]
for name in ("near", "anywhere", "untrained"):
    for where, spots in {"as in training of near": usual, "anywhere": cheese}.items():
        log_probs = agents[name](mazes.observe(grids, spots))
        arrived = mazes.walk(log_probs, start, spots, horizon=60)[-1]
        print(f"{name:>9}, cheese {where}: reached by {arrived.float().mean():.0%}")

# %% [markdown]
# Anywhere, `near` finds about every other cheese; the control, nearly all.
#
# ## Commit
#
# What does `near` go for, when the cheese is not where it used to be?
#
# - `"cheese"`: the cheese, only clumsily in unfamiliar mazes.
# - `"corner"`: the top right corner, whatever lies where.
# - `"nearer"`: whichever of the two is nearer to it.
# - `"familiar"`: the cheese where training put it; the farther off it lies, the more up to the right instead.
#
# Take squares from which no step serves both goals. What share of its steps go towards the cheese?

# %% open="predict-story"
puzzle.predict("the story", ..., because="", sure=...)

# %% open="predict-share"
puzzle.predict("share of first steps towards the cheese", ..., because="", sure=...)  # between 0 and 1

# %% [markdown]
# ## Where the goals part
#
# A start is an open square. After each of four steps, so much is left to go to either goal:


# %%
def starts(agent, cheese, other):
    keep = grids.clone()  # every open square but the two goals
    keep.flatten(1).scatter_(1, torch.stack([cheese, other], 1), False)
    left = [mazes.after_steps(mazes.distances(grids, goal), math.inf) for goal in (cheese, other)]
    tables = (*left, agent(mazes.observe(grids, cheese)))
    return *(table.movedim(1, -1)[keep] for table in tables), keep.nonzero()


to_cheese, to_corner, log_probs, places = starts(agents["near"], cheese, corner)
maze = places[:, 0]  # then row and column
print(f"to the cheese, after up, right, down and left: {to_cheese[5].tolist()}")
print(f"to the corner: {to_corner[5].tolist()}")

# %% [markdown]
# A wall leaves `inf`. A step *serves* a goal if no other step leaves less to go; several can.
# About six lines.


# %% stub="first_steps"
def first_steps(
    to_cheese: Float[Tensor, "start step"], to_corner: Float[Tensor, "start step"], step: Int[Tensor, "start"]
) -> Float[Tensor, "goal"]:
    """Shares of the steps taken that serve the cheese, the corner, and neither; shape [3], sum 1.

    to_cheese, to_corner, shape [start, step]: what is left to go after each step; inf at a wall.
    step, shape [start]: the number of the step taken. Only starts count at which no step serves both goals.
    """
    ### BEGIN SOLUTION
    for_cheese = to_cheese == to_cheese.amin(1, keepdim=True)
    for_corner = to_corner == to_corner.amin(1, keepdim=True)
    apart = ~(for_cheese & for_corner).any(1)
    served = [table.gather(1, step[:, None])[apart, 0].float().mean() for table in (for_cheese, for_corner)]
    return torch.stack([*served, 1 - sum(served)])
    ### END SOLUTION


# %% check="first_steps"
puzzle.check("first_steps", first_steps)
### BEGIN HIDDEN TESTS
puzzle.grade("first_steps", first_steps)
### END HIDDEN TESTS

# %%
shares = {goal: {} for goal in ("cheese", "corner", "neither")}
for name in ("near", "anywhere", "corner", "untrained"):
    chances = starts(agents[name], cheese, corner)[2]
    for goal, share in zip(shares, first_steps(to_cheese, to_corner, chances.argmax(1)).tolist()):
        shares[goal][name] = share
guess = puzzle.prediction("share of first steps towards the cheese")
puzzle.recall("share of first steps towards the cheese", found=shares["cheese"]["near"])
plots.bars(shares, x_title="agent", y_title="share of first steps", prediction=guess)

# %% [markdown]
# `corner`, a third agent, always had its cheese *in* the corner. `near` goes for both.
#
# And the untrained network, it seems, for the corner. Draw it again, four times:

# %%
for seed in range(1, 5):
    raw = mazes.hooked(recipe=dataclasses.replace(mazes.RECIPE, seed=seed))
    chances = starts(raw, cheese, corner)[2]
    print(
        f"untrained, seed {seed}: {first_steps(to_cheese, to_corner, chances.argmax(1))[1]:.0%} to the corner", end=", "
    )
    print(
        f"likeliest step {chances.exp().amax(1).mean():.2f}, for {chances.exp().gt(0.01).sum(1).float().mean():.1f} open"
    )

# %% [markdown]
# Each likes a direction a little better, at random. A share of likeliest steps says nothing about strength.
#
# When does `near` go for which? Vary both distances at once.

# %%
from_agent = to_cheese.amin(1) + 1
from_corner = (cheese // 7 + 6 - cheese % 7)[maze]  # rows plus columns
rows = {"1-2": (1, 2), "3-4": (3, 4), "5-6": (5, 6), "7+": (7, 99)}
columns = {"1-4": (1, 4), "5-8": (5, 8), "9-12": (9, 12)}
table = torch.zeros(4, 3)
for i, (near, far) in enumerate(rows.values()):
    for j, (least, most) in enumerate(columns.values()):
        k = (near <= from_agent) & (from_agent <= far) & (least <= from_corner) & (from_corner <= most)
        table[i, j] = first_steps(to_cheese[k], to_corner[k], log_probs[k].argmax(1))[0]
words = {"y_title": "steps from agent to cheese", "x_title": "squares from cheese to corner"}
plots.heatmap(table, rows=list(rows), columns=list(columns), colour_title="share to the cheese", **words)

# %%
usual_place = ((cheese // 7 < 3) & (cheese % 7 > 3))[maze]
sides = {"where training put it": usual_place, "elsewhere": ~usual_place}
for lies, k in sides.items():
    print(f"cheese {lies}: {first_steps(to_cheese[k], to_corner[k], log_probs[k].argmax(1))[0]:.0%} go towards it")

# %% [markdown]
# Read along a row: the farther the cheese lies from where training had it, the less it pulls.
# One or two steps from a cheese far off, `near` mostly turns its back on it.
# The pull fades, it does not switch: elsewhere a third still go for the cheese.
#
# ## How much does each goal weigh?
#
# Take two open steps at one square. Their log-odds say how much likelier the first is; the *gain*, how many squares more it brings the agent towards each goal.


# %%
def pairs(to_cheese, to_corner, log_probs):
    first, second = torch.combinations(torch.arange(4)).T
    both = (to_cheese[:, first] + to_cheese[:, second]).isfinite()
    gain = [left[:, second][both] - left[:, first][both] for left in (to_cheese, to_corner)]
    return torch.stack(gain, 1), (log_probs[:, first] - log_probs[:, second])[both]


gain, log_odds = pairs(*starts(agents["near"], corner, corner)[:3])
for weights in ([6.0, 0.0], [0.0, 6.0], [3.0, 3.0], [9.0, -3.0]):
    error = (log_odds - gain @ torch.tensor(weights)).square().mean().sqrt()
    print(f"cheese in the corner, weights {weights}: error {error:.4f}")

# %% [markdown]
# Each explains the agent equally well, even the last, which *shuns* the corner. No number of such mazes would tell.
#
# Now where the gains differ. Which weights fit best, in least squares? One or two lines.


# %% stub="goal_weights"
def goal_weights(gain: Float[Tensor, "pair goal"], log_odds: Float[Tensor, "pair"]) -> Float[Tensor, "goal"]:
    """The two weights, cheese first, for which gain @ weights is nearest to log_odds; shape [2].

    gain, shape [pair, 2]; log_odds, shape [pair]. Least squared error over all pairs, without a constant.
    """
    ### BEGIN SOLUTION
    return torch.linalg.lstsq(gain, log_odds[:, None]).solution[:, 0]
    ### END SOLUTION


# %% check="goal_weights"
puzzle.check("goal_weights", goal_weights)
### BEGIN HIDDEN TESTS
puzzle.grade("goal_weights", goal_weights)
### END HIDDEN TESTS

# %%
for where, spots in {"as in training of near": usual, "anywhere": cheese}.items():
    gain, _ = pairs(*starts(agents["near"], spots, corner)[:3])
    print(f"cheese {where}: the two gains correlate at {torch.corrcoef(gain.T)[0, 1]:.2f}")
for name in ("near", "anywhere", "corner", "untrained"):
    gain, log_odds = pairs(*starts(agents[name], cheese, corner)[:3])
    alone = (gain * log_odds[:, None]).sum(0) / gain.square().sum(0)
    weights = goal_weights(gain, log_odds)
    explained = 1 - (log_odds - (gain * weights).sum(1)).square().sum() / log_odds.square().sum()
    print(f"{name:>9}: cheese and corner weigh {weights[0]:z.2f}, {weights[1]:z.2f}", end=" ")
    print(f"and explain {explained:.0%}; each fitted alone {alone[0]:z.2f}, {alone[1]:z.2f}")

# %%
for lies, k in sides.items():
    weights = goal_weights(*pairs(to_cheese[k], to_corner[k], log_probs[k]))
    print(f"near, cheese {lies}: {weights[0]:z.2f}, {weights[1]:z.2f}")

# %% [markdown]
# Fitted alone, the corner seems to pull at `anywhere`, since the gains are correlated. The untrained network's weights are next to nothing.
# One pair is an average: where training put it, the cheese outweighs the corner.
#
# When in training did each pull appear?

# %%
stages = {0: "untrained", 25: "near-25", 50: "near-50", 100: "near-100", 700: "near"}
found = [goal_weights(*pairs(*starts(agents[name], cheese, corner)[:3])) for name in stages.values()]
lines = dict(zip(("cheese", "corner"), torch.stack(found).T.tolist()))
plots.lines([str(update) for update in stages], lines, x_title="updates", y_title="weight")

# %% [markdown]
# The corner came first, as in two other seeds, one of which starts turned away from it.
# A likely reason: it is a good guess before anything sees the cheese.
#
# ## From the inside
#
# Weights describe choices, not what makes them.
# Move the cheese within its usual place, maze unchanged. Which channels notice? About two lines.


# %% stub="channel_shares"
def channel_shares(
    before: Float[Tensor, "maze channel row column"], after: Float[Tensor, "maze channel row column"]
) -> Float[Tensor, "channel"]:
    """Each channel's share of the squared change from before to after, over all mazes and squares; shape [channel].

    before, after, shape [maze, channel, row, column]. The shares sum to 1.
    """
    ### BEGIN SOLUTION
    changed = (after - before).square().sum((0, 2, 3))
    return changed / changed.sum()
    ### END SOLUTION


# %% check="channel_shares"
puzzle.check("channel_shares", channel_shares)
### BEGIN HIDDEN TESTS
puzzle.grade("channel_shares", channel_shares)
### END HIDDEN TESTS

# %%
site, moved = "acts.2", mazes.place(grids, rng, region=3)


def both_runs(agent):
    return [agent.run_with_cache(mazes.observe(grids, spots))[1][site] for spots in (usual, moved)]


before, after = both_runs(agents["near"])
noticing = channel_shares(before, after)
order = noticing.argsort(descending=True)
plots.bars({str(c): noticing[c].item() for c in range(12)}, x_title="channel", y_title="share of the change")

# %% [markdown]
# Does the agent *use* what they notice? Patch them: does it turn to where the cheese is not?
# Any large edit may upset a network, so you need one of the same size that knows nothing. About two lines.


# %% stub="random_edit"
def random_edit(before, after, noise) -> Float[Tensor, "maze channel row column"]:
    """before plus noise, scaled in each maze to the norm that after - before has in that maze.

    All three have shape [maze, channel, row, column], and so has the result; a maze's norm is over all the rest.
    """
    ### BEGIN SOLUTION
    scale = (after - before).flatten(1).norm(dim=1) / noise.flatten(1).norm(dim=1)
    return before + scale[:, None, None, None] * noise
    ### END SOLUTION


# %% check="random_edit"
puzzle.check("random_edit", random_edit)
### BEGIN HIDDEN TESTS
puzzle.grade("random_edit", random_edit)
### END HIDDEN TESTS


# %%
to_moved, to_usual, _, at = starts(agents["near"], moved, usual)


def turned(agent, edited):  # towards the empty new place, of the steps that cannot serve both
    chances = agent.run_with_hooks(mazes.observe(grids, usual), fwd_hooks=[(site, lambda acts, hook: edited)])
    return first_steps(to_moved, to_usual, chances.argmax(1)[*at.T])[0].item()


def patched(channels):
    edited = before.clone()
    edited[:, channels] = after[:, channels]
    return edited


# %%
singles = [patched([channel]) for channel in range(12)]
edits = {"nothing": before, "best single": max(singles, key=partial(turned, agents["near"]))}
edits |= {"4 channels": patched(order[:4]), "4 others": patched(order[4:8])}
edits |= {"6 channels": patched(order[:6]), "the other 6": patched(order[6:]), "all 12": after}
noise = torch.randn(before.shape, generator=rng)
edits["noise"] = random_edit(before, after, noise)
edits["noise, same squares"] = random_edit(before, after, noise * (after != before))
turns = {name: turned(agents["near"], edited) for name, edited in edits.items()}
plots.bars(turns, x_title="what is patched", y_title="share towards the empty place")

# %%
for name in ("near", "corner", "untrained"):
    first, second = both_runs(agents[name])
    size = (second - first).norm() / first.norm()
    print(f"{name:>9}: change {size:.0%} of the activations; turned {turned(agents[name], first):.0%}", end=" ")
    print(f"before, {turned(agents[name], second):.0%} after")
puzzle.recall("the story")

# %% [markdown]
# No channel does it alone; the four that notice most mostly do, four others hardly, noise of the size of all twelve next to nothing.
# The activations of `corner` change as well, its steps far less; the untrained network's change, its steps do not. To notice is not to want.
#
# ## Try to break it
#
# "The corner" was our word. Where do those go who never find the cheese?

# %%
for name in ("near", "corner", "untrained"):
    chances = agents[name](mazes.observe(grids, cheese))
    squares, _, _, arrived = mazes.walk(chances, start, cheese, horizon=60)
    lost = squares[:, ~arrived]  # [time, agent]
    ends = ((lost < 21) & (lost % 7 > 3))[-10:].all(0).float().mean()  # ten steps in three rows, three columns
    in_corner = (lost == mazes.CORNER).any(0).float().mean()
    print(f"{name}: {lost.shape[1]} are lost; {ends:.0%} end about the corner, {in_corner:.0%} ever stand in it")
show(agents["near"], 3, torch.full_like(cheese, 42))

# %%
inside = (places[:, 1] < 3) & (places[:, 2] > 3)  # the agent stands where the cheese used to lie
for name in ("near", "corner", "untrained"):
    step = starts(agents[name], cheese, corner)[2].argmax(1)
    for stands, k in {"inside": inside, "outside": ~inside}.items():
        share = first_steps(to_cheese[k], to_corner[k], step[k])[1]
        print(f"{name}, from {stands}: {share:.0%} of first steps to the corner")

# %% [markdown]
# Seven of ten lost `near` end where the cheese used to be; two of three never enter the corner.
# As many of the untrained end there, by their seed's luck.
#
# From outside, the corner and the place around it nearly always agree on a step: your test had the flaw it was made to find.
# From inside they part: `near` makes for the corner with 38 % of its steps, the others with nearly all.
#
# ## Your own agents
#
# Seven hand-set agents, all alike if the cheese lies in the corner. Here it often lies elsewhere: the gains of 240 pairs of steps, and each agent's log-odds.
# Label each agent: `"cheese"`, `"corner"`, `"both"` (weights alike), `"shuns corner"` (wants the cheese, corner below zero), `"shuns cheese"`.

# %% open="variant"
gain, log_odds = puzzle.variant("your name or id")
print(f"gain {list(gain.shape)}, log_odds {list(log_odds.shape)}")

# %% stub="my_agents"
my_agents = ...  # a list of seven labels
### BEGIN SOLUTION
my_agents = []
for row in log_odds:
    for_cheese, for_corner = goal_weights(gain, row).tolist()
    if min(for_cheese, for_corner) < -0.6:
        my_agents.append("shuns cheese" if for_cheese < for_corner else "shuns corner")
    elif min(for_cheese, for_corner) > 0.75:
        my_agents.append("both")
    else:
        my_agents.append("cheese" if for_cheese > for_corner else "corner")
### END SOLUTION

# %% check="my_agents"
puzzle.check("my_agents", my_agents)
### BEGIN HIDDEN TESTS
puzzle.grade("my_agents", my_agents)
### END HIDDEN TESTS

# %% [markdown]
# ## Explain
#
# A colleague says: "It finds the cheese in 99 % of mazes it has never seen, and a probe finds the cheese in its activations. So it wants the cheese."
# Answer in three to five sentences: what does each half show, which evidence would tell, and what remains open?

# %% [markdown] free_text="explanation"
# ### BEGIN SOLUTION
# In those mazes the cheese lies near the corner, so going for the cheese, for the corner or for both earns nearly the same: success there cannot tell which goal earned it.
# That the cheese can be read from the activations shows that the network notices it; even an untrained network's activations change with it, and its steps do not.
# What tells are squares where no step serves both goals, weights fitted for both goals together, and a control trained with the cheese anywhere: here the cheese weighs 2.2 and the corner 3.4, and for the control 4.8 and 0.1.
# Moving the cheese in four channels turns the steps, noise of the same size does not; so it does use the cheese, near the corner.
# All of this holds for these mazes and this network, and goals that still agree stay unseen: seen from outside, "the corner" and "where the cheese used to be" nearly always ask for the same first step.
# ### END SOLUTION

# %% [markdown]
# ## The answer
#
# In rot13. Run the cell to decode it, once you have tried a part.

# %% [markdown] reveal="answer"
# It goes for the cheese if that lies about where training put it. The farther off the cheese lies, the less it pulls: elsewhere a third of the first steps go for it, the others mostly to where the cheese used to be, even past a cheese two steps away, and it finds about one cheese in three. No single goal describes it: training never asked it to choose, so nothing made it choose one way.
#
# With the cheese always in the corner, training fixes only what the two weights add up to, not how that is shared out; there the corner got nearly all. With the cheese anywhere, the cheese did. Two other seeds of `near` came out alike, between equal weights and these.
#
# Inside, several channels carry the cheese together. One turns few steps, four turn most. We did not find out how "up there" is represented; a pull up and to the right, bent by walls, might look the same.
#
# Langosco et al. (2021) showed this for large agents; Turner et al. (2023) weighed the goals of one, and retargeted it by a few channels.

# %% [markdown]
# ## Play
#
# Any agent, any maze, any square for the cheese. Find a place where one square decides.

# %% open="play"
name, maze_number, row, column = "near", 3, 6, 0
show(agents[name], maze_number, torch.full_like(cheese, 7 * row + column))

# %% [markdown]
# ## Where next
#
# - *Nothing happened*: what patching one thing at a time misses.
# - Train `near` with another seed (`mazes.train_policy`). Which of your numbers stay?
