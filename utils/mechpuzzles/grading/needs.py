"""Which cells of a notebook a name depends on, as far as the text tells.

Grading asks what a few names are bound to. Of the cells that are as released, most draw pictures and are not needed
for that. Reading the text can miss a dependence (on a method call that changes its argument, say); whoever relies on
it falls back to running everything when a name turns out to be missing.
"""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Names:
    """What a piece of code binds or changes at its top level, and what it reads that it did not bind before."""

    binds: frozenset[str]
    reads: frozenset[str]


def names_in(source: str, modules: Iterable[str] = ()) -> Names | None:
    """The names of a cell; None for IPython's own syntax and for what does not parse."""
    try:
        return names_of(ast.parse(source).body, modules)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def names_of(statements: Iterable[ast.stmt], modules: Iterable[str] = ()) -> Names:
    """The names of some statements, run one after another; ``modules`` are names that other cells import."""
    reader = _Reader(modules)
    for statement in statements:
        reader.visit(statement)
    return Names(frozenset(reader.binds), frozenset(reader.reads))


def imported(sources: Iterable[str]) -> set[str]:
    """The names that some cells import."""
    reader = _Reader(())
    for source in sources:
        with contextlib.suppress(SyntaxError, ValueError, RecursionError, MemoryError):
            for statement in ast.parse(source).body:
                if isinstance(statement, ast.Import | ast.ImportFrom):
                    reader.visit(statement)
    return reader.modules


@dataclass(frozen=True)
class Piece:
    """Code that can be run or left out; ``names`` as of `names_in`. ``always``: no name tells whether it is needed."""

    source: str
    names: Names | None
    always: bool = False


def pieces(source: str, modules: Iterable[str]) -> list[Piece]:
    """A cell in pieces: each import, each setting, and last the whole cell with the names of what is neither.

    So what needs no more of a cell than an import does not wait for the model that the cell loads. A setting is a call
    of a module's function by constants whose value nobody keeps, such as `torch.set_grad_enabled(False)`.
    """
    try:
        statements = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return [Piece(source, None)]
    found, rest = [], []
    for statement in statements:
        setting = _is_setting(statement, modules)
        if setting or isinstance(statement, ast.Import | ast.ImportFrom):
            found.append(Piece(ast.unparse(statement), names_of([statement], modules), setting))
        else:
            rest.append(statement)
    return [*found, Piece(source, names_of(rest, modules))]


def _is_setting(statement: ast.stmt, modules: Iterable[str]) -> bool:
    match statement:
        case ast.Expr(ast.Call(func=ast.Attribute(value=ast.Name(name)), args=args, keywords=keywords)):
            given = [*args, *(keyword.value for keyword in keywords)]
            return name in modules and all(isinstance(value, ast.Constant) for value in given)
    return False


class _Reader(ast.NodeVisitor):
    """Reads code in the order in which it runs; what functions read, they may read later."""

    def __init__(self, modules: Iterable[str]) -> None:
        self.binds: set[str] = set()
        self.reads: set[str] = set()
        self.modules: set[str] = set(modules)

    def visit_Name(self, node: ast.Name) -> None:
        if not isinstance(node.ctx, ast.Load):
            self.binds.add(node.id)
        elif node.id not in self.binds:
            self.reads.add(node.id)

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        for target in node.targets:
            self.visit(target)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)
            self.visit(node.target)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self.reads |= _base(node.target) - self.binds
        self.visit(node.value)
        self.visit(node.target)

    def visit_For(self, node: ast.For) -> None:
        self.visit(node.iter)
        self.visit(node.target)
        for statement in (*node.body, *node.orelse):
            self.visit(statement)

    def visit_Attribute(self, node: ast.Attribute | ast.Subscript) -> None:
        self.generic_visit(node)
        if not isinstance(node.ctx, ast.Load):
            self.binds |= _base(node)

    visit_Subscript = visit_Attribute

    def visit_Expr(self, node: ast.Expr) -> None:
        self.visit(node.value)
        if isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Attribute):
            # Such as model.load_state_dict(...); a call of a module's function, or of the puzzle's, changes neither.
            self.binds |= _base(node.value.func) - self.modules - {"puzzle"}

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        names = {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        self.binds |= names
        self.modules |= names

    visit_ImportFrom = visit_Import

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> None:
        self.binds.add(node.name)
        self._inside(node)

    visit_AsyncFunctionDef = visit_ClassDef = visit_FunctionDef

    def _inside(self, node: ast.AST) -> None:
        """A scope of its own: what it reads and does not bind itself."""
        names = [n for n in ast.walk(node) if isinstance(n, ast.Name)]
        own = {n.id for n in names if not isinstance(n.ctx, ast.Load)}
        own |= {n.arg for n in ast.walk(node) if isinstance(n, ast.arg)}
        own |= {n.name for n in ast.walk(node) if isinstance(n, ast.FunctionDef | ast.ClassDef)}
        self.reads |= {n.id for n in names if isinstance(n.ctx, ast.Load)} - own - self.binds

    visit_Lambda = visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _inside


def _base(node: ast.AST) -> set[str]:
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return {node.id} if isinstance(node, ast.Name) else set()


def needed(cells: Sequence[Names | None], always: Sequence[bool], wanted: Iterable[str]) -> list[bool]:
    """Which of the cells must run for the names ``wanted`` to be bound as if all had run.

    Those that ``always`` run, those that are no plain Python, and those that bind or change a name which is wanted or
    which one that runs reads. A function may read what a later cell binds, so the order does not count.
    """
    runs = [must or names is None for names, must in zip(cells, always, strict=True)]
    sought = set(wanted).union(*(names.reads for names, run in zip(cells, runs, strict=True) if run and names))
    while True:
        more = [i for i, names in enumerate(cells) if names and not runs[i] and names.binds & sought]
        if not more:
            return runs
        for i in more:
            runs[i] = True
            sought |= cells[i].reads  # type: ignore[union-attr]


def needs_models(sources: Iterable[str]) -> bool:
    """Whether some code seems to load a model; it may also do so unforeseen, and then takes seconds longer."""
    return any(word in source for source in sources for word in ("load_model(", "transformer_lens", "drivers"))
