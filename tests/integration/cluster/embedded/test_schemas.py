"""The document of every `--json` fits its schema in docs/schemas/, and the schema fits nothing else."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry

from raybundle.cli import parser
from raybundle.cli.output.console import SCHEMA_VERSION
from raybundle.explain import absence
from raybundle.model import Rule
from tests.support.kuberay import SPEC
from tests.support.signing import make_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from subprocess import CompletedProcess

    from tests.integration.cluster.conftest import Embedded

SCHEMAS = Path(__file__).parents[4] / "docs" / "schemas" / f"v{SCHEMA_VERSION}"
SHARED = "definitions"
EVENTS = "submit-events"
"""Of lines: test_ci_services.py."""
WITHOUT_DOCUMENT: frozenset[str] = frozenset()
"""Commands that print no document with `--json`."""
OPEN = ("metadata", "runtime_env", "config", "manifest", "facts", "events", "sbom")
"""Properties whose content is Ray's or CycloneDX's, or specified in docs/format.md and docs/runs.md."""
ELSEWHERE = {"RAYBUNDLE_LOCAL_STATE": "../no-cluster"}
MORE_DATA = {"RAYBUNDLE_INCLUDE": "words.txt"}
NO_ENVIRONMENT = '{"conda": "no-such-environment"}'
DRIVER = """\
import importlib
import sys
import time

from pkg import part


def load(name):
    import websocket
    import installed_nowhere
    return importlib.import_module(name)


match sys.argv[1:]:
    case ["code", code]:
        sys.exit(int(code))
    case ["sleep", seconds]:
        time.sleep(float(seconds))
"""
"""Has a module, a namespace package, a distribution of the cluster and a warning."""


@dataclass(frozen=True, slots=True)
class Step:
    """A command that prints a document."""

    words: tuple[str, ...]
    exit_code: int = 0
    environ: Mapping[str, str] = field(default_factory=dict)

    @property
    def schema(self) -> str:
        for command, option in (("plan", "--against"), ("run", "--here")):
            if self.words[0] == command and option in self.words:
                return f"{command}{option[1:]}"
        return self.words[0]


GOOD = ("--submission-id", "schemas-good")
BAD = ("--submission-id", "schemas-bad")
SLOW = "schemas-slow"
STEPS = {
    "plan": Step(("plan", "job.py")),
    "why it is in": Step(("why", "job.py", "pkg.part")),
    "why, in all ways": Step(("why", "job.py", "pkg.part", "--all")),
    "why a distribution": Step(("why", "job.py", "websocket-client")),
    "why data": Step(("why", "job.py", "words.txt"), environ=MORE_DATA),
    "why it is not": Step(("why", "job.py", "nothing"), 3),
    "trace": Step(("trace", "job.py")),
    "plan with what a run has shown": Step(("plan", "job.py")),
    "build": Step(("build", "job.py")),
    "build with a name": Step(("build", "--name", "schemas", "job.py")),
    "show": Step(("show", "schemas")),
    "diff": Step(("diff", "--exit-code", "schemas"), 10, MORE_DATA),
    "diff of the same": Step(("diff", "schemas", "schemas")),
    "verify": Step(("verify", "--rebuild", "schemas")),
    "verify another": Step(("verify", "--rebuild", "schemas"), 3, MORE_DATA),
    "check": Step(("check", "--read-data")),
    "store probe": Step(("store", "probe")),
    "gc": Step(("gc", "--grace", "0")),
    "pull": Step(("pull", "schemas", "pulled")),
    "sign": Step(("sign", "--key", "ci.pem", "schemas")),
    "show what is signed": Step(("show", "schemas")),
    "show its parts": Step(("show", "--sbom", "schemas")),
    "patch": Step(("patch", "--against", "HEAD", "schemas")),
    "tag": Step(("tag", "schemas@1", "production")),
    "bundles": Step(("bundles",)),
    "plan against it": Step(("plan", "--against", "schemas", "job.py"), environ=MORE_DATA),
    "report": Step(("report", "schemas", "-o", "report.html")),
    "export": Step(("export", "schemas", "--format", "runtime-env")),
    "export for KubeRay": Step(("export", "schemas", "--format", "rayjob", "--cluster-spec", "cluster.yaml")),
    "serve": Step(("serve", "build", "job:load")),
    "submit: succeeded": Step(("submit", *GOOD, "job.py", "code", "0")),
    "submit: attached": Step(("submit", *GOOD, "job.py", "code", "0")),
    "submit: failed": Step(("submit", *BAD, "job.py", "code", "3"), 20),
    "submit: could not start": Step(("submit", "--runtime-env-json", NO_ENVIRONMENT, "job.py"), 22),
    "submit: not waited for": Step(
        ("submit", "--no-wait", "--submission-id", SLOW, "job.py", "sleep", "600")
    ),
    "run": Step(("run", *GOOD, "schemas", "code", "0")),
    "run: not waited for": Step(("run", "--no-wait", *GOOD, "schemas", "code", "0")),
    "run, here": Step(("run", "--here", "schemas", "code", "4"), 4),
    "bisect": Step(("bisect", "--here", GOOD[1], BAD[1])),
    "status of one that has not ended": Step(("status", SLOW)),
    "stop": Step(("stop", SLOW)),
    "attach to one that was stopped": Step(("attach", SLOW), 21),
    "logs": Step(("logs", GOOD[1])),
    "runs": Step(("runs",)),
    "show a run": Step(("show", GOOD[1])),
    "rerun": Step(("rerun", "--no-wait", GOOD[1])),
    "logs, followed": Step(("logs", "--follow", GOOD[1])),
    "doctor": Step(("doctor", "schemas")),
    "doctor without a cluster": Step(("doctor", "job.py"), environ=ELSEWHERE),
    "path": Step(("path", "job.py")),
    "path of plain Ray": Step(("path", "--plain", "job.py")),
    "list": Step(("list",)),
    "delete": Step(("delete", SLOW)),
    "local up": Step(("local", "up")),
    "local status": Step(("local", "status")),
    "local env": Step(("local", "env")),
    "local status without a cluster": Step(("local", "status"), environ=ELSEWHERE),
    "local down without a cluster": Step(("local", "down"), environ=ELSEWHERE),
    "node": Step(("node", "clean")),
    "init": Step(("init", "github")),
    "completion": Step(("completion", "fish")),
    "config": Step(
        ("config", "show"),
        environ={"RAYBUNDLE_INCLUDE": "a,b", "RAYBUNDLE_ENV": "A=1", "RAYBUNDLE_NAME": "n"},
    ),
}
"""In the order in which they run: all on one cluster, and with four jobs."""


@pytest.fixture(scope="module")
def printed(embedded: Embedded, tmp_path_factory: pytest.TempPathFactory) -> dict[str, CompletedProcess[str]]:
    """What each step printed."""
    work = embedded.workplace(tmp_path_factory.mktemp("schemas") / "work")
    (work.directory / "job.py").write_text(DRIVER)
    (work.directory / "pkg").mkdir()
    (work.directory / "pkg" / "part.py").touch()
    (work.directory / "words.txt").touch()
    (work.directory / "cluster.yaml").write_text(SPEC)
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    for line in ("init -q", "add .", "commit -qm first"):
        assert work.command([*git, *line.split()]).returncode == 0
    make_key(work.directory, "ci")
    return {name: work.raybundle("--json", *step.words, env=step.environ) for name, step in STEPS.items()}


def validator(command: str) -> Draft202012Validator:
    """Returns what checks documents of a command; a `$ref` is relative to the folder."""
    files = [(file.name, json.loads(file.read_text("utf-8"))) for file in SCHEMAS.glob("*.json")]
    registry: Registry[Any] = Registry().with_contents(files)
    return Draft202012Validator({"$ref": f"{command}.json"}, registry=registry)


@pytest.mark.ray
@pytest.mark.parametrize("name", STEPS)
def test_what_a_command_prints_fits_its_schema(printed: dict[str, CompletedProcess[str]], name: str) -> None:
    done = printed[name]

    assert done.returncode == STEPS[name].exit_code, done.stderr
    faults = list(validator(STEPS[name].schema).iter_errors(json.loads(done.stdout)))
    assert not faults, faults


@pytest.mark.ray
@pytest.mark.parametrize("name", STEPS)
def test_a_schema_refuses_a_property_more_and_one_less(
    printed: dict[str, CompletedProcess[str]], name: str
) -> None:
    schema = validator(STEPS[name].schema)

    taken = [change for change, other in changed(json.loads(printed[name].stdout)) if schema.is_valid(other)]

    assert not taken


def changed(document: Any) -> Iterator[tuple[str, Any]]:
    """Yields copies of a document in which one object has a property too many, or one is missing."""
    for place in objects(document, ()):
        for name in (*at(document, place), None):
            other = copy.deepcopy(document)
            if name is None:
                at(other, place)["more"] = 1
            else:
                del at(other, place)[name]
            yield f"{place}: {'one more' if name is None else f'no {name}'}", other


def objects(value: Any, place: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    """Yields where objects of ours stand; of an array, those in its first item."""
    if isinstance(value, list) and value:
        yield from objects(value[0], (*place, 0))
    if isinstance(value, dict) and place[-2:] != ("env", "value"):
        yield place
        for name in set(value) - set(OPEN):
            yield from objects(value[name], (*place, name))


def at(document: Any, place: tuple[str | int, ...]) -> Any:
    for step in place:
        document = document[step]
    return document


@pytest.mark.ray
def test_the_documents_of_submit_say_how_it_ended(printed: dict[str, CompletedProcess[str]]) -> None:
    expected = {
        "succeeded": ("SUCCEEDED", 0, False, False),
        "attached": ("SUCCEEDED", 0, True, False),
        "failed": ("FAILED", 20, False, True),
        "could not start": ("FAILED", 22, False, True),
        "not waited for": ("PENDING", 0, False, False),
    }

    found = {name: json.loads(printed[f"submit: {name}"].stdout) for name in expected}

    assert {
        name: (one["status"], one["exit_code"], one["attached"], one["error"] is not None)
        for name, one in found.items()
    } == expected
    assert found["attached"]["submission_id"] == found["succeeded"]["submission_id"]


def test_every_command_has_a_schema_or_is_named_as_having_none() -> None:
    commands = parser.command_parsers()
    schemas = {file.stem for file in SCHEMAS.glob("*.json")} - {SHARED}

    assert {name.partition("-")[0] for name in schemas} == set(commands) - WITHOUT_DOCUMENT
    assert schemas - {EVENTS} == {step.schema for step in STEPS.values()}


def test_the_schemas_know_every_rule_and_every_reason() -> None:
    shared, why = (json.loads((SCHEMAS / f"{name}.json").read_text("utf-8")) for name in (SHARED, "why"))

    assert set(shared["$defs"]["rule"]["enum"]) == set(get_args(Rule))
    assert set(why["properties"]["absent"]["properties"]["why"]["enum"]) == set(get_args(absence.Why))


@pytest.mark.parametrize("file", sorted(SCHEMAS.glob("*.json")), ids=lambda file: file.stem)
def test_a_schema_is_one_and_describes_every_property(file: Path) -> None:
    schema = json.loads(file.read_text("utf-8"))

    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == Draft202012Validator.META_SCHEMA["$schema"]
    assert [name for name, one in properties(schema) if not described(file, one)] == []


def properties(schema: Any) -> Iterator[tuple[str, Any]]:
    """Yields each property and each definition of a schema, at any depth."""
    match schema:
        case dict():
            for key, below in schema.items():
                if key in ("properties", "$defs"):
                    yield from below.items()
                    yield from properties(list(below.values()))  # one of them may have such a name
                else:
                    yield from properties(below)
        case list():
            for below in schema:
                yield from properties(below)


def described(file: Path, schema: Mapping[str, Any]) -> bool:
    """Whether a property says what it is, itself or where it refers to."""
    if "description" in schema:
        return True
    uri, _, pointer = schema.get("$ref", "").partition("#/$defs/")
    target = json.loads((SCHEMAS / (uri or file.name)).read_text("utf-8"))
    return "description" in target.get("$defs", {}).get(pointer, {})
