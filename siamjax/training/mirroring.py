"""`train.mirror`: a run's config, metrics and checkpoints copied to an address while it trains, and
an empty workdir filled from there."""

import hashlib
import json
import threading
from pathlib import Path
from typing import Any

import ml_collections

from siamjax.checksums import sha256
from siamjax.errors import UserError
from siamjax.files import write_whole
from siamjax.processes import say
from siamjax.remote import lists
from siamjax.remote.fetch import Damaged, fetch
from siamjax.remote.places import Missing, Place
from siamjax.training import checkpoint, resume
from siamjax.training.saving import UNFINISHED, Checkpoints

_EVERY = 0.5  # s between two looks for a finished checkpoint
_SMALL = 1 << 20  # bytes up to which a file is read whole, so that nothing changes it meanwhile
_FILES = ("config.json", "metrics.jsonl")
_FILLING = ".filling"  # in a workdir while it is filled


class _Taken(UserError):
    """Another run writes to the same address."""


def of(config: ml_collections.ConfigDict, workdir: Path, data: dict[str, str]):
    """The mirror of a run; None where `train.mirror` names none.

    Args:
        config: the experiment.
        workdir: the run's folder.
        data: `siamjax.training.resume.identity` of it.

    Raises:
        UserError: as `Mirror`.
    """
    address = config.train.get("mirror", "")  # experiments before 0.3 lack the field
    return Mirror(address, config, workdir, data) if address else None


class Mirror:
    """The copy of one run at an address, in the layout of its folder, with a list of its files."""

    def __init__(self, address: str, config, workdir: Path, data: dict[str, str]):
        """Looks what is there.

        Args:
            address: of a folder that can be written.
            config, workdir, data: as of `of`.

        Raises:
            UserError: another run's mirror, or an address that can't be written; where the workdir
                is empty also one that can't be read.
        """
        self._place, self._workdir = Place(address), workdir
        self._flag = f"--config.train.mirror={self._place.shown}"
        if self._place.read_only or self._place.digest is not None:
            raise UserError(f"{self._flag}: can't be written; give s3://, gs:// or the like")
        self._run = config, data
        self._list: lists.List | None = None  # unknown
        self._hashes: dict[tuple, str] = {}
        self._tried: Any = None  # what there was when a copy was last begun
        self._stopped = False
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._copy_all, name="mirror", daemon=True)
        try:
            self._list, meta = self._ask()
        except UserError as error:
            if self._is_empty():
                raise
            say(f"{error}; tried again at the next checkpoint")
        else:
            self._check(meta)

    @property
    def fills(self) -> bool:
        """Whether the workdir is to be filled from it."""
        return self._list is not None and bool(self._list.steps()) and self._is_empty()

    def fill(self) -> None:
        """Fills the workdir if it is empty; what was fetched before a kill stays.

        Raises:
            UserError: nothing there that can be read, or it can't be fetched or written.
        """
        if not self.fills:
            return
        assert self._list is not None
        write_whole(self._workdir / _FILLING, "")
        folder, there = self._workdir / "checkpoints", []
        for step in reversed(self._list.steps()):
            unfinished = folder / f"{step}{UNFINISHED}-mirror"
            try:
                if not (folder / str(step)).exists():
                    fetch(self._place, self._list.wanted(step), unfinished)
                    (unfinished / str(step)).rename(folder / str(step))
                    unfinished.rmdir()
                there.append(step)
            except (Missing, Damaged) as error:
                say(f"{error}; step {step} is left out")
        if not there:
            raise UserError(f"{self._flag}: none of its checkpoints can be read; give another")
        for name in _FILES:
            size, digest = self._list.files.get(name, (0, ""))
            content = self._place.read(name)
            if hashlib.sha256(content[:size]).hexdigest() == digest:
                content = content[:size]  # what was added after the list was written goes
            write_whole(self._workdir / name, content)
        (self._workdir / _FILLING).unlink()
        say(f"{self._workdir}: filled from {self._place.shown}, step {there[0]}")

    def start(self, saved: Checkpoints) -> None:
        """Begins to copy, in a thread, whatever checkpoint is finished.

        Args:
            saved: the run's checkpoints.
        """
        self._saved = saved
        self._thread.start()

    def close(self) -> None:
        """Waits until the last checkpoint is saved and copied, or could not be."""
        self._end.set()
        self._thread.join()
        try:
            self._saved.wait()
        finally:
            self._tried = None
            self._try_copy("give the same command again to copy it")

    def _copy_all(self) -> None:
        while not self._end.wait(_EVERY):
            self._try_copy("tried again at the next checkpoint")

    def _try_copy(self, then: str) -> None:
        """Copies what is new since it was last tried; what goes wrong is said."""
        now = [(step, self._saved.is_scored(step)) for step in self._saved.steps()]
        if self._stopped or not now or now == self._tried:
            return
        self._tried = now
        try:
            self._copy()
        except _Taken as error:
            self._stopped = True
            say(str(error))
        except Exception as error:
            said = str(error) if isinstance(error, UserError) else repr(error)
            say(f"{self._flag}: step {now[-1][0]} is not copied ({said}); {then}")

    def _copy(self) -> None:
        """Brings the copy to the state of the folder, the newest checkpoint first."""
        if self._list is None:
            self._list, meta = self._ask()
            try:
                self._check(meta)
            except UserError as error:
                raise _Taken(str(error)) from error
        for step in reversed(self._saved.steps()):
            with self._saved.holding(step) as there:
                files = self._of_step(step) if there else {}
                known = {n: x for n, x in self._list.files.items() if lists.step_of(n) == step}
                if files and files != known:
                    self._put(files)
        if any(name not in self._list.files for name in _FILES):
            return
        last = self._list.files["metrics.jsonl"][0]
        if (self._workdir / "metrics.jsonl").stat().st_size != last:
            self._put({})  # lines since the last checkpoint, validation scores among them

    def _put(self, files: dict[str, tuple[int, str]]) -> None:
        """Copies a checkpoint, then config and metrics, then the list that says so."""
        assert self._list is not None
        self._check_alone()
        for name, known in files.items():
            if self._list.files.get(name) != known:
                files[name] = self._put_file(name)
        beside = {name: self._put_file(name) for name in _FILES}
        copied = {step for name in files if (step := lists.step_of(name)) is not None}
        local = {*self._saved.steps(), *copied}
        newest = max(local)

        def stays(name):  # also what a machine that had come further left
            step = lists.step_of(name)
            there = step is not None and (step in local or step > newest)
            return there and step not in copied

        kept = {name: x for name, x in self._list.files.items() if stays(name)}
        self._check_alone()
        new = lists.List(self._list.count + 1, {**kept, **files, **beside})
        lists.write(self._place, new)
        self._list = new
        others = [name for name in self._place.files() if lists.step_of(name) is not None]
        self._place.remove([name for name in others if name not in new.files])

    def _put_file(self, name: str) -> tuple[int, str]:
        path = self._workdir / name
        size = path.stat().st_size
        if size > _SMALL and name not in _FILES:
            self._place.put(path, name)
            return size, self._hash(path)
        content = path.read_bytes()
        self._place.write(name, content)
        return len(content), hashlib.sha256(content).hexdigest()

    def _of_step(self, step: int) -> dict[str, tuple[int, str]]:
        folder = self._workdir / "checkpoints" / str(step)
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        relative = [path.relative_to(self._workdir).as_posix() for path in paths]
        return {n: (path.stat().st_size, self._hash(path)) for n, path in zip(relative, paths)}

    def _hash(self, path: Path) -> str:
        about = path.stat()
        key = str(path), about.st_size, about.st_mtime_ns, about.st_ino
        if key not in self._hashes:
            self._hashes[key] = sha256(path)
        return self._hashes[key]

    def _ask(self) -> tuple[lists.List, dict[str, Any] | None]:
        """The list, and what its newest readable checkpoint says about itself."""
        listed = lists.read(self._place) or lists.List()
        for step in reversed(listed.steps()):
            name = f"checkpoints/{step}/meta/metadata"
            try:
                content = self._place.read(name)
                if hashlib.sha256(content).hexdigest() == listed.files[name][1]:
                    meta = json.loads(content)
                    return listed, meta if isinstance(meta["config"], dict) else None
            except (Missing, KeyError, ValueError, TypeError, RecursionError):
                continue
        return listed, None

    def _check(self, meta: dict[str, Any] | None) -> None:
        """Refuses the mirror of another run."""
        if meta is not None:
            resume.check_meta(meta, *self._run, self._flag)

    def _check_alone(self) -> None:
        found = lists.read(self._place) or lists.List()
        if self._list is not None and found.count != self._list.count:
            raise _Taken(
                f"{self._flag}: another run writes there, too; this one no longer does: give one"
                " of them another address"
            )

    def _is_empty(self) -> bool:
        there = checkpoint.saved_steps(self._workdir / "checkpoints")
        return not there or (self._workdir / _FILLING).exists()
