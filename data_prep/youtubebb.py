"""YouTube-BoundingBoxes: `python -m data_prep youtubebb --source=ytbb --out=data/youtubebb`.

The boxes of the CSV file are fractions of the frame; they become pixels here, so that the shape of
a target is the one in the image. A track is one object of one class of a video.
"""

from data_prep.command import run
from data_prep.source import Skipped, Source, Target, Targets, Video, Videos
from siamjax.errors import UserError

SPLIT = "yt_bb_detection_train"
FIELDS = 10


class Youtubebb(Source):
    """YouTube-BoundingBoxes.

    expected are yt_bb_detection_train.csv and
    yt_bb_detection_train/<class>/<youtube id>_<ms>_<class>_<object>.jpg
    """

    name = "youtubebb"
    image_folder = SPLIT
    pixel = 0.0

    def videos(self) -> Videos:
        """One per YouTube id."""
        path = self.need(f"{SPLIT}.csv")
        self.need(SPLIT)
        # Millions of rows: as text they take a fraction of the memory of their fields.
        rows: dict[str, list[str]] = {}
        with open(path, errors="replace") as file:
            for number, line in enumerate(file, 1):
                fields = line.count(",") + 1
                if fields != FIELDS:
                    raise UserError(
                        f"{path}, line {number}: {fields} fields, not the {FIELDS} of the"
                        " detection set; download it again"
                    )
                name, rest = line.rstrip("\n").split(",", 1)
                rows.setdefault(name, []).append(rest)
        for name in sorted(rows):
            yield Video(name, len(rows[name]), rows[name])

    def targets(self, video: Video, skipped: Skipped) -> Targets:
        """All objects in the order of time; boxes are fractions until the frame is read."""
        numbered = []
        for row in video.payload:
            ms, class_, _, object_, presence, *sides = row.split(",")
            if presence != "present":
                skipped["absent"] += 1
                continue
            try:
                x1, x2, y1, y2 = (float(side) for side in sides)
                numbered.append((int(ms), class_, object_, (x1, y1, x2, y2)))
            except ValueError:
                skipped["box is not a number"] += 1
        for ms, class_, object_, box in sorted(numbered):
            image = f"{SPLIT}/{class_}/{video.name}_{ms}_{class_}_{object_}.jpg"
            yield Target(f"{class_}_{object_}", ms, box, image, class_)

    def frames(self, video, targets):
        """The frames, with the boxes in pixels."""
        for target, image in super().frames(video, targets):
            if image is not None:
                height, width = image.shape[:2]
                x1, y1, x2, y2 = target.box
                box = (x1 * width, y1 * height, x2 * width, y2 * height)
                target = target._replace(box=box)
            yield target, image


if __name__ == "__main__":
    run(Youtubebb)
