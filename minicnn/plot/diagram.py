"""The flow diagram of a model: its layers as boxes, what flows between them as arrows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from minicnn.plot.layout import Place, layered_layout

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from minicnn.plot.display import Figure

# Which layers share a colour, by a part of their class's name; the first that fits.
COLOURS = {
    "Input": "#ffffff",
    "Conv": "#cfe2f3",
    "Pooling": "#fce5cd",
    "Dense": "#d9ead3",
    "Normalization": "#e3d7f0",
    "Dropout": "#e6e6e6",
    "Noise": "#e6e6e6",
    "Random": "#e6e6e6",
}
MODEL, OTHER = "#fbdce2", "#fff7d6"
# In inches, and in points.
BOX_HEIGHT, ROW_GAP, COLUMN_GAP, MARGIN, PADDING = 0.5, 0.3, 0.35, 0.2, 0.12
TITLE_HEIGHT, FONT_SIZE, TITLE_SIZE = 0.45, 9, 11


@dataclass
class Box:
    """What is written about one call of a layer."""

    name: str
    kind: str
    shape: str
    parameters: str
    is_model: bool

    @property
    def colour(self) -> str:
        if self.is_model:
            return MODEL
        return next((colour for part, colour in COLOURS.items() if part in self.kind), OTHER)


def model(model: Any) -> Figure:
    """Draw a model's layers and what flows between them, from top to bottom.

    Each box has the layer's name, its type, the shape of what it gives out (``None`` is the batch)
    and the number of its weights. A model within the model is one box with a double border. A layer
    that is called twice has two boxes, of which the second says that its weights are shared.

    Args:
        model: a Sequential, or a Model of any graph. If the shape of its input is not known yet,
            its layers are drawn as a chain without shapes.

    Returns:
        The matplotlib figure.

    Raises:
        ValueError: if it has no layers.
        TypeError: if it is no model.
    """
    from matplotlib.patches import BoxStyle, FancyBboxPatch

    from minicnn.plot.display import Figure

    boxes, sources = _read(model)
    places, paths = layered_layout(sources)
    box_width = max(_box_width(box) for box in boxes)
    column = box_width + COLUMN_GAP
    subtitle = _total(model)
    title_end = MARGIN + _text_width(model.name, TITLE_SIZE, "bold") + PADDING
    title_width = title_end + _text_width(subtitle, FONT_SIZE) - MARGIN

    every = [place for path in paths.values() for place in path] + places
    drawn_width = column * max(place.x + place.width / 2 for place in every) - COLUMN_GAP
    width = max(drawn_width, title_width) + 2 * MARGIN
    rows = 1 + max(place.row for place in places)
    height = rows * (BOX_HEIGHT + ROW_GAP) - ROW_GAP + 2 * MARGIN + TITLE_HEIGHT
    left = (width - drawn_width) / 2 - COLUMN_GAP / 2

    figure = Figure(width, height)
    figure.set_layout_engine("none")  # the axes are the whole figure, measured in inches
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    style = {"va": "top", "parse_math": False}
    axes.text(MARGIN, MARGIN, model.name, fontsize=TITLE_SIZE, weight="bold", **style)
    axes.text(title_end, MARGIN, subtitle, fontsize=FONT_SIZE, color="dimgray", **style)

    def middle(place: Place) -> tuple[float, float]:
        """Where a place's upper border has its middle."""
        y = MARGIN + TITLE_HEIGHT + place.row * (BOX_HEIGHT + ROW_GAP)
        return left + column * place.x, y

    for path in paths.values():
        _draw_arrow(axes, [middle(place) for place in path])
    for box, place in zip(boxes, places, strict=True):
        x, y = middle(place)
        for inset in (0, 0.04) if box.is_model else (0,):
            axes.add_patch(
                FancyBboxPatch(
                    (x - box_width / 2 + inset, y + inset),
                    box_width - 2 * inset,
                    BOX_HEIGHT - 2 * inset,
                    boxstyle=BoxStyle("Round", pad=0, rounding_size=0.06),
                    facecolor=box.colour,
                    edgecolor="#555555",
                    linewidth=1,
                    zorder=2,
                )
            )
        _write(axes, box, x, y, box_width)
    return figure


def _read(model: Any) -> tuple[list[Box], list[list[int]]]:
    """The model's calls of layers, and for each of them which ones it gets its inputs from."""
    if not hasattr(model, "layers"):
        raise TypeError(f"model: expected a Model or Sequential, got {type(model).__name__}")
    if not model.layers:
        raise ValueError(f"model: {model.name!r} has no layers to draw yet")
    if getattr(model, "graph", None) is None:
        boxes = [_box(layer, "shape not known yet") for layer in model.layers]
        return boxes, [[i - 1] if i else [] for i in range(len(boxes))]
    boxes, sources, seen = [], [], set()
    number: dict[int, int] = {}  # which box gives out a tensor
    made = {id(tensor) for node in model.graph.nodes for tensor in node.outputs}
    for tensor in model.graph.inputs:
        if id(tensor) not in made:  # the model begins in the middle of another one
            number[id(tensor)] = len(boxes)
            boxes.append(Box(tensor.name, "Input", str(tensor.shape), "", is_model=False))
            sources.append([])
    for node in model.graph.nodes:
        shape = ", ".join(str(tensor.shape) for tensor in node.outputs)
        sources.append([number[id(tensor)] for tensor in node.inputs])
        number.update((id(tensor), len(boxes)) for tensor in node.outputs)
        boxes.append(_box(node.layer, shape, shared=id(node.layer) in seen))
        seen.add(id(node.layer))
    return boxes, sources


def _box(layer: Any, shape: str, shared: bool = False) -> Box:
    try:
        parameters = f"{layer.count_params():,} parameters"
    except ValueError:
        parameters = "not built"
    if shared:
        parameters = "shared parameters"
    elif parameters == "0 parameters":
        parameters = ""
    return Box(layer.name, type(layer).__name__, shape, parameters, hasattr(layer, "layers"))


def _total(model: Any) -> str:
    try:
        return f"{model.count_params():,} parameters"
    except ValueError:
        return "not built yet"


def _box_width(box: Box) -> float:
    first = _text_width(box.name, FONT_SIZE, "bold") + _text_width(box.shape, FONT_SIZE)
    second = _text_width(box.kind, FONT_SIZE) + _text_width(box.parameters, FONT_SIZE)
    return max(first, second) + 0.35 + 2 * PADDING


def _write(axes: Axes, box: Box, x: float, y: float, width: float) -> None:
    """Name and type on the left, shape and number of weights on the right."""
    left, right = x - width / 2 + PADDING, x + width / 2 - PADDING
    upper, lower = y + 0.3 * BOX_HEIGHT, y + 0.72 * BOX_HEIGHT
    style = {
        "fontsize": FONT_SIZE,
        "va": "center",
        "color": "black",
        "zorder": 3,
        "parse_math": False,
    }
    axes.text(left, upper, box.name, weight="bold", **style)
    axes.text(right, upper, box.shape, ha="right", **style)
    style["color"] = "#444444"
    axes.text(left, lower, box.kind, **style)
    axes.text(right, lower, box.parameters, ha="right", **style)


def _draw_arrow(axes: Axes, tops: list[tuple[float, float]]) -> None:
    """An arrow from box to box: a curve between rows, straight down where it passes one."""
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    x, y = tops[0][0], tops[0][1] + BOX_HEIGHT
    points, codes = [(x, y)], [Path.MOVETO]
    for i, (x_next, y_next) in enumerate(tops[1:], start=1):
        half = (y + y_next) / 2
        points += [(x, half), (x_next, half), (x_next, y_next)]
        codes += [Path.CURVE4] * 3
        x, y = x_next, y_next
        if i < len(tops) - 1:
            y += BOX_HEIGHT
            points.append((x, y))
            codes.append(Path.LINETO)
    axes.add_patch(
        FancyArrowPatch(
            path=Path(points, codes), arrowstyle="-|>", mutation_scale=9, color="#555555", zorder=1
        )
    )


def _text_width(text: str, size: float, weight: str = "normal") -> float:
    """The width of a text in inches."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    if not text:
        return 0.0
    text = text.replace("$", "S")  # a formula's sign to TextPath
    path = TextPath((0, 0), text, size=size, prop=FontProperties(weight=weight))
    return path.get_extents().x1 / 72
