"""The top-level names that Ray itself imports: a first-party module of such a name would be taken instead."""

from __future__ import annotations

from raybundle.errors import BundleError

RAY_NAMES = frozenset(
    [
        "ray",
        "setup_worker",
        "psutil",
        "colorama",
        "attr",
        "attrs",
        "certifi",
        "charset_normalizer",
        "click",
        "filelock",
        "google",
        "idna",
        "jsonschema",
        "jsonschema_specifications",
        "msgpack",
        "packaging",
        "referencing",
        "requests",
        "rpds",
        "typing_extensions",
        "urllib3",
        "yaml",
        "aiohappyeyeballs",
        "aiohttp",
        "aiohttp_cors",
        "aiosignal",
        "annotated_types",
        "async_timeout",
        "cachetools",
        "colorful",
        "distlib",
        "frozenlist",
        "grpc",
        "multidict",
        "opencensus",
        "opentelemetry",
        "platformdirs",
        "prometheus_client",
        "propcache",
        "pydantic",
        "pydantic_core",
        "smart_open",
        "py_spy",
        "virtualenv",
        "wrapt",
        "yarl",
    ]  # and those of `ray[default]`
)


def refuse_shadows_of_ray(files: dict[str, tuple[str, tuple[str, ...]]]) -> None:
    """Refuse first-party modules that Ray would import in place of its own: the job could not start.

    Args:
        files: by top-level name, the first-party file and those that it hides.

    Raises:
        BundleError: names both files of every such module.
    """
    faults = [
        f"{file} would be imported in place of {others[0] if others else f'the `{name}` that Ray comes with'}"
        for name, (file, others) in sorted(files.items())
        if name in RAY_NAMES
    ]
    if faults:
        raise BundleError(
            "\n".join(faults), hint="rename the module: Ray itself imports this name, so no job could start"
        )
