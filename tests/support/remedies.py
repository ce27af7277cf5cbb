"""The catalogue of warnings: for each kind, a project that causes it and the remedy that its hint names."""

from __future__ import annotations

import json
import py_compile
import shutil
import sysconfig
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.installed import install

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

HEAD = "import os, sys\n\nHERE = os.path.dirname(os.path.abspath(__file__))\n"


@dataclass(frozen=True, slots=True)
class Row:
    """A warning, and one way to settle it."""

    says: str
    """Literal words of its text that no other kind has."""
    hint: str
    """Words of its hint that name this remedy."""
    files: Mapping[str, str]
    remedy: Callable[[Path], Any]
    """Applies the hint to the project."""
    make: Callable[[Path], Any] = field(default=lambda _: None)
    """Prepares what `files` cannot have, such as binary files."""
    target: str = "job.py"
    given: Mapping[str, Any] = field(default_factory=dict)
    """Settings and options before the remedy."""
    given_after: Mapping[str, Any] | None = None
    site: Callable[[Path], Any] | None = None
    """Installs distributions into a site directory. The row needs its own environment."""
    prints: str = "done\n"


def change(file: str, old: str, new: str) -> Callable[[Path], Any]:
    """Returns a remedy that replaces a text in a file of the project."""

    def remedy(project: Path) -> None:
        text = (project / file).read_text()
        assert old in text
        (project / file).write_text(text.replace(old, new))

    return remedy


def setting(**values: Any) -> Callable[[Path], Any]:
    """Returns a remedy that writes settings into pyproject.toml."""
    lines = [f"{key.replace('_', '-')} = {json.dumps(value)}\n" for key, value in values.items()]
    return lambda project: (project / "pyproject.toml").write_text("[tool.raybundle]\n" + "".join(lines))


def rename(old: str, new: str) -> Callable[[Path], Any]:
    """Returns a remedy that renames a file of the project."""
    return lambda project: (project / old).rename(project / new)


def both(*remedies: Callable[[Path], Any]) -> Callable[[Path], Any]:
    """Returns a remedy that applies all of them."""
    return lambda project: [each(project) for each in remedies]


def ignore(file: str, line: str) -> Callable[[Path], Any]:
    """Returns a remedy that adds the comment to a line of a file."""
    return change(file, line, f"{line}  # raybundle: ignore")


def cells(*sources: str) -> str:
    """Returns the text of a notebook."""
    made: list[dict[str, Any]] = [
        {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None, "source": each}
        for each in sources
    ]
    return json.dumps({"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}, indent=1)


def an_extension(project: Path) -> None:
    """Copies an extension of the standard library. No source shows its imports."""
    [file] = Path(sysconfig.__file__).parent.glob("lib-dynload/_heapq.*.so")
    shutil.copy(file, project / "pkg" / file.name)


def byte_code(project: Path) -> None:
    """Replaces a source by its byte-code."""
    source = project / "pkg" / "closed.py"
    source.write_text("NAME = 'done'\n")
    py_compile.compile(str(source), str(source.with_suffix(".pyc")))
    source.unlink()


def an_archive(project: Path) -> None:
    """Writes a zip of one module."""
    with zipfile.ZipFile(project / "deps.zip", "w") as archive:
        archive.writestr("packed.py", "NAME = 'done'\n")


def unpack(project: Path) -> None:
    """Unpacks the zip beside it."""
    with zipfile.ZipFile(project / "deps.zip") as archive:
        archive.extractall(project / "deps")


def a_large_file(project: Path) -> None:
    """Writes package data beyond the limit."""
    (project / "pkg" / "large.bin").write_bytes(bytes(11 << 20))


def a_large_named_file(project: Path) -> None:
    """Writes a file beyond the limit, outside of packages."""
    (project / "data").mkdir()
    (project / "data" / "large.bin").write_bytes(bytes(11 << 20))


PLUGIN = {
    "job.py": "import importlib\n\nname = bytes.fromhex('706c75672e6f6e65').decode()\n"
    "print(importlib.import_module(name).NAME)\n",
    "plug/one.py": "NAME = 'done'\n",
}
BY_FILE = {
    "job.py": HEAD
    + "import importlib.util\n\nplace = os.path.join(HERE, 'plugins', '-'.join(['a', 'b.py']))\n"
    "spec = importlib.util.spec_from_file_location('a_b', place)\n"
    "module = importlib.util.module_from_spec(spec)\nspec.loader.exec_module(module)\nprint(module.NAME)\n",
    "plugins/a-b.py": "NAME = 'done'\n",
}
BROKEN = {
    "job.py": "try:\n    import broken\nexcept (ImportError, SyntaxError):\n    pass\nprint('done')\n",
    "broken.py": "def (:\n",
}
OWN_NUMBERS = {"job.py": "print('done')\n", "numbers.py": "X = 1\n"}
RUNTIME_ENV = "OPTIONS = {'runtime_env': {'py_modules': ['x'], 'env_vars': {}}}\nprint('done')\n"
RAY_INIT = "import ray\n\n\ndef main():\n    ray.init(runtime_env=dict({}))\n\n\nprint('done')\n"
BY_ENVIRONMENT = {
    "job.py": HEAD + "sys.path.append(os.environ.get('TOOLS', HERE + '/tools'))\n"
    "import helper\n\nprint(helper.NAME)\n",
    "tools/helper.py": "NAME = 'done'\n",
}
IN_A_FUNCTION = {
    "job.py": "import lib\n\nlib.prepare()\nimport helper\n\nprint(helper.NAME)\n",
    "lib/__init__.py": "import os\nimport sys\n\nHERE = os.path.dirname(__file__)\n\n\n"
    "def prepare(more=False):\n    sys.path.insert(0, os.path.join(HERE, 'vendor'))\n",
    "lib/vendor/helper.py": "NAME = 'done'\n",
}
TRIED = "try:\n    import sdk.azure as azure\nexcept ImportError:\n    azure = None\nprint(azure.NAME)\n"
OWN_PATH = {
    "job.py": TRIED,
    "sdk/__init__.py": HEAD + "__path__.append(os.environ.get('MORE', HERE + '/../providers'))\n",
    "providers/azure.py": "NAME = 'done'\n",
}
AWAY = {
    "job.py": TRIED,
    "sdk/__init__.py": HEAD + "__path__.append(os.path.join(HERE, '../../away'))\n",
    "../away/azure.py": "NAME = 'done'\n",
}
OPENS_LARGE = {"job.py": "import os\n\nprint('done' if os.path.exists('data/large.bin') else 'none')\n"}
MADE_UP = {
    "job.py": "name = '.'.join(['data', 'csv'][:2])\ntry:\n    open(name[::-1])\n"
    "except OSError:\n    print('done')\n",
    "data.csv": "",
}
LOADS_A_PICKLE = {
    "job.py": "import os\n\nif os.path.exists('NONE'):\n    import pickle\n\n"
    "    pickle.load(open('model.pkl', 'rb'))\nprint('done')\n",
    "model.pkl": "no pickle",
    "features.py": "",
}
USES_A_SITE = {"job.py": "import thing\n\nprint(thing.NAME)\n"}
PROGRAM = {
    "thing.py": b"def main():\n    print('done')\n",
    "thing-1.0.dist-info/entry_points.txt": b"[console_scripts]\nthing-tool = thing:main\n",
}
THING = {"thing/__init__.py": b"NAME = 'done'\n"}


def with_pth(site: Path) -> None:
    """Installs a distribution that runs something at start-up."""
    install(site, "thing", {**THING, "thing-start.pth": b"import thing\n"})


def with_share(site: Path) -> None:
    """Installs a distribution with a file outside of site-packages."""
    install(site, "thing", {**THING, "../../../share/thing/data.txt": b"x"})


def edited(site: Path) -> None:
    """Installs a distribution and changes a file of it."""
    install(site, "thing", THING)
    (site / "thing" / "__init__.py").write_bytes(b"NAME = 'done'\n# changed\n")


def owned_twice(site: Path) -> None:
    """Installs two distributions that own one file, with different content."""
    install(site, "other", {"other.py": b"import thing\n", "thing/__init__.py": b"NAME = 'other'\n"})
    install(site, "thing", THING)


def without_thing(project: Path) -> None:
    """Uninstalls the one that the job does not need, and reinstalls the other."""
    site = site_of(project)
    for each in ("thing", "thing-1.0.dist-info"):
        shutil.rmtree(site / each)
    install(site, "other", {"other.py": b"import thing\n", "thing/__init__.py": b"NAME = 'done'\n"})


def with_a_lazy_import(site: Path) -> None:
    """Installs a distribution with a method that imports another one, which is installed too."""
    code = (
        b"class Frame:\n    def to_text(self):\n        try:\n            import thing\n"
        b"        except ImportError:\n            return 'plain'\n        return thing.NAME\n"
    )
    install(site, "frames", {"frames.py": code})
    install(site, "thing", THING)


def with_an_opener(site: Path) -> None:
    """Installs a distribution that opens addresses with what they name, and one that it may name."""
    code = (
        b"import importlib\ndef opened(address):\n"
        b"    return importlib.import_module(address.partition('://')[0]).NAME\n"
    )
    extra = b"Metadata-Version: 2.1\nName: frames\nVersion: 1.0\nRequires-Dist: thing; extra == 'thing'\n"
    install(site, "frames", {"frames.py": code, "frames-1.0.dist-info/METADATA": extra})
    install(site, "thing", THING)


def requiring(site: Path) -> None:
    """Installs a distribution without its requirement."""
    install(site, "thing", THING)
    metadata = site / "thing-1.0.dist-info" / "METADATA"
    metadata.write_text(f"{metadata.read_text()}Requires-Dist: other>=1\n")
    record = metadata.with_name("RECORD")
    lines = [line for line in record.read_text().splitlines() if "METADATA" not in line]
    record.write_text("\n".join([*lines, f"{metadata.parent.name}/METADATA,,", ""]))


MAKES_A_TOOL = """\
import os, subprocess, tempfile

place = tempfile.mkdtemp()
with open(os.path.join(place, "made-tool"), "w") as stream:
    stream.write("#!/bin/sh\\necho done\\n")
os.chmod(stream.name, 0o755)
os.environ["PATH"] += os.pathsep + place
subprocess.run(["made-tool"], check=True)
"""


def site_of(project: Path) -> Path:
    """Returns the site directory of the environment beside the project."""
    [site] = (project.parent / "env").glob("lib/python3*/site-packages")
    return site


ROWS = {
    "two files for one module": Row(
        ", which hides ",
        "rename",
        {"job.py": "import m\n\nprint(m.NAME)\n", "m.py": "", "m/__init__.py": "NAME = 'done'\n"},
        rename("m.py", "other.py"),
    ),
    "two files for one module, of which one is named": Row(
        ", which hides ",
        "name the file that is meant in `include`",
        {"job.py": "import m\n\nprint(m.NAME)\n", "m.py": "", "m/__init__.py": "NAME = 'done'\n"},
        setting(include=["m/__init__.py"]),
    ),
    "an environment without the job's variables": Row(
        "does not run from the bundle",
        "keep the variables of the job",
        {
            "job.py": "import os, subprocess, sys\n\nENV = {'NAME': 'done'}\n"
            "subprocess.run([sys.executable, 'child.py'], env=ENV, check=True)\n",
            "child.py": "import os\n\nimport thing\n\nprint(os.environ['NAME'])\n",
        },
        change("job.py", "{'NAME'", "{**os.environ, 'NAME'"),
        site=lambda site: install(site, "thing", THING),
    ),
    "another PYTHONPATH": Row(
        "does not run from the bundle",
        "append to PYTHONPATH",
        {
            "job.py": "import os, subprocess, sys\n\nos.environ['PYTHONPATH'] = 'libs'\n"
            "subprocess.run([sys.executable, 'child.py'], check=True)\n",
            "child.py": "import thing\n\nprint(thing.NAME)\n",
        },
        change("job.py", "= 'libs'", "+= ':libs'"),
        site=lambda site: install(site, "thing", THING),
    ),
    "a program that nobody brings": Row(
        "is a program that the bundle does not have",
        'if the nodes have it, `cluster-provides = ["made-tool"]` in [tool.raybundle]',
        {"job.py": MAKES_A_TOOL},
        setting(cluster_provides=["made-tool"]),
    ),
    "discovery of tests in the working directory": Row(
        "fails in a job: its directory there is not the one that modules come from",
        "begin with that of `__file__`, as `start_dir` and as `top_level_dir`",
        {
            "job.py": HEAD + "import unittest\n\n"
            "found = unittest.defaultTestLoader.discover('checks', top_level_dir='.')\n"
            "print('done' if found.countTestCases() == 1 else found)\n",
            "checks/__init__.py": "",
            "checks/test_it.py": "import subject\nimport unittest\n\n\n"
            "class It(unittest.TestCase):\n    def test(self): ...\n",
            "subject.py": "",
        },
        change("job.py", "'checks', top_level_dir='.'", "HERE + '/checks', top_level_dir=HERE"),
    ),
    "a program beside Python": Row(
        "is taken from beside Python",
        "start it as `thing-tool`",
        {
            "job.py": "import os, subprocess, sys\n\nBIN = os.path.dirname(sys.executable)\n"
            "subprocess.run([os.path.join(BIN, 'thing-tool')], check=True)\n"
        },
        change("job.py", "os.path.join(BIN, 'thing-tool')", "'thing-tool'"),
        site=lambda site: install(site, "thing", PROGRAM),
    ),
    "a folder of secrets": Row(
        "it holds secrets",
        "`# raybundle: ignore`",
        {
            "job.py": "config = {'secrets_dir': 'keys'}\nprint('done')\n",
            "keys/token": "abc",
        },
        ignore("job.py", "config = {'secrets_dir': 'keys'}"),
    ),
    "an extension module": Row(
        "is an extension module: ",
        "name its file and those of what it imports in `include`",
        {"job.py": "import pkg._heapq\n\nprint('done')\n", "pkg/__init__.py": ""},
        setting(include=["pkg/_heapq.*.so"]),
        an_extension,
    ),
    "byte-code": Row(
        "is byte-code without source: ",
        "name its file",
        {"job.py": "import pkg.closed\n\nprint(pkg.closed.NAME)\n", "pkg/__init__.py": ""},
        setting(include=["pkg/closed.pyc"]),
        byte_code,
    ),
    "byte-code whose source is there again": Row(
        "is byte-code without source: ",
        "bundle its source",
        {"job.py": "import pkg.closed\n\nprint(pkg.closed.NAME)\n", "pkg/__init__.py": ""},
        lambda project: (project / "pkg" / "closed.py").write_text("NAME = 'done'\n"),
        byte_code,
    ),
    "a computed name, by include": Row(
        "cannot know what `", "`include`", PLUGIN, setting(include=["plug/*.py"])
    ),
    "a computed name, by a comment": Row(
        "cannot know what `",
        "`# raybundle: include=pkg.mod` there",
        PLUGIN,
        change("job.py", ".NAME)", ".NAME)  # raybundle: include=plug.one"),
    ),
    "a distribution by a name that only the run knows": Row(
        "cannot know which distribution `",
        "name those that it may ask for in `include`",
        {
            "job.py": "from importlib.metadata import version\n\n"
            "name = bytes.fromhex('7468696e67').decode()\nprint('done' if version(name) else '')\n"
        },
        lambda project: (
            setting(include=["thing"])(project),
            ignore("job.py", "print('done' if version(name) else '')")(project),
        ),
        site=lambda site: install(site, "thing", THING),
    ),
    "a computed name that is not first-party": Row(
        "cannot know what `",
        "else `# raybundle: ignore`",
        {
            "job.py": "import importlib\n\nname = bytes.fromhex('6a736f6e').decode()\n"
            "print(importlib.import_module(name).dumps('done')[1:-1])\n"
        },
        ignore("job.py", "print(importlib.import_module(name).dumps('done')[1:-1])"),
    ),
    "a file run by its path, by include": Row(
        "cannot know what `", "`include`", BY_FILE, setting(include=["plugins"])
    ),
    "a file by a name that is made up, by include": Row(
        "cannot know which file `", "`include` those", MADE_UP, setting(include=["data.csv"])
    ),
    "a file by a name that is made up and not of the project": Row(
        "cannot know which file `", "`# raybundle: ignore`", MADE_UP, ignore("job.py", "open(name[::-1])")
    ),
    "a pickle in an unknown form, by include": Row(
        "cannot read which modules this pickle needs",
        "name the modules of its objects in `include`",
        LOADS_A_PICKLE,
        setting(include=["features.py"]),
    ),
    "a pickle in an unknown form that is not loaded": Row(
        "cannot read which modules this pickle needs",
        "or the file in `exclude`",
        LOADS_A_PICKLE,
        setting(exclude=["model.pkl"]),
    ),
    "a broken file that is optional": Row(
        "; it travels as it is", "do not import it", BROKEN, ignore("job.py", "import broken")
    ),
    "a broken file that is fixed": Row(
        "; it travels as it is",
        "fix the file",
        BROKEN,
        lambda project: (project / "broken.py").write_text(""),
    ),
    "a name of the standard library": Row(
        "has the name of a module of the standard library",
        "rename it",
        OWN_NUMBERS,
        rename("numbers.py", "own.py"),
    ),
    "a name of the standard library, meant so": Row(
        "has the name of a module of the standard library",
        "`include` it",
        OWN_NUMBERS,
        setting(include=["numbers.py"]),
    ),
    "a runtime_env that leaves the bundle": Row(
        "in a runtime_env moves its task or actor out of the bundle",
        "leave it out",
        {"job.py": RUNTIME_ENV},
        change("job.py", "'py_modules': ['x'], ", ""),
    ),
    "a working_dir of ray.init": Row(
        "of `ray.init`: tasks have the files of the bundle alone",
        "leave it out",
        {"job.py": RAY_INIT.format("working_dir='data'"), "data/a.txt": ""},
        change("job.py", "working_dir='data'", ""),
    ),
    "a working_dir of ray.init whose files are included": Row(
        "of `ray.init`: tasks have the files of the bundle alone",
        "`include`",
        {"job.py": RAY_INIT.format("working_dir='data'"), "data/a.txt": ""},
        both(setting(include=["data"]), change("job.py", "'data'", "'.'")),
    ),
    "resources of a cluster given to ray.init": Row(
        "Ray refuses it in a job",
        "leave it out",
        {"job.py": RAY_INIT.replace("runtime_env=dict({})", "num_cpus=2")},
        change("job.py", "num_cpus=2", ""),
    ),
    "resources of a cluster that the driver starts": Row(
        "Ray refuses it in a job",
        "`address='local'`",
        {"job.py": RAY_INIT.replace("runtime_env=dict({})", "num_cpus=2")},
        change("job.py", "num_cpus=2", "address='local', num_cpus=2"),
    ),
    "py_modules of ray.init": Row(
        "cannot be combined with a bundle",
        "leave `py_modules` out",
        {"job.py": RAY_INIT.format("py_modules=['lib']"), "lib/a.py": ""},
        change("job.py", "py_modules=['lib']", ""),
    ),
    "an installer in a runtime_env": Row(
        "in a runtime_env: Ray sets it up on each node",
        "install it where the bundle is built",
        {"job.py": RUNTIME_ENV.replace("'py_modules'", "'pip'")},
        change("job.py", "'pip': ['x'], ", ""),
    ),
    "a comment that is misspelt": Row(
        "cannot understand the comment",
        "`# raybundle: ignore`",
        {"job.py": "print('done')  # raybundle: ignor\n"},
        change("job.py", "ignor\n", "ignore\n"),
    ),
    "a comment without effect": Row(
        "has no effect here",
        "put it at the end of the statement it is meant for",
        {
            "job.py": "import importlib\n\nname = ''.join(['js', 'on'])\n# raybundle: ignore\n"
            "importlib.import_module(name)  # raybundle: ignore\nprint('done')\n"
        },
        change("job.py", "\n# raybundle: ignore\n", "\n"),
    ),
    "an import that may never run": Row(
        "imports that resolve nowhere and may never run",
        '`optional = ["nowhere"]`',
        {"job.py": "def never():\n    import nowhere\n\n\nprint('done')\n"},
        setting(optional=["nowhere"]),
    ),
    "a file of the project beside a distribution": Row(
        "as Python takes it here, and not",
        "rename the one of the project",
        {"scripts/job.py": "import thing\n\nprint(thing.NAME)\n", "thing.py": "NAME = 'other'\n"},
        rename("thing.py", "other.py"),
        target="scripts/job.py",
        site=lambda site: install(site, "thing", THING),
    ),
    "an edit of sys.path by the environment": Row(
        "cannot find `helper`",
        '`roots = ["tools"]` in [tool.raybundle]',
        BY_ENVIRONMENT,
        both(setting(roots=["tools"]), ignore("job.py", "'/tools'))")),
    ),
    "an edit of sys.path that adds nothing of the project": Row(
        "cannot evaluate this change of `sys.path`",
        "end this with `# raybundle: ignore`",
        {"job.py": HEAD + "sys.path.append(os.environ.get('TOOLS', ''))\nprint('done')\n"},
        ignore("job.py", "os.environ.get('TOOLS', ''))"),
    ),
    "an edit of sys.path in a function that adds what it is given": Row(
        "cannot evaluate this change of `sys.path`",
        "end this with `# raybundle: ignore`",
        {
            "job.py": "import lib\n\nprint('done')\n",
            "lib/__init__.py": "import sys\n\n\ndef load(app_path):\n    sys.path.insert(0, str(app_path))\n",
        },
        ignore("lib/__init__.py", "str(app_path))"),
    ),
    "an edit of sys.path in a function": Row(
        "cannot find `helper`", '`roots = ["lib/vendor"]`', IN_A_FUNCTION, setting(roots=["lib/vendor"])
    ),
    "an edit of sys.path in a function, for a later import": Row(
        "only the run knows whether `sys.path` gets",
        "add `lib/vendor` to `roots`",
        {
            **IN_A_FUNCTION,
            "job.py": "import lib\n\nlib.prepare()\ntry:\n    import helper\n"
            "except ImportError:\n    helper = None\nprint(helper.NAME)\n",
        },
        setting(roots=["lib/vendor"]),
    ),
    "a __path__ by the environment": Row(
        "cannot evaluate this change of `__path__`",
        "`include`; then end this with `# raybundle: ignore`",
        OWN_PATH,
        both(setting(include=["providers/azure.py"]), ignore("sdk/__init__.py", "'/../providers'))")),
    ),
    "a __path__ that leads out": Row(
        "which is outside of its root",
        "move the directory into the root",
        AWAY,
        both(
            lambda project: (project.parent / "away").rename(project / "away"),
            change("sdk/__init__.py", "../../away", "../away"),
        ),
    ),
    "an option of Python": Row(
        "the job's driver runs without the option",
        "leave it out",
        {"job.py": "print('done')\n"},
        lambda _: None,
        given={"options": ["-Werror"]},
        given_after={},
    ),
    "an archive on the path": Row(
        "on the path is an archive: modules in it are not looked for",
        "unpack it and declare the directory in `roots`",
        {"job.py": HEAD + "sys.path.append(os.path.join(HERE, 'deps.zip'))\nprint('done')\n"},
        both(unpack, setting(roots=["deps"])),
        an_archive,
    ),
    "an archive that has what is imported": Row(
        "is in the archive",
        "unpack it and declare the directory in `roots`",
        {
            "job.py": HEAD
            + "sys.path.insert(0, os.path.join(HERE, 'deps.zip'))\nimport packed\n\nprint(packed.NAME)\n"
        },
        both(unpack, setting(roots=["deps"])),
        an_archive,
    ),
    "a pattern that matches nothing": Row(
        "in `include` matches no file",
        "write it relative to",
        {
            "job.py": "print(open('data/a.csv').read())\n",
            "data/a.csv": "done",
            "pyproject.toml": '[tool.raybundle]\ninclude = ["project/data/*.csv"]\n',
        },
        setting(include=["data/*.csv"]),
    ),
    "a distribution that is not installed": Row(
        "and no installed distribution",
        "install it here",
        {
            **USES_A_SITE,
            "job.py": "print('done')\n",
            "pyproject.toml": '[tool.raybundle]\ninclude = ["other"]\n',
        },
        lambda project: install(site_of(project), "other", {"other.py": b""}),
        site=lambda site: install(site, "thing", THING),
    ),
    "a large file that a path names": Row(
        "is left out:",
        '`include = ["data/large.bin"]`',
        OPENS_LARGE,
        setting(include=["data/large.bin"]),
        a_large_named_file,
    ),
    "a large file that a path names and nothing needs": Row(
        "is left out:",
        "else `# raybundle: ignore`",
        OPENS_LARGE,
        both(ignore("job.py", "'none')"), change("job.py", "'none'", "'done'")),
        a_large_named_file,
    ),
    "a folder of many files that a path names": Row(
        "is left out:",
        '`include = ["data"]`',
        {
            "job.py": "import os\n\nprint('done' if len(os.listdir('data')) > 9 else 'none')\n",
            **{f"data/{number}.txt": "" for number in range(1001)},
        },
        setting(include=["data"]),
    ),
    "a file behind a link that leads out": Row(
        "is left out:",
        "add `../away` to `roots`",
        {"job.py": "print(open('data/d.csv').read())\n", "../away/d.csv": "done"},
        setting(roots=["../away"]),
        lambda project: (project / "data").symlink_to("../away"),
    ),
    "an environment file": Row(
        ".env is left out: it may hold secrets, and what it sets is not set in the job",
        "`--env NAME=VALUE` sets a variable, `--secret NAME=file:PATH` one that is secret; "
        "then `# raybundle: ignore`",
        {
            "jobs/job.py": "from dotenv import load_dotenv\n\nload_dotenv()\nprint('done')\n",
            "jobs/dotenv.py": "def load_dotenv(): ...\n",
            ".env": "MODE=batch\n",
        },
        ignore("jobs/job.py", "\nload_dotenv()"),
        target="jobs/job.py",
    ),
    "a file that a path names and that may be a secret": Row(
        "is left out:",
        "`--secret NAME=file:PATH` gives it to the job; then `# raybundle: ignore`",
        {
            "job.py": "import os\n\nprint('none' if os.path.exists('keys/id_rsa') else 'done')\n",
            "keys/id_rsa": "",
        },
        ignore("job.py", "'done')"),
    ),
    "a file with the name of a secret that is none": Row(
        "is left out:",
        'include` and `allow-secrets = ["words/password.txt:secret-file"]` bundle what is none',
        {"job.py": "print(open('words/password.txt').read())\n", "words/password.txt": "done"},
        setting(include=["words/password.txt"], allow_secrets=["words/password.txt:secret-file"]),
    ),
    "large data that is needed": Row(
        "is left out:",
        "in `include`",
        {
            "job.py": "import os, pkg\n\nplace = os.path.join(os.path.dirname(pkg.__file__), 'large.bin')\n"
            "print('done' if os.path.exists(place) else 'none')\n",
            "pkg/__init__.py": "",
        },
        setting(include=["pkg/large.bin"]),
        a_large_file,
    ),
    "large data that is not needed": Row(
        "is left out:",
        "in `exclude` if it does not",
        {"job.py": "import pkg\n\nprint('done')\n", "pkg/__init__.py": ""},
        setting(exclude=["pkg/large.bin"]),
        a_large_file,
    ),
    "a magic": Row(
        "only a notebook understands it",
        "remove it",
        {"job.ipynb": cells("%pip install thing", "print('done')")},
        change("job.ipynb", '"%pip install thing"', '""'),
        target="job.ipynb",
    ),
    "get_ipython in a notebook": Row(
        "there is no `",
        "`except NameError`",
        {"job.ipynb": cells("shell = get_ipython()\nprint('done')")},
        change(
            "job.ipynb",
            "shell = get_ipython()\\n",
            "try:\\n    get_ipython()\\nexcept NameError:\\n    pass\\n",
        ),
        target="job.ipynb",
    ),
    "an allowance that allows nothing": Row(
        "allows nothing",
        "remove it",
        {
            "job.py": "print('done')\n",
            "pyproject.toml": '[tool.raybundle]\nallow-secrets = ["job.py:aws-access-token"]\n',
        },
        setting(),
    ),
    "what a distribution does at start-up": Row(
        "nodes do not run it at start-up",
        "else name thing-start.pth in `exclude`",
        USES_A_SITE,
        setting(exclude=["thing-start.pth"]),
        site=with_pth,
    ),
    "files outside of site-packages": Row(
        "is outside site-packages and is left out",
        "else name ../../../share/thing/data.txt in `exclude`",
        USES_A_SITE,
        setting(exclude=["../../../share/thing/data.txt"]),
        site=with_share,
    ),
    "a distribution that was edited": Row(
        "differs from RECORD and is bundled as it is",
        "reinstall it",
        USES_A_SITE,
        lambda project: install(site_of(project), "thing", THING),
        site=edited,
    ),
    "a file of two distributions, with the content that is meant": Row(
        "the environment, and so the bundle, has the content of",
        '`exclude = ["thing/__init__.py"]`',
        {"job.py": "import other, thing\n\nprint(thing.NAME)\n"},
        setting(exclude=["thing/__init__.py"]),
        site=owned_twice,
    ),
    "a file of two distributions, of which one is not needed": Row(
        "the environment, and so the bundle, has the content of",
        "uninstall the one that the job does not need, then reinstall the other",
        {"job.py": "import other, thing\n\nprint(thing.NAME)\n"},
        without_thing,
        site=owned_twice,
    ),
    "a method that needs what stays": Row(
        "installed here but not bundled",
        '`include = ["thing"]`',
        {"job.py": "import frames\n\nprint(frames.Frame().to_text())\n"},
        setting(include=["thing"]),
        site=with_a_lazy_import,
    ),
    "a method that can do without what stays": Row(
        "installed here but not bundled",
        '`optional = ["thing"]`',
        {"job.py": "import frames\n\nprint(frames.Frame().to_text())\n"},
        setting(optional=["thing"]),
        site=with_a_lazy_import,
        prints="plain\n",
    ),
    "an address that needs what stays": Row(
        "`thing://` of frames can use thing 1.0, installed here but not bundled",
        '`include = ["thing"]`',
        {"job.py": "import frames\n\nprint(frames.opened('thing://place'))\n"},
        setting(include=["thing"]),
        site=with_an_opener,
    ),
    "a requirement that is not installed": Row(
        "the environment, and so the bundle, lacks requirements",
        "install them where the bundle is built",
        USES_A_SITE,
        lambda project: install(site_of(project), "other", {"other.py": b""}),
        site=requiring,
    ),
}
