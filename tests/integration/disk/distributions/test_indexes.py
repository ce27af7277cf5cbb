"""Where wheels are looked for is where uv itself looks, and where pip does if uv is told nothing."""

from __future__ import annotations

import re
import subprocess
import urllib.parse
from typing import TYPE_CHECKING

import pytest

from raybundle.errors import BundleError
from raybundle.wheels.uv.indexes import indexes_of
from raybundle.wheels.uv.pip_configuration import PipPlaces, pip_files, pip_variables
from raybundle.wheels.uv.run import run_uv
from tests.support.own_wheels import find_uv

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "s3cret"
FILES = {
    "ws/pyproject.toml": "[project]\nname='ws'\nversion='1'\n[tool.uv]\nfind-links=['of-root']\n"
    "[tool.uv.workspace]\nmembers=['packages/*']\nexclude=['packages/no']\n",
    "ws/packages/m/pyproject.toml": "[project]\nname='m'\nversion='1'\n[tool.uv]\nfind-links=['of-member']\n",
    "ws/packages/m/below/file": "",
    "ws/packages/no/pyproject.toml": "[project]\nname='no'\nversion='1'\n[tool.uv]\nfind-links=['of-no']\n",
    "ws/alone/pyproject.toml": "[project]\nname='alone'\nversion='1'\n",
    "ws/both/uv.toml": "find-links=['of-uv-toml']",
    "ws/both/pyproject.toml": "[tool.uv]\nfind-links=['of-both']\n",
    "flat/pyproject.toml": "[[tool.uv.index]]\nname='f'\nurl='flat'\nformat='flat'\n"
    "[tool.uv.pip]\nfind-links=['of pip']\n",
    "home/.config/uv/uv.toml": "find-links=['of-user']",
    "first/uv/uv.toml": "find-links=['of-first']",
    "second/uv/uv.toml": "find-links=['of-second']",
}
LINKS = re.compile(r'path: "(/[^"]*/(?:of|flat)[^"/]*)"')


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        for link in re.findall(r"'((?:of|flat)[^']*)'", text):
            (file.parent / link).mkdir(exist_ok=True)
    return tmp_path.resolve()


def seen_by_uv(project: Path, environ: dict[str, str]) -> set[str]:
    done = subprocess.run(
        [find_uv(), "pip", "compile", "-", "--show-settings"],
        cwd=project,
        env=environ,
        input="",
        capture_output=True,
        text=True,
        check=True,
    )
    return set(map(urllib.parse.unquote, LINKS.findall(done.stdout)))


@pytest.mark.parametrize(
    ("project", "variables", "expected"),
    [
        ("ws", {}, {"of-root", "of-user"}),
        ("ws/packages/m", {}, {"of-root", "of-user"}),
        ("ws/packages/m/below", {}, {"of-root", "of-user"}),
        ("ws/packages/no", {}, {"of-no", "of-user"}),
        ("ws/alone", {}, {"of-root", "of-user"}),
        ("ws/both", {}, {"of-uv-toml", "of-user"}),
        ("flat", {}, {"flat", "of pip", "of-user"}),
        ("ws", {"XDG_CONFIG_HOME": "first"}, {"of-root", "of-first"}),
        ("ws", {"XDG_CONFIG_DIRS": "none:second:first"}, {"of-root", "of-user", "of-second"}),
        ("ws", {"UV_CONFIG_FILE": "first/uv/uv.toml"}, {"of-first"}),
        (
            "ws",
            {"UV_NO_CONFIG": "1", "UV_FIND_LINKS": "packages/m/of-member,both/of-both"},
            {"of-member", "of-both"},
        ),
        ("ws", {"UV_NO_CONFIG": "0"}, {"of-root", "of-user"}),
    ],
)
def test_directories_of_wheels_are_those_that_uv_sees(
    tree: Path, project: str, variables: dict[str, str], expected: set[str]
) -> None:
    placed = {
        name: ":".join(str(tree / each) for each in value.split(":"))
        if "/" in value or "XDG" in name
        else value
        for name, value in variables.items()
        if name != "UV_FIND_LINKS"
    }
    links = {name: value for name, value in variables.items() if name == "UV_FIND_LINKS"}
    environ = {"HOME": str(tree / "home"), "XDG_CONFIG_DIRS": str(tree / "none"), **placed, **links}

    found = {str(each) for each in indexes_of(tree / project, tree, environ).links}

    assert {each.rpartition("/")[2] for each in found} == expected
    assert found == seen_by_uv(tree / project, environ)


def test_another_configuration_of_uv_is_another_stamp(tree: Path) -> None:
    environ = {"HOME": str(tree / "home")}
    before = indexes_of(tree / "ws/packages/m", tree, environ)
    (tree / "ws/pyproject.toml").write_text(
        FILES["ws/pyproject.toml"] + "[[tool.uv.index]]\nurl='https://a.example'"
    )

    after = indexes_of(tree / "ws/packages/m", tree, environ)

    assert before.stamp != after.stamp


def test_of_a_variable_that_leads_uv_to_another_project_nothing_is_left(tree: Path) -> None:
    environ = {"HOME": str(tree / "home"), "UV_PROJECT": str(tree / "flat"), "UV_WORKING_DIR": str(tree)}

    assert not indexes_of(tree / "ws", tree, environ).environ.keys() & {"UV_PROJECT", "UV_WORKING_DIR"}


def places(tree: Path, system: str = "linux", **environ: str) -> PipPlaces:
    defaults = {"HOME": str(tree / "home"), "XDG_CONFIG_DIRS": str(tree / "xdg")}
    return PipPlaces({**defaults, **environ}, tree / "venv", system)


def configured(tree: Path, name: str, text: str) -> Path:
    file = tree / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def test_pip_s_files_are_those_of_all_of_the_user_and_of_the_environment(tree: Path) -> None:
    expected = [
        tree / "xdg/pip/pip.conf",
        *(each for each in pip_files(places(tree)) if str(each) == "/etc/pip.conf"),
        tree / "home/.pip/pip.conf",
        tree / "home/.config/pip/pip.conf",
        tree / "venv/pip.conf",
    ]

    assert list(pip_files(places(tree))) == expected


def test_pip_on_a_mac_has_the_library_of_the_user_where_it_is_there(tree: Path) -> None:
    usual = list(pip_files(places(tree, "darwin")))
    library = tree / "home/Library/Application Support/pip"
    library.mkdir(parents=True)

    found = list(pip_files(places(tree, "darwin")))

    assert str(found[0]) == "/Library/Application Support/pip/pip.conf"
    assert usual[1:] == [
        tree / "home/.pip/pip.conf",
        tree / "home/.config/pip/pip.conf",
        tree / "venv/pip.conf",
    ]
    assert found[1:] == [tree / "home/.pip/pip.conf", library / "pip.conf", tree / "venv/pip.conf"]


def test_a_file_that_pip_is_told_counts_more_than_all_and_the_user_s_is_not_read(tree: Path) -> None:
    file = configured(tree, "my.conf", "")

    found = list(pip_files(places(tree, PIP_CONFIG_FILE=str(file))))

    assert found[-2:] == [tree / "venv/pip.conf", file]
    assert not any(each.is_relative_to(tree / "home") for each in found)
    assert tree / "home/.pip/pip.conf" in pip_files(places(tree, PIP_CONFIG_FILE=str(tree / "absent.conf")))


def test_no_file_of_pip_counts_where_it_is_told_the_null_device(tree: Path) -> None:
    configured(tree, "venv/pip.conf", "[global]\nindex-url = https://of-venv.example")

    assert pip_variables(places(tree, PIP_CONFIG_FILE="/dev/null")) == {}


def test_pip_is_told_by_variables_then_by_its_install_section_then_by_the_environment(tree: Path) -> None:
    configured(
        tree,
        "home/.config/pip/pip.conf",
        "[global]\nindex_url = https://user.example\n[install]\nfind-links=/a\n",
    )
    configured(
        tree, "venv/pip.conf", "[global]\nindex-url = https://venv.example\nfind-links=/b\nextra-index-url=\n"
    )

    found = pip_variables(places(tree, PIP_EXTRA_INDEX_URL="https://x.example", PIP_FIND_LINKS=""))

    expected = {
        "UV_DEFAULT_INDEX": "https://venv.example",
        "UV_INDEX": "https://x.example",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_FIND_LINKS": "/a",
    }
    assert found == expected


def test_no_index_in_a_variable_and_in_a_file_of_pip(tree: Path) -> None:
    file = configured(tree, "my.conf", "[global]\nno-index = 1\nindex-url = https://a.example\n")
    told = {"PIP_CONFIG_FILE": str(file)}

    assert pip_variables(places(tree, PIP_NO_INDEX="true", **told)) == {"UV_NO_INDEX": "1"}
    assert pip_variables(places(tree, PIP_NO_INDEX="0", **told)) == {"UV_DEFAULT_INDEX": "https://a.example"}


def test_a_directory_of_wheels_for_uv_leaves_the_index_of_pip(tree: Path) -> None:
    (tree / "wheels").mkdir()
    environ = {"PIP_INDEX_URL": "https://a.example", "PIP_FIND_LINKS": "/b", "UV_FIND_LINKS": "wheels"}

    found = indexes_of(tree, tree, {"HOME": str(tree), "PIP_CONFIG_FILE": "/dev/null", **environ})

    assert found.environ["UV_DEFAULT_INDEX"] == "https://a.example"
    assert found.environ["UV_FIND_LINKS"] == "wheels"


def test_a_configuration_that_pip_cannot_read_is_named_without_its_text(tree: Path) -> None:
    file = configured(tree, "venv/pip.conf", f"index-url = https://me:{SECRET}@a.example\n")

    with pytest.raises(BundleError, match=re.escape(str(file))) as caught:
        pip_variables(places(tree))

    assert SECRET not in f"{caught.value}{caught.value.hint}{caught.value.__cause__}"


@pytest.mark.parametrize(
    "url",
    [
        f"http://me:{SECRET}@h:port/x",
        f"name=http://me:{SECRET}/@[h",
        f"https:/me:{SECRET}@h:port",
        f"name=https:me:{SECRET}@h:port",
    ],
)
def test_a_password_in_an_index_is_not_in_an_error(tree: Path, url: str) -> None:
    with pytest.raises(BundleError) as caught:
        run_uv(["pip", "compile", "-"], {"HOME": str(tree), "UV_INDEX": url}, tree, "alpha")

    assert "invalid value" in str(caught.value)
    assert SECRET not in f"{caught.value}{caught.value.hint}"
