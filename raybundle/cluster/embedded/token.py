"""The token of the embedded cluster: other users of the machine reach its ports, but have no token."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from raybundle.cluster.embedded.interpreter import RAY_ENVIRONMENT
from raybundle.cluster.embedded.record import read_record, state_path
from raybundle.errors import ClusterError
from raybundle.model import Warning

if TYPE_CHECKING:
    from raybundle.cluster.embedded.record import LocalCluster

SINCE = (2, 52)
"""The first Ray with token authentication."""
VARIABLES = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
"""Of Ray; those of the user's shell are for other clusters."""
_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_LISTENS = "0A"
"""A state of a socket (proc(5))."""


def token_file() -> Path:
    """Returns the file of the token; a running cluster without it was started without a token."""
    return state_path("auth_token")


def make_token(ray_version: str) -> dict[str, str]:
    """Writes a new token, and returns the variables by which Ray uses it; none for an older Ray."""
    remove_token()
    if not has_tokens(ray_version):
        return {}
    file = token_file()
    file.touch(mode=0o600, exist_ok=False)
    file.write_text(secrets.token_hex(32), "ascii")
    return token_variables()


def remove_token() -> None:
    """Removes the token of a cluster that has ended."""
    token_file().unlink(missing_ok=True)


def token_variables() -> dict[str, str]:
    """Returns the variables by which Ray and its clients use the token; none if there is no token."""
    file = token_file()
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(file)} if file.exists() else {}


def driver_variables(cluster: LocalCluster) -> dict[str, str]:
    """Returns the variables by which a driver that is no job reaches the embedded cluster.

    They must be set before `import ray`. Without the last, Ray takes 127.0.0.1 for the machine's other
    address, where nothing listens, and hangs.

    Raises:
        ClusterError: Ray has not noted the address of the cluster.
    """
    if cluster.ray_address is None:
        raise ClusterError(
            f"Ray has not noted its address in {cluster.temp_dir}",
            hint="`raybundle local down`, then `raybundle local up`",
        )
    return {"RAY_ADDRESS": cluster.ray_address, **token_variables(), **RAY_ENVIRONMENT}


def token_for(address: str) -> dict[str, str]:
    """Returns variables for a client of an address: the token, if the embedded cluster is there.

    The token is sent to no other user of the machine, who may have taken the port of a cluster that died.
    """
    port = _port(address)
    cluster = None if port is None else read_record()
    if cluster is None or port is None or port != _port(cluster.address) or _is_of_another(port):
        return {}
    found = token_variables()
    return {**dict.fromkeys(VARIABLES, ""), **found} if found else {}


def has_tokens(ray_version: str) -> bool:
    """Whether this version of Ray has token authentication."""
    major, minor = (int(part) if part.isdigit() else 0 for part in ray_version.split(".")[:2])
    return (major, minor) >= SINCE


def unprotected(cluster: LocalCluster) -> Warning | None:
    """Returns a warning about a cluster without a token; None if it has one."""
    if token_file().exists():
        return None
    if has_tokens(cluster.ray_version):
        return Warning(
            "every user of this machine can submit jobs to the embedded cluster, and they run as you: "
            "it was started without a token",
            hint="`raybundle local down` ends it, and the next one has a token",
        )
    return Warning(
        "every user of this machine can submit jobs to the embedded cluster, and they run as you: "
        f"Ray {cluster.ray_version} has no token authentication, which Ray 2.52 brought"
    )


def _port(address: str) -> int | None:
    """Returns the port of an address on loopback."""
    try:
        parts = urlsplit(address if "://" in address else f"http://{address}")
        port = parts.port
    except ValueError:
        return None
    return port if parts.hostname in ("127.0.0.1", "localhost") else None


def _is_of_another(port: int) -> bool:
    """Returns whether a process of another user listens on a port; false where /proc does not tell."""
    for table in _TABLES:
        try:
            lines = table.read_text("ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            _, local, _, state, _, _, _, user, *_ = line.split()
            if state == _LISTENS and int(local[-4:], 16) == port and int(user) != os.geteuid():
                return True
    return False
