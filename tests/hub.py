"""A Hub of a test's own: the few addresses of the Hugging Face Hub that downloading a model asks for."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@contextmanager
def serving_hub(repositories: dict[str, Path]) -> Iterator[str]:
    """Serve directories as repositories of models, by name; the address for HF_ENDPOINT."""

    class Hub(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer(body=True)

        def do_HEAD(self) -> None:
            self.answer(body=False)

        def answer(self, body: bool) -> None:
            path = self.path.split("?")[0]
            for name, folder in repositories.items():
                if path in (f"/api/models/{name}", f"/api/models/{name}/revision/main"):
                    siblings = [{"rfilename": file.name} for file in sorted(folder.iterdir())]
                    document = {"id": name, "modelId": name, "sha": COMMIT, "siblings": siblings}
                    return self.send(json.dumps(document).encode(), "application/json", body)
                if path in (f"/api/models/{name}/tree/main", f"/api/models/{name}/tree/{COMMIT}"):
                    tree = [
                        {"type": "file", "path": file.name, "size": file.stat().st_size, "oid": "0" * 40}
                        for file in sorted(folder.iterdir())
                    ]
                    return self.send(json.dumps(tree).encode(), "application/json", body)
                for revision in ("main", COMMIT):
                    file = folder / path.removeprefix(f"/{name}/resolve/{revision}/")
                    if path.startswith(f"/{name}/resolve/{revision}/") and file.is_file():
                        return self.send(file.read_bytes(), "application/octet-stream", body)
            self.send_error(404)

        def send(self, content: bytes, kind: str, body: bool) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.end_headers()
            if body:
                self.wfile.write(content)

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
