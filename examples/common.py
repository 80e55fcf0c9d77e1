"""What the lessons share: the options of a quick run, and where the pictures go."""

from __future__ import annotations

import argparse
import builtins
from pathlib import Path
from typing import Any

OUTPUT = Path(__file__).parent / "output"


class Options:
    """What was asked for on the command line; in a notebook, the lesson as it is written.

    Attributes:
        max_epochs, max_images: the caps of a quick run, or ``None``.
    """

    def __init__(self, arguments: list[str] | None = None):
        parser = argparse.ArgumentParser(description="Run a lesson of the course.")
        parser.add_argument("--epochs", type=int, metavar="N", help="train for N epochs at most")
        parser.add_argument("--images", type=int, metavar="N", help="use N images at most")
        parser.add_argument("--seed", type=int, default=0, help="of weights and shuffling")
        # A notebook's kernel has arguments of its own, which are none of ours.
        known, _ = parser.parse_known_args(arguments)
        self.max_epochs, self.max_images, self.seed = known.epochs, known.images, known.seed

    def epochs(self, wanted: int) -> int:
        """The lesson's number of epochs, or the cap."""
        return wanted if self.max_epochs is None else min(wanted, self.max_epochs)

    def images(self, *arrays: Any) -> Any:
        """The first images (and labels) of each array, up to the cap."""
        cut = tuple(array[: self.max_images] for array in arrays)
        return cut if len(cut) > 1 else cut[0]

    def take(self, dataset: Any) -> Any:
        """The first elements of a data set, up to the cap on images."""
        return dataset if self.max_images is None else dataset.take(self.max_images)


def save(figure: Any, name: str) -> None:
    """Keep a picture as ``examples/output/NAME.png`` (or ``.gif``); in a notebook, show it, too."""
    OUTPUT.mkdir(exist_ok=True)
    animated = hasattr(figure, "save")
    path = OUTPUT / f"{name}.{'gif' if animated else 'png'}"
    figure.save(path, writer="pillow") if animated else figure.savefig(path)
    print(f"picture: {path}")
    if hasattr(builtins, "get_ipython"):
        from IPython.display import display

        display(figure)
