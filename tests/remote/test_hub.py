"""`hf://` through huggingface_hub, against a stand-in that answers as the hub does."""

import hashlib
import http.server
import json
import os
import re
import subprocess
import sys
import threading
from urllib.parse import unquote, urlsplit

import pytest

FILES = {
    "tiny.npz": bytes(range(256)) * 300,
    "run/checkpoints/4/meta/metadata": b"{}",
    "run/checkpoints/4/training/x": b"left",
    "run/checkpoints/4/variables/x": b"abc",
}
API = "/api/models/owner/repo"
CHILD = """
import sys
from siamjax.errors import UserError
from siamjax.remote import weights
for address in sys.argv[1:]:
    try:
        print(weights.local(address))
    except UserError as error:
        print(error)
"""


class Hub(http.server.BaseHTTPRequestHandler):
    """One repository: its tree, and its files by ranges."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = unquote(urlsplit(self.path).path)
        if path == API:
            return self.answer({"id": "owner/repo", "sha": "a" * 40, "siblings": []})
        if found := re.fullmatch(rf"{API}/tree/main/?(.*)", path):
            return self.tree(found[1] and found[1] + "/", "recursive=true" in self.path.lower())
        if (found := re.fullmatch("/owner/repo/resolve/main/(.*)", path)) and found[1] in FILES:
            content = FILES[found[1]]
            span = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range") or "")
            if span:
                return self.answer(content[int(span[1]) : int(span[2]) + 1], 206)
            return self.answer(content)
        return self.answer({"error": "no such entry"}, 404)

    def tree(self, folder, deep):
        inside = [name for name in FILES if name.startswith(folder)]
        if not inside:
            return self.answer({"error": "no such entry"}, 404)
        parents = [name[:i] for name in inside for i, x in enumerate(name) if x == "/"]
        folders = {name for name in parents if len(name) > len(folder)}
        both = [("file", name) for name in inside] + [("directory", name) for name in folders]
        return self.answer(
            [
                {"type": kind, "path": name, "size": len(FILES.get(name, "")), "oid": "0" * 40}
                for kind, name in both
                if deep or "/" not in name[len(folder) :]
            ]
        )

    def answer(self, content, status=200):
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        if status == 404:
            self.send_header("X-Error-Code", "EntryNotFound")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


@pytest.mark.slow
def test_files_and_runs_of_a_hub(tmp_path, cache_folder):
    pytest.importorskip("huggingface_hub", reason="`make test-remote` installs it")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    digest = hashlib.sha256(FILES["tiny.npz"]).hexdigest()
    addresses = (
        *("hf://owner/repo/tiny.npz", f"hf://owner/repo/tiny.npz#sha256={digest}"),
        *("hf://owner/repo/run", "hf://owner/repo/no.npz", "hf://owner/repo"),
        f"hf://owner/repo/tiny.npz#sha256={'0' * 64}",
    )
    endpoint = f"http://127.0.0.1:{server.server_port}"
    own = {"HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path / "home"), "HF_TOKEN": "hidden"}
    child = subprocess.run(
        [sys.executable, "-c", CHILD, *addresses],
        env={**os.environ, **own},
        capture_output=True,
        text=True,
    )
    server.shutdown()
    server.server_close()
    file, pinned, run, missing, empty, other = child.stdout.splitlines()
    for path in (file, pinned):
        assert path.endswith("/content/tiny.npz")
        with open(path, "rb") as copy:
            assert copy.read() == FILES["tiny.npz"]
    assert run.endswith("/content/4")
    assert sorted(os.listdir(run)) == ["meta", "variables"]
    assert missing == "hf://owner/repo/no.npz: nothing there; look after the address"
    assert empty.startswith("hf://owner/repo: no checkpoint there; give a run's folder, or name")
    assert f"its SHA-256 is {digest} in place of {'0' * 64}, downloaded 2 times" in other
    assert "hidden" not in child.stdout + child.stderr
