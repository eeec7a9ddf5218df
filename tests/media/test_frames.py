"""Image files: which of a folder's are frames, in which order, and their pixels."""

import io
import os

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from data_prep import source
from siamjax.errors import UserError
from siamjax.media import read_video
from siamjax.media.frames import decode_image, image_names, read_image


def touch(folder, *names):
    for name in names:
        (folder / name).write_bytes(b"")


def encoded(image, kind, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    "ordered",
    [
        [f"frame_{i}.png" for i in range(1, 31)],
        [f"{i}.jpg" for i in range(40)],
        ["0001.jpg", "0002.JPG", "0003.jpeg", "0004.PNG"],
        ["a.png", "b.png", "frame.png", "frame1.png", "frame2.png"],
        [f"clip_{i}_v2.png" for i in (1, 2, 9, 10, 11)],
    ],
)
def test_images_are_ordered_by_number(tmp_path, ordered):
    """Before: `siamjax track` sorted as text, frames 1, 10, 11, ..., 2, while eval took numbers."""
    touch(tmp_path, *sorted(ordered))
    assert image_names(tmp_path) == ordered


@pytest.mark.parametrize(
    "ordered",
    [
        # Roboflow's names end in digits of a hash
        ["img_0001_jpg.rf.8a.jpg", "img_0002_jpg.rf.1b7.jpg", "img_0010_jpg.rf.3.jpg"],
        ["2024-01-05_12-30-59.png", "2024-01-05_12-31-02.png"],
        ["shot1_1.png", "shot1_2.png", "shot2_1.png", "shot10_1.png"],
    ],
)
def test_all_numbers_of_a_name_count(tmp_path, ordered):
    """Before: by the last number alone, `list_images` gave 3.jpg, 1b7.jpg, 8a.jpg and
    12-31-02 before 12-30-59."""
    touch(tmp_path, *ordered)
    assert image_names(tmp_path) == ordered


@given(st.lists(st.integers(0, 10**12), unique=True, min_size=1, max_size=20), st.randoms())
@settings(max_examples=50, deadline=None)
def test_order_is_that_of_the_numbers(tmp_path_factory, numbers, random):
    folder = tmp_path_factory.mktemp("numbers")
    touch(folder, *(f"im{n:0{random.choice([1, 4, 15])}d}.png" for n in numbers))
    assert [int(name[2:-4]) for name in image_names(folder)] == sorted(numbers)


def test_files_of_the_system_are_no_frames(tmp_path):
    """Before: `siamjax track` gave "._0001.jpg: not a readable image; repair or remove this frame",
    exit code 2."""
    touch(tmp_path, "._0001.jpg", ".DS_Store", "Thumbs.db", "desktop.ini", "notes.txt")
    for i in range(3):
        cv2.imwrite(str(tmp_path / f"{i + 1:04d}.jpg"), np.full((8, 8, 3), 60 * i, np.uint8))
    assert [int(frame.mean().round()) for frame in read_video(tmp_path)] == [0, 60, 120]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_as_displayed(tmp_path, kind, orientation):
    """Pillow's `exif_transpose` says how; preparation of training data reads the same pixels.

    Before: `data_prep.source.read_image` gave (40, 60, 3) for a JPEG that is shown, and read by
    eval, as (60, 40, 3), so that crops were taken at wrong places.
    """
    pixels = np.random.default_rng(0).integers(0, 255, (2, 3, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x112] = orientation
    options = {"JPEG": {"quality": 95}, "WEBP": {"lossless": True}}.get(kind, {})
    data = encoded(Image.fromarray(pixels).resize((48, 32), 0), kind, exif=exif, **options)
    shown = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    expected = np.asarray(shown)[..., ::-1].astype(int)
    path = tmp_path / "0001.img"
    path.write_bytes(data)
    for image in (read_image(path), source.read_image(path)):
        assert image.shape == expected.shape
        assert np.abs(image - expected).mean() < 6


def test_a_single_image_is_shown_as_it_is_in_a_folder(tmp_path):
    """Before: `read_video("turned.jpg")` gave (40, 60, 3): FFmpeg does not turn it."""
    exif = Image.Exif()
    exif[0x112] = 6
    image = Image.fromarray(np.zeros((40, 60, 3), np.uint8))
    (tmp_path / "turned.jpg").write_bytes(encoded(image, "JPEG", exif=exif))
    assert [frame.shape for frame in read_video(tmp_path / "turned.jpg")] == [(60, 40, 3)]


def flat(values, dtype=np.uint8):
    return np.broadcast_to(np.asarray(values, dtype), (8, 12, len(values))).copy()


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_sixteen_bits_are_scaled_to_eight(suffix):
    grey = cv2.imencode(suffix, flat([0x1234], np.uint16))[1]
    colour = cv2.imencode(suffix, flat([0x1234, 0x56FF, 0xFFFF], np.uint16))[1]
    assert decode_image(grey.tobytes())[0, 0].tolist() == [0x12] * 3
    expected = [0x12, 0x56 + (suffix == ".tiff"), 0xFF]  # a TIFF is rounded
    assert decode_image(colour.tobytes())[0, 0].tolist() == expected


@pytest.mark.parametrize("mode, value", [("L", 77), ("LA", (77, 10)), ("1", 1), ("P", 3)])
def test_grey_and_palettes_have_three_channels(mode, value):
    image = Image.new(mode, (12, 8), value)
    if mode == "P":
        image.putpalette([0, 0, 0] * 3 + [10, 20, 30])
    expected = [30, 20, 10] if mode == "P" else [255 if mode == "1" else 77] * 3
    assert decode_image(encoded(image, "PNG"))[0, 0].tolist() == expected


@pytest.mark.parametrize("alpha", [0, 128, 255])
@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_transparency_is_dropped(kind, alpha):
    image = Image.fromarray(flat([10, 100, 200, alpha]))
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    assert decode_image(encoded(image, kind, **options))[0, 0].tolist() == [200, 100, 10]


def test_a_transparent_tiff_is_over_black():
    image = Image.fromarray(flat([10, 100, 200, 128]))
    assert decode_image(encoded(image, "TIFF"))[0, 0].tolist() == [100, 50, 5]


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_is_converted(kind):
    """As Pillow converts it; not as the negative that Adobe's JPEGs store."""
    rgb = Image.fromarray(np.random.default_rng(0).integers(0, 255, (2, 3, 3), dtype=np.uint8))
    image = rgb.resize((48, 32), 0).convert("CMYK")
    expected = np.asarray(image.convert("RGB"))[..., ::-1].astype(int)
    options = {"quality": 95} if kind == "JPEG" else {}
    assert np.abs(decode_image(encoded(image, kind, **options)) - expected).mean() < 6


@pytest.mark.parametrize("kind", ["WEBP", "PNG", "TIFF"])
def test_an_animation_in_a_folder_is_its_first_picture(tmp_path, kind):
    pictures = [Image.new("RGB", (12, 8), (v, 0, 0)) for v in (200, 100, 50)]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(pictures[0], kind, save_all=True, append_images=pictures[1:], **options)
    (tmp_path / f"0001.{kind.lower()}").write_bytes(data)
    assert [frame[0, 0, 2] for frame in read_video(tmp_path)] == [200]


@pytest.mark.parametrize("kind", ["WEBP", "PNG", "GIF", "AVIF"])
def test_an_animation_of_its_own_is_a_video(tmp_path, kind):
    """Before: `siamjax track clip.webp` gave "a video without a readable frame", exit code 2."""
    pictures = [Image.new("RGB", (12, 8), (v, 0, 0)) for v in (200, 100, 50)]
    options = {"lossless": True} if kind == "WEBP" else {}
    path = tmp_path / f"clip.{kind.lower()}"
    more = {"save_all": True, "append_images": pictures[1:], "duration": 100}
    path.write_bytes(encoded(pictures[0], kind, **more, **options))
    video = read_video(path)
    assert [int(frame[0, 0, 2]) for frame in video] == pytest.approx([200, 100, 50], abs=2)
    assert (video.name, video.fps, video.count) == ("clip", pytest.approx(10), 3)


@pytest.mark.parametrize("name", [b"caf\xe9.png", "снимок 1.png".encode(), "日本.png".encode()])
def test_names_of_any_bytes(tmp_path, name):
    """Before: `cv2.imread` of a name that is not UTF-8 was a segmentation fault."""
    path = os.fsencode(tmp_path) + b"/" + name
    with open(path, "wb") as file:
        file.write(cv2.imencode(".png", flat([1, 2, 3]))[1].tobytes())
    for frames in (read_video(tmp_path), read_video(os.fsdecode(path))):
        assert [frame[0, 0].tolist() for frame in frames] == [[1, 2, 3]]
        frames.name.encode()  # no part of a name that cannot be written


def test_what_is_no_image_is_named(tmp_path):
    touch(tmp_path, "0001.png")
    (tmp_path / "0002.png").write_bytes(b"no image")
    for name in ("0001.png", "0002.png"):
        with pytest.raises(UserError, match=rf"{name}: not a readable image; restore it"):
            read_image(tmp_path / name)
    with pytest.raises(UserError, match=r"0003\.png: no such image"):
        read_image(tmp_path / "0003.png")
    (tmp_path / os.fsdecode(b"caf\xe9.png")).write_bytes(b"no image")
    with pytest.raises(UserError, match=r"caf_\.png: not a readable image"):
        read_image(tmp_path / os.fsdecode(b"caf\xe9.png"))
