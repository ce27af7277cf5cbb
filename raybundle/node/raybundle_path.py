"""Keeps `sys.path` the same in every process, even if a driver edits it."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # `typing` costs 5 ms in every process
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any


EXECUTOR = "ray._private.worker"
"""The module whose loop runs tasks (`maybe_initialize_job_config` in ray/_raylet.pyx, called from there)."""


class Path(list[str]):
    """A list that shows each entry once, at its first place, where Python finds it.

    A driver may edit the list. Each edit changes a plain list with duplicates, shown here without duplicates.
    So adding an entry again and removing it again changes nothing. A path below a working directory becomes
    the verified directory of the same name.
    """

    __slots__ = ("_all", "_pickled_as_path", "planned")
    tree = ""
    """Absolute path of the verified tree."""
    places: tuple[str, ...] = ()
    """The working directories with the tree's files: the job's scratch, and the one that Ray made."""
    fixed: tuple[str, ...] = ()
    """Entries that stay in their place, although `import ray` tries to put one of them first."""
    of_a_guest = False
    """Whether the job has no bundle. Then Ray puts directories of the job's driver first before a task."""

    def __init__(self, entries: Iterable[str], *, pickled_as_path: bool = False) -> None:
        super().__init__(entries)
        self.planned = list(self)
        self._all = list(self)
        self._pickled_as_path = pickled_as_path

    def insert(self, index: Any, entry: str) -> None:
        """Inserts `entry` unless it has a fixed place, or is one of a driver that does not run the bundle."""
        if self.of_a_guest and sys._getframe(1).f_globals.get("__name__") == EXECUTOR:
            return
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
        """Removes the first place of `entry`. It still shows if it has another place."""
        there = self[self.index(entry)]
        self._edit(lambda entries: entries.remove(there))

    def index(self, entry: str, *between: Any) -> int:
        """Returns the place of `entry`, under the name that it was added by or the verified one."""
        for name in (entry, self._verified(entry)):
            if name in self:
                return super().index(name, *between)
        raise ValueError(f"{entry!r} is not on the path")

    def pop(self, index: Any = -1) -> str:
        """Removes the entry at `index` and returns it. It still shows if it has another place."""
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
        """Returns a copy that is pickled as a `Path`, because `multiprocessing` pickles one for children."""
        return Path(self, pickled_as_path=True)

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path if self._pickled_as_path else list, (list(self),))

    def _place(self, index: Any) -> int:
        """Returns the index in `_all` of the entry that shows at `index`."""
        return self._all.index(self[index]) if index < len(self) else len(self._all)

    def _edit(self, change: Callable[[list[str]], Any]) -> None:
        # Python inserts a script's directory at the front without calling a method of this class.
        self._all[:0] = [entry for entry in self if entry not in self._all]
        change(self._all)
        super().__setitem__(slice(None), dict.fromkeys(self._all))

    def _verified(self, entry: Any) -> Any:
        if not isinstance(entry, str) or entry == "":
            return entry
        path = os.path.normpath(os.path.abspath(entry))
        return verified(path) or (path if path in self else entry)


class Places:
    """The directories that this process has its code from."""

    __slots__ = ("archive", "environment", "link_anew", "links", "tree")

    link_anew: Callable[[], Any]
    """Checks the directories of links, and makes one that has changed anew."""

    def __init__(self, tree: str, archive: str, environment: str, links: str, own: str) -> None:
        """Takes absolute paths.

        Args:
            tree: the verified tree.
            archive: unpacked by Ray; Ray's `--temp-dir` may contain a link, so it is resolved.
            environment: of the layers; empty if there are none.
            links: the directory with `ray`.
            own: the directory with what Ray installed for this job; empty if there is none.
        """
        self.tree, self.archive, self.environment = tree, archive, environment
        self.links = [links, own] if own else [links]


def expect_first_entry(role: str, path: list[str]) -> None:
    """Undoes what Python does after the boot: it inserts the directory of its script into the path."""
    if getattr(sys.flags, "safe_path", False):
        return
    if role == "worker" or (role == "driver" and sys.argv[0] == "-m"):
        sys.meta_path.insert(0, AtFirstImport(path))
    elif os.path.exists(sys.argv[0]) and os.path.dirname(os.path.realpath(sys.argv[0])) == path[0]:
        del sys.path[0]  # Python is about to insert it


class AtFirstImport:
    """A finder that restores the path at the first import after Python added a script's directory to it."""

    def __init__(self, path: list[str]) -> None:
        self._path = path

    def find_spec(self, _name: str, _path: Any = None, _target: Any = None) -> None:
        """Restores the path and returns None: another finder finds the module."""
        if list(sys.path) != self._path:
            sys.meta_path.remove(self)
            sys.path[:] = self._path


class Explaining:
    """The last finder: adds an explanation to the error of a failed import.

    Only imports get the explanation; `importlib.util.find_spec` returns None as usual. The error has the type
    and the `name` that Python's own has.
    """

    def __init__(self, explain: Callable[[str], str | None]) -> None:
        self._explain = explain

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Returns the spec from a finder after this one; None if they find nothing either.

        Raises:
            ModuleNotFoundError: an import fails and there is an explanation.
        """
        for finder in sys.meta_path[sys.meta_path.index(self) + 1 :]:
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                return spec
        if name == "distutils":
            spec = _distutils()
            if spec is not None:
                return spec
        # The caller is `_find_spec` of `importlib`; for an import, its caller is `_find_and_load_unlocked`.
        if sys._getframe(2).f_code.co_name == "_find_and_load_unlocked":
            try:
                why = self._explain(name)
            except Exception:  # noqa: BLE001 - what explains an error must not hide it
                why = None
            if why:
                raise ModuleNotFoundError(f"No module named {name!r}\n{why}", name=name)
        return None

    # Python hides its own import system in tracebacks. This hides the method too.
    find_spec.__code__ = find_spec.__code__.replace(co_filename="<frozen importlib._bootstrap>")


def _distutils() -> Any:
    """Returns the spec of `distutils` in setuptools, for Python 3.12 and later; None without setuptools.

    Elsewhere a `.pth` file of setuptools makes Python find it. Nodes run no such files.
    """
    from importlib import import_module

    try:
        hack: Any = import_module("_distutils_hack")
    except ImportError:
        return None
    return hack.DistutilsMetaFinder().find_spec("distutils", None)


def verified(path: str) -> str | None:
    """Returns the path in the verified tree for one in a working directory; None for any other path."""
    for place in Path.places:
        if path == place or path.startswith(f"{place}/"):
            return f"{Path.tree}/project{path[len(place) :]}"
    return None


def see_through(file_finder: Callable[[str], Any]) -> Callable[[str], Any]:
    """Returns a path hook that finds modules in the verified tree instead of a working directory.

    Modules are never imported from a working directory, even if `python -m`, `-c` or a script in it puts it
    on the path.
    """

    def hook(entry: str) -> Any:
        there = verified(os.path.normpath(os.path.abspath(entry)))
        if there is None or not os.path.isdir(entry):
            raise ImportError
        return file_finder(there) if os.path.isdir(there) else Nothing

    return hook


class Nothing:
    """A finder without modules, for a directory of a working directory that is not in the tree."""

    @staticmethod
    def find_spec(_name: str, _target: Any = None) -> None:
        """Returns None."""
