"""The command line, as people and scripts call it."""

import json
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mechpuzzles import folders, zoo
from mechpuzzles.cli import app

from .jupyter import serving

ROOT = Path(__file__).parents[1]
SLUGS = folders.slugs(ROOT)


def call(*arguments: str):
    return CliRunner().invoke(app, arguments)


def test_the_package_and_the_help_load_nothing_heavy():
    heavy = ["torch", "numpy", "transformer_lens", "transformers", "plotly", "nbgrader", "jupytext", "typer"]
    code = f"import sys, mechpuzzles; dir(mechpuzzles); print([m for m in {heavy!r} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"
    code = f"import sys, mechpuzzles.cli; print([m for m in {heavy[:-1]!r} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"


def test_the_public_names_are_there_and_others_are_refused():
    import mechpuzzles

    for name in mechpuzzles.__all__:
        assert getattr(mechpuzzles, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        mechpuzzles.nothing  # noqa: B018 - asking is the test


def test_list_follows_the_contract():
    result = call("list", "--json")
    rows = json.loads(result.output)
    assert [row["slug"] for row in rows] == SLUGS
    keys = ["slug", "title", "question", "principle", "after", "minutes", "models", "progress"]
    assert all(list(row) == keys for row in rows)
    assert "Suspiciously" in call("list").output or SLUGS[0][:6] in call("list").output


def test_progress_is_what_was_checked(capsys):
    import torch

    puzzle = folders.declared(ROOT, "similar_embeddings")
    assert json.loads(call("list", "--json").output)[0]["progress"] == {"right": 0, "parts": 4}
    puzzle.check("centre", lambda W: W - W.mean(0))
    assert torch.get_num_threads() == 1
    assert json.loads(call("list", "--json").output)[0]["progress"] == {"right": 1, "parts": 4}


def test_an_unknown_puzzle_is_refused_with_the_known_ones():
    for command in ("build", "verify"):
        result = call(command, "similar_embedding")
        assert result.exit_code == 2
        said = " ".join(result.output.split())
        assert said.startswith("no puzzle 'similar_embedding'; there are ")
        assert all(slug in said for slug in SLUGS)


def test_build_check_is_content_with_what_is_committed():
    result = call("build", "--check")
    assert result.exit_code == 0, result.output
    assert result.output == ""


def test_zoo_verify_and_list():
    assert call("zoo", "verify").exit_code == 0
    assert [card["name"] for card in json.loads(call("zoo", "list", "--json").output)] == zoo.bundled()
    assert "mini-neo" in call("zoo", "list").output


@pytest.mark.slow
def test_start_serves_the_series(tmp_path):
    with serving(tmp_path / "log", ROOT / "tests", "mechpuzzles.cli", "start") as address:
        with urllib.request.urlopen(f"{address}/api/contents/", timeout=30) as answer:
            names = {entry["name"] for entry in json.loads(answer.read())["content"]}
        assert {"README.md", *SLUGS} <= names
