"""The top-level names that Ray itself imports: a first-party module of such a name would be taken instead."""

from __future__ import annotations

from raybundle.errors import BundleError

RAY_NAMES = frozenset(
    [
        *("ray", "setup_worker", "psutil", "colorama", "attr", "attrs", "certifi", "charset_normalizer"),
        *("click", "filelock", "google", "idna", "jsonschema", "jsonschema_specifications", "msgpack"),
        *("packaging", "referencing", "requests", "rpds", "typing_extensions", "typing_inspection"),
        *("urllib3", "yaml", "aiohappyeyeballs", "aiohttp", "aiohttp_cors", "aiosignal", "annotated_types"),
        *("async_timeout", "cachetools", "colorful", "distlib", "frozenlist", "grpc", "multidict"),
        *("opencensus", "opentelemetry", "platformdirs", "prometheus_client", "propcache", "pydantic"),
        *("pydantic_core", "smart_open", "py_spy", "virtualenv", "wrapt", "yarl"),
    ]
)
"""What Ray and `ray[default]` require; a test compares it with the Ray that is installed."""

RAY_TRIES = frozenset(["aiodns", "brotli", "brotlicffi", "isoduration", "jsonpointer", "simplejson"])
"""What those try to import and go without. Of the names they try, Ray does not start beside these.

Measured with empty modules on Ray 2.49 and 2.60. Beside `numpy`, `pandas`, `torch`, `tqdm`, `uvloop` and the
like it does: it imports them when a job uses what needs them.
"""


def refuse_shadows_of_ray(files: dict[str, tuple[str, tuple[str, ...]]]) -> None:
    """Refuse first-party modules that Ray would import in place of its own: the job could not start.

    Args:
        files: by top-level name, the first-party file and those that it hides.

    Raises:
        BundleError: names both files of every such module.
    """
    faults = [
        f"{file} would be imported in place of {_replaced(name, others)}"
        for name, (file, others) in sorted(files.items())
        if name in RAY_NAMES | RAY_TRIES
    ]
    if faults:
        raise BundleError(
            "\n".join(faults), hint="rename the module: Ray itself imports this name, so no job could start"
        )


def _replaced(name: str, others: tuple[str, ...]) -> str:
    if others:
        return others[0]
    return f"the `{name}` that Ray {'tries to import' if name in RAY_TRIES else 'comes with'}"
