"""What waits for one body: the rows with the nearest deadlines in order of cost, and behind them all others."""

from __future__ import annotations

import bisect
import heapq
from collections.abc import Iterator, Sequence

from zoo.engine.ticket import Ticket, Waiting

# Rows that batches are cut from, beside the others of the last caller's. Were it all that wait, batches would take in
# rows of their lengths that have just come, and of 140 others some would wait for twice as long as the mean.
WINDOW = 64
SPENT = 64  # rows that were taken and are still in order of deadline, beside as many as wait: each holds its input
_Place = tuple[float, int, Waiting]
"""Deadline and order of arrival, and the row."""


class WaitingLine:
    """Not safe by itself: its scheduler's lock is held."""

    def __init__(self, window: int = WINDOW) -> None:
        self.window: list[Waiting] = []
        """By cost; rows of equal cost as they came."""
        self.cost = 0
        """Of all rows that wait, without padding."""
        self._size = window
        self._nearest: list[_Place] = []  # a heap of the window's rows, and of some that are taken
        self._behind: list[_Place] = []  # likewise of the others
        self._count = 0
        self._last: Ticket | None = None  # whose row came into the window last

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Waiting]:
        """All rows, in no order."""
        yield from self.window
        yield from (row for *_, row in self._behind if not row.taken)

    def add(self, row: Waiting) -> None:
        """One more."""
        self._count += 1
        self.cost += row.cost
        heapq.heappush(self._behind, _place(row))
        self._fill()

    def nearest(self) -> Waiting | None:
        """The row whose deadline comes first; it is in the window."""
        _clear(self._nearest)
        return self._nearest[0][2] if self._nearest else None

    def place(self, row: Waiting) -> int:
        """Where a row of the window stands in it."""
        return bisect.bisect_left(self.window, _by_cost(row), key=_by_cost)

    def take(self, low: int, high: int) -> list[Waiting]:
        """Remove a stretch of the window."""
        rows = self.window[low:high]
        del self.window[low:high]
        self._took(rows)
        return rows

    def remove(self, rows: Sequence[Waiting]) -> None:
        """Remove these."""
        for row in rows:
            place = self.place(row)
            if place < len(self.window) and self.window[place] is row:
                del self.window[place]
        self._took(rows)

    def of(self, ticket: Ticket) -> list[Waiting]:
        """Those rows of a caller that wait."""
        return [row for row in self if row.ticket is ticket]

    def _took(self, rows: Sequence[Waiting]) -> None:
        for row in rows:
            row.taken = True
            self.cost -= row.cost
        self._count -= len(rows)
        self._nearest = _kept(self._nearest, len(self.window))
        self._behind = _kept(self._behind, self._count - len(self.window))
        self._fill()

    def _fill(self) -> None:
        """Up to the window's size, and whatever comes before all that is in it."""
        _clear(self._behind)
        while self._behind and self._comes_in(self._behind[0]):
            place = heapq.heappop(self._behind)
            heapq.heappush(self._nearest, place)
            bisect.insort(self.window, place[2], key=_by_cost)
            self._last = place[2].ticket
            _clear(self._behind)

    def _comes_in(self, place: _Place) -> bool:
        """In a free place, with those of the same caller, who has to wait for all of them, or as the next to run."""
        if len(self.window) < self._size or place[2].ticket is self._last:
            return True
        _clear(self._nearest)
        return not self._nearest or place < self._nearest[0]


def _place(row: Waiting) -> _Place:
    return row.ticket.deadline, row.order, row


def _by_cost(row: Waiting) -> tuple[int, int]:
    return row.cost, row.order


def _clear(heap: list[_Place]) -> None:
    """Until the first one waits."""
    while heap and heap[0][2].taken:
        heapq.heappop(heap)


def _kept(heap: list[_Place], waiting: int) -> list[_Place]:
    """Without those that were taken, where these have become many."""
    if len(heap) <= 2 * waiting + SPENT:
        return heap
    left = [place for place in heap if not place[2].taken]
    heapq.heapify(left)
    return left
