"""The notebooks for Colab: what is in them, and each of them run where only the wheel is, and no Jupyter around it.

A fresh virtual environment sees the wheel's runtime dependencies, ipykernel and pip by links into this one's packages,
so it has this Python too: compiled packages fit no other. It stands for Colab with the variables that a CPU runtime
of Colab sets.
"""

import importlib.metadata
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
import pytest
from jupyter_client import BlockingKernelClient
from jupyter_client.connect import write_connection_file
from packaging.requirements import Requirement
from typer.testing import CliRunner

from mechpuzzles import approaches, colab, folders
from mechpuzzles.cli import app

from .conftest import missing
from .submissions import solutions_of

ROOT = Path(__file__).parents[1]
SLUGS = folders.slugs(ROOT)
PLACE = colab.Place("https://github.com/owner/series.git", "v1.0")
pytestmark = pytest.mark.xdist_group("colab")


def call(out: Path, repository="https://github.com/owner/series", ref="main", *more: str):
    return CliRunner().invoke(app, ["colab", "--repository", repository, "--ref", ref, "--out", str(out), *more])


def text(cell) -> str:
    return "".join(cell["source"])


# What is in them -------------------------------------------------------------------------------------


ADDRESSES = [
    # repository, path, what follows https://colab.research.google.com/github/
    ("https://github.com/owner/series", "colab", "owner/series/blob/v1.0/colab/row_sums.ipynb"),
    ("https://github.com/owner/series.git", ".", "owner/series/blob/v1.0/row_sums.ipynb"),
    ("https://github.com/owner/series/", "a/b/", "owner/series/blob/v1.0/a/b/row_sums.ipynb"),
    ("ssh://git@github.com/owner/series.git", "", "owner/series/blob/v1.0/row_sums.ipynb"),
    ("https://example.org/owner/series", "colab", None),
    ("https://github.com.example.org/owner/series", "colab", None),
    ("file:///somewhere/github.com/series", "colab", None),
]


@pytest.mark.parametrize(("repository", "path", "wanted"), ADDRESSES)
def test_the_address_on_colab(repository, path, wanted):
    address = colab.Place(repository, "v1.0", path).address("row_sums")
    assert address == (f"https://colab.research.google.com/github/{wanted}" if wanted else "")


@pytest.mark.parametrize("slug", SLUGS)
def test_a_notebook_is_the_release_with_a_start_of_its_own(slug):
    released = nbformat.read(ROOT / "puzzles" / slug / f"{slug}.ipynb", as_version=4).cells
    made = colab.notebook(ROOT, slug, PLACE, SLUGS)
    nbformat.validate(made)
    badge, set_up, *cells = made["cells"]
    assert f'href="{PLACE.address(slug)}"' in text(badge)
    assert "colab-badge.svg" in text(badge)
    assert '%pip install -q "mechpuzzles @ git+https://github.com/owner/series.git@v1.0"' in text(set_up)
    ids = [cell["id"] for cell in cells]
    carry = cells.pop(ids.index("carry"))
    assert (carry["metadata"], text(carry).startswith("# @title ")) == ({"cellView": "form"}, True)
    before = cells[: ids.index("carry")]
    assert "load_puzzle(" in text(before[-1]), "it is run as soon as there is a puzzle, and before every check"
    assert not any("puzzle.check" in text(cell) for cell in before)
    assert [(cell["id"], text(cell)) for cell in cells] == [(cell.id, cell.source) for cell in released]
    assert all(cell["metadata"] == {} for cell in cells)
    assert made["metadata"]["colab"] == {"provenance": [], "toc_visible": True}
    assert made["metadata"]["kernelspec"]["name"] == "python3"


def test_without_github_there_is_no_badge():
    made = colab.notebook(ROOT, SLUGS[0], colab.Place("https://example.org/series", "main"), SLUGS)
    assert [cell["id"] for cell in made["cells"][:2]] == ["set-up", "text-0"]


LINKS = [
    # in the release; on Colab, from GitHub; and from elsewhere
    ("[a](../{}/{}.ipynb)", f"[a]({PLACE.address(SLUGS[1])})", f"[a]({SLUGS[1]}.ipynb)"),
    ("[a]({}/{}.ipynb#play)", f"[a]({PLACE.address(SLUGS[1])}#play)", f"[a]({SLUGS[1]}.ipynb#play)"),
    ("[a](https://x.org/{}/{}.ipynb)", *2 * [f"[a](https://x.org/{SLUGS[1]}/{SLUGS[1]}.ipynb)"]),
]


@pytest.fixture
def linking(tmp_path):
    """A checkout whose first puzzle has a line of the test's own in its first cell."""

    def write(line: str) -> Path:
        for folder in ("solutions", "puzzles"):
            shutil.copytree(ROOT / folder / SLUGS[0], tmp_path / folder / SLUGS[0])
        path = tmp_path / "puzzles" / SLUGS[0] / f"{SLUGS[0]}.ipynb"
        notebook = nbformat.read(path, as_version=4)
        notebook.cells[0].source += "\n" + line
        nbformat.write(notebook, path)
        return tmp_path

    return write


@pytest.mark.parametrize(("line", "github", "elsewhere"), LINKS)
def test_links_lead_to_the_notebooks_beside(linking, line, github, elsewhere):
    root = linking(line.format(SLUGS[1], SLUGS[1]))
    for place, wanted in ((PLACE, github), (colab.Place("https://example.org/series", "main"), elsewhere)):
        cells = colab.notebook(root, SLUGS[0], place, SLUGS)["cells"]
        title = next(cell for cell in cells if cell["id"] == "text-0")
        assert text(title).endswith("\n" + wanted)


def test_a_link_to_no_puzzle_is_refused(linking):
    with pytest.raises(ValueError, match="a link leads to 'nothing', which is no puzzle"):
        colab.notebook(linking("[a](../nothing/nothing.ipynb)"), SLUGS[0], PLACE, SLUGS)


def test_a_puzzle_without_a_release_is_refused(tmp_path):
    shutil.copytree(ROOT / "solutions" / SLUGS[0], tmp_path / "solutions" / SLUGS[0])
    with pytest.raises(ValueError, match=f"not released: {SLUGS[0]}"):
        colab.write(tmp_path, PLACE, tmp_path / "out", [SLUGS[0]])
    assert not (tmp_path / "out").exists()


def test_the_same_bytes_each_time_and_an_index(tmp_path):
    out = tmp_path / "deep" / "out"
    assert call(out).exit_code == 0
    files = {path.name: path.read_bytes() for path in out.iterdir()}
    assert sorted(files) == sorted([colab.INDEX, *(f"{slug}.ipynb" for slug in SLUGS)])
    assert call(out, "https://github.com/owner/series", "main", *SLUGS[1:]).exit_code == 0
    assert files == {path.name: path.read_bytes() for path in out.iterdir()}, "the index still has the first"
    index = files[colab.INDEX].decode()
    for slug in SLUGS:
        assert f"[{folders.declared(ROOT, slug).title}]({slug}.ipynb)" in index
        assert f"series/blob/main/colab/{slug}.ipynb" in index


REFUSED = [
    (("github.com/owner/series", "main"), "the repository is a URL such as https://github.com/owner/name"),
    (("git@github.com:owner/series.git", "main"), "the repository is a URL"),
    (("ftp://example.org/series", "main"), "the repository is a URL"),
    (("https://github.com", "main"), "the repository is a URL"),
    (("https://github.com/owner", "main"), "https://github.com/owner/name; not"),
    (("https://me:secret@example.org/series", "main"), "everybody can read the notebooks"),
    (('https://example.org/a"b', "main"), "the repository has to be letters"),
    (("https://github.com/owner/series", ""), "the ref has to be letters"),
    (("https://github.com/owner/series", "{x}"), "the ref has to be letters"),
    (("https://github.com/owner/series", "--upload-pack=x"), "the ref has to be letters"),
    (("https://github.com/owner/series", "a@b"), "with an @ in it"),
    (("https://github.com/owner/series", "main", "--path", "../colab"), "the path is a folder in the repository"),
    (("https://github.com/owner/series", "main", "nothing"), "no puzzle 'nothing'; there are "),
]


@pytest.mark.parametrize(("arguments", "words"), REFUSED)
def test_bad_input_is_refused_and_nothing_is_written(tmp_path, arguments, words):
    result = call(tmp_path / "out", *arguments)
    assert (result.exit_code, words in result.output) == (2, True), result.output
    assert "secret" not in result.output
    assert not (tmp_path / "out").exists()


def test_files_by_others_are_kept(tmp_path):
    (tmp_path / "file").write_text("mine")
    assert (call(tmp_path / "file").exit_code, (tmp_path / "file").read_text()) == (2, "mine")
    for name in (colab.INDEX, f"{SLUGS[-1]}.ipynb"):
        out = tmp_path / f"with {name}"
        out.mkdir()
        (out / name).write_text("mine")
        result = call(out)
        assert (result.exit_code, "is not made by `mechpuzzles colab`" in result.output) == (2, True)
        assert {path.name: path.read_text() for path in out.iterdir()} == {name: "mine"}


# Run where only the wheel is -------------------------------------------------------------------------

# As `env` said in a CPU runtime of Colab in September 2025; PLOTLY_RENDERER is what plotly finds out by itself there.
COLAB = {
    "CLICOLOR": "1",
    "COLAB_BACKEND_VERSION": "next",
    "COLAB_GPU": "",
    "COLAB_JUPYTER_IP": "172.28.0.12",
    "COLAB_NOTEBOOK_ID": "/v2/external/notebooks/intro.ipynb",
    "COLAB_RELEASE_TAG": "release-colab_20250902-060114_RC00",
    "JPY_SESSION_NAME": "/v2/external/notebooks/intro.ipynb",
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "PAGER": "cat",
    "PLOTLY_RENDERER": "colab",
    "PYDEVD_USE_FRAME_EVAL": "NO",
    "PYTHONPATH": "/env/python",
    "PYTHONUTF8": "1",
    # the second is for want of ipywidgets, which Colab has
    "PYTHONWARNINGS": "ignore:::pip._internal.cli.base_command,ignore:IProgress not found",
    "TERM": "xterm-color",
}
ABSENT = ("mechpuzzles", "jupyterlab", "notebook", "jupyter_server", "nbgrader", "jupytext", "nbclient", "nbconvert")
FOUND = f"import importlib.util as u; print([name for name in {ABSENT} if u.find_spec(name)], end='')"

CHANNELS = 5  # of a kernel, each with a socket

# Loads what takes long, then forks a kernel for each connection file that it is told, in that file's folder. Each ends
# when its parent does.
FORKS = """
import os, sys, time
import plotly.graph_objects
from transformer_lens import TransformerBridge
from ipykernel.kernelapp import IPKernelApp
above, parent = os.getppid(), os.getpid()
print("ready", flush=True)
for line in sys.stdin:
    child = os.fork()
    if not child:
        os.chdir(os.path.dirname(line))
        IPKernelApp.launch_instance(["-f", line.strip(), f"--IPKernelApp.parent_handle={parent}"])
        os._exit(0)
    while os.getppid() == above and os.waitpid(child, os.WNOHANG) == (0, 0):
        time.sleep(0.05)
"""


class Runtime:
    """An environment with the dependencies of the wheel, in which kernels run, and a repository with this checkout."""

    def __init__(self, folder: Path):
        self.home, self.repository = folder / "home", folder / "repository"
        self.home.mkdir()
        commit_checkout(self.repository)
        venv.create(folder / "venv", with_pip=False, symlinks=True)
        self.python = folder / "venv" / "bin" / "python"
        self.packages = next((folder / "venv" / "lib").glob("python*/site-packages"))
        requirements = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
        link_packages([*requirements, "ipykernel", "pip", "hatchling"], folder / "packages")
        (self.packages / "packages.pth").write_text(str(folder / "packages"))
        self.environment = {
            **COLAB,
            "JPY_PARENT_PID": str(os.getpid()),
            "HOME": str(self.home),
            "PATH": os.pathsep.join([str(self.python.parent), str(Path(shutil.which("git")).parent), os.defpath]),
            "OMP_NUM_THREADS": "1",
            "MECHPUZZLES_OFFLINE": "1",
            # hatchling is here, and pip looks for nothing on an index: every dependency is at hand
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_BUILD_ISOLATION": "0",
            "PIP_NO_INDEX": "1",
        }
        place = colab.Place(self.repository.as_uri(), "main")
        self.notebooks = {path.stem: path for path in colab.write(ROOT, place, folder / "colab")}

    def start(self, *command: str, **options) -> subprocess.Popen:
        return subprocess.Popen([self.python, *command], env=self.environment, text=True, **options)

    def log(self, slug: str) -> list[tuple[str, str]]:
        """The parts that were checked, and with what outcome."""
        lines = (self.home / ".local" / "share" / "mechpuzzles" / "journal.jsonl").read_text().splitlines()
        checks = [entry for entry in map(json.loads, lines) if (entry["puzzle"], entry["kind"]) == (slug, "check")]
        return [(check["part"], check["outcome"]) for check in checks]


def commit_checkout(folder: Path) -> None:
    """A repository with one commit on ``main``: every file of this checkout that git does not ignore, as it is now."""

    def git(*arguments: str, cwd: Path = folder) -> str:
        return subprocess.run(["git", *arguments], cwd=cwd, check=True, capture_output=True, text=True).stdout

    for name in git("ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT).split("\0"):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    git("init", "--quiet", "--initial-branch=main")
    git("add", ".")
    author = ("-c", "user.name=test", "-c", "user.email=test@localhost")
    git(*author, "commit", "--quiet", "--no-gpg-sign", "--message=as it is")


def link_packages(requirements: list[str], into: Path) -> None:
    """Link what is installed here of ``requirements``, with all that they require, into an empty folder."""
    into.mkdir()
    waiting, seen = [Requirement(text) for text in requirements], set()
    while waiting:
        wanted = waiting.pop()
        if (wanted.name, *sorted(wanted.extras)) in seen:
            continue
        seen.add((wanted.name, *sorted(wanted.extras)))
        package = importlib.metadata.distribution(wanted.name)
        for top in {file.parts[0] for file in package.files} - {"..", "__pycache__"}:
            if not (into / top).exists():
                (into / top).symlink_to(package.locate_file(top))
        for needed in map(Requirement, package.requires or ()):
            if not needed.marker or any(needed.marker.evaluate({"extra": extra}) for extra in ("", *wanted.extras)):
                waiting.append(needed)


class Kernel:
    """A client of a kernel that was given a connection file."""

    def __init__(self, connection: str):
        deadline = time.monotonic() + 120
        while len(list(Path(connection).parent.glob(".socket-*"))) < CHANNELS:
            assert time.monotonic() < deadline, "the kernel does not start"
            time.sleep(0.05)
        self.client = BlockingKernelClient(connection_file=connection)
        self.client.load_connection_file()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=120)

    def run(self, source: str) -> list[dict]:
        """The contents of a cell's outputs; none of them on the error stream, and no error."""
        messages = []
        reply = self.client.execute_interactive(source, allow_stdin=False, output_hook=messages.append, timeout=300)
        outputs = [message["content"] for message in messages if message["msg_type"] != "status"]
        bad = [output for output in outputs if "ename" in output or output.get("name") == "stderr"]
        assert (reply["content"]["status"], bad) == ("ok", []), f"{source}\n{reply['content']}\n{bad}"
        return outputs

    def printed(self, source: str) -> str:
        return "".join(output.get("text", "") for output in self.run(source))

    def close(self) -> None:
        self.client.shutdown()
        self.client.stop_channels()


@contextmanager
def kernel(start) -> Iterator[Kernel]:
    """A kernel by ``start``, which is given the path of a connection file in an empty folder."""
    with tempfile.TemporaryDirectory() as folder:  # its path is short enough for a socket's
        file, _ = write_connection_file(f"{folder}/.connection", transport="ipc", ip=f"{folder}/.socket")
        process = start(file)
        try:
            opened = Kernel(file)
            try:
                yield opened
            finally:
                opened.close()
            left = {path.name.split("-")[0] for path in Path(folder).iterdir()}
            assert left <= {".connection", ".socket"}, "the notebook writes nothing beside itself"
        finally:
            if process is not None:
                end(process)


def end(process: subprocess.Popen) -> None:
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def runtime(tmp_path_factory):
    if not sys.platform.startswith("linux"):
        pytest.skip("needs fork")
    if not shutil.which("git") or not (ROOT / ".git").exists():
        missing("git, and a clone of the series")
    if not importlib.util.find_spec("hatchling"):
        missing("hatchling, to build the wheel")
    return Runtime(tmp_path_factory.mktemp("colab"))


@pytest.fixture(scope="module")
def fresh(runtime):
    """A kernel of its own, in which the set-up cell has installed the series; and what was there before, and said."""

    def start(connection: str) -> subprocess.Popen:
        return runtime.start("-m", "ipykernel_launcher", "-f", connection, cwd=Path(connection).parent)

    with kernel(start) as opened:
        before = opened.printed(FOUND)
        yield opened, before, opened.printed(set_up_cell(runtime))


def set_up_cell(runtime) -> str:
    cells = nbformat.read(runtime.notebooks[SLUGS[0]], as_version=4).cells
    return next(cell.source for cell in cells if cell.id == "set-up")


@pytest.fixture(scope="module")
def forks(runtime, fresh):
    with runtime.start("-c", FORKS, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdout.readline() == "ready\n"
        yield server
        server.stdin.close()
        end(server)


@pytest.mark.slow
def test_the_set_up_cell_installs_the_wheel_where_nothing_is(runtime, fresh):
    opened, before, said = fresh
    assert before == "[]", "nothing of the course, and no Jupyter but ipykernel"
    assert said.startswith(f"Installing mechpuzzles from {runtime.repository.as_uri()} at main.\n")
    assert opened.printed(set_up_cell(runtime)) == "mechpuzzles is here already: nothing to install.\n"
    installed = runtime.packages / "mechpuzzles" / "puzzles"
    ask = "from mechpuzzles import folders; print(folders.series(), [p.slug for p in folders.released()])"
    assert opened.printed(ask).strip() == f"{installed} {SLUGS}"
    assert (installed / "index.ipynb").is_file()
    names = importlib.metadata.Distribution.at(next(runtime.packages.glob("mechpuzzles-*.dist-info"))).files
    authors = [str(name) for name in names if name.name == "_author.py" or "solutions" in name.parts]
    assert authors == ["mechpuzzles/template/_author.py"], "no solution travels with the wheel"


@pytest.mark.slow
def test_a_fresh_kernel_runs_the_first_notebook(runtime, fresh):
    runs_to_its_end(fresh[0], runtime, SLUGS[0])


@pytest.mark.slow
@pytest.mark.parametrize("slug", SLUGS[1:])
def test_a_notebook_runs_to_its_end(runtime, forks, slug):
    def start(connection: str) -> None:
        print(connection, file=forks.stdin, flush=True)

    with kernel(start) as opened:
        runs_to_its_end(opened, runtime, slug)


def runs_to_its_end(opened: Kernel, runtime: Runtime, slug: str) -> None:
    """Every cell runs with the solutions filled in, every check is right, and solutions are compared."""
    answers = solutions_of(ROOT, slug)
    for cell in nbformat.read(runtime.notebooks[slug], as_version=4).cells:
        if cell.cell_type == "code":
            opened.run(answers.get(cell.id, cell.source))
    assert runtime.log(slug) == [(part.name, "right") for part in folders.declared(ROOT, slug).parts]
    others = approaches.collect(ROOT / "solutions" / slug)
    part = next(name for name, sources in others.items() if len(sources) == 2)
    (shown,) = [output["data"] for output in opened.run(f"puzzle.compare({part!r})") if "data" in output]
    headings = [
        line for line in shown["text/plain"].splitlines() if line in {f"# {n}" for n in ("yours", *others[part])}
    ]
    assert headings == ["# yours", *(f"# {whose}" for whose in others[part])]
    assert shown["text/html"].count("<pre") == 3
