"""The trusted grader: what crosses, which cells run, and what check cells do where the learner's code is not."""

import socket
import struct
import threading

import numpy as np
import pytest
import torch

from mechpuzzles import drivers
from mechpuzzles.calls import call
from mechpuzzles.grading import worker
from mechpuzzles.grading.jobs import Bounds, Cell, Job, job_data
from mechpuzzles.grading.needs import names_in, needed
from mechpuzzles.grading.trusted import UNSEEN
from mechpuzzles.grading.wire import DEPTH, Channel, Garbled, HungUp, Silent, decode, encode
from mechpuzzles.limits import Exceeded

from .forking import needs_linux

pytestmark = [pytest.mark.xdist_group("warm"), needs_linux]

# What crosses -----------------------------------------------------------------------------------------------------


def crossed(value):
    blob = bytearray()
    return decode(encode(value, blob), blob)


@pytest.mark.parametrize(
    "value",
    [None, True, 3, -(2**62), 0.1, float("inf"), "a\0é", b"\0\xff", [1, [2.5, "x"]], (1, ()), {"a": 1, 2: [None]}, ...],
)
def test_plain_data_crosses_whole(value):
    got = crossed(value)
    assert got == value
    assert type(got) is type(value)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.int64, torch.uint8, torch.bool])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 4), (2, 3, 4)])
def test_tensors_cross_by_type_shape_and_bytes(dtype, shape):
    value = torch.randint(0, 2, shape).to(dtype)
    assert crossed(value).dtype == dtype
    assert torch.equal(crossed(value), value)
    turned = value.transpose(0, -1) if len(shape) > 1 else value
    assert torch.equal(crossed(turned), turned)


def test_arrays_scalars_and_limits_cross():
    assert np.array_equal(crossed(np.arange(6.0).reshape(2, 3)[:, ::2]), [[0, 2], [3, 5]])
    assert type(crossed(np.float32(0.5))) is np.float32
    assert crossed(Exceeded("time", "long")) == Exceeded("time", "long")
    assert torch.equal(crossed(torch.nn.Parameter(torch.ones(2))), torch.ones(2))
    assert crossed(10**30).__class__ is int


class Liar(str):
    def __eq__(self, other):
        return True

    __hash__ = str.__hash__


class Tensor(torch.Tensor):  # of the same name
    pass


@pytest.mark.parametrize(
    ("value", "name"),
    [(Liar("x"), "Liar"), (torch.ones(2).as_subclass(Tensor), "Tensor"), (print, "builtin_function_or_method")],
)
def test_of_other_things_only_their_types_name_crosses(value, name):
    got = crossed(value)
    assert type(got) not in (str, torch.Tensor)
    assert type(got).__name__ == name
    assert got != "x"


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


def test_depth_and_odd_integers_are_bounded():
    with pytest.raises(TypeError, match="nested"):
        encode(nested(DEPTH + 2), bytearray())
    endless = []
    endless.append(endless)
    with pytest.raises(TypeError, match="nested"):
        encode(endless, bytearray())


FORGED = [
    {"is": "tensor", "dtype": "float32", "shape": [10**12], "from": 0},
    {"is": "tensor", "dtype": "float32", "shape": [-1], "from": 0},
    {"is": "tensor", "dtype": "float32", "shape": [2], "from": -8},
    {"is": "tensor", "dtype": "save", "shape": [1], "from": 0},
    {"is": "scalar", "type": "load", "of": "x"},
    {"is": "bytes", "from": -1, "n": 4},
    {"is": "bytes", "from": 0, "n": 400},
    {"is": "dict", "of": [[{"is": "list", "of": []}, 1]]},
    {"is": "exceeded", "limit": "everything", "what": ""},
    {"is": "pickle"},
    {"of": 1},
    [1],
]


@pytest.mark.parametrize("forged", FORGED)
def test_forged_data_is_refused(forged):
    with pytest.raises((Garbled, KeyError, TypeError, ValueError)):
        decode(forged, bytearray(8))


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        (struct.pack(">II", 2**31, 0), Garbled),
        (struct.pack(">II", 0, 2**31), Garbled),
        (struct.pack(">II", 4, 0) + b"no", Silent),
        (struct.pack(">II", 4, 0) + b"\xff\xfe\0\0", Garbled),
        (struct.pack(">II", 6, 0) + b'{"is":'[:6], Garbled),
        (struct.pack(">II", 200_000, 0) + b"[" * 200_000, Garbled),
        (b"", Silent),
        (None, HungUp),
    ],
)
def test_what_is_no_message_is_refused_in_time(sent, error):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        if sent is None:
            theirs.close()
        else:
            threading.Thread(target=theirs.sendall, args=(sent,), daemon=True).start()
        with pytest.raises(error):
            Channel(ours).receive(0.3)


# Which cells run --------------------------------------------------------------------------------------------------


def runs(*cells: str, wanted=("answer",), always=()):
    names = [names_in(cell, {"plots", "torch"}) for cell in cells]
    chosen = needed(names, [i in always for i in range(len(cells))], wanted)
    return [i for i, run in enumerate(chosen) if run]


def test_only_the_cells_that_are_needed_run():
    assert runs("import torch", "x = 1", "def answer(): return helper(x)", "def helper(y): return y", "z = 3") == [
        1,
        2,
        3,
    ]
    assert runs("x = 1", "for x in range(3):\n    print(x)", "answer = 2") == [2]
    assert runs("data = {}", "data['a'] = 1", "data.update(b=2)", "plots.bars(data)", "answer = data") == [0, 1, 2, 4]
    assert runs("a = 1", "a += 1", "b = [a for a in range(3)]", "answer = a") == [0, 1, 3]
    assert runs("x = 1", "%matplotlib inline", "answer = 1") == [1, 2]
    assert runs("seed = 1", "def f():\n    seed = 2\n    return seed", "answer = f()") == [1, 2]
    assert runs("x = 1", "print(x)", "answer = 1", always=[1]) == [0, 1, 2]
    assert runs("with open('f') as file:\n    text = file.read()", "answer = text") == [0, 1]
    assert runs("class A:\n    b = c", "c = 1", "answer = A()") == [0, 1, 2]


# Grading ----------------------------------------------------------------------------------------------------------

CHECK = """
assert double(2) == 4, "double(2) is 4"
### BEGIN HIDDEN TESTS
secret = 1234
assert double(secret) == 2468, f"double({secret}) is 2468"
### END HIDDEN TESTS
"""


def graded(server, *cells, released=(), sandbox=False, **settings):
    """Outputs by cell: checks are given as ("check", source), others as source, all as if the learner wrote them."""
    made = []
    for number, cell in enumerate(cells):
        kind, source = cell if isinstance(cell, tuple) else ("own", cell)
        tests, fixed = (source, True) if kind == "check" else (None, kind == "locked")
        made.append(Cell(str(number), "" if tests else source, fixed, tests, solution=kind == "stub"))
    bounds = Bounds(cell_seconds=4.0, call_seconds=2.0, notebook_seconds=20.0)
    job = Job(made, list(released) or made, "none", bounds=bounds, sandbox=sandbox, **settings)
    found = worker.grade_job(job_data(job), {})
    assert "failed" not in found, found
    return found


def said(found, number) -> str:
    return "".join(o.get("evalue", o.get("text", "")) for o in found["outputs"][str(number)])


DOUBLE = "def double(x):\n    return {}"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("2 * x", ""),
        ("5", "double(2) is 4"),
        ("4", UNSEEN),
        ("4 if x == 2 else print(x)", UNSEEN),
        ("4 if x == 2 else (_ for _ in ()).throw(ValueError(x))", UNSEEN),
        ("undefined", "name 'undefined' is not defined"),
    ],
)
def test_ordinary_checks_of_an_instructors_own_run_here(fork_server, body, says):
    found = graded(fork_server, ("stub", DOUBLE.format(body)), ("check", CHECK))
    assert says in said(found, 1)
    assert bool(said(found, 1)) == bool(says)
    assert "1234" not in str(found)
    assert "2468" not in str(found)


def test_hidden_inputs_do_not_reach_later_outputs(fork_server):
    keep = "seen = []\ndef double(x):\n    print(seen)\n    seen.append(x)\n    return 2 * x"
    check = ("check", "assert double(3) == 6, str(double(1))")
    wrong = "def double(x):\n    print(seen)\n    seen.append(x)\n    raise ValueError(seen)"
    found = graded(fork_server, keep, "print(seen)", ("check", CHECK), "print(seen)", check, wrong, check)
    assert said(found, 1) == "[]\n"
    assert said(found, 3) == "[2]\n"
    assert "[2, 3, 3]" in said(found, 6)
    assert "1234" not in str(found)


def test_hidden_tests_see_what_was_bound_at_their_place(fork_server):
    """Also where a later cell changes what a function reads, or binds the same name."""
    cells = "factor = 2\ndef double(x):\n    return factor * x", ("check", CHECK)
    for later in ("factor = 3", "def double(x):\n    return 0", "print(1)"):
        found = graded(fork_server, *cells, later, ("check", "assert double(1) == 3"))
        assert found["outputs"]["1"] == []
        assert bool(found["outputs"]["3"]) == (later != "factor = 3")


def test_checks_see_names_as_they_are_at_their_place(fork_server):
    check = ("check", "assert value == 1")
    found = graded(fork_server, "value = 1", check, "value = 2", check)
    assert said(found, 1) == ""
    assert "AssertionError" in str(found["outputs"]["3"])


def test_what_locked_cells_bind_is_the_graders_own(fork_server):
    """The learner cannot change what a check compares with."""
    cells = ("locked", "import math\nexpected = math.sqrt(2)"), "expected = 7; import math; math.sqrt = len"
    found = graded(fork_server, *cells, ("stub", "root = 7"), ("check", "assert abs(root - expected) < 1e-9"))
    assert "AssertionError" in str(found["outputs"]["3"])
    found = graded(fork_server, *cells, ("stub", "root = 2**0.5"), ("check", "assert abs(root - expected) < 1e-9"))
    assert found["outputs"]["3"] == []


def test_an_authors_helper_runs_here_and_asks_for_the_learners_function(fork_server):
    helper = "def is_good():\n    return double(4) == 8"
    for body, good in (("2 * x", True), ("x", False)):
        stub = ("stub", DOUBLE.format(body) + "\n\n\ndef is_good():\n    return True")
        found = graded(fork_server, ("locked", helper), stub, ("check", "assert is_good()"), released=RELEASED)
        assert (found["outputs"]["2"] == []) == good


RELEASED = [
    Cell("0", "def is_good():\n    return double(4) == 8", fixed=True),
    Cell("1", "def double(x):\n    ...", solution=True),
]


def test_a_learners_error_is_caught_as_pythons_own(fork_server):
    stub = ("stub", "def double(x):\n    raise KeyError('x')")
    check = """
try:
    double(1)
    raised = ""
except LookupError as error:
    raised = str(error)
assert raised == "'x'"
"""
    assert graded(fork_server, stub, ("check", check))["outputs"]["1"] == []


def test_partial_points_and_prints_of_a_check(fork_server):
    found = graded(fork_server, ("stub", "x = 2"), ("check", "print('two of three')\n1 + 0.5 * (x == 2)"))
    printed, points = found["outputs"]["1"]
    assert printed["text"] == "two of three\n"
    assert points["data"]["text/plain"] == "1.5"


def test_a_process_that_ends_loses_only_what_ended_it(fork_server):
    found = graded(
        fork_server,
        "def one(): return 1",
        "def two():\n    import os; os._exit(3)",
        "import ctypes; lost = 1; ctypes.string_at(0)",
        "def three(): return 3",
        ("check", "assert one() == 1"),
        ("check", "assert two() == 2"),
        ("check", "assert three() == 3"),
        ("check", "assert lost == 1"),
    )
    assert [bool(found["outputs"][str(i)]) for i in (4, 5, 6, 7)] == [False, True, False, True]
    assert "ended Python" in said(found, 5)
    assert "SIGSEGV" in said(found, 2)
    assert "lost is not defined" in said(found, 7)
    assert any("SIGSEGV" in finding for finding in found["findings"])


@pytest.mark.parametrize(
    "loop",
    ["while True: pass", "while True:\n        try:\n            while True: pass\n        except BaseException: pass"],
)
def test_endless_loops_cost_their_own_part_and_little_time(fork_server, loop):
    found = graded(
        fork_server,
        f"def endless():\n    {loop}",
        "def right(): return 1",
        ("check", "assert endless() == 1"),
        ("check", "assert right() == 1"),
    )
    assert "still running" in said(found, 2) or "could not be interrupted" in said(found, 2)
    assert found["outputs"]["3"] == []


def test_a_cell_that_reading_the_text_missed_is_run_after_all(fork_server):
    """``exec`` binds a name that no text shows: the grader finds it missing and runs everything."""
    cells = ("locked", "exec('hidden_helper = 2')"), ("stub", "def double(x):\n    return hidden_helper * x")
    found = graded(fork_server, *cells, ("check", CHECK))
    assert found["ran_all"]
    assert found["outputs"]["2"] == []


def test_pictures_and_unneeded_cells_are_not_run(fork_server):
    cells = ("locked", "print('a picture')"), ("stub", "def double(x):\n    return 2 * x"), ("check", CHECK)
    assert "0" not in graded(fork_server, *cells)["outputs"]
    assert said(graded(fork_server, *cells, all_cells=True), 0) == "a picture\n"


def test_nothing_locked_after_the_last_check_is_run(fork_server):
    """Though it binds a name that an earlier cell reads."""
    read = ("locked", "factor = 2\nprint('read')"), ("stub", "def double(x):\n    return factor * x"), ("check", CHECK)
    outputs = graded(fork_server, *read, ("locked", "factor = 3\nprint('play')"))["outputs"]
    assert ("0" in outputs, outputs["2"], "3" in outputs) == (True, [], False)


# Hooks and models -------------------------------------------------------------------------------------------------


def test_a_driver_calls_a_hook_with_a_model_of_its_own():
    def zero(z, hook):
        return torch.zeros_like(z)

    tokens = torch.tensor([[1, 2, 3]])
    site = "blocks.0.attn.hook_z"
    called = call(zero, ("mini-gpt2", site, tokens), None, drivers.with_hook)
    model = drivers.model_named("mini-gpt2")
    assert torch.equal(called.value, model.run_with_hooks(tokens, fwd_hooks=[(site, zero)]))
    assert not torch.equal(called.value, model(tokens))
    assert call(lambda model: model.cfg.n_layers, ("mini-gpt2",), None, drivers.with_model).value == 2


HOOKS = """
import torch

from mechpuzzles import drivers
from mechpuzzles.puzzle import Case, Part, Puzzle, Symptom

SITE = "blocks.0.attn.hook_z"


def cases(rng):
    yield Case(("mini-gpt2", SITE, torch.randint(1, 2000, (1, 4), generator=rng)))


def without_heads(name, site, tokens):
    model = drivers.model_named(name)
    W_O, b_O = model.blocks[0].attn.W_O, model.blocks[0].attn.b_O
    off = lambda out, hook: torch.zeros_like(out) + b_O
    return model.run_with_hooks(tokens, fwd_hooks=[("blocks.0.hook_attn_out", off)])


PUZZLE = Puzzle(
    slug="hooks", title="", question="", principle="", minutes=1, models=("mini-gpt2",),
    parts=(Part(
        name="off", takes=("", "", "batch pos"), returns="batch pos d_vocab", points=1, cases=cases, spec=without_heads,
        driver=drivers.with_hook, hints=("Zeros.",), meaning="Only the bias is left.",
        symptoms=(Symptom.gives("untouched", lambda name, site, tokens: drivers.model_named(name)(tokens),
            says="Nothing changed: return the new activation."),),
    ),),
)
"""
HOOK = "import torch\n\n\ndef off(z, hook):\n    return {}"


@pytest.mark.parametrize(
    ("body", "says"),
    [("torch.zeros_like(z)", "right"), ("None", "Nothing changed"), ("z[:, 99]", "IndexError"), ("...", "off: ")],
)
def test_a_hook_is_called_over_there_and_compared_here(fork_server, body, says):
    cells = [
        Cell("load", 'from mechpuzzles import load_puzzle\n\npuzzle = load_puzzle("hooks")', fixed=True),
        Cell("stub", HOOK.format(body), solution=True),
        Cell(
            "check", "", fixed=True, tests='puzzle.check("off", off)\n### BEGIN HIDDEN TESTS\npuzzle.grade("off", off)'
        ),
    ]
    job = Job(cells, cells, "hooks", bounds=Bounds(), sandbox=False)
    found = worker.grade_job(job_data(job), {"puzzle.py": HOOKS.encode()})
    assert says in str(found["outputs"]["check"])
    assert ("error" in str(found["outputs"]["check"])) == (says != "right")
