"""`siamjax export`: the tracker for programs without siamjax: one archive, ONNX, a web page."""

import argparse
import tempfile

from siamjax import api, installation
from siamjax.commands.flags import add_checkpoint, add_device
from siamjax.errors import UserError, importing
from siamjax.files import check_new, check_writable
from siamjax.integrations import web

DESCRIPTION = """\
siamjax export --out=tracker.zip
  one archive of the whole tracker (jax.export, for CPU, CUDA and TPU, any frame
  size) and a small runner beside it that needs no siamjax
siamjax export --onnx=FOLDER
  the network in two halves as ONNX, checked against JAX, and the tracker's constants
siamjax export --web --ort=FOLDER --out=site
  a static folder that tracks a video or the webcam in the browser alone; FOLDER
  holds the npm package onnxruntime-web; with --onnx=FOLDER the halves there
"""
EXAMPLES = (
    "siamjax export --checkpoint=runs/demo --out=demo.zip",
    "siamjax export --web --ort=node_modules --out=site",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's flags."""
    add = parser.add_argument
    add_checkpoint(parser)
    add("--out", help="archive, default tracker.zip; with --web: a new folder, default site")
    add("--onnx", metavar="FOLDER", help="write the halves there; with --web: take them from there")
    add("--web", action="store_true", help="write a page that tracks in the browser alone")
    add("--ort", metavar="FOLDER", help="with --web: where the npm package onnxruntime-web lies")
    add_device(parser)


def run(args: argparse.Namespace) -> None:
    """Writes what the flags ask for.

    Raises:
        UserError: no such checkpoint, a part or a package that is missing, or an output that
            cannot be written.
    """
    if args.web:
        _web(args)
    elif args.ort:
        raise UserError(f"--ort={args.ort}: only with --web")
    elif args.onnx:
        if args.out:
            raise UserError(f"--out={args.out}: not with --onnx, which names the folder")
        for output, difference in _halves(args.onnx, args.checkpoint).items():
            print(f"{output}: {difference:.1e} from JAX, relative")
    else:
        _archive(args.checkpoint, args.out or "tracker.zip")


def _archive(checkpoint: str | None, out: str) -> None:
    from siamjax.tracking.export import export  # JAX

    check_writable(out)
    config, variables = api.load_variables(checkpoint)
    runner = export(out, config, variables)
    print(f"{out}: the tracker; {runner}: its runner")


def _halves(folder: str, checkpoint: str | None) -> dict[str, float]:
    with importing(f"ONNX needs it: {installation.extra('onnx')}"):
        from siamjax.integrations import onnx  # JAX

    return onnx.export(folder, *api.load_variables(checkpoint))


def _web(args: argparse.Namespace) -> None:
    if not args.ort:
        raise UserError("--web: name the folder of onnxruntime-web by --ort; " + web.NPM)
    if args.onnx and args.checkpoint:
        raise UserError("--web: give --checkpoint, or --onnx with halves that are there, not both")
    out = args.out or "site"
    check_new(out)
    web.runtime(args.ort)
    with tempfile.TemporaryDirectory() as made:
        if not args.onnx:
            _halves(made, args.checkpoint)
        web.write(out, args.onnx or made, args.ort)
    print(f"{out}: the page; python3 -m http.server --directory={out} shows it at localhost:8000")
