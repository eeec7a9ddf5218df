"""Tracks as text: a module per format, with `write(tracks)`, and the table that names them."""

from importlib import import_module

from siamjax.media.tracks import Tracks

# name, the flag of `siamjax track` -> module, help
FORMATS = {
    "csv": (
        "siamjax.media.labels.table",
        "table with the columns frame,target,x,y,w,h,score,second_peak,lost",
    ),
    "json": ("siamjax.media.labels.tree", "the same with video, rate and checkpoint"),
    "txt": ("siamjax.media.labels.otb", "OTB text, x,y,w,h per line; one target only"),
    "mot": ("siamjax.media.labels.mot", "MOT text, frame,id,x,y,w,h,score,-1,-1,-1 from 1"),
}


def text(name: str, tracks: Tracks) -> str:
    """The tracks in the format of this name."""
    return import_module(FORMATS[name][0]).write(tracks)
