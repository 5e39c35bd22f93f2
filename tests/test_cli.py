"""The command line, as people and scripts call it."""

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import jaxtyping
import pytest
from typer.testing import CliRunner

from mechpuzzles import folders, journal, zoo
from mechpuzzles.cli import app
from mechpuzzles.grading import warm

from .forking import stop
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


# A learner's folder ---------------------------------------------------------------------------------


@pytest.fixture
def launched(monkeypatch, tmp_path):
    """What start would become: a list of (folder, words), filled in place of JupyterLab."""
    ran = []
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # typer's context is not of its annotated class
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))
    monkeypatch.setenv("MECHPUZZLES_WORK", str(tmp_path / "work"))
    monkeypatch.setattr(folders, "released", lambda: PUZZLES)
    monkeypatch.setattr(os, "execv", lambda path, words: ran.append((Path.cwd(), words)))
    monkeypatch.setattr(warm, "serve_learners", lambda: None)
    return ran


PUZZLES = folders.released()
LAB = [sys.executable, "-m", "jupyterlab"]


@pytest.mark.parametrize(
    ("words", "folder", "lab"),
    [
        ([], "work", ["index.ipynb"]),
        ([SLUGS[0]], "work", [f"{SLUGS[0]}/{SLUGS[0]}.ipynb"]),
        (["--no-browser", "--port=8890"], "work", ["--no-browser", "--port=8890", "index.ipynb"]),
        (["--work", "else where", "--no-browser"], "else where", ["--no-browser", "index.ipynb"]),
        ([SLUGS[0], "--work=here", "-y"], "here", ["-y", f"{SLUGS[0]}/{SLUGS[0]}.ipynb"]),
    ],
)
def test_start_opens_lab_in_a_folder_of_the_learners(launched, tmp_path, words, folder, lab):
    result = call("start", *words)
    assert (result.exit_code, result.output) == (0, "")
    assert launched == [(tmp_path / folder, LAB + lab)]
    assert (tmp_path / folder / lab[-1]).is_file()


@pytest.mark.parametrize("words", [["nothing"], [SLUGS[0], "8890", "--port"], ["--port", "8890"]])
def test_start_refuses_what_is_no_puzzle_and_copies_nothing(launched, tmp_path, words):
    result = call("start", *words)
    assert result.exit_code == 2
    assert all(slug in result.output for slug in SLUGS)
    assert "--port=8890" in result.output
    assert not launched
    assert not (tmp_path / "work").exists()


def test_start_opens_one_puzzle_at_a_time(launched):
    result = call("start", *SLUGS[:2])
    assert (result.exit_code, result.output, launched) == (2, "start opens one puzzle at a time\n", [])


@pytest.mark.parametrize(("slug", "page"), [([], "index.ipynb"), ([SLUGS[0]], f"{SLUGS[0]}/{SLUGS[0]}.ipynb")])
def test_start_without_lab_says_what_to_open_in_another_editor(launched, tmp_path, slug, page):
    result = call("start", *slug, "--no-lab")
    assert result.output == f"Open {tmp_path / 'work' / page} with the Python {sys.executable}.\n"
    assert (tmp_path / "work" / page).is_file()
    result = call("start", *slug, "--no-lab", "--port=8890")
    assert (result.exit_code, result.output) == (2, "--port=8890 is an option of JupyterLab, and --no-lab opens none\n")
    assert not launched


def test_start_refuses_a_folder_that_cannot_be_written(launched, tmp_path):
    (tmp_path / "work").write_text("")
    result = call("start")
    assert result.exit_code == 2
    assert result.output.startswith(f"your folder {tmp_path / 'work'} cannot be used: ")
    assert not launched


def test_start_says_that_a_puzzle_has_changed_and_reset_makes_it_fresh(launched, tmp_path):
    slug, folder = SLUGS[0], tmp_path / "work"
    call("start")
    notebook, declaration = folder / slug / f"{slug}.ipynb", folder / slug / "puzzle.py"
    notebook.write_text("mine")
    declaration.write_text("# older")
    said = " ".join(call("start", slug).output.split())
    assert said == f"{slug} has changed since you began; `mechpuzzles reset {slug}` gives a fresh copy and keeps yours."
    assert (notebook.read_text(), declaration.read_text()) == ("mine", "# older")
    assert call("start").output == "", "another page is opened"
    said = call("reset", slug).output.replace("\n", "")
    (kept,) = (folder / "kept").iterdir()
    assert said.replace(" ", "") == f"{folder / slug}isfresh.Yoursiskeptin{kept}."
    assert (kept / f"{slug}.ipynb").read_text() == "mine"
    assert notebook.read_bytes() == (ROOT / "puzzles" / slug / f"{slug}.ipynb").read_bytes()
    assert call("start", slug).output == ""
    assert len(launched) == 4


def test_reset_refuses_what_is_no_puzzle_and_what_cannot_be_written(launched, tmp_path):
    result = call("reset", "nothing")
    assert (result.exit_code, result.output[:30]) == (2, "no puzzle 'nothing'; there are")
    (tmp_path / "work").write_text("")
    result = call("reset", SLUGS[0])
    assert result.exit_code == 2
    assert "Traceback" not in result.output
    assert "work" in result.output


@pytest.mark.slow
def test_start_serves_the_series(tmp_path, monkeypatch):
    own = {"MECHPUZZLES_WORK": str(tmp_path / "work"), "JUPYTER_DATA_DIR": str(tmp_path / "jupyter")}
    monkeypatch.setenv("MECHPUZZLES_FORK_SERVER", str(tmp_path / "socket"))
    with serving(tmp_path / "log", ROOT / "tests", "mechpuzzles.cli", "start", **own) as address:
        with urllib.request.urlopen(f"{address}/api/contents/", timeout=30) as answer:
            names = {entry["name"] for entry in json.loads(answer.read())["content"]}
        assert {"index.ipynb", *SLUGS} <= names
    if sys.platform.startswith("linux"):  # there is a fork server, or will be soon
        monkeypatch.setattr(warm, "start_server", lambda *_, **__: pytest.fail("start began none"))
        stop(warm.ensure_learners_server())


# The log --------------------------------------------------------------------------------------------


@pytest.fixture
def log(monkeypatch):
    monkeypatch.setattr(journal, "_in_memory", [])
    for number, slug in enumerate(("a", "b", "a")):
        journal.record(slug, "hint", part="one", number=number)
    return list(journal.everything())


def test_the_log_is_shown_and_said_where_it_is(log):
    result = call("journal", "show")
    assert list(map(json.loads, result.stdout.splitlines())) == log
    assert result.stderr == f"It is in {journal.path()}, and nowhere else.\n"


def test_the_log_is_exported_once(log, tmp_path):
    to = tmp_path / "log.jsonl"
    assert call("journal", "export", str(to)).exit_code == 0
    assert list(map(json.loads, to.read_text().splitlines())) == log
    to.write_text("theirs")
    result = call("journal", "export", str(to))
    assert (result.exit_code, result.output) == (2, f"there is a {to} already\n")
    assert to.read_text() == "theirs"
    result = call("journal", "export", str(tmp_path / "no" / "log.jsonl"))
    assert (result.exit_code, "Traceback" in result.output) == (2, False)


@pytest.mark.parametrize(
    ("words", "answer", "left", "says"),
    [
        (["a", "--yes"], "", ["b"], "2 entries deleted."),
        (["c", "--yes"], "", ["a", "b", "a"], "0 entries deleted."),
        (["--yes"], "", [], "3 entries deleted."),
        ([], "y\n", [], "Delete everything from {path}? [y/N]: y\n3 entries deleted."),
        (["a"], "n\n", ["a", "b", "a"], "Delete a from {path}? [y/N]: n\nAborted."),
    ],
)
def test_the_log_is_deleted_when_asked_twice(log, words, answer, left, says):
    result = CliRunner().invoke(app, ["journal", "delete", *words], input=answer)
    assert [entry["puzzle"] for entry in journal.everything()] == left
    assert result.output.strip() == says.format(path=journal.path())
    assert result.exit_code == (1 if "Aborted" in says else 0)
