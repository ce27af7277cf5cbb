"""Who may import whom, and how large things may be: a violation in any room is found."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

REPOSITORY = Path(__file__).parents[3]
CONTRACTS = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"][
    "contracts"
]
LAYERS = {each["name"]: each for each in CONTRACTS if each["type"] == "layers"}
ROOMS = sorted(
    str(file.parent.relative_to(REPOSITORY)).replace("/", ".")
    for file in (REPOSITORY / "raybundle").rglob("__init__.py")
)


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The package and what checks it, to be spoilt."""
    shutil.copytree(
        REPOSITORY / "raybundle", tmp_path / "raybundle", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copytree(
        REPOSITORY / "scripts", tmp_path / "scripts", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
    return tmp_path


def file_of(root: Path, module: str) -> Path:
    place = root / module.replace(".", "/")
    return place / "__init__.py" if place.is_dir() else place.with_suffix(".py")


def members(layer: str | dict[str, Any]) -> list[str]:
    text = layer if isinstance(layer, str) else " ".join(layer["modules"])
    return [name.strip("() ") for name in text.split("|")]


def plant_upward_import(root: Path, contract: dict[str, Any]) -> None:
    """The lowest layer of a room imports the highest, for types alone."""
    [container] = contract["containers"]
    low = f"{container}.{members(contract['layers'][-1])[-1]}"
    high = f"{container}.{members(contract['layers'][0])[0]}"
    lines = f"\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import {high}\n"
    with file_of(root, low).open("a") as stream:
        stream.write(lines)


def run(root: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "PYTHONPATH": str(root), "NO_COLOR": "1"}
    return subprocess.run(command, cwd=root, env=environ, capture_output=True, text=True, check=False)


def test_each_room_has_a_contract() -> None:
    inner = {container for each in LAYERS.values() for container in each["containers"]}
    without = [room for room in ROOMS if room not in inner]

    assert without == []


@pytest.mark.slow
def test_an_upward_import_in_any_room_breaks_its_contract(copied: Path) -> None:
    several = {
        name: each for name, each in LAYERS.items() if len(each["layers"]) > 1 or "|" in each["layers"][0]
    }
    for contract in several.values():
        plant_upward_import(copied, contract)

    done = run(copied, str(Path(sys.executable).with_name("lint-imports")), "--no-cache")

    kept = [name for name in several if f"{name} BROKEN" not in done.stdout]
    assert (done.returncode, kept) == (1, [])


@pytest.mark.slow
def test_what_the_boot_and_the_store_must_not_know_breaks_their_contracts(copied: Path) -> None:
    forbidden = {each["name"]: each for each in CONTRACTS if each["type"] == "forbidden"}
    for contract in forbidden.values():
        with file_of(copied, contract["source_modules"][0]).open("a") as stream:
            stream.write(f"\nimport {contract['forbidden_modules'][0]}\n")

    done = run(copied, str(Path(sys.executable).with_name("lint-imports")), "--no-cache")

    assert len(forbidden) >= 2
    assert (done.returncode, [name for name in forbidden if f"{name} BROKEN" not in done.stdout]) == (1, [])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        ("raybundle/model.py", "def f():\n    from raybundle.pipeline import orders\n", "import circle: "),
        ("raybundle/store/s3.py", "\n" * 400, "raybundle/store/s3.py: "),
        ("raybundle/errors.py", "def f():\n" + "    f()\n" * 40, "`f` has 41 lines, at most 40"),
    ],
)
def test_a_circle_or_what_is_too_large_is_found(copied: Path, file: str, text: str, expected: str) -> None:
    with (copied / file).open("a") as stream:
        stream.write(text)

    done = run(copied, sys.executable, "scripts/rooms")

    assert done.returncode == 1
    assert expected in done.stdout


@pytest.mark.slow
def test_a_folder_with_too_many_files_is_found(copied: Path) -> None:
    store = copied / "raybundle/store"
    for number in range(14):
        (store / f"part{number}.py").write_text("")

    done = run(copied, sys.executable, "scripts/rooms")

    assert f"raybundle/store: {len(list(store.glob('*.py')))} files, at most 14" in done.stdout
