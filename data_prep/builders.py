"""A source as a TensorFlow Datasets builder, whose parts are made by Apache Beam.

    CropBuilder(Coco("coco"), data_dir="data/coco").download_and_prepare()

The folder is read by `tfds.builder_from_directory`, by tf.data as TFRecord files, and by siamjax.
"""

import functools
import os
import pkgutil
from collections.abc import Sequence
from pathlib import Path

import apache_beam as beam
import tensorflow_datasets as tfds
from apache_beam.options.pipeline_options import PipelineOptions
from tensorflow_datasets.core.dataset_builder import FileReaderBuilder

from data_prep import parts
from data_prep.preparation import Preparation
from data_prep.source import Source
from siamjax import bundled, installation
from siamjax.data import tfds_metadata
from siamjax.errors import importing

_DASK = "apache_beam.runners.dask.dask_runner.DaskRunner"  # Beam has no short name for it
_PARTITIONS = ("--dask_partition_size", "--dask_npartitions")


class CropBuilder(FileReaderBuilder, skip_registration=True):
    """Context crops of a source, made by Beam.

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
                a folder beside it, `data_dir`.parts.
            options: how crops are made.
            workers: processes of the direct runner; 0: all cores.
            beam_options: of the pipeline, as on the command line; with `--runner=...` the work goes
                to that runner, whose workers must see the source and `data_dir` under the same
                names.

        Raises:
            UserError: the source has not its layout.
        """
        self.name = source.name
        self.preparation = Preparation(source, data_dir, options)
        self._workers, self._beam_options = workers, list(beam_options)
        super().__init__(data_dir=self.preparation.out)

    def _build_data_dir(self, given_data_dir):
        """The folder is the one that was asked for, not data_dir/name/version."""
        return os.path.dirname(given_data_dir), os.fspath(given_data_dir)

    def _info(self) -> tfds.core.DatasetInfo:
        """The features of a record; see `siamjax.data.tfrecord`."""
        features = tfds_metadata.features(self.preparation.plan.options.crop)
        return tfds.core.DatasetInfo(
            builder=self,
            description=f"Context crops of {self.name} for siamjax.",
            features=tfds.features.FeatureConnector.from_json(features),
        )

    def prepare(self) -> bool:
        """Makes the data set, or what is missing of it.

        Returns:
            False: it was there already.

        Raises:
            UserError: as `Preparation.finish`.
        """
        work = self.preparation.work
        whole = functools.partial(self.download_and_prepare, download_dir=work)
        return self.preparation.finish(whole)

    def _download_and_prepare(self, dl_manager, download_config):
        """Makes the parts, then the data set in the temporary folder that will be renamed."""
        self.preparation.make(self._make)
        self.preparation.join(Path(self.data_dir))
        self.info.read_from_directory(self.data_dir)

    def _log_download_bytes(self):
        """Nothing is downloaded."""

    _log_download_done = _log_download_bytes

    def _make(self, missing):
        work = str(self.preparation.work)
        make = functools.partial(bundled.call, "data_prep.parts", "make_part", work)
        pipeline = beam.Pipeline(options=self._pipeline_options(len(missing)))
        try:
            with pipeline:
                _ = pipeline | beam.Create(missing) | beam.Reshuffle() | "make" >> beam.Map(make)
        except Exception as error:
            raise parts.user_error(error) or error from error
        finally:
            client = getattr(getattr(pipeline, "result", None), "client", None)
            if client:  # DaskRunner leaves its connection open
                client.close()

    def _pipeline_options(self, count):
        given = self._beam_options
        runner = next((each for each in given if each.startswith("--runner=")), "")
        if runner in ("--runner=DaskRunner", f"--runner={_DASK}"):
            with importing(installation.extra("prep,dask")):
                pkgutil.resolve_name(_DASK)
            given = [f"--runner={_DASK}", *(each for each in given if each != runner)]
            if not any(each.startswith(_PARTITIONS) for each in given):
                given.append("--dask_partition_size=1")  # else 128 parts are one task
        if any(each.startswith("--runner") for each in given):
            return PipelineOptions(given)
        workers = min(self._workers or os.cpu_count() or 1, count)
        mode = "multi_processing" if workers > 1 else "in_memory"
        # The direct runner that is part of Beam itself; newer default ones fetch a program.
        runner = "apache_beam.runners.portability.fn_api_runner.fn_runner.FnApiRunner"
        direct = [f"--direct_running_mode={mode}", f"--direct_num_workers={workers}"]
        return PipelineOptions([f"--runner={runner}", *direct, *given])
