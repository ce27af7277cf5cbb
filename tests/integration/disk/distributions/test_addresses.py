"""An address in first-party code or configuration tells which installed distribution opens it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.site_packages import SitePackages
from tests.support.small_project import tree

if TYPE_CHECKING:
    from pathlib import Path

EXTRAS = [
    *("psycopg2>=2.7; extra == 'postgresql'", "psycopg2-binary; extra == 'postgresql-psycopg2binary'"),
    *("asyncpg; extra == 'postgresql-asyncpg'", "mysql-connector-python; extra == 'mysql-connector'"),
]


@pytest.fixture
def site(tmp_path: Path) -> SitePackages:
    site = SitePackages(tmp_path)
    site.install("sqlalchemy-2.0", {"sqlalchemy/__init__.py": "def create_engine(url): pass\n"}, EXTRAS)
    site.install("studies-1.0", requires=["sqlalchemy"])
    site.install("frames-1.0", requires=["s3fs; extra == 'aws'", "fsspec; extra == 'remote'"])
    site.install("psycopg2_binary-2.9", {"psycopg2/__init__.py": ""})
    site.install("mysql_connector_python-9.0", {"mysql/connector/__init__.py": ""})
    site.install("asyncpg-0.3")
    site.install("s3fs-2.0", requires=["fsspec"])
    site.install("fsspec-2.0", requires=["s3fs; extra == 's3'", "aiohttp; extra == 'http'"])
    site.install("aiohttp-3.0")
    site.install("opener-1.0", requires=["fsspec"])
    return site


def told(site: SitePackages, job: str, **configs: str) -> list[str]:
    tree(site.work / "project", {f"{name}.yaml": text for name, text in configs.items()})
    warnings = site.resolved(job).warnings
    return [f"{each.file and each.file.name}:{each.line} {each.text}" for each in warnings]


@pytest.mark.parametrize(
    ("user", "address", "opener"),
    [
        ("sqlalchemy", "postgresql+psycopg2://h/d", "psycopg2-binary 2.9"),
        ("sqlalchemy", "postgresql://h/d", "psycopg2-binary 2.9"),
        ("sqlalchemy", "postgresql+asyncpg://h/d", "asyncpg 0.3"),
        ("sqlalchemy", "mysql+mysqlconnector", "mysql-connector-python 9.0"),
        ("studies", "postgresql://h/d", "psycopg2-binary 2.9"),
        ("frames", "s3://bucket/a.csv", "s3fs 2.0"),
    ],
)
def test_a_scheme_tells_what_is_missing(site: SitePackages, user: str, address: str, opener: str) -> None:
    scheme, library = address.partition("://")[0], user.replace("studies", "sqlalchemy")

    assert told(site, f"import {user}\nPLACE = '{address}'\n") == [
        f"job.py:2 `{scheme}://` of {library} can use {opener}, installed here but not bundled"
    ]


def test_configuration_that_travels_has_addresses_too(site: SitePackages) -> None:
    job = "import sqlalchemy\nTEXT = open('conf.yaml').read()\n"

    [text] = told(site, job, conf="a: 1\ndb: postgresql://h/d\n")
    assert text.startswith("conf.yaml:2 `postgresql://` of sqlalchemy can use psycopg2-binary 2.9, ")


@pytest.mark.parametrize(
    "job",
    [
        "import sqlalchemy\nU = 'sqlite:///a.db', 'https://h', 'a+b'\n",
        "import frames\nU = 'gs://bucket', 'http://h', 'postgresql://h/d'\n",
        "import sqlalchemy, psycopg2\nU = 'postgresql://h/d'\n",
        "import fsspec\nU = 'http://h'\n",
        "import ray, frames\nprint(ray.data.read_parquet('s3://bucket'))\n",
        "import opener\nU = 's3://bucket'\n",
    ],
)
def test_other_addresses_are_not_told(site: SitePackages, job: str) -> None:
    assert told(site, job) == []
