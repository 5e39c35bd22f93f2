"""Answers as learners would type them: solutions, mutants and alternatives as the text of a stub's cell.

Mutants and alternatives are never released, so this needs the checkout.
"""

from __future__ import annotations

import ast
import dis
import functools
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import nbformat
import torch
from nbformat import NotebookNode

from mechpuzzles import build, folders, variants
from mechpuzzles.parts import Part, grade_id
from mechpuzzles.verdicts import Case


def stub(part: str) -> str:
    """The id of the cell where a part is to be written."""
    return grade_id("stub", part)


def solutions_of(root: Path, slug: str) -> dict[str, str]:
    """Each stub's cell id and the reference solution's source."""
    cells = build.assemble(root, slug).cells
    return {cell.id: cell.source for cell in cells if cell.id.startswith(("stub-", "free-text-"))}


def filled(root: Path, slug: str, answers: dict[str, str]) -> NotebookNode:
    """The release with the cells of ``answers`` filled in."""
    notebook = nbformat.read(root / "puzzles" / slug / f"{slug}.ipynb", as_version=4)
    for cell in notebook.cells:
        if cell.id in answers:
            cell.source = answers[cell.id]
    return notebook


def submit(root: Path, slug: str, into: Path, answers: dict[str, str]) -> Path:
    """Write the release with the cells of ``answers`` filled in to a new folder; the notebook's path."""
    notebook = filled(root, slug, answers)
    into.mkdir(parents=True)
    nbformat.write(notebook, into / f"{slug}.ipynb")
    return into / f"{slug}.ipynb"


# Functions -----------------------------------------------------------------------------------------------------------


def mutant_source(root: Path, slug: str, part: Part, symptom: str) -> str:
    """The first mutant that shows a symptom, as the learner would have typed it, under the part's own name."""
    authors = folders.authors(root, slug)
    return function_source(authors, part, _mutant(authors, part, symptom))


def _mutant(authors: ModuleType, part: Part, symptom: str) -> FunctionType:
    return next(m.answer for m in authors.MUTANTS if (m.part, m.shows) == (part.name, symptom))


def function_source(authors: ModuleType, part: Part, answer: Callable[..., Any]) -> str:
    """A function of the authors' file under a part's own name, with the imports and helpers that it needs."""
    assert inspect.isfunction(answer)
    imports = _imports(Path(str(authors.__file__)).read_text(encoding="utf-8"))
    sources = list(_helpers(authors, answer).values())
    sources.append(inspect.getsource(answer).replace(f"def {answer.__name__}(", f"def {part.name}(", 1))
    return imports + "\n\n\n" + "\n\n".join(sources)


@functools.lru_cache(maxsize=4)  # asked for every answer of a file
def _imports(text: str) -> str:
    """The imports at the top of an author's file, but for what it declares its answers with."""
    return "\n".join(
        ast.unparse(statement)
        for statement in ast.parse(text).body
        if isinstance(statement, ast.Import)
        or (isinstance(statement, ast.ImportFrom) and statement.module != "mechpuzzles.puzzle")
    )


def _helpers(authors: ModuleType, function: FunctionType, asked: frozenset[str] = frozenset()) -> dict[str, str]:
    """The source of every function and constant of the authors' file that a function needs, first needed last."""
    found: dict[str, str] = {}
    defaults = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    given = [default.__name__ for default in defaults if inspect.isfunction(default)]
    for name in (*_names(function.__code__), *given):
        needed = getattr(authors, name, None)
        if inspect.isfunction(needed) and needed.__module__ == authors.__name__ and name not in asked:
            below = _helpers(authors, needed, asked | {name, function.__name__})
            found = {**below, name: inspect.getsource(needed), **found}
        elif isinstance(needed, int | float | str | tuple):
            found[name] = f"{name} = {needed!r}\n"
    return found


def _names(code: CodeType) -> list[str]:
    """The global names that a function uses, those inside its lambdas and comprehensions too."""
    return [
        *code.co_names,
        *(name for inner in code.co_consts if isinstance(inner, CodeType) for name in _names(inner)),
    ]


# Values --------------------------------------------------------------------------------------------------------------


def value_source(root: Path, slug: str, part: Part, symptom: str) -> str:
    """A wrong value for the variant that the notebook draws, as the learner would have typed it."""
    answer = _mutant(folders.authors(root, slug), part, symptom)
    case = own_case(part, _seed(root, slug))
    return f"import torch\n\n{variable(root, slug, part)} = {literal(answer(*case.inputs))}"


def right_value_source(root: Path, slug: str, part: Part) -> str:
    """The right value for the variant that the notebook draws, as a learner would type it who has worked it out."""
    case = own_case(part, _seed(root, slug))
    return f"import torch\n\n{variable(root, slug, part)} = {literal(right_value(part, case))}"


def own_case(part: Part, seed: int) -> Case:
    """What a learner is asked about the variant of a seed."""
    return next(iter(part.cases(torch.Generator().manual_seed(seed))))


def right_value(part: Part, case: Case) -> Any:
    """The truth of a case."""
    if case.want is not None or part.spec is None:
        return case.want
    return part.spec(*case.inputs)


def literal(value: Any) -> str:
    """A value as Python text; raises `ValueError` for one that cannot be written so."""
    if isinstance(value, torch.Tensor):
        return f"torch.tensor({value.tolist()})"
    text = repr(_plain(value))
    ast.literal_eval(text)
    return text


def _plain(value: Any) -> Any:
    """Without tensors and NumPy's types, also within tuples and lists."""
    if isinstance(value, tuple | list):
        return type(value)(map(_plain, value))
    return value.tolist() if hasattr(value, "tolist") else value


def variable(root: Path, slug: str, part: Part) -> str:
    """The variable in which a notebook wants a value."""
    found = re.search(rf"""puzzle\.check\(["']{part.name}["'], (\w+)\)""", _code(root, slug))
    assert found is not None  # the build wants a check for every part
    return found[1]


def _seed(root: Path, slug: str) -> int:
    learner = re.search(r"""puzzle\.variant\(["'](.+?)["']\)""", _code(root, slug))
    return variants.seed(slug, learner[1] if learner else "")


def _code(root: Path, slug: str) -> str:
    return "\n".join(cell.source for cell in build.assemble(root, slug).cells if cell.cell_type == "code")


# Which answer needs which ---------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=4096)  # a made-up class asks for the same few answers again and again
def defined(source: str) -> frozenset[str]:
    """The names that a cell's text defines, but for imports."""
    found: set[str] = set()
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            found.add(statement.name)
        elif not isinstance(statement, ast.Import | ast.ImportFrom):
            nodes = ast.walk(statement)
            found |= {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    return frozenset(found)


@functools.lru_cache(maxsize=4096)
def used(source: str) -> frozenset[str]:
    """The names of other cells, or of its own, that a cell's text looks up; what is local to a function is not."""
    return _looked_up(compile(source, "cell", "exec"))


def _looked_up(code: CodeType) -> frozenset[str]:
    steps = dis.get_instructions(code)
    own = frozenset(step.argval for step in steps if step.opname in ("LOAD_NAME", "LOAD_GLOBAL"))
    return own.union(*(_looked_up(inner) for inner in code.co_consts if isinstance(inner, CodeType)))
