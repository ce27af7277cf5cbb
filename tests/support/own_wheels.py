"""Makes wheels, and small environments with them."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

PURE = "py3-none-any"

TALLY = """
#include <Python.h>

static PyObject *add(PyObject *self, PyObject *arguments) {
    long one, two;
    if (!PyArg_ParseTuple(arguments, "ll", &one, &two)) return NULL;
    return PyLong_FromLong(one + two);
}

static PyMethodDef methods[] = {{"add", add, METH_VARARGS, "Adds two numbers."}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_add", NULL, -1, methods};
PyMODINIT_FUNC PyInit__add(void) { return PyModule_Create(&definition); }
"""


def native_tag() -> str:
    """Returns the tag of a wheel for this interpreter and platform only (PEP 425)."""
    python = f"cp{sys.version_info.major}{sys.version_info.minor}"
    platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    return f"{python}-{python}-{platform}"


def make_wheel(directory: Path, name: str, version: str, files: Mapping[str, bytes], tag: str = PURE) -> Path:
    """Writes a wheel with `files`, which may replace its METADATA, and returns its path."""
    info = f"{name}-{version}.dist-info"
    pure = "true" if tag == PURE else "false"
    members = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: {pure}\nTag: {tag}\n".encode(),
        **files,
    }
    record = "".join(f"{path},sha256={_digest(data)},{len(data)}\n" for path, data in members.items())
    members[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    wheel = directory / f"{name}-{version}-{tag}.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, data in members.items():
            archive.writestr(path, data)
    return wheel


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def make_tally(directory: Path, size: int) -> Path:
    """Compiles an extension in C and returns its wheel, made unique by `size` random bytes."""
    source = directory / "tally.c"
    source.write_text(TALLY)
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    include = sysconfig.get_path("include")
    compiler = ["cc", "-shared", "-fPIC", f"-I{include}", str(source), "-o", str(directory / f"_add{suffix}")]
    subprocess.run(compiler, check=True)
    files = {
        "tally/__init__.py": b"from tally._add import add as add\n",
        f"tally/_add{suffix}": (directory / f"_add{suffix}").read_bytes(),
        "tally/data.bin": os.urandom(size),
    }
    return make_wheel(directory, "tally", "1.0", files, native_tag())


def make_seasons(directory: Path, version: str, season: str, size: int) -> Path:
    """Returns a wheel in plain Python, made unique by `size` random bytes."""
    code = f"def now():\n    return {season!r}\n".encode()
    files = {"seasons.py": code, "seasons.bin": os.urandom(size)}
    return make_wheel(directory, "seasons", version, files)


def make_small_environment(directory: Path, *wheels: Path) -> Path:
    """Returns the interpreter of a new environment with only `wheels`."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(directory)], check=True)
    python = directory / "bin" / "python"
    install(python, *wheels)
    return python


def install(python: Path, *wheels: Path) -> None:
    """Installs wheels like a user, replacing other versions."""
    words = ["pip", "install", "-q", "--offline", "--no-index", "--no-deps", "--python", str(python)]
    subprocess.run([find_uv(), *words, *map(str, wheels)], check=True)


def find_uv() -> str:
    """Returns the path of uv, beside the interpreter or on PATH."""
    return shutil.which("uv", path=str(Path(sys.executable).parent)) or "uv"
