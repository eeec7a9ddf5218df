"""`siamjax serve`: the tracker in a browser."""

import argparse

from siamjax import api
from siamjax.commands.flags import add_checkpoint, check_least
from siamjax.errors import UserError, optional

DESCRIPTION = """\
Opens a page to choose a video, draw a box, watch the tracker and save the result.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's flags."""
    add = parser.add_argument
    add("videos", nargs="*", help="videos or image folders on offer from the start")
    add_checkpoint(parser)
    add("--host", default="127.0.0.1", help="address to listen on; default %(default)s")
    add("--port", type=int, default=8765, help="default %(default)s")
    add("--max_upload", type=int, default=512, help="largest video, MiB; default %(default)s")
    add("--jobs", type=int, default=2, help="runs at a time; default %(default)s")


def run(args: argparse.Namespace) -> None:
    """Serves until Ctrl-C.

    Raises:
        UserError: no such checkpoint or video, a port that is taken, aiohttp not installed.
    """
    check_least(args, jobs=1, max_upload=1)
    with optional("siamjax serve needs it: pip install 'siamjax[serve]'"):
        from siamjax.integrations.serve import Server, web
    server = Server(
        api.load(args.checkpoint),
        args.videos,
        host=args.host,
        max_upload=args.max_upload << 20,
        jobs=args.jobs,
    )
    print(f"http://{args.host}:{args.port}/  (Ctrl-C ends)", flush=True)
    try:
        web.run_app(server.app, host=args.host, port=args.port, print=None)
    except OSError as error:
        address = f"--host={args.host} --port={args.port}"
        raise UserError(f"{address}: cannot listen there ({error.strerror})") from error
