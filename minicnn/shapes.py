"""The arithmetic of sizes: how many windows lie on an image, and how much padding they need.

Along one axis, a kernel of ``k`` taps with dilation ``d`` spans ``K = (k - 1) d + 1`` pixels, and
the windows start ``s`` pixels (the stride) apart. All other formulas of this file follow from these
two. Height and width are treated alike and independently, so most functions here are about one
axis.

Source: Dumoulin and Visin, "A guide to convolution arithmetic for deep learning" (2016), and, for
the uneven halves of the "same" padding, the documentation of TensorFlow and Keras.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

PADDINGS = ("valid", "same")
AXES = ("height", "width")

Pair = tuple[int, int]


# -- arguments --------------------------------------------------------------------------------


def pair(value: Any, name: str, minimum: int = 1) -> Pair:
    """``3`` -> ``(3, 3)``, ``[2, 1]`` -> ``(2, 1)``: a size for the height and one for the width.

    Args:
        value: an int, or a list or tuple of two.
        name: of the argument, for the error message.
        minimum: the smallest int that is allowed.

    Raises:
        TypeError: if ``value`` is anything else; a bool or a float is not an int here.
        ValueError: if there are not two of them, or one is less than ``minimum``.

    >>> pair(3, "kernel_size"), pair([2, 1], "strides")
    ((3, 3), (2, 1))
    """
    if isinstance(value, (list, tuple)):
        sizes = tuple(_index(v, value, name) for v in value)
        if len(sizes) != 2:
            raise ValueError(f"{name}: expected an int or two ints, got {len(sizes)}: {value!r}")
    else:
        sizes = (_index(value, value, name),) * 2
    if min(sizes) < minimum:
        raise ValueError(f"{name}: expected ints of at least {minimum}, got {value!r}")
    return sizes[0], sizes[1]


def _index(number: Any, whole: Any, name: str, expected: str = "an int or two ints") -> int:
    if not isinstance(number, (bool, np.bool_)):
        try:
            return operator.index(number)
        except TypeError:
            pass
    raise TypeError(f"{name}: expected {expected}, got {whole!r}")


def positive_int(value: Any, name: str) -> int:
    """``value`` as an int of at least 1.

    Args:
        value: an int, Python's or NumPy's.
        name: of the argument, for the error message.

    Raises:
        TypeError: if it is anything else; a bool or a float is not an int here.
        ValueError: if it is less than 1.

    >>> positive_int(32, "filters")
    32
    """
    number = _index(value, value, name, "a positive int")
    if number < 1:
        raise ValueError(f"{name}: expected a positive int, got {value!r}")
    return number


def borders(value: Any, name: str) -> tuple[Pair, Pair]:
    """``((top, bottom), (left, right))`` from any of the forms in which Keras takes it.

    Args:
        value: an int for all four sides; two ints for both ends of the height and of the width;
            or ``((top, bottom), (left, right))``.
        name: of the argument, for the error message.

    Raises:
        TypeError, ValueError: as :func:`pair`; zero is allowed.

    >>> borders(1, "padding"), borders((1, 2), "padding"), borders(((1, 0), (2, 3)), "padding")
    (((1, 1), (1, 1)), ((1, 1), (2, 2)), ((1, 0), (2, 3)))
    """
    if isinstance(value, (list, tuple)) and any(isinstance(v, (list, tuple)) for v in value):
        if len(value) != 2:
            raise ValueError(f"{name}: expected ((top, bottom), (left, right)), got {value!r}")
        return pair(value[0], name, minimum=0), pair(value[1], name, minimum=0)
    height, width = pair(value, name, minimum=0)
    return (height, height), (width, width)


def padding_mode(value: Any, name: str = "padding") -> str:
    """``"valid"`` or ``"same"``, from a string in any case.

    Raises:
        TypeError: if ``value`` is not a string.
        ValueError: if it is another string.

    >>> padding_mode("SAME")
    'same'
    """
    allowed = " or ".join(f'"{mode}"' for mode in PADDINGS)
    if not isinstance(value, str):
        raise TypeError(f"{name}: expected {allowed}, got {value!r}")
    if value.lower() not in PADDINGS:
        raise ValueError(f"{name}: expected {allowed}, got {value!r}")
    return value.lower()


def check_channels(x_shape: Sequence[int], kernel_shape: Sequence[int], channels: int) -> None:
    """Raise a ValueError unless the images have the channels that the kernel is for.

    >>> check_channels((8, 28, 28, 3), (3, 3, 3, 16), channels=3)
    """
    if x_shape[-1] != channels:
        raise ValueError(
            f"x: a kernel of shape {tuple(kernel_shape)} is for images of {channels} channels, got "
            f"shape {tuple(x_shape)} (batch, height, width, channels)"
        )


# -- windows that gather: convolution and pooling -----------------------------------------------


def span(k: int, dilation: int = 1) -> int:
    """K = (k - 1) d + 1: how many pixels a kernel of ``k`` taps reaches over.

    >>> span(3), span(3, dilation=2)
    (3, 5)
    """
    return (k - 1) * dilation + 1


def output_size(
    n: int | None, k: int, s: int, padding: str = "valid", dilation: int = 1
) -> int | None:
    """How many windows of ``k`` taps and stride ``s`` lie on an axis of ``n`` pixels.

    ``"valid"``: floor((n - K) / s) + 1, the windows that fit into the image. Up to s - 1 pixels at
    its end may be in no window. ``"same"``: ceil(n / s), with as much padding as that takes.

    Args:
        n: the image's size; ``None``, if it is not known, gives ``None``.
        k: the kernel's size.
        s: the stride.
        padding: ``"valid"`` or ``"same"``.
        dilation: the distance between the taps of the kernel.

    Raises:
        ValueError: if not one window fits.

    >>> output_size(28, 3, 1), output_size(28, 3, 1, "same"), output_size(7, 2, 3)
    (26, 28, 2)
    """
    if n is None:
        return None
    if padding == "same":
        size, formula = -(-n // s), f"ceil({n} / {s})"
    else:
        K = span(k, dilation)
        size, formula = (n - K) // s + 1, f"floor(({n} - {K}) / {s}) + 1"
    if size < 1:
        raise ValueError(
            f"a window of {k} (stride {s}, dilation {dilation}) does not fit on an input of {n} "
            f"with padding {padding!r}: output size = {formula} = {size}, expected at least 1"
        )
    return size


def padding_for(image: int, windows: int, k: int, s: int, dilation: int = 1) -> Pair:
    """The zeros ``(before, after)`` that an image needs so that ``windows`` windows fit on it.

    From the first pixel of the first window to the last of the last there are (windows - 1) s + K
    pixels; what the image lacks is halved, and an odd zero goes to the end.

    >>> padding_for(28, 28, 3, 1), padding_for(28, 14, 3, 2), padding_for(28, 26, 3, 1)
    ((1, 1), (0, 1), (0, 0))
    """
    total = max((windows - 1) * s + span(k, dilation) - image, 0)
    return total // 2, total - total // 2


def same_padding(n: int, k: int, s: int, dilation: int = 1) -> Pair:
    """The zeros ``(before, after)`` of padding ``"same"``: those that ceil(n / s) windows need.

    They depend on ``n``: a 2x2 kernel with stride 2 needs none on an even image.

    >>> same_padding(5, 2, 1), same_padding(6, 2, 2), same_padding(7, 3, 1, dilation=2)
    ((0, 1), (0, 0), (2, 2))
    """
    return padding_for(n, -(-n // s), k, s, dilation)


# -- windows that scatter: transposed convolution -----------------------------------------------


def transposed_output_size(
    n: int | None,
    k: int,
    s: int,
    padding: str = "valid",
    dilation: int = 1,
    output_padding: int | None = None,
) -> int | None:
    """The size of the image that ``n`` windows of ``k`` taps and stride ``s`` are laid down on.

    ``"valid"``: (n - 1) s + max(K, s). ``"same"``: n s. More than one image size has ``n``
    windows; ``output_padding`` p chooses another: (n - 1) s + K + p and (n - 1) s + K mod 2 + p.

    Raises:
        ValueError: if ``output_padding`` is not less than the stride (then there would be more than
            ``n`` windows), or the size is less than 1.

    >>> transposed_output_size(14, 3, 2), transposed_output_size(14, 3, 2, "same")
    (29, 28)
    """
    if output_padding is not None and not 0 <= output_padding < s:
        raise ValueError(
            f"output_padding: expected at least 0 and less than the stride {s}, "
            f"got {output_padding}"
        )
    if n is None:
        return None
    K = span(k, dilation)
    if output_padding is None:
        extra = s if padding == "same" else max(K, s)
    else:
        extra = (K % 2 if padding == "same" else K) + output_padding
    size = (n - 1) * s + extra
    if size < 1:
        raise ValueError(
            f"a transposed window of {k} (stride {s}, dilation {dilation}) with padding "
            f"{padding!r} and output_padding {output_padding} leaves nothing of an input of {n}: "
            f"output size = ({n} - 1) * {s} + {extra} = {size}, expected at least 1"
        )
    return size


# -- shapes for layers ---------------------------------------------------------------------------


def window_output_shape(
    layer: str,
    input_shape: Sequence[int | None],
    kernel_size: Pair,
    strides: Pair,
    padding: str,
    dilation: Pair = (1, 1),
) -> tuple[int | None, int | None]:
    """``(oh, ow)`` of a layer that slides a window over images, :func:`output_size` on both axes.

    Args:
        layer: its name, for the error message.
        input_shape: ``(batch, height, width, channels)``.

    Raises:
        ValueError: if the window does not fit; names the layer, the axis and the formula.

    >>> window_output_shape("conv1", (None, 28, 28, 1), (3, 5), (1, 1), "valid")
    (26, 24)
    """
    sizes = [
        _on_axis(layer, input_shape, axis, output_size, k, s, padding, d)
        for axis, k, s, d in zip((0, 1), kernel_size, strides, dilation, strict=True)
    ]
    return sizes[0], sizes[1]


def transposed_window_output_shape(
    layer: str,
    input_shape: Sequence[int | None],
    kernel_size: Pair,
    strides: Pair,
    padding: str,
    dilation: Pair = (1, 1),
    output_padding: Pair | None = None,
) -> tuple[int | None, int | None]:
    """``(oh, ow)`` of a transposed convolution: :func:`transposed_output_size` on both axes.

    Raises:
        ValueError: as that does, with the layer and the axis.

    >>> transposed_window_output_shape("up", (None, 7, 7, 8), (3, 3), (2, 2), "same")
    (14, 14)
    """
    extra = output_padding or (None, None)
    sizes = [
        _on_axis(layer, input_shape, axis, transposed_output_size, k, s, padding, d, p)
        for axis, k, s, d, p in zip((0, 1), kernel_size, strides, dilation, extra, strict=True)
    ]
    return sizes[0], sizes[1]


def cropped_output_shape(
    layer: str, input_shape: Sequence[int | None], cropping: tuple[Pair, Pair]
) -> tuple[int | None, int | None]:
    """``(oh, ow)`` after ``((top, bottom), (left, right))`` pixels are cut off.

    Raises:
        ValueError: if nothing would be left; names the layer, the axis and the formula.

    >>> cropped_output_shape("crop", (None, 8, 8, 3), ((1, 2), (0, 0)))
    (5, 8)
    """
    sizes = [_on_axis(layer, input_shape, axis, cropped_size, *cropping[axis]) for axis in (0, 1)]
    return sizes[0], sizes[1]


def cropped_size(n: int | None, before: int, after: int) -> int | None:
    """n - before - after, what is left of an axis of ``n`` pixels.

    Raises:
        ValueError: if nothing is left.

    >>> cropped_size(8, 1, 2)
    5
    """
    if n is None:
        return None
    if n - before - after < 1:
        raise ValueError(
            f"cropping {before} and {after} leaves nothing of an input of {n}: output size = "
            f"{n} - {before} - {after} = {n - before - after}, expected at least 1"
        )
    return n - before - after


def _on_axis(layer: str, input_shape: Sequence[int | None], axis: int, size: Any, *arguments: Any):
    try:
        return size(input_shape[1 + axis], *arguments)
    except ValueError as error:
        raise ValueError(
            f"layer {layer!r}: input of shape {tuple(input_shape)}, {AXES[axis]}: {error}"
        ) from None
