"""JPEG by rows: the same pixels as the whole image."""

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from siamjax.data import jpeg
from siamjax.data.tfrecord import BadRecord


def picture(height, width, key=0, scale=4):
    rng = np.random.default_rng(key)
    coarse = rng.integers(0, 256, (height // scale + 1, width // scale + 1, 3)).astype(np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([(511, 511), (255, 255), (64, 80), (17, 200), (16, 16), (5, 5)]),
    st.integers(-20, 520),
    st.integers(1, 300),
    st.sampled_from([30, 75, 95, 100]),
    st.integers(0, 3),
)
@example((511, 511), -2, 1, 30, 0)
def test_rows_equal_those_of_the_whole(sides, top, count, quality, key):
    image = picture(*sides, key)
    data = jpeg.encode(image, quality)
    whole = jpeg.decode(data)
    rows, first = jpeg.decode_rows(data, top, top + count)
    assert rows.shape[1] == sides[1]
    low, high = np.clip([top, top + count], 0, sides[0])  # none, of a range outside of the image
    np.testing.assert_array_equal(rows[low - first : high - first], whole[low:high])
    assert first <= max(0, top)
    assert first + len(rows) >= min(sides[0], top + count)


def test_less_is_decoded():
    data = jpeg.encode(picture(511, 511), 95)
    rows, first = jpeg.decode_rows(data, 190, 320)
    assert first == 160  # row 190 is in block row 11; one more above
    assert len(rows) == 176  # row 319 is the last of block row 19; one more below


def test_every_last_row_is_that_of_the_whole():
    """Colours at half resolution are smoothed with those of the next row."""
    data = jpeg.encode(picture(128, 64, scale=1), 95)
    whole = jpeg.decode(data)
    for bottom in range(40, 129):
        rows, first = jpeg.decode_rows(data, 36, bottom)
        np.testing.assert_array_equal(rows[36 - first : bottom - first], whole[36:bottom])


def test_the_first_and_the_last_rows_alone():
    data = jpeg.encode(picture(511, 511), 95)
    rows, first = jpeg.decode_rows(data, 0, 100)
    assert (first, len(rows)) == (0, 112)  # row 99 and the one below it are in block row 6
    rows, first = jpeg.decode_rows(data, 400, 511)
    assert (first, len(rows)) == (384, 127)


def test_markers_change_no_pixel():
    image = picture(511, 511)
    plain = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
    np.testing.assert_array_equal(jpeg.decode(plain), jpeg.decode(jpeg.encode(image, 95)))
    assert len(jpeg.encode(image, 95)) < len(plain) * 1.02


@pytest.mark.parametrize(
    "options",
    [
        [],
        [cv2.IMWRITE_JPEG_PROGRESSIVE, 1],
        [cv2.IMWRITE_JPEG_RST_INTERVAL, 7],
        [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444],
        [
            cv2.IMWRITE_JPEG_RST_INTERVAL,
            8,
            cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
            cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
        ],
    ],
)
def test_other_files_are_decoded_whole(options):
    image = picture(128, 128)
    data = cv2.imencode(".jpg", image, options)[1].tobytes()
    rows, first = jpeg.decode_rows(data, 60, 70)
    assert first == 0
    np.testing.assert_array_equal(rows, jpeg.decode(data))


def test_damage_is_noticed():
    data = jpeg.encode(picture(128, 128), 95)
    for damaged in (b"", data[:1], data[:50], data[: len(data) // 2], b"hello", data[:-2]):
        with pytest.raises(ValueError):
            jpeg.decode(damaged)
        with pytest.raises(ValueError):
            jpeg.decode_rows(damaged, 60, 128)


def test_a_truncated_jpeg_is_noticed():
    data = jpeg.encode(picture(64, 64), 95)
    assert jpeg.decode(data).shape == (64, 64, 3)
    for damaged in (data[:-10], data[: len(data) // 2], b"", b"GIF89a"):
        with pytest.raises(BadRecord):
            jpeg.decode(damaged)
