import tracemalloc

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siamjax.geometry import crops, device_crops


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def padded_crop(image, centre, model_size, side, average):
    """The published routine, which pads the whole image first."""
    import cv2

    x0, y0 = (int(np.floor(c - (side + 1) / 2 + 0.5)) for c in centre)
    pad = side + 2 * max(image.shape)
    height, width = image.shape[:2]
    big = np.empty((height + 2 * pad, width + 2 * pad, 3), np.uint8)
    big[:] = np.asarray(average).astype(np.uint8)
    big[pad : pad + height, pad : pad + width] = image
    patch = big[y0 + pad : y0 + pad + side, x0 + pad : x0 + pad + side]
    return patch if side == model_size else cv2.resize(patch, (model_size, model_size))


def built_crop(image, centre, model_size, side, average):
    """The same with the window alone built, every pixel of it."""
    import cv2

    x0, y0 = (int(np.floor(c - (side + 1) / 2 + 0.5)) for c in centre)
    rows, columns = np.arange(y0, y0 + side), np.arange(x0, x0 + side)
    height, width = image.shape[:2]
    patch = image[rows.clip(0, height - 1)][:, columns.clip(0, width - 1)]
    patch[(rows < 0) | (rows >= height)] = np.asarray(average).astype(np.uint8)
    patch[:, (columns < 0) | (columns >= width)] = np.asarray(average).astype(np.uint8)
    return patch if side == model_size else cv2.resize(patch, (model_size, model_size))


def random_windows(count, shape, seed):
    rng = np.random.default_rng(seed)
    height, width = shape
    for _ in range(count):
        side = int(rng.integers(2, 2 * max(shape)))
        yield rng.uniform((-0.2 * width, -0.2 * height), (1.2 * width, 1.2 * height)), side


def test_context_size_of_a_square_box():
    assert crops.context_size(100.0, 100.0) == pytest.approx(200.0)
    assert crops.context_size(112.0, 115.0, 0.5) == pytest.approx(np.sqrt(225.5 * 228.5))


def test_window_origin_by_hand():
    # a window of 3 px around the middle of pixel 10 starts at pixel 9; even sides lean to the left
    np.testing.assert_array_equal(crops.window_origin(np.array([10.0, 10.4]), 3), [8.0, 8.0])
    np.testing.assert_array_equal(crops.window_origin(np.array([10.5, 10.0]), 4), [8.0, 8.0])


def test_host_crop_equals_padding_the_whole_image():
    image = noise(90, 120)
    average = image.mean(axis=(0, 1))
    for centre, side in random_windows(60, image.shape[:2], 1):
        expected = padded_crop(image, centre, 63, side, average)
        np.testing.assert_array_equal(crops.subwindow(image, centre, 63, side, average), expected)


def test_ordinary_windows_are_those_of_the_published_routine():
    """500 windows of sides up to the frame's longer side, in frames of several shapes."""
    for seed, shape in enumerate([(72, 128), (90, 60), (64, 64), (33, 140), (120, 160)]):
        image = noise(*shape, seed)
        average = image.mean(axis=(0, 1))
        for centre, side in random_windows(100, shape, seed):
            side = 1 + side % max(shape)
            for size in (63, 127):
                expected = built_crop(image, centre, size, side, average)
                found = crops.subwindow(image, centre, size, side, average)
                np.testing.assert_array_equal(found, expected)


@settings(max_examples=50, deadline=None)
@given(
    st.integers(1, 60),
    st.integers(1, 60),
    st.floats(0, 1),
    st.tuples(st.floats(-0.6, 1.6), st.floats(-0.6, 1.6)),
    st.sampled_from([15, 31, 48]),
)
def test_large_windows_have_the_bits_of_one_that_is_built(height, width, share, place, size):
    """Before: `subwindow` built every window, side^2 px: 7.5 GB for a box of 50000 by 40000."""
    image = noise(height, width, size)
    side = round(max(height, width) * 20**share)
    x, y = place[0] * side - side / 2 + width / 2, place[1] * side - side / 2 + height / 2
    expected = built_crop(image, (x, y), size, side, (3, 2, 1))
    np.testing.assert_array_equal(crops.subwindow(image, (x, y), size, side, (3, 2, 1)), expected)
    origin = (int(v) for v in crops.window_origin(np.array([x, y]), side))
    sparse = crops._sparse(image, *origin, size, side, np.uint8([3, 2, 1]))
    np.testing.assert_array_equal(sparse, expected)


@pytest.mark.parametrize("side", [1300, 2000, 5000, 40_000, 1_000_000, 2**20])
def test_large_windows_are_equal_on_host_and_device(side):
    image = noise(72, 128)
    crop = jax.jit(device_crops.device_subwindow, static_argnums=2)
    met = 0
    for centre, size in (((60, 40), 127), ((1, 71), 255), ((-300, 200), 127)):
        centre = np.float32(centre)
        host = crops.subwindow(image, centre, size, side, (9, 9, 9))
        np.testing.assert_array_equal(crop(image, centre, size, side, np.uint8([9, 9, 9])), host)
        met += (host != 9).any()
    assert met >= (side < 40_000)


@pytest.mark.parametrize("shape", [(480, 640, 3), (4320, 7680, 3), (10, 12_000, 3)])
@pytest.mark.parametrize("side", [640, 1_900, 5_000, 20_000, 10**9, 10**300])
def test_no_window_costs_more_than_a_small_multiple_of_frame_and_crop(shape, side):
    """Before: the square of the side; killed for memory, or an OverflowError, where it is large."""
    image = np.zeros(shape, np.uint8)
    image[::7, ::5] = 200
    tracemalloc.start()
    crop = crops.subwindow(image, (320.0, 240.0), 255, side, (1, 2, 3))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * image.nbytes + 20 * crop.nbytes
    assert (crop == crops.subwindow(image, (320.0, 240.0), 255, min(side, 2**20), (1, 2, 3))).all()


def test_device_crop_of_no_window_at_all():
    image = noise(48, 64)
    crop = jax.jit(device_crops.device_subwindow, static_argnums=2)
    fill = np.uint8([7, 8, 9])
    for centre, side in (((1e30, -1e30), 127), ((1e30, 5), 2**31 - 1), ((10, 10), 2**31 - 1)):
        found = np.asarray(crop(image, np.float32(centre), 31, np.int32(side), fill))
        np.testing.assert_array_equal(found, crops.subwindow(image, centre, 31, side, fill))


def test_crop_outside_the_image_is_the_mean_colour():
    image = noise(40, 60)
    crop = crops.subwindow(image, (500.0, -300.0), 31, 20, (10.9, 20.0, 30.2))
    assert (crop == np.array([10, 20, 30])).all()


@pytest.mark.parametrize("x, y", [(-10, 20), (30, -10), (70, 20), (30, 50)])
def test_a_window_that_touches_the_image_from_outside_shows_nothing_of_it(x, y):
    image = np.full((40, 60, 3), 255, np.uint8)
    assert not crops.subwindow(image, (x, y), 31, 20, (0, 0, 0)).any()
    inside = crops.subwindow(image, (x - np.sign(x - 30), y - np.sign(y - 20)), 20, 20, (0, 0, 0))
    assert inside.any(-1).sum() == 20  # one row or column
    fill = np.zeros(3, np.uint8)
    assert not np.asarray(
        device_crops.device_subwindow(image, np.float32([x, y]), 31, 20, fill)
    ).any()


@pytest.mark.parametrize("model_size", [127, 255, 287])
def test_device_crop_equals_host_crop(model_size):
    image = noise(180, 240, seed=3)
    average = crops.colour_mean(image)
    crop = jax.jit(device_crops.device_subwindow, static_argnums=2)
    border = 0
    for centre, side in random_windows(170, image.shape[:2], model_size):
        centre = centre.astype(np.float32)
        host = crops.subwindow(image, centre, model_size, side, average)
        device = np.asarray(crop(image, centre, model_size, side, average))
        np.testing.assert_array_equal(device, host)
        x, y = crops.window_origin(centre, side)
        border += not (x >= 0 and y >= 0 and x + side <= 240 and y + side <= 180)
    assert 20 < border < 170  # both kinds were met


@pytest.mark.parametrize("side", [1, 2, 127, 254, 255, 256, 510])
def test_device_crop_equals_host_crop_at_special_sides(side):
    image = noise(600, 640, seed=5)
    for size in (127, 255):
        host = crops.subwindow(image, (320.0, 300.0), size, side, (0, 0, 0))
        fill = np.zeros(3, np.uint8)
        device = jax.jit(device_crops.device_subwindow, static_argnums=2)(
            image, np.float32([320, 300]), size, side, fill
        )
        np.testing.assert_array_equal(np.asarray(device), host)


def test_device_crop_of_a_very_large_window():
    image = noise(9000, 9200, seed=9)
    crop = jax.jit(device_crops.device_subwindow, static_argnums=2)
    for side in (4099, 8191, 8999):
        host = crops.subwindow(image, (4500.0, 4500.0), 255, side, (0, 0, 0))
        got = crop(image, np.float32([4500, 4500]), 255, side, np.zeros(3, np.uint8))
        np.testing.assert_array_equal(np.asarray(got), host)


def test_device_crops_of_many_windows_at_once():
    image = noise(300, 320, seed=7)
    sides = np.arange(48, 300, 7, dtype=np.int32)
    centres = np.random.default_rng(0).uniform(0, 300, (len(sides), 2)).astype(np.float32)
    fill = np.uint8([1, 2, 3])
    crop = jax.jit(
        jax.vmap(lambda centre, side: device_crops.device_subwindow(image, centre, 127, side, fill))
    )
    for got, centre, side in zip(np.asarray(crop(centres, sides)), centres, sides):
        np.testing.assert_array_equal(got, crops.subwindow(image, centre, 127, int(side), fill))


def test_device_crop_of_a_padded_image_equals_that_of_the_image():
    image = noise(50, 70)
    padded = np.zeros((64, 128, 3), np.uint8)
    padded[:50, :70] = image
    size = np.int32([70, 50])
    average = crops.colour_mean(image)
    np.testing.assert_array_equal(device_crops.device_colour_mean(padded, size), average)
    for centre in ([68.0, 48.0], [5.0, 20.0]):
        crop = jax.jit(device_crops.device_subwindow, static_argnums=2)(
            padded, np.float32(centre), 63, 41, average, size
        )
        np.testing.assert_array_equal(crop, crops.subwindow(image, centre, 63, 41, average))


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_device_colour_mean(height, width, seed):
    image = noise(height, width, seed)
    np.testing.assert_array_equal(
        jax.jit(device_crops.device_colour_mean)(image), crops.colour_mean(image)
    )


def test_device_colour_mean_of_a_white_8k_frame_does_not_overflow():
    image = np.full((4320, 7680, 3), 255, np.uint8)
    np.testing.assert_array_equal(jax.jit(device_crops.device_colour_mean)(image), [255, 255, 255])


@pytest.mark.reference
@pytest.mark.parametrize("name", ["siamrpn_alex_dwxcorr", "siamrpn_r50_l234_dwxcorr"])
def test_host_crop_equals_the_reference_tracker(reference, name):
    import cv2

    folder = reference / "data/eval/VOT2018/bag/color"
    init = np.load(reference / "conformance" / name / "init.npz")
    step = np.load(reference / "conformance" / name / "step001.npz")
    first = cv2.imread(str(folder / "00000001.jpg"))
    average = first.mean(axis=(0, 1))
    np.testing.assert_allclose(average, init["channel_average"], rtol=1e-12)
    for crop, args, file in (
        (init["z_crop"], init["crop_args"], "00000001.jpg"),
        (step["x_crop"], step["crop_args"], "00000002.jpg"),
    ):
        image = cv2.imread(str(folder / file))
        got = crops.subwindow(image, args[:2], int(args[2]), int(args[3]), average)
        np.testing.assert_array_equal(got, crop[0].transpose(1, 2, 0))
