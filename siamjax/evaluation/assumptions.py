"""What a scoring took for granted: a line each, below every table and in scores.json."""

from collections import Counter
from collections.abc import Mapping
from collections.abc import Sequence as AbstractSequence

import numpy as np

from siamjax.datasets.forms.base import LENGTHS, REGION, Run
from siamjax.datasets.registry import Benchmark
from siamjax.datasets.sequence import Sequence
from siamjax.measures.conventions import Rules

Runs = Mapping[str, AbstractSequence[AbstractSequence[Run]]]
NEAR = (
    1.0  # px by which the first row of a result may differ from the truth: rounding, half a pixel
)
# what a kind of note says of its files
KINDS = {
    "length": "of another length than the sequence: {length}",
    "region": "with rows that hold no region (NaN, infinite, without area): misses",
    "score": "without scores in some or all rows: see below",
}


def lines(
    benchmark: Benchmark,
    sequences: AbstractSequence[Sequence],
    runs: Runs,
    results: Mapping,
    length: str,
    rules: Rules,
) -> list[str]:
    """All of them.

    Args:
        sequences: those with ground truth.
        runs: tracker -> its runs of these sequences.
        results: tracker -> its folder, or those of its runs.
        length: see `siamjax.datasets.forms.base.LENGTHS`.
        rules: whose conventions the figures follow.
    """
    found = _copies(sequences)
    every = [run for own in runs.values() for repeated in own for run in repeated]
    counts = Counter(kind for run in every for kind in {note.kind for note in run.notes})
    for kind, text in KINDS.items():
        if counts[kind]:
            found.append(f"{_files(counts[kind])} {text.format(length=LENGTHS[length])}")
    if benchmark.protocol == "ope" and not rules.true_start:
        found += _starts(sequences, runs)
    for tracker, places in results.items():
        if isinstance(places, AbstractSequence) and len(places) > 1:
            names = f"{places[0].name} .. {places[-1].name}"
            found.append(f"{tracker}: mean of {len(places)} runs, {names}")
    return found


def _files(count: int) -> str:
    return f"{count} result file{'' if count == 1 else 's'}"


def _copies(sequences: AbstractSequence[Sequence]) -> list[str]:
    """What the copy of the benchmark lacks."""
    names: dict[str, list[str]] = {}
    for sequence in sequences:
        for note in sequence.notes:
            names.setdefault(note, []).append(sequence.name)
    count = len(sequences)
    return [
        note if len(own) == count else f"{len(own)} of {count} sequences: {note}"
        for note, own in names.items()
    ]


def _starts(sequences: AbstractSequence[Sequence], runs: Runs) -> list[str]:
    """Result files whose first row is not the box that the tracker was given."""
    other = []
    for own in runs.values():
        for sequence, repeated in zip(sequences, own, strict=True):
            truth = sequence.groundtruth[0]
            for run in repeated:
                same = run.regions.shape[1] == len(truth) and run.codes[0] == REGION
                if same and not (np.abs(run.regions[0] - truth) <= NEAR).all():
                    other.append(sequence.name)
    if not other:
        return []
    return [
        f"{_files(len(other))} whose first row is not the true box (the first: {other[0]}): scored"
        " as it stands; the conventions pytracking, got10k, otb and lasot put the truth there"
    ]
