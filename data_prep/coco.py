"""COCO detection: `python -m data_prep coco --source=coco --out=data/coco`.

Each image is a video of one frame, each annotation a track. Crowd regions are left out.
"""

import json
from collections.abc import Callable
from typing import Any

from data_prep.command import run
from data_prep.source import Skipped, Source, Target, Targets, Video, Videos
from siamjax.errors import UserError

SPLIT = "train2017"
INSTANCES = f"annotations/instances_{SPLIT}.json"


class Coco(Source):
    """COCO 2017.

    expected are annotations/instances_train2017.json and train2017/*.jpg
    """

    name = "coco"
    official = (("images", 118_287), ("boxes", 860_001))
    image_folder = SPLIT

    def instances(self, read: Callable[[dict], Any]) -> Any:
        """What `read` makes of the content of the annotations' file.

        Raises:
            UserError: the folder does not have the layout, or `read` misses something in the file.
        """
        path = self.need(INSTANCES)
        self.need(SPLIT)
        try:
            return read(json.loads(path.read_bytes()))
        except ValueError as error:
            raise UserError(f"{path}: not a JSON file ({error}); download it again") from error
        except (KeyError, TypeError) as error:
            raise UserError(
                f"{path}: not COCO's instances file ({error!r} is missing); download it again"
            ) from error

    def videos(self) -> Videos:
        """One per image, also those without annotation."""
        files, boxes = self.instances(_files_and_boxes)
        for image, file in sorted(files.items(), key=lambda item: item[1]):
            name = f"{SPLIT}/{file.rsplit('.', 1)[0]}"
            yield Video(name, len(boxes[image]), [file, boxes[image]])

    def targets(self, video: Video, skipped: Skipped) -> Targets:
        """The objects of an image; the track is the annotation's number."""
        file, boxes = video.payload
        for number, crowd, box in boxes:
            if crowd:
                skipped["crowd"] += 1
                continue
            try:
                x, y, w, h = (float(v) for v in box)
            except (TypeError, ValueError):
                skipped["box is not a number"] += 1
                continue
            yield Target(str(number), 0, (x, y, x + w, y + h), f"{SPLIT}/{file}")


def _files_and_boxes(content):
    """{image: file name}, {image: [number, crowd, box] of each annotation}."""
    files = {image["id"]: image["file_name"] for image in content["images"]}
    boxes: dict = {image: [] for image in files}
    for a in content["annotations"]:
        boxes[a["image_id"]].append([a["id"], bool(a.get("iscrowd")), a["bbox"]])
    return files, boxes


if __name__ == "__main__":
    run(Coco)
