"""Convolutions of NHWC images, each in several formulations; lengths are in px."""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Images = Float[Array, "b h w c"]
Kernel = Float[Array, "kh kw _ d"]
ChannelKernel = Float[Array, "kh kw 1 c"]  # for one channel each
Convolved = Float[Array, "b _ _ d"]
Filtered = Float[Array, "b _ _ c"]  # the same channels


def lax_conv(
    x: Images, kernel: Kernel, stride: int = 1, padding: int = 0, dilation: int = 1, groups: int = 1
) -> Convolved:
    """`conv2d` by XLA's convolution; `groups` as torch has it, kernel (kh, kw, C / groups, D)."""
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(stride, stride),
        padding=((padding, padding), (padding, padding)),
        rhs_dilation=(dilation, dilation),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=groups,
    )


def shifts(
    x: Images,
    kernel_shape: Sequence[int],
    stride: int,
    padding: int,
    dilation: int,
    fill: float = 0.0,
) -> list[Filtered]:
    """The kh * kw shifted copies of x that the taps of a kernel (kh, kw, ...) see, row by row."""
    around = ((0, 0), (padding, padding), (padding, padding), (0, 0))
    x = jnp.pad(x, around, constant_values=fill)
    height, width = kernel_shape[:2]
    rows = (x.shape[1] - dilation * (height - 1) - 1) // stride + 1
    columns = (x.shape[2] - dilation * (width - 1) - 1) // stride + 1
    tall, wide = stride * (rows - 1) + 1, stride * (columns - 1) + 1
    return [
        x[:, i : i + tall : stride, j : j + wide : stride]
        for i in range(0, dilation * height, dilation)
        for j in range(0, dilation * width, dilation)
    ]


@jax.custom_vjp
def product(x, kernel):
    """x @ kernel[0, 0], whose gradient turns the narrower of its two factors: a product on CPU
    copies a factor that has to be turned, and computes what led to it once more on the way."""
    return x @ kernel[0, 0]


def _product_backward(residuals, gradient):
    x, kernel = residuals
    inputs, outputs = x.reshape(-1, x.shape[-1]), gradient.reshape(-1, gradient.shape[-1])
    if x.shape[-1] <= gradient.shape[-1]:
        kernel_gradient = inputs.T @ outputs
    else:
        kernel_gradient = (outputs.T @ inputs).T
    return gradient @ kernel[0, 0].T, kernel_gradient[None, None]


product.defvjp(lambda *arrays: (product(*arrays), arrays), _product_backward)


def conv_as_patches(
    x: Images, kernel: Kernel, stride: int, padding: int, dilation: int
) -> Convolved:
    """`conv2d` as one product of a matrix of all patches."""
    patches = jnp.concatenate(shifts(x, kernel.shape, stride, padding, dilation), -1)
    return patches @ kernel.reshape(-1, kernel.shape[-1])


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def dilated_on_gpu(x: Images, kernel: Kernel, padding: int = 0, dilation: int = 1) -> Convolved:
    """`conv2d` at stride 1, whose gradient by the kernel is that of plain convolutions.

    The automatic one is a convolution with a kernel as large as the image and a stride, for which
    cuDNN has no fast program. Every d-th row and column is an image of its own here, which the
    kernel sees without dilation.
    """
    return lax_conv(x, kernel, 1, padding, dilation)


def _dilated_forward(x, kernel, padding, dilation):
    return dilated_on_gpu(x, kernel, padding, dilation), (x, kernel)


def _dilated_backward(padding, dilation, residuals, gradient):
    x, kernel = residuals
    _, pullback = jax.vjp(lambda x: lax_conv(x, kernel, 1, padding, dilation), x)
    # up to a multiple of the dilation; what is added to the gradient is 0
    extra = [-(side + 2 * padding) % dilation for side in x.shape[1:3]]
    inputs = _phases(x, padding, [padding + more for more in extra], dilation)
    outputs = _phases(gradient, 0, extra, dilation)
    by_kernel = jax.linear_transpose(lambda kernel: lax_conv(inputs, kernel), kernel)
    return *pullback(gradient), *by_kernel(outputs)


dilated_on_gpu.defvjp(_dilated_forward, _dilated_backward)


def _phases(x, low, high, dilation):
    """(B, H, W, C), padded by zeros, its d-th rows and columns: (B d^2, H' / d, W' / d, C)."""
    x = jnp.pad(x, ((0, 0), (low, high[0]), (low, high[1]), (0, 0)))
    batch, height, width, channels = x.shape
    rows, columns = height // dilation, width // dilation
    x = x.reshape(batch, rows, dilation, columns, dilation, channels)
    return x.transpose(0, 2, 4, 1, 3, 5).reshape(-1, rows, columns, channels)


def grouped_conv2d(
    x: Images, kernel: ChannelKernel, stride: int = 1, padding: int = 0, dilation: int = 1
) -> Filtered:
    """`depthwise_conv2d` by XLA's convolution."""
    return lax_conv(x, kernel, stride, padding, dilation, groups=x.shape[-1])


def depthwise_by_shifts(
    x: Images, kernel: ChannelKernel, stride: int = 1, padding: int = 0, dilation: int = 1
) -> Filtered:
    """`depthwise_conv2d` as a sum over the kernel's taps, which XLA fuses into one loop."""
    patches = shifts(x, kernel.shape, stride, padding, dilation)
    taps = kernel.reshape(-1, 1, 1, 1, x.shape[-1])
    return sum(patch * tap for patch, tap in zip(patches, taps))


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def depthwise_on_cpu(x, kernel, stride=1, padding=0, dilation=1):
    """`depthwise_by_shifts`, whose own gradient reads the features once per tap, with that of
    `_depthwise_backward`, which reads them once."""
    return depthwise_by_shifts(x, kernel, stride, padding, dilation)


def _depthwise_forward(x, kernel, stride, padding, dilation):
    return depthwise_on_cpu(x, kernel, stride, padding, dilation), (x, kernel)


def _depthwise_backward(stride, padding, dilation, residuals, gradient):
    x, kernel = residuals
    return (
        _depthwise_input_gradient(x.shape, kernel, gradient, stride, padding, dilation),
        _depthwise_kernel_gradient(x, kernel.shape, gradient, stride, padding, dilation),
    )


depthwise_on_cpu.defvjp(_depthwise_forward, _depthwise_backward)


def _depthwise_input_gradient(shape, kernel, gradient, stride, padding, dilation):
    """The gradient, spread out by the stride, through the turned kernel."""
    around = [(0, 0, 0)]
    for side, taps, cells in zip(shape[1:3], kernel.shape, gradient.shape[1:3]):
        reach = dilation * (taps - 1)
        low = reach - padding
        around.append((low, side + reach - (cells - 1) * stride - 1 - low, stride - 1))
    spread = jax.lax.pad(gradient, jnp.zeros((), gradient.dtype), [*around, (0, 0, 0)])
    return depthwise_on_cpu(spread, kernel[::-1, ::-1], 1, 0, dilation)


def _depthwise_kernel_gradient(x, shape, gradient, stride, padding, dilation):
    """One pass over the positions with the kernel-sized sum in registers and cache."""
    height, width, _, channels = shape
    x = jnp.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    images, rows, columns, _ = gradient.shape
    seen = (1, dilation * (height - 1) + 1, dilation * (width - 1) + 1, channels)

    def step(total, index):
        image, i, j = index // (rows * columns), index // columns % rows, index % columns
        patch = jax.lax.dynamic_slice(x, (image, i * stride, j * stride, 0), seen)
        value = jax.lax.dynamic_slice(gradient, (image, i, j, 0), (1, 1, 1, channels))
        product = patch[0, ::dilation, ::dilation] * value[0]
        return total + product.astype(jnp.float32), None

    zero = jnp.zeros((height, width, channels), jnp.float32)
    total, _ = jax.lax.scan(step, zero, jnp.arange(images * rows * columns))
    return total.reshape(shape).astype(x.dtype)
