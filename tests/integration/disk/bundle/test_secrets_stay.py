"""Secrets do not travel: what stops a build, what it says, who may allow one, and what is kept of it."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from raybundle.bundle.secrets.refuse import parse_allowances
from raybundle.bundle.secrets.scan import SecretScanner
from raybundle.config import load_settings
from raybundle.errors import SecretError, UsageError
from raybundle.model import ScriptTarget
from raybundle.planning import plan
from raybundle.request import Request, prepare
from raybundle.resolve.files.secret_names import secret_name_rule
from tests.support.collected import collected_file
from tests.support.planted import PLANTED, aws, github, pem, text
from tests.support.workplace import make_workplace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from raybundle.cache.documents import Cache
    from raybundle.planning import Plan

REPOSITORY = Path(__file__).parents[4]
KEY = f"KEY = '{github()}'\n"


class Project:
    """A project whose driver imports `pkg`; all these projects share one cache."""

    def __init__(self, directory: Path, rules: Path) -> None:
        self.directory = directory / "project"
        self.environ = {
            **{name: os.environ[name] for name in ("PATH", "HOME")},
            **{f"XDG_{kind}_HOME": str(directory / kind.lower()) for kind in ("CONFIG", "DATA")},
            "XDG_CACHE_HOME": str(rules.parent.parent),
        }
        self.write({"job.py": "import pkg.settings", "pkg/__init__.py": "", "pkg/settings.py": ""})
        self.allow()

    def write(self, files: Mapping[str, str]) -> None:
        for name, content in files.items():
            file = self.directory / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)

    def allow(self, *allowances: str, more: str = "") -> None:
        self.write({"pyproject.toml": f"[tool.raybundle]\nallow-secrets = {json.dumps(allowances)}\n{more}"})

    def plan(self, **environ: str) -> Plan:
        """Returns the plan of the driver, as `raybundle plan` makes it."""
        known = {**self.environ, **environ}
        settings = load_settings({}, known, self.directory)
        target = ScriptTarget(self.directory / "job.py")
        return plan(prepare(Request(target, settings, self.directory, self.directory, known)))

    def refusal(self) -> list[str]:
        """Returns the lines of the error, less the first."""
        with pytest.raises(SecretError) as caught:
            self.plan()
        return [line.strip() for line in str(caught.value).splitlines()[1:]]

    def warnings(self) -> list[str]:
        return [warning.text for warning in self.plan().resolution.warnings]


@pytest.fixture
def project(tmp_path: Path, secret_rules: Path) -> Project:
    return Project(tmp_path.resolve(), secret_rules)


@pytest.mark.slow
def test_the_value_of_a_secret_is_nowhere(tmp_path: Path, secret_rules: Path) -> None:
    work = make_workplace(tmp_path / "work", "plain")
    home = tmp_path / "work-home"
    shutil.copytree(secret_rules, home / ".cache/raybundle/secret-rules")
    (work.directory / "job.py").write_text(f"import json\n{KEY}{aws()}")
    values = [github(), *re.findall(r'"(\w+)"', aws()), github()[4:]]

    for words in (["--json", "plan"], ["build"]):
        done = work.raybundle(*words, "job.py")

        assert done.returncode == 3
        assert "  job.py:2: GitHub PAT (rule github-pat)\n  job.py:3: AWS access token" in done.stderr
        assert 'allow-secrets = ["job.py:github-pat"]' in done.stderr
        assert [value for value in values if value in done.stdout + done.stderr] == []
    kept = [file.read_bytes() for file in home.rglob("*") if file.is_file()]
    assert any(b"github-pat" in data for data in kept)
    assert [value for value in values for data in kept if value.encode() in data] == []


def test_all_faults_are_reported_at_once_names_and_contents_over_all_roots(project: Project) -> None:
    project.write(
        {
            "pkg/settings.py": f"import shared\n\n{KEY}",
            "pkg/.env": "A=1",
            "pkg/data.json": json.dumps({"token": github(seed=6)}),
            "../libs/shared.py": KEY,
        }
    )
    project.allow(more='roots = ["../libs"]\n')

    assert project.refusal() == [
        "../libs/shared.py:1: GitHub PAT (rule github-pat)",
        "pkg/.env: environment file (rule env-file)",
        "pkg/data.json:1: GitHub PAT (rule github-pat)",
        "pkg/settings.py:3: GitHub PAT (rule github-pat)",
    ]


@pytest.mark.parametrize(
    ("name", "content", "rule"),
    [
        *((name, "secret", rule) for name, rule in {
            ".env": "env-file", "id_rsa": "private-key", "a.p12": "key-store", ".netrc": "login-file",
            ".pypirc": "registry-credentials", "credentials.json": "cloud-credentials",
        }.items()),
        ("server.pem", "not to be read", "private-key"),
        ("ca.pem", pem("CERTIFICATE"), None),
        ("id_rsa.pub", "ssh-rsa AAAA", None),
        (".env.example", "TOKEN=", None),
    ],
)  # fmt: skip
def test_a_file_beside_a_package_with_the_name_of_a_secret_stops_the_build_until_it_is_excluded(
    project: Project, name: str, content: str, rule: str | None
) -> None:
    project.write({f"pkg/{name}": content})

    if rule is None:
        assert f"project/pkg/{name}" in [file.path for file in project.plan().files]
    else:
        assert [line.rpartition("(rule ")[2] for line in project.refusal()] == [f"{rule})"]
        project.allow(more=f'exclude = ["pkg/{name}"]\n')
        assert f"project/pkg/{name}" not in [file.path for file in project.plan().files]


def test_directories_of_credentials_are_refused_where_include_names_them(project: Project) -> None:
    project.write({".aws/config": "[default]", "home/.kube/config": "apiVersion: v1"})
    project.allow(more='include = [".aws", "home"]\n')

    assert [line.partition(":")[0] for line in project.refusal()] == [".aws/config", "home/.kube/config"]


def test_a_script_with_the_name_of_a_secret_is_refused_too(project: Project) -> None:
    project.write({"id_rsa": "print(1)"})
    settings = load_settings({}, project.environ, project.directory)
    target = ScriptTarget(project.directory / "id_rsa")

    with pytest.raises(SecretError, match="id_rsa: private key"):
        plan(prepare(Request(target, settings, project.directory, project.directory, project.environ)))


@pytest.mark.parametrize(
    "allowance",
    ["pkg/settings.py:github-pat", "pkg/*.py:github-pat", "**/settings.py:github-pat", "pkg:github-pat"],
)
def test_an_allowance_names_path_and_rule(project: Project, allowance: str) -> None:
    project.write({"pkg/settings.py": KEY})
    project.allow(allowance)

    assert project.warnings() == []


@pytest.mark.parametrize(
    "allowance",
    ["pkg/settings.py:jwt", "settings.py:github-pat", "pkg/other.py:github-pat", "*.py:github-pat"],
)
def test_another_rule_or_path_allows_nothing(project: Project, allowance: str) -> None:
    project.write({"pkg/settings.py": KEY})
    project.allow(allowance)

    assert project.refusal() == ["pkg/settings.py:1: GitHub PAT (rule github-pat)"]


def test_an_allowance_covers_its_own_rule_only(project: Project) -> None:
    project.write({"pkg/settings.py": KEY + aws(), "pkg/.env": ""})
    project.allow("pkg/settings.py:github-pat", "pkg/.env:env-file")

    assert project.refusal() == ["pkg/settings.py:2: AWS access token (rule aws-access-token)"]


def test_an_allowance_that_allows_nothing_is_a_warning_unless_it_is_of_another_job(project: Project) -> None:
    project.write({"other/job.py": KEY})
    project.allow("pkg/settings.py:github-pat", "gone.py:jwt", "other/job.py:github-pat")

    assert project.warnings() == [
        "`pkg/settings.py:github-pat` in `allow-secrets` allows nothing",
        "`gone.py:jwt` in `allow-secrets` allows nothing",
    ]


@pytest.mark.parametrize("word", ["pkg/settings.py", "pkg/*", ":github-pat", "a.py:no-such-rule", "a:b/c.py"])
def test_an_allowance_without_a_known_rule_is_refused(word: str) -> None:
    with pytest.raises(UsageError, match="rule"):
        parse_allowances([word])


def test_only_the_project_may_allow(project: Project) -> None:
    project.write({"pkg/settings.py": KEY, "../config/raybundle/config.toml": ""})
    allowance = 'allow-secrets = ["pkg/settings.py:github-pat"]\n'

    with pytest.raises(UsageError, match="`allow-secrets` in RAYBUNDLE_ALLOW_SECRETS: only the project"):
        project.plan(RAYBUNDLE_ALLOW_SECRETS="pkg/settings.py:github-pat")
    project.allow(more=f"[tool.raybundle.profiles.mine]\n{allowance}")
    with pytest.raises(UsageError, match="`allow-secrets` in profile mine: only the project"):
        project.plan(RAYBUNDLE_PROFILE="mine")
    project.write({"../config/raybundle/config.toml": allowance})
    with pytest.raises(UsageError, match=r"`allow-secrets` in \S+config\.toml: only the project"):
        project.plan()


def test_a_clean_file_that_turns_dirty_is_seen_also_within_the_same_tick(project: Project) -> None:
    settings = project.directory / "pkg/settings.py"
    project.write({"pkg/settings.py": f"KEY = '{text(40)}'\n"})
    project.plan()
    before = settings.stat()

    settings.write_text(KEY)
    os.utime(settings, ns=(before.st_atime_ns, before.st_mtime_ns))

    assert settings.stat().st_size == before.st_size
    assert project.refusal() == ["pkg/settings.py:1: GitHub PAT (rule github-pat)"]
    settings.write_text("")
    project.plan()


@pytest.mark.slow
def test_the_scanner_is_loaded_for_what_is_suspect_and_new_only(tmp_path: Path, secret_rules: Path) -> None:
    work = make_workplace(tmp_path / "work", "plain")
    shutil.copytree(secret_rules, tmp_path / "work-home/.cache/raybundle/secret-rules")
    script = "import sys; from raybundle.cli import main; main(['--quiet', 'plan', 'job.py'])\n"
    loaded = "print('LOADED', 'kingfisher_sdk' in sys.modules)"

    def run() -> str:
        done = work.command([sys.executable, "-c", script + loaded])
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()[-1]

    assert run() == "LOADED False"
    with (work.directory / "job.py").open("a") as job:
        job.write("# mentions ghp_ and no token\n")
    assert [run(), run()] == ["LOADED True", "LOADED False"]


@pytest.mark.slow
def test_what_this_repository_ships_holds_no_secret(cache: Cache) -> None:
    folders = ("raybundle", "examples", "tests/projects", "tests/support", "docs", "scripts", "templates")
    found = [file for folder in folders for file in (REPOSITORY / folder).rglob("*") if file.is_file()]
    files = {file.relative_to(REPOSITORY): file.read_bytes() for file in found if file.suffix != ".pyc"}
    collected = [collected_file(str(path), data) for path, data in files.items()]

    verdicts = SecretScanner(cache).verdicts(collected)

    assert {path: verdict for path, verdict in zip(files, verdicts, strict=True) if verdict} == {}
    named = [path for path in files if secret_name_rule(str(path))]
    assert [path for path in named if "tests/projects/field/dotenv" not in str(path)] == []
    assert len(files) > len(PLANTED)
