"""COCO detection: `python -m data_prep.coco --source=coco --out=data/coco`.

Each image is a video of one frame, each annotation a track. Crowd regions are left out.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from data_prep.command import main
from data_prep.source import IMAGES, Source, Target, Video, listing, read_json
from siamjax.errors import UserError, run_main

SPLIT = "train2017"
INSTANCES = f"annotations/instances_{SPLIT}.json"


class Coco(Source):
    """COCO 2017.

    expected are annotations/instances_train2017.json and train2017/*.jpg
    """

    name = "coco"
    official: ClassVar = {"images": 118_287, "boxes": 860_001}

    def instances(self, read: Callable[[dict], Any]) -> Any:
        """What `read` makes of the content of the annotations' file.

        Raises:
            UserError: the folder does not have the layout, or `read` misses something in the file.
        """
        path = self.need(INSTANCES)
        self.need(SPLIT)
        content = read_json(path)
        try:
            return read(content)
        except (KeyError, TypeError) as error:
            raise UserError(
                f"{path}: not COCO's instances file ({error!r} is missing); download it again"
            ) from error

    def videos(self) -> Iterator[Video]:
        """One per image, also those without annotation."""
        files, boxes = self.instances(_files_and_boxes)
        for image, file in sorted(files.items(), key=lambda item: item[1]):
            yield Video(
                f"{SPLIT}/{file.rsplit('.', 1)[0]}", len(boxes[image]), [file, boxes[image]]
            )

    def targets(self, video: Video, skipped: Counter) -> Iterator[Target]:
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

    def images(self) -> Iterator[str]:
        """All images of the split."""
        return (f"{SPLIT}/{file}" for file in listing(self.root / SPLIT, IMAGES))


def _files_and_boxes(content):
    """{image: file name}, {image: [number, crowd, box] of each annotation}."""
    files = {image["id"]: image["file_name"] for image in content["images"]}
    boxes: dict = {image: [] for image in files}
    for a in content["annotations"]:
        boxes[a["image_id"]].append([a["id"], bool(a.get("iscrowd")), a["bbox"]])
    return files, boxes


if __name__ == "__main__":
    run_main(lambda: main(Coco))
