"""`siamjax serve`: the tracker in a browser."""

import argparse
import functools

import siamjax
from siamjax import api, installation
from siamjax.commands.flags import add_checkpoint, add_device, check_least
from siamjax.errors import importing

DESCRIPTION = """\
Opens a page to choose a video or the webcam, draw boxes around targets, watch the tracker, correct
it, and save the result.
"""
EXAMPLES = (
    "siamjax serve",
    "siamjax serve clip.mp4 --port=8000",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's flags."""
    add = parser.add_argument
    add("videos", nargs="*", help="videos or image folders on offer from the start")
    add_checkpoint(parser)
    host = "address to listen on, default %(default)s; one that others can reach asks for a token"
    add("--host", default="127.0.0.1", help=host)
    add("--port", type=int, default=8765, help="default %(default)s")
    add("--jobs", type=int, default=2, help="runs at a time; default %(default)s")
    add("--max_upload", type=int, default=512, help="largest video, MiB; default %(default)s")
    add("--max_megapixels", type=int, default=16, help="of a frame; default %(default)s")
    add("--max_frames", type=int, default=100_000, help="of a video; default %(default)s")
    kept = "of all videos that were sent and all results, MiB; default %(default)s"
    add("--max_disk", type=int, default=4096, help=kept)
    add_device(parser)


def run(args: argparse.Namespace) -> None:
    """Serves until Ctrl-C.

    Raises:
        UserError: no such checkpoint or video, a port that is taken, aiohttp not installed.
    """
    check_least(args, jobs=1, max_upload=1, max_megapixels=1, max_frames=1, max_disk=1)
    with importing(f"siamjax serve needs it: {installation.extra('serve')}"):
        from siamjax.integrations import serving
    limits = serving.Limits(
        upload=args.max_upload << 20,
        disk=args.max_disk << 20,
        pixels=args.max_megapixels * 10**6,
        frames=args.max_frames,
    )
    targets = functools.partial(siamjax.MultiTracker, api.load(args.checkpoint))
    server = serving.Server(
        targets,
        args.videos,
        host=args.host,
        limits=limits,
        jobs=args.jobs,
        checkpoint=args.checkpoint or "bundled",
    )
    serving.run(server, args.host, args.port)
