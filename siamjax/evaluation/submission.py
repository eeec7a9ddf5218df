"""Archives that the servers of GOT-10k and TrackingNet take."""

import zipfile
from pathlib import Path

from siamjax.datasets.registry import Benchmark, datasets
from siamjax.datasets.results import Store
from siamjax.errors import UserError
from siamjax.files import write_whole


def write(benchmark: Benchmark, tracker: str, results: Path, out: Path) -> Path:
    """Packs a tracker's result files into `<out>/<tracker>_<benchmark>.zip`.

    GOT-10k: `<sequence>/<sequence>_001.txt` and `<sequence>_time.txt`; TrackingNet:
    `<sequence>.txt`. The same files give the same bytes.

    Args:
        results: the tracker's folder of result files.

    Raises:
        UserError: the benchmark has no server, or results of some sequences are missing.
    """
    if not benchmark.dataset.server:
        known = ", ".join(name for name, dataset in datasets().items() if dataset.server)
        raise UserError(f"--submission: {benchmark.name} has no server; for {known}")
    store = Store(results.parent, benchmark.dataset)
    missing = [s.name for s in benchmark.sequences if not store.done(results.name, s)]
    lacking = benchmark.total - len(benchmark.sequences) + len(missing)
    if lacking:
        raise UserError(
            f"--submission: {lacking} of {benchmark.total} sequences have no results;"
            f" the server of {benchmark.name} scores complete archives only"
        )

    def pack(file):
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for sequence in benchmark.sequences:
                for name in store.form.paths(sequence):
                    entry = zipfile.ZipInfo(name)  # without the clock, so the bytes are the same
                    entry.compress_type = zipfile.ZIP_DEFLATED
                    archive.writestr(entry, (results / name).read_bytes())

    return write_whole(out / f"{tracker}_{benchmark.name}.zip", pack)
