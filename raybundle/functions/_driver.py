# From here on, each function has the same script: it carries out the call in the pickle beside it.
import asyncio
import base64
import contextlib
import functools
import hashlib
import inspect
import json
import linecache
import os
import subprocess
import sys
import traceback
import zlib
from typing import Any
from urllib.parse import unquote

import cloudpickle

MOST_STORED = 256 << 20
MOST_LOGGED = 1 << 20
PART = 32 << 10
TAG = "raybundle: result"
SHOWN = 400
LONGEST = 4 << 10
TOLD = 20 << 10
LONGEST_CHAIN = 100
PUT = """
import sys
sys.path.insert(0, sys.argv[1])
import raybundle_fetch
from botocore.exceptions import ClientError, ParamValidationError
bucket, _, key = sys.argv[2].removeprefix("s3://").partition("/")
wanted = {"Bucket": bucket, "Key": key, "Body": sys.stdin.buffer.read()}
client = raybundle_fetch._s3_client()
try:
    client.put_object(**wanted, IfNoneMatch="*")
except ParamValidationError:
    client.put_object(**wanted)
except ClientError as error:
    if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") != 412:
        raise
"""


_raybundle_output: list[int] = []


def _raybundle_main() -> int:
    config = json.loads(os.environ["RAY_JOB_CONFIG_JSON_ENV_VAR"])
    job = config["metadata"]["job_submission_id"]
    # Only lines with it count. A program that prints its variables does not print it.
    tag = f"{TAG} {config['metadata'].pop('raybundle.token', '-')}"
    os.environ["RAY_JOB_CONFIG_JSON_ENV_VAR"] = json.dumps(config)
    source = os.environ.get("RAYBUNDLE_SOURCE")
    _raybundle_output.append(os.dup(1))  # the function may close or redirect its own
    (function, args, kwargs), told = _raybundle_load()
    shown = told["shown"]
    for file, lines in told["lines"].items():
        linecache.cache[file] = (0, None, lines, file)
    _raybundle_settle(function, told["project"])
    try:
        value = function(*args, **kwargs)
        if inspect.iscoroutine(value):
            value = asyncio.run(value)
    except SystemExit as error:
        text = f"it called sys.exit({'' if error.code is None else _raybundle_try(repr, error.code)})"
        _raybundle_hand_over(tag, job, source, ({"kind": "exit", "text": text}, b""))
        raise
    except BaseException as error:
        text = _raybundle_text(error, shown)
        sys.stderr.write(text)
        header = {"kind": "error", "text": text, "error": _raybundle_shown(error)[:SHOWN]}
        cut = {**header, "text": text[:TOLD] + "…\n" + text[-TOLD:]} if len(text) > 2 * TOLD else header
        _raybundle_hand_over(tag, job, source, (header, _raybundle_error(error)), (cut, b""))
        return 1
    try:
        data = cloudpickle.dumps(value, protocol=5)
    except Exception as error:
        _raybundle_say(f"{tag} refused it cannot be pickled: {_raybundle_shown(error)}"[:LONGEST])
        return 1
    return _raybundle_hand_over(tag, job, source, ({"kind": "value"}, data))


def _raybundle_load() -> tuple[Any, Any]:
    with open(f"{os.path.splitext(__file__)[0]}.pickle", "rb") as stream:
        return cloudpickle.load(stream), json.load(stream)


def _raybundle_settle(function: Any, project: str) -> None:
    # Code of the project that asks for its file finds the verified one. Plain pickles find names of a cell.
    main = globals()
    while isinstance(function, functools.partial):
        function = function.func
    own = getattr(function, "__globals__", None) or getattr(type(function).__call__, "__globals__", {})
    if own is not main and own.get("__name__") == "__main__":
        file = own.get("__file__")
        if file and file.startswith(f"{project}/"):
            own["__file__"] = f"{os.environ['RAYBUNDLE_TREE']}/project{file[len(project) :]}"
        main.update({name: value for name, value in own.items() if name not in main})
        main.setdefault(getattr(function, "__name__", "_"), function)
    for each in [*vars(cloudpickle.cloudpickle).get("_DYNAMIC_CLASS_TRACKER_BY_ID", {}).values()]:
        if each.__module__ == "__main__" and each.__qualname__ == each.__name__:  # of an argument
            main.setdefault(each.__name__, each)


def _raybundle_text(error: BaseException, shown: dict[str, str]) -> str:
    frames = error.__traceback__.tb_next if error.__traceback__ else None
    lines = traceback.format_exception(type(error), error, frames)
    text = "".join(lines)
    for file, name in shown.items():
        text = text.replace(f'File "{file}"', f'File "{name}"')
    return text


def _raybundle_shown(error: BaseException) -> str:
    return f"{type(error).__name__}: {_raybundle_try(str, error)}"


def _raybundle_try(show: Any, value: Any) -> str:
    try:
        return str(show(value))
    except Exception:
        return "<it cannot be shown>"


def _raybundle_error(error: BaseException) -> bytes:
    # Pickles lack what an exception was raised from, so all of the chain follows. It may be unknown there.
    data = _raybundle_pickle(error)
    chain: list[Any] = [error] if data else []
    for each in chain:
        near = [one for one in (each.__cause__, each.__context__) if one is not None]
        chain += [one for one in near if all(one is not known for known in chain) and _raybundle_pickle(one)]
        del chain[LONGEST_CHAIN:]
    kept = {id(each): number for number, each in enumerate(chain)}
    links = [
        (kept.get(id(each.__cause__)), kept.get(id(each.__context__)), each.__suppress_context__)
        for each in chain
    ]
    rest = _raybundle_pickle((chain, links)) if len(chain) > 1 else b""
    return data + rest if len(rest) <= MOST_LOGGED else data


def _raybundle_pickle(value: Any) -> bytes:
    try:
        data: bytes = cloudpickle.dumps(value, protocol=5)
        cloudpickle.loads(data)
    except Exception:
        return b""
    return data


def _raybundle_hand_over(tag: str, job: str, source: str | None, *forms: tuple[dict[str, str], bytes]) -> int:
    # Announces the first form of the result that travels.
    why = ""
    for header, data in forms:
        head = json.dumps({**header, "python": "{}.{}".format(*sys.version_info)})
        why = _raybundle_send(tag, job, source, head.encode() + b"\n" + data)
        if not why:
            return 0
    _raybundle_say(f"{tag} refused {why}"[:LONGEST])
    return 1


def _raybundle_send(tag: str, job: str, source: str | None, whole: bytes) -> str:
    # Returns why the result does not travel; nothing if it does.
    digest = hashlib.sha256(whole).hexdigest()
    if len(whole) > MOST_STORED:
        return f"it has {len(whole) >> 20} MiB, and at most {MOST_STORED >> 20} MiB travel"
    refused = _raybundle_put(source, f"results/{job}/{digest}", whole)
    if refused is None:
        _raybundle_say(f"{tag} sha256:{digest} {len(whole)} store")
        return ""
    text = base64.b64encode(zlib.compress(whole, 6)).decode()
    if len(text) > MOST_LOGGED:
        size = f"{len(whole) >> 10} KiB" if len(whole) < 1 << 20 else f"{len(whole) >> 20} MiB"
        return f"it has {size}, too much for the log, and the node cannot write it to the store: {refused}"
    parts = [text[start : start + PART] for start in range(0, len(text), PART)]
    _raybundle_say(*(f"{tag} part {number} {part}" for number, part in enumerate(parts)))
    _raybundle_say(f"{tag} sha256:{digest} {len(whole)} log")
    return ""


def _raybundle_say(*lines: str) -> None:
    # The line before may have no end.
    with contextlib.suppress(AttributeError, OSError, ValueError):
        sys.stdout.flush()
    for line in lines:
        rest = ("\n" + " ".join(line.splitlines()) + "\n").encode(errors="backslashreplace")
        while rest:
            rest = rest[os.write(_raybundle_output[0], rest) :]


def _raybundle_put(source: str | None, key: str, data: bytes) -> str | None:
    # Returns why the store does not have the object; None if it has.
    if not source:
        return "it has no access to the store"
    try:
        if source.startswith("file://"):
            _raybundle_put_file(source, key, data)
            return None
        if source.startswith("s3://"):
            return _raybundle_put_s3(f"{source}/{key}", data)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return f"no node writes to {source.partition(':')[0]}"


def _raybundle_put_file(source: str, key: str, data: bytes) -> None:
    root = unquote(source.removeprefix("file://"))
    os.makedirs(os.path.dirname(f"{root}/{key}"), exist_ok=True)
    incoming = f"{root}/.incoming"
    os.makedirs(incoming, exist_ok=True)
    temporary = f"{incoming}/result-{os.urandom(8).hex()}"
    with open(temporary, "xb") as stream:
        try:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
            with contextlib.suppress(FileExistsError):
                os.link(temporary, f"{root}/{key}")
        finally:
            os.unlink(temporary)


def _raybundle_put_s3(url: str, data: bytes) -> str | None:
    stub: Any = vars(sys.modules["raybundle_boot"])["_stub"][0]
    python, environ, _ = stub.load("raybundle_agent").find_agent()
    boot = f"{stub.PRIVATE}/boot/{os.environ['RAYBUNDLE_BOOT']}"
    command = [python, "-c", PUT, boot, url]
    done = subprocess.run(command, env=environ, cwd="/", input=data, capture_output=True, check=False)
    if done.returncode == 0:
        return None
    return done.stderr.decode(errors="replace").strip().rpartition("\n")[2] or f"exit code {done.returncode}"


if __name__ == "__main__":
    sys.exit(_raybundle_main())
if __name__ == "__mp_main__":  # a child that multiprocessing has spawned
    (_raybundle_function, *_), _raybundle_told = _raybundle_load()
    _raybundle_settle(_raybundle_function, _raybundle_told["project"])
