"""What a learner may compare with: right, able to run, free of marks, and shown to whoever is right. Generic."""

import ast
import re
from pathlib import Path

import pytest

from mechpuzzles import approaches, checks, folders, journal, typed
from mechpuzzles.puzzle import Part, Puzzle
from mechpuzzles.verdicts import Case, Outcome, PlainError

from .cells import live_notebook

ROOT = Path(__file__).parents[1]
SLUGS = folders.slugs(ROOT)


@pytest.fixture(autouse=True)
def _nothing_in_memory(monkeypatch):
    monkeypatch.setattr(approaches, "_carried", {})
    monkeypatch.setattr(journal, "_in_memory", [])


@pytest.fixture(scope="module")
def collected():
    return {slug: approaches.collect(ROOT / "solutions" / slug) for slug in SLUGS}


def given(slug: str, part: str, source: str) -> str:
    """What a notebook with everything right imports, defines and sets, of the names in ``source`` and in these."""
    statements = ast.parse((ROOT / "solutions" / slug / f"{slug}.py").read_text(encoding="utf-8")).body
    asked, needed, more = {part}, [], [ast.parse(source)]
    while new := {node.id for one in more for node in ast.walk(one) if isinstance(node, ast.Name)} - asked:
        asked |= new
        more = [statement for statement in statements if bound(statement) & new]
        needed += more
    return "\n".join(ast.unparse(statement) for statement in statements if statement in needed)


def bound(statement: ast.stmt) -> set[str]:
    """The names that an import, a function's definition or an assignment of a plain constant binds."""
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return {name.asname or name.name for name in statement.names}
    constant = isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant)
    return typed.defined(ast.unparse(statement)) if constant or isinstance(statement, ast.FunctionDef) else set()


# Every puzzle's -------------------------------------------------------------------------------------


@pytest.mark.parametrize("slug", SLUGS)
def test_every_part_has_the_authors_and_another_without_marks(collected, slug):
    puzzle = folders.declared(ROOT, slug)
    assert list(collected[slug]) == [part.name for part in puzzle.parts]
    for part, sources in collected[slug].items():
        authors, another = sources
        assert authors == "the author's"
        assert another.startswith("another: ")
        assert re.search(rf"^(def {part}\(|{part} = )", sources[authors], re.MULTILINE)
        for source in sources.values():
            assert not re.search("###|SOLUTION|HIDDEN|YOUR CODE|NotImplemented", source)
            assert source == source.strip("\n") + "\n" * source.endswith("\n")


@pytest.mark.parametrize("slug", SLUGS)
def test_each_is_right(collected, slug):
    for part in folders.declared(ROOT, slug).parts:
        authors, another = collected[slug][part.name].values()
        assert judged(part, another) is Outcome.RIGHT, part.name
        if not part.value:  # whose author's solution is about a variant that the notebook draws
            assert judged(part, authors, given(slug, part.name, authors)) is Outcome.RIGHT, part.name


def judged(part: Part, source: str, above: str = "") -> Outcome:
    """What a check says of the last function of ``source``, with torch and what stands ``above``."""
    names: dict = {}
    exec(f"import torch\n{above}\n{source}", names)
    function = [node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)][-1]
    return checks.judge(part, names[function], seeds=[0]).outcome


# Which ----------------------------------------------------------------------------------------------

PERCENT = """
# %% [markdown]
# A puzzle.

# %% stub="one"
def one(W):
    \"\"\"The first.\"\"\"
    ### BEGIN SOLUTION
    return W
    ### END SOLUTION


# %% check="one"
puzzle.check("one", one)
### BEGIN HIDDEN TESTS
puzzle.grade("one", one)
### END HIDDEN TESTS

# %% stub="two"
two = ...
### BEGIN SOLUTION
two = 2
### END SOLUTION
"""
AUTHORS = '''
import math
import os.path as where
from itertools import chain, pairwise as pairs

from mechpuzzles.puzzle import Alternative

SIZES = (
    1,  # and so on
    2,
)
MADE = list(SIZES)


def helper(W):
    return W


def helped(W):
    return helper(W)


def helped_inside(W):
    return [max(helper(row) for row in rows) for rows in W]


def makes(W):
    return MADE


class Thing:
    def method(self, W):
        return W


def alone(W):
    """Says so."""
    def inner(row):
        return math.inf if row in SIZES else where.sep
    return [alone(row) if row else inner(row) for row in pairs(W)]


def later(W):
    return W


ALTERNATIVES = (
    Alternative("one", "helped", helped),
    Alternative("one", "helped inside", helped_inside),
    Alternative("one", "made", makes),
    Alternative("one", "builtin", len),
    Alternative("one", "method", Thing().method),
    Alternative("one", "lambda", lambda W: W),
    Alternative("one", "by itself", alone),
    Alternative("one", "later", later),
    Alternative("two", "helped", helped),
)
'''
ALONE = '''import math
import os.path as where
from itertools import pairwise as pairs
SIZES = (
    1,  # and so on
    2,
)


def alone(W):
    """Says so."""
    def inner(row):
        return math.inf if row in SIZES else where.sep
    return [alone(row) if row else inner(row) for row in pairs(W)]
'''


def test_the_first_that_needs_no_helper_comes_with_what_it_needs(tmp_path):
    folder = tmp_path / "solutions" / "toy"
    folder.mkdir(parents=True)
    (folder / "toy.py").write_text(PERCENT)
    (folder / "_author.py").write_text(AUTHORS)
    assert approaches.collect(folder) == {
        "one": {"the author's": 'def one(W):\n    """The first."""\n    return W', "another: by itself": ALONE},
        "two": {"the author's": "two = ...\ntwo = 2"},
    }


# Packed ---------------------------------------------------------------------------------------------


def test_packed_and_carried_it_is_the_same(collected, monkeypatch, tmp_path):
    odd = {"part": {"the author's": "# η → “x”\n\t\\n\n", "another: ''": ""}}
    monkeypatch.setattr(approaches, "_solutions", lambda slug: tmp_path / slug)
    for slug, sources in [*collected.items(), ("odd", odd)]:
        packed = approaches.pack(sources)
        assert max(map(len, packed.splitlines())) <= 100
        assert re.fullmatch(r"[\w+/=\n]+", packed)
        assert not approaches.known(slug, next(iter(sources)))
        approaches.carry(slug, f"\n{packed}\n")
        assert {part: approaches.of(slug, part) for part in sources} == sources
        assert approaches.known(slug, next(iter(sources)))
        assert not approaches.known(slug, "no part")


# Compare --------------------------------------------------------------------------------------------

PART = Part("it", (), "", 1, lambda rng: [Case((), want=1.0)], None, (), ("?",), "Yes.")
VALUE = Part("mine", (), "", 1, lambda rng: [Case((), want=1.0)], None, (), ("?",), "Yes.", value=True)
TOY = Puzzle("toy", "Toy", "Does it?", "It does.", 1, (PART, VALUE), ())
OTHERS = {"the author's": "def it():\n    return 1.0\n", "another: <less>": "def one(): return 1 < 2"}


def found(part="it", outcome="right", slug="toy"):
    journal.record(slug, "check", part=part, outcome=outcome)


def test_compare_waits_until_yours_is_right(capsys):
    TOY.carry(approaches.pack({"it": OTHERS}))
    found(outcome="wrong")
    found(outcome="not attempted")
    found(part="mine")
    found(slug="another")
    TOY.compare("it")
    assert capsys.readouterr().out == "First get it right; then this shows how others wrote it.\n"
    with pytest.raises(PlainError, match="There is no part 'that'"):
        TOY.compare("that")
    found()
    TOY.compare("it")
    said = capsys.readouterr().out
    assert said == "# the author's\ndef it():\n    return 1.0\n\n# another: <less>\ndef one(): return 1 < 2\n"


def test_in_a_checkout_there_is_something_to_compare_with(capsys):
    puzzle = folders.released()[0]
    part = puzzle.parts[0].name
    assert approaches.known(puzzle.slug, part)
    found(part, slug=puzzle.slug)
    puzzle.compare(part)
    assert capsys.readouterr().out.startswith(f"# the author's\ndef {part}(")


def test_elsewhere_there_is_nothing_to_compare_with(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(approaches, "_solutions", lambda slug: tmp_path / slug)
    assert not approaches.known("toy", "it")
    found()
    TOY.compare("it")
    assert capsys.readouterr().out == "The other solutions are in the series' repository, not on this machine.\n"


@pytest.fixture
def notebook(tmp_path):
    with live_notebook(tmp_path) as notebook:
        notebook.shell.user_ns |= {"puzzle": TOY}
        TOY.carry(approaches.pack({"it": OTHERS, "mine": {"the author's": "mine = 1.0"}}))
        yield notebook


TYPED = [
    # cells, what of them is shown
    (["def it():\n    return 1.0"], "def it():\n    return 1.0"),
    (["def it():\n    return 1.0", "1 + 1", "def it():\n    return 2 / 2"], "def it():\n    return 2 / 2"),
    (["import functools", "@functools.cache\ndef one():\n    return 1.0\nit = one"], "it = one"),
    (["it = lambda: 1.0"], "it = lambda: 1.0"),
    (["it = abs", "it == abs, print(it)"], "it = abs"),
]


@pytest.mark.parametrize(("cells", "mine"), TYPED)
def test_yours_is_as_it_was_typed_last(notebook, cells, mine):
    for cell in cells:
        assert notebook.run(cell).error is None
    found()
    ran = notebook.run("puzzle.compare('it')")
    assert ran.shown[0]["text/plain"].startswith("# yours\n")
    assert mine in ran.shown[0]["text/plain"].split("\n\n# the author's")[0]
    assert re.findall("<strong>(.*?)</strong>", ran.page) == ["yours", "the author&#x27;s", "another: &lt;less&gt;"]
    assert ">def one(): return 1 &lt; 2</pre>" in ran.page


def test_a_value_is_shown_with_the_cell_that_assigned_it(notebook):
    notebook.run("mine = ...")
    notebook.run("steps = 2\nmine = steps / 2")
    notebook.run("mine == 1.0, mine")
    found("mine")
    ran = notebook.run("puzzle.compare('mine')")
    assert ran.shown[0]["text/plain"] == "# yours\nsteps = 2\nmine = steps / 2\n\n# the author's\nmine = 1.0"


def test_what_was_not_typed_here_is_left_out(notebook):
    found()
    assert "yours" not in notebook.run("puzzle.compare('it')").page
    notebook.run("from math import tau as it")
    assert "yours" not in notebook.run("puzzle.compare('it')").page
