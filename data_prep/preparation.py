"""Preparation from plan to finished folder: the parts are made, put together and renamed.

    Preparation(Coco("coco"), "data/coco").prepare()

makes the parts in processes of this machine and needs no TensorFlow; `data_prep.builders` has Beam
make them.
"""

import concurrent.futures
import dataclasses
import functools
import multiprocessing
import os
import re
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tqdm import tqdm

from data_prep import parts
from data_prep.source import Source
from siamjax import bundled
from siamjax.data import index, shards
from siamjax.errors import UserError
from siamjax.files import replacing
from siamjax.processes import begin_worker
from siamjax.wording import counted, first

Make = Callable[[list[int]], None]


class Preparation:
    """A source that becomes a data set.

    Attributes:
        plan: what is to be made.
        out: the data set's folder; it appears when the set is complete.
        work: the folder beside it in which parts are made.
    """

    def __init__(self, source: Source, out: str | Path, options: parts.Options | None = None):
        """Reads the source's list of videos.

        Raises:
            UserError: the source has not its layout.
        """
        self.plan = parts.make_plan(source, options or parts.Options())
        self.out = Path(os.path.abspath(out))
        self.work = self.out.with_name(f"{self.out.name}.parts")

    def prepare(self, workers: int = 0) -> bool:
        """Makes the data set, or what is missing of it, in processes of this machine.

        Args:
            workers: processes; 0: one per core.

        Returns:
            False: it was there already.

        Raises:
            UserError: as `finish`; a process was killed.
        """
        return self.finish(functools.partial(self._whole, workers))

    def finish(self, whole: Callable[[], None]) -> bool:
        """Calls `whole` to make the data set, unless it is there, under the folder's lock.

        Returns:
            False: it was there already.

        Raises:
            UserError: another run writes to the folder, it holds something else, or the disk is
                full.
        """
        if self._is_there() and not self.work.exists():  # else: a kill left it at the very end
            return False
        with shards.lock_folder(self.work):
            if not self._is_there():  # else the run before us has finished meanwhile
                # Where a killed run was putting the parts together.
                stem, suffix = re.escape(self.out.stem), re.escape(self.out.suffix)
                left = rf"incomplete\..{{6}}_{stem}{suffix}|\.{stem}\.[0-9a-f]+\.partial{suffix}"
                for path in list(self.out.parent.iterdir()):
                    if re.fullmatch(left, path.name):
                        shutil.rmtree(path)
                whole()
                shutil.rmtree(self.work)
                return True
            shutil.rmtree(self.work)
            return False

    def _is_there(self) -> bool:
        if not self.out.exists():
            return False
        if self.out.is_dir() and not any(self.out.iterdir()):
            self.out.rmdir()
            return False
        if not (self.out / index.MANIFEST).is_file():
            raise UserError(f"{self.out}: holds something else; choose another --out")
        if index.read_manifest(self.out).get("key") != self.plan.key:
            raise UserError(
                f"{self.out}: was prepared from another source, with other options or by another"
                " version; remove it or choose another --out"
            )
        return True

    def _whole(self, workers: int) -> None:
        self.make(functools.partial(_in_processes, self.work, workers))
        with replacing(self.out) as temporary:
            temporary.mkdir()
            self.join(temporary)

    def make(self, make: Make) -> None:
        """Has the missing parts made, and shows how many are there."""
        missing = parts.open_work(self.work, self.plan)
        if not missing:
            return
        stop = threading.Event()
        watch = threading.Thread(target=self._watch, args=(stop,), daemon=True)
        watch.start()
        try:
            make(missing)
        finally:
            stop.set()
            watch.join()

    def join(self, folder: Path) -> None:
        """Puts the parts together in a folder that is there."""
        plan = self.plan
        columns, files, skipped = parts.join_parts(self.work, len(plan.parts))
        if not len(columns["frame"]):
            shutil.rmtree(self.work)  # the source is read again once it is mended
            raise UserError(self._no_crop(skipped))
        options = dataclasses.asdict(plan.options)
        del options["shard_mb"]
        head = {
            "name": plan.source.name,
            **options,
            "source": str(plan.source.root),
            "source_hash": plan.source_hash,
            "code_hash": plan.code_hash,
            "key": plan.key,
            "videos_in_source": sum(map(len, plan.parts)),
            "skipped": skipped,
            "left_out": sorted(plan.source.left_out),
            **plan.source.about(),
        }
        shards.write_set(folder, files, columns, head, {}, place=_link)

    def _no_crop(self, skipped: Mapping[str, int]) -> str:
        source = self.plan.source
        found = source.box_files(sorted(video.name for part in self.plan.parts for video in part))
        named = first(found)
        reasons = [f"{reason}: {counted(count, 'box')}" for reason, count in skipped.items()]
        if not reasons:
            return f"{named}: no crop was written, there is no box in it; {source.layout()}"
        fix = f"put the labels of the videos in {source.root} there"
        if max(skipped, key=skipped.__getitem__) in ("image is missing", "image is unreadable"):
            fix = f"put whole images under {source.root}"
        return f"{named}: no crop was written ({', '.join(reasons)}); {fix}"

    def _watch(self, stop: threading.Event) -> None:
        """A progress bar over the finished parts."""
        with tqdm(total=len(self.plan.parts), desc=self.plan.source.name, unit="part") as bar:
            ended = False
            while not ended:
                ended = stop.wait(1.0)
                bar.update(len(list(self.work.glob("part-?????"))) - bar.n)


def _in_processes(work: Path, workers: int, missing: Sequence[int]) -> None:
    """Makes parts, in this process where one is enough.

    Raises:
        UserError: a process was killed.
    """
    workers = min(workers or os.cpu_count() or 1, len(missing))
    if workers == 1:
        for i in missing:
            parts.make_part(str(work), i)
        return
    make = functools.partial(bundled.call, "data_prep.parts", "make_part", str(work))
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(workers, spawn, begin_worker) as pool:
        done = [pool.submit(make, i) for i in missing]
        try:
            for future in concurrent.futures.as_completed(done):
                future.result()
        except concurrent.futures.process.BrokenProcessPool:
            raise UserError(
                f"{work}: a worker process was killed, memory may be short; run again with fewer"
                " --workers; what was made is kept"
            ) from None
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _link(old: Path, new: Path) -> None:
    """A second name for a file where the file system has such, so that parts stay until the end."""
    try:
        os.link(old, new)
    except OSError:
        os.replace(old, new)
