"""Parsers of commands that make their options when they are used: a run uses one parser of dozens."""

from __future__ import annotations

import argparse
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable


class Parser(argparse.ArgumentParser):
    """A parser whose errors show no secret and steer no terminal."""

    def error(self, message: str) -> NoReturn:
        """Refuses the command line as all other errors are told; the hint names the nearest choice.

        Args:
            message: as argparse words it.
        """
        from raybundle.errors import UsageError
        from raybundle.formats.credentials import masked
        from raybundle.formats.nearest import did_you_mean
        from raybundle.formats.terminal import printable

        text, help_is = masked(printable(message)), f"`{self.prog} --help` shows what it takes"
        _, missing, names = text.partition("arguments are required: ")
        if missing:
            raise UsageError(f"`{self.prog}` is incomplete without {names}", hint=help_is)
        before, chosen, known = text.partition(" (choose from ")
        option, wrong, word = before.removeprefix("argument ").partition(": invalid choice: ")
        if chosen and wrong:
            choices, word = known.rstrip(")").replace("'", "").split(", "), word.strip("'")
            wanted = did_you_mean(word, choices)
            raise UsageError(f"`{self.prog}` takes no `{word}` as `{option}`", hint=wanted)
        raise UsageError(f"`{self.prog}` does not understand {text.removeprefix('argument ')}", hint=help_is)


class _Group:
    """A group of options that are made with its parser."""

    def __init__(self) -> None:
        self._add: Callable[..., object] | None = None
        self._waiting: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def add_argument(self, *names: Any, **options: Any) -> None:
        if self._add is None:
            self._waiting.append((names, options))
        else:
            self._add(*names, **options)

    def make(self, add: Callable[..., object]) -> None:
        self._add = add
        for names, options in self._waiting:
            add(*names, **options)


class CommandParser(Parser):
    """A parser of a command, which waits with all that is added to it."""

    def __init__(self, **options: Any) -> None:
        self._waiting: list[Callable[[], object]] = [partial(super().__init__, **options)]

    def add_argument(self, *names: Any, **options: Any) -> Any:
        """Adds an option, now or when the parser is used."""
        if self._waiting:
            return self._waiting.append(partial(super().add_argument, *names, **options))
        return super().add_argument(*names, **options)

    def set_defaults(self, **values: Any) -> None:
        """Sets defaults, now or when the parser is used."""
        if self._waiting:
            self._waiting.append(partial(super().set_defaults, **values))
        else:
            super().set_defaults(**values)

    def add_argument_group(self, *words: Any, **options: Any) -> Any:
        """Returns a group, whose options wait as well."""
        add = super().add_argument_group
        if not self._waiting:
            return add(*words, **options)
        group = _Group()
        self._waiting.append(lambda: group.make(add(*words, **options).add_argument))
        return group

    def __getattr__(self, name: str) -> Any:
        """Makes the parser: until then, it lacks its attributes."""
        waiting, self._waiting = self.__dict__["_waiting"], []
        if not waiting:
            raise AttributeError(name)
        for make in waiting:
            make()
        return getattr(self, name)
