"""The runs in which induction comes about: their files, what they load as, their recipe."""

import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from mechpuzzles import zoo
from mechpuzzles.guards import guarded_classes
from mechpuzzles.zoo import onset, plain, tasks, training
from mechpuzzles.zoo.gpt import GPT
from mechpuzzles.zoo.onset import RECIPE


@pytest.fixture(autouse=True)
def _one_thread():
    with training.one_thread(), torch.no_grad():
        yield


def second_loss(model):
    tokens = tasks.shown_twice(16, 23, 65, torch.Generator().manual_seed(5))
    return -model(tokens)[:, 24:-1].log_softmax(-1).gather(-1, tokens[:, 25:, None]).mean().item()


def test_the_files_are_as_the_card_says_and_small():
    where = plain.directory(RECIPE, None)
    assert onset.problems() == []
    assert sum(path.stat().st_size for path in where.iterdir()) < 800_000
    assert zoo.card(RECIPE.name)["cpu_seconds"] < 600


def test_every_seed_learns_to_repeat_between_the_first_step_and_the_last():
    for seed in range(RECIPE.seeds):
        untrained, trained = onset.load(0, seed), onset.load(onset.steps()[-1], seed)
        assert second_loss(untrained) > 4
        assert second_loss(trained) < 0.2
        assert not trained.training
        assert isinstance(trained, guarded_classes()[0])


def test_a_loaded_model_is_the_one_that_was_trained():
    step, seed = onset.steps()[4], 1
    model = GPT(onset.settings(RECIPE, seed)).eval()
    model.load_state_dict(onset.one(plain.read(RECIPE), seed, 4))
    tokens = tasks.shown_twice(3, 23, 65, torch.Generator().manual_seed(0))
    torch.testing.assert_close(onset.load(step, seed)(tokens), model(tokens), rtol=0, atol=1e-4)


def test_step_0_is_the_initialisation():
    for seed in range(RECIPE.seeds):
        drawn = GPT(onset.settings(RECIPE, seed)).tok_embed.weight
        torch.testing.assert_close(onset.load(0, seed).W_E, drawn, rtol=0, atol=1e-3)


@pytest.mark.parametrize(("step", "seed"), [(1, 0), (0, 3), (0, -1)])
def test_what_was_not_kept_is_said(step, seed):
    with pytest.raises(ValueError, match=r"kept are the steps 0, .* of the seeds 0 to 2"):
        onset.load(step, seed)


def test_damage_is_found(tmp_path):
    copy = shutil.copytree(plain.directory(RECIPE, None), tmp_path / RECIPE.name)
    weights = load_file(copy / "model.safetensors")
    weights["head.weight"][2, 8] *= 1.5
    save_file(weights, copy / "model.safetensors")
    checksum, *metrics = onset.problems(copy)
    assert "its sha256 is not the card's" in checksum
    assert any("loss_on_second_showing_of_2_at_960 is" in sentence for sentence in metrics)


def test_a_short_training_writes_a_whole_bundle_and_looking_on_changes_nothing(tmp_path):
    with torch.enable_grad():
        card = onset.train(tmp_path, steps=8)
    assert card["steps"] == 8
    assert onset.problems(tmp_path) == []
    short = replace(RECIPE, steps=8)
    assert onset.steps(short) == tuple(range(9))
    recipe = onset.settings(short, 2)
    with torch.enable_grad():
        alone, _ = training.fit(recipe, lambda generator: tasks.repeats(recipe, generator), until=8)
    kept = onset.one(plain.read(short, tmp_path), 2, 8)
    for name, tensor in alone.state_dict().items():
        torch.testing.assert_close(kept[name], tensor.half().float(), rtol=0, atol=0)
