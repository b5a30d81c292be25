"""A hub and web server on localhost that fails as it is told: cuts, lies, goes down."""

import hashlib
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

COMMIT = "c0ffee" + "0" * 34


@dataclass
class Served:
    """One file; `large` ones lie elsewhere, known by their sha256, as on the real hub."""

    content: bytes
    large: bool = False
    announced: bytes | None = None  # what the hash is made of, if not of the content
    cut_after: int | None = None  # bytes of the body after which the connection is cut, each time

    @property
    def digest(self) -> str:
        of = self.content if self.announced is None else self.announced
        if self.large:
            return hashlib.sha256(of).hexdigest()
        return hashlib.sha1(b"blob %d\0" % len(of) + of).hexdigest()


@dataclass
class LittleHub:
    """`with LittleHub() as hub:` files under `/repository/resolve/revision/file` or any path."""

    files: dict[str, Served] = field(default_factory=dict)
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)  # method, path, range
    tokens: dict[str, str] = field(default_factory=dict)  # path -> what came as authorization
    is_down: bool = False

    def put(self, repository: str, name: str, content: bytes, **how: bool) -> Served:
        served = Served(content, **how)
        for revision in ("main", COMMIT):
            self.files[f"/{repository}/resolve/{revision}/{name}"] = served
        if served.large:
            self.files[f"/elsewhere/{served.digest}"] = served
        return served

    def ranges(self, method: str = "GET") -> list[str | None]:
        """The ranges that were asked for, in order."""
        return [asked for made, _, asked in self.asked if made == method]

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> Self:
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                hub.answer(self)

            def do_GET(self) -> None:
                hub.answer(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.server.shutdown()
        self.server.server_close()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        asked = request.headers.get("Range")
        self.asked.append((request.command, request.path, asked))
        if request.headers.get("Authorization"):
            self.tokens[request.path] = request.headers["Authorization"]
        served = self.files.get(request.path)
        if self.is_down:
            self._say(request, 503)
        elif served is None:
            self._say(request, 404, {"X-Error-Code": "EntryNotFound"})
        elif served.large and "/resolve/" in request.path:
            port = self.server.server_port
            self._say(
                request,
                302,
                {
                    # Another host's name, so that nobody takes it for a move within the hub.
                    "Location": f"http://localhost:{port}/elsewhere/{served.digest}",
                    "X-Repo-Commit": COMMIT,
                    "X-Linked-Etag": f'"{served.digest}"',
                    "X-Linked-Size": str(len(served.content)),
                },
            )
        else:
            self._send(request, served, int(asked[6:-1]) if asked else 0)

    def _send(self, request: BaseHTTPRequestHandler, served: Served, start: int) -> None:
        size = len(served.content)
        if start >= size > 0:
            self._say(request, 416, {"Content-Range": f"bytes */{size}"})
            return
        body = served.content[start:]
        request.send_response(206 if start else 200)
        headers = {
            "Content-Length": str(len(body)),
            "ETag": f'"{served.digest}"',
            "X-Repo-Commit": COMMIT,
            "Accept-Ranges": "bytes",
        }
        if start:
            headers["Content-Range"] = f"bytes {start}-{size - 1}/{size}"
        for name, value in headers.items():
            request.send_header(name, value)
        request.end_headers()
        if request.command == "HEAD":
            return
        if served.cut_after is not None:
            body = body[: served.cut_after]
            self.is_down = True  # it answers nobody any more, until told to
            request.close_connection = True
        request.wfile.write(body)

    def _say(
        self, request: BaseHTTPRequestHandler, status: int, headers: dict[str, str] | None = None
    ) -> None:
        request.send_response(status)
        for name, value in {"Content-Length": "0", **(headers or {})}.items():
            request.send_header(name, value)
        request.end_headers()
