"""Pools of numbers: vectors one after the other in one table, equal ones stored once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dispatcher.encode import digest


class FloatPool:
    """Float32 vectors in chunks of at most ``2^chunk_bits`` numbers; no vector crosses the border of two chunks."""

    def __init__(self, chunk_bits: int) -> None:
        self.chunk_bits = chunk_bits
        self._parts: list[list[NDArray[np.float32]]] = [[]]
        self._filled = 0
        self._places: dict[str, int] = {}

    def add(self, values: NDArray[np.float32]) -> int:
        """Place of a vector ``[n]``: chunk index times ``2^chunk_bits`` plus offset in the chunk; 0 if it is empty."""
        if not values.size:
            return 0
        key = digest(values.tobytes())
        if key not in self._places:
            self._places[key] = self._append(values)
        return self._places[key]

    def stands(self, values: NDArray[np.float32], place: int) -> None:
        """Say that a vector stands at a place, as a part of another."""
        self._places.setdefault(digest(values.tobytes()), place)

    def _append(self, values: NDArray[np.float32]) -> int:
        assert values.size <= 1 << self.chunk_bits, "a vector must fit a chunk"
        if self._filled + values.size > 1 << self.chunk_bits:
            self._parts.append([])
            self._filled = 0
        place = ((len(self._parts) - 1) << self.chunk_bits) + self._filled
        self._parts[-1].append(values)
        self._filled += values.size
        return place

    def chunks(self) -> tuple[NDArray[np.float32], ...]:
        """The chunks; a single zero if there are no numbers, as C has no empty arrays."""
        return tuple(np.concatenate(part) if part else np.zeros(1, np.float32) for part in self._parts)


class IndexPool:
    """Vectors of unit indices."""

    def __init__(self) -> None:
        self._parts: list[NDArray[np.int64]] = []
        self._filled = 0
        self._places: dict[bytes, int] = {}

    def add(self, indices: NDArray[np.int64]) -> int:
        """Place of a vector ``[n]``: its offset in the pool."""
        key = indices.tobytes()
        if key not in self._places:
            self._places[key] = self._filled
            self._parts.append(indices)
            self._filled += indices.size
        return self._places[key]

    def values(self) -> NDArray[np.int64]:
        """All indices; a single zero if there are none, as C has no empty arrays."""
        return np.concatenate(self._parts) if self._parts else np.zeros(1, np.int64)
