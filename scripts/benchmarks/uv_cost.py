"""What plain Ray takes for `runtime_env={"uv": [...]}`: as it comes, with a cache of uv's, with all there.

The node must reach a package index, so it is one on loopback; it has a home of its own, with no cache of uv.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from first_line import EMPTY, IMPORTING, plain, run
from measure import timed
from user_environment import WANTED

from raybundle.cluster.access import make_access
from raybundle.cluster.jobs import JobsClient

if TYPE_CHECKING:
    from collections.abc import Mapping

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.support.ray_head import THIS_PYTHON, ray_head

WITH_CACHE: dict[str, list[str]] = {"uv_pip_install_options": []}
"""Without it Ray tells uv to use no cache of its own."""
JOBS: tuple[tuple[str, Any], ...] = (
    ("as_it_comes", [*WANTED]),
    ("cache_empty", {"packages": [*WANTED[::-1]], **WITH_CACHE}),
    ("cache_full", {"packages": [*WANTED], **WITH_CACHE}),  # another order is another environment to Ray
    ("environment_there", [*WANTED]),
)


def measure(environ: Mapping[str, str], node_env: Path | None) -> dict[str, Any]:
    """Seconds to the driver's first line, less those of an empty job; each once, since the index decides."""
    with ray_head(THIS_PYTHON if node_env is None else node_env / "bin" / "python") as head:
        client = JobsClient(make_access(head.address, {}))
        run(client, plain(EMPTY))  # warms up Ray
        empty = run(client, plain(EMPTY, env_vars={"BENCH": "1"}))
        figures: dict[str, Any] = {"empty_s": round(empty.first, 2)}
        for name, wanted in JOBS:
            figures[f"{name}_load"] = round(os.getloadavg()[0], 1)
            ran = run(client, plain(IMPORTING, uv=wanted))
            figures[f"{name}_set_up_s"] = round(ran.first - empty.first, 2)
            figures[f"{name}_import_s"] = round(ran.imports, 2)
    return {**figures, **_uv_alone(environ)}


def _uv_alone(environ: Mapping[str, str]) -> dict[str, float]:
    """Seconds of uv itself with an empty cache and with a full one: the difference is the index's."""
    figures = {}
    with tempfile.TemporaryDirectory(prefix="rb-uv-") as work:
        cached = {**environ, "UV_CACHE_DIR": f"{work}/cache"}
        for name in ("cold", "warm"):
            words = ["pip", "install", "-q", "--target", f"{work}/{name}", *WANTED]
            took = timed([sys.executable, "-m", "uv", *words], cached, Path(work))
            figures[f"uv_alone_{name}_s"] = round(took.wall, 2)
    return figures
