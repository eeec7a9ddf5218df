"""Listening: connections that say nothing are closed, signals end it."""

import asyncio
import contextlib
import errno
import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any

from aiohttp import web

from siamjax.errors import UserError
from siamjax.integrations.serving.server import Server

_IDLE = 75.0  # s, how long a connection may be kept between requests


def run(server: Server, host: str, port: int) -> None:
    """Serves until Ctrl-C or SIGTERM; a second one does not wait for runs to end.

    Prints the address; on stderr a warning where other machines can reach it.

    Raises:
        UserError: nothing can listen there.
    """
    asyncio.run(_run(server, host, port))


async def _run(server: Server, host: str, port: int) -> None:
    end = asyncio.Event()

    def stop():
        if end.is_set():
            os._exit(130)
        end.set()

    loop = asyncio.get_running_loop()
    async with listening(server, host, port) as bound:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop)
        _announce(host, bound, server.access.token)
        await end.wait()


@contextlib.asynccontextmanager
async def listening(server: Server, host: str, port: int):
    """Answers while the block runs; gives the port.

    Raises:
        UserError: nothing can listen there.
    """
    silent: dict[Any, asyncio.TimerHandle] = {}

    @web.middleware
    async def hear(request, handler):
        timer = silent.pop(request.protocol, None)
        if timer is not None:
            timer.cancel()
        return await handler(request)

    server.app.middlewares.insert(0, hear)
    runner = web.AppRunner(
        server.app, access_log=None, keepalive_timeout=_IDLE, shutdown_timeout=2.0
    )
    await runner.setup()
    try:
        factory = _impatient(runner, silent, server.limits.silence)
        try:
            listener = await asyncio.get_running_loop().create_server(factory, host, port)
        except (OSError, OverflowError) as error:
            address = f"--host={host} --port={port}"
            number = getattr(error, "errno", None) or 0
            # asyncio's own text repeats the address; a name that is not found has a number below 0
            why = os.strerror(number) if number > 0 else getattr(error, "strerror", None) or error
            hint = "; give another --port" if number == errno.EADDRINUSE else ""
            raise UserError(f"{address}: cannot listen there ({why}){hint}") from error
        yield listener.sockets[0].getsockname()[1]
        listener.close()
    finally:
        await runner.cleanup()


def _impatient(
    runner: web.AppRunner, silent: dict[Any, asyncio.TimerHandle], patience: float
) -> Callable[[], asyncio.Protocol]:
    """Makes connections that are closed when no request has come within some seconds.

    aiohttp waits for the first one without end.

    Args:
        silent: those of which no request has come yet, with their timers.
        patience: s.
    """
    loop = asyncio.get_running_loop()

    def end(connection):
        del silent[connection]
        if connection.transport is not None:
            connection.transport.abort()

    def connect():
        assert runner.server is not None
        connection = runner.server()
        silent[connection] = loop.call_later(patience, end, connection)
        return connection

    return connect


def _announce(host: str, port: int, token: str | None) -> None:
    name = socket.gethostname() if host in ("0.0.0.0", "::", "") else host
    name = f"[{name}]" if ":" in name else name
    query = f"?token={token}" if token else ""
    print(f"http://{name}:{port}/{query}  (Ctrl-C ends)", flush=True)
    if token:
        print(
            f"warning: --host={host}: other machines can reach this server. Who has the address "
            "with its token can use it, and what is sent is not encrypted",
            file=sys.stderr,
            flush=True,
        )
