"""Builds a bundle of a small project and runs it from its archive while the project is moved away."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raybundle.config import load_settings
from raybundle.model import NotebookTarget, ScriptTarget
from raybundle.planning import Plan, plan
from raybundle.publish.bundles import build
from raybundle.request import Request, Tracing, prepare
from raybundle.store.local import LocalStore
from tests.support.booting import Unpacked, make_interpreter, with_cache_at
from tests.support.known import home, knowing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from raybundle.errors import RaybundleError


@dataclass(frozen=True, slots=True)
class Bundler:
    """Builds and runs the bundles of one project.

    Args:
        project: its directory.
        work: directory for the cache, the store and the node.
        python: the target interpreter.
    """

    project: Path
    work: Path
    python: Path = Path(sys.executable)

    def plan(
        self, target: str = "job.py", options: Sequence[str] = (), *, traced: bool = False, **given: Any
    ) -> Plan:
        """Returns the plan of a target, resolved with its pyproject.toml and the settings `given`."""
        knowing(self.work / "cache/raybundle")
        own = {"PATH": os.environ["PATH"], "HOME": str(home()), "XDG_CACHE_HOME": str(self.work / "cache")}
        settings = load_settings({"python": str(self.python), **given}, own, self.project)
        kind = NotebookTarget if target.endswith(".ipynb") else ScriptTarget
        made = kind(self.project / target, tuple(options))
        tracing = Tracing(as_main=True) if traced else None
        request = Request(made, settings, self.project, self.project, own, tracing)
        return plan(prepare(request))

    def told(self, target: str = "job.py", **given: Any) -> list[str]:
        """Returns the warnings of the plan, or its error, with file, line and hint."""
        from raybundle.errors import RaybundleError as Refusal  # noqa: PLC0415 - the name of the type below

        try:
            warnings = self.plan(target, **given).resolution.warnings
        except Refusal as error:
            return [_shown(error)]
        return [f"{_place(each.file, each.line)}{each.text} | {each.hint}" for each in warnings]

    def here(self, target: str = "job.py") -> str:
        """Returns what plain Python prints in the project."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        words = [str(self.python), target]
        return subprocess.check_output(words, cwd=self.project, env=kept, text=True)

    def run(self, target: str = "job.py", **given: Any) -> subprocess.CompletedProcess[str]:
        """Builds the bundle and runs the driver on a node, while the project is moved away."""
        node = self.unpacked(target, **given)
        hidden = self.project.with_name(f"{self.project.name}.gone")
        self.project.rename(hidden)
        try:
            environment = self.work / "node"
            shutil.rmtree(environment, ignore_errors=True)
            return node.driver(make_interpreter(environment, self.base), _started(target))
        finally:
            hidden.rename(self.project)

    @property
    def base(self) -> str:
        """The base interpreter of `python`'s environment."""
        return _base_of(self.python)

    def unpacked(self, target: str = "job.py", **given: Any) -> Unpacked:
        """Returns the bundle as Ray unpacks it on a node."""
        planned = self.plan(target, **given)
        store = LocalStore(self.work / "store")
        stored = build(planned, store)
        scratch = self.work / "archives" / planned.digest[-12:]
        shutil.rmtree(scratch, ignore_errors=True)
        _unzip(store.get(stored.archive_key), scratch)
        places = [self.work / "layers" / str(number) for number, _ in enumerate(stored.layer_keys)]
        for key, place in zip(stored.layer_keys, places, strict=True):
            _unzip(store.get(key), place)
        environ = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": ":".join(map(str, [*places, scratch])),
            "RAYBUNDLE_DIGEST": planned.digest,
            "RAYBUNDLE_BOOT": stored.boot,
            **({"RAYBUNDLE_DELIVERY": stored.delivery} if stored.delivery else {}),
            **({"RAYBUNDLE_SOURCE": store.url} if stored.data else {}),
        }
        return with_cache_at(Unpacked(scratch, planned.digest, environ), self.work)


@cache
def _base_of(python: Path) -> str:
    code = "import sys; print(sys._base_executable)"
    return subprocess.check_output([python, "-c", code], text=True).strip()


def _unzip(data: bytes, directory: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        archive.extractall(directory)


def _started(target: str) -> str:
    return f"{target}.py" if target.endswith(".ipynb") else target


def _place(file: Path | None, line: int | None) -> str:
    return f"{file}:{line}: " if file else ""


def _shown(error: RaybundleError) -> str:
    return f"{error} | {error.hint}"
