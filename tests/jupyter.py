"""Jupyter servers and kernels of a test's own."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
from nbclient import NotebookClient


@contextmanager
def serving(log: Path, cwd: Path, module: str, *arguments: str, **environment: str) -> Iterator[str]:
    """Run `python -m module` as a Jupyter server on a free port, without a password; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = [f"--port={port}", "--no-browser", "--allow-root", "--IdentityProvider.token=", "--ServerApp.password="]
    command = [sys.executable, "-m", module, *arguments, *options]
    with log.open("w") as file:
        server = subprocess.Popen(command, cwd=cwd, env={**os.environ, **environment}, stdout=file, stderr=file)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(f"{address}/api", timeout=5).close()
                break
            except OSError:
                assert server.poll() is None, log.read_text()[-3000:]
                time.sleep(0.25)
        else:
            raise AssertionError(log.read_text()[-3000:])
        yield address
    finally:
        server.terminate()
        try:
            server.wait(60)  # it first ends every kernel, and those that are still starting take longest
        except subprocess.TimeoutExpired:
            server.kill()  # its kernels end when they find it gone
            server.wait()


def run_cells(*sources: str, kernel: str, cwd: str, **settings) -> list[str]:
    """What the cells of a notebook show."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    client = NotebookClient(notebook, kernel_name=kernel, resources={"metadata": {"path": cwd}}, **settings)
    client.execute(cleanup_kc=True)
    return ["".join(o.get("text") or str(o.get("data", o.get("evalue"))) for o in c.outputs) for c in notebook.cells]
