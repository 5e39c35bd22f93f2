"""The bundled network of drawn shapes: the drawings, its files, its recipe."""

import json
import shutil
import subprocess
import sys
from dataclasses import asdict

import pytest
import torch
from safetensors.torch import load_file, save_file

from mechpuzzles import zoo
from mechpuzzles.zoo import curves

WHERE = zoo.WEIGHTS / curves.RECIPE.name


def drawn(kind, direction, radius=7.0, **more):
    return curves.draw(kind, torch.tensor([float(direction)]), torch.tensor([radius]), size=25, **more)[0]


# The drawings


@pytest.mark.parametrize("kind", ["arc", "corner", "line", "circle"])
def test_a_shape_turns_with_its_direction(kind):
    for direction in (20.0, 90.0):
        turned = drawn(kind, direction + 90)
        torch.testing.assert_close(turned, torch.rot90(drawn(kind, direction)), rtol=0, atol=1e-4)
    assert drawn(kind, 20).min() == 0
    assert drawn(kind, 20).max() == 1


def test_an_arc_opens_towards_its_direction():
    arc = drawn("arc", 90)  # its middle is the image's, row and column 12; its circle's centre 7 above
    assert arc[12, 12] == 1
    assert arc[5, 12] == 0
    end = round(12 - 7 + 3.5), round(12 + 7 * 3**0.5 / 2)  # at 60 degrees from the middle, seen from the centre
    assert arc[end] > 0.5
    assert arc[end[0] - 2, end[1] + 1] == 0
    assert drawn("circle", 0)[5, 12] == 1
    assert drawn("line", 0)[12, 6:19].min() == 1
    assert drawn("corner", 90)[12 - 4, 12 + 4] == 1


def test_a_shape_moves_with_its_place():
    moved = drawn("arc", 200, x0=3.0, y0=2.0)
    torch.testing.assert_close(moved[:-2, 3:], drawn("arc", 200)[2:, :-3], rtol=0, atol=1e-4)


def test_an_unknown_shape_is_refused():
    with pytest.raises(ValueError, match="'square' is none of"):
        drawn("square", 0)


def test_examples_are_of_their_class():
    images, label = curves.examples(400, torch.Generator().manual_seed(0))
    assert images.shape == (400, curves.SIZE, curves.SIZE)
    assert set(label.tolist()) == set(range(len(curves.CLASSES)))
    again, _ = curves.examples(400, torch.Generator().manual_seed(0))
    assert torch.equal(images, again)
    assert 0.3 < images.amax((1, 2)).gt(-images.amin((1, 2))).float().mean() < 0.7  # of either sign


# The files


def test_the_files_are_as_the_card_says():
    assert curves.problems() == []


def test_it_is_small_and_its_card_holds_the_recipe():
    assert sum(path.stat().st_size for path in WHERE.iterdir()) < 80_000
    card = json.loads((WHERE / "recipe.json").read_text())
    assert asdict(curves.RECIPE).items() <= card.items()
    assert card["cpu_seconds"] < 180
    assert card["metrics"]["accuracy"] > 0.9


def test_the_bundled_network_does_its_task_and_an_untrained_one_does_not():
    images, label = curves.examples(500, torch.Generator().manual_seed(1))
    net = curves.load()
    assert (net(images).argmax(1) == label).float().mean() > 0.9
    assert (curves.CurveNet()(images).argmax(1) == label).float().mean() < 0.2
    assert not any(parameter.requires_grad for parameter in net.parameters())


def test_damage_is_found(tmp_path):
    copy = shutil.copytree(WHERE, tmp_path / "copy")
    weights = load_file(copy / "model.safetensors")
    weights["units.weight"][3] *= -2
    save_file(weights, copy / "model.safetensors")
    checksum, *metrics = curves.problems(copy)
    assert "its sha256 is not the card's" in checksum
    assert any(f"{copy}: loss is" in sentence for sentence in metrics)


def test_a_short_training_writes_a_whole_bundle(tmp_path):
    card = curves.train(tmp_path / "first", steps=3)
    assert card == json.loads((tmp_path / "first" / "recipe.json").read_text())
    assert card["steps"] == 3
    assert card["sha256"] == curves.train(tmp_path / "again", steps=3)["sha256"]
    assert curves.problems(tmp_path / "first") == []
    assert curves.load(tmp_path / "first").units.weight.shape[0] == curves.RECIPE.n_units


def test_loading_needs_torch_alone():
    code = (
        "import sys\nfrom mechpuzzles.zoo import curves\ncurves.load()\n"
        "print([name for name in ('transformers', 'transformer_lens') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
