"""Prepares training sets: `python -m data_prep NAME --source=FOLDER --out=FOLDER`.

Without a name it lists them. `python -m data_prep.NAME` is the same.
"""

import pkgutil
import sys
from collections.abc import Sequence

from siamjax import installation, opencv
from siamjax.errors import UserError, importing, one_of, run_main

# module: the class of its source, or a function of arguments and program name; help
SOURCES = {
    "coco": ("Coco", "COCO 2017 detection"),
    "composite": ("Composite", "clips pasted together from the objects of COCO"),
    "davis": ("Davis", "DAVIS and YouTube-VOS"),
    "det": ("Det", "ImageNet DET"),
    "folder": ("Folder", "your own videos with labels of any format"),
    "got10k": ("Got10k", "GOT-10k"),
    "lasot": ("Lasot", "LaSOT"),
    "mot": ("Mot", "MOT Challenge"),
    "synthetic": ("main", "clips of the synthetic world (needs no data)"),
    "trackingnet": ("Trackingnet", "TrackingNet"),
    "vid": ("Vid", "ImageNet VID"),
    "yolo": ("Yolo", "images with YOLO's texts"),
    "youtubebb": ("Youtubebb", "YouTube-BoundingBoxes"),
}


def listing(prog: str) -> str:
    """The names, for the terminal."""
    lines = [f"  {name:<13}{text}" for name, (_, text) in SOURCES.items()]
    return "\n".join([f"usage: {prog} NAME ...; {prog} NAME --help", "", *lines])


def main(argv: Sequence[str] | None = None, prog: str = "python -m data_prep") -> None:
    """Runs the preparation that the first argument names.

    Args:
        argv: arguments; None: the process's.
        prog: what stands before them in help texts.

    Raises:
        UserError: no such name, bad arguments or input.
    """
    name, *rest = (sys.argv[1:] if argv is None else argv) or ["--help"]
    if name in ("-h", "--help"):
        print(listing(prog))
        return
    if name not in SOURCES:
        raise UserError(f"{name}: no such data set; {one_of(name, SOURCES)}")
    found = pkgutil.resolve_name(f"data_prep.{name}:{SOURCES[name][0]}")
    if isinstance(found, type):
        pkgutil.resolve_name("data_prep.command:main")(found, rest, prog)
    else:
        found(rest, prog)


@opencv.explained()
def script() -> None:
    """`main` of `python -m data_prep`, also by a Python without siamjax's packages."""
    with importing(installation.environment("-m data_prep"), sys.executable):
        main()


if __name__ == "__main__":
    run_main(script)
