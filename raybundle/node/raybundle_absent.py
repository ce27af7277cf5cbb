"""Explains why a job cannot import a module, and how to add the module to the bundle.

Runs only after a failed import, so it may import any module of the standard library.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

SETTING = "in [tool.raybundle] of pyproject.toml"
_known: dict[str, dict[str, str]] = {}
"""The absent modules of each tree: the `absent` of its delivery (docs/format.md, section 5.3)."""


def explain(name: str, tree: str) -> str | None:
    """Returns why the module `name` is missing and what to do; None if nothing is known about it."""
    bundle = os.environ.get("RAYBUNDLE_DIGEST", "this bundle")
    listed = _listed(name, tree)
    if listed is not None and not listed[1]:
        return (
            f"It resolved nowhere when bundle {bundle} was built. Install its distribution there, or add the "
            f"folder that contains it to `roots`, and build again. If the nodes have it, name it in "
            f"`cluster-provides` {SETTING}."
        )
    return _first_party(name, tree, bundle) or _absent(listed, bundle) or _of_the_node(name, bundle)


def _listed(name: str, tree: str) -> tuple[str, str] | None:
    """Returns the module `name` or its nearest listed package, and what has it where the bundle was built.

    That is a distribution or a file of the project; empty if the module was found nowhere.
    """
    if tree not in _known:
        with open(f"{tree}/absent", encoding="utf-8") as stream:
            _known[tree] = dict(line.rstrip("\n").split(" ", 1) for line in stream)
    return next(((each, _known[tree][each]) for each in _prefixes(name) if each in _known[tree]), None)


def _absent(listed: tuple[str, str] | None, bundle: str) -> str | None:
    if listed is None:
        return None
    module, distribution = listed
    if distribution.startswith(("./", "../")):
        return _of_the_project(module, distribution, bundle)
    return (
        f"{distribution} was installed where bundle {bundle} was built, but is not in it, because "
        f'nothing that was resolved needs it. To add it, set `include = ["{module}"]` {SETTING}. If the '
        f'cluster has it, `cluster-provides = ["{distribution.partition(" ")[0]}"]` makes it visible.'
    )


def _of_the_project(name: str, known: str, bundle: str) -> str:
    """Explains a top-level name that the project has."""
    file, _, root = known.partition("\t")
    file = file.removeprefix("./")
    if file.startswith("../"):
        setting = ""
    elif root:
        setting = f'set `roots = ["{root}"]` {SETTING}, then set `include = ["{file}"]` there, or '
    else:
        setting = f'set `include = ["{file}"]` {SETTING}, or '
    return (
        f"The project has it as {file}, but it is not in bundle {bundle}, because nothing that was resolved "
        f"imports it. To add it, {setting}write `# raybundle: include={name}` where it is imported."
    )


def _prefixes(name: str) -> Iterator[str]:
    while name:
        yield name
        name = name.rpartition(".")[0]


def _first_party(name: str, tree: str, bundle: str) -> str | None:
    parent = sys.modules.get(name.rpartition(".")[0])
    for directory in getattr(parent, "__path__", ()):
        if directory.startswith(f"{tree}/"):
            file = f"{directory[len(tree) + 1 :]}/{name.rpartition('.')[2]}"
            folder, _, rest = file.partition("/")
            choice = f'`include = ["{rest}.py"]` (of a package, `["{rest}"]`)'
            setting = f"set {choice} {SETTING}, or " if folder == "project" else ""
            return (
                f"It is not in bundle {bundle}, because nothing that was resolved imports it. To add it, "
                f"{setting}write `# raybundle: include={name}` where it is imported. "
                f"`raybundle why TARGET {name}` says more."
            )
    return None


def _of_the_node(name: str, bundle: str) -> str | None:
    """Explains a module that is installed on the node but hidden from the job."""
    import site
    from importlib.machinery import PathFinder

    top = name.partition(".")[0]
    if top != name or PathFinder.find_spec(top, site.getsitepackages()) is None:
        return None
    return (
        f"It is installed on this node, but not in bundle {bundle}. A job sees only Ray and what the bundle "
        f'names. To add it from where the bundle is built, set `include = ["{top}"]` {SETTING}. To use the '
        "node's own, name it in `cluster-provides`."
    )
