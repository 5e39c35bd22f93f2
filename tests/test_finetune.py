"""The bundled fine-tunes: their files, what they do to the model, their recipe."""

import json
import shutil
from dataclasses import asdict, replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from mechpuzzles import load_model, zoo
from mechpuzzles.zoo import finetune, plain, training
from mechpuzzles.zoo.finetune import MATRICES, RECIPE, TUNES


@pytest.fixture(autouse=True)
def _one_thread():
    with training.one_thread(), torch.no_grad():
        yield


# The files


def test_the_files_are_as_the_card_says():
    assert finetune.problems() == []
    assert sum(path.stat().st_size for path in zoo.directory(RECIPE.name).iterdir()) < 50_000


def test_the_card_holds_the_whole_recipe_and_what_came_of_it():
    card = zoo.card(RECIPE.name)
    assert asdict(RECIPE).items() <= card.items()
    assert card["cpu_seconds"] < 60
    found = card["metrics"]
    assert found["said_before"] < 0.01 > found["second_said"]
    assert found["first_said"] > 0.9
    for which in TUNES:
        assert 0.05 < found[f"{which}_smallest_relative_change"] < found[f"{which}_largest_relative_change"] < 0.2


def test_damage_is_found(tmp_path):
    copy = shutil.copytree(zoo.directory(RECIPE.name), tmp_path / RECIPE.name)
    weights = load_file(copy / "model.safetensors")
    weights["first.layers.1.mlp.fc_out.B"] *= 0.5
    save_file(weights, copy / "model.safetensors")
    checksum, *metrics = finetune.problems(copy)
    assert "its sha256 is not the card's" in checksum
    assert any("first_said is" in sentence for sentence in metrics)
    (copy / "model.safetensors").unlink()
    assert finetune.problems(copy) == [f"{copy / 'model.safetensors'} is missing."]


# What they do


def test_the_plain_model_is_the_bundled_one_and_a_tuned_one_the_plain_one_with_the_change():
    tokens = torch.randint(2048, (2, 20), generator=torch.Generator().manual_seed(0))
    own, model, factors = finetune.base(RECIPE), load_model(RECIPE.model), finetune.load()
    torch.testing.assert_close(own(tokens).log_softmax(-1), model(tokens).log_softmax(-1), rtol=0, atol=1e-4)
    for which in TUNES:
        own = finetune.base(RECIPE)
        for layer in range(2):
            for name in MATRICES:
                own.layers[layer].get_submodule(name).weight += finetune.change_of(
                    factors, which, f"layers.{layer}.{name}"
                )
        tuned = finetune.tune(load_model(RECIPE.model), which)
        torch.testing.assert_close(own(tokens).log_softmax(-1), tuned(tokens).log_softmax(-1), rtol=0, atol=1e-4)
        assert (tuned(tokens) - model(tokens)).abs().max() > 0.1


# The recipe


def test_a_short_training_writes_a_whole_bundle_and_teaches_only_one_of_the_two(tmp_path):
    with torch.enable_grad():
        card = plain.train(replace(RECIPE, files=25), finetune.fit, finetune.metrics, tmp_path / "short", steps=3)
    assert card == json.loads((tmp_path / "short" / "recipe.json").read_text())
    assert (card["steps"], card["files"]) == (3, 25)
    assert finetune.problems(tmp_path / "short") == []
    tensors = finetune.load(tmp_path / "short")
    assert len(tensors) == 2 * 2 * len(MATRICES) * 2
    assert tensors["first.layers.0.mlp.fc_in.A"].shape == (RECIPE.rank, 64)
    assert tensors["first.layers.0.mlp.fc_in.B"].shape == (256, RECIPE.rank)
    assert any(not tensors[name].equal(tensors[name.replace("first", "second")]) for name in tensors)
