"""The learner's folder: what they have is theirs, the release stays as it is, and a fresh copy is at hand."""

import re
import shutil
import time
from pathlib import Path

import nbformat
import pytest
from nbformat.sign import NotebookNotary

from mechpuzzles import folders, journal, workspace

SLUGS = workspace.slugs()
RELEASED = folders.series()
PUZZLES = folders.released()
FIRST = PUZZLES[0]


@pytest.fixture(autouse=True)
def _jupyter_of_its_own(monkeypatch, tmp_path):
    """Signatures are kept in the test's folder, and the puzzles are read once."""
    monkeypatch.setattr(folders, "released", lambda: PUZZLES)
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))
    monkeypatch.delenv("MECHPUZZLES_WORK", raising=False)


@pytest.fixture
def work(tmp_path) -> Path:
    return tmp_path / "deep" / "work"


@pytest.fixture
def series(monkeypatch, tmp_path) -> Path:
    """A copy of the release of one puzzle, to be altered."""
    copy = tmp_path / "checkout" / "puzzles"
    copy.mkdir(parents=True)
    shutil.copytree(RELEASED / FIRST.slug, copy / FIRST.slug)
    for page in ("README.md", workspace.INDEX):
        shutil.copyfile(RELEASED / page, copy / page)
    monkeypatch.setattr(folders, "series", lambda: copy)
    return copy


def contents(folder: Path) -> dict[str, bytes]:
    """The files below a folder but those that opening it makes."""
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {name: content for name, content in files.items() if not re.search(r"(^|/)(\.|__pycache__/)", name)}


# Copies ---------------------------------------------------------------------------------------------


def test_the_release_is_copied_and_stays_as_it_is(work):
    before = contents(RELEASED)
    workspace.prepare(work)
    assert contents(RELEASED) == before
    copied = contents(work)
    assert copied.keys() == {name for name in before if "/" in name} | {workspace.INDEX}
    assert copied.keys() >= {f"{slug}/{slug}.ipynb" for slug in SLUGS}
    assert [name for name in copied if copied[name] != before[name]] == [workspace.INDEX]


def test_what_the_learner_has_is_left_alone(work):
    workspace.prepare(work)
    notebook, notes = work / FIRST.slug / f"{FIRST.slug}.ipynb", work / FIRST.slug / "notes.md"
    theirs = {notebook: "mine", notes: "mine too", work / "README.md": "my list", work / "other.ipynb": "{}"}
    for path, text in theirs.items():
        path.write_text(text)
    workspace.prepare(work)
    assert {path: path.read_text() for path in theirs} == theirs


def test_a_folder_without_its_notebook_gets_it_and_keeps_the_rest(work):
    folder = work / FIRST.slug
    folder.mkdir(parents=True)
    (folder / "puzzle.py").write_text("# mine")
    (folder / "renamed.ipynb").write_text("mine")
    workspace.prepare(work)
    assert (folder / "puzzle.py").read_text() == "# mine"
    assert (folder / "renamed.ipynb").read_text() == "mine"
    name = f"{FIRST.slug}.ipynb"
    assert (folder / name).read_bytes() == (RELEASED / FIRST.slug / name).read_bytes()


def test_a_puzzle_that_was_removed_or_is_new_is_copied(work, series):
    workspace.prepare(work)
    shutil.rmtree(work / FIRST.slug)
    shutil.copytree(series / FIRST.slug, series / "fresh")
    (series / "fresh" / f"{FIRST.slug}.ipynb").rename(series / "fresh" / "fresh.ipynb")
    declared = (series / "fresh" / "puzzle.py").read_text().replace(f'slug="{FIRST.slug}"', 'slug="fresh"')
    (series / "fresh" / "puzzle.py").write_text(declared)
    workspace.prepare(work)
    assert (work / FIRST.slug / f"{FIRST.slug}.ipynb").is_file()
    assert (work / "fresh" / "fresh.ipynb").is_file()


def test_what_opening_the_series_made_is_not_copied_and_copies_can_be_written(work, series):
    folder = series / FIRST.slug
    for made in (".ipynb_checkpoints", "__pycache__"):
        (folder / made).mkdir()
        (folder / made / "old").write_text("old")
    (series / ".DS_Store").write_text("old")
    (folder / "data").mkdir()
    (folder / "data" / "table.csv").write_text("1,2")
    (folder / "data" / "table.csv").chmod(0o444)
    (folder / "data").chmod(0o555)
    workspace.prepare(work)
    files = {path.name for path in work.rglob("*") if path.is_file()}
    assert files == {"table.csv", f"{FIRST.slug}.ipynb", "puzzle.py", workspace.INDEX}
    assert (work / FIRST.slug / "data").stat().st_mode & 0o200
    assert (work / FIRST.slug / "data" / "table.csv").stat().st_mode & 0o200
    (folder / "data").chmod(0o755)


@pytest.mark.parametrize("act", [workspace.prepare, lambda work: workspace.reset(FIRST.slug, work)])
def test_a_folder_that_cannot_be_written_is_an_os_error(tmp_path, act):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        act(tmp_path / "file" / "below")


# The index ------------------------------------------------------------------------------------------


def index_of(work):
    notebook = nbformat.read(work / workspace.INDEX, as_version=4)
    nbformat.validate(notebook)
    return notebook


def test_the_index_holds_the_progress_of_the_moment_and_is_trusted(work):
    workspace.prepare(work)
    cell = index_of(work).cells[1]
    assert f"0 of {len(FIRST.parts)}  {FIRST.title}" in cell.outputs[0].data["text/plain"]
    journal.record(FIRST.slug, "check", part=FIRST.parts[0].name, outcome="right")
    workspace.prepare(work)
    notebook = index_of(work)
    (output,) = notebook.cells[1].outputs
    assert f"1 of {len(FIRST.parts)}  {FIRST.title}" in output.data["text/plain"]
    assert f"begun: 1 of {len(FIRST.parts)} parts right" in output.data["text/html"]
    released = nbformat.read(RELEASED / workspace.INDEX, as_version=4)
    assert [cell.source for cell in notebook.cells] == [cell.source for cell in released.cells]
    notary = NotebookNotary()
    assert notary.check_signature(notebook)
    output.data["text/html"] += " "
    assert not notary.check_signature(notebook)
    notary.store.close()


def test_an_index_that_cannot_be_signed_is_written_all_the_same(work, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "file" / "below"))
    workspace.prepare(work)
    assert index_of(work).cells[1].outputs


def test_somebody_elses_index_is_left_alone(work):
    work.mkdir(parents=True)
    nbformat.write(nbformat.v4.new_notebook(), work / workspace.INDEX)
    before = contents(work)
    with pytest.raises(FileExistsError, match=r"index\.ipynb is not the index of this series; move it"):
        workspace.prepare(work)
    assert contents(work) == before


# A fresh copy ---------------------------------------------------------------------------------------


def test_a_copy_is_outdated_once_the_release_declares_otherwise(work, series):
    assert workspace.outdated(FIRST.slug, work), "there is none"
    workspace.prepare(work)
    assert not workspace.outdated(FIRST.slug, work)
    (work / FIRST.slug / f"{FIRST.slug}.ipynb").write_text("worked on")
    assert not workspace.outdated(FIRST.slug, work)
    declaration = series / FIRST.slug / "puzzle.py"
    declaration.write_text(declaration.read_text().replace("a", "b", 1))
    assert workspace.outdated(FIRST.slug, work)
    workspace.reset(FIRST.slug, work)
    assert not workspace.outdated(FIRST.slug, work)


def test_reset_keeps_the_old_copy_twice_within_a_second_too(work, monkeypatch):
    monkeypatch.setattr(time, "strftime", lambda form: "2026-01-02-030405")
    assert workspace.reset(FIRST.slug, work) is None
    kept = []
    for text in ("first", "second", "third"):
        (work / FIRST.slug / "notes.md").write_text(text)
        kept.append(workspace.reset(FIRST.slug, work))
        assert contents(work / FIRST.slug) == contents(RELEASED / FIRST.slug)
    names = [f"{FIRST.slug}-2026-01-02-030405{more}" for more in ("", "-2", "-3")]
    assert kept == [work / "kept" / name for name in names]
    assert [(folder / "notes.md").read_text() for folder in kept] == ["first", "second", "third"]


def test_reset_refuses_what_is_no_puzzle(work):
    workspace.prepare(work)
    (work / "kept").mkdir()
    before = contents(work)
    for slug in ("nothing", "", "..", "kept", f"{FIRST.slug}/", f"../{FIRST.slug}"):
        with pytest.raises(ValueError, match=f"no puzzle {slug!r}; there are {SLUGS[0]}"):
            workspace.reset(slug, work)
    assert contents(work) == before


# Where ----------------------------------------------------------------------------------------------


def test_the_folder_is_chosen_or_in_the_checkout_or_at_home(monkeypatch, tmp_path):
    assert workspace.default() == RELEASED.parent / "work"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setattr(folders, "series", lambda: tmp_path / "site-packages" / "mechpuzzles" / "puzzles")
    assert workspace.default() == tmp_path / "mechpuzzles"
    monkeypatch.setenv("MECHPUZZLES_WORK", "~/here")
    assert workspace.default() == tmp_path / "here"
