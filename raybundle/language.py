"""`dataclass` of the standard library, made for a quick start, and its `assert_never` for Python 3.10.

The standard library compiles six methods for each class when it is defined, which was two fifths of the start
of each command. Here a method is compiled at its first call. `fields`, `replace`, `asdict` and `field` of the
standard library work as usual. Classes of the public library use the standard library's: `help` shows their
signatures.
"""

from __future__ import annotations

import dataclasses
from dataclasses import MISSING, FrozenInstanceError, field, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from dataclasses import Field, dataclass
    from typing import NoReturn
else:

    def dataclass(**options: bool) -> Callable[[type], type]:
        """Returns what makes a data class with slots, frozen or not."""
        known = {"frozen": False, "eq": True, "repr": True, **options}
        if not known.pop("slots", False) or len(known) > 3:  # noqa: PLR2004 - such as `order`
            return dataclasses.dataclass(**options)
        return lambda plain: _made(plain, **known)


__all__ = ["assert_never", "dataclass", "field"]

_set = object.__setattr__


def _made(plain: type, *, frozen: bool, eq: bool, repr: bool) -> type:  # noqa: A002 - as the standard library
    own = dict(plain.__dict__)
    if own.get("__hash__", "") is None and "__eq__" in own:
        del own["__hash__"]  # Python sets it to None where a class has `__eq__`
    made: type[Any] = dataclasses.dataclass(init=False, repr=False, eq=False, slots=True)(plain)
    methods: dict[str, Any] = {"__init__": _waiting("__init__", made, frozen=frozen)}
    if repr:
        methods["__repr__"] = _repr
    if eq:
        methods["__eq__"] = _waiting("__eq__", made)
        methods["__hash__"] = _waiting("__hash__", made) if frozen else None
    if frozen:
        methods |= _frozen(made)
    for name, method in methods.items():
        if name not in own:
            setattr(made, name, method)
    return made


def _waiting(name: str, made: type, *, frozen: bool = False) -> Callable[..., Any]:
    """Returns a method that is replaced by a compiled one at its first call."""

    def waiting(self: Any, *values: Any, **named: Any) -> Any:
        text, known = _init(made, frozen=frozen) if name == "__init__" else (_comparing(name, made), {})
        exec(text, known)  # noqa: S102 - the fields of a class of raybundle
        method = known[name]
        method.__qualname__ = f"{made.__qualname__}.{name}"
        setattr(made, name, method)
        return method(self, *values, **named)

    return waiting


def _comparing(name: str, made: type) -> str:
    """Returns the source of `__eq__` or `__hash__`."""
    names = [each.name for each in fields(made) if each.compare]
    ours, theirs = ("".join(f"{of}.{each}, " for each in names) for of in ("self", "other"))
    if name == "__hash__":
        return f"def __hash__(self):\n return hash(({ours}))"
    equal = f"({ours}) == ({theirs}) if other.__class__ is self.__class__ else NotImplemented"
    return f"def __eq__(self, other):\n return {equal}"


def _init(made: type, *, frozen: bool) -> tuple[str, dict[str, Any]]:
    """Returns the source of `__init__`, and the values that it uses."""
    known: dict[str, Any] = {"_set": _set, "_missing": MISSING}
    words, lines = ["self"], []
    for each in fields(made):
        word, value = _word(each, known)
        words += word
        if value is not None:
            lines.append(f"_set(self, {each.name!r}, {value})" if frozen else f"self.{each.name} = {value}")
    if hasattr(made, "__post_init__"):
        lines.append("self.__post_init__()")
    body = "\n ".join(lines or ["pass"])
    return f"def __init__({', '.join(words)}):\n {body}", known


def _word(each: Field[Any], known: dict[str, Any]) -> tuple[list[str], str | None]:
    """Returns the parameter of a field, if it has one, and the text of its value; notes its default."""
    name, default = each.name, f"_of_{each.name}"
    if each.default_factory is not MISSING:
        known[default] = each.default_factory
        text = f"{default}()"
        return (
            ([f"{name}=_missing"], f"{text} if {name} is _missing else {name}") if each.init else ([], text)
        )
    if each.default is not MISSING:
        known[default] = each.default
        return ([f"{name}={default}"], name) if each.init else ([], default)
    return ([name], name) if each.init else ([], None)


def _repr(self: Any) -> str:
    shown = ", ".join(f"{each.name}={getattr(self, each.name)!r}" for each in fields(self) if each.repr)
    return f"{type(self).__qualname__}({shown})"


def _frozen(made: Any) -> dict[str, Any]:
    """Returns the methods that refuse changes, and those by which a copy is made all the same."""
    names = frozenset(each.name for each in fields(made))

    def __setattr__(self: Any, name: str, value: object) -> None:  # noqa: N807 - it becomes one
        if type(self) is made or name in names:
            raise FrozenInstanceError(f"cannot assign to field {name!r}")
        super(made, self).__setattr__(name, value)

    def __delattr__(self: Any, name: str) -> None:  # noqa: N807 - as above
        if type(self) is made or name in names:
            raise FrozenInstanceError(f"cannot delete field {name!r}")
        super(made, self).__delattr__(name)

    return {
        "__setattr__": __setattr__,
        "__delattr__": __delattr__,
        "__getstate__": _get_state,
        "__setstate__": _set_state,
    }


def _get_state(self: Any) -> list[Any]:
    return [getattr(self, each.name) for each in fields(self)]


def _set_state(self: Any, state: list[Any]) -> None:
    for each, value in zip(fields(self), state, strict=True):
        _set(self, each.name, value)


def assert_never(value: NoReturn) -> NoReturn:
    """Tells the type checker that a `match` covers its whole union."""
    raise AssertionError(f"unexpected value: {value!r}")
