"""Where the boxes of a flow diagram stand: a layered layout, without graphviz.

Each node gets a row, and a long edge a passage through every row between; the rows are ordered so
that few edges cross; what can be one straight line becomes one; and the lines move to where their
neighbours are. The first two steps are those of Sugiyama, Tagawa and Toda, "Methods for visual
understanding of hierarchical system structures" (IEEE Transactions on Systems, Man, and Cybernetics
11, 1981); straight lines as the things to be moved are an idea of Brandes and Koepf, "Fast and
simple horizontal coordinate assignment" (Graph Drawing 2001).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

SWEEPS = 24
# A passage needs less room than a box with its margin, which is the unit of length here.
PASSAGE_WIDTH = 0.22


@dataclass(eq=False)
class Place:
    """A box, or the passage of a long edge through a row.

    Attributes:
        row: from 0 at the top.
        width: the room it takes, 1 for a box.
        line: the straight line that it stands on.
        above, below: the places it is joined to in the rows beside its own.
        left, right: its neighbours in its own row.
    """

    row: int
    width: float
    line: Line | None = None
    above: list[Place] = field(default_factory=list, repr=False)
    below: list[Place] = field(default_factory=list, repr=False)
    left: Place | None = field(default=None, repr=False)
    right: Place | None = field(default=None, repr=False)

    @property
    def x(self) -> float:
        """Where its middle is."""
        return self.line.x

    @property
    def is_box(self) -> bool:
        return self.width == 1

    def straight_on(self) -> Place | None:
        """The place that should be right below this one, if there is one.

        A passage goes on to the next one, and a box to the next box, if neither has another box on
        that side: short cuts bend, chains do not. A box with one long edge goes on to its passage.
        """
        boxes = [place for place in self.below if place.is_box]
        if not self.is_box:
            return None if boxes else self.below[0]
        if len(boxes) == 1:
            return boxes[0] if sum(place.is_box for place in boxes[0].above) == 1 else None
        return self.below[0] if len(self.below) == 1 else None


@dataclass(eq=False)
class Line:
    """Places right below each other, which move together."""

    places: list[Place]
    x: float = 0.0

    def wish(self) -> float:
        """Where this line wants to be: the mean of what it is joined to."""
        joined = [
            other.line.x
            for place in self.places
            for other in place.above + place.below
            if other.line is not self
        ]
        return sum(joined) / len(joined) if joined else self.x

    def least(self) -> float:
        """How far to the left there is room."""
        return max((p.left.x + _distance(p.left, p) for p in self.places if p.left), default=-1e9)

    def most(self) -> float:
        """How far to the right there is room."""
        return min((p.right.x - _distance(p, p.right) for p in self.places if p.right), default=1e9)


def _distance(left: Place, right: Place) -> float:
    return (left.width + right.width) / 2


def layered_layout(
    sources: Sequence[Sequence[int]],
) -> tuple[list[Place], dict[tuple[int, int], list[Place]]]:
    """Find places for nodes whose edges go down.

    Args:
        sources: for each node, in topological order, the numbers of the nodes it gets its inputs
            from. An edge given twice is drawn once.

    Returns:
        The places of the nodes, and for each edge (from, to) the places it goes through, both ends
        included. The leftmost border is at x = 0.

    >>> places, paths = layered_layout([[], [0], [0, 1]])  # with a short cut from 0 to 2
    >>> [place.row for place in places], [place.row for place in paths[0, 2]]
    ([0, 1, 2], [0, 1, 2])
    """
    sources = [list(dict.fromkeys(before)) for before in sources]
    places = [Place(row, width=1) for row in _rows(sources)]
    rows: list[list[Place]] = [[] for _ in range(1 + max(place.row for place in places))]
    for place in places:
        rows[place.row].append(place)
    paths = {}
    for end, before in enumerate(sources):
        for start in before:
            paths[start, end] = path = [places[start]]
            for row in range(places[start].row + 1, places[end].row):
                path.append(Place(row, PASSAGE_WIDTH))
                rows[row].append(path[-1])
            path.append(places[end])
            for upper, lower in pairwise(path):
                upper.below.append(lower)
                lower.above.append(upper)
    _order(rows)
    lines = _straight_lines(rows)
    _move(lines)
    border = min(place.x - place.width / 2 for row in rows for place in row)
    for line in lines:
        line.x -= border
    return places, paths


def _rows(sources: list[list[int]]) -> list[int]:
    """A row for each node, below all its sources; an input stands right above its first use."""
    rows: list[int] = []
    for before in sources:
        rows.append(1 + max((rows[start] for start in before), default=-1))
    for node, before in enumerate(sources):
        uses = [rows[end] for end, others in enumerate(sources) if node in others]
        if not before and uses:
            rows[node] = min(uses) - 1
    return rows


def _order(rows: list[list[Place]]) -> None:
    """Order each row by the mean position of the neighbours, down and up, and keep the best."""
    best, fewest = [list(row) for row in rows], _crossings(rows)
    for sweep in range(SWEEPS):
        if fewest == 0:
            break
        downward = sweep % 2 == 0
        for row in rows[1:] if downward else rows[-2::-1]:
            _sort_by_neighbours(row, rows, downward)
        crossings = _crossings(rows)
        if crossings < fewest:
            best, fewest = [list(row) for row in rows], crossings
    for row, order in zip(rows, best, strict=True):
        row[:] = order


def _sort_by_neighbours(row: list[Place], rows: list[list[Place]], downward: bool) -> None:
    position = {id(place): i for line in rows for i, place in enumerate(line)}

    def mean_position(place: Place) -> float:
        neighbours = place.above if downward else place.below
        if not neighbours:
            return position[id(place)]
        return sum(position[id(other)] for other in neighbours) / len(neighbours)

    row.sort(key=mean_position)


def _crossings(rows: list[list[Place]]) -> int:
    count = 0
    for upper, lower in pairwise(rows):
        position = {id(place): i for i, place in enumerate(lower)}
        ends = [(i, position[id(end)]) for i, place in enumerate(upper) for end in place.below]
        count += sum(
            (i - k) * (j - m) < 0 for n, (i, j) in enumerate(ends) for k, m in ends[n + 1 :]
        )
    return count


def _straight_lines(rows: list[list[Place]]) -> list[Line]:
    """Put every place on a line, and make the lines long, without letting them cross."""
    lines = []
    for row in rows:
        for left, right in pairwise(row):
            left.right, right.left = right, left
    for upper, lower in pairwise([[], *rows]):
        position = {id(place): i for i, place in enumerate(lower)}
        end = -1
        for place in upper:
            following = place.straight_on() if place.below else None
            if following is not None and position[id(following)] > end:
                end = position[id(following)]
                following.line = place.line
                place.line.places.append(following)
        for place in lower:
            if place.line is None:
                place.line = Line([place])
                lines.append(place.line)
    return lines


def _move(lines: list[Line]) -> None:
    """Move each line towards its wish, as far as the lines beside it leave room.

    Two neighbours that wish to change sides would stay where they began. So this is done twice,
    with all lines far to the left and far to the right at first, and the mean is taken.
    """
    results = []
    for start in ("left", "right"):
        for line in lines:
            line.x = 0.0
        for _ in lines:  # as many times as a chain of lines beside each other can be long
            for line in lines:
                line.x = max(line.x, line.least()) if start == "left" else min(line.x, line.most())
        for _ in range(SWEEPS):
            for line in (*lines, *reversed(lines)):
                line.x = min(max(line.wish(), line.least()), line.most())
        middle = (min(line.x for line in lines) + max(line.x for line in lines)) / 2
        results.append([line.x - middle for line in lines])
    for line, x, other in zip(lines, *results, strict=True):
        line.x = (x + other) / 2
