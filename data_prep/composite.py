"""Clips from still photographs: `python -m data_prep composite --source=coco --out=data/composite`.

Objects of COCO are cut out by their outlines and pasted, turned, stretched, lit and partly covered,
into other images of COCO, beside other objects, half of them of their own category: pairs of frames
with exact boxes, and many more of them than there are images ("crop, transform, paste",
arXiv 2106.10900). In part of the clips objects of the target's category pass in front of it, it is
small and blurred, changes its aspect, or bends. Every object is the target of one clip in each
round; another object of the clip, of the same category if there is one, is a second target, for
negative pairs that look alike (`data.distractor`). `--limit` bounds the number of clips.
"""

import itertools

import numpy as np

from data_prep import cutouts, pasting
from data_prep.coco import INSTANCES, SPLIT, Coco, files_by_id
from data_prep.command import run
from data_prep.source import Skipped, Target, Targets, Video, Videos, read_image
from siamjax.errors import UserError

FRAMES = 4  # of a clip
TARGETS = 2  # of a clip, at most
ROUNDS = 12  # clips of each object
SMALLEST = 20  # px, width and height of the objects that are cut out
OTHERS = (2, 5)  # other objects in a clip: at least, at most
SAME = 0.5  # probability that one of them, but the first, is drawn from the target's category
# share of the clips that have a style of `data_prep.pasting`
STYLES = {"plain": 0.3, "crossing": 0.3, "small": 0.15, "aspect": 0.1, "bent": 0.15}
EDGE = 2  # px; an object nearer to its image's edge is likely to be cut off there


class Composite(Coco):
    """Objects of COCO 2017, pasted into other images of it.

    expected are annotations/instances_train2017.json and train2017/*.jpg
    """

    name = "composite"
    official = ()
    code = ("data_prep.cutouts", "data_prep.pasting", "siamjax.synthetic.drawing")

    def videos(self) -> Videos:
        """One per round and object: all objects once, then all of them again."""
        objects, images = self.instances(_objects_and_images)
        if not objects:
            raise UserError(
                f"{self.root / INSTANCES}: no whole object of {SMALLEST} px or more in it"
            )
        alike: dict[int, list[int]] = {}
        for i, thing in enumerate(objects):
            alike.setdefault(thing["category"], []).append(i)
        for round_ in range(ROUNDS):
            for i in np.random.default_rng((0, round_)).permutation(len(objects)).tolist():
                rng = np.random.default_rng((1, round_, i))
                scene = images[int(rng.integers(len(images)))]
                style = rng.choice(list(STYLES), p=list(STYLES.values())).item()
                used = [i]
                for number in range(int(rng.integers(OTHERS[0], OTHERS[1] + 1))):
                    same = number == 0 or style == "crossing" or rng.random() < SAME
                    others = alike[objects[i]["category"]] if same else range(len(objects))
                    other = others[int(rng.integers(len(others)))]
                    if other not in used:
                        used.append(other)
                things = [objects[k] for k in used]
                clip = {"seed": [2, round_, i], "scene": scene, "objects": things, "style": style}
                yield Video(f"{things[0]['id']}-{round_}", TARGETS * FRAMES, clip)

    def targets(self, video: Video, skipped: Skipped) -> Targets:
        """The targets of each frame that are seen; as its image the scene's."""
        file, *size = video.payload["scene"]
        for number, frame in enumerate(_plan(video)):
            others = (pasting.seen_box(frame, k, size) for k in range(1, TARGETS))
            for track, box in enumerate([frame.box, *others]):
                if box is not None:
                    category = str(video.payload["objects"][track]["category"])
                    edges = tuple(map(float, box))
                    yield Target(str(track), number, edges, f"{SPLIT}/{file}", category)

    def frames(self, video, targets):
        """The painted frames; None where one of the clip's photographs is not readable."""
        clip, painter = video.payload, None
        files = [clip["scene"][0], *(thing["file"] for thing in clip["objects"])]
        images = {file: read_image(self.root / SPLIT / file) for file in set(files)}
        if all(image is not None for image in images.values()):
            scene, *photographs = (images[file] for file in files)
            outlines = [thing["outline"] for thing in clip["objects"]]
            painter = cutouts.Painter(clip["seed"], scene, photographs, outlines, clip["style"])
        plan = _plan(video)
        for number, of_frame in itertools.groupby(targets, lambda target: target.frame):
            painted = painter and painter.paint(plan[number], number)
            for target in of_frame:
                yield target, painted


def _objects_and_images(content):
    """What can be cut out, and [file, width, height] of all images."""
    images = {
        image: [entry["file_name"], entry["width"], entry["height"]]
        for image, entry in files_by_id(content).items()
    }
    objects = []
    for a in content["annotations"]:
        if str(a["image_id"]) not in images:  # of a list that was filtered
            continue
        file, width, height = images[str(a["image_id"])]
        whole = not a.get("iscrowd") and isinstance(a["segmentation"], list)
        if whole and _usable(a["bbox"], width, height):
            outline = [[round(v, 1) for v in part] for part in a["segmentation"]]
            thing = {"id": a["id"], "category": a["category_id"], "file": file}
            objects.append(thing | {"outline": outline})
    return objects, sorted(images.values())


def _usable(box, width, height):
    """Whether an object is large enough and lies whole in its image."""
    x, y, w, h = box
    inside = min(x, y, width - x - w, height - y - h) >= EDGE
    return inside and min(w, h) >= SMALLEST


def _plan(video):
    clip = video.payload
    outlines = [thing["outline"] for thing in clip["objects"]]
    size = tuple(clip["scene"][1:])
    return pasting.plan(clip["seed"], size, outlines, FRAMES, clip["style"])


if __name__ == "__main__":
    run(Composite)
