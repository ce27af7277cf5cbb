"""What goes to a function that runs as a job, and what comes back from it."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from raybundle.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from pathlib import Path


def keywords_for(
    function: Callable[..., Any],
    given: Sequence[Any],
    keywords: Mapping[str, Any],
    context: Mapping[str, Any],
) -> dict[str, Any]:
    """Returns the keyword arguments of a call: those given, and parameters that the context of the task has.

    Args:
        function: to call.
        given: positional arguments.
        keywords: keyword arguments.
        context: of the running task, such as `ds` and `params`.

    Raises:
        TypeError: arguments are missing.
    """
    signature = inspect.signature(function)
    wanted = [*signature.parameters.values()]
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    free = [each.name for number, each in enumerate(wanted) if each.kind in kinds[number < len(given) :]]
    found = {name: context[name] for name in free if name in context} | dict(keywords)
    signature.bind(*given, **found)
    return found


def portable(name: str, value: Any) -> Any:
    """Returns an argument as the nodes can read it, where there is no Airflow.

    Raises:
        UsageError: it is an object of Airflow.
    """
    if type(value).__module__.partition(".")[0] != "airflow":
        return value
    if isinstance(value, Sequence):  # the results of mapped tasks, which are read one by one
        return list(value)
    raise UsageError(
        f"argument {name} is a {type(value).__name__} of Airflow, which the nodes do not have",
        hint="pass what the function needs of it, such as `ds` or `run_id`",
    )


def json_fault(value: Any, place: str = "the result") -> str | None:
    """Returns which part of a value is no JSON; None if all of it is.

    Args:
        value: any.
        place: of it.
    """
    if isinstance(value, (list, tuple)):
        return _first(json_fault(each, f"{place}[{number}]") for number, each in enumerate(value))
    if isinstance(value, dict):
        odd = [key for key in value if not isinstance(key, str)]
        if odd:
            return f"{place} has the key {odd[0]!r}"
        return _first(json_fault(each, f"{place}[{key!r}]") for key, each in value.items())
    if value is None or isinstance(value, (bool, int, float, str)):
        return None
    return f"{place} is a {type(value).__name__}"


def _first(faults: Iterator[str | None]) -> str | None:
    return next((each for each in faults if each is not None), None)


@contextmanager
def first_on_path(file: Path) -> Iterator[None]:
    """Puts the entry of `sys.path` with a DAG file first: there begins the project of its functions.

    Airflow's own entries, such as its `config`, may come before that of the DAGs.

    Args:
        file: of the DAG.
    """
    entry = root_of(file, sys.path)
    sys.path.insert(0, entry)
    try:
        yield
    finally:
        sys.path.remove(entry)


@contextmanager
def by_value(function: Callable[..., Any], file: Path) -> Iterator[None]:
    """Carries all that a DAG file defines by value: on a node, the import of a DAG file needs Airflow.

    Airflow loads DAG files under names that no import finds, and pickling knows that. A file that Python
    has imported by its name is another matter.

    Args:
        function: that is pickled.
        file: of the DAG.
    """
    import cloudpickle

    module = sys.modules.get(function.__module__)
    known = cloudpickle.list_registry_pickle_by_value()
    own = os.path.realpath(getattr(module, "__file__", None) or "") == str(file.resolve())
    if not own or function.__module__ in {*known, "__main__"}:
        yield
        return
    cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        cloudpickle.unregister_pickle_by_value(module)


def root_of(file: Path, path: Collection[str]) -> str:
    """Returns the deepest entry of a path that has a file; without one, the directory of the file."""
    parents = [str(each) for each in file.resolve().parents]
    known = {os.path.realpath(each or os.getcwd()) for each in path}  # noqa: PTH109 - entries are strings
    return next((each for each in parents if each in known), parents[0])
