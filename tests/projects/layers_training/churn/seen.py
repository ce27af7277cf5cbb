"""What a process has: where its modules are from, their versions, and whom it reaches."""

import importlib
import importlib.util
import os
import socket
import sys
from importlib.metadata import version

DISTRIBUTIONS = {"pandas": "pandas", "scikit-learn": "sklearn", "pyarrow": "pyarrow", "numpy": "numpy"}


def here():
    files = {
        name: importlib.import_module(module).__file__  # raybundle: ignore
        for name, module in DISTRIBUTIONS.items()
    }
    return {
        "host": socket.gethostname(),
        "path": list(sys.path),
        "files": files,
        "versions": {name: version(name) for name in DISTRIBUTIONS},
        "foreign": foreign(),
        "boto3": importlib.util.find_spec("boto3") is not None,  # raybundle: ignore
    }


def foreign():
    """Modules that come from a site-packages directory, which is the node's; Ray's own apart."""
    files = {name: getattr(module, "__file__", None) or "" for name, module in list(sys.modules.items())}
    return sorted(name for name, file in files.items() if "-packages/" in file and "-packages/ray/" not in file)


def error_of_connecting(address):
    try:
        socket.create_connection((address, 80), 2).close()
    except OSError as error:
        return os.strerror(error.errno) if error.errno else str(error)
    return ""
