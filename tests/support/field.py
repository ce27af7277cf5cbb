"""Small projects of the kinds that failed in the field: how each runs, and what it prints under plain Python.

A kind has three folders below tests/projects/field: one made after a public report, and two (`-2`, `-3`) that
do the same in another way.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Hint:
    """What a build says instead of bundling as it is, and what the user does about it."""

    says: tuple[str, ...]
    """Words of one warning or of the error, or of its hint."""
    given: Mapping[str, Any] = field(default_factory=dict)
    """Settings that the hint names."""
    environ: Mapping[str, str] = field(default_factory=dict)
    """Variables of the job that the hint names."""
    ignores: tuple[str, str] | None = None
    """A file, and the end of its line that gets `# raybundle: ignore`."""


@dataclass(frozen=True, slots=True)
class Case:
    """One folder: what is run, and what it prints."""

    words: tuple[str, ...]
    """The target and its arguments."""
    prints: tuple[str, ...]
    """The lines of its output; `<version of NAME>` is the one that the user has."""
    hints: tuple[Hint, ...] = ()
    """What the build says, one after the other."""
    then: str = ""
    """Code that a child of the job can run."""
    absent: tuple[str, ...] = ()
    """Modules that do not travel."""
    start: str = "."
    """The user's current directory."""
    root: str = ""
    """What plain Ray has on the path because it is the working directory, relative to `start`."""
    links: Mapping[str, str] = field(default_factory=dict)
    """Symbolic links, by the place where each is made."""
    repository: bool = False
    """The folder is a git repository."""
    installs: tuple[str, ...] = ()
    """Projects with an editable install, relative to the folder."""
    wheels: tuple[str, ...] = ()
    """Projects that are installed as a copy."""
    packages: tuple[str, ...] = ()
    """Distributions that an environment of its own has beside those."""
    python: str = ""
    """The version of the interpreter, if it is not that of the tests."""
    environ: Mapping[str, str] = field(default_factory=dict)
    """Variables of the job."""
    ray: bool = False
    """It starts Ray, so that a cluster runs it. Each line of `prints` begins one of the log."""
    options: tuple[str, ...] = ()
    """Options of `submit`."""
    times: int = 0
    """How often it runs again, all at once."""

    @property
    def environ_of_the_job(self) -> dict[str, str]:
        """Its variables, and those that hints name."""
        named = {name: value for hint in self.hints for name, value in hint.environ.items()}
        return {**self.environ, **named}


JOB = ("job.py",)
PIP = Hint(("Ray sets up `pip` on each node as the job starts",))
REFERENCES = (
    "['module://stp.mod_a', 'ext://stp.mod_b.f', 'stp.mod_c:f()', 'stp.mod_d#f', 'stp/mod_e.py::f', "
    "'python:stp.mod_f.f', 'stp.mod_g.f(1, 2)', '  stp.mod_h.f', 'stp.mod_k:f']"
)


def optional(*names: str) -> Hint:
    """Returns what is said of imports that resolve nowhere and may never run."""
    setting = f"`optional = {json.dumps(sorted(names))}`"
    return Hint(("resolve nowhere and may never run", setting), {"optional": sorted(names)})


def unknown(call: str, job: str, line: str) -> Hint:
    """Returns what is said of an import by a name that only the run knows."""
    return Hint((f"cannot know what `{call}` imports", "`# raybundle: ignore`"), ignores=(job, line))


def dotenv(name: str, ignores: tuple[str, str] | None = None, **environ: str) -> Hint:
    """Returns what is said of a file that may hold secrets."""
    says = (f" {name} is left out", "`--env NAME=VALUE`", "`--secret NAME=")
    return Hint(says, environ=environ, ignores=ignores)


CASES: Mapping[str, Case] = {
    "absent-behind-optional": Case(JOB, ("slow",), (optional("absent_cuda"),)),
    "absent-behind-optional-2": Case(JOB, ("backends.plain 5.0",), (optional("absent_apex"),)),
    "absent-behind-optional-3": Case(
        ("train.py",), ("tracker None",), (optional("absent_mlflow", "absent_wandb"),)
    ),
    "absent-in-a-function": Case(JOB, ("ok",), (optional("absent_hub"),)),
    "absent-in-a-function-2": Case(JOB, ('{"a": 1}',), (optional("absent_hub", "absent_onnx"),)),
    "absent-in-a-function-3": Case(
        ("cli.py", "train", "--epochs=3"),
        ("trained 3",),
        (optional("absent_boto", "absent_hub", "absent_slack"),),
    ),
    "absent-in-a-guess": Case(JOB, ("cpu",), (optional("absent_cuda"),)),
    "absent-in-a-guess-2": Case(JOB, ("resnet18",), (optional("absent_timm"),)),
    "absent-in-a-guess-3": Case(("train.py",), ("SGD(0.5)",), (optional("absent_bitsandbytes"),)),
    "all-from-glob": Case(JOB, ("['alpha', 'beta']",)),
    "all-from-glob-2": Case(JOB, ("a.csv b.json",)),
    "all-from-glob-3": Case(JOB, ("['blur', 'tensor'] 3 224",)),
    "autodiscover": Case(JOB, ("['billing.charge', 'shop.ship']", "4")),
    "autodiscover-2": Case(
        JOB,
        ("['billing.jobs.charge', 'shop.jobs.ship']",),
    ),
    "autodiscover-3": Case(
        JOB,
        ("['cleanup.run', 'reports.daily']", "4"),
    ),
    "comment-on-long-statements": Case(JOB, ("ok",)),
    "comment-on-long-statements-2": Case(JOB, ("ok",)),
    "comment-on-long-statements-3": Case(JOB, ("ok",)),
    "config-by-argument": Case(
        ("train.py", "--config", "configs/base.yaml"), ("CFG {'lr': 1} Hello {name}", "")
    ),
    "config-by-argument-2": Case(
        ("job.py", "--config", "settings/prod.toml"), ("LR 0.01 create table runs (id int);",)
    ),
    "config-by-argument-3": Case(
        ("jobs/train.py", "--data.train=inputs/points.csv", "--labels=inputs/labels"),
        ("3 ['cat.txt', 'dog.txt']",),
    ),
    "config-names-a-neighbour": Case(("main.py",), ("ok",), absent=("serve_app",)),
    "config-names-a-neighbour-2": Case(JOB, ("ok",), absent=("dashboard",)),
    "config-names-a-neighbour-3": Case(("pipeline/run.py",), ("ok",), absent=("handlers", "handlers.ingest")),
    "data-by-literal-path": Case(
        ("scripts/job.py",), ('beside {"beside": 1}', "root {'root': 1}", "pkg {'pkg': 1}")
    ),
    "data-by-literal-path-2": Case(JOB, ("nightly 7 ['cat', 'dog'] 4",)),
    "data-by-literal-path-3": Case(
        ("bin/evaluate.py",), ("[['one', 'two'], ['eins', 'zwei']]", "(2,)", "the", "ada")
    ),
    "distutils-of-setuptools": Case(JOB, ("True",), python="3.12", packages=("setuptools",)),
    "distutils-of-setuptools-2": Case(JOB, ("False",), python="3.12", packages=("setuptools",)),
    "distutils-of-setuptools-3": Case(
        JOB,
        ("(['__init__.py', 'files.py'], True)",),
        python="3.12",
        packages=("setuptools",),
    ),
    "dotenv": Case(
        JOB,
        ("dotenv loaded: False", "mode batch | task batch | token file False"),
        (dotenv(".env", ("job.py", "load_dotenv(), flush=True)"), API_MODE="batch"),),
        ray=True,
    ),
    "dotenv-2": Case(
        JOB,
        ("bucket events token True",),
        (
            dotenv("config/shared.env", BUCKET="events"),
            dotenv(".env.production", ("job.py", '".env.production"),'), API_TOKEN="abc"),
        ),
    ),
    "dotenv-3": Case(
        JOB,
        ("mode batch",),
        (dotenv(".env", ("app/settings.py", 'env_file_encoding="utf-8")'), API_MODE="batch"),),
    ),
    "dunder-path": Case(JOB, ("azure aws",)),
    "dunder-path-2": Case(JOB, ("2 1",)),
    "dunder-path-3": Case(JOB, ("contrib [1, 2]",)),
    "guards-of-absent-modules": Case(JOB, ("ok",), (optional("absent_engine", "absent_hub"),)),
    "guards-of-absent-modules-2": Case(JOB, ("3",)),
    "guards-of-absent-modules-3": Case(
        JOB, ("ok",), (optional("absent_comet", "absent_kafka", "absent_neptune", "absent_xla"),)
    ),
    "init-with-environ": Case(("init_environ.py",), ("init ('on', 'lib.inner')",), ray=True),
    "init-with-environ-2": Case(JOB, ("init ('offline', '1', 'lib.inner') lib.inner",), ray=True),
    "init-with-environ-3": Case(JOB, ("task ('eval', 'helper')",), ray=True),
    "jobs-share-the-cwd": Case(("fit.py",), ("LR used 0.1 ", "tool says original"), ray=True, times=2),
    "jobs-share-the-cwd-2": Case(JOB, ("rows 2", "report 2"), ray=True, times=1),
    "jobs-share-the-cwd-3": Case(JOB, ("items [1, 2] ['todo.json']",), ray=True, times=1),
    "logging-conf": Case(JOB, ("MINE hello",)),
    "logging-conf-2": Case(JOB, ("LINE hell",)),
    "logging-conf-3": Case(JOB, ('{"level": "WARNING", "text": "late"}',)),
    "named-directories": Case(JOB, ("['a.csv', 'b.csv'] ['part-1'] 2", "head select 1")),
    "named-directories-2": Case(JOB, ("ada ['in', 'me', 't']",)),
    "named-directories-3": Case(JOB, ("helper local", "sub", "model")),
    "own-entry-point": Case(JOB, ("owndb 42",), installs=(".",), packages=("sqlalchemy",)),
    "own-entry-point-2": Case(("jobs/read.py",), ("shelf greeting",), installs=(".",), packages=("fsspec",)),
    "own-entry-point-3": Case(("run.py",), ("2.1 ['forest', 'linear'] linear fit",), installs=(".",)),
    "package-at-the-project-root": Case(("scripts/job.py",), ("42",), root="."),
    "package-at-the-project-root-2": Case(("jobs/nightly/run.py",), ("read a eu",), root="."),
    "package-at-the-project-root-3": Case(("experiments/first/train.py",), ("net 0.5",), root="."),
    "package-loader": Case(JOB, ("Hi x",)),
    "package-loader-2": Case(("report.py",), ("<h1>Daily</h1>[1][2]",)),
    "package-loader-3": Case(JOB, ("Hello x Welcome y", "hallo", "(c) 2026")),
    "path-edit-in-a-library": Case(JOB, ("vendored",)),
    "path-edit-in-a-library-2": Case(JOB, ("(6, 'yolo')",)),
    "path-edit-in-a-library-3": Case(("tools/train_net.py",), ("vgg16 ['voc', 'coco']",)),
    "pickled-class": Case(JOB, ("20",)),
    "pickled-class-2": Case(JOB, ("churn 12",)),
    "pickled-class-3": Case(JOB, ("[0, 1, 0] depth 3",)),
    "pip-in-runtime-env": Case(
        ("batch.py",),
        ("PIP pyjokes ",),
        (PIP,),
        ray=True,
        options=("--runtime-env-json", '{"pip": "requirements.txt"}'),
    ),
    "pip-in-runtime-env-2": Case(
        JOB, ("PIP pyjokes",), (PIP,), ray=True, options=("--runtime-env", "env.yaml")
    ),
    "pip-in-runtime-env-3": Case(
        JOB, ("PIP get_joke",), (Hint(("`pip` in a runtime_env: Ray sets it up",)),), ray=True
    ),
    "pkg-resources-namespace": Case(JOB, ("left right",)),
    "pkg-resources-namespace-2": Case(JOB, ("core extra",)),
    "pkg-resources-namespace-3": Case(JOB, ("loaded saved",)),
    "pkgutil-namespace": Case(JOB, ("core extra here",), installs=("dist-core",), wheels=("dist-extra",)),
    "pkgutil-namespace-2": Case(("apps/job.py",), ("alpha beta after alpha",)),
    "pkgutil-namespace-3": Case(JOB, ("near far",), installs=(".",), wheels=("far",)),
    "platform-in-a-variable": Case(JOB, ("linux",), (optional("never_installed_plotlib"),)),
    "platform-in-a-variable-2": Case(JOB, ("flock",)),
    "platform-in-a-variable-3": Case(
        JOB, ("('a%20b', 1)",), (optional("absent_py2", "absent_pyobjc", "cPickle", "win32clipboard"),)
    ),
    "ray-data-as-attribute": Case(("lazy.py",), ("SUM 10",), ray=True),
    "ray-data-as-attribute-2": Case(JOB, ("SUM 3",), ray=True),
    "ray-data-as-attribute-3": Case(JOB, ("SUM 6",), ray=True),
    "references-in-strings": Case(
        JOB,
        (REFERENCES,),
        then="".join(f"import stp.mod_{letter}\n" for letter in "abcdefghijk"),
    ),
    "references-in-strings-2": Case(
        JOB,
        ("linear 3 loader 2", "clean", "score"),
        (
            unknown("importlib.import_module(module)", "job.py", "import_module(module), name)(**node)"),
            unknown("importlib.import_module(module)", "job.py", "import_module(module), name)())"),
        ),
    ),
    "references-in-strings-3": Case(
        JOB,
        ("['read', 'write', 'f1', 'after', 'small']",),
        (unknown("importlib.import_module(module)", "job.py", "import_module(module), name)"),),
    ),
    "resolve-name": Case(JOB, ("ran stage",)),
    "resolve-name-2": Case(JOB, ("ran stage",)),
    "resolve-name-3": Case(JOB, ("9 fast result late",)),
    "symlink-to-shared": Case(
        JOB,
        ("SYM ('common', 'a,b')",),
        start="proj",
        links={"proj/common": "../shared/common", "proj/data": "../mnt"},
        ray=True,
    ),
    "symlink-to-shared-2": Case(
        JOB,
        ("a B", "{'n': 1} 1,2"),
        (
            Hint(("add `../monorepo` to `roots`",), {"roots": ["../monorepo"]}),
            Hint(("add `../mnt` to `roots`",), {"roots": ["../monorepo", "../mnt"]}),
        ),
        start="proj",
        links={
            "proj/textutils.py": "../monorepo/textutils.py",
            "proj/shared_lib": "../monorepo/shared_lib",
            "proj/params.json": "../monorepo/params.json",
            "proj/data": "../mnt",
        },
    ),
    "symlink-to-shared-3": Case(
        ("run.py",),
        ("monday row",),
        start="services/score",
        repository=True,
        links={
            "services/score/app/common": "../../../libs/common/src/common",
            "services/score/app/schemas.py": "../../../libs/schemas.py",
        },
    ),
    "sys-modules-alias": Case(JOB, ("[1] ConfigParser models",)),
    "sys-modules-alias-2": Case(JOB, ("clean a ['b', 'c'] core.utils.text",)),
    "sys-modules-alias-3": Case(JOB, ("dense 4",)),
    "tzdata": Case(JOB, ("2:00:00",)),
    "tzdata-2": Case(JOB, ("2024-07-01T09:00:00+09:00",)),
    "tzdata-3": Case(JOB, ("2024-02-29 00:00:00-05:00 True",), environ={"PYTHONTZPATH": ""}),
    "version-of-a-distribution": Case(JOB, ("<version of tabulate> <version of pandas>",)),
    "version-of-a-distribution-2": Case(
        JOB, ("humanize <version of humanize>, tabulate <version of tabulate>", "tabulate True")
    ),
    "version-of-a-distribution-3": Case(JOB, ("<version of tabulate>", "True <version of lazy_loader>")),
}
