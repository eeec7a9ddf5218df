"""How `siamjax track` keeps rows while it runs, and resumes from them."""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from siamjax import files
from siamjax.errors import UserError
from siamjax.locks import Lock
from siamjax.media import journal
from siamjax.media.tracks import Row
from siamjax.wording import counted

# entries of a file's head that a resumed run must agree with -> what to give again
_AGREE = {
    "tracker": "--checkpoint and --set",
    "first": "the video and --start",
    "stride": "--stride",
}


class KeptRows:
    """The rows of a run in a file beside its first output, and those of a run before.

    A context: after an error or an interrupt the file stays, after a whole run it is removed.

    Args:
        path: of the file; None: nothing is kept.
        outputs: paths of the outputs; what a killed run left of them is removed.
        resume: continue from the rows that are there; else they must be those of a run whose
            outputs were written.
        live: the video is a camera or a stream, which --resume does not take.

    Raises:
        UserError: another process writes these outputs; rows of a run that did not end.

    Attributes:
        past: of the run before, None where there is nothing to continue from.
    """

    def __init__(self, path: Path | None, outputs: Sequence[str], resume: bool, live: bool = False):
        self._path, self._live, self._stack = path, live, contextlib.ExitStack()
        self._journal: journal.Journal | None = None
        self.past: journal.Past | None = None
        if path is None:
            return
        fix = "wait for it to end, or choose other outputs"
        with contextlib.ExitStack() as undo:
            undo.push(self._stack)
            for output in map(Path, outputs):
                self._stack.enter_context(Lock(output.parent, f".{output.name}.lock", fix))
            past = journal.read(path)
            if past and not resume and not past.head.get("written"):
                fix = "move this file away" if live else "continue it by --resume, or move it away"
                kept = counted(past.frames, "frame")
                raise UserError(f"{path}: rows of a run that did not end, {kept}; {fix}")
            if past and past.damaged and resume:
                print(f"{path}:{past.damaged}: damaged; the frames from there on are tracked again")
            for output in outputs:
                files.remove_partial(output)
            undo.pop_all()
        self.past = past if resume and past and past.rows else None
        if resume:
            if self.past:
                print(f"{self.past.frames} frames are there, the last is tracked again")
            else:
                print(f"no rows in {path}: from the start")

    @property
    def unseen(self) -> set[int]:
        """Numbers of frames whose pixels need not be read again."""
        if self.past is None:
            return set()
        head = self.past.head
        needed = {head["first"][0], *(start[0] for start in head["starts"])}
        return set(self.past.rows) - needed

    def begin(self, head: dict[str, Any]) -> None:
        """Starts the file.

        Args:
            head: what this run is; it must agree with the past one up to where that ended.

        Raises:
            UserError: it does not, or the file cannot be written.
        """
        if self._path is None:
            return
        if self.past:
            _check(self._path, self.past, head)
        self._journal = journal.Journal(self._path, head, self.past)

    def check_first(self, first: Any) -> None:
        """Refuses a first frame that the run before had as a later one, and did not need again.

        Raises:
            UserError: it is such a frame: None.
        """
        if first is None and self._path and self.past:
            raise _disagree(self._path, "first")

    def append(self, rows: Sequence[Row], states: Sequence[journal.State]) -> None:
        """The rows of a frame, which outlive the process from now on.

        Raises:
            UserError: no space is left.
        """
        if self._journal and states:
            self._journal.append(rows, states)

    def interrupted(self) -> None:
        """Keeps the file, and says in it that the outputs hold its rows.

        Raises:
            UserError: it cannot be written.
        """
        if self._journal:
            self._journal.close(written=True)
            self._journal = None

    def __enter__(self) -> "KeptRows":
        return self

    def __exit__(self, kind, error, trace) -> None:
        with self._stack:
            if self._journal is None:
                return
            several = self._journal.frames > 1  # the first one's boxes were given
            self._journal.close(keep=error is not None and several)
            if isinstance(error, UserError) and several:
                kept = f"{self._journal.frames} frames are kept in {self._path}"
                fix = f"siamjax labels {self._path} --to=csv --out=NAME.csv makes a table of them"
                raise UserError(
                    f"{error}; {kept}, {fix if self._live else '--resume continues them'}"
                ) from error


def _check(path: Path, past: journal.Past, head: dict[str, Any]) -> None:
    for name in _AGREE:
        if past.head.get(name) != head[name]:
            raise _disagree(path, name)
    before, now = (
        [start for start in one.get("starts", []) if start[0] <= past.last]
        for one in (past.head, head)
    )
    if before != now:
        given = "; ".join(f"frame {frame}: {','.join(map(str, box))}" for frame, _, *box in before)
        raise UserError(
            f"{path}: the run before had other boxes ({given}); give the same, none at all, or move"
            " this file away"
        )


def _disagree(path: Path, name: str) -> UserError:
    given = _AGREE[name]
    return UserError(
        f"{path}: rows of a run with others: give {given} as then, or move this file away"
    )
