"""Archives that the servers of GOT-10k and TrackingNet take."""

import io
import zipfile
from pathlib import Path

import numpy as np

from siamjax.datasets.forms.base import Form, Run, rows_text, without_region
from siamjax.datasets.registry import Benchmark, datasets
from siamjax.datasets.result_folders import BROKEN, check_claims
from siamjax.datasets.results import Store
from siamjax.datasets.sequence import Sequence
from siamjax.errors import UserError
from siamjax.files import write_whole
from siamjax.geometry import boxes

NAMED = 12  # so many faults are named


def write(benchmark: Benchmark, tracker: str, results: Path, out: Path) -> Path:
    """Packs a tracker's results into `<out>/<tracker>_<benchmark>.zip`, after checking them.

    GOT-10k: `<sequence>/<sequence>_001.txt` (`_002` and so on for repetitions) and
    `<sequence>_time.txt`; TrackingNet: `<sequence>.txt`. The same results give the same bytes.

    Args:
        results: the tracker's folder of result files, in any form that is read.

    Raises:
        UserError: the benchmark has no server, results of some sequences are missing, or a file is
            not as the server takes it: all of them, a line each. Nothing is written then.
    """
    check(benchmark)
    store = Store(results.parent, benchmark.dataset)
    runs = {s.name: store.read(results.name, s) for s in benchmark.sequences}
    _check_whole(benchmark, sum(not own for own in runs.values()), "have no results")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for sequence in benchmark.sequences:
            for name, text in _files(store.form, sequence, runs[sequence.name]).items():
                entry = zipfile.ZipInfo(name)  # without the clock, so the bytes are the same
                entry.compress_type = zipfile.ZIP_DEFLATED
                file.writestr(entry, text)
    found = faults(archive, benchmark)
    if found:
        more = [f"and {len(found) - NAMED} more"] if len(found) > NAMED else []
        head = f"--submission: {results}: the server of {benchmark.name} would not score this:"
        raise UserError("\n".join([head, *found[:NAMED], *more]))
    return write_whole(out / f"{tracker}_{benchmark.name}.zip", archive.getvalue())


def check(benchmark: Benchmark) -> None:
    """Whether its server would take results of these sequences, before there are any.

    Raises:
        UserError: the benchmark has no server, its protocol is not the server's, or sequences are
            left out or not there.
    """
    known = [name for name, dataset in datasets().items() if dataset.server]
    if benchmark.name not in known:
        raise UserError(f"--submission: {benchmark.name} has no server; for {', '.join(known)}")
    own = datasets()[benchmark.name].protocol
    if benchmark.protocol != own:
        raise UserError(
            f"--protocol={benchmark.protocol}: the server of {benchmark.name} takes results of"
            f" {own}; leave out --protocol, or --submission"
        )
    absent = benchmark.total - len(benchmark.sequences)
    _check_whole(benchmark, absent, "are left out (--sequences, --limit) or not there")


def _check_whole(benchmark: Benchmark, lacking: int, words: str) -> None:
    if lacking:
        raise UserError(
            f"--submission: {lacking} of {benchmark.total} sequences {words};"
            f" the server of {benchmark.name} scores complete archives only"
        )


def _files(form: Form, sequence: Sequence, runs: list[Run]) -> dict[str, str]:
    """Name in the archive -> text, of all runs of a sequence; what they share is the first's."""
    files: dict[str, str] = {}
    for repetition, run in enumerate(runs, 1):
        names = form.paths(sequence, repetition)
        for name, text in zip(names, form.texts(sequence, run), strict=True):
            files.setdefault(name, text)
    return files


def faults(archive: Path | io.BytesIO, benchmark: Benchmark) -> list[str]:
    """What a benchmark's server would not take in an archive, a line each; empty: nothing.

    The archive must hold exactly the files of the form, in its layout; every file a row per frame;
    every box four numbers, its size above 0; the first box must touch the given one, else rows are
    shifted or belong to another sequence.

    Args:
        archive: the zip file.

    Raises:
        UserError: it is no zip file.
    """
    form = Store("", benchmark.dataset).form
    try:
        with zipfile.ZipFile(archive) as file:
            if isinstance(archive, Path):
                check_claims(archive, (info.file_size for info in file.infolist()))
            texts = {i.filename: file.read(i) for i in file.infolist() if not i.is_dir()}
    except BROKEN as error:
        raise UserError(f"{archive}: not a whole zip file ({error})") from None
    found = []
    for sequence in benchmark.sequences:
        names = form.paths(sequence)
        for name in names:
            if name not in texts:
                found.append(f"{name}: not there")
        for repetition in range(1, len(texts) + 1):
            *_, name = form.paths(sequence, repetition)
            if name not in texts or (repetition > 1 and name == names[-1]):
                break
            found += _box_faults(name, texts.pop(name), sequence)
        for name in names[:-1]:
            if name in texts:
                found += _time_faults(name, texts.pop(name), sequence)
    return found + [f"{name}: no file of {benchmark.name}" for name in texts]


def _table(text: bytes) -> np.ndarray | None:
    """Numbers separated by commas, (rows, columns); None where they are no table."""
    try:
        rows = [line.split(",") for line in text.decode("ascii").splitlines()]
        return np.array(rows, np.float64) if rows else None
    except ValueError:  # of characters, of numbers, of lengths
        return None


def _box_faults(name: str, text: bytes, sequence: Sequence) -> list[str]:
    table = _table(text)
    if table is None or table.shape[1] != 4:
        return [f"{name}: left,top,width,height in each row expected"]
    if len(table) != len(sequence):
        return [f"{name}: {len(table)} rows for {len(sequence)} frames"]
    empty = without_region(table)
    if empty.any():
        return [f"{name}: {rows_text(empty)} without a box"]
    first = boxes.xywh_to_xyxy(table[:1] - [sequence.base, sequence.base, 0, 0])
    if not boxes.iou(first, boxes.xywh_to_xyxy(sequence.boxes[:1]))[0] > 0:
        return [f"{name}: the first row is far from the given first box"]
    return []


def _time_faults(name: str, text: bytes, sequence: Sequence) -> list[str]:
    table = _table(text)
    if table is None or not np.isfinite(table).all() or table.min() < 0:
        return [f"{name}: seconds in each row expected"]
    if len(table) != len(sequence):
        return [f"{name}: {len(table)} rows for {len(sequence)} frames"]
    return []
