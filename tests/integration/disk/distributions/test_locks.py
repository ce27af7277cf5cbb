from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from raybundle.cache.documents import Cache
from raybundle.errors import BundleError
from raybundle.resolve.interpreter.markers import marker_environment
from raybundle.wheels import locks
from raybundle.wheels.lock_file import find_lock
from raybundle.wheels.locks import Locked, locked, read_lock
from tests.support.client import Client, versions
from tests.support.clocks import later
from tests.support.graphs import INTERPRETER
from tests.support.wheels import make_wheel, sha256_of

if TYPE_CHECKING:
    from pathlib import Path

MARKERS = marker_environment(INTERPRETER)
"""Python 3.11 on Linux."""
A, B = "a" * 64, "b" * 64

UV_LOCK = f"""
version = 1
revision = 3
resolution-markers = ["python_full_version >= '3.12'", "python_full_version < '3.12'"]

[[package]]
name = "app"
version = "0.1"
source = {{ editable = "." }}

[[package]]
name = "mine"
version = "1.0"
source = {{ git = "https://git.example/mine.git" }}

[[package]]
name = "alpha"
version = "1.0"
source = {{ registry = "https://index.example/simple" }}
sdist = {{ url = "https://index.example/alpha.tar.gz", hash = "sha256:{A}", size = 1 }}
wheels = [{{ url = "https://index.example/alpha.whl", hash = "sha256:{B}", size = 1 }}]

[[package]]
name = "forked"
version = "2.0"
source = {{ registry = "https://index.example/simple" }}
resolution-markers = ["python_full_version >= '3.12'"]

[[package]]
name = "forked"
version = "1.0"
source = {{ registry = "https://index.example/simple" }}
resolution-markers = ["python_full_version < '3.12'"]

[[package]]
name = "by-extra"
version = "1.0"
source = {{ registry = "https://index.example/simple" }}

[[package]]
name = "by-extra"
version = "2.0"
source = {{ registry = "https://other.example/simple" }}
"""

PYLOCK = f"""
lock-version = "1.0"
created-by = "us"

[[packages]]
name = "alpha"
version = "1.0"
wheels = [{{ url = "https://index.example/alpha.whl", hashes = {{ sha256 = "{B}" }} }}]

[[packages]]
name = "elsewhere"
version = "1.0"
marker = "sys_platform == 'win32'"

[[packages]]
name = "directory"
directory = {{ path = "." }}

[[packages]]
name = "cloned"
version = "1.0"
vcs = {{ type = "git", url = "https://git.example/cloned.git", commit-id = "{A[:40]}" }}
"""

REQUIREMENTS = f"""
# a comment
-r more/base.txt
--index-url https://index.example/simple
Alpha[fast]==1.0 ; python_version < "3.12" \\
    --hash=sha256:{A} \\
    --hash=sha256:{B}  # two
elsewhere==1.0; sys_platform == "win32"
open>=2
wild==1.*
-e .
./local
"""


def written(directory: Path, name: str, text: str) -> Path:
    file = directory / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def test_a_uv_lock_gives_what_the_target_has_with_its_hashes(tmp_path: Path) -> None:
    found = locked(written(tmp_path, "uv.lock", UV_LOCK), MARKERS)

    expected = (
        Locked("alpha", "1.0", (f"sha256:{B}", f"sha256:{A}")),
        Locked("forked", "1.0"),
        Locked("by-extra", "1.0"),
        Locked("by-extra", "2.0"),
    )
    assert found == expected


@pytest.mark.parametrize(("installed", "more"), [("2.0", {"by-extra": "2.0"}), ("3.0", {})])
def test_of_several_versions_that_a_lock_has_for_one_target_the_installed_one_counts_or_none(
    tmp_path: Path, installed: str, more: dict[str, str]
) -> None:
    file = written(tmp_path, "uv.lock", UV_LOCK)

    found = read_lock(file, MARKERS, {"by-extra": installed}, Cache(tmp_path / "cache"))

    assert found.pins == {"alpha": "1.0", "forked": "1.0", **more}


def test_a_pylock_gives_what_the_target_has(tmp_path: Path) -> None:
    found = locked(written(tmp_path, "pylock.toml", PYLOCK), MARKERS)

    assert found == (Locked("alpha", "1.0", (f"sha256:{B}",)),)


def test_requirements_give_their_exact_pins_and_those_of_the_files_they_name(tmp_path: Path) -> None:
    written(tmp_path, "more/base.txt", "-r ../requirements.txt\nBase.Name===1.0")
    found = locked(written(tmp_path, "requirements.txt", REQUIREMENTS), MARKERS)

    alpha = Locked("alpha", "1.0", (f"sha256:{A}", f"sha256:{B}"))
    assert found == (Locked("base-name", "1.0", is_indexed=False), alpha)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("uv.lock", "version = 2"),
        ("uv.lock", "version = 1\n[[package]]\nname = 'a'\nversion = '1'\nsource = 3"),
        ("uv.lock", "not toml"),
        ("pylock.toml", "lock-version = '2.0'"),
        ("pylock.toml", "lock-version = '1.0'\n[[packages]]\nname = 'a'\nversion = '1'\nmarker = '?'"),
        ("requirements.txt", "-r missing.txt"),
    ],
)
def test_a_lock_that_cannot_be_read_is_named(tmp_path: Path, name: str, text: str) -> None:
    with pytest.raises(BundleError, match=rf"cannot read the lock \S+/{name}: ") as caught:
        locked(written(tmp_path, name, text), MARKERS)
    assert caught.value.hint


@pytest.mark.parametrize(("encoding", "byte"), [("latin-1", 43), ("utf-16", 0)])
def test_a_lock_that_is_not_utf_8_is_refused_without_a_word_of_its_passwords(
    tmp_path: Path, encoding: str, byte: int
) -> None:
    file = tmp_path / "requirements.txt"
    file.write_bytes("--index-url https://u:s3cret@h.example/pfad\u00e4\n".encode(encoding))

    with pytest.raises(BundleError, match=rf"requirements\.txt: not UTF-8 at byte {byte}$") as caught:
        locked(file, MARKERS)
    assert "s3cret" not in f"{caught.value!r}{caught.value.hint}{caught.value.__cause__!r}"


def test_requirements_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"requirements\.txt: \S+/missing\.txt: No such file"):
        locked(written(tmp_path, "requirements.txt", "-r missing.txt"), MARKERS)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["uv.lock", "pylock.toml", "requirements.txt"], "uv.lock"),
        (["pylock.toml", "requirements.txt"], "pylock.toml"),
        (["pylock.dev.toml", "requirements.txt"], "pylock.dev.toml"),
        (["pylock.dev.toml", "pylock.ci.toml", "requirements.txt"], "requirements.txt"),
        ([], None),
    ],
)
def test_the_first_of_the_locks_counts(tmp_path: Path, names: list[str], expected: str | None) -> None:
    for name in names:
        written(tmp_path, name, "")

    found = find_lock(tmp_path)

    assert (found and found.name) == expected


@pytest.mark.parametrize(
    ("member", "found"), [("packages/one", True), ("other", False), ("packages/no", False)]
)
def test_the_lock_of_a_workspace_counts_for_its_members(tmp_path: Path, member: str, found: bool) -> None:
    table = '[tool.uv.workspace]\nmembers = ["packages/*"]\nexclude = ["packages/no"]\n'
    written(tmp_path, "pyproject.toml", table)
    lock = written(tmp_path, "uv.lock", "")
    project = written(tmp_path, f"{member}/pyproject.toml", "").parent

    assert find_lock(project) == (lock if found else None)


def test_a_workspace_above_that_uv_would_refuse_has_no_members(tmp_path: Path) -> None:
    written(tmp_path, "pyproject.toml", "[tool.uv.workspace]\nmembers = ['/packages/*']\n")
    written(tmp_path, "uv.lock", "")

    assert find_lock(written(tmp_path, "packages/one/pyproject.toml", "").parent) is None


def test_a_lock_is_read_again_when_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = Cache(tmp_path / "cache", later)
    written(tmp_path, "more.txt", "beta==1.0")
    file = written(tmp_path, "requirements.txt", "alpha==1.0\n-r more.txt")
    first = read_lock(file, MARKERS, {}, cache)
    with monkeypatch.context() as patched:
        patched.setattr(locks, "locked", None)
        kept = read_lock(file, MARKERS, {}, cache)
    written(tmp_path, "more.txt", "beta==2.0.1")

    assert first.pins == {"alpha": "1.0", "beta": "1.0"}
    assert kept == first
    assert read_lock(file, MARKERS, {}, cache).pins == {"alpha": "1.0", "beta": "2.0.1"}


def test_a_lock_that_has_just_changed_is_not_kept(tmp_path: Path) -> None:
    file = written(tmp_path, "requirements.txt", "alpha==1.0")

    read_lock(file, MARKERS, {}, Cache(tmp_path / "cache"))

    assert not (tmp_path / "cache").exists()


@pytest.fixture
def client(tmp_path: Path) -> Client:
    for name in ("site", "links"):
        (tmp_path / name).mkdir()
    return Client(tmp_path)


def test_a_difference_to_the_environment_is_one_warning_about_what_travels(client: Client) -> None:
    travelling = [client.install(name) for name in ("alpha-1.0", "beta-1.0", "same-1.0")]
    file = written(client.project, "requirements.txt", "alpha==1.1\nbeta==1.2\nsame==1.0.0\nunused==3")

    found = client.retargeted(*travelling)

    expected = (
        "requirements.txt and the environment differ: alpha 1.1 (installed: 1.0), beta 1.2 (installed: 1.0)"
    )
    assert [(each.text, each.file) for each in found.warnings] == [(expected, file)]
    assert versions(found) == {"alpha": "1.0", "beta": "1.0", "same": "1.0"}


def test_many_differences_are_counted(client: Client) -> None:
    names = [f"pkg{number}" for number in range(7)]
    travelling = [client.install(f"{name}-1.0") for name in names]
    written(client.project, "requirements.txt", "".join(f"{name}==2.0\n" for name in names))

    [warning] = client.retargeted(*travelling).warnings

    shown = ", ".join(f"{name} 2.0 (installed: 1.0)" for name in names[:5])
    assert warning.text == f"requirements.txt and the environment differ: {shown} and 2 more"


def test_for_another_platform_the_lock_decides_versions_and_the_graph_what_travels(client: Client) -> None:
    alpha = client.install("alpha-1.0", requires=["beta"])
    for name in ("alpha-1.1", "beta-1.0", "beta-2.0", "unused-3"):
        make_wheel(client.links, name, requires=["beta"] if name == "alpha-1.1" else [])
    written(client.project, "requirements.txt", "alpha==1.1\nbeta==1.0\nunused==3")

    assert versions(client.retargeted(alpha, python="3.12")) == {"alpha": "1.1", "beta": "1.0"}


def test_a_file_with_another_hash_than_the_lock_has_is_refused(client: Client) -> None:
    alpha = client.install("alpha-1.0")
    right = sha256_of(client.links / "alpha-1.0-py3-none-any.whl")
    written(client.project, "requirements.txt", f"alpha==1.0 --hash=sha256:{right}")
    assert versions(client.retargeted(alpha, python="3.12")) == {"alpha": "1.0"}
    written(client.project, "requirements.txt", f"alpha==1.0 --hash=sha256:{A}")

    with pytest.raises(BundleError, match=r"no file of the index has a hash of the lock: alpha 1\.0"):
        client.retargeted(alpha, python="3.12")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("requirements.txt", "own==1.0"),
        (
            "pylock.toml",
            "lock-version = '1.0'\n[[packages]]\nname = 'own'\nversion = '1.0'\nvcs = {type = 'git'}",
        ),
    ],
)
def test_a_version_in_a_lock_does_not_send_what_came_from_no_index_to_one(
    client: Client, name: str, text: str
) -> None:
    own = replace(client.install("own-1.0"), origin="git+https://git.example/own.git")
    wheel = client.links / "own-1.0-py3-none-any.whl"
    wheel.rename(client.directory / wheel.name)
    written(client.project, name, text)

    with pytest.raises(BundleError, match=r"linux-x86_64 of:\nown 1\.0, which was installed from git"):
        client.retargeted(own, python="3.12")


def test_what_came_from_no_index_is_asked_from_one_where_the_lock_has_its_hash(client: Client) -> None:
    own = replace(client.install("own-1.0"), origin="https://files.example/own-1.0.tar.gz")
    digest = sha256_of(client.links / "own-1.0-py3-none-any.whl")
    written(client.project, "requirements.txt", f"own==1.0 --hash=sha256:{digest}")

    assert versions(client.retargeted(own, python="3.12")) == {"own": "1.0"}


def test_what_a_uv_lock_has_from_a_directory_is_asked_from_no_index(tmp_path: Path) -> None:
    text = UV_LOCK.replace("https://other.example/simple", "../wheels")

    found = locked(written(tmp_path, "uv.lock", text), MARKERS)

    assert [(each.name, each.version) for each in found if not each.is_indexed] == [("by-extra", "2.0")]


def test_a_pin_that_stands_twice_has_its_hashes_though_one_of_them_has_none(client: Client) -> None:
    alpha = client.install("alpha-1.0")
    written(client.project, "more.txt", "alpha==1.0")
    written(client.project, "requirements.txt", f"alpha==1.0 --hash=sha256:{A}\n-r more.txt")

    with pytest.raises(BundleError, match="no file of the index has a hash of the lock"):
        client.retargeted(alpha, python="3.12")


def test_the_first_pin_of_a_file_with_a_byte_order_mark_counts(tmp_path: Path) -> None:
    file = written(tmp_path, "requirements.txt", "\ufeffalpha==1.0\nbeta==2.0")

    assert [each.name for each in locked(file, MARKERS)] == ["alpha", "beta"]
