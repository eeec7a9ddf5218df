"""`siamjax track`: follows boxes through a video file, an image folder, a camera or a stream."""

import argparse

from siamjax.commands.flags import add_checkpoint, add_device, add_set
from siamjax.commands.tracker_flags import add_trackers
from siamjax.media.formats import FORMATS, TRACK_FLAGS

DESCRIPTION = "Follows one or several boxes through a video and writes where they went."
EXAMPLES = (
    "siamjax track clip.mp4 --box=207,45,78,65",
    "siamjax track 0 --show --box=300,200,80,80:cup --csv=cup.csv",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's flags."""
    add = parser.add_argument
    add(
        "video", help="video file, folder of images, camera (0, /dev/video0) or stream (rtsp://...)"
    )
    add_targets(parser)
    add_checkpoint(parser)
    add_trackers(parser, more="")
    add_set(parser)
    add_outputs(parser)
    add("--start", default="0", help="first frame: its number from 0, or seconds as 4.5s")
    add("--frames", type=int, help="stop after so many frames")
    add("--stride", type=int, default=1, help="every so many frames")
    add("--resume", action="store_true", help="continue a run that was killed or interrupted")
    add("--resolution", help="that a camera is asked for: 1280x720")
    add("--record", help="file to which all frames of a camera or stream are written")
    add("--heatmap", action="store_true", help="lay the first target's score map over the video")
    add("--show", action="store_true", help="show the frames in a window; q ends")
    add_device(parser)


def add_targets(parser: argparse.ArgumentParser) -> None:
    """The flags that `siamjax.commands.target_flags` reads."""
    add = parser.add_argument
    add(
        "--box",
        action="append",
        default=[],
        metavar="X,Y,W,H[:NAME]",
        help="box in the first frame, px from 0; again for further targets; siamjax serve VIDEO "
        "draws boxes, in the browser",
    )
    add(
        "--add",
        action="append",
        default=[],
        metavar="FRAME:X,Y,W,H[:NAME]",
        help="box of a target that comes later, in the frame of that number; "
        "with the name or number of a known target: starts it again there",
    )
    add(
        "--box_file",
        help="table with a box per target, or a table of frames, targets and boxes; "
        "a row per frame of the video is one target",
    )


def add_outputs(parser: argparse.ArgumentParser) -> None:
    """The flags that `siamjax.commands.track_outputs` reads."""
    add = parser.add_argument
    add(
        "--out",
        help="annotated video, .mp4, .webm, .mkv or .avi; where no other output is asked for, "
        "NAME_tracked.mp4 in this folder",
    )
    for name in TRACK_FLAGS:
        add(f"--{name}", help=FORMATS[name][1])
    add("--labels", metavar="FORMAT", help="labels of this format: " + ", ".join(FORMATS))
    add("--out_labels", help="where --labels writes: a folder, or a file with its suffix")


def run(args: argparse.Namespace) -> int | None:
    """As `siamjax.commands.track_run.run`."""
    from siamjax.commands import track_run  # OpenCV, PyAV, JAX

    return track_run.run(args)
