"""A source as a TensorFlow Datasets builder, whose parts are made by Apache Beam.

    CropBuilder(Coco("coco"), data_dir="data/coco").download_and_prepare()

The folder is read by `tfds.builder_from_directory`, by tf.data as TFRecord files, and by siamjax.
"""

import dataclasses
import functools
import os
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path

import apache_beam as beam
import tensorflow_datasets as tfds
from apache_beam.options.pipeline_options import PipelineOptions
from tensorflow_datasets.core.dataset_builder import FileReaderBuilder
from tqdm import tqdm

from data_prep import parts
from data_prep.source import Source
from siamjax import bundled
from siamjax.data import index, shards, tfds_metadata
from siamjax.errors import UserError


class CropBuilder(FileReaderBuilder, skip_registration=True):
    """Context crops of a source.

    It replaces the writing of `GeneratorBasedBuilder`, which shuffles all examples through Beam and
    can't be resumed: here each Beam element makes one part, and the parts become the shards.
    """

    VERSION = tfds.core.Version("1.0.0")

    def __init__(
        self,
        source: Source,
        *,
        data_dir: str | Path,
        options: parts.Options | None = None,
        workers: int = 0,
        beam_options: Sequence[str] = (),
    ):
        """Reads the source's list of videos.

        Args:
            source: the data set.
            data_dir: folder of the data set; it appears when the set is complete. Parts are made in
                a folder beside it, `data_dir`.parts, the attribute `work`.
            options: how crops are made.
            workers: processes of the direct runner; 0: all cores.
            beam_options: of the pipeline, as on the command line; with `--runner=...` the work goes
                to that runner, whose workers must see the source and `data_dir` under the same
                names.

        Raises:
            UserError: the source has not its layout.
        """
        self.name = source.name
        self.plan = parts.make_plan(source, options or parts.Options())
        self._out = Path(os.path.abspath(data_dir))
        self.work = self._out.with_name(f"{self._out.name}.parts")
        self._workers, self._beam_options = workers, list(beam_options)
        super().__init__(data_dir=self._out)

    def _build_data_dir(self, given_data_dir):
        """The folder is the one that was asked for, not data_dir/name/version."""
        return os.path.dirname(given_data_dir), os.fspath(given_data_dir)

    def _info(self) -> tfds.core.DatasetInfo:
        """The features of a record; see `siamjax.data.tfrecord`."""
        features = tfds_metadata.features(self.plan.options.crop)
        return tfds.core.DatasetInfo(
            builder=self,
            description=f"Context crops of {self.plan.source.name} for siamjax.",
            features=tfds.features.FeatureConnector.from_json(features),
        )

    def prepare(self) -> bool:
        """Makes the data set, or what is missing of it.

        Returns:
            False: it was there already.

        Raises:
            UserError: another run writes to the folder, it holds something else, or the disk is
                full.
        """
        if self._is_there():
            return False
        with shards.lock_folder(self.work):
            if self._is_there():  # the run before us has finished meanwhile
                shutil.rmtree(self.work)
                return False
            # Where a killed run was putting the parts together.
            for left in self._out.parent.glob(f"incomplete.??????_{self._out.name}"):
                shutil.rmtree(left)
            self.download_and_prepare(download_dir=self.work)
            shutil.rmtree(self.work)
        return True

    def _is_there(self):
        if not self._out.exists():
            return False
        if self._out.is_dir() and not any(self._out.iterdir()):
            self._out.rmdir()
            return False
        if not (self._out / index.MANIFEST).is_file():
            raise UserError(f"{self._out}: holds something else; choose another --out")
        if index.read_manifest(self._out).get("key") != self.plan.key:
            raise UserError(
                f"{self._out}: was prepared from another source, with other options or by another"
                " version; remove it or choose another --out"
            )
        return True

    def _download_and_prepare(self, dl_manager, download_config):
        """Makes the parts, then the data set in the temporary folder that will be renamed."""
        if missing := parts.open_work(self.work, self.plan):
            self._make(missing)
        columns, files, skipped = parts.join_parts(self.work, len(self.plan.parts))
        plan, options = self.plan, dataclasses.asdict(self.plan.options)
        del options["shard_mb"]
        head = {
            "name": self.name,
            **options,
            "source": str(plan.source.root),
            "source_hash": plan.source_hash,
            "code_hash": plan.code_hash,
            "key": plan.key,
            "videos_in_source": sum(map(len, plan.parts)),
            "skipped": skipped,
        }
        shards.write_set(Path(self.data_dir), files, columns, head, {}, place=_link)
        self.info.read_from_directory(self.data_dir)

    def _log_download_bytes(self):
        """Nothing is downloaded."""

    _log_download_done = _log_download_bytes

    def _make(self, missing):
        stop = threading.Event()
        watch = threading.Thread(target=self._watch, args=(stop,), daemon=True)
        watch.start()
        make = functools.partial(bundled.call, "data_prep.parts", "make_part", str(self.work))
        try:
            with beam.Pipeline(options=self._pipeline_options(len(missing))) as pipeline:
                _ = pipeline | beam.Create(missing) | beam.Reshuffle() | "make" >> beam.Map(make)
        except Exception as error:
            raise parts.user_error(error) or error from error
        finally:
            stop.set()
            watch.join()

    def _pipeline_options(self, count):
        given = self._beam_options
        if any(option.startswith("--runner") for option in given):
            return PipelineOptions(given)
        workers = min(self._workers or os.cpu_count() or 1, count)
        mode = "multi_processing" if workers > 1 else "in_memory"
        # The direct runner that is part of Beam itself; newer default ones fetch a program.
        runner = "apache_beam.runners.portability.fn_api_runner.fn_runner.FnApiRunner"
        direct = [f"--direct_running_mode={mode}", f"--direct_num_workers={workers}"]
        return PipelineOptions([f"--runner={runner}", *direct, *given])

    def _watch(self, stop):
        """A progress bar over the finished parts."""
        with tqdm(total=len(self.plan.parts), desc=self.name, unit="part") as bar:
            ended = False
            while not ended:
                ended = stop.wait(1.0)
                bar.update(len(list(self.work.glob("part-?????"))) - bar.n)


def _link(old, new):
    """A second name for a file where the file system has such, so that parts stay until the end."""
    try:
        os.link(old, new)
    except OSError:
        os.replace(old, new)
