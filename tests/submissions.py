"""Submissions of a puzzle, made from its release as a learner would fill it in."""

import inspect
from pathlib import Path

import nbformat

from mechpuzzles import build, folders


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


def mutant_source(root: Path, slug: str, part: str, symptom: str) -> str:
    """A mutant as the learner would have typed it, under the part's own name."""
    authors = folders.authors(root, slug)
    answer = next(m.answer for m in authors.MUTANTS if (m.part, m.shows) == (part, symptom))
    module = Path(authors.__file__).read_text().split("\ndef ")[0]
    imports = [line for line in module.splitlines() if line.startswith(("import ", "from "))]
    called = [getattr(authors, name, None) for name in answer.__code__.co_names]
    sources = [inspect.getsource(helper) for helper in called if inspect.isfunction(helper)]
    sources.append(inspect.getsource(answer).replace(f"def {answer.__name__}(", f"def {part}(", 1))
    return "\n".join(imports) + "\n\n\n" + "\n\n".join(sources)
