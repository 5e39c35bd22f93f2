"""Submissions of a puzzle, made from its release as a learner would fill it in."""

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import nbformat
import torch

from mechpuzzles import build, folders
from mechpuzzles.parts import Part
from mechpuzzles.verdicts import Case


def solutions_of(root: Path, slug: str) -> dict[str, str]:
    """Each stub's cell id and the reference solution's source."""
    cells = build.assemble(root, slug).cells
    return {cell.id: cell.source for cell in cells if cell.id.startswith(("stub-", "free-text-"))}


def submit(root: Path, slug: str, into: Path, answers: dict[str, str]) -> Path:
    """Write the release with the cells of ``answers`` filled in."""
    notebook = nbformat.read(root / "puzzles" / slug / f"{slug}.ipynb", as_version=4)
    for cell in notebook.cells:
        if cell.id in answers:
            cell.source = answers[cell.id]
    into.mkdir(parents=True)
    nbformat.write(notebook, into / f"{slug}.ipynb")
    return into / f"{slug}.ipynb"


def mutant_source(root: Path, slug: str, part: Part, symptom: str) -> str:
    """A mutant as the learner would have typed it, under the part's own name."""
    authors = folders.authors(root, slug)
    answer = next(m.answer for m in authors.MUTANTS if (m.part, m.shows) == (part.name, symptom))
    module = Path(authors.__file__).read_text().split("\ndef ")[0]
    imports = [line for line in module.splitlines() if line.startswith(("import ", "from "))]
    sources = list(_helpers(authors, answer).values())
    sources.append(inspect.getsource(answer).replace(f"def {answer.__name__}(", f"def {part.name}(", 1))
    return "\n".join(imports) + "\n\n\n" + "\n\n".join(sources)


def _helpers(authors: ModuleType, function: FunctionType) -> dict[str, str]:
    """The source of every function and constant of the authors' file that a function needs, first needed last."""
    found: dict[str, str] = {}
    for name in _names(function.__code__):
        needed = getattr(authors, name, None)
        if inspect.isfunction(needed) and needed.__module__ == authors.__name__:
            found = {**_helpers(authors, needed), name: inspect.getsource(needed), **found}
        elif isinstance(needed, int | float | str | tuple):
            found[name] = f"{name} = {needed!r}\n"
    return found


def _names(code: CodeType) -> list[str]:
    """The global names that a function uses, those inside its lambdas and comprehensions too."""
    return [
        *code.co_names,
        *(name for inner in code.co_consts if isinstance(inner, CodeType) for name in _names(inner)),
    ]


def value_source(root: Path, slug: str, part: Part, symptom: str) -> str:
    """A wrong value for the variant that the notebook draws, as the learner would have typed it."""
    mutants = folders.authors(root, slug).MUTANTS
    answer = next(m.answer for m in mutants if (m.part, m.shows) == (part.name, symptom))
    return _typed(root, slug, part, lambda case: answer(*case.inputs))


def right_value_source(root: Path, slug: str, part: Part) -> str:
    """The right value for the variant that the notebook draws, as a learner would type it who has worked it out."""
    return _typed(root, slug, part, lambda case: case.want if case.want is not None else part.spec(*case.inputs))


def _typed(root: Path, slug: str, part: Part, answer: Callable[[Case], Any]) -> str:
    cells = build.assemble(root, slug).cells
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    learner = re.search(r"""puzzle\.variant\(["'](.+?)["']\)""", code)[1]
    name = re.search(rf"""puzzle\.check\(["']{part.name}["'], (\w+)\)""", code)[1]
    puzzle = folders.declared(root, slug)
    puzzle.variant(learner)
    rng = torch.Generator().manual_seed(puzzle._session.variant_seed)
    value = answer(next(iter(part.cases(rng))))
    literal = f"torch.tensor({value.tolist()})" if isinstance(value, torch.Tensor) else repr(value)
    return f"import torch\n\n{name} = {literal}"


def fragment(says: str) -> str:
    """The longest piece of a symptom's sentence that is the same for all inputs, to be looked for on a page."""
    return " ".join(max(re.split(r"\{\w+\}", says), key=len).split())
