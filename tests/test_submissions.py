"""What is read of a submission, what its learner is told, and that nothing outside it is ever read."""

import copy
import errno
import json
import os
import random
import socket
import time
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest

from mechpuzzles.grading import submissions
from mechpuzzles.grading.submissions import Bounds, Submission, read

from .submissions import solutions_of, submit
from .timing import cpu_seconds, little_to_collect

ROOT = Path(__file__).parents[1]
SLUGS = sorted(path.parent.name for path in ROOT.glob("solutions/*/puzzle.py"))
SLUG = "induction_heads"
STUB, CHECK, FREE, OPEN = "stub-costs", "check-costs", "free-text-explanation", "open-predict-story"
ANSWER = "def costs(right):\n    return right  # the learner's"
SECRET = "the instructor's own words"


def released(slug: str = SLUG):
    return nbformat.read(ROOT / "puzzles" / slug / f"{slug}.ipynb", as_version=4)


RELEASE = released()
AS_RELEASED = {cell.id: cell.source for cell in RELEASE.cells}
IDS = list(AS_RELEASED)
GIVEN, TEXT = IDS[IDS.index(STUB) - 2 : IDS.index(STUB)]  # a read-only cell of code, and the text before the stub
AFTER = IDS[IDS.index(CHECK) + 1]


@pytest.fixture
def folder(tmp_path) -> Path:
    made = tmp_path / "submitted" / "ada" / SLUG
    made.mkdir(parents=True)
    return made


@pytest.fixture
def nb():
    """The release with one answer in it, as plain JSON."""
    notebook = json.loads(json.dumps(RELEASE))
    at(notebook, STUB)["source"] = ANSWER
    return notebook


def at(notebook, cell_id: str):
    return next(cell for cell in notebook["cells"] if cell["id"] == cell_id)


def index(notebook, cell_id: str) -> int:
    return notebook["cells"].index(at(notebook, cell_id))


def code(source: str, **more):
    plain = {"cell_type": "code", "source": source, "metadata": {}, "outputs": [], "execution_count": None}
    return {**plain, "id": f"new-{random.random()}".replace(".", "-"), **more}


def put(folder: Path, notebook, name: str = f"{SLUG}.ipynb") -> Path:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps(notebook))
    return folder / name


def texts(submission: Submission) -> dict[str, str]:
    assert submission.notebook is not None, submission.findings
    return {cell.id: cell.source for cell in submission.notebook.cells}


def own(submission: Submission) -> list[str]:
    return [source for name, source in texts(submission).items() if name.startswith("own-")]


def is_whole(submission: Submission) -> None:
    """A notebook that any tool reads: the release's cells in its order, and its locked text."""
    notebook = submission.notebook
    nbformat.validate(notebook)
    kept = [cell for cell in notebook.cells if not cell.id.startswith("own-")]
    assert [cell.id for cell in kept] == list(AS_RELEASED)
    for cell, was in zip(kept, RELEASE.cells, strict=True):
        role = was.metadata.get("nbgrader")
        assert cell.metadata.get("nbgrader") == role
        if role:
            assert cell.cell_type == was.cell_type
            assert cell.metadata == was.metadata
        if role and not role["solution"]:
            assert cell.source == was.source
    assert notebook.metadata == RELEASE.metadata
    assert not any(cell.get("outputs") or cell.get("attachments") for cell in notebook.cells)
    json.dumps(notebook).encode()


def accepted(folder: Path, *sentences: str, **more) -> Submission:
    """Read, with these findings and no others, and whole."""
    submission = read(folder, RELEASE, SLUG, **more)
    assert list(submission.findings) == list(sentences)
    is_whole(submission)
    return submission


def refused(folder: Path, *sentences: str, **more) -> None:
    submission = read(folder, RELEASE, SLUG, **more)
    assert submission.rejected
    assert submission.files == {}
    assert list(submission.findings) == list(sentences)


# ---- honest submissions ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slug", SLUGS)
def test_an_honest_submission_comes_out_as_it_is(slug, tmp_path):
    for name, answers in (("solved", solutions_of(ROOT, slug)), ("untouched", {})):
        path = submit(ROOT, slug, tmp_path / name / slug, answers)
        submission = read(path.parent, released(slug), slug)
        assert submission.findings == ()
        assert submission.notebook == nbformat.read(path, as_version=4)


def test_outputs_counts_and_pictures_are_left_behind(folder, nb):
    stream = {"output_type": "stream", "name": "stdout", "text": "forged"}
    at(nb, STUB).update(outputs=[stream], execution_count=3)
    at(nb, CHECK).update(outputs=[stream], execution_count=4)
    nb["metadata"] = {"kernelspec": {"name": "evil", "display_name": "Evil"}, "widgets": {}}
    nb["cells"].append(code("1 + 1", outputs=[stream], execution_count=5))
    put(folder, nb)
    assert own(accepted(folder)) == ["1 + 1"]
    at(nb, FREE).update(source="see the picture", attachments={"a.png": {"image/png": "AAAA"}})
    put(folder, nb)
    submission = accepted(folder, "Pictures pasted into text cells are not kept; say in words what they show.")
    assert texts(submission)[FREE] == "see the picture"


@pytest.mark.parametrize("tool", ["format 4.4", "other ids", "format 3", "a byte order mark", "lists of lines"])
def test_tools_that_write_notebooks_otherwise(folder, nb, tool):
    at(nb, OPEN)["source"] = 'puzzle.predict("the story", "votes", because="a guess")'
    at(nb, TEXT)["source"] += "\n\nMy note."
    nb["cells"].insert(index(nb, TEXT), code("scratch = 1"))
    kept = {cell["id"]: cell["source"] for cell in nb["cells"]}
    for number, cell in enumerate(nb["cells"]):
        if tool in ("format 4.4", "format 3"):
            del cell["id"]
        if tool == "other ids":
            cell["id"] = f"cell-{number}"
        if tool == "lists of lines":
            cell["source"] = cell["source"].splitlines(keepends=True)
    nb["nbformat_minor"] = 5 if "id" in nb["cells"][0] else 4
    path = put(folder, nb)
    if tool == "format 3":
        path.write_text(nbformat.versions[3].writes_json(nbformat.convert(nbformat.from_dict(nb), 3)))
    if tool == "a byte order mark":
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    submission = accepted(folder)
    assert own(submission) == ["scratch = 1"]
    assert {name: text for name, text in texts(submission).items() if name in AS_RELEASED}.items() <= kept.items()


def test_own_cells_stay_after_the_cell_they_followed(folder, nb):
    nb["cells"].insert(0, code("first"))
    at_stub = index(nb, STUB)
    nb["cells"][at_stub + 1 : at_stub + 1] = [code("one"), {**code("two"), "cell_type": "markdown"}]
    put(folder, nb)
    names = list(texts(accepted(folder)))
    assert names[0] == "own-1"
    assert names[names.index(STUB) :][:4] == [STUB, "own-2", "own-3", CHECK]


def test_the_learners_files_come_along(folder, nb):
    put(folder, nb)
    for name in ("helper.py", "data/table.csv", "puzzle.py", "Puzzle.py", ".hidden", ".git/config", "timestamp.txt"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(name)
    for litter in ("__pycache__/helper.pyc", ".ipynb_checkpoints/helper-checkpoint.py", "__MACOSX/x", "old.pyc"):
        (folder / litter).parent.mkdir(exist_ok=True)
        (folder / litter).write_text(litter)
    assert accepted(folder).files == {"helper.py": b"helper.py", "data/table.csv": b"data/table.csv"}


# ---- notebooks that cannot be graded --------------------------------------------------------------------------------


def test_no_notebook(folder):
    refused(folder, f"There is no notebook to be read in your submission; hand in {SLUG}.ipynb.")
    (folder / "induction.zip").write_bytes(b"PK")
    only = 'There is no notebook to be read in your submission, only "induction.zip"'
    refused(folder, f"{only}; hand in {SLUG}.ipynb.")
    (folder / "induction.zip").unlink()
    folder.rmdir()
    refused(folder, f'There is no folder "{SLUG}" to read in your submission; hand in {SLUG}.ipynb.')


SAVE_AGAIN = "(open it in JupyterLab and save it again)"
UNUSABLE = {
    "empty": (b" \n", "is empty"),
    "page": (b"\n<!DOCTYPE html><html>", "is a web page, not a notebook (download the raw file)"),
    "conflict": (
        b'{\n<<<<<<< HEAD\n "a": 1\n=======\n "a": 2\n>>>>>>> b\n}',
        "holds the marks of a merge conflict (resolve it, open the notebook and save it)",
    ),
    "cut": (json.dumps(RELEASE).encode()[:5000], f"is not valid JSON: it ends too early {SAVE_AGAIN}"),
    "cut between": (b'{"cells": [', f"is not valid JSON: it ends too early {SAVE_AGAIN}"),
    "damaged": (b'{\n"cells": [}\n]\n}', f"is not valid JSON: it is damaged at line 2 {SAVE_AGAIN}"),
    "latin-1": ('{"cells": "\xe4"}'.encode("latin-1"), f"is not UTF-8 text {SAVE_AGAIN}"),
    "utf-16": (json.dumps(RELEASE).encode("utf-16"), f"is not UTF-8 text {SAVE_AGAIN}"),
    "deep": (b"[" * 100_000, f"holds JSON that no notebook has {SAVE_AGAIN}"),
    "number": (b'{"nbformat": ' + b"9" * 5000 + b"}", f"holds JSON that no notebook has {SAVE_AGAIN}"),
    "many lists": (
        b"[" + b"[]," * 1_000_000 + b"0]",
        "is too large a structure (clear its outputs and save it again)",
    ),
    "list": (b"[1, 2]", "is JSON but not a notebook"),
    "table": (b'{"cells": []}', "is JSON but not a notebook"),
    "boolean": (b'{"nbformat": true, "cells": []}', "is JSON but not a notebook"),
    "no cells": (b'{"nbformat": 4, "cells": 7}', "is JSON but not a notebook: it has no list of cells"),
    "new": (b'{"nbformat": 5, "cells": []}', "is in notebook format 5, which is too new (save it in format 4)"),
    "old": (b'{"nbformat": 2}', "is in notebook format 2, which is too old (save it in JupyterLab)"),
    "worksheets": (
        b'{"nbformat": 3, "worksheets": [{"cells": [7]}]}',
        "is JSON but not a notebook: it has no list of cells",
    ),
    "negative": (
        b'{"nbformat": -1, "cells": []}',
        "is in notebook format -1, which is too old (save it in JupyterLab)",
    ),
    "no cell": (
        b'{"nbformat": 4, "cells": []}',
        "is not this puzzle's notebook: none of the puzzle's cells are in it",
    ),
    "crowded": (json.dumps({"nbformat": 4, "cells": [0] * 2001}).encode(), "has 2001 cells, more than 2000"),
}


@pytest.mark.parametrize("kind", UNUSABLE)
def test_unusable_notebooks(folder, kind):
    raw, why = UNUSABLE[kind]
    (folder / f"{SLUG}.ipynb").write_bytes(raw)
    refused(folder, f'"{SLUG}.ipynb" {why}; hand in {SLUG}.ipynb.')


def test_a_big_notebook(folder, nb):
    put(folder, nb)
    nothing = f"There is no notebook to be read in your submission; hand in {SLUG}.ipynb."
    big = "a notebook may have 0.01 MB at most (clear its outputs and save it again)"
    refused(folder, nothing, f'Left out, because {big}: "{SLUG}.ipynb".', bounds=Bounds(notebook_mb=0.01))


def test_sparse_terabytes_are_not_read(folder, nb):
    for number in range(300):
        with (folder / f"{number}.ipynb").open("wb") as file:
            file.truncate(1 << 40)
    put(folder, nb)
    big = "a notebook may have 20 MB at most (clear its outputs and save it again)"
    said = f'Left out, because {big}: "0.ipynb", "1.ipynb", "10.ipynb", "100.ipynb", "101.ipynb", 295 more.'
    assert cpu_seconds(lambda: accepted(folder, said)) < 1


def test_a_file_that_grows_while_it_is_read(monkeypatch, folder, nb):
    put(folder, nb)
    (folder / "growing").write_bytes(bytes(3000))

    def fstat(handle):
        fields = list(os.fstat(handle))
        fields[6] = 0  # the size
        return os.stat_result(fields)

    monkeypatch.setattr(submissions, "os", SimpleNamespace(**{**vars(os), "fstat": fstat}))
    why = "all files together may have 0.002 MB at most"
    assert accepted(folder, f'Left out, because {why}: "growing".', bounds=Bounds(files_mb=0.002)).files == {}


@pytest.mark.parametrize("slug", [slug for slug in SLUGS if slug != SLUG])
def test_another_puzzles_notebook(folder, slug):
    """Three puzzles have a stub `my_heads`, all have a free text and cells called code-1."""
    other = released(slug)
    put(folder, other)
    title = other.cells[0].source.splitlines()[0].removeprefix("# ")
    seems = f"it seems to be {submissions._quoted(title)}"
    refused(folder, f'"{SLUG}.ipynb" is not this puzzle\'s notebook: {seems}; hand in {SLUG}.ipynb.')


def test_a_notebook_of_few_cells_is_still_this_puzzles(folder, nb):
    nb["cells"] = [at(nb, STUB)]
    put(folder, nb)
    submission = read(folder, RELEASE, SLUG)
    is_whole(submission)
    assert texts(submission)[STUB] == ANSWER
    *missing, back = submission.findings
    assert [said.split(" (")[0] for said in missing] == [
        f"The cell {name}" for name in ("stub-head-scores", "stub-k-composition", "stub-my-heads", FREE)
    ]
    assert back.startswith("Put back, because they were missing: text-0 (")
    assert back.endswith(" more.")


# ---- which notebook -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", [f"{SLUG} (1).ipynb", f"{SLUG}.ipynb.txt", "INDUCTION.IPYNB", "my\x1b[31m.ipynb", "ré\u202fsumé.ipynb"]
)
def test_a_renamed_notebook(folder, nb, name):
    put(folder, nb, name)
    shown = name.replace("\x1b", "\ufffd").replace("\u202f", "\ufffd")
    submission = accepted(folder, f'Your notebook is called "{shown}"; it is graded as {SLUG}.ipynb.')
    assert texts(submission)[STUB] == ANSWER
    assert submission.files == {}


def test_a_notebook_in_a_folder_brings_its_files(folder, nb):
    put(folder, nb, f"unpacked/{SLUG}.ipynb")
    (folder / "unpacked" / "helper.py").write_text("x")
    (folder / "unpacked" / "puzzle.py").write_text("x")
    (folder / "elsewhere.py").write_text("x")
    submission = accepted(
        folder,
        f'Your notebook is called "unpacked/{SLUG}.ipynb"; it is graded as {SLUG}.ipynb.',
        'Your notebook lies in the folder "unpacked"; only files in that folder are used with it.',
    )
    assert list(submission.files) == ["helper.py"]


def test_several_notebooks(folder, nb):
    def graded() -> str:
        (said,) = read(folder, RELEASE, SLUG).findings
        assert said.startswith("There are ")
        return said.split("graded is ")[1]

    other = copy.deepcopy(nb)
    put(folder, other, f"{SLUG}.ipynb")
    put(folder, other, f"{SLUG}-Copy1.ipynb")
    assert graded() == f'"{SLUG}.ipynb".'  # the right name
    at(other, STUB)["source"] = AS_RELEASED[STUB]
    put(folder, other, f"{SLUG}.ipynb")
    assert graded() == f'"{SLUG}-Copy1.ipynb".'  # the one that was worked on
    (folder / f"{SLUG}.ipynb").unlink()
    put(folder, nb, f"{SLUG} (9).ipynb")
    put(folder, nb, f"{SLUG} (10).ipynb")
    (folder / f"{SLUG}-Copy1.ipynb").unlink()
    assert graded() == f'"{SLUG} (10).ipynb".'  # the last of equals
    os.utime(folder / f"{SLUG} (9).ipynb")
    assert graded() == f'"{SLUG} (10).ipynb".'  # times say nothing
    nb["cells"].remove(at(nb, "check-my-heads"))
    put(folder, nb, f"{SLUG} (10).ipynb")
    assert graded() == f'"{SLUG} (9).ipynb".'  # the fuller one


def test_a_damaged_notebook_beside_a_whole_one(folder, nb):
    (folder / f"{SLUG}.ipynb").write_text("")
    put(folder, nb, "backup.ipynb")
    put(folder, {"nbformat": 4, "cells": []}, "scratch.ipynb")
    submission = accepted(
        folder,
        f'"{SLUG}.ipynb" is empty; hand in {SLUG}.ipynb.',
        f'Your notebook is called "backup.ipynb"; it is graded as {SLUG}.ipynb.',
    )
    assert texts(submission)[STUB] == ANSWER


def test_too_many_notebooks_do_not_hide_the_right_one(folder, nb):
    for number in range(12):
        put(folder, {"nbformat": 4, "cells": []}, f"a{number:02}.ipynb")
    put(folder, nb)
    left = '"a09.ipynb", "a10.ipynb", "a11.ipynb"'
    accepted(folder, f"Left out, because there are too many notebooks: {left}.")


# ---- what lies in the folder ----------------------------------------------------------------------------------------

LINKED = "Left out, because links are not followed (hand in the files themselves)"
NOTHING = f"There is no notebook to be read in your submission; hand in {SLUG}.ipynb."


@pytest.fixture
def secret(tmp_path) -> Path:
    """A notebook that would be graded if it were read, and a file, outside of the submission."""
    outside = tmp_path / "solutions"
    outside.mkdir()
    notebook = json.loads(json.dumps(RELEASE))
    at(notebook, STUB)["source"] = SECRET
    put(outside, notebook)
    (outside / "answers.txt").write_text(SECRET)
    return outside


def test_links_are_not_followed(folder, nb, secret):
    (folder / f"{SLUG}.ipynb").symlink_to(secret / f"{SLUG}.ipynb")
    refused(folder, NOTHING, f'{LINKED}: "{SLUG}.ipynb".')
    put(folder, nb, "mine.ipynb")
    (folder / "answers.txt").symlink_to(secret / "answers.txt")
    (folder / "data").symlink_to(secret)
    (folder / "nowhere").symlink_to("nowhere")
    submission = accepted(
        folder,
        f'Your notebook is called "mine.ipynb"; it is graded as {SLUG}.ipynb.',
        f'{LINKED}: "{SLUG}.ipynb", "answers.txt", "data", "nowhere".',
    )
    assert submission.files == {}
    assert texts(submission)[STUB] == ANSWER


@pytest.mark.parametrize("which", ["puzzle", "learner"])
def test_a_linked_folder_is_not_entered(tmp_path, folder, secret, which):
    folder.rmdir()
    if which == "puzzle":
        folder.symlink_to(secret)
    else:
        folder.parent.rmdir()
        (tmp_path / "others").mkdir()
        secret.rename(tmp_path / "others" / SLUG)
        folder.parent.symlink_to(tmp_path / "others")
    name = SLUG if which == "puzzle" else "ada"
    link = "is a link, and links are not followed (hand in the files themselves)"
    refused(folder, f'The folder "{name}" of your submission {link}.')


def test_what_is_above_the_learners_folder_may_be_a_link(tmp_path, folder, nb):
    put(folder, nb)
    (tmp_path / "course").symlink_to(tmp_path / "submitted")
    accepted(tmp_path / "course" / "ada" / SLUG)


class Exchanged:
    """`os` as if every link had been a file or a folder when it was looked at, and been exchanged since."""

    def __init__(self, **others):
        vars(self).update(others)

    def __getattr__(self, name):
        return getattr(os, name)

    def stat(self, name, *, dir_fd, follow_symlinks):
        return os.stat(name, dir_fd=dir_fd)


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_an_exchange_between_looking_and_opening(monkeypatch, folder, nb, secret, kind):
    put(folder, nb)
    (folder / "data").symlink_to(secret / "answers.txt" if kind == "file" else secret)
    monkeypatch.setattr(submissions, "os", Exchanged())
    submission = accepted(folder, 'Left out, because they could not be opened: "data".')
    assert submission.files == {}
    # Without the flag that forbids links the same reads what lies outside.
    monkeypatch.setattr(submissions, "os", Exchanged(O_NOFOLLOW=0))
    files = read(folder, RELEASE, SLUG).files
    assert SECRET.encode() in files.values()


def test_pipes_and_sockets_neither_block_nor_are_read(monkeypatch, folder, nb):
    put(folder, nb)
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        monkeypatch.chdir(folder)  # a socket's path is short
        listener.bind("socket")
        accepted(folder, 'Left out, because only regular files are read: "pipe", "socket".')


def test_a_pipe_put_in_place_of_a_file(monkeypatch, folder, nb):
    """Opening it would wait for a writer for ever, were it not for O_NONBLOCK; then it is seen for what it is."""
    put(folder, nb)
    os.mkfifo(folder / "pipe")
    file = os.stat(folder / f"{SLUG}.ipynb")
    flags = []

    def spy(name, how, **more):
        flags.append(how)
        return os.open(name, how, **more)

    monkeypatch.setattr(submissions, "os", SimpleNamespace(**{**vars(os), "stat": lambda *_, **__: file, "open": spy}))
    accepted(folder, 'Left out, because only regular files are read: "pipe".')
    assert all(how & os.O_NONBLOCK for how in flags if not how & os.O_DIRECTORY)


def test_hard_links_to_what_is_somebody_elses(monkeypatch, folder, nb, secret):
    """A backup's hard links keep the owner of the folder; those to other people's files do not."""
    put(folder, nb)
    os.link(secret / "answers.txt", folder / "answers.txt")
    os.link(folder / f"{SLUG}.ipynb", secret / "backup.ipynb")
    assert accepted(folder).files == {"answers.txt": SECRET.encode()}  # the same owner: theirs to hand in
    theirs = os.stat(secret / "answers.txt").st_ino

    def fstat(handle):
        found = os.fstat(handle)
        fields = list(found)
        fields[4] += found.st_ino == theirs  # the owner
        return os.stat_result(fields)

    monkeypatch.setattr(submissions, "os", SimpleNamespace(**{**vars(os), "fstat": fstat}))
    why = "they are names for somebody else's files (hand in copies)"
    assert accepted(folder, f'Left out, because {why}: "answers.txt".').files == {}


def test_a_file_that_cannot_be_opened(monkeypatch, folder, nb):
    put(folder, nb)
    (folder / "locked.csv").write_text("1")

    def refuse(name, flags, **more):
        if name == "locked.csv":  # root may open everything
            raise PermissionError(errno.EACCES, "no")
        return os.open(name, flags, **more)

    monkeypatch.setattr(submissions, "os", SimpleNamespace(**{**vars(os), "open": refuse}))
    accepted(folder, 'Left out, because they could not be opened: "locked.csv".')


def test_names_that_are_no_text(folder, nb):
    put(folder, nb)
    try:
        Path(os.fsdecode(os.fsencode(folder) + b"/\xff\xfe.csv")).write_text("1")
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    accepted(folder, 'Left out, because their names are not valid text: "\ufffd\ufffd.csv".')


def test_folders_in_folders(folder, nb):
    put(folder, nb)
    deep = folder.joinpath(*"abcdef")
    deep.mkdir(parents=True)
    for place in (deep, deep.parent):
        (place / "x").write_text("x")
    why = "folders may lie in one another 5 deep at most"
    assert list(accepted(folder, f'Left out, because {why}: "a/b/c/d/e/f".').files) == ["a/b/c/d/e/x"]


def test_too_many_files(folder, nb):
    put(folder, nb)
    for number in range(8):
        (folder / f"{number}.txt").write_text("x")
    bounds = Bounds(files=7)
    much = "Your folder holds more than 7 other files, so only the notebook is used."
    assert accepted(folder, much, bounds=bounds).files == {}
    (folder / "0.txt").unlink()
    assert len(accepted(folder, bounds=bounds).files) == 7


def test_too_many_bytes(folder, nb):
    put(folder, nb)
    for name in "abc":
        (folder / name).write_bytes(bytes(1000))
    why = "all files together may have 0.0025 MB at most"
    submission = accepted(folder, f'Left out, because {why}: "c".', bounds=Bounds(files_mb=0.0025))
    assert list(submission.files) == ["a", "b"]


def test_more_names_than_are_looked_at(folder, nb):
    put(folder, nb)
    (folder / "venv").mkdir()
    for number in range(50):
        (folder / "venv" / str(number)).write_text("x")
    submission = accepted(
        folder,
        "Your folder holds more than 100 other files, so only the notebook is used.",
        'Left out, because your submission has more than 20 files and folders: "venv".',
        bounds=Bounds(entries=20),
    )
    assert submission.files == {}


def test_the_digest_changes_with_the_submission(folder, nb):
    def digest() -> str:
        return read(folder, RELEASE, SLUG).digest

    seen = [digest()]
    put(folder, nb)
    assert read(folder, RELEASE, SLUG).digest == digest() not in seen
    for name, content in (("a.txt", "1"), ("a.txt", "2"), ("b.txt", "2"), ("timestamp.txt", "now")):
        seen.append(digest())
        (folder / name).write_text(content)
        assert digest() not in seen
    seen.append(digest())
    (folder / "a.txt").unlink()
    (folder / "a.txt").symlink_to("b.txt")
    assert digest() not in seen
    same = digest()
    os.utime(folder / "b.txt", (0, 0))
    (folder / ".ipynb_checkpoints").mkdir()
    (folder / ".ipynb_checkpoints" / f"{SLUG}-checkpoint.ipynb").write_text("1")
    assert digest() == same


# ---- what was done to the cells -------------------------------------------------------------------------------------


def told(cell_id: str) -> str:
    """A cell as sentences name it, with its first line, which may be cut."""
    line = AS_RELEASED[cell_id].splitlines()[0]
    return f'{cell_id} ("{line if len(line) <= 60 else line[:59] + "…"}")'


COSTS = told(STUB)
CHECKED = f'{CHECK} ("puzzle.check("costs", costs)")'
TWICE = f"The cell {COSTS} is there 2 times"


def copied(nb, cell_id: str, source: str, offset: int = 1):
    """Paste a copy of a cell below it (or above), as Jupyter does: the same metadata, a new id."""
    cell = {**copy.deepcopy(at(nb, cell_id)), "source": source, "id": f"pasted-{len(nb['cells'])}"}
    nb["cells"].insert(index(nb, cell_id) + offset, cell)
    return cell


@pytest.mark.parametrize("offset", [0, 1])
def test_a_copied_stub_of_which_one_is_filled_in(folder, nb, offset):
    copied(nb, STUB, AS_RELEASED[STUB], offset)
    put(folder, nb)
    submission = accepted(folder, f"{TWICE}; the one that you changed is graded.")
    assert texts(submission)[STUB] == ANSWER
    assert own(submission) == []  # the unchanged copy would undo the answer


def test_a_copied_stub_of_which_both_are_filled_in(folder, nb):
    copied(nb, STUB, ANSWER + "\n# better")
    put(folder, nb)
    which = "the last that you changed is graded, and the others are ordinary cells"
    submission = accepted(folder, f"{TWICE}; {which}.")
    assert texts(submission)[STUB] == ANSWER + "\n# better"
    assert own(submission) == [ANSWER]
    names = list(texts(submission))
    assert names.index("own-1") < names.index(STUB)  # what is graded runs last


def test_a_copied_answer_and_an_untouched_pair(folder, nb):
    copied(nb, STUB, ANSWER + "  \n")
    put(folder, nb)
    assert own(accepted(folder, f"{TWICE}; the one that you changed is graded.")) == []
    for cell in nb["cells"]:
        if cell["metadata"].get("nbgrader", {}).get("grade_id") == STUB:
            cell["source"] = AS_RELEASED[STUB]
    put(folder, nb)
    assert own(accepted(folder, f"{TWICE}; none of them is changed.")) == []


def test_copied_checks(folder, nb):
    copied(nb, CHECK, AS_RELEASED[CHECK])
    put(folder, nb)
    twice = f"The cell {CHECKED} is there 2 times; it is graded as released"
    assert own(accepted(folder, f"{twice}.")) == []
    at(nb, CHECK)["source"] = "costs(torch.ones(2, 2))"
    put(folder, nb)
    submission = accepted(folder, f"{twice}, and the changed copies are cells of your own.")
    assert own(submission) == ["costs(torch.ones(2, 2))"]


def test_a_copy_without_settings_is_an_own_cell(folder, nb):
    at(nb, STUB)["source"] = AS_RELEASED[STUB]
    copied(nb, STUB, ANSWER)["metadata"] = {"nbgrader": {}}
    put(folder, nb)
    submission = accepted(folder)
    names = list(texts(submission))
    assert names[names.index(STUB) :][:3] == [STUB, "own-1", CHECK]  # it runs after the stub and before the check
    assert own(submission) == [ANSWER]


def test_a_copy_without_settings_in_place_of_the_stub(folder, nb):
    copied(nb, STUB, ANSWER)["metadata"] = {"nbgrader": {}}
    nb["cells"].remove(at(nb, STUB))
    put(folder, nb)
    lost = f"Grading settings were changed or lost, and the released ones are used, in: {COSTS}."
    submission = accepted(folder, lost)
    assert texts(submission)[STUB] == ANSWER
    assert own(submission) == []


def test_two_stubs_merged_into_one_cell(folder, nb):
    """The second stub put back as released would undo its answer."""
    merged = f"{ANSWER}\n\ndef head_scores(pattern, period):\n    return pattern"
    at(nb, STUB)["source"] = merged
    nb["cells"].remove(at(nb, "stub-head-scores"))
    put(folder, nb)
    second = told("stub-head-scores")
    says = f"The cell {second} is missing; another cell of yours defines head_scores, and is used."
    submission = accepted(folder, says)
    assert texts(submission)[STUB] == merged
    assert texts(submission)["stub-head-scores"] == "# This cell was missing: head_scores is defined in another one."


def test_deleted_cells_are_put_back(folder, nb):
    for gone in (STUB, CHECK, TEXT, OPEN, GIVEN):
        nb["cells"].remove(at(nb, gone))
    put(folder, nb)
    submission = read(folder, RELEASE, SLUG)
    is_whole(submission)
    assert texts(submission) == AS_RELEASED
    missing, back = submission.findings
    assert missing == f"The cell {COSTS} is missing; it is put back as released, without an answer."
    assert back.startswith(f'Put back, because they were missing: {OPEN} ("puzzle.predict(')
    assert CHECKED in back


def test_a_cell_in_place_of_the_stub_is_not_taken_for_it(folder, nb):
    nb["cells"][index(nb, STUB)] = code("scratch = 1")
    put(folder, nb)
    submission = accepted(folder, f"The cell {COSTS} is missing; it is put back as released, without an answer.")
    assert own(submission) == ["scratch = 1"]


def test_all_cells_deleted_but_one_check(folder, nb):
    nb["cells"] = [at(nb, CHECK)]
    put(folder, nb)
    submission = read(folder, RELEASE, SLUG)
    is_whole(submission)
    assert texts(submission) == AS_RELEASED


def test_changed_locked_cells(folder, nb):
    at(nb, CHECK)["source"] = "print('passed')"
    at(nb, "code-1").update(cell_type="raw")
    at(nb, "code-2")["source"] += "  \r\n\n"  # an editor's doing
    put(folder, nb)
    submission = read(folder, RELEASE, SLUG)
    is_whole(submission)
    first, second = submission.findings
    assert first == 'The cell code-1 ("import dataclasses") is read-only; your change to it is not graded.'
    assert second == f"The cell {CHECKED} is read-only; your change to it is not graded."


def test_cells_in_another_order(folder, nb):
    nb["cells"].insert(index(nb, CHECK) + 1, code("after the check"))
    nb["cells"].reverse()
    put(folder, nb)
    submission = accepted(folder, "Some cells were in another order; they are graded in the puzzle's order.")
    names = list(texts(submission))
    assert names[names.index("own-1") - 1] == AFTER  # which it now follows
    assert texts(submission)[STUB] == ANSWER


@pytest.mark.parametrize("kind", ["markdown", "raw", "nonsense", None])
def test_a_stub_turned_into_text(folder, nb, kind):
    at(nb, STUB).update(cell_type=kind)
    put(folder, nb)
    became = "markdown" if kind == "markdown" else "raw"
    submission = accepted(folder, f"The cell {COSTS} had become a {became} cell; its text is graded as code.")
    assert texts(submission)[STUB] == ANSWER


def test_a_free_text_turned_into_code_and_an_open_cell_turned_off(folder, nb):
    at(nb, FREE).update(cell_type="code", source="Because.")
    at(nb, OPEN).update(cell_type="raw", source="not now")
    put(folder, nb)
    called = f'{FREE} ("YOUR ANSWER HERE")'
    submission = accepted(folder, f"The cell {called} had become a code cell; its text is graded as markdown.")
    assert texts(submission)[FREE] == "Because."
    turned_off = at(submission.notebook, OPEN)
    assert (turned_off.cell_type, turned_off.source) == ("raw", "not now")


TAMPERED = {
    "points": {"points": 100},
    "flags": {"grade": False, "solution": True, "locked": False},
    "schema": {"schema_version": 99},
    "extra": {"task": True},
}


@pytest.mark.parametrize("kind", TAMPERED)
def test_changed_settings(folder, nb, kind):
    at(nb, CHECK)["metadata"]["nbgrader"].update(TAMPERED[kind])
    put(folder, nb)
    accepted(folder, f"Grading settings were changed or lost, and the released ones are used, in: {CHECKED}.")


@pytest.mark.parametrize("metadata", [None, [], "x", {"nbgrader": None}, {"nbgrader": []}, {"nbgrader": "x"}, {}])
@pytest.mark.parametrize("cell_id", [STUB, CHECK])
def test_lost_settings(folder, nb, metadata, cell_id):
    at(nb, cell_id)["metadata"] = metadata
    put(folder, nb)
    called = COSTS if cell_id == STUB else CHECKED
    lost = f"Grading settings were changed or lost, and the released ones are used, in: {called}."
    assert texts(accepted(folder, lost))[STUB] == ANSWER


def test_a_locked_cell_without_settings_and_id_is_known_by_its_text(folder, nb):
    at(nb, CHECK).update(metadata={}, id="another")
    put(folder, nb)
    lost = f"Grading settings were changed or lost, and the released ones are used, in: {CHECKED}."
    assert own(accepted(folder, lost)) == []


def test_the_checksum_of_an_older_release_is_no_change(folder, nb):
    at(nb, CHECK)["metadata"]["nbgrader"]["checksum"] = "0" * 32
    put(folder, nb)
    accepted(folder)


@pytest.mark.parametrize("claim", [["x"], {}, 7, True, "", None])
def test_grade_ids_that_are_none(folder, nb, claim):
    at(nb, STUB)["metadata"]["nbgrader"]["grade_id"] = claim
    put(folder, nb)
    lost = f"Grading settings were changed or lost, and the released ones are used, in: {COSTS}."
    assert texts(accepted(folder, lost))[STUB] == ANSWER


def test_a_stub_that_claims_to_be_the_check(folder, nb):
    at(nb, STUB)["metadata"] = copy.deepcopy(at(nb, CHECK)["metadata"])
    put(folder, nb)
    lost = f"Grading settings were changed or lost, and the released ones are used, in: {COSTS}."
    assert texts(accepted(folder, lost))[STUB] == ANSWER
    nb["cells"].remove(at(nb, CHECK))
    put(folder, nb)
    submission = accepted(folder, f"Put back, because they were missing: {CHECKED}.", lost)
    assert texts(submission)[STUB] == ANSWER


def test_a_cell_of_ones_own_that_claims_points(folder, nb):
    role = {**at(nb, CHECK)["metadata"]["nbgrader"], "grade_id": "check-bonus", "points": 50}
    nb["cells"].append(code("pass", metadata={"nbgrader": role, "tags": ["raises-exception"]}))
    put(folder, nb)
    submission = accepted(folder, "Cells of your own had grading settings, which are taken out: they carry no points.")
    assert submission.notebook.cells[-1].source == "pass"
    assert submission.notebook.cells[-1].metadata == {}


def test_damaged_cells_are_left_out(folder, nb):
    broken = [None, 7, [], {}, {"cell_type": "code", "source": 7}, {"cell_type": "code", "source": ["a", 7]}]
    nb["cells"] = [*broken, *nb["cells"], code("#" * 600_000)]
    put(folder, nb)
    why = "they are damaged or have more than 500 kB (keep data in a file)"
    listed = "cell 1, cell 2, cell 3, cell 4, cell 5, 2 more of your notebook"
    assert texts(accepted(folder, f"Left out, because {why}: {listed}."))[STUB] == ANSWER


def test_cell_ids_that_are_none(folder, nb):
    nb["cells"] += [code(f"{n} + 1", id=bad) for n, bad in enumerate(["", "a b", "x" * 99, 7, None, "own-1", "own-1"])]
    put(folder, nb)
    assert own(accepted(folder)) == [f"{n} + 1" for n in range(7)]


def test_half_characters(folder, nb):
    at(nb, STUB)["source"] = "a = '\ud800'"
    put(folder, nb)
    assert texts(accepted(folder))[STUB] == "a = '?'"


# ---- a bad release, and anything at all -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["same id", "no id", "same grade id", "nothing graded", "invalid"])
def test_a_bad_release_raises(folder, kind):
    bad = copy.deepcopy(RELEASE)
    if kind == "same id":
        at(bad, CHECK).id = STUB
    elif kind == "no id":
        del at(bad, CHECK)["id"]
    elif kind == "same grade id":
        at(bad, CHECK).metadata.nbgrader.grade_id = STUB
    elif kind == "nothing graded":
        bad.cells = bad.cells[:1]
    else:
        at(bad, CHECK).outputs = 7
    with pytest.raises(ValueError, match="release"):
        read(folder, bad, SLUG)


def damaged(rng: random.Random) -> bytes:
    """The submission after some accidents."""
    notebook = json.loads(json.dumps(RELEASE))
    cells = notebook["cells"]
    for cell in rng.sample(cells, 5):
        cell["source"] = f"changed = {rng.random()}"
    junk = [None, 7, "", [], {}, "x" * 50, -1.5, {"nbgrader": {"grade_id": STUB}}, ["a"], STUB, CHECK, "\ud800"]
    for _ in range(rng.randrange(8)):
        place, other = rng.randrange(len(cells)), rng.randrange(len(cells))
        accident = rng.randrange(7)
        if accident == 0 and len(cells) > 10:
            del cells[place]
        elif accident == 1:
            cells.insert(other, copy.deepcopy(cells[place]))
        elif accident == 2:
            rng.shuffle(cells)
        elif accident == 3 and isinstance(cells[place], dict) and isinstance(cells[other], dict):
            cells[place]["metadata"] = copy.deepcopy(cells[other].get("metadata"))
        elif accident == 4 and isinstance(cells[place], dict):
            cells[place][rng.choice(["source", "metadata", "id", "cell_type", "outputs"])] = rng.choice(junk)
        elif accident == 5:
            cells[place] = rng.choice(junk)
        elif isinstance(cells[place], dict) and isinstance(meta := cells[place].get("metadata"), dict):
            meta["nbgrader"] = rng.choice([{}, None, *junk, {"grade_id": rng.choice(junk), "grade": True}])
    if rng.random() < 0.1:
        notebook[rng.choice(["cells", "metadata", "nbformat", "nbformat_minor"])] = rng.choice(junk)
    raw = bytearray(json.dumps(notebook).encode())
    if rng.random() < 0.1:
        del raw[rng.randrange(len(raw)) :]
    for _ in range(rng.randrange(5) if rng.random() < 0.3 else 0):
        raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
    return bytes(raw)


def test_whatever_happens_to_a_notebook(folder):
    rng, graded = random.Random(0), 0
    with little_to_collect():
        for number in range(300):
            (folder / f"{SLUG}.ipynb").write_bytes(damaged(rng))
            start = time.process_time()
            submission = read(folder, RELEASE, SLUG)
            assert time.process_time() - start < 1, number
            assert all(said.endswith(".") and said.isprintable() and len(said) < 1000 for said in submission.findings)
            if submission.rejected:
                assert submission.findings
            else:
                graded += 1
                is_whole(submission)
    assert 100 < graded < 300  # both happen


@pytest.mark.parametrize("seed", range(20))
def test_no_answer_is_lost(folder, seed):
    """Reordered, copied, with other ids and without most settings: each text that a learner wrote is in the result."""
    rng = random.Random(seed)
    notebook = json.loads(json.dumps(RELEASE))
    cells = notebook["cells"]
    wrote = []
    for cell in cells:
        role = cell["metadata"].get("nbgrader")
        if not role or role["solution"]:
            cell["source"] = f"wrote_{len(wrote)} = 1"
            wrote.append(cell["source"])
    for _ in range(5):
        cells.insert(rng.randrange(len(cells)), code(f"wrote_{len(wrote)} = 1"))
        wrote.append(f"wrote_{len(wrote)} = 1")
        cells.insert(rng.randrange(len(cells)), copy.deepcopy(rng.choice(cells)))
        cells.insert(rng.randrange(len(cells)), cells.pop(rng.randrange(len(cells))))
    for cell in rng.sample(cells, 15):
        cell["metadata"].pop("nbgrader", None)
    for number, cell in enumerate(rng.sample(cells, 15)):
        cell["id"] = f"another-{number}"
    put(folder, notebook)
    submission = read(folder, RELEASE, SLUG)
    is_whole(submission)
    assert set(wrote) <= set(texts(submission).values())


def large(nb: dict, kind: str, size: int) -> dict:
    """A copy of a notebook with much of one kind."""
    nb = copy.deepcopy(nb)
    if kind == "cells":
        nb["cells"] += [code("pass") for _ in range(size)]
    elif kind == "definitions":
        nb["cells"] = [at(nb, CHECK), *(code(f"def other_{n}():\n    pass\n" * 100) for n in range(size))]
    elif kind == "copies":
        nb["cells"] += [{**at(nb, STUB), "source": f"x = {n}"} for n in range(size)]
    else:
        long = 200 * size
        lines = ["a" * long, "def" + " " * long, "a:" * (long // 2), "\n" * long]
        nb["cells"] = [at(nb, CHECK), *map(code, lines)]
    return nb


@pytest.mark.parametrize("kind", ["cells", "definitions", "copies", "long lines"])
def test_large_notebooks_take_no_longer_than_they_must(folder, nb, kind):
    """Four times the text costs four times as much; sixteen times, if each part were held to each other."""
    costs = []
    for size in (475, 1900):
        put(folder, large(nb, kind, size))
        is_whole(read(folder, RELEASE, SLUG))
        costs.append(cpu_seconds(lambda: read(folder, RELEASE, SLUG), rounds=3))
    assert costs[1] < 8 * costs[0]
