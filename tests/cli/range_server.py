"""A server on this machine that hands out ranges of the files of a folder, and counts."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class RangeServer:
    """What is served, what was asked for, and how much went out."""

    def __init__(self, folder: Path, *, ranges: bool) -> None:
        self.folder, self.ranges = folder, ranges
        self.url = ""
        self.served = 0
        self.asked: list[str] = []
        self.tokens: list[str | None] = []
        self.busy = 0  # requests that are answered by 503
        self.sends_on_to = ""


@contextmanager
def serving(folder: Path, *, ranges: bool = True) -> Iterator[RangeServer]:
    """Serve the files of a folder."""
    state = RangeServer(folder, ranges=ranges)

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, *, body: bool) -> None:
            name = self.path.split("?")[0].lstrip("/")
            state.asked.append(name)
            state.tokens.append(self.headers.get("Authorization"))
            path = folder / name
            if state.busy:
                state.busy -= 1
                self.send_error(503)
                return
            if state.sends_on_to:
                self.send_response(303)
                self.send_header("Location", f"{state.sends_on_to}/{name}")
                self.end_headers()
                return
            if name.startswith("closed"):
                self.send_error(403)
                return
            if not path.is_file():
                self.send_error(404)
                return
            content = path.read_bytes()
            asked = re.match(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
            if asked and state.ranges:
                start, end = int(asked[1]), min(int(asked[2] or len(content)), len(content) - 1)
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{end}/{len(content)}")
                content = content[start : end + 1]
            else:
                self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            try:
                for at in range(0, len(content) if body else 0, 1 << 14):
                    state.served += self.wfile.write(content[at : at + (1 << 14)])
            except OSError:  # the reader has seen enough
                self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
