"""`serve build`: which bundle each application gets, and the configuration that Ray Serve takes."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
import yaml

import raybundle
from raybundle.errors import BundleError, StoreError, UnresolvedImportError, UsageError
from tests.support.small_project import tree
from tests.support.workplace import make_workplace

if TYPE_CHECKING:
    from pathlib import Path

    from raybundle import ServeConfig

FILES = {
    "app.py": "from words import greeting\n\ngraph = greeting\n\n\ndef build(args):\n    return args\n",
    "other.py": "import only_other\n\ngraph = only_other\n",
    "words/__init__.py": "",
    "words/greeting.py": "GREETING = 1\n",
    "only_other.py": "",
    "shop/__init__.py": "from shop.graph import graph\n\nif __name__ == '__main__':\n    import not_there\n",
    "shop/graph.py": "graph = 1\n",
    "shop/__main__.py": "import left\n",
    "left.py": "",
    "hidden.py": "def __getattr__(name):\n    return name\n",
    "broken.py": "import nothing_like_it\ngraph = 1\n",
}
CONFIG = """\
proxy_location: EveryNode
http_options: {port: 8123}
applications:
- import_path: app:build
  name: shop
  route_prefix: /shop
  args: {at: 12, deep: {a: [1, null]}}
  runtime_env:
    env_vars: {MODE: "on"}
    config: {setup_timeout_seconds: 30}
  deployments:
  - name: Speaker
    num_replicas: 3
    ray_actor_options: {num_cpus: 0.5, runtime_env: {env_vars: {A: b}}}
- import_path: other.graph
  name: second
"""


pytestmark = pytest.mark.usefixtures("project")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tree(tmp_path / "project", {**FILES, "serve.yaml": CONFIG})
    monkeypatch.chdir(directory)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("RAYBUNDLE_STORE", str(tmp_path / "store"))
    return directory


def files_of(config: ServeConfig, name: str) -> set[str]:
    return {file.path for file in raybundle.show(config.bundles[name]).manifest.files}


def test_each_application_has_a_bundle_of_what_it_imports() -> None:
    config = raybundle.serve.build(["app:build", "other:graph"])

    assert files_of(config, "app") == {
        "project/app.py",
        "project/words/__init__.py",
        "project/words/greeting.py",
    }
    assert files_of(config, "other") == {"project/other.py", "project/only_other.py"}
    for each in config.applications:
        exported = raybundle.export(config.bundles[each["name"]])
        assert each["runtime_env"] == exported.runtime_env


def test_an_edit_changes_the_application_that_imports_the_file_and_no_byte_of_the_other(
    project: Path,
) -> None:
    before = raybundle.serve.build(["app:build", "other:graph"])
    again = raybundle.serve.build(["app:build", "other:graph"])
    (project / "words/greeting.py").write_text("GREETING = 2\n")
    after = raybundle.serve.build(["app:build", "other:graph"])

    assert again.text() == before.text()
    assert after.applications[1] == before.applications[1]
    assert after.applications[0]["runtime_env"] != before.applications[0]["runtime_env"]
    assert {**after.applications[0], "runtime_env": 0} == {**before.applications[0], "runtime_env": 0}


def test_a_configuration_keeps_what_is_the_users() -> None:
    given, config = yaml.safe_load(CONFIG), raybundle.serve.build("serve.yaml")

    found = yaml.safe_load(config.text())
    environments = [each.pop("runtime_env") for each in found["applications"]]
    del given["applications"][0]["runtime_env"]
    assert found == given
    assert json.loads(config.text(as_json=True)) == config.document
    assert environments[0]["env_vars"]["MODE"] == "on"
    assert environments[0]["config"] == {"setup_timeout_seconds": 30}
    assert environments[0]["env_vars"]["RAYBUNDLE_DIGEST"] == config.bundles["shop"]


def test_a_named_application_is_a_version_of_its_name() -> None:
    config = raybundle.serve.build("serve.yaml")

    assert raybundle.show("shop@1").digest == config.bundles["shop"]
    assert raybundle.show("second").digest == config.bundles["second"]


def test_an_application_without_a_name_is_a_version_of_its_module() -> None:
    config = raybundle.serve.build("shop:graph")

    assert raybundle.show("serve-shop@1").digest == config.bundles["default"]


def test_an_application_with_a_bundle_stays_as_it_is(project: Path) -> None:
    first = raybundle.serve.build("serve.yaml")
    (project / "pinned.yaml").write_text(first.text())
    (project / "words/greeting.py").write_text("GREETING = 2\n")

    assert raybundle.serve.build("pinned.yaml").text() == first.text()


def test_an_application_whose_bundle_is_gone_is_told_before_it_is_deployed(project: Path) -> None:
    first = raybundle.serve.build("serve.yaml")
    (project / "pinned.yaml").write_text(first.text())
    shutil.rmtree(project.parent / "store/bundles" / first.bundles["shop"].removeprefix("sha256:"))

    with pytest.raises(StoreError, match=first.bundles["shop"]):
        raybundle.serve.build("pinned.yaml")


def test_a_package_is_imported_and_not_run() -> None:
    config = raybundle.serve.build("shop:graph")

    assert files_of(config, "default") == {"project/shop/__init__.py", "project/shop/graph.py"}


@pytest.mark.parametrize(
    ("path", "kind", "text", "hint"),
    [
        ("app:grph", BundleError, "app.py has no `grph`", "did you mean `graph`?"),
        ("nowhere:graph", BundleError, "nowhere is not a module of this project", "run it from the folder"),
        ("json:loads", BundleError, "json is not a module of this project", "run it from the folder"),
        ("broken:graph", UnresolvedImportError, "nothing_like_it", None),
    ],
)
def test_what_serve_could_not_import_is_an_error(
    path: str, kind: type[BundleError], text: str, hint: str | None
) -> None:
    with pytest.raises(kind, match=text) as refusal:
        raybundle.serve.build(path)

    assert hint is None or hint in str(refusal.value.hint)


def test_an_attribute_that_only_a_run_makes_is_believed() -> None:
    assert raybundle.serve.build("hidden:anything").bundles["default"]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (("env_vars: {MODE", "working_dir: s3://b/a.zip\n    env_vars: {MODE"), "with `working_dir`"),
        (("env_vars: {A: b}", "working_dir: s3://b/a.zip"), "with `working_dir`"),
        (("MODE", "PYTHONPATH"), "serve.yaml: application 'shop': `env_vars.PYTHONPATH` is set by"),
        (("name: second", "name: shop"), "several applications are called shop"),
        (("import_path: other.graph", "import_path: other"), "'other' is not the import path"),
        (("applications:", "apps:"), "it has no `applications`"),
    ],
)
def test_a_configuration_that_cannot_be_carried_out_is_refused(
    project: Path, change: tuple[str, str], text: str
) -> None:
    (project / "serve.yaml").write_text(CONFIG.replace(*change))

    with pytest.raises(UsageError, match=text):
        raybundle.serve.build("serve.yaml")


def test_a_runtime_env_of_the_call_is_not_for_a_file() -> None:
    with pytest.raises(UsageError, match="has no effect on a configuration file"):
        raybundle.serve.build("serve.yaml", runtime_env={"pip": ["humanize"]})


def test_the_command_line_writes_what_the_library_returns(project: Path, tmp_path: Path) -> None:
    work = make_workplace(project, RAYBUNDLE_STORE=str(tmp_path / "store"))

    done = work.raybundle(
        "serve", "build", "app:build", "size=3", "--name", "fraud", "--env", "A=1", "-o", "out.json"
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    [found] = json.loads((project / "out.json").read_text())["applications"]
    assert found == expected(raybundle.serve.build("app:build", {"size": "3"}, name="fraud", env={"A": "1"}))


def expected(config: ServeConfig) -> dict[str, Any]:
    return dict(config.applications[0])


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("status", "app:build"), "takes no `app:build`"),
        (("deploy", "-o", "x.yaml", "app:build"), "takes no -o"),
        (("build", "--timeout", "3s", "app:build"), "takes no --timeout"),
        (("deploy", "--no-wait", "--timeout", "3s", "app:build"), "nobody waits"),
    ],
)
def test_an_option_without_effect_is_refused(project: Path, words: tuple[str, ...], text: str) -> None:
    done = make_workplace(project).raybundle("serve", *words)

    assert done.returncode == 2
    assert text in done.stderr
