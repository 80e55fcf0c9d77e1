"""What convolution and pooling share: a window that slides over images."""

from __future__ import annotations

from typing import Any

from minicnn.layers.base import Layer
from minicnn.layers.checks import channels_last, check_size
from minicnn.shapes import padding_mode, pair, window_output_shape


class WindowLayer(Layer):
    """A layer that looks at images through a window: input (n, h, w, c), output (n, oh, ow, f).

    ``"valid"`` windows lie within the image, oh = floor((h - K) / s) + 1 for a window that reaches
    over K pixels and moves on by s; ``"same"`` windows may reach into zeros around it, so that
    oh = ceil(h / s). The arithmetic stands in ``minicnn/shapes.py``.

    Attributes:
        window: its size (kh, kw).
        strides: by how many pixels it moves on, down and across.
        padding: ``"valid"`` or ``"same"``.
        dilation_rate: the distance between the pixels that it looks at, 1 for neighbours.
        channels: c, of the inputs for which a layer with weights was built.
    """

    input_rank = 4
    channels: int | None = None
    needs_channels = True

    def set_window(
        self,
        argument: str,
        size: Any,
        strides: Any,
        padding: Any,
        dilation_rate: Any = (1, 1),
        data_format: Any = None,
    ) -> None:
        """Check the arguments of the window and keep them.

        Args:
            argument: how the layer calls the size of the window.
            size, strides, dilation_rate: an int for both axes, or two.
            padding: ``"valid"`` or ``"same"``, in any case.
            data_format: ``None`` or ``"channels_last"``.

        Raises:
            ValueError, TypeError: if one of them is wrong.
        """
        self.window = pair(size, argument)
        self.strides = pair(strides, "strides")
        self.padding = padding_mode(padding)
        self.dilation_rate = pair(dilation_rate, "dilation_rate")
        self.data_format = channels_last(data_format)

    def forbid_dilated_strides(self) -> None:
        """Raise a ValueError if the window is both strided and dilated, as Keras does."""
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                "strides, dilation_rate: only one of them may be greater than 1, got "
                f"strides={self.strides} and dilation_rate={self.dilation_rate}"
            )

    def check_input_shape(self, input_shape: Any) -> None:
        super().check_input_shape(input_shape)
        if self.needs_channels:
            check_size(self, input_shape, -1, "channels", self.channels)

    def build(self, input_shape: Any) -> None:
        self.channels = input_shape[-1]

    def compute_output_shape(self, input_shape: Any) -> Any:
        n, c = input_shape[0], input_shape[-1]
        return (n, *self.output_image_size(input_shape), self.output_channels(c))

    def output_image_size(self, input_shape: Any) -> tuple[int | None, int | None]:
        """(oh, ow): how many windows there are, down and across.

        Raises:
            ValueError: if not a single one fits on the image.
        """
        return window_output_shape(
            self.name, input_shape, self.window, self.strides, self.padding, self.dilation_rate
        )

    def output_channels(self, c: int | None) -> int | None:
        """f, for an input of c channels."""
        return c
