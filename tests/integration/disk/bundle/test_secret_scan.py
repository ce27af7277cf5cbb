"""The content rules on the real scanner, and the cheap look in front of it."""

from __future__ import annotations

import importlib.util
import sys
import sysconfig
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from raybundle.bundle.secrets import scan
from raybundle.bundle.secrets.rules import rule_name, rule_table
from raybundle.bundle.secrets.scan import LARGEST, PART, PORTION, SecretScanner, as_text, findings
from raybundle.errors import BundleError
from tests.support.collected import collected_file
from tests.support.planted import PLANTED, aws, github, jwt, pem, service_account, text, url
from tests.support.slow import rest_slow

if TYPE_CHECKING:
    from types import ModuleType

    from raybundle.cache.documents import Cache
    from raybundle.model import CollectedFile

BACKSLASH_N = chr(92) + "n"
PRAGMAS = "# pragma: allowlist secret  # nosec  gitleaks:allow  betterleaks:allow  kingfisher:ignore"


def rules_in(scanner: Any, source: str | bytes) -> list[tuple[str, int]]:
    data = as_text(source.encode() if isinstance(source, str) else source)
    if data is None or not rule_table().suspects([data])[0]:
        return []
    return list(findings(scanner, data))


@pytest.mark.parametrize("rule", PLANTED)
def test_each_rule_finds_what_is_planted_and_names_its_line(scanner: Any, rule: str) -> None:
    assert rules_in(scanner, f"import os\n\n{PLANTED[rule]}\n") == [(rule, 3)]


@pytest.mark.parametrize("rule", PLANTED)
def test_no_pragma_of_a_scanner_allows_anything(scanner: Any, rule: str) -> None:
    marked = "\n".join(f"{line}  {PRAGMAS}" for line in PLANTED[rule].splitlines()[:1])
    rest = "\n".join(PLANTED[rule].splitlines()[1:])

    assert [found for found, _ in rules_in(scanner, f"{PRAGMAS}\n{marked}\n{rest}\n")] == [rule]


@pytest.mark.parametrize(
    ("source", "rules"),
    [
        (f'KEY = "{pem("RSA PRIVATE KEY", BACKSLASH_N)}"', ["private-key"]),
        (service_account(), ["gcp-service-account", "private-key"]),
        (f'URL = "{url("https")}"', ["generic-credential-uri"]),
        (f'URL = "{url("redis", user="")}"', ["generic-credential-uri"]),
        (f'URL = "{url("postgresql+psycopg2")}"', ["generic-credential-uri"]),
        (f'URL = "{url("mssql+pyodbc")}"', ["generic-credential-uri"]),
        (f'URL = "{url("snowflake")}"', ["generic-credential-uri"]),
        (f'URL = "{url("git+https")}"', ["generic-credential-uri"]),
        (f"# a token in a comment: {github()}", ["github-pat"]),
    ],
)  # fmt: skip
def test_forms_that_secrets_take_in_python_and_json(scanner: Any, source: str, rules: list[str]) -> None:
    assert [rule for rule, _ in rules_in(scanner, source)] == rules


@pytest.mark.parametrize(
    "source",
    [
        'password = "correct horse battery staple"',
        f'DB_PASSWORD = "{text(20)}"',
        'TOKEN = os.environ["GITHUB_TOKEN"]',
        'URL = "postgresql://user:password@localhost/db"',
        'URL = "amqp://guest:guest@localhost:5672//"',
        'URL = f"postgresql://{user}:{password}@{host}/db"',
        'URL = "postgresql+psycopg2://${USER}:${PASSWORD}@db/x"',
        'FS = "github://org:repository@main/file.csv"',
        f'ACCESS_KEY_ID = "{aws().split(chr(34))[1]}"',  # names a key, and opens nothing
        f'SHA256 = "{text(64, "0123456789abcdef")}"',
        "KEY_HEADER = '-----BEGIN PRIVATE" + " KEY-----'",
        pem("CERTIFICATE"),
        pem("PUBLIC KEY"),
        "",
    ],
)
def test_ordinary_code_and_placeholders_stop_no_build(scanner: Any, source: str) -> None:
    assert rules_in(scanner, source) == []


@pytest.mark.parametrize("encoding", ["utf-8-sig", "latin-1", "utf-16", "utf-16-be-mark", "utf-32"])
def test_encodings_hide_nothing(scanner: Any, encoding: str) -> None:
    source = f"# é\n{PLANTED['github-pat']}\n"
    data = (
        b"\xfe\xff" + source.encode("utf-16-be") if encoding == "utf-16-be-mark" else source.encode(encoding)
    )

    assert rules_in(scanner, data) == [("github-pat", 2)]


@pytest.mark.slow
def test_binary_files_and_what_lies_behind_the_limit_are_not_looked_at(scanner: Any) -> None:
    secret = PLANTED["github-pat"].encode()

    assert rules_in(scanner, b"\x89PNG\0" + secret) == []
    assert rules_in(scanner, b"x\n" * (LARGEST // 2) + secret) == []
    assert rules_in(scanner, b"x\n" * (LARGEST // 2 - 100) + secret) == [("github-pat", LARGEST // 2 - 99)]


def test_the_cheap_look_hides_nothing_that_the_scanner_finds(scanner: Any) -> None:
    """Over real files full of odd text, and over one with each planted secret amid them."""
    library = Path(sysconfig.get_path("stdlib"))
    sources = [*sorted(library.glob("test/test_*url*.py")), *sorted(library.glob("*.py"))]
    files = [file.read_bytes() for file in sources]
    files += [file + PLANTED[rule].encode() for file, rule in zip(files, PLANTED, strict=False)]
    texts = [each for each in map(as_text, files) if each is not None]

    hidden = [
        (found.rule_id, found.location["line"])
        for data, suspect in zip(texts, rule_table().suspects(texts), strict=True)
        if not suspect
        for found in scanner.scan(data)
        if found.visible and found.confidence != "low" and rule_name(found.rule_id) in rule_table().names
    ]

    assert hidden == []
    assert sum(rule_table().suspects(texts)) >= len(PLANTED)


@pytest.mark.slow
def test_the_table_is_what_the_rules_of_the_scanner_say() -> None:
    if version("kingfisher-secret-scanner") != "1.5.0":
        pytest.skip("the table was made from the rules of 1.5.0")
    script = load_script()
    catalogue = script.catalogue()

    texts = {name: found for name, found in rule_table().texts.items() if name not in script.CHOSEN}
    assert texts == {name: catalogue[name] for name in texts}
    assert not texts.keys() & script.LEFT_OUT


@pytest.mark.parametrize(
    ("expression", "texts"),
    [
        (r"\b((?:A3T[A-Z0-9]|AKIA|ASIA)[A-Z2-7]{16})\b", (["A3T", "AKIA", "ASIA"], False)),
        (r"(?i)(?:sumo)(?:[ \t]{0,20})=([a-z0-9]{64})", (["sumo"], True)),
        (r"xox[ar]-(?:\d-)?[0-9a-z]{8,48}", (["xoxa-", "xoxr-"], False)),
        (r"[a-z0-9]{32}", None),
    ],
)
def test_the_texts_of_a_rule_follow_from_its_expression(
    expression: str, texts: tuple[list[str], bool] | None
) -> None:
    assert load_script().texts_of(expression) == texts


def load_script() -> ModuleType:
    file = Path(__file__).parents[4] / "scripts/secret_rules.py"
    spec = importlib.util.spec_from_file_location("secret_rules_script", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def collected(*sources: str) -> list[CollectedFile]:
    return [collected_file(f"project/{number}.py", source.encode()) for number, source in enumerate(sources)]


def test_verdicts_are_kept_by_content_without_any_value(cache: Cache) -> None:
    first, again = SecretScanner(cache), SecretScanner(cache)
    files = collected("", PLANTED["jwt"], "", PLANTED["private-key"])
    expected = [(), (("jwt", 1),), (), (("private-key", 1),)]

    assert first.verdicts(files) == expected
    first.save()
    assert SecretScanner(cache).verdicts(files) == expected
    assert again.verdicts(files[:1]) == [()]
    kept = b"".join(file.read_bytes() for file in cache.directory.rglob("*") if file.is_file())
    assert b'["jwt",1]' in kept
    assert jwt().encode() not in kept
    assert text(64, seed=0).encode() not in kept


@pytest.mark.parametrize("damage", ["{", '{"%s": [["no-such-rule", 1]]}', '{"%s": []}'])
def test_a_damaged_cache_is_an_empty_one(cache: Cache, damage: str) -> None:
    files = collected(PLANTED["jwt"])
    scanner = SecretScanner(cache)
    scanner.verdicts(files)
    scanner.save()
    for file in cache.directory.glob("secrets/*"):
        file.write_text(damage.replace("%s", files[0].sha256))

    assert SecretScanner(cache).verdicts(files) == [(("jwt", 1),)]


@pytest.mark.parametrize(
    ("head", "line"),
    rest_slow([(b"", b"1,"), (b"[\n", b"1,"), (b"", b"1,\n")], 1),
    ids=["one", "two", "many"],
)
def test_a_secret_that_spans_two_parts_is_found(cache: Cache, head: bytes, line: bytes) -> None:
    """A JSON file often has one line."""
    secret = f'"{github()}"'.encode()
    data = bytearray(head + line * (PORTION // len(line) + 1))
    start = PART - len(secret) // 2
    data[start : start + len(secret)] = secret

    [verdict] = SecretScanner(cache).verdicts([collected_file("project/a.json", bytes(data))])

    assert verdict == (("github-pat", data.count(b"\n", 0, start) + 1),)


def test_a_file_that_is_binary_while_it_is_scanned_is_not_kept_as_clean(cache: Cache, tmp_path: Path) -> None:
    """What was hashed is a text with a secret."""
    data = github().encode() + b"\nx" * PORTION
    file = tmp_path / "a.json"
    text_file = replace(collected_file("project/a.json", data), source=file)
    for first in (b"\0", data[:1]):
        file.write_bytes(first + data[1:])
        scanner = SecretScanner(cache)
        found = scanner.verdicts([text_file])
        scanner.save()

    assert found == [(("github-pat", 1),)]


def test_without_the_scanner_no_file_is_kept_as_clean(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [collected_file("project/a.py", github().encode()), collected_file("project/b.py", b"x = 1\n")]
    scanner = SecretScanner(cache)
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "kingfisher_sdk", None)  # as if it were not installed: an import fails
        scan.load_scanner.cache_clear()
        with pytest.raises(BundleError, match="cannot scan for secrets"):
            scanner.verdicts(files)
        scanner.save()

    assert SecretScanner(cache).verdicts(files) == [(("github-pat", 1),), ()]
