"""The puzzle model on a toy puzzle: outcomes, symptoms, words, limits, predictions, hints, reveal."""

import codecs
import json
import re
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from mechpuzzles import checks, journal, variants
from mechpuzzles.limits import Exceeded, Limits, run_within
from mechpuzzles.puzzle import Case, FreeText, Part, Prediction, Puzzle, Symptom, load_puzzle
from mechpuzzles.verdicts import NotYet, Outcome, PlainError

from .cells import live_notebook


def row_sums_spec(W):
    return torch.tensor([sum(row) for row in W.double().tolist()], dtype=torch.float64)


def cases(rng):
    yield Case((torch.randn(4, 3, generator=rng),))
    yield Case((torch.randn(5, 2, generator=rng) + 1,))


ROW_SUMS = Part(
    name="row_sums",
    takes=("n d_model",),
    returns="n",
    points=2,
    cases=cases,
    spec=row_sums_spec,
    symptoms=(
        Symptom.gives("averaged", lambda W: W.mean(1), says="These are means over {d_model} coordinates."),
        Symptom.gives("columns", lambda W: W.sum(0), says="These are sums over the {n} rows."),
    ),
    hints=("Which axis?", "dim=1"),
    meaning="Rows add up.",
)
TOTAL = Part(
    name="total",
    takes=("n d_model",),
    returns="",
    points=1,
    cases=cases,
    spec=lambda W: float(row_sums_spec(W).sum()),
    symptoms=(),
    hints=("All of it.",),
    meaning="All adds up.",
)
PUZZLE = Puzzle(
    slug="toy",
    title="Toy",
    question="Does it add up?",
    principle="Sums are sums.",
    minutes=1,
    models=(),
    parts=(ROW_SUMS, TOTAL),
    free_text=(FreeText("why", 1, ("because",)),),
    predictions=(
        Prediction("mean", between=(-1, 1)),
        Prediction("cause", choices=("offset", "meaning"), right="offset"),
        Prediction("guilt", choices=("offset", "meaning")),
    ),
)


def verdict(answer, part=ROW_SUMS):
    return checks.judge(part, answer, checks.PUBLIC_SEEDS)


class AlwaysEqual(float):
    def __eq__(self, other):
        return True

    __hash__ = float.__hash__


def changes_input(W):
    sums = W.sum(1)
    W.zero_()
    return sums


def not_implemented(W):
    raise NotImplementedError


def divides_by_zero(W):
    nothing = 0
    return W.sum(1) / (1 // nothing)


def right_only_by_broadcasting(W):
    return W.sum(1, keepdim=True)


ANSWERS = [
    # answer, outcome, symptom, what the words hold
    (lambda W: W.sum(1), Outcome.RIGHT, None, ["right on the public checks", "Rows add up."]),
    (lambda W: W.numpy().sum(axis=1), Outcome.RIGHT, None, []),
    (lambda W: W.double().sum(1), Outcome.RIGHT, None, []),
    (lambda W: torch.nn.Parameter(W.sum(1)), Outcome.RIGHT, None, []),
    (not_implemented, Outcome.NOT_ATTEMPTED, None, ["not attempted yet", "puzzle.hint('row_sums')"]),
    (lambda W: ..., Outcome.NOT_ATTEMPTED, None, []),
    (..., Outcome.NOT_ATTEMPTED, None, []),
    (None, Outcome.NOT_ATTEMPTED, None, []),
    (3.0, Outcome.WRONG, None, ["It is a float, not a function"]),
    (divides_by_zero, Outcome.RAISED, None, ["ZeroDivisionError", "W.sum(1) / (1 // nothing)", "[n=4, d_model=3]"]),
    (lambda W: sys.exit(), Outcome.RAISED, None, ["SystemExit"]),
    (lambda W: W.mean(1), Outcome.WRONG, "averaged", ["means over 3 coordinates", "Type and shape are right", "n=0"]),
    (lambda W: W.sum(0), Outcome.WRONG, "columns", ["sums over the 4 rows", "got [3], wanted [n=4]"]),
    (right_only_by_broadcasting, Outcome.WRONG, None, ["got [4, 1], wanted [n=4]"]),
    (lambda W: None, Outcome.WRONG, "wrong_type", ["None", "return missing"]),
    (lambda W: W.sum(1).tolist(), Outcome.WRONG, "wrong_type", ["a list"]),
    (lambda W: W.sum(1).long(), Outcome.WRONG, "wrong_type", ["int64", "float32"]),
    (lambda W: W.sum(1).half(), Outcome.WRONG, "wrong_type", ["float16"]),
    (lambda W: W.sum(1) + 0j, Outcome.WRONG, "wrong_type", ["complex"]),
    (lambda W: np.array(["a"] * len(W)), Outcome.WRONG, "wrong_type", ["a ndarray; return a tensor"]),
    (lambda W: W.sum(1) * torch.nan, Outcome.WRONG, None, ["NaN"]),
    (lambda W: torch.empty(0), Outcome.WRONG, None, ["got [0]"]),
    (changes_input, Outcome.WRONG, "changes_its_input", ["alters its input"]),
    (lambda W: W.sum(1) + torch.eye(len(W))[2], Outcome.WRONG, None, ["first entry that differs is n=2"]),
]


@pytest.mark.parametrize(("answer", "outcome", "symptom", "words"), ANSWERS)
def test_each_answer_gets_its_outcome_and_words(answer, outcome, symptom, words):
    found = verdict(answer)
    assert (found.outcome, found.symptom) == (outcome, symptom)
    text = " ".join(found.text(bold=False).split())
    for word in words:
        assert word in text
    assert max(map(len, found.text(bold=False).splitlines())) <= 100


@pytest.mark.parametrize("answer", [lambda W: AlwaysEqual(1), lambda W: True, lambda W: "7", lambda W: W])
def test_a_number_is_believed_only_if_it_is_a_plain_float(answer):
    assert verdict(answer, TOTAL).outcome is Outcome.WRONG


@pytest.mark.parametrize(
    "answer",
    [lambda W: W.sum(), lambda W: W.sum().item(), lambda W: np.float64(W.double().sum()), lambda W: W.numpy().sum()],
)
def test_a_number_may_come_as_a_float_or_a_tensor_without_axes(answer):
    assert verdict(answer, TOTAL).outcome is Outcome.RIGHT


def test_the_expected_value_is_never_printed():
    wanted = row_sums_spec(next(iter(cases(torch.Generator().manual_seed(0)))).inputs[0])
    text = verdict(lambda W: W.sum(1) + 1).text(bold=False)
    for value in wanted.tolist():
        assert f"{value:.3f}" not in text
        assert f"{value:.4g}" not in text


def test_a_symptom_must_hold_on_every_wrong_case():
    sometimes = verdict(lambda W: W.mean(1) if W.shape[1] == 3 else W.sum(1) + 1)
    assert sometimes.symptom is None


def test_the_first_symptom_that_fits_is_the_one_named():
    part = Part(
        **{**vars(ROW_SUMS), "symptoms": (Symptom("any", lambda got, want, W: True, "Any."), *ROW_SUMS.symptoms)}
    )
    assert verdict(lambda W: W.mean(1), part).symptom == "any"


def test_check_raises_without_a_traceback_and_prints_when_right(capsys):
    with pytest.raises(NotYet, match=r"not yet\. These are means") as caught:
        PUZZLE.check("row_sums", lambda W: W.mean(1))
    shown = caught.value._render_traceback_()
    assert isinstance(caught.value, AssertionError)
    assert not any("Traceback" in line for line in shown)
    PUZZLE.check("row_sums", lambda W: W.sum(1))
    assert "right on the public checks" in capsys.readouterr().out


def test_grade_is_silent_when_right_and_draws_new_inputs(capsys):
    seen = []

    def answer(W):
        seen.append(W)
        return W.sum(1)

    PUZZLE.grade("row_sums", answer)
    PUZZLE.grade("row_sums", answer)
    assert capsys.readouterr().out == ""
    assert len({tuple(W.flatten().tolist()) for W in seen}) == len(seen)


def test_a_function_that_knows_the_public_inputs_by_heart_fails_the_grade():
    known = {
        case.inputs[0].sum().item(): case
        for seed in checks.PUBLIC_SEEDS
        for case in cases(torch.Generator().manual_seed(seed))
    }

    def by_heart(W):
        return row_sums_spec(known[W.sum().item()].inputs[0]) if W.sum().item() in known else W[:, 0]

    PUZZLE.check("row_sums", by_heart)
    with pytest.raises(NotYet):
        PUZZLE.grade("row_sums", by_heart)


def test_warnings_and_prints_of_the_learner_cost_nothing_and_are_told(capsys):
    def noisy(W):
        print("shape", tuple(W.shape))
        print("oh", file=sys.stderr)
        warnings.warn("deprecated", DeprecationWarning, stacklevel=1)
        return W.sum(1)

    found = verdict(noisy)
    assert found.outcome is Outcome.RIGHT
    assert "While it ran, your code said: shape (4, 3) / oh / DeprecationWarning: deprecated" in found.text(bold=False)
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


def test_an_unknown_part_lists_the_parts_there_are():
    with pytest.raises(PlainError, match=r"no part 'row_sum'. There is: 'row_sums', 'total'") as caught:
        PUZZLE.check("row_sum", lambda W: W)
    assert caught.value._render_traceback_() == [str(caught.value)]
    with pytest.raises(PlainError, match="There is: 'row_sums', 'total'"):
        PUZZLE.hint()


def test_two_parts_of_one_name_are_refused():
    with pytest.raises(ValueError, match="share a name"):
        Puzzle("s", "t", "q?", "p", 1, (ROW_SUMS, ROW_SUMS), ())


# ---- limits -------------------------------------------------------------------------------------------------------


def forever(W):
    total = 0
    while True:
        try:
            total += 1
        except Exception:
            total = 0


OVER = [
    (lambda W: (W @ W.T).sum(), Limits(20, extra_mb=4), "2,000 x 2,000"),
    (lambda W: torch.cdist(W, W).sum(), Limits(20, extra_mb=4), "2,000 x 2,000"),
    (lambda W: W.numpy().dot(W.numpy().T).sum(), Limits(20, extra_mb=4), "MB beside its input"),
    (lambda W: (W[:, None] * W[None]).sum(), Limits(20, extra_mb=4), "2,000 x 2,000 x 3"),
    (lambda W: torch.empty(2**50), Limits(20), "no memory left"),
    (forever, Limits(0.3), "still running after 0.3 seconds"),
]


def test_a_symptom_can_name_the_limit_that_was_broken():
    def with_large(rng):
        yield Case((torch.ones(2000, 3),), want=torch.full((2000,), 3.0), limits=Limits(0.5, extra_mb=1))

    symptoms = (Symptom.exceeds("large", "memory", says="{broke}: {n}."), Symptom.exceeds("slow", "time", says="Slow."))
    part = Part(**{**vars(ROW_SUMS), "cases": with_large, "symptoms": symptoms})
    assert verdict(lambda W: (W @ W.T).sum(1), part).symptom == "large"
    assert "it makes a tensor of 2,000 x 2,000 numbers: 2,000." in verdict(lambda W: W @ W.T, part).text(bold=False)
    assert verdict(forever, part).symptom == "slow"


@pytest.mark.parametrize(("answer", "limits", "words"), OVER)
def test_breaking_a_limit_is_told_and_survived(answer, limits, words):
    broke = run_within(limits, answer, torch.ones(2000, 3))
    assert isinstance(broke, Exceeded)
    assert words in broke.what


def test_within_its_limits_an_answer_comes_back():
    assert run_within(Limits(20, extra_mb=4), lambda W: W.sum().item(), torch.ones(2000, 3)) == 6000
    with pytest.raises(ZeroDivisionError):
        run_within(Limits(20, extra_mb=4), lambda W: 1 / 0, torch.ones(1))


def test_a_limited_case_waits_until_the_small_ones_are_right():
    asked = []

    def with_large(rng):
        yield from cases(rng)
        yield Case((torch.ones(2000, 3),), want=torch.full((2000,), 3.0), limits=Limits(20, extra_mb=1))

    part = Part(**{**vars(ROW_SUMS), "cases": with_large})
    verdict(lambda W: asked.append(len(W)) or W.mean(1), part)
    assert 2000 not in asked
    found = verdict(lambda W: (W @ W.T).sum(1) * 0 + W.sum(1), part)
    assert found.outcome is Outcome.WRONG
    assert "Right on small inputs, but on a large one it makes a tensor of 2,000 x 2,000" in found.text(bold=False)


# ---- predictions, hints, reveal, the log -----------------------------------------------------------------------------


def test_predictions_are_kept_and_the_latest_counts(capsys):
    assert PUZZLE.prediction("mean") is None
    PUZZLE.predict("mean", 0.3, because="a hunch")
    PUZZLE.predict("mean", 0.1)
    PUZZLE.predict("cause", "offset")
    assert (PUZZLE.prediction("mean"), PUZZLE.prediction("cause")) == (0.1, "offset")
    assert "Kept: mean = 0.3, because a hunch." in capsys.readouterr().out
    entry = json.loads(journal.path().read_text().splitlines()[0])
    assert {"puzzle": "toy", "kind": "prediction", "name": "mean", "value": 0.3}.items() <= entry.items()


@pytest.mark.parametrize("value", [..., None])
def test_the_cell_as_released_keeps_no_prediction(value, capsys):
    PUZZLE.predict("mean", value, because="")
    assert PUZZLE.prediction("mean") is None
    assert "Nothing kept" in capsys.readouterr().out
    PUZZLE.recall("mean")
    assert "You made no guess about mean." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("mean", float("nan"), "lies between -1 and 1"),
        ("mean", 3, "lies between -1 and 1; got 3"),
        ("mean", True, "guess a number"),
        ("mean", "0.3", "guess a number, such as 0.5; got '0.3'"),
        ("mean", [0.3], "guess a number"),
        ("cause", "ofset", "choose one of 'offset', 'meaning'; got 'ofset'"),
        ("cause", 3, "choose one of"),
        ("men", 0.3, "no prediction 'men'. There is: 'mean', 'cause', 'guilt'"),
    ],
)
def test_what_is_no_prediction_is_refused_and_not_kept(name, value, words):
    with pytest.raises(PlainError, match=re.escape(words)):
        PUZZLE.predict(name, value)
    assert not journal.path().exists()


def test_a_prediction_is_recalled_with_its_reason(capsys):
    PUZZLE.predict("cause", "meaning", because="they are parallel")
    capsys.readouterr()
    PUZZLE.recall("cause")
    assert capsys.readouterr().out == "You said: cause = meaning, because they are parallel.\n"


@pytest.mark.parametrize(
    ("sure", "kept", "words"), [(..., None, ""), (None, None, ""), (0.7, 0.7, ", 70% sure"), (0, 0, ", 0% sure")]
)
def test_a_prediction_may_say_how_sure_it_is(sure, kept, words, capsys):
    PUZZLE.predict("mean", 0.3, sure=sure)
    assert capsys.readouterr().out.startswith(f"Kept: mean = 0.3{words}. Why?")
    assert journal.latest("toy", "prediction", "sure", name="mean") == kept


@pytest.mark.parametrize("sure", [1.5, -0.1, 70, True, "very", float("nan"), [0.7]])
def test_sure_is_a_share(sure):
    with pytest.raises(
        PlainError, match=re.escape(f"mean: sure is between 0, a mere guess, and 1, certain; got {sure!r}.")
    ):
        PUZZLE.predict("mean", 0.3, sure=sure)
    assert not journal.path().exists()


FOUND = [
    # prediction, guess, what the notebook found, what is said of it, what is kept
    ("mean", 0.3, torch.tensor(0.123456), " Found: 0.1235.", pytest.approx(0.123456)),
    ("mean", 0.3, 0.5, " Found: 0.5.", 0.5),
    ("mean", 0.3, None, "", None),
    ("mean", 0.3, float("nan"), "", None),
    ("mean", 0.3, torch.zeros(3), "", None),
    ("cause", "meaning", None, "", "offset"),
    ("guilt", "meaning", None, "", None),
    ("guilt", "meaning", "offset", "", "offset"),
    ("guilt", "meaning", "neither", "", None),
]


@pytest.mark.parametrize(("name", "guess", "found", "words", "kept"), FOUND)
def test_what_was_found_is_held_against_the_guess_and_kept(name, guess, found, words, kept, capsys):
    PUZZLE.predict(name, guess)
    capsys.readouterr()
    PUZZLE.recall(name, found=found)
    assert capsys.readouterr().out == f"You said: {name} = {guess}.{words}\n"
    assert [entry["value"] for entry in journal.entries("toy", "found", name=name)] == ([] if kept is None else [kept])


def test_what_was_found_before_any_guess_is_kept_too(capsys):
    PUZZLE.recall("mean", found=0.5)
    assert capsys.readouterr().out == "You made no guess about mean.\n"
    assert [entry["value"] for entry in journal.entries("toy", "found")] == [0.5]


def test_hints_come_one_at_a_time_and_the_last_stays(capsys):
    fresh = Puzzle(**{k: v for k, v in vars(PUZZLE).items() if not k.startswith("_")})
    for _ in range(3):
        fresh.hint("row_sums")
    first, second, third = capsys.readouterr().out.splitlines()
    assert first == "row_sums, hint 1 of 2. Which axis?"
    assert second == "row_sums, hint 2 of 2. dim=1"
    assert third == "row_sums, hint 2 of 2. That was the last hint; here it is again. dim=1"


def test_the_reveal_waits_for_an_attempt(capsys):
    secret = codecs.encode("The mean is big.", "rot13")
    PUZZLE.reveal(secret)
    assert "The mean is big." not in capsys.readouterr().out
    with pytest.raises(NotYet):
        PUZZLE.check("row_sums", not_implemented)
    PUZZLE.reveal(secret)
    assert "The mean is big." not in capsys.readouterr().out, "the stub is no attempt"
    with pytest.raises(NotYet):
        PUZZLE.check("row_sums", lambda W: W.mean(1))
    PUZZLE.reveal(secret)
    assert "The mean is big." in capsys.readouterr().out


def test_in_a_notebook_the_answer_is_behind_a_button_and_the_rot13_is_not_repeated(tmp_path):
    secret = codecs.encode("The mean is **big**.\n\nIt is an offset.", "rot13")
    journal.record("toy", "check", part="row_sums", outcome="wrong")
    with live_notebook(tmp_path) as notebook:
        notebook.shell.user_ns |= {"puzzle": PUZZLE}
        (shown,) = notebook.run(f"puzzle.reveal({secret!r})").shown
    assert shown["text/plain"] == "The mean is **big**.\n\nIt is an offset."
    assert re.fullmatch(
        r"<details>\n<summary>.*</summary>\n\nThe mean is \*\*big\*\*\.\n\nIt is an offset\.\n\n</details>",
        shown["text/markdown"],
    )
    assert len(list(journal.entries("toy", "reveal"))) == 1


def test_the_log_is_read_by_puzzle_kind_and_fields():
    for slug, part, number in (("toy", "a", 1), ("toy", "b", 2), ("other", "a", 3), ("toy", "a", 4)):
        journal.record(slug, "hint", part=part, number=number)
    journal.record("toy", "check", part="a", number=5)
    assert [entry["number"] for entry in journal.everything()] == [1, 2, 3, 4, 5]
    assert [entry["number"] for entry in journal.entries("toy", "hint")] == [1, 2, 4]
    assert [entry["number"] for entry in journal.entries("toy", "hint", part="a")] == [1, 4]
    assert list(journal.entries("toy", "hint", part="a", colour=None)) == list(journal.entries("toy", "hint", part="a"))
    assert journal.latest("toy", "hint", "number", part="a") == 4
    assert journal.latest("toy", "hint", "number", part="c") is None


@pytest.fixture
def no_disk(monkeypatch, tmp_path):
    """A log that cannot be written, and that forgets what it held in memory."""
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(journal, "_in_memory", [])
    monkeypatch.setenv("MECHPUZZLES_HOME", str(tmp_path / "file" / "below"))


DELETED = pytest.mark.parametrize(
    ("slug", "gone", "left"), [("toy", 2, ["other"]), ("other", 1, ["toy", "toy"]), ("", 3, []), ("none", 0, None)]
)


def is_deleted(slug, gone, left):
    for number, of in enumerate(("toy", "other", "toy")):
        journal.record(of, "hint", number=number)
    left = ["toy", "other", "toy"] if left is None else left
    assert journal.delete(slug) == gone
    assert [entry["puzzle"] for entry in journal.everything()] == left
    assert journal.delete(slug) == 0
    journal.record("toy", "hint", number=9)
    assert [entry["puzzle"] for entry in journal.everything()] == [*left, "toy"]


@DELETED
def test_the_log_is_deleted_whole_or_by_puzzle(slug, gone, left):
    is_deleted(slug, gone, left)


@DELETED
@pytest.mark.usefixtures("no_disk")
def test_the_log_in_memory_is_deleted_too(slug, gone, left):
    is_deleted(slug, gone, left)


def test_what_memory_holds_is_not_written_when_another_puzzle_is_deleted(no_disk, monkeypatch, tmp_path):
    journal.record("kept", "hint", number=1)
    monkeypatch.setenv("MECHPUZZLES_HOME", str(tmp_path / "home"))
    journal.record("toy", "hint", number=2)
    journal.record("kept", "hint", number=3)
    assert journal.delete("toy") == 1
    assert [entry["number"] for entry in journal.everything()] == [3, 1]


def test_a_damaged_log_loses_only_its_damaged_lines():
    PUZZLE.predict("mean", 0.3)
    with journal.path().open("ab") as log:
        log.write(b'{"half\n[1, 2]\n{"puzzle": "\xff\xfe"}\n\x00\n')
    PUZZLE.predict("mean", 0.4)
    assert [e["value"] for e in journal.entries("toy", "prediction")] == [0.3, 0.4]


@pytest.mark.usefixtures("no_disk")
def test_a_check_needs_no_disk():
    PUZZLE.check("row_sums", lambda W: W.sum(1))
    assert journal.latest("toy", "check", "outcome") == "right", "in memory"


def test_nothing_is_written_while_nbgrader_grades(monkeypatch):
    monkeypatch.setattr(journal, "_in_memory", [])
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    PUZZLE.check("row_sums", lambda W: W.sum(1))
    assert not journal.path().exists()


def test_a_puzzle_that_is_nowhere_names_the_folders_tried(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MECHPUZZLES_PATH", str(tmp_path / "elsewhere"))
    with pytest.raises(FileNotFoundError, match=r"no puzzle.py declares 'nowhere'.*elsewhere"):
        load_puzzle("nowhere")


def test_a_puzzle_is_found_beside_the_notebook_and_on_the_path(tmp_path, monkeypatch):
    declaration = 'from mechpuzzles import Puzzle\nPUZZLE = Puzzle("tiny", "T", "Q?", "P", 1, (), ())\n'
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "puzzle.py").write_text(declaration)
    monkeypatch.chdir(tmp_path / "tiny")
    assert load_puzzle("tiny").title == "T"
    monkeypatch.chdir("/")
    monkeypatch.setenv("MECHPUZZLES_PATH", str(tmp_path))
    assert load_puzzle("tiny").title == "T"
    assert not (tmp_path / "tiny" / "__pycache__").exists()


# ---- other kinds of answers ----------------------------------------------------------------------------------------


def part_of(returns, spec, **more):
    fields = {"name": "it", "takes": ("n d_model",), "returns": returns, "points": 1, "cases": cases, "spec": spec}
    return Part(**{**fields, "symptoms": (), "hints": ("?",), "meaning": "Yes.", **more})


def signs(W):
    return ["plus" if total > 0 else "minus" for total in W.double().sum(1).tolist()]


KINDS = [
    # part, a right answer, wrong answers with what the words hold
    (
        part_of("", lambda W: "tall" if len(W) > W.shape[1] else "wide", kind="label"),
        lambda W: "tall",
        [
            (lambda W: "wide", "You returned wide"),
            (lambda W: ["tall"], "a list of 1; return a string"),
            (len, "an int"),
        ],
    ),
    (
        part_of("n", signs, kind="label"),
        lambda W: ["plus" if x > 0 else "minus" for x in W.sum(1)],
        [
            (lambda W: ["plus"] * len(W), "where you returned plus"),
            (lambda W: signs(W)[:-1], "got [3], wanted [n=4]"),
            (lambda W: "plus", "a str; return a list of strings"),
        ],
    ),
    (
        part_of("n", lambda W: W.argmax(1), kind="integer"),
        lambda W: [int(i) for i in W.argmax(1)],
        [
            (lambda W: W.argmin(1), "The first entry that differs is n="),
            (lambda W: W.argmax(1).float(), "float32; they should be int64"),
            (lambda W: W.argmax(0), "got [3], wanted [n=4]"),
        ],
    ),
    (
        part_of("", lambda W: W.sum(1).argmax(), kind="integer"),
        lambda W: int(W.sum(1).argmax()),
        [(lambda W: float(W.sum(1).argmax()), "It returned a float; return an integer.")],
    ),
    (
        part_of(("n", ""), lambda W: (W.sum(1), W.sum())),
        lambda W: (W.sum(1), W.sum().item()),
        [
            (lambda W: (W.sum(1), 0.0), "value 2 of 2"),
            (lambda W: (W.sum(0), W.sum()), "Shape: value 1 of 2, got [3], wanted [n=4]"),
            (lambda W: W.sum(1), "return 2 values"),
            (lambda W: (W.sum(1),), "a tuple of 1; return 2 values"),
        ],
    ),
    (
        part_of("n", lambda W: W.sum(1), gap=lambda got, want, W: 0.0 if torch.equal(got.sign(), want.sign()) else 5.0),
        lambda W: 3 * W.sum(1),
        [(lambda W: -W.sum(1), "not the one asked for")],
    ),
]


@pytest.mark.parametrize(("part", "right", "wrong"), KINDS)
def test_other_kinds_of_answers(part, right, wrong):
    assert verdict(right, part).outcome is Outcome.RIGHT
    for answer, words in wrong:
        found = verdict(answer, part)
        assert found.outcome is Outcome.WRONG
        assert words in " ".join(found.text(bold=False).split())


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="the kind is one of real, integer, label"):
        part_of("", len, kind="int")


def test_symptoms_of_labels_and_tuples_and_symptoms_that_do_not_fit():
    broken = Symptom("broken", lambda got, want, W: got.nothing, "Never.")
    swapped = Symptom.gives(
        "swapped", lambda W: ["minus" if s == "plus" else "plus" for s in signs(W)], says="Swapped."
    )
    part = part_of("n", signs, kind="label", symptoms=(broken, swapped))
    assert verdict(lambda W: ["plus" if x < 0 else "minus" for x in W.sum(1)], part).symptom == "swapped"
    doubled = Symptom.gives("doubled", lambda W: (W.sum(1), 2 * W.sum()), says="Doubled.")
    part = part_of(("n", ""), lambda W: (W.sum(1), W.sum()), symptoms=(doubled,))
    assert verdict(lambda W: (W.sum(1), 2 * W.sum()), part).symptom == "doubled"


# ---- values of a learner's own variant -------------------------------------------------------------------------------

VALUE = part_of(
    "",
    None,
    value=True,
    takes=(),
    cases=lambda rng: [Case((hidden := torch.rand(3, generator=rng),), want=hidden.max())],
    symptoms=(Symptom.gives("smallest", lambda hidden: hidden.min(), says="That is the smallest."),),
)
VARIED = Puzzle("varied", "V", "Which?", "P", 1, (VALUE,), (), draw=lambda rng: torch.rand(3, generator=rng))


def test_a_value_is_held_against_the_learners_own_variant():
    ada, bob = VARIED.variant("ada"), VARIED.variant("bob")
    assert not torch.equal(ada, bob)
    assert torch.equal(VARIED.variant("ada"), ada)
    VARIED.check("it", ada.max().item())
    VARIED.grade("it", ada.max())
    with pytest.raises(NotYet, match=r"not yet\. The value"):
        VARIED.check("it", bob.max().item())
    with pytest.raises(NotYet, match="That is the smallest"):
        VARIED.check("it", ada.min().item())
    with pytest.raises(NotYet, match="not attempted"):
        VARIED.check("it", ...)


def test_the_grader_may_decide_whose_variant_it_is(monkeypatch):
    ada = VARIED.variant("ada")
    monkeypatch.setenv("MECHPUZZLES_LEARNER", "ada")
    assert torch.equal(VARIED.variant("bob"), ada)


def test_a_variant_needs_a_name_and_a_puzzle_that_varies():
    with pytest.raises(PlainError, match="Put your name"):
        VARIED.variant(" ")
    with pytest.raises(PlainError, match="the same for every learner"):
        PUZZLE.variant("ada")


@pytest.fixture
def in_a_course(tmp_path, monkeypatch):
    """The folder of an assignment in a course of two learners, where a notebook runs."""
    variants.write(tmp_path, "spring", "a secret", ["ada", "ben"])
    monkeypatch.chdir(tmp_path)


def test_in_a_course_the_key_decides_the_variant(in_a_course, monkeypatch):
    ada = VARIED.variant("ada")
    assert not torch.equal(ada, VARIED.variant("ben"))
    Path(variants.FILE).unlink()
    assert not torch.equal(VARIED.variant("ada"), ada), "outside the course the name decides"
    assert torch.equal(VARIED.variant(variants.key("a secret", "ada")), ada)
    monkeypatch.setenv("MECHPUZZLES_LEARNER", variants.key("a secret", "ada"))
    assert torch.equal(VARIED.variant("whoever"), ada), "as the grader has it"


def test_in_a_course_an_id_must_be_on_the_roster(in_a_course):
    with pytest.raises(PlainError, match="'adda' is not on the roster of spring"):
        VARIED.variant("adda")
    for damaged in ("no JSON", "[]", "{}"):
        Path(variants.FILE).write_text(damaged)
        with pytest.raises(PlainError, match="damaged: fetch the assignment again"):
            VARIED.variant("ada")
