"""Tells which expression of a call is the path of a file that the call reads."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from raybundle.resolve.evaluate.chains import last_name, split_chain

if TYPE_CHECKING:
    from raybundle.resolve.evaluate.calls import Calls

_FIRST = frozenset(
    [
        *("read_csv", "read_parquet", "read_json", "read_table", "read_excel", "read_pickle", "read_feather"),
        *("read_hdf", "read_orc", "read_fwf", "read_xml", "read_sas", "read_stata", "read_spss", "read_avro"),
        *("read_ndjson", "read_ipc", "read_images", "read_binary_files", "scan_csv", "scan_parquet"),
        *("loadtxt", "genfromtxt", "fromfile", "memmap", "imread", "open_dataset", "load_workbook"),
        *("listdir", "scandir", "ZipFile", "TarFile", "CDLL", "LoadLibrary", "getline", "fileConfig"),
        *("copyfile", "copytree", "copy2", "run_path", "FileSystemLoader", "load_model", "load_dotenv"),
        *("bindtextdomain", "dotenv_values", "ImageFolder", "InferenceSession", "translation", "chdir"),
    ]
)
"""Last names of calls whose first argument is the path, whatever they belong to."""
_OF_MODULES = frozenset(
    [
        *("io.open", "os.open", "codecs.open", "gzip.open", "bz2.open", "lzma.open", "tarfile.open"),
        *("shelve.open", "dbm.open", "wave.open", "aiofiles.open", "PIL.Image.open", "Image.open"),
        *("numpy.load", "joblib.load", "torch.load", "h5py.File", "sqlite3.connect", "duckdb.connect"),
        *("shutil.copy", "shutil.move", "shutil.unpack_archive", "os.walk", "os.stat", "os.path.getsize"),
        *("glob.glob", "glob.iglob", "fileinput.input", "librosa.load", "soundfile.read", "xgboost.Booster"),
    ]
)
_METHODS = frozenset({"read_text", "read_bytes", "iterdir"})
"""Methods of paths that read them."""
_COMMANDS = frozenset(
    {"subprocess.run", "subprocess.check_output", "subprocess.check_call", "subprocess.Popen"}
)
_OPTIONS = frozenset(
    [
        *("file", "filename", "fname", "path", "fp", "filepath_or_buffer", "path_or_buf", "source", "io"),
        *("name", "dotenv_path", "model_path", "model_file"),
    ]
)
"""Names of options that are the path if it is not the first argument."""
_FOLDERS = frozenset({"localedir", "searchpath"})
"""Names of options that are the path in any case."""
_MODE = re.compile(r"[rwaxbtU+]{1,3}")
_PARSERS = frozenset({"c", "cp", "cfg", "conf", "config", "parser", "configparser", "ini"})
"""Usual names of a `ConfigParser`."""

READING = frozenset(
    [
        *("open", "glob", "rglob", "read", *_FIRST, *_METHODS),
        *(each.rpartition(".")[2] for each in (*_OF_MODULES, *_COMMANDS)),
    ]
)
"""Last names of all calls that may read a file."""


def paths_read_in(calls: Calls) -> dict[ast.Call, ast.expr]:
    """Returns the path that each call in a source reads."""
    found = {}
    for call in (*calls.reading, *_under_other_names(calls)):
        path = _path_read_by(call, calls)
        if path is not None:
            found[call] = path
    return found


def _under_other_names(calls: Calls) -> list[ast.Call]:
    """Returns the calls of functions that an import gives another name (`import open as o`)."""
    others = {
        name
        for name, targets in calls.bindings.items()
        if name not in READING and any(each.rpartition(".")[2] in READING for each in targets)
    }
    names = [each for each, _ in calls.seen if isinstance(each.func, ast.Name)] if others else []
    return [each for each in names if isinstance(each.func, ast.Name) and each.func.id in others]


def _path_read_by(node: ast.Call, calls: Calls) -> ast.expr | None:
    """Returns the path that a call reads, or None if it reads none or may also write it."""
    names = calls.qualified(node.func)
    last = next((each.rpartition(".")[2] for each in names), last_name(node.func))
    if last == "bindtextdomain":
        return node.args[1] if len(node.args) > 1 else _given(node)
    if names == {"open"} or not names.isdisjoint(_OF_MODULES):
        return None if last == "open" and _may_write(node, 1) else _given(node)
    if not names.isdisjoint(_COMMANDS):
        return node.args[0] if node.args and isinstance(node.args[0], (ast.List, ast.Tuple)) else None
    if last in _FIRST:
        return _given(node)
    return _of_method(node, node.func.value, last, calls) if isinstance(node.func, ast.Attribute) else None


def _of_method(node: ast.Call, receiver: ast.expr, last: str, calls: Calls) -> ast.expr | None:
    base, _ = split_chain(receiver)
    of_module = isinstance(base, ast.Name) and base.id in calls.bindings
    match last:
        case "read":
            return _given(node) if _is_parser(receiver) else None
        case "open":
            return receiver if not of_module and _has_only_mode(node) and not _may_write(node, 0) else None
        case "glob" | "rglob":
            return receiver if _is_path(receiver) else None
        case "read_text" if node.args and of_module:
            return _given(node)  # of `ray.data`
        case _:
            return receiver if last in _METHODS and not of_module else None


def _is_path(node: ast.expr) -> bool:
    match node:
        case ast.Call(func=function):
            return last_name(function) == "Path"
        case ast.BinOp(op=ast.Div()) | ast.Attribute(attr="parent"):
            return True
        case _:
            return False


def _is_parser(node: ast.expr) -> bool:
    match node:
        case ast.Name(id=name):
            return name in _PARSERS
        case ast.Call(func=function):
            return "ConfigParser" in last_name(function)
        case _:
            return False


def _has_only_mode(node: ast.Call) -> bool:
    return not node.args or (
        isinstance(node.args[0], ast.Constant) and _MODE.fullmatch(str(node.args[0].value)) is not None
    )


def _given(node: ast.Call) -> ast.expr | None:
    folder = next((each.value for each in node.keywords if each.arg in _FOLDERS), None)
    if node.args and folder is None:
        return None if isinstance(node.args[0], ast.Starred) else node.args[0]
    return folder or next((each.value for each in node.keywords if each.arg in _OPTIONS), None)


def _may_write(node: ast.Call, position: int) -> bool:
    """Returns whether the mode of an `open` may write; one that is not a literal may."""
    modes = [
        *node.args[position : position + 1],
        *(each.value for each in node.keywords if each.arg == "mode"),
    ]
    return any(
        not (isinstance(each, ast.Constant) and not set("wax+") & set(str(each.value)))
        and "O_RDONLY" not in ast.unparse(each)
        for each in modes
    )
