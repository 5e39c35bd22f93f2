"""new_puzzle: what is asked, how it is checked, and what each wrong answer looks like. Released to learners."""

import torch

from mechpuzzles.puzzle import Case, FreeText, Part, Prediction, Puzzle, Symptom

# ---- the oracle: slow, plain, in float64, by another road than the solution ----------------------------------------


def slow_row_sums(W):
    return torch.tensor([sum(row) for row in W.double().tolist()], dtype=torch.float64)


# ---- the inputs: axes of different sizes, and whatever keeps a wrong answer from being right by luck ---------------


def cases(rng):
    yield Case((torch.randn(4, 3, generator=rng),))
    yield Case((torch.randn(5, 2, generator=rng) + 1,))


PUZZLE = Puzzle(
    slug="new_puzzle",
    title="A new puzzle",
    question="Does it add up?",
    principle="One sentence that the learner takes away.",
    minutes=5,
    models=(),
    after=(),
    parts=(
        Part(
            name="row_sums",
            takes=("n d_model",),
            returns="n",
            points=2,
            cases=cases,
            spec=slow_row_sums,
            symptoms=(
                Symptom.gives("averaged", lambda W: W.mean(1), says="These are means over the {d_model} coordinates."),
            ),
            hints=("Over which axis do you sum?",),
            meaning="Say in one line what a right answer means.",
        ),
    ),
    predictions=(Prediction("the number", between=(0, 1)),),
    free_text=(FreeText("explanation", 1, ("Says that rows are added.",)),),
)
