"""Makes the warnings about single modules: unknown imports, hidden modules, code outside of the bundle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from raybundle.exhaustive import assert_never
from raybundle.model import ModuleName, Shadowed, Warning
from raybundle.resolve.find.finder import FirstParty, ThirdParty
from raybundle.resolve.find.ray_names import RAY_NAMES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from raybundle.errors import BundleError
    from raybundle.resolve.facts import Facts, Remark
    from raybundle.resolve.find.finder import Finder
    from raybundle.resolve.walk.reached import Closure

HIDES = ", which hides "
"""Part of the warning about a module that two files could be."""
UNKNOWN_INSIDE = "its imports are not known"
"""The end of the warning about a module that has no source."""
PICKLE_UNREAD = "cannot read which modules this pickle needs"
"""The start of the warning about a pickle in an unknown form."""
_LEAVE_OUT = {
    "working_dir": "leave it out: a worker with another one is not checked, and each of its tasks fails",
    "py_modules": "leave it out: it hides the layers from that worker and is not on its path; "
    "name the folders of other modules in `roots` of [tool.raybundle]",
    "py_executable": "leave it out: `--python` says for which interpreter to build",
}
"""What to do instead, by field of a runtime_env."""
PY_MODULES = "`py_modules` in the runtime_env of `ray.init` cannot be combined with a bundle"
"""Refused in the driver: Ray would replace the layers with them."""
_PY_MODULES_HINT = (
    "leave `py_modules` out: modules that the code imports travel already; name the directory that holds "
    "others in `roots` of [tool.raybundle]"
)
_WORKING_DIR_HINT = (
    "leave it out, or write '.', and name what else tasks need in `roots` or `include` of [tool.raybundle]"
)
_ENVIRONMENT_HINT = (
    "keep the variables of the job (`{**os.environ, …}`), and append to PYTHONPATH; name the directories "
    "that it adds in `roots`; else `# raybundle: ignore`"
)
_DISTRIBUTION_HINT = (
    "name those that it may ask for in `include` of [tool.raybundle], unless other code imports them; then "
    "`# raybundle: ignore`"
)
_DISCOVERY_HINT = (
    "give it directories that begin with that of `__file__`, as `start_dir` and as `top_level_dir` (`-s` and "
    "`-t`); else `# raybundle: ignore`"
)
_OWN_CLUSTER_HINT = (
    "leave it out: the cluster knows what it has; or write `address='local'` if the driver starts a cluster "
    "of its own"
)
_IN_INCLUDE = "name its file and those of what it imports in `include` of [tool.raybundle], or use --trace"


def warn_about_module(name: str, found: FirstParty, facts: Facts | None) -> Iterator[Warning]:
    """Yields the warnings about one module."""
    file = Path(found.file)
    for other in found.shadowed:
        hint = "rename one of them; or name the file that is meant in `include` of [tool.raybundle]"
        yield Warning(f"`{name}` is {file}{HIDES}{other}", file, None, hint)
    if facts is None:
        if found.is_extension:
            hint = _IN_INCLUDE
            yield Warning(f"`{name}` is an extension module: {UNKNOWN_INSIDE}", file, None, hint)
        elif found.file.endswith(".pyc"):
            text = f"`{name}` is byte-code without source: {UNKNOWN_INSIDE}"
            yield Warning(text, file, None, f"bundle its source; or {_IN_INCLUDE}")
        return
    for each in facts.unknown:
        yield warn_about_unknown(file, each.line, each.text)
    for remark in facts.remarks:
        yield _warn_about_remark(file, remark)


def find_refused(file: str, facts: Facts) -> tuple[Warning, ...]:
    """Returns what in a driver makes a bundle impossible."""
    lines = [remark.line for remark in facts.remarks if remark.kind == "py-modules"]
    return tuple(Warning(PY_MODULES, Path(file), line, _PY_MODULES_HINT) for line in lines)


def warn_about_unparsed(error: BundleError, file: str) -> Warning:
    """Returns the warning about a source that cannot be parsed and may never run."""
    return Warning(f"{error}; it travels as it is", Path(file), None, error.hint)


def warn_about_shadowed_library(finder: Finder, reached: Collection[str]) -> Iterator[Warning]:
    """Yields a warning for each file that does not travel though Python's own modules would import it.

    What the standard library imports is not followed: `fractions` takes a `numbers.py` beside the driver.
    """
    for entry in finder.path:
        if not finder.is_first_party(entry):
            return
        for file in sorted(finder.directories.list(entry).files):
            name = file.removesuffix(".py")
            if file.endswith(".py") and name not in reached and name in finder.shadowable:
                hint = "rename it; or `include` it, if Python's own modules are meant to import it"
                text = (
                    f"{file} has the name of a module of the standard library, hides it here and "
                    "does not travel"
                )
                yield Warning(text, Path(entry, file), None, hint)


def warn_about_hidden_in_project(finder: Finder, closure: Closure) -> Iterator[Warning]:
    """Yields a warning for each module that a distribution and the project both have.

    Python takes that of the distribution here. Ray puts the working directory before site-packages.
    """
    for name in sorted({each.partition(".")[0] for each in closure.third_party} - RAY_NAMES):
        found, other = finder.find(name), finder.in_added(name)
        if other is not None and isinstance(found, ThirdParty):
            text = f"`{name}` is {found.file}, as Python takes it here, and not {other}"
            hint = (
                "if it is the same code, install the project as editable; else rename the one of the project"
            )
            yield Warning(text, Path(other), None, hint)


def list_shadowed(closure: Closure) -> tuple[Shadowed, ...]:
    """Returns the modules that the path has more than once, by name."""
    return tuple(
        Shadowed(ModuleName(name), Path(found.file), tuple(map(Path, found.shadowed)))
        for name, reached in sorted(closure.reached.items())
        if isinstance(found := reached.found, FirstParty) and found.shadowed
    )


def warn_about_unknown(file: Path, line: int, text: str) -> Warning:
    """Returns the warning about an import whose name only the running program knows."""
    return Warning(
        f"cannot know what `{text}` imports",
        file,
        line,
        "if it names modules of this project: `# raybundle: include=pkg.mod` there, `include`, or --trace; "
        "else `# raybundle: ignore`",
    )


def warn_about_pickle(file: str, fault: str) -> Warning:
    """Returns the warning about a pickle whose objects may need modules that cannot be read in it."""
    hint = (
        "name the modules of its objects in `include` of [tool.raybundle]; or the file in `exclude`, if the "
        "job does not load it"
    )
    return Warning(f"{PICKLE_UNREAD}: {fault}", Path(file), None, hint)


def _warn_about_remark(file: Path, remark: Remark) -> Warning:
    match remark.kind:
        case "runtime-env":
            text = f"`{remark.text}` in a runtime_env moves its task or actor out of the bundle"
            hint = _LEAVE_OUT.get(remark.text, "leave it out: the bundle has the code already")
        case "py-modules":
            text, hint = PY_MODULES, _PY_MODULES_HINT
        case "working-dir":
            text = (
                f"`working_dir` {remark.text!r} of `ray.init`: tasks have the files of the bundle alone, and "
                "start there only if it is a directory of the bundle"
            )
            hint = _WORKING_DIR_HINT
        case "installer":
            text = (
                f"`{remark.text}` in a runtime_env: Ray sets it up on each node, on top of the bundle, "
                "whose digest does not cover it"
            )
            hint = "install it where the bundle is built instead: what the code imports travels"
        case "own-cluster":
            text = (
                f"`{remark.text}` of `ray.init`: Ray refuses it in a job, which connects to a running cluster"
            )
            hint = _OWN_CLUSTER_HINT
        case "environment" | "beside-python" | "distribution" | "discovery" | "no-effect" | "comment" as kind:
            return _about_place(file, remark.line, kind, remark.text)
        case other:
            assert_never(other)
    return Warning(text, file, remark.line, hint)


_Place = Literal["environment", "beside-python", "distribution", "discovery", "no-effect", "comment"]


def _about_place(file: Path, line: int, kind: _Place, subject: str) -> Warning:
    """Returns the warning about a remark that is not about Ray."""
    match kind:
        case "environment":
            text = f"a Python that starts with `{subject}` does not run from the bundle"
            hint = _ENVIRONMENT_HINT
        case "beside-python":
            text = f"`{subject}` is taken from beside Python, and the programs of a bundle are not there"
            hint = f"start it as `{subject}`; else `# raybundle: ignore`"
        case "distribution":
            text = f"cannot know which distribution `{subject}` asks for"
            hint = _DISTRIBUTION_HINT
        case "discovery":
            text = f"`{subject}` fails in a job: its directory there is not the one that modules come from"
            hint = _DISCOVERY_HINT
        case "no-effect":
            text = f"`{subject}` has no effect here"
            hint = "put it at the end of the statement it is meant for; for a block, into each statement"
        case "comment":
            text = f"cannot understand the comment `{subject}`"
            hint = "known are `# raybundle: ignore` and `# raybundle: include=pkg.mod, pkg.plugins.*`"
        case other:
            assert_never(other)
    return Warning(text, file, line, hint)
