"""`sys.path` as one ordered path: the same list in every process, also where a driver edits it."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # `typing` costs 5 ms in every process
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any


class Path(list[str]):
    """A list in which an entry stands once: at its first place, the only one where Python looks.

    A driver may edit it, as drivers do; each edit is done as on a plain list, with all places, and what shows
    is that list without the places that count for nothing. So an entry that is added again and removed again
    is there as before. What points into the working directory is taken as the verified directory of the
    same name.
    """

    __slots__ = ("_all", "_travels", "planned")
    tree = ""
    places: tuple[str, ...] = ()
    """The working directories that hold what the tree holds: the job's scratch, and Ray's own."""
    fixed: tuple[str, ...] = ()
    """Entries with a fixed place: `import ray` puts one of them first."""

    def __init__(self, entries: Iterable[str], *, travels: bool = False) -> None:
        super().__init__(entries)
        self.planned = list(self)
        self._all = list(self)
        self._travels = travels

    def insert(self, index: Any, entry: str) -> None:
        """Inserts `entry` unless it has a fixed place."""
        if not (entry in self.fixed and entry in self):
            self._edit(lambda entries: entries.insert(self._place(index), self._verified(entry)))

    def append(self, entry: str) -> None:
        """Appends `entry`."""
        self.insert(len(self), entry)

    def extend(self, entries: Iterable[str]) -> None:
        """Appends each entry."""
        for entry in entries:
            self.append(entry)

    def __iadd__(self, entries: Iterable[str]) -> Path:  # type: ignore[override,misc]  # noqa: PYI034
        self.extend(entries)
        return self

    def remove(self, entry: str) -> None:
        """Removes the first place of `entry`; it is still there if it has another."""
        if entry not in self:
            raise ValueError(f"{entry!r} is not on the path")
        self._edit(lambda entries: entries.remove(entry))

    def pop(self, index: Any = -1) -> str:
        """Removes the entry at `index` and returns it; it is still there if it has another place."""
        entry: str = self[index]
        self.remove(entry)
        return entry

    def __delitem__(self, index: Any) -> None:
        for entry in [self[index]] if isinstance(index, int) else self[index]:
            self.remove(entry)

    def __setitem__(self, index: Any, value: Any) -> None:
        changed = list(self)
        changed[index] = value
        self._edit(lambda entries: entries.__setitem__(slice(None), map(self._verified, changed)))

    def clear(self) -> None:
        """Removes all entries."""
        self[:] = []

    def copy(self) -> Path:
        """Returns a copy that stays a path when it is pickled, as `multiprocessing` does for children."""
        return Path(self, travels=True)

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path if self._travels else list, (list(self),))

    def _place(self, index: Any) -> int:
        """Returns where the entry that shows at `index` stands among all."""
        return self._all.index(self[index]) if index < len(self) else len(self._all)

    def _edit(self, change: Callable[[list[str]], Any]) -> None:
        # Python itself inserts a script's directory without asking: at the front, behind our back.
        self._all[:0] = [entry for entry in self if entry not in self._all]
        change(self._all)
        super().__setitem__(slice(None), dict.fromkeys(self._all))

    def _verified(self, entry: Any) -> Any:
        if not isinstance(entry, str) or entry == "":
            return entry
        path = os.path.normpath(os.path.abspath(entry))
        return verified(path) or (path if path in self else entry)


class AtFirstImport:
    """Sets the path again at the first import after Python has added a script's directory to it."""

    def __init__(self, path: list[str]) -> None:
        self._path = path

    def find_spec(self, _name: str, _path: Any = None, _target: Any = None) -> None:
        """Returns None, always: this finds nothing."""
        if list(sys.path) != self._path:
            sys.meta_path.remove(self)
            sys.path[:] = self._path


class Explaining:
    """The last finder: where an import fails, it says more than that there is no such module.

    It answers imports alone. Who asks for a spec, as `importlib.util.find_spec` does, is told as always that
    there is none; and the error is the one that Python raises, by its type and by its `name`.
    """

    def __init__(self, explain: Callable[[str], str | None]) -> None:
        self._explain = explain

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Returns what a finder behind this one finds; else None, or the import fails here.

        Raises:
            ModuleNotFoundError: the module is imported, and there is something to say about it.
        """
        for finder in sys.meta_path[sys.meta_path.index(self) + 1 :]:
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                return spec
        # `_find_spec` has asked; `_find_and_load_unlocked` of `importlib` has asked that, for an import.
        if sys._getframe(2).f_code.co_name == "_find_and_load_unlocked":
            try:
                why = self._explain(name)
            except Exception:  # noqa: BLE001 - what explains an error must not hide it
                why = None
            if why:
                raise ModuleNotFoundError(f"No module named {name!r}\n{why}", name=name)
        return None

    # Python leaves its own import system out of a traceback, and this as well.
    find_spec.__code__ = find_spec.__code__.replace(co_filename="<frozen importlib._bootstrap>")


def verified(path: str) -> str | None:
    """Returns what stands in the tree for a path in a working directory; None for a path elsewhere."""
    for place in Path.places:
        if path == place or path.startswith(f"{place}/"):
            return f"{Path.tree}/project{path[len(place) :]}"
    return None


def see_through(file_finder: Callable[[str], Any]) -> Callable[[str], Any]:
    """Returns a path hook that sees through a working directory to the verified tree.

    Modules are never imported from a working directory, whatever puts it on the path: `python -m`, `-c`,
    a script that lies there.
    """

    def hook(entry: str) -> Any:
        there = verified(os.path.normpath(os.path.abspath(entry)))
        if there is None or not os.path.isdir(entry):
            raise ImportError
        return file_finder(there) if os.path.isdir(there) else Nothing

    return hook


class Nothing:
    """Finds nothing, for a directory that is only in the working directory."""

    @staticmethod
    def find_spec(_name: str, _target: Any = None) -> None:
        """Returns None, always."""
