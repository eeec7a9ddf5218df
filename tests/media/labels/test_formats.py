"""Files as the tools write them, and what they mean, by hand."""

import json

import cv2
import numpy as np
import pytest
from PIL import Image

from siamjax.errors import UserError
from siamjax.media import labels
from siamjax.media.labels import rle


def put(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text if isinstance(text, str) else json.dumps(text))
    return path


def image(path, size=(64, 48), value=90):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((size[1], size[0], 3), value, np.uint8))
    return path


def rows(each):
    """A track as frame: box."""
    return {int(f): [round(v, 6) for v in box] for f, box in zip(each.frames, each.boxes.tolist())}


CVAT = """<annotations><version>1.1</version>
<meta><task><id>7</id><name>yard</name><size>10</size>{more}<source>cam 1.mp4</source>
<original_size><width>64</width><height>48</height></original_size></task></meta>
{tracks}</annotations>"""
BOX = '<box frame="{}" outside="{}" occluded="0" keyframe="1" xtl="{}" ytl="2" xbr="{}" ybr="12"/>'


def cvat(path, *tracks, more=""):
    made = []
    for k, boxes in enumerate(tracks):
        inner = "".join(BOX.format(frame, outside, x, x + 10) for frame, outside, x in boxes)
        made.append(f'<track id="{k}" label="car">{inner}</track>')
    return put(path, CVAT.format(tracks="".join(made), more=more))


def test_cvat_fills_between_keyframes_up_to_where_the_target_leaves(tmp_path):
    """Keys 0, 4 (2 px a frame), outside from 6 on, back in 8; the last key holds to the end."""
    path = cvat(tmp_path / "a.xml", [(0, 0, 1), (4, 0, 9), (6, 1, 9), (8, 0, 20)])
    (video,) = labels.read(path)
    assert (video.name, video.size, video.count) == ("a", (64, 48), 10)
    (each,) = video.tracks
    x = {0: 1, 1: 3, 2: 5, 3: 7, 4: 9, 5: 9, 8: 20, 9: 20}
    assert rows(each) == {frame: [left, 2, 10, 10] for frame, left in x.items()}
    assert each.keyframe.tolist() == [f in (0, 4, 8) for f in x]
    assert each.category == "car"


def test_cvat_with_a_step_knows_the_frames_that_were_shown(tmp_path):
    more = (
        "<start_frame>0</start_frame><stop_frame>9</stop_frame><frame_filter>step=3</frame_filter>"
    )
    path = cvat(tmp_path / "a.xml", [(0, 0, 1), (6, 0, 13)], more=more)
    ((each,),) = (video.tracks for video in labels.read(path))
    assert {f: box[0] for f, box in rows(each).items()} == {0: 1, 3: 7, 6: 13, 9: 13}


def test_cvat_projects_are_a_video_per_task(tmp_path):
    tasks = "".join(
        f"<task><id>{i}</id><name>t{i}</name><size>2</size><source>{s}</source></task>"
        for i, s in ((1, "a.mp4"), (2, "b.mp4"))
    )
    inner = "".join(
        f'<track id="0" label="x" task_id="{i}">{BOX.format(0, 0, i, i + 10)}</track>'
        for i in (1, 2)
    )
    text = (
        f"<annotations><meta><project><tasks>{tasks}</tasks></project></meta>{inner}</annotations>"
    )
    first, second = labels.read(put(tmp_path / "all.xml", text))
    assert [first.name, second.name] == ["a", "b"]
    assert second.tracks[0].boxes[:, 0].tolist() == [2, 2]


def test_cvat_shapes_that_are_no_upright_boxes(tmp_path):
    """A polygon, an ellipse, a box turned by 90 degrees about its centre; points are counted."""
    shapes = [
        '<polygon frame="0" outside="0" points="1,2;5,2;3,9"/>',
        '<ellipse frame="0" outside="0" cx="10" cy="20" rx="3" ry="4"/>',
        '<box frame="0" outside="0" xtl="10" ytl="20" xbr="30" ybr="24" rotation="90"/>',
        '<points frame="0" outside="0" points="1,1"/>',
    ]
    inner = "".join(f'<track id="{k}" label="x">{s}</track>' for k, s in enumerate(shapes))
    path = put(tmp_path / "a.xml", CVAT.format(tracks=inner, more="<stop_frame>0</stop_frame>"))
    (video,) = labels.read(path)
    found = [rows(each)[0] for each in video.tracks]
    assert found == [[1, 2, 4, 7], [7, 16, 6, 8], [18, 12, 4, 20]]
    assert video.tracks[0].polygons[0].tolist() == [[1, 2], [5, 2], [3, 9]]
    assert video.skipped == {"points is no box": 1}


def test_cvat_finds_the_video_it_names(tmp_path):
    names = [f"frame_{i:06d}.png" for i in range(10)]
    for name in names:
        image(tmp_path / "images" / name)
    cvat(tmp_path / "annotations.xml", [(0, 0, 1)])
    (video,) = labels.read(tmp_path)  # an export as it is unpacked
    assert video.name == "cam 1"
    assert [path.name for path in video.images] == names


def studio(sequence, count=6, duration=0.24, video="/data/upload/3/0a1b2c3d-clip.mp4", **value):
    value |= {"framesCount": count, "duration": duration, "sequence": sequence, "labels": ["ball"]}
    region = {"type": "videorectangle", "id": "r1", "value": value, "meta": {"text": ["Bo"]}}
    region |= {"original_width": 200, "original_height": 100}
    return [{"id": 1, "data": {"video": video}, "annotations": [{"result": [region]}]}]


def key(frame, x, enabled=True, **more):
    return {"frame": frame, "enabled": enabled, "x": x, "y": 10, "width": 5, "height": 20} | more


def test_label_studio_counts_from_1_in_percent(tmp_path):
    """Shown from frame 1 to 3 (of 1..), hidden behind the disabled key 3, back in 5 to the end."""
    path = put(tmp_path / "x.json", studio([key(1, 0), key(3, 10, False), key(5, 50)]))
    (video,) = labels.read(path)
    (each,) = video.tracks
    x = {0: 0, 1: 10, 2: 20, 4: 100, 5: 100}  # 10 % of 200 px
    assert rows(each) == {frame: [left, 10, 10, 20] for frame, left in x.items()}
    assert (video.name, each.name, each.category, each.id) == ("clip", "Bo", "ball", "r1")


def test_label_studio_of_the_short_kind(tmp_path):
    task = studio([key(1, 50)])[0]
    value = task["annotations"][0]["result"][0]["value"]
    path = put(tmp_path / "x.json", [{"video": "clip.mp4", "id": 1, "box": [value]}])
    for i in range(6):
        image(tmp_path / "clip" / f"{i}.png", (200, 100))
    (video,) = labels.read(path)
    assert rows(video.tracks[0])[0] == [100, 10, 10, 20]


def test_label_studio_at_another_rate_than_the_video(tmp_path):
    """Labelled at 20 frames per second, the video has 10: key 5 (0.2 s) is frame 2."""
    writer = cv2.VideoWriter(
        str(tmp_path / "clip.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (200, 100)
    )
    for _ in range(4):
        writer.write(np.zeros((100, 200, 3), np.uint8))
    writer.release()
    sequence = [key(1, 0), key(5, 20)]
    path = put(tmp_path / "x.json", studio(sequence, 8, 0.4, "clip.avi"))
    (video,) = labels.read(path)
    assert [box[0] for box in rows(video.tracks[0]).values()] == [0, 20, 40, 40]
    assert video.fps == 10


def test_coco_with_a_filtered_list_and_ids_as_texts(tmp_path):
    """Boxes of images that are not listed, crowds and what is no number are counted."""
    content = {
        "images": [{"id": "7", "file_name": "b/1.jpg", "width": 64, "height": 48}],
        "categories": [{"id": "2", "name": "cat"}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 2, "bbox": [1, 2, 3, 4]},
            {"id": 2, "image_id": 8, "category_id": 2, "bbox": [1, 2, 3, 4]},
            {"id": 3, "image_id": 7, "category_id": 2, "bbox": [1, 2, 3, 4], "iscrowd": 1},
            {"id": 4, "image_id": 7, "category_id": 2, "bbox": [1, None, 3, 4]},
            {"id": 5, "image_id": 7, "category_id": 2, "segmentation": [[1, 1, 9, 1, 9, 5]]},
        ],
    }
    (video,) = labels.read(put(tmp_path / "some.json", content))
    assert video.name == "b/1"
    assert [rows(each)[0] for each in video.tracks] == [[1, 2, 3, 4], [1, 1, 8, 4]]
    assert {each.category for each in video.tracks} == {"cat"}
    expected = {"image is not listed": 1, "crowd": 1, "box is not a number": 1}
    assert video.skipped == expected


@pytest.mark.parametrize("where", ["track_id", "instance_id", "attributes"])
def test_coco_with_targets_is_a_video(tmp_path, where):
    annotations = []
    for i, x in enumerate((10, 12)):
        id = {"attributes": {"track_id": 5}} if where == "attributes" else {where: 5}
        made = {"id": i, "image_id": i, "category_id": 1, "bbox": [x, 2, 3, 4]}
        annotations.append(made | id)
    images = [{"id": i, "file_name": f"v/{i:03d}.jpg"} for i in range(2)]
    content = {"images": images, "annotations": annotations, "categories": []}
    (video,) = labels.read(put(tmp_path / "c.json", content))
    assert video.name == "v"
    assert [rows(each) for each in video.tracks] == [{0: [10, 2, 3, 4], 1: [12, 2, 3, 4]}]
    assert video.tracks[0].id == "5"


def test_masks_of_run_lengths(tmp_path, monkeypatch):
    """Columns of a 4 x 6 image: 5 off, 2 on, 2 off, 2 on: rows 1 and 2 of columns 1 and 2."""
    mask = {"size": [4, 6], "counts": [5, 2, 2, 2, 13]}
    pytest.importorskip("pycocotools", reason="pycocotools is not installed")
    assert rle.box(mask) == (1, 1, 2, 2)
    assert rle.box({"size": [4, 6], "counts": [24]}) is None
    monkeypatch.setitem(__import__("sys").modules, "pycocotools", None)
    with pytest.raises(UserError, match=r"masks need it: pip install -e '\S+\[labels\]'"):
        rle.box(mask)


def test_youtube_vis_has_nothing_where_a_target_is_hidden(tmp_path):
    content = {
        "videos": [{"id": 1, "file_names": ["v/0.jpg", "v/5.jpg", "v/10.jpg"], "width": 9,
                    "height": 8, "length": 3}],
        "categories": [{"id": 1, "name": "fox"}],
        "annotations": [
            {"id": 4, "video_id": 1, "category_id": 1, "bboxes": [[1, 2, 3, 4], None, [2, 2, 3, 4]]}
        ],
    }  # fmt: skip
    (video,) = labels.read(put(tmp_path / "y.json", content))
    assert (video.name, video.count, video.size) == ("v", 3, (9, 8))
    assert rows(video.tracks[0]) == {0: [1, 2, 3, 4], 2: [2, 2, 3, 4]}


VOC = """<annotation><folder>f</folder><filename>a.jpg</filename>
<size><width>64</width><height>48</height></size>
<object><name>cat</name>{id}<bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax>
</bndbox></object></annotation>"""


def test_voc_names_the_first_and_the_last_pixel_from_1(tmp_path):
    path = put(tmp_path / "a.xml", VOC.format(1, 1, 64, 48, id=""))
    (video,) = labels.read(path)
    assert rows(video.tracks[0]) == {0: [0, 0, 64, 48]}
    for i in range(2):
        text = VOC.format(11 + i, 5, 20 + i, 9, id="<trackid>3</trackid>")
        put(tmp_path / "Annotations" / "v" / f"{i:06d}.xml", text)
    (video,) = labels.read(tmp_path)
    assert (video.name, video.tracks[0].id) == ("v", "3")
    assert rows(video.tracks[0]) == {0: [10, 4, 10, 5], 1: [11, 4, 10, 5]}


@pytest.mark.parametrize("names", ["names: [a, b]", "names:\n  0: a\n  1: b"])
def test_yolo(tmp_path, names):
    """Centres in fractions of 64 x 48; an outline; a line that is none; an image that is lost."""
    put(tmp_path / "data.yaml", f"train: images/train\n{names}\n")
    image(tmp_path / "images/train/1.jpg")
    text = "1 0.5 0.5 0.25 0.5\n0 0.25 0.25 0.5 0.25 0.5 0.75\nx 1 1 1 1\n"
    put(tmp_path / "labels/train/1.txt", text)
    put(tmp_path / "labels/train/2.txt", "0 0.5 0.5 0.25 0.5\n")
    (video,) = labels.read(tmp_path)
    assert video.name == "train/1"
    assert [each.category for each in video.tracks] == ["b", "a"]
    assert [rows(each)[0] for each in video.tracks] == [[24, 12, 16, 24], [16, 12, 16, 24]]
    assert video.skipped == {"line is not a box": 1, "image is missing": 1}


def test_yolo_beside_the_images(tmp_path):
    """As labelImg and Label Studio write it."""
    put(tmp_path / "classes.txt", "ball\n")
    image(tmp_path / "1.jpg")
    put(tmp_path / "1.txt", "0 0.5 0.5 0.25 0.5\n")
    assert labels.detect(tmp_path) == "yolo"
    (video,) = labels.read(tmp_path)
    assert (video.tracks[0].category, rows(video.tracks[0])[0]) == ("ball", [24, 12, 16, 24])


def mot17(folder, text):
    put(folder / "gt/gt.txt", text)
    ini = "[Sequence]\nname=x\nimDir=img1\nframeRate=30\nseqLength=3\nimWidth=64\nimHeight=48\n"
    put(folder / "seqinfo.ini", ini)


def test_mot_challenge(tmp_path):
    """Frames, ids and px from 1; what is not scored and wholly hidden boxes are counted; MOT17's
    three detectors have one truth."""
    text = "1,2,11,21,5,6,1,1,1\n2,2,12,21,5,6,1,1,0.4\n3,2,13,21,5,6,1,1,0\n1,3,1,1,5,6,0,8,1\n"
    for detector in ("DPM", "FRCNN", "SDP"):
        mot17(tmp_path / "train" / f"MOT17-02-{detector}", text)
    (video,) = labels.read(tmp_path)
    assert (video.name, video.size, video.fps, video.count) == ("MOT17-02-DPM", (64, 48), 30, 3)
    (each,) = video.tracks
    assert rows(each) == {0: [10, 20, 5, 6], 1: [11, 20, 5, 6]}
    assert (each.id, each.category, each.occluded.tolist()) == ("2", "pedestrian", [False, True])
    assert video.skipped == {"confidence is 0": 1, "wholly occluded": 1}


def test_mot15_has_places_in_the_world_and_no_class(tmp_path):
    mot17(tmp_path / "a", "1.0,1,50,191,61,141,1,-5.0036,11.913,0.69979\n")
    (video,) = labels.read(tmp_path / "a")
    assert (video.tracks[0].category, rows(video.tracks[0])) == ("", {0: [49, 190, 61, 141]})


@pytest.mark.parametrize("layout", ["480p", ""])
def test_masks_of_palette_numbers(tmp_path, layout):
    """DAVIS with, YouTube-VOS without a folder of the resolution: two targets, void between."""
    values = np.zeros((48, 64), np.uint8)
    values[2:5, 10:20], values[10:12, 30:31], values[40:, 50:] = 1, 2, 255
    mask = Image.fromarray(values, "P")
    mask.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0] + [255] * 759)
    folder = tmp_path / "Annotations" / layout / "bear"
    folder.mkdir(parents=True)
    mask.save(folder / "00005.png")
    for number in ("00000", "00005"):
        image(tmp_path / "JPEGImages" / layout / "bear" / f"{number}.jpg")
    if not layout:
        objects = {"1": {"category": "bear", "frames": ["00005"]}}
        put(tmp_path / "meta.json", {"videos": {"bear": {"objects": objects}}})
    (video,) = labels.read(tmp_path)
    assert [rows(each) for each in video.tracks] == [{1: [10, 2, 10, 3]}, {1: [30, 10, 1, 2]}]
    assert video.tracks[0].category == ("" if layout else "bear")
    assert video.size == (64, 48)


def test_grey_masks_have_one_target(tmp_path):
    values = np.zeros((48, 64), np.uint8)
    values[2:5, 10:20] = 255
    for i, mask in enumerate((values, 0 * values)):
        (tmp_path / "Annotations/480p/a").mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / f"Annotations/480p/a/{i:05d}.png"), mask)
        image(tmp_path / f"JPEGImages/480p/a/{i:05d}.jpg")
    (video,) = labels.read(tmp_path)
    assert [(each.id, rows(each)) for each in video.tracks] == [("1", {0: [10, 2, 10, 3]})]
    with pytest.raises(UserError, match="masks: read only; write one of csv,"):
        labels.write([video], "masks", tmp_path / "out")


def shape(points, kind="rectangle", label="cat", **more):
    return {"label": label, "points": points, "shape_type": kind, "flags": {}} | more


def test_labelme(tmp_path):
    """Corners in any order, a circle by centre and rim, an outline; a point is none."""
    shapes = [
        shape([[20, 30], [10, 5]], group_id=4),
        shape([[10, 10], [13, 14]], "circle"),
        shape([[1, 2], [5, 2], [3, 9]], "polygon"),
        shape([[1, 2]], "point"),
    ]
    content = {"shapes": shapes, "imagePath": "..\\img\\1.jpg", "imageWidth": 64, "imageHeight": 48}
    (video,) = labels.read(put(tmp_path / "1.json", content))
    assert rows(video.tracks[0]) == {0: [10, 5, 10, 25]}
    boxes = sorted(rows(each)[0] for each in video.tracks)
    assert boxes == [[1, 2, 4, 7], [5, 5, 10, 10], [10, 5, 10, 25]]
    assert video.skipped == {"point is no box": 1}


def test_vot_polygons_masks_and_empty_rows(tmp_path):
    """A square on its tip has half the area of its extent; "m" is a mask; 0 and NaN are nothing."""
    put(tmp_path / "list.txt", "bag\n")
    text = "0,5,5,0,10,5,5,10\nm3,4,5,6,0,30\n0\nnan,nan,nan,nan\n\n1,2,3,4\n"
    put(tmp_path / "bag" / "groundtruth.txt", text)
    (video,) = labels.read(tmp_path)
    side = 10 * np.sqrt(0.5)
    expected = {0: [5 - side / 2] * 2 + [side] * 2, 1: [3, 4, 5, 6], 5: [1, 2, 3, 4]}
    found = rows(video.tracks[0])
    assert found.keys() == expected.keys()
    for frame in expected:
        np.testing.assert_allclose(found[frame], expected[frame], atol=1e-6)


@pytest.mark.parametrize(
    "head",
    [
        "frame,target,x,y,w,h",
        "frame,x,y,w,h",
        "frame,target,x,y,w,h,score,second_peak,lost",
        "frame,target,x,y,w,h,score,second_peak,lost,presence",
    ],
)
def test_a_table_with_a_header_is_one_as_txt_too(tmp_path, head):
    """Before: read as MOT's text, which counts from 1; its first frame was left out, and boxes were
    a frame and a pixel off."""
    rest = {"frame": 0, "x": 10, "y": 20, "w": 30, "h": 40, "score": 0.5}
    lines = [
        [str(rest.get(name, 0) + (name == "frame") * i) for name in head.split(",")]
        for i in range(3)
    ]
    text = "\n".join([head, *map(",".join, lines)]) + "\n"
    for name in ("a.csv", "b.txt"):
        path = put(tmp_path / name, text)
        (video,) = labels.read(path)
        (each,) = video.tracks
        assert rows(each) == {i: [10, 20, 30, 40] for i in range(3)}
        assert not sum(video.skipped.values())


def test_tables_of_other_headers(tmp_path):
    path = put(tmp_path / "a.csv", "id;frame;xmin;ymin;xmax;ymax\nBo;0;1;2;4;6\nBo;3;2;2;5;6\n")
    (video,) = labels.read(path)
    assert [(each.id, rows(each)) for each in video.tracks] == [
        ("Bo", {0: [1, 2, 3, 4], 3: [2, 2, 3, 4]})
    ]
    path = put(tmp_path / "b.csv", "1,2,3,4\n,,,\n5,6,7,8\n")
    (video,) = labels.read(path)
    assert rows(video.tracks[0]) == {0: [1, 2, 3, 4], 2: [5, 6, 7, 8]}


BROKEN = {
    "a.xml": "<annotations><track>",
    "b.xml": '<annotations><track id="0" label="x"><box frame="0" xtl="a"/></track></annotations>',
    "a.json": '{"images": [',
    "b.json": '{"images": [{}], "annotations": []}',
    "c.json": '{"videos": [{"file_names": ["a"]}], "annotations": [{}]}',
    "d.json": '{"shapes": [{"label": "x"}]}',
    "e.json": '[{"annotations": [{"result": [{"value": {"sequence": [{}]}}]}]}]',
    "f.json": '{"video": "a", "targets": [{}]}',
    "g.json": "[" * 100_000,
    "h.json": '{"unknown": 1}',
    "a.csv": "a,b\n1,2\n",
    "a.txt": "1,2,x,4\n",
    "a.doc": "text",
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_are_named_in_one_line(tmp_path, name):
    path = put(tmp_path / name, BROKEN[name])
    with pytest.raises(UserError) as caught:
        labels.read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("box", "said"),
    [
        ('<box frame="2" xtl="1" ytl="1" xbr="2"/>', "track 7, frame 2: ybr is missing"),
        ('<box frame="2" xtl="a" ytl="1" xbr="2" ybr="3"/>', "track 7, frame 2: could not convert"),
        ('<box xtl="1" ytl="1" xbr="2" ybr="3"/>', "track 7, frame without a number: frame is mis"),
    ],
)
def test_a_broken_box_of_cvat_is_named(tmp_path, box, said):
    """Before: "not CVAT's XML 1.1 (KeyError('ybr'))"."""
    text = f'<annotations><track id="7" label="x">{box}</track></annotations>'
    with pytest.raises(UserError, match=rf"a\.xml: not CVAT's XML 1\.1.* \({said}"):
        labels.read(put(tmp_path / "a.xml", text))


HUGE = {
    "a.xml": CVAT.format(
        more="", tracks=f'<track id="0" label="x">{BOX.format(0, 0, 1, 11)}'
        f"{BOX.format(10**12, 0, 1, 11)}</track>"
    ),
    "b.xml": CVAT.format(
        more=f"<stop_frame>{10**12}</stop_frame>",
        tracks=f'<track id="0" label="x">{BOX.format(0, 0, 1, 11)}</track>',
    ),
    "c.xml": CVAT.format(
        more="", tracks=f'<track id="0" label="x">{BOX.format(-3, 0, 1, 11)}</track>'
    ),
    "a.json": json.dumps(studio([key(1, 0), key(10**12, 0)])),
}  # fmt: skip


@pytest.mark.parametrize("name", HUGE)
def test_frame_numbers_of_no_video_are_refused_at_once(tmp_path, name):
    """They would fill the memory with interpolated boxes."""
    path = put(tmp_path / name, HUGE[name])
    with pytest.raises(UserError, match=r"export it again") as caught:
        labels.read(path)
    assert str(path) in str(caught.value)


def test_boxes_that_are_no_numbers_and_frames_before_the_first_are_counted(tmp_path):
    images = [{"id": 0, "file_name": "v/0.jpg", "frame_index": -1, "video_id": 1}]
    images += [{"id": 1, "file_name": "v/1.jpg", "frame_index": 1, "video_id": 1}]
    boxes = [{"image_id": i, "track_id": 1, "bbox": [1, 2, 3, 4]} for i in (0, 1)]
    content = {"videos": [{"id": 1, "name": "v"}], "images": images, "annotations": boxes}
    (video,) = labels.read(put(tmp_path / "a.json", content))
    assert rows(video.tracks[0]) == {1: [1, 2, 3, 4]}
    assert video.skipped == {"frame number is none of a video": 1}
    cvat(tmp_path / "b.xml", [(0, 0, float("nan")), (1, 0, 5), (2, 1, 5)])
    (video,) = labels.read(tmp_path / "b.xml")
    assert rows(video.tracks[0]) == {1: [5, 2, 10, 10]}
    assert video.skipped == {"box is not a number": 1}


def test_an_archive_is_to_be_unpacked(tmp_path):
    with pytest.raises(UserError, match=r"task\.zip: an archive; unpack it"):
        labels.read(put(tmp_path / "task.zip", "PK"))


def test_a_video_is_no_labels(tmp_path):
    """Before: `siamjax labels clip.mp4` listed the formats."""
    (tmp_path / "clip.mp4").write_bytes(b"any")
    with pytest.raises(UserError, match=r"clip\.mp4: a video; name its labels, or the folder"):
        labels.read(tmp_path / "clip.mp4")


INFINITE = {"id": 1, "file_name": "v/1", "frame_index": float("inf")}
FOREIGN = {
    "yolo/data.yaml": (b"names: [a, \xba]\n", ""),
    "mot/gt/labels.txt": (b"caf\xe9\n", ""),
    "mot/seqinfo.ini": (b"[Sequence]\nframeRate=x\nimWidth=3t\nseqLength=\n", ""),
    "vot/list.txt": (b"b\xccg\n", "no video in it"),
    "a.xml": (b'<?xml version="1.0" encoding="u"?><annotations/>', "not an XML file"),
    "a.json": (json.dumps({"images": [INFINITE], "annotations": []}).encode(), "export it again"),
    "a.mot": (b"inf,1,1,2,3,4\n1,1,1,2,3,4,1,nan,1\n", ""),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_bytes_and_numbers(tmp_path, name):
    """Found by damaging files at random: read, or refused in one line."""
    put(tmp_path / "mot" / "gt" / "gt.txt", "1,1,1,2,3,4,1,1,1\n")
    image(tmp_path / "yolo" / "images" / "1.jpg")
    put(tmp_path / "yolo" / "labels" / "1.txt", "0 0.5 0.5 0.5 0.5\n")
    path, (content, message) = tmp_path / name, FOREIGN[name]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    source = tmp_path / name.split("/")[0]
    if message:
        with pytest.raises(UserError, match=message):
            labels.read(source)
    else:
        assert sum(video.boxes for video in labels.read(source)) == 1


@pytest.mark.parametrize("name", ["yolo", "masks", "motchallenge"])
def test_formats_that_are_folders(tmp_path, name):
    with pytest.raises(UserError, match=r"a\.txt: labels of this format are a folder; name it"):
        labels.read(put(tmp_path / "a.txt", "0 0.5 0.5 0.1 0.1\n"), name)


def test_yolo_of_darknet(tmp_path):
    """As CVAT exports YOLO 1.1."""
    put(tmp_path / "obj.names", "cat\ndog\n")
    put(tmp_path / "obj.data", "classes = 2\n")
    put(tmp_path / "train.txt", "data/obj_train_data/frame_000000.jpg\n")
    image(tmp_path / "obj_train_data" / "frame_000000.jpg")
    put(tmp_path / "obj_train_data" / "frame_000000.txt", "1 0.5 0.5 0.25 0.5\n")
    (video,) = labels.read(tmp_path)
    assert (video.tracks[0].category, rows(video.tracks[0])[0]) == ("dog", [24, 12, 16, 24])


def test_label_studio_at_about_the_rate_of_the_video(tmp_path):
    """A duration is not exact: 9.9 for 10 frames per second moves nothing."""
    writer = cv2.VideoWriter(
        str(tmp_path / "clip.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (200, 100)
    )
    for _ in range(200):
        writer.write(np.zeros((100, 200, 3), np.uint8))
    writer.release()
    sequence = [key(151, 10, False)]
    path = put(tmp_path / "x.json", studio(sequence, 200, 20.2, "clip.avi"))
    (video,) = labels.read(path)
    assert rows(video.tracks[0]).keys() == {150}
    assert video.length == 200


def test_cvat_without_a_size_of_its_task(tmp_path):
    """The last key holds up to a stated end alone."""
    box = BOX.format(2, 0, 1, 11)
    inner = f'<track id="0" label="x">{box}</track>'
    for meta, last in (("", 2), ("<size>5</size>", 4), ("<stop_frame>3</stop_frame>", 3)):
        text = f"<annotations><meta><task>{meta}</task></meta>{inner}</annotations>"
        (video,) = labels.read(put(tmp_path / "a.xml", text))
        assert list(rows(video.tracks[0])) == list(range(2, last + 1))
