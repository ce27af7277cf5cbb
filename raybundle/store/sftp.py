"""fsspec's file system over SFTP, with what `ssh` gives its users: known hosts, and ~/.ssh/config."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import paramiko
from fsspec.implementations.sftp import SFTPFileSystem

from raybundle.store.base import PIECE_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping

CONNECT_SECONDS = 10
"""Longest time to connect, and to log in."""
ANSWER_SECONDS = 60
"""Longest wait for an answer to one request."""

_SYSTEM_HOSTS = Path("/etc/ssh/ssh_known_hosts")


class SftpFiles(SFTPFileSystem):  # type: ignore[misc]  # fsspec has no types
    """A server whose host key is known; fsspec's own class takes any key."""

    cachable = False

    def _connect(self) -> None:
        self.client = paramiko.SSHClient()
        self.client.load_system_host_keys()
        if _SYSTEM_HOSTS.is_file():
            self.client.load_system_host_keys(str(_SYSTEM_HOSTS))
        self.client.set_missing_host_key_policy(paramiko.RejectPolicy())
        waits = dict.fromkeys(("timeout", "banner_timeout", "auth_timeout"), CONNECT_SECONDS)
        self.client.connect(**{**waits, **_configured(self.host), **self.ssh_kwargs})
        self.ftp = self.client.open_sftp()
        self.ftp.get_channel().settimeout(ANSWER_SECONDS)

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        """Leaves a path as it is: fsspec would cut it at `#` and `?`."""
        return super()._strip_protocol(path) if "://" in str(path) else path

    def close(self) -> None:
        """Ends the connection."""
        self.client.close()

    def makedirs(self, path: str, exist_ok: bool = False, mode: int = 0o777) -> None:
        """Makes a folder and its parents; another client may do so at the same time."""
        parent = path.rpartition("/")[0]
        if parent and not self.isdir(parent):
            self.makedirs(parent, exist_ok=True, mode=mode)
        try:
            self.ftp.mkdir(path, mode)
        except OSError:
            if not (exist_ok and self.isdir(path)):
                raise

    def cat_file(self, path: str, **_options: Any) -> bytes:
        """Reads in large pieces: paramiko's own `read` of a whole file is 20 times slower."""
        with self._open(path) as file:
            return b"".join(iter(lambda: file.read(PIECE_BYTES), b""))

    def pipe_file(self, path: str, value: bytes, **_options: Any) -> None:
        """Writes without a wait for each answer, then compares the size."""
        self.ftp.putfo(io.BytesIO(value), path)

    def put_file(self, lpath: str, rpath: str, **_options: Any) -> None:
        """Does the same with a file."""
        self.ftp.put(lpath, rpath)

    def move_new(self, old: str, new: str) -> bool:
        """Moves a file, or returns False if there is one of the new name.

        SFTP's rename never replaces a file (draft-ietf-secsh-filexfer-02, section 6.5); OpenSSH links.
        fsspec's `mv` is `posix-rename@openssh.com`, which replaces.
        """
        try:
            self.ftp.rename(old, new)
        except FileNotFoundError:
            raise
        except OSError:
            if not self.exists(new):
                raise
            return False
        return True

    def rm_file(self, path: str) -> None:
        """Removes a file."""
        self.ftp.remove(path)

    def _open(self, path: str, mode: str = "rb", block_size: int | None = None, **options: Any) -> Any:
        if "r" not in mode:
            return super()._open(path, mode, block_size, **options)
        status = self.ftp.stat(path)
        if stat.S_ISDIR(status.st_mode or 0):
            raise IsADirectoryError(path)
        file = self.ftp.open(path, mode)
        file.prefetch(status.st_size)  # asks for all pieces at once, and not one after the other
        return file


def _configured(host: str) -> Mapping[str, Any]:
    """Returns what ~/.ssh/config says of a host, in paramiko's words."""
    found: dict[str, Any] = {"hostname": host}
    file = Path(os.path.expanduser("~/.ssh/config"))  # noqa: PTH111 - as paramiko finds the other files
    if not file.is_file():
        return found
    said = paramiko.SSHConfig.from_path(str(file)).lookup(host)
    found["hostname"] = said["hostname"]
    if "port" in said:
        found["port"] = int(said["port"])
    if "user" in said:
        found["username"] = said["user"]
    if "identityfile" in said:
        found["key_filename"] = said["identityfile"]
    if "proxycommand" in said:
        found["sock"] = paramiko.ProxyCommand(said["proxycommand"])
    return found
