"""What `pip install raybundle` brings, and what its import costs, beside an empty Python."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path
from typing import TYPE_CHECKING, Any

from measure import median, timed

if TYPE_CHECKING:
    from collections.abc import Mapping

REPOSITORY = Path(__file__).resolve().parents[2]
IMPORTS = {
    "empty_python": "pass",
    "import": "import raybundle",
    "import_submit": "from raybundle import submit",
}


def measure(work: Path, environ: Mapping[str, str], rounds: int) -> dict[str, Any]:
    """Installs this tree alone, with the byte-code that pip would make."""
    directory = work / "alone"
    python = directory / "bin" / "python"
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "-q", "--python", sys.executable, directory], env=environ, check=True)
    words = ["pip", "install", "-q", "--compile-bytecode", "--python", str(python), str(REPOSITORY)]
    subprocess.run([*uv, *words, "-c", str(REPOSITORY / "scripts/constraints.txt")], env=environ, check=True)
    site = next(directory.glob("lib/python3*/site-packages"))
    found = {
        name: [timed([str(python), "-c", code], environ, Path("/")).cpu for _ in range(4 * rounds + 1)][1:]
        for name, code in IMPORTS.items()
    }
    return {
        "distributions": len(list(distributions(path=[str(site)]))) - 1,  # without raybundle
        "megabytes": round(sum(file.stat().st_size for file in site.rglob("*") if file.is_file()) / 1e6),
        **{f"{name}_cpu_ms": median(1000 * cpu for cpu in each) for name, each in found.items()},
    }
