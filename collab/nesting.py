"""How deep shared types lie inside each other, so that none gets deeper than yrs can carry.

yrs walks nested types recursively; an update (or thousands of small ones, each one level
further down) can drive it out of stack. A document's roots have depth 0, a type in a root 1.
Only what lies at depth 2 and more is remembered: graphs keep nearly everything above that.
"""

from bisect import bisect_right
from collections.abc import Mapping

from collab.wire.errors import MalformedError, NestingError
from collab.wire.update import Item

MAX_TYPE_DEPTH = 32
"""How deep shared types may nest."""

Id = tuple[int, int]


class Nesting:
    """The depths of one document's types and items, extended update by update."""

    def __init__(self) -> None:
        self._types: dict[Id, int] = {}
        self._runs: dict[int, list[tuple[int, int, int]]] = {}

    def place(self, items: list[Item], known: Mapping[int, int]) -> None:
        """Remember the depths of an update's `items`, except those that the state vector `known` covers.

        Raises NestingError (and remembers nothing) when a type would lie deeper than
        MAX_TYPE_DEPTH, MalformedError when items claim to lie inside each other in a circle.
        Every item they hang on must be known or among them.
        """
        levels = _Levels(items, self).all()
        for item, level in zip(items, levels, strict=True):
            if item.is_type and level >= MAX_TYPE_DEPTH:
                raise NestingError("shared types", MAX_TYPE_DEPTH)
        for item, level in zip(items, levels, strict=True):
            self._remember(item, max(item.clock, known.get(item.client, 0)), level)

    def _remember(self, item: Item, start: int, level: int) -> None:
        end = item.clock + item.length
        if start >= end:
            return
        if item.is_type and level >= 1:
            self._types[item.client, item.clock] = level + 1
        if level < 2:
            return
        # What is new of a client lies beyond what is known of it, so the runs stay sorted.
        runs = self._runs.setdefault(item.client, [])
        if runs and runs[-1][1] == start and runs[-1][2] == level:
            runs[-1] = (runs[-1][0], end, level)
        else:
            runs.append((start, end, level))

    def type_depth(self, id_: Id) -> int:
        """Return the depth of the type with this id."""
        return self._types.get(id_, 1)

    def level(self, id_: Id) -> int:
        """Return the depth of the type that holds the item with this id, at most one too many."""
        runs = self._runs.get(id_[0])
        if runs is None:
            return 1
        index = bisect_right(runs, id_[1], key=lambda run: run[0]) - 1
        if index >= 0 and id_[1] < runs[index][1]:
            return runs[index][2]
        return 1


class _Levels:
    """The levels (depth of the holding type) of one update's items, which may refer to each other."""

    def __init__(self, items: list[Item], known: Nesting) -> None:
        self._items = items
        self._known = known
        self._levels: list[int | None] = [None] * len(items)
        self._by_client: dict[int, tuple[list[int], list[int]]] = {}
        for index, item in enumerate(items):
            clocks, indices = self._by_client.setdefault(item.client, ([], []))
            clocks.append(item.clock)
            indices.append(index)

    def all(self) -> list[int]:
        return [self._resolve(index) for index in range(len(self._items))]

    def _resolve(self, index: int) -> int:
        path = [index]
        visited = {index}
        while (level := self._levels[path[-1]]) is None:
            item = self._items[path[-1]]
            inner = self._local(item.anchor) if item.anchor else None
            if inner is None:
                self._levels[path[-1]] = self._outer_level(item)
            elif self._levels[inner] is None:
                if inner in visited:
                    raise MalformedError("items lie inside each other in a circle")
                visited.add(inner)
                path.append(inner)
            else:
                self._levels[path[-1]] = self._level_beside(item, inner)
        return self._unwind(path, level)

    def _unwind(self, path: list[int], level: int) -> int:
        for inner, index in zip(path[:0:-1], path[-2::-1], strict=True):
            level = self._level_beside(self._items[index], inner)
            self._levels[index] = level
        return level

    def _level_beside(self, item: Item, inner: int) -> int:
        level = self._levels[inner]
        assert level is not None
        return level + 1 if item.anchor_is_parent else level

    def _outer_level(self, item: Item) -> int:
        if item.anchor is None:
            return 0
        return self._known.type_depth(item.anchor) if item.anchor_is_parent else self._known.level(item.anchor)

    def _local(self, id_: Id) -> int | None:
        found = self._by_client.get(id_[0])
        if found is None:
            return None
        clocks, indices = found
        at = bisect_right(clocks, id_[1]) - 1
        if at < 0:
            return None
        item = self._items[indices[at]]
        return indices[at] if id_[1] < item.clock + item.length else None
