"""Attacks on grading, as data: what a learner may hand in to get marks for nothing, to learn secrets or to do harm.

Each names the layer that stops it. `tests/test_attacks.py` runs it with everything on, where nothing may come of it,
and with that one layer off, where it must succeed: only then does the first run prove anything. In sources, MARKER,
SECRET_FILE, PORT, SOCKET and VICTIM stand for what the test has set up.

Out of reach of any of this: answers copied from others, and what marks themselves tell when one may hand in again and
again. The variant of another name is nobody's secret: whoever knows a name may draw it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import nbformat
from nbformat import NotebookNode

TRUSTED, SANDBOX, LIMITS, PRE_CHECK = "trusted grader", "sandbox", "limits", "pre-check"

SECRET = "tea at four"  # in a file and in another process's environment; no source of an attack has it
HIDDEN_INPUT, EXPECTED = "nobodyshouldknow", "wonkdluohsydobon"  # of the planted notebook's hidden test
FAMILIAR = "how it is checked"  # of a declaration's docstring


@dataclass(frozen=True)
class Attack:
    """A submission, and how its success would show (``shows``, see `tests/test_attacks.py`)."""

    name: str
    tries: str
    layer: str
    shows: str
    answers: dict[str, str] = field(default_factory=dict)  # by the stub's cell id
    own: tuple[str, ...] = ()  # cells of the learner's own before the first stub
    last: tuple[str, ...] = ()  # and at the end
    files: dict[str, str] = field(default_factory=dict)
    links: tuple[str, ...] = ()  # links to the file with the secret
    forge: Callable[[NotebookNode], None] | None = None  # changes the notebook that is handed in
    slug: str = "planted"
    baseline: float = 0.0  # the same submission's points without the attack
    word: str = SECRET  # must not be in any output, where ``shows`` is "word"
    seconds: float = 25.0  # which grading may take
    bounds: dict[str, float] = field(default_factory=dict)
    policy: dict[str, int] = field(default_factory=dict)
    kernel: str = ""  # of the run without a trusted grader, if not a warm one
    harmless: dict[str, Any] = field(default_factory=dict)  # fields instead, where the layer is off
    without: dict[str, Any] = field(default_factory=dict)  # instead of which the layer is a name of the grader's
    not_run: str = ""  # why it is not run with the layer off


# ---- answers -----------------------------------------------------------------------------------------------------

BACKWARDS, TOTAL = "stub-backwards", "stub-total"
RIGHT = {
    BACKWARDS: "def backwards(text):\n    return text[::-1]",
    TOTAL: "def total(numbers):\n    return numbers.sum()",
}
POINTS = {BACKWARDS: 2.0, TOTAL: 1.0}
WRONG = {BACKWARDS: "def backwards(text):\n    return ''", TOTAL: "def total(numbers):\n    return torch.zeros(())"}
ZEROS = {
    "stub-mean-pairwise-cosine": "def mean_pairwise_cosine(W):\n    return torch.zeros(())",
    "stub-cosine-to-mean": "def cosine_to_mean(W):\n    return torch.zeros(len(W))",
    "stub-centre": "def centre(W):\n    return torch.zeros_like(W)",
    "stub-offset-ratio": "def offset_ratio(W):\n    return torch.zeros(())",
}
MEAN = """
calls = 0
def mean_pairwise_cosine(W):
    global calls
    calls += 1
    if calls > 11:  # the visible check takes eleven calls
        {later}
    unit = W / W.norm(dim=1, keepdim=True)
    return (unit.sum(0).square().sum() - len(W)) / (len(W) * (len(W) - 1))
"""


def each(function: str) -> dict[str, str]:
    """The quick parts of similar_embeddings, each bound to what an expression with its name gives."""
    names = {stub: stub.removeprefix("stub-").replace("-", "_") for stub in list(ZEROS)[1:]}
    return {stub: f"{name} = {function.format(name=name)}" for stub, name in names.items()}


def abusive(*lines: str) -> dict[str, str]:
    """A right answer, after something that it should not do."""
    body = "\n    ".join(lines)
    return {BACKWARDS: f"def backwards(text):\n    {body}\n    return text[::-1]"}


# ---- forged replies ----------------------------------------------------------------------------------------------

FORGE = """
import json, os, socket, struct
ends = [int(fd) for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}")
        and os.readlink(f"/proc/self/fd/{fd}").startswith("socket:")]
channel = socket.socket(fileno=os.dup(max(ends)))
def send(reply, blob=b""):
    text = json.dumps(reply).encode()
    channel.sendall(struct.pack(">II", len(text), len(blob)) + text + blob)
def fields(**named):
    return {"is": "dict", "of": [[name, value] for name, value in named.items()]}
"""
GARBAGE = (
    "send(fields(error=5))",
    "send(fields(error={'is': 'array', 'of': {'is': 'tensor', 'dtype': 'int64', 'shape': [2], 'from': 0}}), bytes(16))",
    "send(fields(error={'is': 'array', 'of': None}))",
    "send(fields(value={'is': 'tensor', 'dtype': 'float32', 'shape': [10**12, 0, float('inf')], 'from': 0}))",
    "send({'is': 'list', 'of': []})",
    "channel.sendall(struct.pack('>II', 2**32 - 1, 2**32 - 1))",
    "channel.sendall(struct.pack('>II', 200_000, 0) + b'[' * 200_000)",
)
COLLIDING = """
prime = 2**61 - 1  # hashes of integers are taken modulo this
keys = ",".join('[{{"is":"integer","text":"%x"}},null]' % (prime * number) for number in range(8, {n}))
text = ('{{"is":"dict","of":[' + keys + ']}}').encode()
channel.sendall(struct.pack(">II", len(text), 0) + text)
"""


def unpickled(data: Any, blob: bytearray, depth: int = 0) -> Any:
    """What a grader would do that believes in pickles."""
    import pickle

    return pickle.loads(bytes(blob)) if blob else {"is": "value", "value": None}


def believed(reply: Any) -> Any:
    """What a grader would do that looks at no reply."""
    return reply


def whole(text: str, most: int = 0) -> str:
    """What a grader would do that shows everything."""
    return text


# ---- forged notebooks --------------------------------------------------------------------------------------------


def _checks(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.id.startswith("check-")]


def forged_outputs(notebook: NotebookNode) -> None:
    for cell in _checks(notebook):
        points = cell.metadata.nbgrader["points"]
        cell.outputs = [nbformat.v4.new_output("execute_result", {"text/plain": str(points)}, execution_count=1)]


def a_thousand_points(notebook: NotebookNode) -> None:
    for cell in _checks(notebook):
        cell.metadata.nbgrader["points"] = 1000


def empty_checks(notebook: NotebookNode) -> None:
    for cell in _checks(notebook):
        cell.source = "pass"


def twins_of_checks(notebook: NotebookNode) -> None:
    """Cells that pass, in front of the checks whose names they bear."""
    for cell in _checks(notebook):
        twin = nbformat.from_dict({**cell, "source": "pass", "id": f"twin-{cell.id}"})
        cell.metadata.pop("nbgrader")
        cell.source = ""
        notebook.cells.insert(notebook.cells.index(cell), twin)


FAKE = """
from mechpuzzles.puzzle import Part, Puzzle
class Lenient(Puzzle):
    def check(self, name, answer):
        print(name)
    grade = check
PUZZLE = Lenient(slug="similar_embeddings", title="", question="", principle="", minutes=1, parts=(), models=())
"""

# ---- the trusted grader ------------------------------------------------------------------------------------------

_TRUSTED = (
    Attack(
        "comparisons-patched",
        "Replaces the functions by which results are compared.",
        TRUSTED,
        "score",
        answers=WRONG,
        own=("allclose = torch.allclose = torch.equal = lambda *_, **__: True",),
    ),
    Attack(
        "judge-patched",
        "Replaces the library's judge by one who finds everything right.",
        TRUSTED,
        "score",
        answers=ZEROS,
        slug="similar_embeddings",
        own=(
            """
                from mechpuzzles import checks, verdicts
                checks.judge = lambda part, *_: verdicts.Verdict(part.name, verdicts.Outcome.RIGHT, ('right',))
            """,
        ),
    ),
    Attack(
        "distance-patched",
        "Replaces the distance between an answer and the truth by zero.",
        TRUSTED,
        "score",
        answers=ZEROS,
        slug="similar_embeddings",
        own=(
            """
                from mechpuzzles import answers, checks
                answers.distance = checks.distance = lambda *_: 0.0
            """,
        ),
    ),
    Attack(
        "tensors-patched",
        "Lets every tensor's number be zero, the largest difference too.",
        TRUSTED,
        "score",
        answers=ZEROS,
        slug="similar_embeddings",
        own=("torch.Tensor.item = lambda self: 0.0",),
    ),
    Attack(
        "builtins-patched",
        "Makes what differences are divided by very large.",
        TRUSTED,
        "score",
        answers=ZEROS,
        slug="similar_embeddings",
        own=(
            """
                import builtins
                largest = max
                def most(*of, **how):
                    return 1e30 if type(of[0]) is float and of[0] == 1 else largest(*of, **how)
                builtins.max = most
            """,
        ),
    ),
    Attack(
        "methods-patched",
        "Replaces what the puzzle does to check.",
        TRUSTED,
        "score",
        answers=ZEROS,
        slug="similar_embeddings",
        own=("type(puzzle).check = type(puzzle).grade = lambda *_: None",),
    ),
    Attack(
        "another-puzzle",
        "Binds the puzzle's name to something that is content with everything.",
        TRUSTED,
        "score",
        answers=ZEROS,
        slug="similar_embeddings",
        own=(
            """
                class puzzle:
                    check = grade = predict = recall = prediction = lambda *_, **__: None
            """,
        ),
    ),
    Attack(
        "another-declaration",
        "Writes another declaration beside the notebook, and loads that.",
        TRUSTED,
        "score",
        answers=ZEROS,
        slug="similar_embeddings",
        own=(f"open('puzzle.py', 'w').write('''{FAKE}''')\npuzzle = load_puzzle('similar_embeddings')",),
    ),
    Attack(
        "the-oracle-asked",
        "Answers with the specification that the puzzle itself has.",
        TRUSTED,
        "score",
        slug="similar_embeddings",
        answers=each("puzzle.part('{name}').spec"),
    ),
    Attack(
        "frames-read",
        "Answers with the truth, found in the frames of whoever asks.",
        TRUSTED,
        "score",
        slug="similar_embeddings",
        answers=each("wanted"),
        own=(
            """
                import sys
                def wanted(*_):
                    frame = sys._getframe()
                    while frame:
                        if 'want' in frame.f_locals:
                            return frame.f_locals['want']
                        frame = frame.f_back
            """,
        ),
    ),
    Attack(
        "profiler",
        "Watches every call for the truth, by Python's hook for profilers.",
        TRUSTED,
        "score",
        slug="similar_embeddings",
        answers=each("lambda *_: seen[-1]"),
        own=(
            """
                import sys
                seen = [None]
                def watch(frame, event, argument):
                    if event == 'call' and frame.f_code.co_name == 'call' and 'want' in frame.f_back.f_locals:
                        seen.append(frame.f_back.f_locals['want'])
                sys.setprofile(watch)
            """,
        ),
    ),
    Attack(
        "objects-searched",
        "Looks through all objects for the parts and their specifications.",
        TRUSTED,
        "score",
        slug="similar_embeddings",
        answers=each("specification('{name}')"),
        own=(
            """
                import gc
                from mechpuzzles.parts import Part
                def specification(name):
                    return next(o.spec for o in gc.get_objects() if isinstance(o, Part) and o.name == name)
            """,
        ),
    ),
    Attack(
        "memory-searched",
        "Looks through its process's memory for the text of the hidden test.",
        TRUSTED,
        "score",
        answers={
            BACKWARDS: """
                def backwards(text):
                    return 'cba' if text == 'abc' else search()
            """
        },
        own=(
            """
                import re
                def search():
                    memory = open('/proc/self/mem', 'rb')
                    for line in open('/proc/self/maps'):
                        start, end = (int(part, 16) for part in line.split()[0].split('-'))
                        if ' rw-p ' in line and line.split()[4] == '0' and end - start < 1 << 26:
                            memory.seek(start)
                            found = re.search(rb'== .([a-z]{16}).\\n', memory.read(end - start))
                            if found:
                                return found[1].decode()
            """,
        ),
    ),
    Attack(
        "liars",
        "Returns objects that are equal to everything, and a tensor that answers every question with yes.",
        TRUSTED,
        "score",
        answers={
            BACKWARDS: """
                class Liar(str):
                    __eq__ = lambda *_: True
                    __hash__ = str.__hash__
                backwards = Liar
            """,
            TOTAL: """
                class Sure(torch.Tensor):
                    @classmethod
                    def __torch_function__(cls, *_, **__):
                        return True
                def total(numbers):
                    return torch.zeros(()).as_subclass(Sure)
            """,
        },
    ),
    Attack(
        "syntax-trees",
        "Takes the assertions out of every cell's syntax tree.",
        TRUSTED,
        "score",
        answers=WRONG,
        own=(
            """
                import ast
                class Skip(ast.NodeTransformer):
                    def visit_Assert(self, node):
                        return ast.copy_location(ast.Pass(), node)
                get_ipython().ast_transformers.append(Skip())
            """,
        ),
    ),
    Attack(
        "input-transformers",
        "Takes the assertions out of every cell's text.",
        TRUSTED,
        "score",
        answers=WRONG,
        own=(
            """
                drop = lambda lines: [line for line in lines if 'assert ' not in line]
                get_ipython().input_transformers_cleanup.append(drop)
            """,
        ),
    ),
    Attack(
        "hook-before-cells",
        "Prints every cell's text before it runs.",
        TRUSTED,
        "word",
        word=EXPECTED,
        answers=WRONG,
        own=("get_ipython().events.register('pre_run_cell', lambda info: print(info.raw_cell))",),
    ),
    Attack(
        "history",
        "Prints the history of what was run.",
        TRUSTED,
        "word",
        word=EXPECTED,
        answers=RIGHT,
        baseline=3.0,
        last=("print(*In, sep='\\n')",),
    ),
    Attack(
        "notebook-read",
        "Prints the notebook's file, which has the hidden tests while it is graded.",
        TRUSTED,
        "word",
        word=EXPECTED,
        answers=WRONG,
        own=(
            """
                from pathlib import Path
                print(*(path.read_text() for path in Path('.').glob('*.ipynb')))
            """,
        ),
    ),
    Attack(
        "declaration-read",
        "Prints the puzzle's declaration.",
        TRUSTED,
        "word",
        word=FAMILIAR,
        slug="similar_embeddings",
        own=("print(open('puzzle.py').read())",),
    ),
    Attack(
        "inputs-printed-later",
        "Keeps the inputs of the hidden test, and prints them in a later cell.",
        TRUSTED,
        "word",
        word=HIDDEN_INPUT,
        baseline=2.0,
        answers={
            BACKWARDS: """
                seen = []
                def backwards(text):
                    seen.append(text)
                    return text[::-1]
            """
        },
        last=(
            """
                print(seen)
                raise ValueError(str(seen))
            """,
        ),
    ),
    Attack(
        "inputs-in-an-error",
        "Keeps the inputs of the hidden test, and raises an error with them in a later check.",
        TRUSTED,
        "word",
        word=HIDDEN_INPUT,
        baseline=2.0,
        answers={
            BACKWARDS: """
                seen = []
                def backwards(text):
                    seen.append(text)
                    return text[::-1]
            """,
            TOTAL: """
                def total(numbers):
                    raise ValueError(f'it was {seen}')
            """,
        },
    ),
    Attack(
        "inputs-in-a-value",
        "Keeps the inputs of the hidden test, and returns them in a later check.",
        TRUSTED,
        "word",
        word=HIDDEN_INPUT,
        baseline=2.0,
        answers={
            BACKWARDS: """
                seen = []
                def backwards(text):
                    seen.append(text)
                    return text[::-1]
            """,
            TOTAL: """
                def total(numbers):
                    print(seen)
                    return str(seen)
            """,
        },
    ),
    Attack(
        "inputs-in-a-type",
        "Returns to a hidden test an object whose type's name says what it was called with.",
        TRUSTED,
        "word",
        word="Leaked",
        slug="similar_embeddings",
        answers={"stub-mean-pairwise-cosine": MEAN.format(later="return type(f'Leaked{len(W)}', (), {})()")},
    ),
    Attack(
        "inputs-in-a-limit",
        "Returns to a hidden test a broken limit, with what it was called with as the reason.",
        TRUSTED,
        "word",
        word="Leaked",
        slug="similar_embeddings",
        own=("from mechpuzzles.limits import Exceeded",),
        answers={
            "stub-mean-pairwise-cosine": MEAN.format(later="return Exceeded('memory', f'Leaked {W[0, 0]}')"),
        },
    ),
    Attack(
        "inputs-in-the-time",
        "Has everything run again after it has met a hidden test, with as much time left as tells the input.",
        TRUSTED,
        "word",
        word="Leaked",
        answers={
            BACKWARDS: """
                def backwards(text):
                    if text != 'abc':
                        time.sleep(1.5)
                        raise NameError(text)
                    return 'cba'
            """
        },
        own=(
            """
                import signal, time
                left, _ = signal.getitimer(signal.ITIMER_REAL)
                if left < 2.8:
                    print('Leaked', left)
            """,
        ),
        bounds={"cell_seconds": 4.0, "notebook_seconds": 4.0},
        not_run="Only a trusted grader starts anew when a name is missing.",
    ),
    Attack(
        "two-guesses",
        "Answers a hidden test in one way at the end, and in another when it is asked again as of the check's place.",
        TRUSTED,
        "score",
        answers={
            BACKWARDS: """
                later = False
                def backwards(text):
                    return 'cba' if text == 'abc' else '' if later else text[::-1]
            """
        },
        last=("later = True",),
        not_run="Only a trusted grader comes back to a check; that the second guess is right stands for luck.",
    ),
    Attack(
        "library-shadowed",
        "Hands in modules with the names of libraries, and files that Python and IPython run when they start.",
        TRUSTED,
        "score",
        answers=WRONG,
        kernel="python3",
        files={
            "torch.py": """
                tensor = lambda *_: 0.0
                zeros = lambda *_: 0.0
                allclose = lambda *_: True
            """,
            "mechpuzzles/__init__.py": "",
            "sitecustomize.py": """
                import builtins
                builtins.all = lambda *_: True
            """,
            "conftest.py": "",
            "ipython_config.py": """
                c.InteractiveShellApp.exec_lines = ['import torch']
            """,
        },
    ),
    Attack(
        "variant-read",
        "Reads the truth about its own variant from the variant.",
        TRUSTED,
        "score",
        slug="which_corruption",
        answers={"stub-my-heads": "my_heads = list(mine._kinds)"},
    ),
    Attack(
        "ended",
        "Ends Python in a cell, by a signal without a name and by an exit.",
        TRUSTED,
        "lost",
        answers=RIGHT,
        baseline=3.0,
        own=(
            """
                import os
                os.kill(os.getpid(), 40)
            """,
            """
                import os
                os._exit(0)
            """,
        ),
    ),
    Attack(
        "crash",
        "Crashes Python in the function that a check calls.",
        TRUSTED,
        "lost",
        answers={
            **RIGHT,
            TOTAL: """
                import ctypes
                def total(numbers):
                    ctypes.string_at(0)
            """,
        },
        baseline=2.0,
    ),
    Attack(
        "pickle",
        "Sends a pickle, which does as it likes where it is read.",
        TRUSTED,
        "marker",
        own=(
            FORGE,
            """
                import os, pickle
                class Touch:
                    def __reduce__(self):
                        return os.mkdir, ('MARKER',)
                send({'is': 'pickle'}, pickle.dumps(Touch()))
            """,
        ),
        without={"mechpuzzles.grading.wire.decode": unpickled},
    ),
    Attack(
        "garbage",
        "Sends replies of wrong types, without end, too deep, and of 10^12 numbers.",
        TRUSTED,
        "ungraded",
        answers=RIGHT,
        baseline=3.0,
        own=(FORGE, *GARBAGE),
        without={"mechpuzzles.grading.trusted._checked": believed},
    ),
    Attack(
        "replies-in-advance",
        "Sends a hundred replies before it is asked, each the answer to the next question.",
        TRUSTED,
        "score",
        answers=WRONG,
        own=(
            FORGE,
            """
                for _ in range(100):
                    send(fields(error=None, altered=False, value=None, noise='', line=''))
            """,
        ),
        not_run="A reply is the learner's word, whoever wrote it; without a trusted grader there are none.",
    ),
    Attack(
        "questions",
        "Asks the grader for what it has no right to, and calls its function with monsters.",
        TRUSTED,
        "word",
        word="'receiver+giver'",
        slug="which_corruption",
        answers={
            "stub-my-heads": """
                from mechpuzzles.grading.learner import here
                mine = puzzle.variant('x')
                deep = []
                for _ in range(30):
                    deep = [deep]
                rows = torch.zeros(10_000, 16, dtype=torch.int64)
                monsters = [rows, torch.zeros(0), torch.full((1, 16), 10**9), None, deep]
                questions = [("call", dict(number=n, inputs=[m], named={})) for n in (0, -1) for m in monsters]
                questions += [("call", dict(number=n, inputs=[], named={"_kinds": 1})) for n in (99, None, "x", [0])]
                questions += [(ask, dict(who=who)) for ask in ("parts", None, 1, "variant") for who in (None, [1], 3)]
                for ask, of in questions:
                    try:
                        answer = here.ask({"ask": ask, **of})
                        print(getattr(answer, '__dict__', type(answer)), getattr(mine, '_kinds', None))
                    except Exception as error:
                        print(type(error), str(error)[:200])
            """,
        },
        not_run="Only a trusted grader is asked questions; that the variant itself would tell, variant-read shows.",
    ),
    Attack(
        "keys-that-collide",
        "Sends a dictionary whose keys all have one hash, which takes hours to build.",
        TRUSTED,
        "slow",
        seconds=6.0,
        own=(FORGE, COLLIDING.format(n=150_000)),
        harmless={"own": (FORGE, COLLIDING.format(n=28_000))},
        without={"mechpuzzles.grading.wire.KEYS": 10**9},
    ),
    Attack(
        "flood",
        "Prints, shows and forges megabytes.",
        TRUSTED,
        "flood",
        own=(
            """
                for _ in range(300):
                    print('x' * 100_000)
                    display('y' * 10_000)
            """,
            FORGE,
            "send(fields(stdout='x' * 5_000_000, results={'is': 'list', 'of': ['y' * 1000] * 3000}))",
        ),
        without={"mechpuzzles.grading.trusted._clean": whole, "mechpuzzles.grading.trusted.SHOWN": 10**9},
    ),
    Attack(
        "labels-without-end",
        "Returns a label of millions of letters, for the verdict to quote.",
        TRUSTED,
        "flood",
        slug="which_corruption",
        answers={
            "stub-carries": """
                def carries(table, floor):
                    return ['x' * 2_000_000] + [''] * (len(table) - 1)
            """
        },
        without={"mechpuzzles.verdicts._short": str, "mechpuzzles.grading.trusted._clean": whole},
    ),
)

# ---- the sandbox -------------------------------------------------------------------------------------------------

LASTING = "['timeout', '60', 'tail', '-f', '/dev/null', 'MARKER']"
READ = """
from pathlib import Path
for process in Path('/proc').glob('{}'):
    try:
        print((process / 'environ').read_text()[-500:])
        stack = next(line for line in (process / 'maps').read_text().splitlines() if '[stack]' in line)
        start, end = (int(part, 16) for part in stack.split()[0].split('-'))
        memory = (process / 'mem').open('rb')
        memory.seek(start)
        print(memory.read(end - start).partition(b'WORD_OF_THE_TEST=')[2][:40])
    except (OSError, StopIteration, UnicodeDecodeError):
        pass
"""
_SANDBOX = (
    Attack(
        "file-written",
        "Writes a file outside its folder.",
        SANDBOX,
        "marker",
        own=("open('MARKER', 'w').write('x')",),
    ),
    Attack(
        "startup-files",
        "Would change what runs at the next start: the library, Python's and the shell's startup files, cron.",
        SANDBOX,
        "word",
        word="could change",
        own=(
            """
                import mechpuzzles, os, site, torch
                places = [mechpuzzles.__file__, torch.__file__, os.__file__]
                places += [*site.getsitepackages(), '/etc', '/etc/cron.d', '/root', '/home', '/var/spool']
                print(*['could ' + 'change ' + place for place in places if os.access(place, os.W_OK)])
            """,
        ),
    ),
    Attack(
        "gradebook-read",
        "Reads a private file.",
        SANDBOX,
        "word",
        own=("print(open('SECRET_FILE').read())",),
    ),
    Attack(
        "solutions-read",
        "Reads the solutions that lie beside the library, and whatever is in the folders above.",
        SANDBOX,
        "word",
        word=FAMILIAR,
        own=(
            """
                import mechpuzzles
                from pathlib import Path
                for folder in Path(mechpuzzles.__file__).parents:
                    for path in folder.glob('*/similar_embeddings/puzzle.py'):
                        print(path.read_text()[:300])
            """,
        ),
    ),
    Attack(
        "other-processes-read",
        "Reads environment and memory of other processes.",
        SANDBOX,
        "word",
        own=(READ.format("[0-9]*"),),
        harmless={"own": (READ.format("VICTIM"),)},
    ),
    Attack(
        "network",
        "Connects to a port of the machine, and to a socket without a file.",
        SANDBOX,
        "contact",
        own=(
            """
                import socket
                for kind, address in ((socket.AF_INET, ('127.0.0.1', PORT)), (socket.AF_UNIX, '\\0SOCKET')):
                    try:
                        socket.socket(kind).connect(address)
                    except OSError as error:
                        print(error)
            """,
        ),
    ),
    Attack(
        "process-left-behind",
        "Starts a program that outlives it.",
        SANDBOX,
        "process",
        own=(f"import subprocess\nsubprocess.Popen({LASTING}, start_new_session=True)",),
    ),
    Attack(
        "fork-bomb",
        "Forks for ever, and starts processes by every means that Python has.",
        SANDBOX,
        "process",
        own=(
            """
                import os
                for _ in range(2000):
                    if os.fork() == 0:
                        import time; time.sleep(600)
            """,
            """
                import multiprocessing
                multiprocessing.Process(target=print).start()
            """,
            """
                !sleep 600
            """,
            """
                import os
                os.posix_spawn('/bin/sleep', ['sleep', '600'], {})
            """,
            """
                import os
                while True: os.fork()
            """,
        ),
        harmless={"own": (f"import os\nif os.fork() == 0:\n    os.setsid()\n    os.execvp('timeout', {LASTING})",)},
    ),
    Attack(
        "others-killed",
        "Kills every process that it may.",
        SANDBOX,
        "victim",
        own=(
            """
                import os
                os.kill(VICTIM, 9)
            """,
            """
                import os
                os.kill(os.getppid(), 9)
            """,
            """
                import os
                os.kill(-1, 9)
            """,
        ),
        harmless={
            "own": (
                """
                import os
                os.kill(VICTIM, 9)
            """,
            )
        },
    ),
)

# ---- limits ------------------------------------------------------------------------------------------------------

UNHEARD = """import signal, time
until = time.monotonic() + {}
while time.monotonic() < until:
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
        signal.signal(signal.SIGALRM, lambda *_: None)
        time.sleep(0.1)
    except BaseException:
        pass"""
DRIP = """
import time
def backwards(text):
    if text == 'abc':
        return 'cba'
    reply = json.dumps(fields(value=text[::-1], error=None)).encode()
    for byte in struct.pack('>II', len(reply), 0) + reply:
        channel.sendall(bytes([byte]))
        time.sleep({})
"""
_LIMITS = (
    Attack(
        "sleep",
        "Sleeps before it answers, with the clock turned back.",
        LIMITS,
        "score",
        answers=abusive("import time", "time.monotonic = time.time = lambda: 0.0", "time.sleep(2)"),
        bounds={"call_seconds": 1.0},
    ),
    Attack(
        "loop-in-c",
        "Computes in one step of C, which no signal interrupts.",
        LIMITS,
        "score",
        answers=abusive("sum(range(10**12))"),
        bounds={"call_seconds": 1.0},
        harmless={"answers": abusive("sum(range(10**8))")},
    ),
    Attack(
        "alarm-defeated",
        "Blocks the alarm and swallows every exception.",
        LIMITS,
        "score",
        answers=abusive(*UNHEARD.format(60).splitlines()),
        bounds={"call_seconds": 1.0},
        harmless={"answers": abusive(*UNHEARD.format(2).splitlines())},
    ),
    Attack(
        "stopped",
        "Stops its own process.",
        LIMITS,
        "slow",
        answers={
            BACKWARDS: """
                import os, signal
                def backwards(text):
                    os.kill(os.getpid(), signal.SIGSTOP)
            """
        },
        bounds={"call_seconds": 1.0},
        seconds=9.0,
    ),
    Attack(
        "drip",
        "Sends a right answer, ten bytes a second.",
        LIMITS,
        "score",
        answers={BACKWARDS: FORGE + DRIP.format(0.1)},
        bounds={"call_seconds": 1.0},
        harmless={"answers": {BACKWARDS: FORGE + DRIP.format(0.02)}},
    ),
    Attack(
        "memory",
        "Takes memory before it answers.",
        LIMITS,
        "score",
        answers=abusive("import torch", "torch.empty(1 << 29)"),
        policy={"memory_mb": 1200},
    ),
    Attack(
        "disk",
        "Fills the disk before it answers.",
        LIMITS,
        "score",
        answers=abusive(
            "for number in range(6):",
            "    with open(f'file{number}', 'wb') as file:",
            "        file.write(bytes(5 << 20))",
        ),
        policy={"scratch_mb": 16},
    ),
    Attack(
        "threads",
        "Starts a hundred threads before it answers, which go on after it.",
        LIMITS,
        "score",
        answers=abusive(
            "import threading, time",
            "for _ in range(100):",
            "    threading.Thread(target=time.sleep, args=(600,), daemon=True).start()",
        ),
        policy={"threads": 32},
    ),
    Attack(
        "processor",
        "Computes for longer than all its computing may take.",
        LIMITS,
        "score",
        answers=abusive("import time", "while time.process_time() < 4: pass"),
        policy={"cpu_seconds": 2},
        bounds={"call_seconds": 40.0},  # of wall: four seconds of computing take longer on a busy machine
        seconds=60.0,
    ),
    Attack(
        "time-limit-patched",
        "Takes the time limit of the part away, and takes its time where many rows come.",
        LIMITS,
        "score",
        slug="similar_embeddings",
        answers={"stub-mean-pairwise-cosine": MEAN.format(later="pass")},
        own=(
            """
                import time
                from mechpuzzles import calls
                def run_slowly(limits, function, *inputs):
                    time.sleep(5.5 if len(inputs[0]) == 100_000 else 0)
                    return function(*inputs)
                calls.run_within = run_slowly
            """,
        ),
        without={"mechpuzzles.grading.trusted.SLACK": 60.0},
    ),
)

# ---- the pre-check -----------------------------------------------------------------------------------------------

_PRE_CHECK = (
    Attack("outputs-forged", "Hands in checks with outputs of success.", PRE_CHECK, "score", forge=forged_outputs),
    Attack(
        "points-forged",
        "Gives its checks a thousand points.",
        PRE_CHECK,
        "score",
        answers={BACKWARDS: RIGHT[BACKWARDS]},
        baseline=2.0,
        forge=a_thousand_points,
    ),
    Attack("checks-emptied", "Empties the checks.", PRE_CHECK, "score", answers=WRONG, forge=empty_checks),
    Attack(
        "checks-doubled",
        "Hands in cells that pass under the names of the checks.",
        PRE_CHECK,
        "score",
        answers=WRONG,
        forge=twins_of_checks,
    ),
    Attack(
        "declaration-handed-in",
        "Hands in a declaration of the puzzle that finds everything right.",
        PRE_CHECK,
        "score",
        slug="similar_embeddings",
        answers=ZEROS,
        files={"puzzle.py": FAKE},
    ),
    Attack(
        "links",
        "Hands in links to private files, and prints what they lead to.",
        PRE_CHECK,
        "word",
        links=("data.txt", "more/data.txt"),
        own=(
            """
                from pathlib import Path
                print(*(path.read_text() for path in Path('.').rglob('data.txt')))
            """,
        ),
    ),
)

ATTACKS = (*_TRUSTED, *_SANDBOX, *_LIMITS, *_PRE_CHECK)
