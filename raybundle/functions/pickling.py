"""Pickles a call by value, and finds the functions that its pickle carries."""

from __future__ import annotations

import contextlib
import functools
import io
import sys
import sysconfig
import types
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from raybundle.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

MOST = 256 << 20
"""Bytes of a pickled call."""
_NO_FILE = "<dynamic-code>"
"""The file of all code in cloudpickle 3.1.3."""
_NODES = sys.stdlib_module_names | {"__main__", "__mp_main__"}
"""Modules that are never carried by value: the nodes have them, or cloudpickle does so by itself."""


@dataclass(frozen=True, slots=True)
class Call:
    """A function, and what it is called with."""

    function: Callable[..., Any]
    args: Sequence[Any]
    kwargs: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The function's name, for people."""
        inner = self.function
        while isinstance(inner, functools.partial):
            inner = inner.func
        return str(getattr(inner, "__name__", type(inner).__name__))


def pickled(call: Call) -> tuple[bytes, tuple[types.FunctionType, ...]]:
    """Returns the pickle of a call, and the functions that it carries by value, also those of classes.

    Raises:
        UsageError: it cannot be pickled, or is too large. The message names the argument or the global.
    """
    with _by_value():
        try:
            data, carried = _dump((call.function, tuple(call.args), dict(call.kwargs)))
        except Exception as error:  # whatever a `__reduce__` raises
            what, culprit = _culprit(call) or ("the call", error)
            raise UsageError(
                f"{what} of {call.name}() cannot be pickled: {type(culprit).__name__}: {culprit}",
                hint="make it inside the function, or pass what it is made from",
            ) from error
    if len(data) > MOST:
        raise UsageError(
            f"the call of {call.name}() has {len(data) >> 20} MiB when pickled, and at most {MOST >> 20} MiB "
            "travel",
            hint="write the data where the nodes read it, and pass its path",
        )
    return data, carried


def _dump(value: object) -> tuple[bytes, tuple[types.FunctionType, ...]]:
    stream = io.BytesIO()
    pickler = _pickler()(stream, 5)
    pickler.dump(value)
    return stream.getvalue(), tuple(dict.fromkeys(pickler.carried))


@functools.cache
def _pickler() -> Any:
    """Returns the class of cloudpickle that also notes which functions it carries by value."""
    import cloudpickle  # noqa: PLC0415 - only functions need it

    class Noting(cloudpickle.Pickler):  # type: ignore[misc]
        def __init__(self, file: io.BytesIO, protocol: int) -> None:
            super().__init__(file, protocol)
            self.carried: list[types.FunctionType] = []

        def reducer_override(self, obj: Any) -> Any:
            reduced = super().reducer_override(obj)
            if reduced is not NotImplemented and isinstance(obj, types.FunctionType):
                self.carried.append(obj)
            if isinstance(obj, types.CodeType):
                return _code_with_file(self.dispatch_table[types.CodeType](obj), obj.co_filename)
            return reduced

    return Noting


def _code_with_file(reduced: tuple[Any, tuple[Any, ...]], file: str) -> tuple[Any, tuple[Any, ...]]:
    """Returns the pickle of a code object with its file, which cloudpickle drops since 3.1.3.

    A traceback finds the source lines by it.
    """
    make, args = reduced
    return make, tuple("".join(file) if each == _NO_FILE else each for each in args)


@contextlib.contextmanager
def _by_value() -> Iterator[None]:
    """Makes cloudpickle carry functions by value whose modules no other process finds by their name."""
    import cloudpickle  # noqa: PLC0415 - as above

    known = cloudpickle.list_registry_pickle_by_value()
    found = [each for name, each in [*sys.modules.items()] if name not in known and is_nowhere(name, each)]
    for module in found:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in found:
            cloudpickle.unregister_pickle_by_value(module)


def is_carried(name: str) -> bool:
    """Returns whether what a module has travels by value: it or its package is registered or `is_nowhere`."""
    import cloudpickle  # noqa: PLC0415 - as above

    parts, known = name.split("."), cloudpickle.list_registry_pickle_by_value()
    names = (".".join(parts[:count]) for count in range(1, len(parts) + 1))
    return any(each in known or is_nowhere(each, sys.modules.get(each)) for each in names)


def is_nowhere(name: str, module: object) -> bool:
    """Returns whether importing a module's name would not load it again, as with DAG files of Airflow."""
    if not isinstance(module, types.ModuleType) or module.__name__ != name:
        return False
    file = getattr(module, "__file__", None)
    if name.partition(".")[0] in _NODES or not isinstance(file, str) or file.startswith(_installed()):
        return False
    parent = sys.modules.get(name.rpartition(".")[0])
    for finder in sys.meta_path:
        with contextlib.suppress(Exception):
            if finder.find_spec(name, getattr(parent, "__path__", None)) is not None:
                return False
    return True


@functools.cache
def _installed() -> tuple[str, ...]:
    return tuple({sysconfig.get_path(each) + "/" for each in ("stdlib", "platstdlib", "purelib", "platlib")})


def _culprit(call: Call) -> tuple[str, Exception] | None:
    """Returns which argument or global of a call cannot be pickled, and why."""
    parts = [(f"argument {number}", each) for number, each in enumerate(call.args, 1)]
    parts += [(f"argument `{name}`", each) for name, each in call.kwargs.items()]
    code, known = getattr(call.function, "__code__", None), getattr(call.function, "__globals__", {})
    names = [name for name in getattr(code, "co_names", ()) if name in known]
    parts += [(f"the global `{name}`", known[name]) for name in names]
    for what, value in parts:
        try:
            _dump(value)
        except Exception as error:  # noqa: BLE001, PERF203 - whatever a `__reduce__` raises
            return what, error
    return None
