"""Seeds. Randomness here is counted, not consumed.

A random array is a function of (seed, step): there is no hidden generator whose state depends on
who drew before. The seed says which stream of numbers, the step which page of it. So a run repeats
to the bit, a run that is resumed goes on to the bit, and every floor sees the same numbers
(``philox`` in ``minicnn.backends.numpy.random`` turns seed and step into bits).
"""

from __future__ import annotations

import numpy as np

_seeds = np.random.SeedSequence()


def set_seed(seed: int) -> None:
    """Make every seed that is handed out from now on a function of ``seed``.

    Raises:
        TypeError: if ``seed`` is not an integer.
        ValueError: if it is negative.
    """
    global _seeds
    _seeds = np.random.SeedSequence(_checked(seed))


def fresh_seed() -> int:
    """A new 64-bit seed: the next child of the global one."""
    return int(_seeds.spawn(1)[0].generate_state(1, np.uint64)[0])


def get_state() -> tuple[int, int]:
    """What :func:`fresh_seed` will give: the global seed, and how many were taken from it."""
    return int(_seeds.entropy), _seeds.n_children_spawned  # type: ignore[arg-type]


def set_state(state: tuple[int, int]) -> None:
    """Go on from a state that :func:`get_state` gave.

    >>> state = get_state()
    >>> seed = fresh_seed()
    >>> set_state(state)
    >>> fresh_seed() == seed
    True
    """
    global _seeds
    entropy, taken = state
    _seeds = np.random.SeedSequence(entropy, n_children_spawned=taken)


class SeedGenerator:
    """Pages of one stream: each :meth:`next` names the next page.

    Args:
        seed: which stream; ``None`` takes a fresh one from the global seed.

    >>> generator = SeedGenerator(7)
    >>> generator.next(), generator.next()
    ((7, 0), (7, 1))
    """

    def __init__(self, seed: int | None = None):
        self.seed = fresh_seed() if seed is None else _checked(seed)
        self.step = 0

    def next(self) -> tuple[int, int]:
        """``(seed, step)`` for one draw; the step moves on."""
        page = (self.seed, self.step)
        self.step += 1
        return page

    def permutation(self, n: int) -> np.ndarray:
        """The numbers from 0 to n - 1 in the order that the next page names."""
        key = np.array(self.next(), np.uint64)
        return np.random.Generator(np.random.Philox(key=key)).permutation(n)


def _checked(seed: int) -> int:
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise TypeError(f"seed: expected a non-negative integer or None, got {seed!r}")
    if seed < 0:
        raise ValueError(f"seed: expected a non-negative integer or None, got {seed}")
    return int(seed)
