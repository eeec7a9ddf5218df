"""Servers of files for tests: HTTP with faults on request, and S3."""

import contextlib
import functools
import http.server
import os
import re
import threading
import time
from pathlib import Path

import pytest


class Handler(http.server.SimpleHTTPRequestHandler):
    """Files of a folder, by ranges, too; the server's attributes say what goes wrong."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def answer(self, body):
        server = self.server
        name = self.path.lstrip("/").partition("?")[0]
        path = Path(server.folder, name)
        if name in server.refused:
            return self.send_error(server.refused[name])
        if not path.is_file():
            return self.send_error(404)
        data = bytearray(path.read_bytes())
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if body:
            server.asked.append((name, self.headers.get("Range", "")))
            time.sleep(server.delay)
            server.gate.wait()
            if server.damaged.get(name, 0) > 0:
                server.damaged[name] -= 1
                data[len(data) // 2] ^= 1
        if found and server.ranges:
            begin, end = int(found[1]), int(found[2] or len(data) - 1)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {begin}-{end}/{len(data)}")
            data = data[begin : end + 1]
        else:
            self.send_response(200)
        if server.ranges:
            self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", f'"{path.stat().st_mtime_ns}"')
        if server.lengths:
            self.send_header("Content-Length", str(len(data)))
        else:
            self.send_header("Connection", "close")
        self.end_headers()
        if body:
            with contextlib.suppress(ConnectionError):
                self.wfile.write(data)

    def log_message(self, *_):
        pass


class Files(http.server.ThreadingHTTPServer):
    """Serves a folder.

    Attributes:
        folder: what it serves.
        address: of the folder.
        asked: name and range of each request for content.
        refused: status by name.
        damaged: how many more answers with a flipped bit, by name.
        delay: s before each answer with content; it waits for the gate, too.
        ranges, lengths: whether it knows ranges and says lengths.
    """

    daemon_threads = True

    def __init__(self, folder):
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder, self.address = folder, f"http://127.0.0.1:{self.server_port}"
        self.asked, self.refused, self.damaged = [], {}, {}
        self.gate = threading.Event()
        self.gate.set()
        self.delay, self.ranges, self.lengths = 0.0, True, True


@pytest.fixture
def files(tmp_path):
    """An HTTP server of the folder tmp_path/served."""
    (tmp_path / "served").mkdir()
    server = Files(tmp_path / "served")
    serve = functools.partial(server.serve_forever, poll_interval=0.02)
    threading.Thread(target=serve, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def cache_folder(tmp_path, monkeypatch):
    """An own cache of copies."""
    monkeypatch.setenv("SIAMJAX_REMOTE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def _s3_server():
    moto_server = pytest.importorskip("moto.server", reason="`make test-remote` installs moto")
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(_s3_server, monkeypatch, request):
    """The address of an empty bucket on a local S3 server, which this process and those it starts
    use."""
    s3fs = pytest.importorskip("s3fs", reason="`make test-remote` installs it")
    own = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "hidden"}
    own |= {"AWS_ENDPOINT_URL": _s3_server, "AWS_DEFAULT_REGION": "us-east-1"}
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in own.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    bucket = re.sub("[^a-z0-9]+", "-", request.node.name.lower())[:50].strip("-")
    s3fs.S3FileSystem().mkdir(bucket)
    yield f"s3://{bucket}"
    s3fs.S3FileSystem.clear_instance_cache()
