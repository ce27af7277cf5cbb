"""Copies of objects on this machine: where they are, and what happens without room for them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from raybundle.errors import StoreAccessError
from raybundle.store import open_store
from raybundle.store.spool import LARGE_FILES, copy_of, path_of
from tests.support.proxy import Faults, Proxy, Strike
from tests.support.small_disk import small_disk

if TYPE_CHECKING:
    from tests.support.s3_server import S3Server

LARGE = 64 << 20


def test_copies_are_where_the_system_wants_large_files_and_no_kill_leaves_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TMPDIR", raising=False)
    with copy_of("a", [b"1", b"2"]) as copy:
        assert str(Path(path_of(copy)).readlink()).startswith(f"{LARGE_FILES}/")

    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with copy_of("a", [b"1", b"2"]) as copy:
        assert str(Path(path_of(copy)).readlink()).startswith(f"{tmp_path}/")
        assert Path(path_of(copy)).read_bytes() == copy.read() == b"12"
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("flag", ["without O_TMPFILE", "refused"])
def test_a_copy_has_a_name_where_a_file_must_have_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flag: str
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    if flag == "refused":
        monkeypatch.setattr(os, "O_TMPFILE", os.O_DIRECTORY)  # EISDIR, as of such a file system
    else:
        monkeypatch.delattr(os, "O_TMPFILE")

    with copy_of("a", [b"12"]) as copy:
        assert path_of(copy).startswith(f"{tmp_path}/raybundle-")
        assert Path(path_of(copy)).read_bytes() == b"12"

    assert list(tmp_path.iterdir()) == []


WITHOUT_PROC = """
from raybundle.store import open_store

store = open_store("memory://copies", {})
print(store.put_new_chunks("data/a", lambda: [b"1", b"2"]) is not None, store.get("data/a"))
"""


def test_a_copy_has_a_name_where_there_is_no_proc(tmp_path: Path) -> None:
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-rm", "true"], check=False).returncode:
        pytest.skip("needs a mount namespace")
    hidden = 'mount -t tmpfs none /proc && exec "$@"'

    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", hidden, "sh", sys.executable, "-c", WITHOUT_PROC],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout == "True b'12'\n", done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_copy_without_room_is_one_error_and_leaves_nothing(
    s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(s3.prefix(), s3.environ)
    store.put_new_chunks("data/a", lambda: [bytes(1 << 20)] * 4)
    with small_disk(tmp_path / "disk", 1 << 20) as disk:
        monkeypatch.setenv("TMPDIR", str(disk))

        with (
            pytest.raises(
                StoreAccessError, match=re.escape(f"cannot copy data/a to {disk}: No space left")
            ) as caught,
            store.open("data/a"),
        ):
            pass

        assert "TMPDIR" in str(caught.value.hint)
        assert list(disk.iterdir()) == []


@pytest.mark.slow
def test_the_size_of_an_object_is_known_without_its_bytes(s3: S3Server) -> None:
    url = s3.prefix()
    open_store(url, s3.environ).put_new_chunks("data/a", lambda: [bytes(1 << 20)] * (LARGE >> 20))
    with Proxy(s3.endpoint, Faults(strikes=(Strike("^HEAD", "404"),))) as proxy:
        store = open_store(url, {**s3.environ, "AWS_ENDPOINT_URL": proxy.address})

        assert store.size("data/a") == LARGE
        assert store.size("data/b") is None

    assert proxy.received < LARGE // 2
