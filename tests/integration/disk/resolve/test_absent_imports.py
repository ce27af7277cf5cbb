from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from raybundle.cache.documents import Cache
from raybundle.errors import BundleError, UnresolvedImportError
from raybundle.explain.absence import Evidence, explain_absence
from raybundle.model import Resolution, ScriptTarget
from raybundle.resolve.distributions.installed import normalised_name
from raybundle.resolve.find.finder import NotFound
from raybundle.resolve.missing.complete import require_complete
from raybundle.resolve.resolve import ResolveSettings, resolve
from tests.support.known import knowing
from tests.support.small_project import interpreter, tree

PROJECTS = Path(__file__).parents[3] / "projects"

Found = set[tuple[str, str, str]]

FAST = "try:\n  import fast\nexcept ImportError:\n  fast = None\n"
KERNELS = {"accel/__init__.py": "from .kernels import k", "accel/kernels.py": "import absent_triton\nk = 1"}


@pytest.fixture
def work(tmp_path: Path) -> Path:
    return tmp_path.resolve()


def resolved(root: Path, settings: ResolveSettings | None = None, script: str = "job.py") -> Resolution:
    kept = knowing(root.parent / "cache")
    return resolve(
        ScriptTarget(root / script), settings or ResolveSettings(), interpreter(root.parent), root, kept
    )


def absent(resolution: Resolution) -> Found:
    """Returns name, kind and place of each group."""
    return {(each.name, each.kind, f"{each.files[-1].name}:{each.lines[-1]}") for each in resolution.absent}


def missing(resolution: Resolution) -> list[str]:
    return [f"{each.name} {each.file.name}:{each.line}" for each in resolution.missing]


@pytest.mark.parametrize(
    ("project", "expected"),
    [
        ("behind-optional", {("absent_cuda", "optional", "fast.py:1")}),
        ("in-a-function", {("absent_hub", "function", "job.py:6")}),
        ("in-a-guess", {("absent_cuda", "guessed", "gpu.py:1")}),
    ],
)
def test_an_import_that_may_never_run_is_no_error(work: Path, project: str, expected: Found) -> None:
    root = Path(shutil.copytree(PROJECTS / f"field/absent-{project}", work / "p"))
    resolution = resolved(root)

    require_complete(resolution)
    assert absent(resolution) == expected
    assert len(resolution.warnings) == 1


def test_guards_that_nothing_decides_make_imports_optional(work: Path) -> None:
    root = Path(shutil.copytree(PROJECTS / "field/guards-of-absent-modules", work / "p"))
    resolution = resolved(root)

    require_complete(resolution)
    assert absent(resolution) == {
        ("absent_engine", "function", "job.py:16"),
        ("absent_engine", "optional", "job.py:11"),
        ("absent_hub", "optional", "job.py:22"),
    }
    assert [each.name for each in resolution.not_found] == ["absent_engine"]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (
            {
                "job.py": "from contextlib import suppress\nwith suppress(ImportError):\n  import accel",
                **KERNELS,
            },
            {("absent_triton", "optional", "kernels.py:1")},
        ),
        (
            {
                "job.py": "try:\n  from gpu.ops import run\nexcept (ImportError, OSError):\n  run = None",
                "gpu/__init__.py": "",
                "gpu/ops.py": "from .ext import x\nrun = 1",
            },
            {("gpu.ext", "optional", "ops.py:1")},
        ),
        (
            {
                "job.py": "def tpu():\n  from trainers.tpu import go\n  go()",
                "trainers/__init__.py": "",
                "trainers/tpu.py": "import absent_xla\nfrom trainers.more import x",
                "trainers/more.py": "import absent_xla",
            },
            {("absent_xla", "function", "tpu.py:1")},
        ),
        (
            {
                "job.py": "load = lambda: __import__('absent_x')\n"
                "class A:\n  async def f(self):\n    import absent_y"
            },
            {("absent_x", "function", "job.py:1"), ("absent_y", "function", "job.py:4")},
        ),
        (
            {
                "job.py": "import pkgutil, plugins\n"
                "for each in pkgutil.iter_modules(plugins.__path__): print(each)",
                "plugins/__init__.py": "",
                "plugins/gpu.py": "import absent_cuda",
            },
            {("absent_cuda", "guessed", "gpu.py:1")},
        ),
        (
            {
                "job.py": "import models",
                "models/__init__.py": "_LAZY = {'Net': 'net'}\ndef __getattr__(name): ...",
                "models/net.py": "import absent_jax",
            },
            {("absent_jax", "guessed", "net.py:1")},
        ),
        (
            {
                "job.py": "import os\nx = 1 if os.getenv('A') else __import__('absent_a')\n"
                "while os.getenv('B'):\n  import absent_b\nmatch x:\n  case 2:\n    import absent_c\n"
                "os.getenv('D') and __import__('absent_d')"
            },
            {
                ("absent_a", "optional", "job.py:2"),
                ("absent_b", "optional", "job.py:4"),
                ("absent_c", "optional", "job.py:7"),
                ("absent_d", "optional", "job.py:8"),
            },
        ),
        (
            {
                "job.py": "import sys\nimport importlib\nname = {'a': 'json', 'b': 'absent_b'}[sys.argv[1]]\n"
                "importlib.import_module(name)"
            },
            {("absent_b", "optional", "job.py:4")},
        ),
        (
            {
                "job.py": "try:\n  import absent_a\n"
                "except ImportError as e:\n  raise RuntimeError('pip install') from e"
            },
            {("absent_a", "optional", "job.py:2")},
        ),
        (
            {"job.py": "import json\ntry:\n  json.x\nexcept AttributeError:\n  import absent_a"},
            {("absent_a", "optional", "job.py:5")},
        ),
        (
            {"job.py": "import pkg\nprint(pkg.gpu)", "pkg/__init__.py": "", "pkg/gpu.py": "import absent_a"},
            {("absent_a", "guessed", "gpu.py:1")},
        ),
    ],
)
def test_other_ways_that_may_never_be_taken(work: Path, files: dict[str, str], expected: Found) -> None:
    resolution = resolved(tree(work / "p", files))

    require_complete(resolution)
    assert absent(resolution) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("class A:\n  import absent_a", ["absent_a job.py:2"]),
        (
            "@__import__('absent_a').wrap\ndef f(x=__import__('absent_b')): ...",
            ["absent_a job.py:1", "absent_b job.py:2"],
        ),
        ("f = lambda x=__import__('absent_a'): x", ["absent_a job.py:1"]),
        ("if __name__ == '__main__':\n  import absent_a", ["absent_a job.py:2"]),
        ("try:\n  import absent_a\nfinally:\n  import absent_b", ["absent_a job.py:2", "absent_b job.py:4"]),
        ("try:\n  import absent_a\nexcept ValueError:\n  pass", ["absent_a job.py:2"]),
        (
            "import sys\nif sys.version_info > (3,):\n  import absent_a\nelse:\n  import absent_b",
            ["absent_a job.py:3"],
        ),
        ("for x in 1, 2:\n  import absent_a", ["absent_a job.py:2"]),
        ("[__import__('absent_a') for x in (1, 2)]", ["absent_a job.py:1"]),
        ("import other", ["absent_a other.py:1"]),
        ("import deep.er", ["absent_b __init__.py:1"]),
        (
            "import absent_x  # raybundle: include=nowhere.at.all",
            ["absent_x job.py:1", "nowhere.at.all job.py:1"],
        ),
    ],
)
def test_what_runs_as_modules_load_must_be_there(work: Path, source: str, expected: list[str]) -> None:
    files = {
        "job.py": source,
        "other.py": "import absent_a",
        "deep/__init__.py": "import absent_b",
        "deep/er.py": "",
    }
    resolution = resolved(tree(work / "p", files))

    assert missing(resolution) == expected
    assert absent(resolution) == set()
    with pytest.raises(UnresolvedImportError, match="absent_"):
        require_complete(resolution)


def test_a_module_that_loads_at_once_and_by_a_function_is_no_guess(work: Path) -> None:
    files = {"job.py": "def f():\n  import a\nimport b\nf()", "b.py": "import a", "a.py": "import absent_a"}
    resolution = resolved(tree(work / "p", files))

    assert missing(resolution) == ["absent_a a.py:1"]


def test_the_shortest_of_the_surest_chains_is_shown(work: Path) -> None:
    files = {
        "job.py": "try:\n  import c\nexcept ImportError: pass\nimport a\n",
        "a.py": "import b",
        "b.py": "def f():\n  import c",
        "c.py": "import absent_a",
    }
    [found] = resolved(tree(work / "p", files)).absent

    assert [f"{file.name}:{line}" for file, line in zip(found.files, found.lines, strict=True)] == [
        "job.py:4",
        "a.py:1",
        "b.py:2",
        "c.py:1",
    ]


def test_there_is_one_warning_with_a_line_for_each_way(work: Path) -> None:
    functions = "".join(f"  import absent_{number}.sub\n" for number in range(20))
    files = {"job.py": f"def f():\n{functions}  import absent_3\n{FAST}", "fast.py": "import absent_99"}
    [warning] = resolved(tree(work / "p", files)).warnings

    assert warning.text.splitlines() == [
        "imports that resolve nowhere and may never run",
        (
            "  in functions: `absent_3` (2 places, first at job.py:5), `absent_0` (at job.py:2), `absent_1`, "
            "`absent_10`, `absent_11` and 15 more"
        ),
        "  optional: `absent_99` (at job.py:24 > fast.py:1)",
    ]


@pytest.mark.parametrize("number", [20, 61])
def test_the_hint_of_the_warning_settles_all_of_them(work: Path, number: int) -> None:
    functions = "".join(f"  import absent_{each}.sub\n" for each in range(number))
    root = tree(work / "p", {"job.py": f"def f():\n{functions}"})
    found = resolved(root)
    [warning] = found.warnings

    pasted = re.findall(r"`optional = (\[[^]]*\])`", warning.hint or "")
    listed = tuple(json.loads(pasted[0])) if pasted else tuple(each.name for each in found.absent)

    assert bool(pasted) == (number == 20)
    assert pasted or "`plan --json` lists all in `absent`" in (warning.hint or "")
    assert resolved(root, ResolveSettings(optional=listed)).warnings == ()


def test_the_hint_about_a_relative_import_that_leads_out_settles_it(work: Path) -> None:
    root = tree(work / "p", {"job.py": "def f():\n  from ..up import x\n  import absent_a\n"})
    hint = resolved(root).warnings[0].hint or ""

    assert '`optional = ["absent_a"]`' in hint
    assert "with `# raybundle: ignore`" in hint
    tree(root, {"job.py": "def f():\n  from ..up import x  # raybundle: ignore\n  import absent_a\n"})
    assert resolved(root, ResolveSettings(optional=("absent_a",))).warnings == ()


def test_the_error_has_a_line_for_each_package_that_is_absent(work: Path) -> None:
    files = {
        "job.py": "import absent_a.core\nimport absent_b\nimport absent_a.more, pkg.one\nimport pkg.two\n",
        "pkg/__init__.py": "import absent_a\n",
    }
    root = tree(work / "p", files)
    with pytest.raises(UnresolvedImportError) as error:
        require_complete(resolved(root))

    assert str(error.value).splitlines() == [
        "cannot find `absent_a.core`, imported at job.py:1 and 2 more places",
        "cannot find `absent_b`, imported at job.py:2",
        "cannot find `pkg.one`, imported at job.py:3",
        "cannot find `pkg.two`, imported at job.py:4",
    ]
    hint = error.value.hint or ""
    optional, provided = (
        tuple(json.loads(re.findall(rf"`{setting} = (\[[^]]*\])`", hint)[0]))
        for setting in ("optional", "cluster-provides")
    )
    require_complete(resolved(root, ResolveSettings(optional=optional)))
    named = tuple(map(normalised_name, provided))
    require_complete(resolved(root, ResolveSettings(cluster_provides=named)))


@pytest.mark.parametrize("name", ["absent_hub", "absent_hub.client"])
def test_optional_settles_what_may_never_run(work: Path, name: str) -> None:
    root = Path(shutil.copytree(PROJECTS / "field/absent-in-a-function", work / "p"))
    resolution = resolved(root, ResolveSettings(optional=(name,)))

    assert (resolution.absent, resolution.warnings) == ((), ())
    assert [each.name for each in resolution.not_found] == ["absent_hub.client"]


def test_optional_settles_what_would_stop_the_job(work: Path) -> None:
    root = tree(work / "p", {"job.py": "import absent_a.b"})

    assert missing(resolved(root)) == ["absent_a.b job.py:1"]
    require_complete(resolved(root, ResolveSettings(optional=("absent_a",))))


def test_optional_says_nothing_of_another_name(work: Path) -> None:
    root = tree(work / "p", {"job.py": "import absent_ab"})

    assert missing(resolved(root, ResolveSettings(optional=("absent_a",)))) == ["absent_ab job.py:1"]


@pytest.mark.parametrize(
    ("source", "refused"),
    [
        ("import broken", True),
        ("def f():\n  import broken", False),
        ("import os\nif os.getenv('A'):\n  import broken", False),
        ("try:\n  import broken\nexcept SyntaxError:\n  pass", False),
        ("try:\n  import broken\nexcept (OSError, SyntaxError):\n  pass", False),
        ("try:\n  import broken\nexcept OSError:\n  pass", True),
    ],
)
def test_a_source_that_is_not_python_stops_only_what_must_load_it(
    work: Path, source: str, refused: bool
) -> None:
    root = tree(work / "p", {"job.py": source, "broken.py": "print 'old'"})

    if refused:
        with pytest.raises(BundleError, match=r"cannot parse .*broken\.py:1"):
            resolved(root)
    else:
        assert [each.text.partition(":")[0] for each in resolved(root).warnings] == [
            f"cannot parse {root}/broken.py"
        ]


def test_a_platform_in_a_variable_is_decided(work: Path) -> None:
    root = Path(shutil.copytree(PROJECTS / "field/platform-in-a-variable", work / "p"))
    resolution = resolved(root)

    require_complete(resolution)
    assert absent(resolution) == {("never_installed_plotlib", "function", "job.py:18")}
    assert "AppKit" not in resolution.warnings[0].text


def test_a_comment_at_the_end_of_a_long_statement_settles_it(work: Path) -> None:
    root = Path(shutil.copytree(PROJECTS / "field/comment-on-long-statements", work / "p"))
    resolution = resolved(root)

    assert (resolution.absent, resolution.warnings) == ((), ())


def test_a_comment_that_does_nothing_is_a_warning_and_its_hint_settles_it(work: Path) -> None:
    root = tree(work / "p", {"job.py": "def f():  # raybundle: ignore\n    import absent_a\n"})
    [first, second] = resolved(root).warnings

    assert (first.text, first.line) == ("`# raybundle: ignore` has no effect here", 1)
    assert (
        first.hint == "put it at the end of the statement it is meant for; for a block, into each statement"
    )
    assert "absent_a" in second.text

    tree(root, {"job.py": "def f():\n    import absent_a  # raybundle: ignore\n"})
    assert resolved(root).warnings == ()


@pytest.mark.parametrize(
    ("imported", "name"),
    [
        ("megatron.core", "megatron-core"),
        ("flash_attn", "flash-attn"),
        ("absent_a", "absent-a"),
        ("google.cloud.absent", "google-cloud-absent"),
    ],
)
def test_cluster_provides_settles_what_only_the_nodes_have(work: Path, imported: str, name: str) -> None:
    root = tree(work / "p", {"job.py": f"import {imported}\ndef f():\n  import {imported}.more"})
    resolution = resolved(root, ResolveSettings(cluster_provides=(name,)))

    require_complete(resolution)
    assert (resolution.absent, resolution.warnings) == ((), ())
    assert resolution.not_found == ()
    [found] = resolution.distributions
    assert (found.name, found.version, found.provided_by) == (name, "", "cluster")


def test_cluster_provides_settles_no_other_name(work: Path) -> None:
    root = tree(work / "p", {"job.py": "import absent_a\nimport absent_a_more"})
    resolution = resolved(root, ResolveSettings(cluster_provides=("absent-a-more", "unneeded")))

    assert missing(resolution) == ["absent_a job.py:1"]
    assert [each.name for each in resolution.distributions] == ["absent-a-more"]


def test_what_ray_installs_for_the_job_settles_its_import(work: Path) -> None:
    root = tree(work / "p", {"job.py": "import absent_a\nimport absent_b"})

    assert missing(resolved(root, ResolveSettings(set_up=("absent-a",)))) == ["absent_b job.py:2"]


@pytest.mark.parametrize(
    "environment",
    [
        '{"pip": ["absent-a==1.0"]}',
        '{"uv": {"packages": ["absent_a[x]>=1"]}}',
        'RuntimeEnv(pip=["absent.a"])',
    ],
)
def test_what_a_task_installs_settles_imports_in_functions(work: Path, environment: str) -> None:
    source = f"import ray\nENV = {environment}\n@ray.remote(runtime_env=ENV)\ndef f():\n  import absent_a\n"
    resolution = resolved(tree(work / "p", {"job.py": source}))

    assert resolution.absent == ()
    assert missing(resolved(tree(work / "p", {"job.py": f"{source}import absent_a"}))) == [
        "absent_a job.py:6"
    ]


@pytest.mark.parametrize("name", ["absent_hub", "absent_hub.client", "absent_hub.client.patch"])
def test_why_says_where_what_may_never_run_is_imported(work: Path, name: str) -> None:
    root = Path(shutil.copytree(PROJECTS / "field/absent-in-a-function", work / "p"))
    found = explain_absence(resolved(root), name, Evidence(NotFound()))

    assert found.why == "absent"
    assert found.reason.endswith(f"{root}/job.py:6")
    assert '`optional = ["absent_hub"]`' in (found.hint or "")


def test_a_distribution_without_record_that_only_a_function_imports_is_left_out(work: Path) -> None:
    site = work / "site"
    tree(
        site,
        {"unlisted/__init__.py": "", "unlisted-1.0.dist-info/METADATA": "Name: unlisted\nVersion: 1.0\n"},
    )
    settings = ResolveSettings()
    python = replace(interpreter(work), path=(*interpreter(work).path, str(site)), site=(str(site),))

    def obstacles(source: str) -> tuple[bool, bool]:
        root = tree(work / "p", {"job.py": source})
        kept = Cache(work / "cache")
        found = resolve(ScriptTarget(root / "job.py"), settings, python, root, kept)
        return bool(found.obstacles), any("unlisted" in each.text for each in found.warnings)

    assert obstacles("import unlisted") == (True, False)
    assert obstacles("def f():\n  import unlisted") == (False, True)
