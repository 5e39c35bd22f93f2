"""The bundled networks that add on a clock: their files, what they do, their recipe."""

import json
import shutil
from dataclasses import asdict, replace

import pytest
import torch

from mechpuzzles import zoo
from mechpuzzles.zoo import clock, training
from mechpuzzles.zoo.clock import RECIPE


@pytest.fixture(autouse=True)
def _one_thread():
    with training.one_thread():
        yield


@pytest.fixture(scope="module")
def runs():
    return clock.load()


def right(run, act, number, pairs):
    """The share of right answers, of a network written out pair by pair."""
    W_E, W_in, b_in, W_out = run.weights(number)
    a, b = pairs.nonzero(as_tuple=True)
    hidden = clock.ACTIVATIONS[act](W_E[a] @ W_in[0] + W_E[b] @ W_in[1] + b_in)
    return ((hidden @ W_out).argmax(-1) == run.answer[a, b]).float().mean().item()


def test_the_files_are_as_the_card_says_and_within_their_budget():
    assert clock.problems() == []
    assert sum(path.stat().st_size for path in zoo.directory(RECIPE.name).iterdir()) < 450_000
    card = zoo.card(RECIPE.name)
    assert json.loads(json.dumps(asdict(RECIPE))).items() <= card.items()
    assert card["cpu_seconds"] < 300
    assert card["description"].endswith(".")


@pytest.mark.parametrize("name", [name for name in clock.RUNS if name != "shuffled"])
def test_each_learns_what_it_is_shown_and_then_the_rest(runs, name):
    run, act = runs[name], clock.RUNS[name].act
    one, two = torch.arange(RECIPE.p)[:, None], torch.arange(RECIPE.p)
    assert torch.equal(run.answer, (one - two if name == "subtract" else one + two) % RECIPE.p)
    assert run.shown.float().mean().item() == pytest.approx(RECIPE.share_shown, abs=1e-3)
    assert right(run, act, 0, ~run.shown) < 0.05
    assert right(run, act, -1, run.shown) == 1
    assert right(run, act, -1, ~run.shown) > 0.99


def test_shuffled_answers_are_learned_and_no_others(runs):
    run = runs["shuffled"]
    assert right(run, "relu", -1, run.shown) > 0.9
    assert right(run, "relu", -1, ~run.shown) < 0.05


def test_in_between_it_knows_only_what_it_was_shown(runs):
    run = runs["add"]
    assert run.steps == RECIPE.kept_steps(clock.RUNS["add"])
    number = run.steps.index(625)
    assert right(run, "relu", number, run.shown) > 0.99
    assert right(run, "relu", number, ~run.shown) < 0.05


def test_logits_are_those_of_the_network_written_out(runs):
    run = runs["gelu"]
    every = torch.ones_like(run.shown)
    found = clock.logits(run.weights(3), "gelu")
    assert found.shape == (53, 53, 53)
    assert (found.argmax(-1) == run.answer).float().mean().item() == pytest.approx(right(run, "gelu", 3, every))


def test_a_short_training_writes_a_whole_bundle(tmp_path):
    card = clock.train(tmp_path, steps=4)
    assert clock.problems(tmp_path) == []
    assert card["steps"] == 4
    found = clock.load(tmp_path)
    assert {name: run.steps for name, run in found.items()} == dict.fromkeys(clock.RUNS, (0, 4))
    again = clock.fit_one(replace(RECIPE, steps=4), clock.RUNS["subtract"])
    torch.testing.assert_close(found["subtract"].W_E, again["W_E"].half().float(), rtol=0, atol=1e-3)
    assert torch.equal(found["shuffled"].answer.flatten().bincount(), torch.full((53,), 53))


def test_a_damaged_file_is_found(tmp_path):
    where = shutil.copytree(zoo.directory(RECIPE.name), tmp_path / "copy")
    path = where / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1000] ^= 0x40
    path.write_bytes(bytes(data))
    assert any("damaged or was changed" in problem for problem in clock.problems(where))
