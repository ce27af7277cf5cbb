import importlib
import sys


def debug():
    return importlib.import_module(
        "absent_debugger",
        package=None,
    )  # raybundle: ignore


def profile():
    import absent_profiler, \
        absent_tracer  # raybundle: ignore


if len(sys.argv) > 1:
    from absent_report import (one,
                               two)  # raybundle: ignore
print("ok")
