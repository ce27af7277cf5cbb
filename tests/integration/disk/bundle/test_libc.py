"""A bundle names the libc that its native files need, and nodes with an older one refuse it by name."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
import sysconfig
from typing import TYPE_CHECKING

import pytest

from raybundle.bundle.layers.describe import describe
from raybundle.bundle.values import Manifest, ManifestFile, PythonTag, ScriptEntry
from raybundle.cache.documents import Cache
from raybundle.model import ArchivePath, RootSymbol
from raybundle.resolve.interpreter.libc import Need
from raybundle.resolve.interpreter.platforms import own_release
from tests.support.booting import Unpacked, make_interpreter, unpack_bundle, with_cache_at
from tests.support.collected import collected_file
from tests.support.installed import install, set_times
from tests.support.layered import plan_with
from tests.support.small_project import tree
from tests.support.wheels import elf
from tests.support.workplace import make_workplace

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    shutil.which("cc") is None or not own_release().startswith("glibc"), reason="needs a compiler and glibc"
)

UNGUARDED = "import os\nif 'FAST' in os.environ:\n    from pkg import fast\nprint('RAN')\n"
GUARDED = (
    "import ways\ntry:\n    import quick\nexcept ImportError as error:\n    print(error)\nprint('RAN')\n"
)
TAG = (sysconfig.get_config_var("SOABI"), sysconfig.get_platform())
MACHINE = platform.machine()
WHEEL = "Wheel-Version: 1.0\nTag: cp311-cp311-{0}\n"


def compiled(directory: Path, version: str) -> bytes:
    """Returns a library that needs symbols of this version of glibc, as the linker writes it."""
    directory.mkdir(exist_ok=True)
    sources = {
        "future.c": "int from_future(void) { return 1; }",
        "future.map": f"{version} {{ from_future; }};",
        "fast.c": "int from_future(void); int fast(void) { return from_future(); }",
    }
    for name, text in sources.items():
        (directory / name).write_text(text)
    link = ["cc", "-shared", "-fPIC", "-nostdlib", "-o"]
    libc = ["libfuture.so", "future.c", "-Wl,-soname,libc.so.6", "-Wl,--version-script=future.map"]
    subprocess.run([*link, *libc], cwd=directory, check=True)
    subprocess.run([*link, "fast.so", "fast.c", "libfuture.so"], cwd=directory, check=True)
    return (directory / "fast.so").read_bytes()


@pytest.mark.slow
def test_what_needs_a_newer_libc_than_this_machine_has_is_refused_here_and_the_build_says_what_settles_it(
    tmp_path: Path,
) -> None:
    work = make_workplace(tmp_path / "work", VIRTUAL_ENV=sys.prefix)
    tree(work.directory, {"job.py": UNGUARDED, "pkg/__init__.py": ""})
    (work.directory / "pkg" / "fast.so").write_bytes(compiled(tmp_path / "made", "GLIBC_2.99"))
    plain = work.command([sys.executable, "job.py"])
    built = work.raybundle("build", "--name", "job", "job.py")
    refused = work.raybundle("run", "--here", "job")
    shown = [work.raybundle(*words).stdout for words in (("plan", "job.py"), ("show", "job"))]
    documents = [
        json.loads(work.raybundle("--json", *words).stdout) for words in (("plan", "job.py"), ("show", "job"))
    ]

    python, tag = "cpython {}.{}".format(*sys.version_info), f"linux-{MACHINE}"
    for text, document in zip(shown, documents, strict=True):
        assert f"python   {python} on {tag} with glibc 2.99 or newer\n" in text
        assert [document[each] for each in ("python", "platform", "libc")] == [python, tag, "glibc 2.99"]

    assert plain.stdout.endswith("RAN\n")
    assert built.returncode == 0, built.stderr
    needs = f"project/pkg/fast.so needs glibc 2.99, and this machine has {own_release()[6:]}"
    assert needs in built.stderr
    assert refused.returncode == 3
    assert f"with {own_release()} (" in refused.stderr
    assert "and the bundle is for Python" in refused.stderr
    assert "with glibc 2.99\n" in refused.stderr

    hint = next(line for line in built.stderr.splitlines() if "exclude = " in line)
    _, comment, _, setting, _ = hint.split("`")
    tree(work.directory, {"job.py": UNGUARDED.replace("fast\n", f"fast  {comment}\n")})
    (work.directory / "pyproject.toml").write_text(f"[tool.raybundle]\n{setting}\n")
    again = work.raybundle("build", "--name", "job", "job.py")
    ran = work.raybundle("run", "--here", "job")

    assert "glibc" not in again.stderr
    assert (ran.returncode, ran.stdout.endswith("RAN\n")) == (0, True), ran.stderr


@pytest.mark.slow
@pytest.mark.parametrize("also", ["", "def fast():\n    from pkg import fast\n"])
def test_what_the_code_does_without_is_told_and_refused_nowhere(tmp_path: Path, also: str) -> None:
    work = make_workplace(tmp_path / "work", VIRTUAL_ENV=sys.prefix)
    files = {"job.py": GUARDED, "quick.py": "from pkg import fast\n", "pkg/__init__.py": ""}
    tree(work.directory, {**files, "ways.py": f"import job\n{also}"})
    (work.directory / "pkg" / "fast.so").write_bytes(compiled(tmp_path / "made", "GLIBC_2.99"))
    plain = work.command([sys.executable, "job.py"])

    built = work.raybundle("build", "--name", "job", "job.py")
    ran = work.raybundle("run", "--here", "job")

    assert plain.stdout.endswith("RAN\n"), plain.stderr
    assert f"project/pkg/fast.so needs glibc 2.99, and this machine has {own_release()[6:]}" in built.stderr
    assert ("nodes like it refuse the bundle" in built.stderr) == bool(also), built.stderr
    assert ("the code that imports it catches that" in built.stderr) == (not also)
    assert (ran.returncode, "RAN\n" in ran.stdout) == ((3, False) if also else (0, True)), ran.stderr


def unpacked(directory: Path, libc: str) -> Unpacked:
    """A bundle for this Python with a native file, on a node with a cache of its own."""
    files = [collected_file("project/job.py", b"print('RAN')\n"), collected_file("project/fast.so", b"")]
    manifest = Manifest(
        target=ScriptEntry(ArchivePath("project/job.py")),
        python=PythonTag("cpython", "{}.{}".format(*sys.version_info), *TAG, libc),
        path=tuple(map(RootSymbol, ("project:.", "stdlib", "ray"))),
        files=tuple(ManifestFile(each.path, each.executable, each.size, each.sha256) for each in files),
        provided=(),
    )
    (directory / "cache").mkdir(parents=True)
    return with_cache_at(unpack_bundle(directory, manifest, files), directory / "cache")


@pytest.mark.slow
def test_the_boot_refuses_an_older_libc_before_user_code_runs_and_takes_its_own(tmp_path: Path) -> None:
    python = make_interpreter(tmp_path / "env", sys.executable)
    own = [int(part) for part in own_release()[6:].split(".")]
    newer = f"glibc {own[0]}.{own[1] + 1}"

    for number, libc in enumerate((own_release(), "glibc 2.9", newer)):
        node = unpacked(tmp_path / str(number), libc)
        for _ in range(2):  # the second process reads the record of the first
            done = node.driver(python, "job.py")
            expected = (78, "") if libc == newer else (0, "RAN\n")
            assert (done.returncode, done.stdout) == expected, done.stderr
        if libc == newer:
            said = f"file {python}: expected {newer} or newer, found {own_release()} on {MACHINE}\n"
            assert done.stderr.endswith(said)


def test_a_layer_needs_what_its_files_need_and_no_more_than_its_wheel_promises(tmp_path: Path) -> None:
    library = compiled(tmp_path / "made", "GLIBC_2.31")
    native = {"one/fast.so": library, "one/other.so": elf(183, "GLIBC_2.38"), "one/__init__.py": b""}
    cases = {
        f"linux_{MACHINE}": "glibc 2.31",
        f"manylinux_2_28_{MACHINE}": "glibc 2.28",
        f"manylinux_2_35_{MACHINE}": "glibc 2.31",
    }
    for number, (tag, libc) in enumerate(cases.items()):
        site = tmp_path / f"site-{number}"
        one = install(site, "one", {**native, "one-1.0.dist-info/WHEEL": WHEEL.format(tag).encode()})
        work = tmp_path / str(number)
        assert plan_with(work, [one], sites=[site]).manifest.python.libc == libc
    pure = install(tmp_path / "pure", "two", {"two.py": b""})
    assert plan_with(tmp_path / "none", [pure], sites=[tmp_path / "pure"]).manifest.python == PythonTag(
        "cpython", "{}.{}".format(*sys.version_info)
    )


def test_a_file_that_another_distribution_has_in_its_place_needs_nothing(tmp_path: Path) -> None:
    old, new = (compiled(tmp_path / version, version) for version in ("GLIBC_2.17", "GLIBC_2.31"))
    sites = [tmp_path / "first", tmp_path / "second"]
    one = install(sites[0], "one", {"pkg/fast.so": old})
    two = install(sites[1], "two", {"pkg/fast.so": new, "two.py": b""})

    assert plan_with(tmp_path / "work", [one, two], sites=sites).manifest.python.libc == "glibc 2.17"
    assert plan_with(tmp_path / "other", [one, two], sites=sites[::-1]).manifest.python.libc == "glibc 2.31"


def test_what_is_kept_of_a_layer_has_its_libc(tmp_path: Path) -> None:
    library = compiled(tmp_path / "made", "GLIBC_2.31")
    one = install(tmp_path / "site", "one", {"one/fast.so": library})
    for file in (tmp_path / "site").rglob("*"):
        set_times(file)
    cache = Cache(tmp_path / "cache", clock=lambda: 2 * 10**18)

    first = describe(one, cache)

    assert first.needs == (Need(MACHINE, "glibc", (2, 31)),)
    assert describe(one, cache) == first
