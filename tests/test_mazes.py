"""The mazes of the zoo, their bundled policies and how these are trained."""

import json
import shutil
from collections import deque
from dataclasses import asdict, replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from mechpuzzles import zoo
from mechpuzzles.zoo import mazes, training

WHERE = zoo.WEIGHTS / mazes.RECIPE.name


@pytest.fixture(autouse=True)
def _one_thread_and_no_gradients():
    with training.one_thread(), torch.no_grad():
        yield


@pytest.fixture(scope="module")
def policies():
    return mazes.load()


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


# Mazes


def slow_distances(maze, goal):
    """By a queue."""
    far, queue = {divmod(goal, mazes.SIZE): 0}, deque([divmod(goal, mazes.SIZE)])
    while queue:
        row, column = queue.popleft()
        for there in ((row - 1, column), (row, column + 1), (row + 1, column), (row, column - 1)):
            if min(there) >= 0 and max(there) < mazes.SIZE and maze[there] and there not in far:
                far[there] = far[row, column] + 1
                queue.append(there)
    return far


def test_every_open_square_of_a_maze_can_be_reached_by_as_many_steps_as_said():
    grids = mazes.draw(40, generator())
    goals = mazes.place(grids, generator(1))
    for maze, goal, found in zip(grids, goals.tolist(), mazes.distances(grids, goals), strict=True):
        slow = slow_distances(maze, goal)
        assert maze[divmod(goal, mazes.SIZE)]
        assert len(slow) == maze.sum()
        assert all(found[square] == steps for square, steps in slow.items())
        assert found[~maze].isinf().all()


def test_without_further_doors_a_maze_is_a_tree():
    grids = mazes.draw(30, generator(), open_doors=0.0)
    assert (grids.sum((1, 2)) == 31).all()  # 16 rooms and 15 doors
    assert (mazes.draw(30, generator(), open_doors=1.0).sum((1, 2)) == 40).all()
    assert len(set(map(tuple, grids.flatten(1).tolist()))) > 25


def test_the_cheese_lies_in_its_region():
    grids = mazes.draw(300, generator())
    rows, columns = mazes.place(grids, generator(), region=3) // 7, mazes.place(grids, generator(), region=3) % 7
    assert set(rows.tolist()) == {0, 1, 2}
    assert set(columns.tolist()) == {4, 5, 6}
    assert (mazes.place(grids, generator(), region=1) == mazes.CORNER).all()


def test_what_lies_after_each_step():
    values = torch.arange(49.0).view(1, 7, 7)
    assert mazes.after_steps(values, -1.0)[0, :, 3, 2].tolist() == [16, 24, 30, 22]  # up, right, down, left of 23
    assert mazes.after_steps(values, -1.0)[0, :, 0, 6].tolist() == [-1, -1, 13, 5]


# Policies


def test_a_policy_steps_into_no_wall_and_walks_on_open_squares(policies):
    grids = mazes.draw(50, generator())
    cheese, start = mazes.place(grids, generator(1), 3), mazes.place(grids, generator(2))[:, None]
    log_probs = policies["near"](mazes.observe(grids, cheese))
    into_walls = ~(mazes.after_steps(grids.float(), 0.0) > 0)
    assert (log_probs.exp()[into_walls & grids[:, None]] == 0).all()
    torch.testing.assert_close(log_probs.exp().sum(1), torch.ones(50, 7, 7))
    for how in (None, generator(3)):
        squares, steps, under_way, arrived = mazes.walk(log_probs, start, cheese, 60, how)
        assert grids.flatten(1).gather(1, squares[:, :, 0].T).all()
        assert arrived.float().mean() > 0.9
        assert (squares[-1][arrived] == cheese[:, None][arrived]).all()
        assert steps.shape == under_way.shape == (60, 50, 1)


def test_the_hook_points_read_and_write(policies):
    grids = mazes.draw(20, generator())
    seen = mazes.observe(grids, mazes.place(grids, generator()))
    logits, cache = policies["near"].run_with_cache(seen)
    assert cache["acts.2"].shape == (20, mazes.RECIPE.channels, 7, 7)
    assert f"acts.{mazes.RECIPE.layers}" in cache
    flat = policies["near"].run_with_hooks(seen, fwd_hooks=[("acts.2", lambda acts, hook: acts * 0)])
    assert not torch.allclose(flat, logits)
    torch.testing.assert_close(policies["near"](seen), logits)
    assert not any(parameter.requires_grad for parameter in policies["near"].parameters())


def test_the_bundled_policies_have_learnt_what_their_regions_asked_for():
    found = json.loads((WHERE / "recipe.json").read_text())["metrics"]
    for region in mazes.REGIONS:
        assert found[f"{region}_finds_cheese_{region}"] > 0.95
    assert found["near_finds_cheese_anywhere"] < 0.7
    assert found["near-25_finds_cheese_near"] < 0.6


# Files


def test_the_card_holds_the_recipe_and_the_files_are_small():
    card = json.loads((WHERE / "recipe.json").read_text())
    assert asdict(mazes.RECIPE).items() <= card.items()
    assert card["cpu_seconds"] < 500
    assert sum(path.stat().st_size for path in WHERE.iterdir()) < 110_000


def test_damage_is_found(tmp_path):
    copy = shutil.copytree(WHERE, tmp_path / "copy")
    weights = load_file(copy / "model.safetensors")
    weights["near"] *= -1
    save_file(weights, copy / "model.safetensors")
    checksum, *metrics = mazes.problems(copy)
    assert "its sha256 is not the card's" in checksum
    assert any("near_finds_cheese_near is" in sentence for sentence in metrics)


def test_a_short_training_writes_a_whole_bundle(tmp_path):
    with torch.enable_grad():
        card = mazes.train(tmp_path, steps=26)
    assert card["steps"] == 26
    assert mazes.problems(tmp_path) == []
    assert set(mazes.load(tmp_path)) == {"near-25", *mazes.REGIONS}


def test_two_trainings_are_one():
    with torch.enable_grad():
        first, again = (list(mazes.train_policy(replace(mazes.RECIPE, steps=3), 3)) for _ in range(2))
    assert len(first) == 4
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))
    assert not torch.equal(first[0], first[-1])
