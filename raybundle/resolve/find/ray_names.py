"""The top-level names that Ray imports. Ray would import a first-party module of the same name instead."""

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
"""What Ray and `ray[default]` require. A test compares it with the installed Ray."""

RAY_TRIES = frozenset(["aiodns", "brotli", "brotlicffi", "isoduration", "jsonpointer", "simplejson"])
"""What those import if it is installed. Ray does not start beside first-party modules of these names.

Measured with empty modules on Ray 2.49 and 2.60. It starts beside `numpy`, `pandas`,
`torch`, `tqdm`, `uvloop` and the like, which it imports later.
"""


def refuse_shadows_of_ray(files: dict[str, tuple[str, tuple[str, ...]]]) -> None:
    """Refuses first-party modules that Ray would import instead of its own. The job could not start.

    Args:
        files: the first-party file and those that it hides, by top-level name.

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
