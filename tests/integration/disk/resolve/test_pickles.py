"""Pickles that travel and are loaded take the modules that they name; what cannot be read is said."""

from __future__ import annotations

import base64
import gzip
import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from raybundle.formats import pickles
from raybundle.resolve.resolve import ResolveSettings
from tests.integration.disk.resolve.test_resolve import run
from tests.support.bundled import Bundler
from tests.support.slow import rest_slow
from tests.support.small_project import tree
from tests.support.workplace import make_workplace

if TYPE_CHECKING:
    from pathlib import Path

    from raybundle.model import Resolution

SCALE = "class Scaler:\n    def apply(self, n):\n        return n * 10\n"
LOADS = "import pickle\n\nmodel = pickle.load(open('model.pkl', 'rb'))\nprint(model.apply(2))\n"
READS = "import pickle\n\ndef load(name):\n    return pickle.load(open(name, 'rb'))\n"


@pytest.fixture
def work(tmp_path: Path) -> Path:
    return tmp_path.resolve()


def pickled(project: Path, name: str = "model.pkl", value: str = "features.scale:Scaler") -> None:
    """Writes an object of a class of the project into a file, as a training run would."""
    module, _, member = value.partition(":")
    (project / name).parent.mkdir(parents=True, exist_ok=True)
    code = f"import pickle, {module}; pickle.dump({module}.{member}(), open({name!r}, 'wb'))"
    subprocess.run([sys.executable, "-B", "-c", code], cwd=project, check=True)


def app(work: Path, files: dict[str, str]) -> Path:
    own = {"features/__init__.py": "", "features/scale.py": SCALE}
    return tree(work / "app", {**own, **files})


def names(resolution: Resolution) -> set[str]:
    return {str(each.name) for each in resolution.modules}


def told(resolution: Resolution) -> list[str]:
    return [f"{each.text} | {each.hint}" for each in resolution.warnings]


def test_a_model_that_is_loaded_runs_without_its_source(work: Path) -> None:
    project = app(work, {"job.py": LOADS})
    pickled(project)
    bundler = Bundler(project, work)

    done = bundler.run()

    assert (done.returncode, done.stdout) == (0, "20\n"), done.stderr
    assert bundler.told() == []


def test_a_pickle_in_a_file_of_another_name_counts_where_it_is_named(work: Path) -> None:
    reads = "import pickle\nfrom pathlib import Path\nprint(pickle.loads(Path('a/state.dat').read_bytes()))\n"
    project = app(work, {"job.py": reads, "a/other.dat": "plain"})
    pickled(project, "a/state.dat")

    assert "features.scale" in names(run(project / "job.py"))


def test_package_data_arguments_and_included_pickles_count(work: Path) -> None:
    files = {"job.py": "import store.reading, sys\n", "store/__init__.py": "", "store/reading.py": READS}
    other = {"features/other.py": SCALE, "features/third.py": SCALE}
    project = app(work, {**files, **other})
    pickled(project, "store/models/a.pkl")
    pickled(project, "given.pickle", "features.other:Scaler")
    pickled(project, "named.joblib", "features.third:Scaler")
    settings = ResolveSettings(include=("named.joblib",), arguments=(str(project / "given.pickle"),))

    assert {f"features.{each}" for each in ("scale", "other", "third")} <= names(
        run(project / "job.py", settings)
    )


def test_a_package_that_loads_no_pickle_takes_nothing_for_one(work: Path) -> None:
    project = app(work, {"job.py": "import store\n", "store/__init__.py": ""})
    pickled(project, "store/a.pkl")

    assert names(run(project / "job.py")) == {"__main__", "store"}


def test_switched_off_it_takes_nothing(work: Path) -> None:
    project = app(work, {"job.py": LOADS})
    pickled(project)

    assert names(run(project / "job.py", ResolveSettings(rules_off=frozenset({"pickle"})))) == {"__main__"}
    assert names(run(project / "job.py", ResolveSettings(exclude=("model.pkl",)))) == {"__main__"}


def test_a_library_that_it_names_is_needed(work: Path) -> None:
    project = app(work, {"job.py": LOADS})
    code = "import pickle, yaml; pickle.dump(yaml.SafeLoader, open('model.pkl', 'wb'))"
    subprocess.run([sys.executable, "-c", code], cwd=project, check=True)

    found = run(project / "job.py")

    assert "pyyaml" in {each.name for each in found.distributions}
    assert told(found) == []


def test_a_module_that_is_gone_is_told_and_a_setting_settles_it(work: Path) -> None:
    project = app(work, {"job.py": LOADS, "old.py": SCALE})
    pickled(project, value="old:Scaler")
    (project / "old.py").unlink()

    [warning] = told(run(project / "job.py"))

    assert "guessed: `old` (at model.pkl:1)" in warning
    assert 'optional = ["old"]' in warning
    assert told(run(project / "job.py", ResolveSettings(optional=("old",)))) == []
    assert told(run(project / "job.py", ResolveSettings(cluster_provides=("old",)))) == []


def test_what_cannot_be_read_is_told_and_include_or_exclude_settles_it(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = app(work, {"job.py": LOADS})
    (project / "model.pkl").write_bytes(b"\x04\x22\x4d\x18compressed otherwise")

    [warning] = told(run(project / "job.py"))

    assert warning.startswith("cannot read which modules this pickle needs: it is not a pickle in a known")
    assert told(run(project / "job.py", ResolveSettings(include=("features/scale.py",)))) == []
    assert told(run(project / "job.py", ResolveSettings(exclude=("model.pkl",)))) == []
    pickled(project)
    assert told(run(project / "job.py")) == []
    monkeypatch.setattr(pickles, "LARGEST", 10)
    (project / "model.pkl").write_bytes((project / "model.pkl").read_bytes())
    [warning] = told(run(project / "job.py"))
    assert "bytes, more than are read (10)" in warning


def test_a_changed_pickle_names_other_modules(work: Path) -> None:
    project = app(work, {"job.py": LOADS, "features/other.py": SCALE})
    bundler = Bundler(project, work)
    found = []
    for value in ("features.scale:Scaler", "features.other:Scaler"):
        pickled(project, value=value)
        found.append({str(each.name) for each in bundler.plan().resolution.modules})

    assert [each - {"__main__", "features"} for each in found] == [{"features.scale"}, {"features.other"}]


def test_all_tracked_data_counts_where_pickles_are_loaded(work: Path) -> None:
    project = app(work, {"job.py": "print(open('x.pkl'.upper()[:0] or 'job.py'))\n"})
    pickled(project, "store/a.pkl")
    settings = ResolveSettings(tracked=(str(project / "store/a.pkl"),))

    assert "features.scale" not in names(run(project / "job.py", settings))
    (project / "job.py").write_text("import joblib\n")
    provided = ResolveSettings(tracked=settings.tracked, cluster_provides=("joblib",))
    assert "features.scale" in names(run(project / "job.py", provided))


@pytest.mark.slow
def test_plan_and_why_say_how_it_was_found(work: Path) -> None:
    place = make_workplace(work / "work")
    project = app(work, {"job.py": "import pickle, sys\nprint(pickle.load(open(sys.argv[1], 'rb')))\n"})
    pickled(project, "models/m.pkl")
    data = gzip.compress((project / "models/m.pkl").read_bytes())
    (project / "models/m.pkl").write_bytes(data)
    words = ("--", "python", "job.py", "models/m.pkl")

    plan = place.raybundle("plan", *words, cwd=project)
    why = json.loads(place.raybundle("--json", "why", *words, "features.scale", cwd=project).stdout)

    assert "models/m.pkl:1: pickle `features.scale` took 1 module" in plan.stdout
    assert [each["rule"] for each in why["chain"]] == ["pickle"]


def test_objects_in_stores_and_files_of_any_name_take_their_modules(work: Path) -> None:
    job = (
        "import pickle, shelve, sqlite3\n\n"
        "with shelve.open('store', 'r') as store:\n    print(store['model'].apply(1))\n"
        "row = sqlite3.connect('runs.db').execute('select v from t').fetchone()\n"
        "print(pickle.loads(row[0]).apply(2))\n"
        "print(pickle.load(open('latest', 'rb')).apply(3))\n"
    )
    more = {f"features/{each}.py": SCALE for each in ("shelved", "stored", "old")}
    project = app(work, {"job.py": job, **more})
    code = (
        "import pickle, shelve, sqlite3\nfrom dbm import dumb\nfrom features import old, shelved, stored\n"
        "with shelve.Shelf(dumb.open('store', 'c')) as s:\n    s['model'] = shelved.Scaler()\n"
        "c = sqlite3.connect('runs.db')\nc.execute('create table t (v blob)')\n"
        "c.execute('insert into t values (?)', (pickle.dumps(stored.Scaler()),))\nc.commit()\n"
        "pickle.dump(old.Scaler(), open('latest', 'wb'), 0)\n"
    )
    subprocess.run([sys.executable, "-B", "-c", code], cwd=project, check=True)
    bundler = Bundler(project, work)

    done = bundler.run()

    assert (done.stdout, done.returncode) == ("10\n20\n30\n", 0), done.stderr
    assert "features.scale" not in names(bundler.plan().resolution)


def test_a_pickle_in_a_configuration_file_names_modules_of_the_project(tmp_path: Path) -> None:
    data = b"\x80\x04\x95\x1b\x00\x00\x00\x00\x00\x00\x00\x8c\x06ml.est\x94\x8c\x03Est\x94\x93\x94)\x81\x94."
    text = json.dumps({"model": base64.b64encode(data).decode()})
    job = "import json\nprint(json.load(open('model.json'))['model'])\n"
    script = (
        tree(tmp_path / "app", {"job.py": job, "model.json": text, "ml/est.py": "class Est: ...\n"})
        / "job.py"
    )

    assert "ml.est" in {str(each.name) for each in run(script).modules}


DECODES = "import base64, csv, pickle\n"


@pytest.mark.parametrize(
    ("job", "file"),
    rest_slow(
        [
            ("print(pickle.loads(base64.b64decode('{text}')).apply(2))\n", ""),
            ("TEXT = '''\n{lines}'''\nprint(pickle.loads(base64.b64decode(TEXT)).apply(2))\n", ""),
            ("TEXT = ('{start}'\n  '{rest}')\nprint(pickle.loads(base64.b64decode(TEXT)).apply(2))\n", ""),
            ("print(pickle.loads(bytes.fromhex('{hex}')).apply(2))\n", ""),
            ("print(pickle.loads({raw}).apply(2))\n", ""),
            ("print(pickle.loads(base64.b64decode(open('m.txt').read())).apply(2))\n", "m.txt"),
            (
                "[row] = csv.reader(open('m.csv'))\nprint(pickle.loads(base64.b64decode(row[1])).apply(2))\n",
                "m.csv",
            ),
        ]
    ),
)
def test_a_pickle_that_is_text_names_modules_wherever_it_is_written(work: Path, job: str, file: str) -> None:
    project = app(work, {"job.py": "", "pyproject.toml": ""})
    pickled(project)
    data = (project / "model.pkl").read_bytes()
    (project / "model.pkl").unlink()
    text = base64.b64encode(data).decode()
    forms = {"lines": base64.encodebytes(data).decode(), "start": text[:20], "rest": text[20:]}
    (project / "job.py").write_text(DECODES + job.format(text=text, hex=data.hex(), raw=data, **forms))
    tree(project, {file: f"1,{text}\n" if file == "m.csv" else text} if file else {})

    done = Bundler(project, work).run()

    assert (done.returncode, done.stdout) == (0, "20\n"), done.stderr
    assert names(run(project / "job.py")) == {"__main__", "features", "features.scale"}


def test_a_literal_that_names_a_module_which_is_gone_stops_nothing(work: Path) -> None:
    project = app(work, {"job.py": "", "old.py": SCALE})
    pickled(project, value="old:Scaler")
    (project / "old.py").unlink()
    text = base64.b64encode((project / "model.pkl").read_bytes()).decode()
    (project / "job.py").write_text(
        f"{DECODES}def load():\n    return pickle.loads(base64.b64decode({text!r}))\n"
    )

    [warning] = told(run(project / "job.py"))
    assert "`old`" in warning


BOX = b"ccopy_reg\n_reconstructor\n(cshapes\nBox\nc__builtin__\nobject\nNtR"
BY_LINES = [BOX + b".", b"(lp0\n" + BOX + b"a.", b"(" + BOX + b"I1\ntp9\n.", b"(dp0\nVk\np1\n" + BOX + b"s."]


@pytest.mark.parametrize("literal", BY_LINES, ids=["object", "list", "tuple", "table"])
def test_a_pickle_by_lines_in_bytes_names_its_modules(work: Path, literal: bytes) -> None:
    job = f"import pickle\npickle.loads({literal!r})\n"
    script = tree(work / "app", {"job.py": job, "shapes.py": ""}) / "job.py"

    assert "shapes" in names(run(script))
