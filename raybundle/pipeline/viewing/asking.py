"""The job that asks processes what they import from: its program, with a bundle and without."""

from __future__ import annotations

import base64
import io
import json
import shlex
import zipfile
import zlib
from dataclasses import asdict, dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from raybundle.cluster.runtime_env import NOT_BOOTED, render_runtime_env
from raybundle.submission.deliver import deliver
from raybundle.submission.packages import Package, package_name
from raybundle.submission.relay import send_package
from raybundle.submission.survey import SITE, environment_of, run_probe

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from raybundle.cluster.jobs import JobsClient
    from raybundle.submission.attempts import Order

_PROGRAM = """\
def look(sources, request):
    import sys

    for name, text in sources.items():
        if name not in sys.modules:
            module = type(sys)(name)
            sys.modules[name] = module
            exec(compile(text, name, "exec"), module.__dict__)
    return sys.modules["raybundle_view"].view(request)


class Looker:
    def look(self, sources, request):
        return look(sources, request)


if __name__ == "__main__":
    import json, sys

    request, sources = json.loads({request!r}), {view!r}
    probe = type(sys)("raybundle_probe")
    exec(compile({probe!r}, "raybundle_probe", "exec"), probe.__dict__)
    view = sys.modules["raybundle_view"] = type(sys)("raybundle_view")
    exec(compile(sources["raybundle_view"], "raybundle_view", "exec"), view.__dict__)
    probe.watch(sources, request, look, Looker)
"""
ASKING = "asking processes on the nodes of {}"
"""Is told before seconds in which nothing is to be seen."""
_TIME = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Asked:
    """What processes are asked."""

    modules: tuple[str, ...] = ()
    distributions: tuple[str, ...] = ()
    booted: bool = False
    """They are processes of a bundle."""
    actors: bool = False
    outside: bool = False
    """A driver outside the Jobs API is asked too, with its tasks."""
    words: tuple[str, ...] = ("raybundle_probe_driver.py",)
    """After `python`, to start the driver."""
    edits: tuple[tuple[str, bool], ...] = ()
    """Directories that the driver puts on its path, and whether first."""


def program(asked: Asked) -> str:
    """Returns the driver of the job: it needs no other file, and neither do its tasks."""
    node = files("raybundle.node")
    texts = {name: node.joinpath(f"{name}.py").read_text("utf-8") for name in _MODULES}
    fields = {
        "request": json.dumps(asdict(asked)),
        "view": {"raybundle_view": texts["raybundle_view"]},
        "probe": texts["raybundle_probe"],
    }
    text = _PROGRAM
    for name, value in fields.items():
        text = text.replace(f"{{{name}!r}}", repr(value))
    return text


_MODULES = ("raybundle_view", "raybundle_probe")

Answer = tuple[list[dict[str, Any]], str | None]
"""What each process said, and why none did."""


def ask_booted(order: Order, asked: Asked) -> Answer:
    """Asks processes of a bundle: it is delivered as for a submission."""
    delivered = deliver(order.stored, order.store, order.cluster)
    runtime_env = render_runtime_env(
        order.stored.digest,
        delivered.boot,
        delivered.bundle,
        order.options.env,
        order.options.secrets,
        passed=order.options.runtime_env,
        layers=delivered.layers,
        source=delivered.source,
        delivery=order.stored.delivery,
        cwd=order.options.cwd,
        signatures=order.stored.signatures,
    )
    packed = base64.b64encode(zlib.compress(program(asked).encode(), 9)).decode()
    code = f'import base64,zlib;exec(zlib.decompress(base64.b64decode("{packed}")))'
    entrypoint = f'exec "${{RAYBUNDLE_PYTHON:?{NOT_BOOTED}}}" -c {shlex.quote(code)}'
    order.cluster.client.notify(ASKING.format(order.cluster.client.address))
    return run_probe(order.cluster.client, entrypoint, runtime_env)


def ask_plain(
    client: JobsClient, asked: Asked, names: Sequence[str], program_file: str, env: Mapping[str, str]
) -> Answer:
    """Asks processes of a plain job whose working directory has empty files of these names.

    Args:
        client: of the cluster.
        asked: what they are asked.
        names: of the files, relative to the working directory.
        program_file: the one that the driver runs: it has the program.
        env: variables of the job.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as zipped:
        texts = {**dict.fromkeys(names, ""), program_file: program(asked), "sitecustomize.py": SITE}
        for name in sorted(texts):
            zipped.writestr(zipfile.ZipInfo(name, _TIME), texts[name])
        zipped.writestr(zipfile.ZipInfo(".raybundle-probe", _TIME), "")  # a second entry at the top
    package = Package(package_name(buffer.getvalue()), buffer.getvalue())
    client.notify(ASKING.format(client.address))
    send_package(client, package)
    return run_probe(client, f"python {shlex.join(asked.words)}", environment_of(package, env))
