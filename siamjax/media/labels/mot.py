"""MOT Challenge text: frame,id,x,y,w,h,score,-1,-1,-1 per line; frame, id and px counted from 1."""

from siamjax.media.tracks import Row, Tracks


def write(tracks: Tracks) -> str:
    """A line per frame and target."""
    return "".join(map(_line, tracks.rows))


def _line(row: Row) -> str:
    box = ",".join(f"{value:.4f}" for value in (row.x + 1, row.y + 1, row.w, row.h))
    return f"{row.frame + 1},{row.target + 1},{box},{row.score:.6f},-1,-1,-1\n"
