"""The scan of any file ends soon and in little memory: the standard library and site-packages."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

PROGRAM = """
import json, resource, signal, sys
from raybundle.errors import BundleError
from raybundle.resolve.interpreter.markers import Environment
from raybundle.resolve.scan.scan import scan

LINUX = Environment((3, 11, 7), "linux", "x86_64", "cpython")

MOST = 10.0

class TooLongError(BaseException):
    pass

def ring(*_):
    raise TooLongError

signal.signal(signal.SIGPROF, ring)
resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
slow = {}
for file in sys.stdin.read().splitlines():
    with open(file, "rb") as stream:
        source = stream.read()
    signal.setitimer(signal.ITIMER_PROF, MOST)
    try:
        scan(source, file, LINUX)
    except BundleError:
        pass
    except (TooLongError, MemoryError) as error:
        slow[file] = type(error).__name__
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
print(json.dumps(slow))
"""


def sources() -> list[Path]:
    """Returns the modules of the standard library, and of this environment."""
    folders = {sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")}
    return sorted({file for folder in folders for file in Path(folder).rglob("*.py")})


@pytest.mark.wide
@pytest.mark.slow
def test_no_file_takes_ten_seconds_of_a_processor_or_three_gibibytes() -> None:
    asked = "\n".join(map(str, sources()))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], input=asked, capture_output=True, text=True, check=True
    )

    assert json.loads(done.stdout) == {}
