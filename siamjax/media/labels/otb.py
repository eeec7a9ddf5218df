"""OTB text: one target's box per line."""

from siamjax.media.tracks import Tracks


def write(tracks: Tracks) -> str:
    """x,y,w,h per line, px counted from 0."""
    return "".join(",".join(f"{value:.4f}" for value in row.box) + "\n" for row in tracks.rows)
