"""The server as a process: connections that say nothing, its folder, its address."""

import asyncio
import os
import signal
import socket
import subprocess
import sys

import pytest

from siamjax.errors import UserError

pytest.importorskip("aiohttp", reason="needs aiohttp (extra serve)")

from siamjax.integrations import serving
from siamjax.integrations.serving import listen
from siamjax.integrations.serving.scratch import Scratch


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """The folder of temporary files, here and in processes."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


def listening(work, **limits):
    """What `work(port)` of a server without videos gives."""

    async def body():
        server = serving.Server(None, limits=serving.Limits(**limits))
        async with listen.listening(server, "127.0.0.1", 0) as port:
            return await work(port)

    return asyncio.run(body())


def test_connections_that_say_nothing_are_closed():
    async def work(port):
        head = f"GET /videos HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n".encode()
        silent = await asyncio.open_connection("127.0.0.1", port)
        half = await asyncio.open_connection("127.0.0.1", port)
        half[1].write(head)
        whole = await asyncio.open_connection("127.0.0.1", port)
        whole[1].write(head + b"\r\n")
        ends = [await asyncio.wait_for(_rest(one[0]), 5) for one in (silent, half)]
        await whole[0].readuntil(b"[]")
        whole[1].write(head + b"\r\n")  # it spoke, and may again
        again = await asyncio.wait_for(whole[0].readuntil(b"[]"), 5)
        for one in (silent, half, whole):
            one[1].close()
        return ends, again

    ends, again = listening(work, silence=0.4)
    assert ends == [b"", b""]
    assert b" 200 " in again


async def _rest(reader):
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""


def test_an_address_that_is_taken_or_none():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        said = (
            rf"--port={port}: cannot listen there \(Address already in use\); give another --port$"
        )
        with pytest.raises(UserError, match=said):
            listen.run(serving.Server(None), "127.0.0.1", port)
    with pytest.raises(UserError, match="--port=70000: cannot listen there"):
        listen.run(serving.Server(None), "127.0.0.1", 70000)
    with pytest.raises(UserError, match=r"cannot listen there \((?!Unknown error)") as error:
        listen.run(serving.Server(None), "nowhere.invalid", 8765)
    assert isinstance(error.value.__cause__, socket.gaierror)


SERVE = """
from siamjax.integrations import serving
import sys
serving.run(serving.Server(None, host=sys.argv[1]), sys.argv[1], 0)
"""


def started(host):
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, host],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    return process, process.stdout.readline()


def test_folders_of_killed_servers_are_removed_at_the_next_start(temporary):
    killed, _ = started("127.0.0.1")
    killed.kill()
    killed.communicate()
    (left,) = temporary.iterdir()
    (left / "video.mp4").write_bytes(b"x")
    alive = Scratch("siamjax-serve-")
    assert not left.exists()
    other = Scratch("siamjax-serve-")  # does not touch one that is in use
    assert alive.path.is_dir()
    os.mkdir(temporary / "siamjax-other")
    alive.close()
    other.close()
    assert [path.name for path in temporary.iterdir()] == ["siamjax-other"]


def test_a_warning_and_a_token_where_others_can_reach_it(temporary):
    process, address = started("0.0.0.0")
    process.send_signal(signal.SIGTERM)
    _, warning = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "/?token=" in address
    assert f"http://{socket.gethostname()}:" in address
    assert warning.startswith("warning: --host=0.0.0.0: other machines can reach this server")
    assert warning.count("\n") == 1
    assert not list(temporary.iterdir())
