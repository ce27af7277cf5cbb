"""Explains a module that a job cannot import: what had it where the bundle was built, and what takes it.

Runs when an import has failed, so it may import what it needs of the standard library.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

SETTING = "in [tool.raybundle] of pyproject.toml"
_known: dict[str, dict[str, str]] = {}


def explain(name: str, tree: str) -> str | None:
    """Returns why the module `name` is not there, and what to do; None where nothing is known of it."""
    bundle = os.environ.get("RAYBUNDLE_DIGEST", "this bundle")
    listed = _listed(name, tree)
    if listed is not None and not listed[1]:
        return (
            f"It resolved nowhere when bundle {bundle} was built. Install its distribution there, or add the "
            f"folder that holds it to `roots`, and build again; if the nodes have it, name it in "
            f"`cluster-provides` {SETTING}."
        )
    return _first_party(name, tree, bundle) or _absent(listed, bundle) or _of_the_node(name, bundle)


def _listed(name: str, tree: str) -> tuple[str, str] | None:
    """Returns the module or its package that the bundle knows to be absent, and the distribution that has it.

    That is empty where the module was absent when the bundle was built.
    """
    if tree not in _known:
        with open(f"{tree}/absent", encoding="utf-8") as stream:
            _known[tree] = dict(line.rstrip("\n").split(" ", 1) for line in stream)
    return next(((each, _known[tree][each]) for each in _prefixes(name) if each in _known[tree]), None)


def _absent(listed: tuple[str, str] | None, bundle: str) -> str | None:
    if listed is not None:
        module, distribution = listed
        if distribution.startswith(("./", "../")):
            return _of_the_project(module, distribution, bundle)
        return (
            f"{distribution} was installed where bundle {bundle} was built, and is not in it: nothing "
            f'that was resolved needs it. `include = ["{module}"]` {SETTING} takes it along; where the '
            f'cluster has it, `cluster-provides = ["{distribution.partition(" ")[0]}"]` makes it visible.'
        )
    return None


def _of_the_project(name: str, known: str, bundle: str) -> str:
    """Explains a top-level name that the project has."""
    file, _, root = known.partition("\t")
    file = file.removeprefix("./")
    if file.startswith("../"):
        setting = "The"
    elif root:
        setting = f'`roots = ["{root}"]` with `include = ["{file}"]` {SETTING}, or with the'
    else:
        setting = f'`include = ["{file}"]` {SETTING}, or the'
    return (
        f"The project has it as {file}, and it is not in bundle {bundle}: nothing that was resolved imports "
        f"it. {setting} comment `# raybundle: include={name}` where it is imported, takes it along."
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
            setting = f'`include = ["{rest}.py"]` {SETTING}, or the' if folder == "project" else "The"
            return (
                f"It is not in bundle {bundle}: nothing that was resolved imports it. {setting} comment "
                f"`# raybundle: include={name}` where it is imported, takes it along; "
                f"`raybundle why TARGET {name}` says more."
            )
    return None


def _of_the_node(name: str, bundle: str) -> str | None:
    """Explains what the node itself has installed, and hides."""
    import site
    from importlib.machinery import PathFinder

    top = name.partition(".")[0]
    if top != name or PathFinder.find_spec(top, site.getsitepackages()) is None:
        return None
    return (
        f"It is installed on this node, and not in bundle {bundle}: a job sees no package of a node but Ray "
        f'and what the bundle names. `include = ["{top}"]` {SETTING} takes it along from where the bundle is '
        "built; `cluster-provides` makes the node's own visible."
    )
