"""Building: percent text to source notebook to release, on the template's puzzle, which each test may damage."""

import shutil
from pathlib import Path

import nbformat
import pytest

from mechpuzzles import build, folders, index
from mechpuzzles.verify import verify

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.xdist_group("build")


@pytest.fixture
def checkout(tmp_path):
    """A checkout with one small puzzle, not yet built."""
    return write_checkout(tmp_path)


@pytest.fixture(scope="module")
def _built_once(tmp_path_factory):
    root = write_checkout(tmp_path_factory.mktemp("built"))
    build.build(root, "row_sums")
    return root


@pytest.fixture
def built(_built_once, tmp_path):
    """The same, built; each test gets a copy to damage."""
    return shutil.copytree(_built_once, tmp_path / "checkout")


def write_checkout(root: Path) -> Path:
    shutil.copy(ROOT / "nbgrader_config.py", root)
    (root / "README.md").write_text("# Series\n<!-- puzzles: begin -->\n<!-- puzzles: end -->\nThe end.\n")
    (root / "solutions").mkdir()
    (root / "puzzles").mkdir()
    folders.new(root, "row_sums")
    return root


def damage(root: Path, name: str, old: str, new: str) -> None:
    path = root / "solutions" / "row_sums" / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))


@pytest.mark.slow
def test_a_small_puzzle_goes_through_the_whole_path(checkout):
    changed = build.build(checkout, "row_sums")
    assert changed == [
        "solutions/row_sums/row_sums.ipynb",
        "puzzles/row_sums/puzzle.py",
        "puzzles/row_sums/row_sums.ipynb",
    ]
    before = {path: path.read_bytes() for path in checkout.rglob("*.ipynb")}
    assert build.build(checkout, "row_sums") == [], "building again changes nothing"
    assert before == {path: path.read_bytes() for path in checkout.rglob("*.ipynb")}
    assert build.stale(checkout, "row_sums") == []
    report = verify(checkout, "row_sums")
    assert report.problems == []
    assert (report.killed, report.passing, report.release_points, report.solution_points) == (1, 1, 0, 2)


def test_the_release_holds_no_answer(built):
    assert sorted(path.name for path in (built / "puzzles" / "row_sums").iterdir()) == ["puzzle.py", "row_sums.ipynb"]
    text = (built / "puzzles" / "row_sums" / "row_sums.ipynb").read_text()
    for secret in ("sum(dim=1)", "HIDDEN", "puzzle.grade", "Because each row", "Sums are sums", "right on every"):
        assert secret not in text
    for kept in ("raise NotImplementedError()", "YOUR ANSWER HERE", "Fhzf ner fhzf."):
        assert kept in text


def test_cells_have_lasting_names_and_nbgraders_roles(checkout):
    notebook = build.assemble(checkout, "row_sums")
    roles = {cell.id: cell.metadata.get("nbgrader", {}) for cell in notebook.cells}
    assert [name for name in roles if name.endswith("row-sums")] == ["stub-row-sums", "check-row-sums"]
    assert roles["check-row-sums"]["points"] == 2
    assert roles["check-row-sums"]["grade"]
    assert roles["check-row-sums"]["locked"]
    assert roles["stub-row-sums"]["solution"]
    assert not roles["stub-row-sums"]["grade"]
    assert roles["free-text-explanation"]["points"] == 1
    assert roles["open-play"] == {}
    assert roles["code-1"]["locked"]


BROKEN = [
    ("row_sums.py", 'stub="row_sums"', 'stub="row_sum"', ValueError, "no part 'row_sum'"),
    ("row_sums.py", 'check="row_sums"', 'open="row_sums"', ValueError, "0 cells are marked check"),
    ("row_sums.py", 'open="play"', 'open="play" check="row_sums"', ValueError, "has the marks"),
    ("row_sums.py", "# Sums are sums.", '# """', ValueError, "triple quotes"),
    ("puzzle.py", "PUZZLE = ", "ANOTHER = ", ValueError, "declares no PUZZLE"),
    ("puzzle.py", 'slug="row_sums"', 'slug="rows"', ValueError, "declares the slug 'rows'"),
    ("puzzle.py", 'FreeText("explanation"', 'FreeText("why"', ValueError, "no free text 'explanation'"),
]


@pytest.mark.parametrize(("name", "old", "new", "error", "words"), BROKEN)
def test_a_broken_folder_is_refused_in_words(checkout, name, old, new, error, words):
    damage(checkout, name, old, new)
    with pytest.raises(error, match=words):
        build.assemble(checkout, "row_sums")


@pytest.mark.slow
def test_a_failing_build_leaves_the_old_files(built):
    before = {path: path.read_bytes() for path in built.rglob("*.ipynb")}
    damage(built, "row_sums.py", "W.sum(dim=1)", "W.sum(dim=0)")
    with pytest.raises(Exception, match=r"row_sums.* not yet\. The shape is not the one"):
        build.build(built, "row_sums")
    assert before == {path: path.read_bytes() for path in built.rglob("*.ipynb")}
    assert build.stale(built, "row_sums") == ["solutions/row_sums/row_sums.ipynb is older than row_sums.py"]


CAUGHT = [
    # what is damaged in the folder, and the words by which the gate tells
    ("_author.py", "W.mean(1)", "W.sum(1)", "should show averaged, but check finds right"),
    ("_author.py", '"averaged", averages', '"other", averages', "should show other, but check finds averaged"),
    ("_author.py", "row.sum()", "row.max()", "right, but rejected: row_sums, loop"),
    ("_author.py", "W.mean(1)", "W.sum(1) + 2e-3 * W[:, 0]", "tolerances from right"),
    ("puzzle.py", "Does it add up?", "It adds up.", "does not end in a question mark"),
    ("puzzle.py", 'hints=("Over which axis do you sum?",)', "hints=()", "a hint, a meaning or a sentence is empty"),
    ("puzzle.py", "return torch.tensor([sum", "return torch.tensor([0 * sum", "accepts an answer that zeros"),
    ("row_sums.py", "# # A new puzzle", "# # A new puzzle " + "and so on " * 400, "words of prose"),
    ("row_sums.py", "\nrow_sums\n", "\nrow_sums\n" + "x = 1\n" * 20, "lines, more than 12"),
    ("row_sums.py", "\nrow_sums\n", "\nrow_sums\npuzzle.draw\n", "the notebook uses puzzle.draw"),
    (
        "puzzle.py",
        "PUZZLE = Puzzle(",
        "PUZZLE = Puzzle(draw=lambda rng: torch.nn.Linear(2, 3), ",
        "the variant is a Linear",
    ),
    ("puzzle.py", "PUZZLE = Puzzle(", "PUZZLE = Puzzle(draw=lambda rng: [{1}], ", "the variant is a list"),
]


@pytest.mark.parametrize(("name", "old", "new", "words"), CAUGHT)
def test_the_gate_catches(built, name, old, new, words):
    damage(built, name, old, new)
    if name == "row_sums.py":  # the length is looked at in the built files
        shutil.copy(write_source(built), built / "puzzles" / "row_sums" / "row_sums.ipynb")
    problems = verify(built, "row_sums", run=False).problems
    assert any(words in problem for problem in problems), problems


def test_each_draw_of_the_grader_is_judged_apart(built):
    damage(built, "_author.py", "row.sum()", "row.max()")
    rejected = [problem for problem in verify(built, "row_sums", run=False, draws=3).problems if "rejected" in problem]
    assert len(set(rejected)) == 4
    assert sum("by grade with seeds" in problem for problem in rejected) == 3


def write_source(root: Path) -> Path:
    """The source notebook as it would be before it is executed."""
    path = root / "solutions" / "row_sums" / "row_sums.ipynb"
    nbformat.write(build.assemble(root, "row_sums"), path)
    return path


@pytest.mark.slow
def test_the_gate_catches_what_running_shows(built):
    damage(built, "row_sums.py", "\nrow_sums\n", "\nnowhere\n")
    damage(built, "row_sums.py", "plots.pair_histogram", "str")
    damage(built, "row_sums.py", "return W.sum(dim=1)", "return W.sum(dim=0)")
    write_source(built)
    problems = " / ".join(verify(built, "row_sums").problems)
    for words in (
        "cell open-play raises NameError",
        "cell check-row-sums raises NotYet",
        "the solution earns 0 of 2 automatic points",
        "shows no picture",
    ):
        assert words in problems


@pytest.mark.slow
def test_the_gate_catches_outputs_of_another_text(built):
    path = built / "solutions" / "row_sums" / "row_sums.ipynb"
    notebook = nbformat.read(path, as_version=4)
    figure = next(c for c in notebook.cells if any("plotly" in str(o.get("data")) for o in c.get("outputs", [])))
    shown = figure.outputs[0].data["application/vnd.plotly.v1+json"]
    height = shown["layout"]["height"]
    shown["layout"]["height"] += 1
    last = next(cell for cell in notebook.cells if cell.id == "open-play")
    last.outputs[0].data["text/plain"] += " of old"
    nbformat.write(notebook, path)
    assert verify(built, "row_sums").problems == [
        f"cell {figure.id} shows {height} where the built notebook holds {height + 1}",
        "cell open-play no longer shows the words that the built notebook holds",
    ]


def test_the_gate_catches_a_leak(built):
    release = built / "puzzles" / "row_sums"
    notebook = nbformat.read(release / "row_sums.ipynb", as_version=4)
    stub = next(cell for cell in notebook.cells if cell.id == "stub-row-sums")
    stub.source += "\n    return W.sum(dim=1)"
    notebook.cells[1].outputs = [nbformat.v4.new_output("stream", text="hello")]
    nbformat.write(notebook, release / "row_sums.ipynb")
    shutil.copy(built / "solutions" / "row_sums" / "_author.py", release)
    problems = " ".join(verify(built, "row_sums", run=False).problems)
    for words in ("this line of a solution", "holds outputs", "the release holds _author.py", "no part of the release"):
        assert words in problems


# ---- order and index ----------------------------------------------------------------------------------------------


def folder_of(root: Path, slug: str, after: tuple[str, ...]) -> None:
    (root / "solutions" / slug).mkdir(parents=True, exist_ok=True)
    puzzle = f'Puzzle("{slug}", "{slug.title()}", "Why?", "P", 5, (), ("m",), after={after!r})'
    declaration = f"from mechpuzzles import Puzzle\nPUZZLE = {puzzle}\n"
    (root / "solutions" / slug / "puzzle.py").write_text(declaration)


def test_puzzles_are_ordered_by_prerequisites(tmp_path):
    for slug, after in {"aaa": ("zzz",), "mmm": ("aaa",), "zzz": ()}.items():
        folder_of(tmp_path, slug, after)
    assert folders.slugs(tmp_path) == ["zzz", "aaa", "mmm"]
    folder_of(tmp_path, "zzz", ("mmm",))
    with pytest.raises(ValueError, match="wait for each other"):
        folders.slugs(tmp_path)
    folder_of(tmp_path, "zzz", ("nowhere",))
    with pytest.raises(ValueError, match="'nowhere', which is no puzzle"):
        folders.slugs(tmp_path)


def test_the_index_follows_the_folders(checkout):
    pages = ("puzzles/README.md", "puzzles/index.ipynb", "puzzles/map.svg", "README.md")
    assert index.stale(checkout) == [f"{page} is older than the puzzle folders" for page in pages]
    index.write(checkout)
    assert index.stale(checkout) == []
    assert (
        "[A new puzzle](puzzles/row_sums/row_sums.ipynb) | Does it add up? | 5" in (checkout / "README.md").read_text()
    )
    assert (checkout / "README.md").read_text().endswith("The end.\n")
    (checkout / "README.md").write_text("# No marks\n")
    with pytest.raises(ValueError, match="needs one"):
        index.stale(checkout)


def test_a_new_puzzle_needs_a_free_and_plain_name(checkout):
    with pytest.raises(FileExistsError):
        folders.new(checkout, "row_sums")
    for slug in ("Row Sums", "puzzle_2", "../up", ""):
        with pytest.raises(ValueError, match="snake_case"):
            folders.new(checkout, slug)
