"""``python -m benchmarks COMMAND``. Each command is a module beside this file, with two functions:
``add_arguments(parser)``, and ``run(options)``, which returns the exit status."""

from __future__ import annotations

import argparse
import importlib
import sys

COMMANDS = {
    "compare": "train the course's models with minicnn, Keras and PyTorch, and compare",
    "ops": "single operations, forward and backward, on every floor",
    "gpu": "check and measure everything on a GPU, in under 8 minutes",
}


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line asks for. No other command's module is imported."""
    what = "; ".join(f"{name}: {text}" for name, text in COMMANDS.items())
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure minicnn.")
    parser.add_argument("command", choices=COMMANDS, help=what)
    parser.add_argument("options", nargs=argparse.REMAINDER, help="COMMAND --help lists them")
    chosen = parser.parse_args(arguments)
    module = importlib.import_module(f"benchmarks.{chosen.command}")
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks {chosen.command}", description=module.__doc__
    )
    module.add_arguments(parser)
    return module.run(parser.parse_args(chosen.options))


if __name__ == "__main__":
    sys.exit(main())
