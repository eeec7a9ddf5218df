"""What `tfds.builder_from_directory` needs beside the shards, written without TensorFlow."""

import json
from collections.abc import Sequence
from pathlib import Path

from siamjax.files import write_whole


def write(folder: Path, name: str, crop: int, files: Sequence[dict]) -> None:
    """Writes `features.json` and `dataset_info.json`.

    Args:
        folder: the data set's folder.
        name: of the data set.
        crop: side of the crops, px.
        files: records and bytes of each shard.

    Raises:
        UserError: a file cannot be written.
    """
    info = {
        "name": name,
        "version": "1.0.0",
        "description": "Context crops of siamjax.",
        "fileFormat": "tfrecord",
        "moduleName": "data_prep",
        "splits": [
            {
                "name": "train",
                "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
                "shardLengths": [str(file["records"]) for file in files],
                "numBytes": str(sum(file["bytes"] for file in files)),
            }
        ],
    }
    for file, content in (("features.json", features(crop)), ("dataset_info.json", info)):
        write_whole(folder / file, json.dumps(content, indent=2) + "\n")


def faults(folder: Path, crop: int, counts: Sequence[int]) -> list[str]:
    """What is wrong with the two files.

    Args:
        folder: the data set's folder.
        crop: side of the crops, px.
        counts: records of each shard.

    Returns:
        A line per file that is missing, damaged or of another data set.
    """

    def lengths(content):
        (split,) = content["splits"]
        return split["shardLengths"]

    lines = []
    expected = [str(count) for count in counts]
    for file, right in (
        ("dataset_info.json", lambda content: lengths(content) == expected),
        ("features.json", lambda content: _sides(content) == [str(crop), str(crop), "3"]),
    ):
        try:
            fine = right(json.loads((folder / file).read_bytes()))
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            fine = False
        if not fine:
            lines.append(f"{folder / file}: missing, damaged or not of these shards")
    return lines


def _sides(content):
    """Of the images, from `features.json`."""
    features = content["featuresDict"]["features"]["image"]["featuresDict"]["features"]
    return features["encoded"]["image"]["shape"]["dimensions"]


def features(crop: int) -> dict:
    """The features of a record, as in `features.json`."""
    image = {"shape": _shape(crop, crop, 3), "dtype": "uint8", "encodingFormat": "jpeg"}
    text = _feature("text_feature.Text", text={})
    return _group(
        image=_group(encoded=_feature("image_feature.Image", image=image)),
        video=text,
        track=text,
        frame=_feature("scalar.Scalar", tensor=_tensor({}, "int64")),
        size=_feature("tensor_feature.Tensor", tensor=_tensor(_shape(2), "float32")),
    )


def _group(**features):
    return _feature("features_dict.FeaturesDict", featuresDict={"features": features})


def _feature(kind, **content):
    return {"pythonClassName": f"tensorflow_datasets.core.features.{kind}", **content}


def _tensor(shape, dtype):
    return {"shape": shape, "dtype": dtype, "encoding": "none"}


def _shape(*sides):
    return {"dimensions": [str(side) for side in sides]}
