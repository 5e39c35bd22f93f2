"""Every puzzle passes the gate. Generic over the folders: a new puzzle adds nothing here."""

import re
from pathlib import Path

import pytest

from mechpuzzles import folders, index
from mechpuzzles.verify import LEAST_POWER, verify

ROOT = Path(__file__).parents[1]
SLUGS = folders.slugs(ROOT)


@pytest.mark.slow
@pytest.mark.parametrize("slug", SLUGS)
def test_the_gate_finds_nothing(slug, kernel):
    """The notebooks of the first are run here; those of the others are held to it where nbgrader has run them."""
    first = slug == SLUGS[0]
    report = verify(ROOT, slug, run=first, kernel=kernel)
    assert report.problems == []
    assert report.killed == report.mutants >= 8
    assert report.passing == report.alternatives >= 4
    assert report.power >= LEAST_POWER
    assert report.release_points == 0
    assert (report.solution_points > 0) == first


def test_the_index_and_the_readme_are_derived():
    assert index.stale(ROOT) == []


def test_the_links_of_the_readme_lead_somewhere_and_bear_the_titles():
    links = re.findall(r"\[([^]]+)\]\(((?!http)[^)]+)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    titles = {f"puzzles/{slug}/{slug}.ipynb": folders.declared(ROOT, slug).title for slug in SLUGS}
    assert len(links) > len(titles)
    for text, target in links:
        assert (ROOT / target).is_file(), target
        assert titles.get(target, text) == text or text.startswith("A prediction")


@pytest.mark.parametrize("slug", SLUGS)
def test_the_release_is_small(slug):
    for path in (ROOT / "puzzles" / slug).rglob("*"):
        if path.is_file() and "checkpoint" not in str(path):
            assert path.stat().st_size < 100_000
