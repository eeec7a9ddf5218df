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
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path}: not a JSON file ({error}); download it again") from error
        except (LookupError, TypeError, AttributeError) as error:
            raise UserError(
                f"{path}: not COCO's instances file ({error!r} is missing); download it again"
            ) from error

    def videos(self) -> Videos:
        """One per image, also those without annotation."""
        files, boxes, strays = self.instances(_files_and_boxes)
        for image, file in sorted(files.items(), key=lambda item: item[1]):
            name = f"{SPLIT}/{file.rsplit('.', 1)[0]}"
            yield Video(name, len(boxes[image]), [file, boxes[image], strays])
            strays = 0  # counted with the first image

    def targets(self, video: Video, skipped: Skipped) -> Targets:
        """The objects of an image; the track is the annotation's number."""
        file, boxes, strays = video.payload
        skipped["image is not in the file"] += strays
        for number, crowd, box, category in boxes:
            if crowd:
                skipped["crowd"] += 1
                continue
            try:
                x, y, w, h = (float(v) for v in box)
            except (TypeError, ValueError):
                skipped["box is not a number"] += 1
                continue
            yield Target(str(number), 0, (x, y, x + w, y + h), f"{SPLIT}/{file}", category)


def files_by_id(content: dict) -> dict[str, dict]:
    """The images of an instances file by their numbers, which some programs write as text.

    Raises:
        UserError: two images of one number.
    """
    images = {str(image["id"]): image for image in content["images"]}
    if len(images) < len(content["images"]):
        raise UserError(f"{INSTANCES}: two images have the same id; give each its own")
    return images


def _files_and_boxes(content):
    """{image: file name}, {image: [number, crowd, box, category] of each annotation}, and how many
    boxes lie in images that are not in the file."""
    files = {image: entry["file_name"] for image, entry in files_by_id(content).items()}
    boxes: dict = {image: [] for image in files}
    strays = 0
    for n, a in enumerate(content["annotations"]):
        if str(a["image_id"]) in boxes:
            one = [a.get("id", f"row {n}"), bool(a.get("iscrowd")), a.get("bbox")]
            boxes[str(a["image_id"])].append([*one, str(a.get("category_id", ""))])
        else:
            strays += 1
    return files, boxes, strays


if __name__ == "__main__":
    run(Coco)
