"""A live notebook in the tests' own process: IPython's shell, and what tells it from one in a terminal."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace

from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from traitlets.config import Config


@dataclass
class Ran:
    """What a cell came to: the error that it raised, what stands below it, and what it displayed, by kind."""

    error: BaseException | None
    text: str
    shown: list[dict[str, str]]

    @property
    def page(self) -> str:
        """The HTML of the only thing that was displayed."""
        (shown,) = self.shown
        return shown["text/html"]


class Notebook:
    """Cells, run one by one."""

    def __init__(self, shell: InteractiveShell) -> None:
        self.shell = shell

    def run(self, source: str) -> Ran:
        with capture_output() as heard:
            result = self.shell.run_cell(source, store_history=True)
        error = result.error_in_exec or result.error_before_exec
        return Ran(error, heard.stdout, [output.data for output in heard.outputs])


@contextmanager
def live_notebook(folder) -> Iterator[Notebook]:
    """A notebook whose IPython keeps its files in ``folder``."""
    settings = Config()
    settings.HistoryManager.enabled = False
    shell = InteractiveShell.instance(config=settings, ipython_dir=str(folder), colors="nocolor")
    shell.kernel = SimpleNamespace()
    try:
        yield Notebook(shell)
    finally:
        shell.restore_sys_module_state()
        InteractiveShell.clear_instance()
