from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from raybundle.errors import BundleError, UnresolvedImportError
from raybundle.resolve.interpreter.node_python import NodePython, as_on_nodes
from raybundle.resolve.interpreter.platforms import parse_platform
from raybundle.resolve.missing.complete import require_complete
from tests.support.site_packages import SitePackages, travelling

if TYPE_CHECKING:
    from pathlib import Path

    from raybundle.model import Interpreter


@pytest.fixture
def site(tmp_path: Path) -> SitePackages:
    return SitePackages(tmp_path)


def debian(site: SitePackages) -> None:
    """What distributions of an operating system look like: no RECORD."""
    site.write({"numpy/__init__.py": "", "yaml/__init__.py": "", "loose.py": "", "apt_pkg.py": ""})
    site.write({"numpy-1.26.4.egg-info": "Name: numpy\nVersion: 1.26.4\n"})
    site.write({"PyYAML-6.0.1.egg-info/PKG-INFO": "", "PyYAML-6.0.1.egg-info/top_level.txt": "_yaml\nyaml\n"})
    site.write(
        {"PyYAML-6.0.1.egg-info/requires.txt": "helper\n\n[more]\nidle\n\n[:sys_platform == 'win32']\nidle\n"}
    )
    site.install("helper-1.0")
    site.install("idle-1.0")


def refusal(site: SitePackages, job: str, **settings: Any) -> BundleError:
    with pytest.raises(BundleError) as raised:
        require_complete(site.resolved(job, **settings))
    return raised.value


def test_all_that_cannot_travel_is_named_at_once_with_its_place(site: SitePackages) -> None:
    debian(site)
    error = refusal(site, "import numpy\nimport loose\nimport yaml\n")

    assert str(error).splitlines() == [
        "`loose` belongs to no installed distribution, imported at job.py:2",
        "numpy 1.26.4 was installed without RECORD: its files are not known, imported at job.py:1",
        "pyyaml 6.0.1 was installed without RECORD: its files are not known, imported at job.py:3",
    ]
    assert error.hint is not None
    assert "`pyyaml` in `cluster-provides`" in error.hint
    assert "under a root of the project" in error.hint


def test_imports_that_resolve_nowhere_are_named_beside_what_cannot_travel(site: SitePackages) -> None:
    debian(site)
    error = refusal(site, "import numpy, nowhere\n")

    assert isinstance(error, UnresolvedImportError)
    assert [line.partition(" ")[0] for line in str(error).splitlines()] == ["cannot", "numpy"]


def test_what_the_cluster_provides_need_not_be_known_by_its_files(site: SitePackages) -> None:
    debian(site)
    found = site.resolved("import numpy, yaml\n", cluster_provides=("numpy", "pyyaml"))

    assert [(each.name, each.version, each.provided_by) for each in found.distributions] == [
        ("helper", "1.0", "cluster"),
        ("numpy", "1.26.4", "cluster"),
        ("pyyaml", "6.0.1", "cluster"),
    ]
    assert found.obstacles == found.warnings == ()


def test_what_the_job_does_without_is_left_out_with_a_warning(site: SitePackages) -> None:
    debian(site)
    found = site.resolved("try:\n    import numpy, loose\nexcept ImportError:\n    pass\n")

    assert (found.obstacles, found.distributions) == ((), ())
    assert [each.text for each in found.warnings] == [
        "`loose` belongs to no installed distribution",
        "numpy is left out: it was installed without RECORD, so its files are not known",
    ]


def test_a_requirement_without_record_names_who_needs_it(site: SitePackages) -> None:
    debian(site)
    site.install("a-1.0", requires=["numpy"])
    error = refusal(site, "import a\n")

    assert str(error) == "numpy 1.26.4, which a needs, was installed without RECORD: its files are not known"


def test_ray_may_be_there_in_any_way(site: SitePackages) -> None:
    site.write({"ray/__init__.py": "", "ray/data.py": ""})
    found = site.resolved("import ray, ray.data\n")

    assert found.obstacles == found.warnings == ()


def needing_more(site: SitePackages) -> SitePackages:
    """A site with a distribution that needs others, of which some are missing, too old, or not asked for."""
    wanted = ["b>=2", "gone @ https://host/gone.whl", "d; python_version<'3'", "e; extra=='x'"]
    site.install("a-1.0", requires=[*wanted, "c>3", "ray>9"])
    site.install("b-1.0", requires=["c", "lost~=1.0"])
    site.install("c-1.0")
    return site


def test_requirements_that_are_not_met_are_one_warning(site: SitePackages) -> None:
    found = needing_more(site).resolved("import a\n", cluster_provides=("c",))
    expected = (
        "the environment, and so the bundle, lacks requirements: a requires b>=2 (1.0 is installed), "
        "a requires gone (not installed), b requires lost~=1.0 (not installed)"
    )

    assert [each.text for each in found.warnings] == [expected]


class Elsewhere(SitePackages):
    """What is installed here, for a bundle that other nodes are to run."""

    @property
    def interpreter(self) -> Interpreter:
        return as_on_nodes(super().interpreter, NodePython("cpython", "3.12", parse_platform("linux")))


def test_for_other_nodes_it_is_the_index_that_meets_requirements(tmp_path: Path) -> None:
    found = needing_more(Elsewhere(tmp_path)).resolved("import a\n", cluster_provides=("c",))

    assert found.warnings == ()


def test_a_version_that_the_installed_ray_does_not_take_is_refused(site: SitePackages) -> None:
    site.install(
        "ray-2.55.0", requires=["protobuf>=3.20.3", "pydantic<3; extra == 'default'", "lz4>9; extra == 'x'"]
    )
    for wheel in ("protobuf-3.19.6", "pydantic-3.0.0rc1", "lz4-4.0"):
        site.install(wheel)
    error = refusal(site, "import protobuf, pydantic, lz4\n")

    assert str(error).splitlines() == [
        "protobuf 3.19.6 cannot be bundled: Ray 2.55.0 requires protobuf>=3.20.3",
        "pydantic 3.0.0rc1 cannot be bundled: Ray 2.55.0 requires pydantic<3",
    ]
    assert error.hint is not None
    assert "`protobuf` in `cluster-provides`" in error.hint


def test_a_version_before_a_release_is_in_the_range_and_one_that_is_none_is_not_asked_about(
    site: SitePackages,
) -> None:
    site.install("ray-2.55.0", requires=["protobuf>=3.20.3", "click>=7"])
    for wheel in ("protobuf-7.0.0rc1", "click-main"):
        site.install(wheel)

    assert site.resolved("import protobuf, click\n").obstacles == ()


def test_what_stays_may_have_any_version(site: SitePackages) -> None:
    site.install("ray-2.55.0", requires=["protobuf>=3.20.3"])
    site.install("protobuf-3.19.6")
    found = site.resolved("import ray, protobuf\n", cluster_provides=("protobuf",))

    assert (travelling(found), found.obstacles) == (set(), ())


def test_without_ray_the_oldest_and_the_newest_decide(site: SitePackages) -> None:
    site.install("pydantic-2.4.2")
    error = refusal(site, "import pydantic\n")

    oldest, newest = str(error).splitlines()
    assert oldest.startswith("pydantic 2.4.2 cannot be bundled: Ray 2.49.2 requires pydantic")
    assert newest == "pydantic 2.4.2 cannot be bundled: Ray 2.60.0 requires pydantic<3,>=2.5.0"


def test_what_an_unused_part_of_ray_requires_binds_nobody(site: SitePackages) -> None:
    site.install("gymnasium-0.1")

    assert site.resolved("import gymnasium\n").obstacles == ()


@pytest.mark.parametrize(
    ("document", "origin"),
    [
        ('{"url": "https://me:secret@host/a.whl?token=t#x", "archive_info": {}}', "https://host/a.whl"),
        (
            '{"url": "https://token@host/a", "vcs_info": {"vcs": "git", "commit_id": "c0ffee"}}',
            "git+https://host/a@c0ffee",
        ),
        (
            '{"url": "ssh://git@host/a", "vcs_info": {"vcs": "git", "commit_id": "c0ffee"}}',
            "git+ssh://git@host/a@c0ffee",
        ),
        ('{"url": 7, "vcs_info": []}', ""),
        ("no JSON", ""),
    ],
)
def test_where_a_distribution_is_from_is_on_record_without_credentials(
    site: SitePackages, document: str, origin: str
) -> None:
    (site.install("a-1.0") / "direct_url.json").write_text(document)

    assert [each.origin for each in site.resolved("import a\n").distributions] == [origin]


def test_credentials_in_the_metadata_of_what_travels_are_spoken_of_and_not_shown(site: SitePackages) -> None:
    login = {"b": "user:token@", "c": "token@", "d": "git@", "e": "${TOKEN}@", "f": ""}
    site.install("a-1.0", requires=[f"{name} @ git+https://{each}host/x.git" for name, each in login.items()])
    for name in login:
        site.install(f"{name}-1.0")
    found = site.resolved("import a\n")

    text = "METADATA of a is bundled, and has credentials in the URL of its requirement {}"
    assert [each.text for each in found.warnings] == [text.format("b"), text.format("c")]
