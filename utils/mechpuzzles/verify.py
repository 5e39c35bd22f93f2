"""The gate that every puzzle passes: wrong answers fail with their own sentence, right ones pass, nothing leaks.

Generic over the folders: a new puzzle adds no test code. `mechpuzzles verify` prints what this finds.
"""

from __future__ import annotations

import copy
import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import nbformat
import torch
from nbformat import NotebookNode

from mechpuzzles import build, checks, folders
from mechpuzzles.grading.wire import reaches
from mechpuzzles.puzzle import Alternative, Mutant, Part, Puzzle
from mechpuzzles.verdicts import Case, Outcome

LEAST_POWER = 10.0  # tolerances between right and wrong, on every draw of the inputs
GRADER_DRAWS = 25
WORDS, CELL_LINES, FIGURE_BYTES = 900, 12, 200_000
SECONDS = 60.0
OUTPUT_ROUNDING = 2e-3
OF_THE_GRADER = ("draw", "part", "parts", "principle", "models", "free_text", "problems", "after")
BOLD = re.compile(r"\x1b\[\d*m")
NUMBER = re.compile(r"-?\d+\.?\d*(?:e[-+]?\d+)?")


@dataclass
class Report:
    """One puzzle's row, and under ``problems`` what is wrong with it in words."""

    slug: str
    parts: int
    symptoms: int
    mutants: int
    killed: int = 0
    alternatives: int = 0
    passing: int = 0
    power: float = 0.0
    release_points: float = 0.0
    solution_points: float = 0.0
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)

    def row(self) -> dict[str, Any]:
        """The row as ``verify --json`` prints it."""
        row = asdict(self)
        del row["problems"]
        return row


def verify(root: Path, slug: str, run: bool = True, kernel: str = "python3", draws: int = 1) -> Report:
    """Hold one puzzle to the gate; nothing is written.

    Without ``run``, all but what needs the notebooks executed, which is done by the kernel that is named. So often as
    ``draws`` says, a grader's fresh inputs are drawn for mutants and alternatives: a check that is only mostly right
    shows itself over many.
    """
    puzzle, authors = folders.declared(root, slug), folders.authors(root, slug)
    report = Report(
        slug=slug,
        parts=len(puzzle.parts) + len(puzzle.free_text),
        symptoms=sum(len(part.symptoms) for part in puzzle.parts),
        mutants=len(authors.MUTANTS),
        alternatives=len(authors.ALTERNATIVES),
    )
    say = report.problems.append
    drawn = {part.name: _Draws.of(part, draws) for part in puzzle.parts}
    _mutants(puzzle, drawn, authors.MUTANTS, report, say)
    _alternatives(puzzle, drawn, authors.ALTERNATIVES, report, say)
    _impostors(puzzle, authors.ALTERNATIVES, say)
    _declaration(puzzle, authors.MUTANTS, say)
    report.problems += build.stale(root, slug)
    if not any("missing" in problem for problem in report.problems):
        _leaks(root, puzzle, authors, say)
        _while_graded(root, puzzle, say)
        _lengths(root, puzzle, say)
        if run:
            _notebooks(root, puzzle, kernel, report, say)
    return report


@dataclass(frozen=True)
class _Draws:
    """A part's inputs, drawn once for all its mutants and alternatives."""

    judged: dict[str, checks.Draw]  # the public ones and the grader's, by who draws them
    many: tuple[tuple[Case, ...], ...]  # the small cases of each of GRADER_DRAWS draws

    @classmethod
    def of(cls, part: Part, fresh: int) -> _Draws:
        judged = {"check": checks.draw(part, checks.PUBLIC_SEEDS)}
        for seeds in (checks.fresh_seeds() for _ in range(fresh)):
            judged[f"grade with seeds {', '.join(map(str, seeds))}"] = checks.draw(part, seeds)
        return cls(judged, tuple(checks.draw(part, [seed]).small for seed in range(GRADER_DRAWS)))


def _mutants(
    puzzle: Puzzle, drawn: dict[str, _Draws], mutants: tuple[Mutant, ...], report: Report, say: Callable[[str], None]
) -> None:
    """Each is rejected with its own symptom, by the public checks and by a grader's fresh inputs."""
    powers = []
    for mutant in mutants:
        part, draws = puzzle.part(mutant.part), drawn[mutant.part]
        name = f"{mutant.part}: {mutant.answer.__name__}"
        killed = True
        for by, draw in draws.judged.items():
            found = checks.judge(part, mutant.answer, draw)
            if found.outcome is Outcome.RIGHT or found.symptom != mutant.shows:
                say(f"{name} should show {mutant.shows}, but {by} finds {found.symptom or found.outcome.value}")
                killed = False
        report.killed += killed
        powers.append((_power(part, mutant.answer, draws), name))
    report.power, weakest = min(powers, default=(0.0, "no mutant"))
    if report.power < LEAST_POWER:
        say(f"{weakest} is only {report.power:.1f} tolerances from right on some draw of the inputs")
    report.power = round(min(report.power, 1e9), 1)


def _power(part: Part, answer: Callable[..., Any], draws: _Draws) -> float:
    """The least, over draws of the inputs, of the distance between a wrong answer and the right one, in tolerances.

    Limited cases are drawn only where the small ones do not tell.
    """
    small = min(checks.measure(part, answer, cases) for cases in draws.many)
    return small if small > 1 else min(checks.measure(part, answer, checks.draw(part, [s]).limited) for s in range(3))


def _alternatives(
    puzzle: Puzzle,
    drawn: dict[str, _Draws],
    alternatives: tuple[Alternative, ...],
    report: Report,
    say: Callable[[str], None],
) -> None:
    for alternative in alternatives:
        part = puzzle.part(alternative.part)
        passing = True
        for by, draw in drawn[part.name].judged.items():
            verdict = checks.judge(part, alternative.answer, draw)
            if verdict.outcome is not Outcome.RIGHT:
                what = f"{part.name}, {alternative.style}, by {by}"
                say(f"right, but rejected: {what}: {verdict.text(bold=False)}")
                passing = False
        report.passing += passing
    for part in puzzle.parts:
        if not any(a.part == part.name for a in alternatives):
            say(f"{part.name} has no alternative")


class _Agreeable:
    """Says yes to every comparison."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = object.__hash__

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **kwargs: self


def impostors(right: Callable[..., Any]) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Answers that no check may accept, made from a right one: empty, echoing, constant, NaN, and so on."""

    def altered(change: Callable[[torch.Tensor], Any]) -> Callable[..., Any]:
        return lambda *inputs: _each(right(*inputs), change)

    def overwrites(*inputs: Any) -> Any:
        answer, tensors = right(*inputs), [value for value in inputs if isinstance(value, torch.Tensor)]
        if not tensors:
            raise TypeError("a part without tensors has no input that could be overwritten")
        for value in tensors:
            value.add_(1)
        return answer

    yield "returns nothing", lambda *inputs: None
    yield "echoes its input", lambda *inputs: inputs[0]
    yield "zeros", altered(torch.zeros_like)
    yield "ones", altered(torch.ones_like)
    yield "NaN", altered(lambda answer: torch.full_like(answer, torch.nan, dtype=torch.float32))
    yield "infinite", altered(lambda answer: torch.full_like(answer, torch.inf, dtype=torch.float32))
    yield "an empty tensor", altered(lambda answer: torch.empty(0))
    yield "one axis too many", altered(lambda answer: answer[None])
    yield "other integers", altered(lambda answer: answer.long() if answer.is_floating_point() else answer + 1)
    yield "half precision", altered(lambda answer: answer.half())
    yield "a string", altered(lambda answer: str(answer.tolist()))
    yield "agrees with everything", lambda *inputs: _Agreeable()
    yield "a tensor that agrees", altered(lambda answer: answer.as_subclass(_AgreeableTensor))
    yield "overwrites its input", overwrites
    yield "raises", altered(lambda answer: 1 / 0)
    yield "the stub", _stub


def _each(answer: Any, change: Callable[[torch.Tensor], Any]) -> Any:
    """Change every tensor or number of an answer; a label becomes another label."""
    if isinstance(answer, tuple | list):
        return type(answer)(_each(one, change) for one in answer)
    return f"not {answer}" if isinstance(answer, str) else change(torch.as_tensor(answer))


class _AgreeableTensor(torch.Tensor):
    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return True


def _stub(*inputs: Any) -> Any:
    raise NotImplementedError


def _impostors(puzzle: Puzzle, alternatives: tuple[Alternative, ...], say: Callable[[str], None]) -> None:
    for part in puzzle.parts:
        right = next((a.answer for a in alternatives if a.part == part.name), None)
        if right is None:
            continue
        for name, answer in impostors(right):
            if checks.judge(part, answer, checks.PUBLIC_SEEDS).outcome is Outcome.RIGHT:
                say(f"{part.name} accepts an answer that {name}")


def _declaration(puzzle: Puzzle, mutants: tuple, say: Callable[[str], None]) -> None:
    """Every symptom has a mutant; hints, meanings and sentences are there; no sentence is used twice in a part."""
    for part in puzzle.parts:
        shown = {mutant.shows for mutant in mutants if mutant.part == part.name}
        for symptom in part.symptoms:
            if symptom.name not in shown:
                say(f"{part.name}: no mutant shows {symptom.name}")
        sentences = [symptom.says for symptom in part.symptoms]
        if len(set(sentences)) < len(sentences):
            say(f"{part.name}: two symptoms say the same")
        if not part.hints or not all((*part.hints, part.meaning, *sentences)):
            say(f"{part.name}: a hint, a meaning or a sentence is empty")
    if not puzzle.question.endswith("?"):
        say("the question does not end in a question mark")


def _while_graded(root: Path, puzzle: Puzzle, say: Callable[[str], None]) -> None:
    """The notebook works where a learner's code runs while it is graded: beside a stand-in of the puzzle."""
    text = "\n".join(cell.source for cell in build.assemble(root, puzzle.slug).cells if cell.cell_type == "code")
    for name in OF_THE_GRADER:
        if re.search(rf"\bpuzzle\.{name}\b", text):
            say(f"the notebook uses puzzle.{name}, which is not there while a learner's code is graded")
    if puzzle.draw is None:
        return
    drawn = puzzle.draw(torch.Generator().manual_seed(0))
    if not reaches(drawn):
        say(
            f"the variant is a {type(drawn).__name__}, which does not reach a learner's code while it is graded: draw "
            "numbers, strings, tensors, collections of these, or a function with no public attributes but numbers and "
            "strings"
        )


def _notebooks(root: Path, puzzle: Puzzle, kernel: str, report: Report, say: Callable[[str], None]) -> None:
    """Both notebooks run from a clean kernel; the solution earns every automatic point, the release none."""
    solution, folder = build.assemble(root, puzzle.slug), root / "solutions" / puzzle.slug
    report.seconds = round(build.execute(solution, folder, allow_errors=True, kernel=kernel), 1)
    if report.seconds > SECONDS:
        say(f"the solution takes {report.seconds} s")
    handed_out = root / "puzzles" / puzzle.slug
    untouched = nbformat.read(handed_out / f"{puzzle.slug}.ipynb", as_version=4)
    build.execute(untouched, handed_out, allow_errors=True, kernel=kernel)
    report.solution_points, report.release_points = _points(solution), _points(untouched)
    report.problems += as_they_ran(root, puzzle.slug, solution, untouched)


def as_they_ran(root: Path, slug: str, solution: NotebookNode, untouched: NotebookNode) -> list[str]:
    """What is wrong with a puzzle's two notebooks as they have been run, by whatever has run them."""
    problems: list[str] = []
    say = problems.append
    for cell in solution.cells:
        if failed := [o for o in cell.get("outputs", []) if o.output_type == "error"]:
            say(f"the solution's cell {cell.id} raises {failed[0].ename}: {failed[0].evalue[:300]}")
    full = sum(part.points for part in folders.declared(root, slug).parts)
    if (earned := _points(solution)) != full:
        say(f"the solution earns {earned:g} of {full} automatic points")
    if earned := _points(untouched):
        say(f"the untouched release earns {earned:g} points")
    kept = nbformat.read(root / "solutions" / slug / f"{slug}.ipynb", as_version=4)
    _outputs(kept, solution, say)
    for name, notebook in (("solution", kept), ("run", solution)):
        _pictures(name, notebook, say)
    return problems


def _outputs(kept: NotebookNode, run: NotebookNode, say: Callable[[str], None]) -> None:
    """The outputs that people look at are those of this text and these models.

    Words to the letter, numbers to the last digits that another processor may round differently.
    """
    if [cell.id for cell in kept.cells] != [cell.id for cell in run.cells]:
        say("the notebook that was run has other cells than the built one")
    for old, new in zip(kept.cells, run.cells, strict=False):
        shown = _words if _is_printed_card(new) else _shown
        was, now = shown(old), shown(new)
        if NUMBER.sub("#", was) != NUMBER.sub("#", now):
            say(f"cell {new.id} no longer shows the words that the built notebook holds")
            continue
        for before, after in zip(NUMBER.findall(was), NUMBER.findall(now), strict=True):
            if not math.isclose(float(before), float(after), rel_tol=OUTPUT_ROUNDING, abs_tol=OUTPUT_ROUNDING):
                say(f"cell {new.id} shows {after} where the built notebook holds {before}")
                break


def _shown(cell: NotebookNode) -> str:
    """What a cell shows, in however many pieces its lines came."""
    from nbconvert.preprocessors import CoalesceStreamsPreprocessor

    merged, _ = CoalesceStreamsPreprocessor().preprocess_cell(copy.deepcopy(cell), {}, 0)
    return json.dumps(merged.get("outputs", []), sort_keys=True)


def _is_printed_card(cell: NotebookNode) -> bool:
    """Whether a cell has printed the words of its card, as it does while it is graded."""
    kinds = {output.output_type for output in cell.get("outputs", [])}
    return cell.id.startswith(("check-", "reveal-")) and kinds == {"stream"}


def _words(cell: NotebookNode) -> str:
    """A card's words, printed or drawn."""
    outputs = cell.get("outputs", [])
    said = " ".join(output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs)
    return " ".join(BOLD.sub("", said).split())


def _points(notebook: NotebookNode) -> float:
    """The automatic points, by nbgrader's own rule."""
    from nbgrader.utils import determine_grade, is_grade, is_solution

    return sum(determine_grade(c)[0] or 0.0 for c in notebook.cells if is_grade(c) and not is_solution(c))


def _lengths(root: Path, puzzle: Puzzle, say: Callable[[str], None]) -> None:
    notebook = nbformat.read(root / "puzzles" / puzzle.slug / f"{puzzle.slug}.ipynb", as_version=4)
    prose = (c.source for c in notebook.cells if c.cell_type == "markdown" and c.id != build.FURTHER)
    words = sum(len(source.split()) for source in prose)
    if words > WORDS:
        say(f"{words} words of prose, more than {WORDS}")
    for cell in notebook.cells:
        if cell.cell_type == "code" and not cell.id.startswith("reveal"):
            lines = len(cell.source.splitlines())
            if lines > CELL_LINES:
                say(f"cell {cell.id} has {lines} lines, more than {CELL_LINES}")


def _pictures(name: str, notebook: NotebookNode, say: Callable[[str], None]) -> None:
    figures = [
        o.data
        for c in notebook.cells
        for o in c.get("outputs", [])
        if "application/vnd.plotly.v1+json" in o.get("data", {})
    ]
    if not figures:
        say(f"the {name} notebook shows no picture")
    for data in figures:
        size = len(json.dumps(data["application/vnd.plotly.v1+json"]))
        if size > FIGURE_BYTES:
            say(f"a figure of the {name} notebook has {size:,} bytes")
        if len(str(data.get("text/plain", ""))) < 40:
            say(f"a figure of the {name} notebook has no words for those who cannot see it")


def _leaks(root: Path, puzzle: Puzzle, authors: Any, say: Callable[[str], None]) -> None:
    """The release holds no solution, hidden test, mutant, alternative or output, and no file of the author's."""
    folder = root / "puzzles" / puzzle.slug
    names = {path.name for path in folder.iterdir()} - {".ipynb_checkpoints", "__pycache__"}
    for name in names - {f"{puzzle.slug}.ipynb", "puzzle.py"}:
        if name.endswith((".py", ".ipynb")):
            say(f"the release holds {name}")
    notebook = nbformat.read(folder / f"{puzzle.slug}.ipynb", as_version=4)
    if any(cell.get("outputs") or cell.get("execution_count") for cell in notebook.cells):
        say("the release holds outputs")
    released = {" ".join(line.split()) for cell in notebook.cells for line in cell.source.splitlines()}
    for secret in _secrets(build.assemble(root, puzzle.slug)):
        if secret in released:
            say(f"the release holds this line of a solution or hidden test: {secret}")
    declaration = (folder / "puzzle.py").read_text(encoding="utf-8")
    for formula in _formulas(build.assemble(root, puzzle.slug)):
        if formula in "".join(declaration.split()):
            say(f"the released puzzle.py holds a solution's formula: {formula}")
    text = declaration + "\n".join(cell.source for cell in notebook.cells)
    for answer in [m.answer for m in authors.MUTANTS] + [a.answer for a in authors.ALTERNATIVES]:
        if re.search(rf"\b{answer.__name__}\b", text):
            say(f"the release holds {answer.__name__}")


def _secrets(source: NotebookNode) -> Iterator[str]:
    """The lines between SOLUTION or HIDDEN TESTS marks that say more than a bare word."""
    for cell in source.cells:
        inside = False
        for line in cell.source.splitlines():
            if "### BEGIN" in line or "### END" in line:
                inside = "### BEGIN" in line
            elif inside and len(line.split()) > 1:
                yield " ".join(line.split())


def _formulas(source: NotebookNode) -> Iterator[str]:
    """What the solutions return, without white space."""
    for secret in _secrets(source):
        if secret.startswith("return "):
            yield "".join(secret.removeprefix("return ").split())
