"""Knows the calls, options and variables that take paths, and which of them write."""

from __future__ import annotations

import ast
import re

READS = frozenset(
    [
        *("open", "load", "loads", "safe_load", "load_all", "read", "parse", "imread", "memmap"),
        *("Path", "PurePath", "PosixPath", "join", "joinpath", "resolve", "abspath", "absolute"),
        *("listdir", "scandir", "walk", "glob", "iglob", "rglob", "iterdir"),
        *("exists", "isfile", "isdir", "is_file", "is_dir", "stat", "getsize", "getmtime"),
        *("copy", "copyfile", "copytree", "copy2", "loadtxt", "genfromtxt", "fromfile"),
        *("CDLL", "LoadLibrary", "dataset", "ParquetDataset", "DeltaTable", "PersistentClient"),
        *("DatasetFolder", "image_dataset_from_directory", "text_dataset_from_directory"),
        *("flow_from_directory", "SentenceTransformer", "pipeline", "StreamingDataset"),
        *("File", "FileType", "FileSystemLoader", "ImageFolder", "DirectoryLoader"),
        *("bindtextdomain", "translation", "initialize_config_dir"),
    ]
)
"""Last names of calls whose argument may be a directory, or a file without a suffix."""
READ_PREFIXES = ("read_", "load_", "open_", "from_", "scan_")
DIRECTORIES = frozenset(
    [
        *("config_path", "config_dir", "searchpath", "template_folder", "static_folder", "localedir"),
        *("directory", "directories", "template_path", "static_path", "root_path", "root_dir", "data_dir"),
        *("DIRS", "STATICFILES_DIRS", "FIXTURE_DIRS", "LOCALE_PATHS"),
    ]
)
"""Options of any call, keys and variables whose values are directories (hydra, Flask, mako, Django)."""
_NAMED_DIRECTORY = re.compile(r"(?i)(?:dir|folder|root)\Z")
_OUTPUT = re.compile(
    r"out|outputs?|logs?|logging|caches?|cached|saved?|saves|saving|ckpts|checkpoints|te?mp|temporary|results?"
    r"|artifacts?|reports?|exports?|exported|targets?|dest|destination|write|written"
)
"""A word in the name of what a job writes."""
_OUTPUT_DIRECTORY = re.compile(r"default_root|runs?_dir|.*(?:checkpoint|ckpt)_?(?:dir|folder|root)")
"""Begins such a name of Lightning, and of TensorBoard. A checkpoint that is a file is read."""
_BETWEEN_WORDS = re.compile(r"[^A-Za-z]+|(?<=[a-z])(?=[A-Z])")
_KIND_OF_PATH = re.compile(r"(?<=[a-z])(?:dirs?|directory|paths?|folder|files?|filename|root)\Z")
_OF_DIRECTORIES = re.compile(r"(?:DIR|HOME|PATH|DATA|ROOT|FOLDER|DIRECTORY)S?\Z")
"""Ends the name of a variable of the environment whose value is a directory."""
_OF_SECRETS = re.compile(r"(?i)(?:secret|credential|private_?key).*(?:dir|folder|root)\Z")
"""Matches options and variables whose values are directories of secrets (`secrets_dir` of pydantic)."""
OPTION_OF_JOB = frozenset({"option", "argument", "Option", "Argument", "add_argument"})
"""Last names of calls that make an option of the job (click, typer, argparse)."""
TAKES_NO_PATH = OPTION_OF_JOB | frozenset(
    [
        *("print", "debug", "info", "warning", "error", "critical", "exception", "log", "getLogger"),
        *("startswith", "endswith", "replace", "split", "rsplit", "partition", "strip", "count", "index"),
        *("match", "search", "sub", "compile", "append", "extend", "add", "update", "setdefault", "get"),
        *("route", "post", "put", "delete", "include", "rmtree", "makedirs", "mkdir", "str", "repr", "len"),
    ]
)
"""Last names of calls that read nothing below what they are given."""
_OF_PATHS = frozenset({"exists", "file_okay", "dir_okay"})
"""Options of calls that make an option of the job whose value is a path."""
BESIDE = frozenset(["config_path", "template_folder", "static_folder"])
"""Options whose path is relative to the source file (hydra, Flask)."""
LOOK_UPWARDS = frozenset(["load_dotenv", "dotenv_values", "find_dotenv", "read_env"])
"""Calls without arguments that look for a `.env` beside the source and above."""
GIVEN = frozenset(["dotenv_path", "stream", "filename", "env_file"])
DYNACONF = frozenset(["FlaskDynaconf", "DjangoDynaconf"])
"""Calls that read files of these names without being told, as `from dynaconf import settings` does."""
OF_DYNACONF = frozenset({"Dynaconf", "LazySettings"})
"""Calls that are given the names of their files."""
SETTINGS_FILES = frozenset({"settings_files", "settings_file", "SETTINGS_FILE_FOR_DYNACONF"})
"""Options of these calls."""
DYNACONF_FILES = tuple(
    f"{folder}{name}{local}.{suffix}"
    for folder in ("", "config/")
    for name in ("settings", ".secrets")
    for local in ("", ".local")
    for suffix in ("py", "toml", "tml", "yaml", "yml", "ini", "conf", "properties", "json")
)
_WRITES = frozenset(
    [
        *("makedirs", "mkdir", "rmtree", "remove", "unlink", "rmdir", "touch", "write_text", "write_bytes"),
        *("savefig", "save", "savetxt", "savez", "savez_compressed", "imwrite", "write_image", "dump"),
        *("to_csv", "to_parquet", "to_json", "to_pickle", "to_excel", "to_feather", "to_hdf", "to_html"),
        *("write_csv", "write_parquet", "write_json", "save_pretrained", "save_model"),
        *("FileHandler", "RotatingFileHandler", "TimedRotatingFileHandler", "basicConfig"),
    ]
)
"""Calls that write the file that is their receiver or one of their arguments."""
DATABASES = frozenset(["shelve.open", "dbm.open", "dbm.dumb.open", "dbm.gnu.open", "dbm.ndbm.open"])
DATABASE_FILES = (".db", ".dat", ".dir", ".bak", ".pag")
"""Suffixes that the modules of `dbm` give to their files."""
_WRITING = re.compile(r"[wx]b?t?\+?|[wx]\+?[bt]|a[bt]?")
_MODULES_WITH_OPEN = frozenset(
    ["io", "os", "gzip", "bz2", "lzma", "codecs", "fsspec", "builtins", "aiofiles"]
)


def is_write(node: ast.Call, last: str) -> bool:
    """Returns whether a call only writes, such as `p.open("w")`, `p.write_text(…)` or `frame.to_csv(p)`."""
    if last != "open":
        return last in _WRITES
    given = [each.value for each in node.keywords if each.arg == "mode"]
    modes = [*node.args[0 if _is_method(node) else 1 :][:1], *given]
    return any(isinstance(mode, ast.Constant) and _WRITING.fullmatch(str(mode.value)) for mode in modes)


def _is_method(node: ast.Call) -> bool:
    """Returns whether `open` is a method of a path, not a function of a module (`gzip.open`)."""
    match node.func:
        case ast.Attribute(value=ast.Name(id=name)):
            return name not in _MODULES_WITH_OPEN
        case other:
            return isinstance(other, ast.Attribute)


def is_path_option(node: ast.Call, last: str) -> bool:
    """Returns whether a call makes an option of the job whose value is a path."""
    return last in OPTION_OF_JOB and any(
        each.arg in _OF_PATHS or (each.arg == "type" and "Path" in ast.unparse(each.value))
        for each in node.keywords
    )


def is_directory(name: str) -> bool:
    """Returns whether an option, a key or a variable of this name has a directory that is read."""
    return name in DIRECTORIES or (_NAMED_DIRECTORY.search(name) is not None and not is_output(name))


def is_variable_of_directory(name: str) -> bool:
    """Returns whether a variable of the environment holds a directory that is read, such as `NLTK_DATA`."""
    return _OF_DIRECTORIES.search(name) is not None and not is_output(name)


def is_output(name: str) -> bool:
    """Returns whether a name such as `log_dir` or `outDir` says where a job writes."""
    words = (_KIND_OF_PATH.sub("", each.lower()) for each in _BETWEEN_WORDS.split(name))
    return _OUTPUT_DIRECTORY.match(name.lower()) is not None or any(map(_OUTPUT.fullmatch, words))


def is_of_secrets(name: str) -> bool:
    """Returns whether the value of an option, a key or a variable of this name is a directory of secrets."""
    return _OF_SECRETS.search(name) is not None
