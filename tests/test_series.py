"""Every puzzle passes the gate. Generic over the folders: a new puzzle adds nothing here."""

import json
import re
from pathlib import Path

import nbformat
import pytest

from mechpuzzles import build, folders, index
from mechpuzzles.verify import LEAST_POWER, verify

ROOT = Path(__file__).parents[1]
SLUGS = folders.slugs(ROOT)


@pytest.mark.slow
@pytest.mark.parametrize("slug", SLUGS)
def test_the_gate_finds_nothing(slug):
    report = verify(ROOT, slug)
    assert report.problems == []
    assert report.killed == report.mutants >= 8
    assert report.passing == report.alternatives >= 4
    assert report.power >= LEAST_POWER
    assert report.release_points == 0
    assert report.solution_points > 0


NUMBER = re.compile(r"-?\d+\.?\d*(?:e[-+]?\d+)?")


@pytest.mark.slow
@pytest.mark.parametrize("slug", SLUGS)
def test_the_source_notebook_is_what_executing_it_gives(slug):
    """Outputs too, so the pictures people look at are those of this text and these models.

    Words to the letter, numbers to the last digits that another processor may round differently.
    """
    notebook = build.assemble(ROOT, slug)
    build.execute(notebook, ROOT / "solutions" / slug)
    kept = nbformat.read(ROOT / "solutions" / slug / f"{slug}.ipynb", as_version=4)
    assert [cell.source for cell in kept.cells] == [cell.source for cell in notebook.cells]
    for old, new in zip(kept.cells, notebook.cells, strict=True):
        old, new = (json.dumps(cell.get("outputs", []), sort_keys=True) for cell in (old, new))
        assert NUMBER.sub("#", old) == NUMBER.sub("#", new)
        assert [float(n) for n in NUMBER.findall(new)] == pytest.approx(
            [float(n) for n in NUMBER.findall(old)], rel=2e-3, abs=2e-3
        )


def test_the_index_and_the_readme_are_derived():
    assert index.stale(ROOT) == []


@pytest.mark.parametrize("slug", SLUGS)
def test_the_release_is_small(slug):
    for path in (ROOT / "puzzles" / slug).rglob("*"):
        if path.is_file() and "checkpoint" not in str(path):
            assert path.stat().st_size < 100_000
