"""Credentials in URLs: what is found, and what remains of a text without them."""

import pytest

from raybundle.formats.credentials import has_credentials, has_password, without_credentials

SECRET = "hunter2-hunter2"
WITH_PASSWORD = {
    f"https://user:{SECRET}@host/simple": "https://host/simple",
    f"https://:{SECRET}@host/simple": "https://host/simple",
    f"https://user:p@{SECRET}@host/a@b": "https://host/a@b",
    f"https://user:p/{SECRET}@host/a": "https://host/a",
    f"https://user:p?{SECRET}@host/a": "https://host/a",
    f"git+https://oauth2:{SECRET}@host/repo.git@v1": "git+https://host/repo.git@v1",
    f"git+ssh://git:{SECRET}@host/repo": "git+ssh://host/repo",
    f"http://user:{SECRET}@[::1]:8265/a@b": "http://[::1]:8265/a@b",
    f"jdbc:postgresql+psycopg2://app:{SECRET}@db:5432/x": "jdbc:postgresql+psycopg2://db:5432/x",
    f"mongodb://app:{SECRET}@a:27017,b:27017/x": "mongodb://a:27017,b:27017/x",
    "postgresql://app:it's-me@db/x": "postgresql://db/x",
    'redis://app:a"b@host/0': "redis://host/0",
    "redis://:a<b@host/0": "redis://host/0",
    "redis://app:2024#Prod@host/0": "redis://host/0",
    "x://u:pw@host": "x://host",
    "s3a+x_y://u:pw@bucket/a": "s3a+x_y://bucket/a",
    f"S3://key:{SECRET}@bucket/prefix": "S3://bucket/prefix",
    f"https://b.s3.aws/x?X-Amz-Expires=9&X-Amz-Signature={SECRET}": "https://b.s3.aws/x",
    f"https://b.s3.aws/x?X-Amz-Security-Token={SECRET}": "https://b.s3.aws/x",
    f"https://a.blob.azure/c/x?sv=2026&sig={SECRET}": "https://a.blob.azure/c/x",
    f"https://host/x.whl?token={SECRET}#sha256=ab": "https://host/x.whl",
    f"https://host/x.whl?access_token={SECRET}": "https://host/x.whl",
    f"https://host/x.whl?api-key={SECRET}": "https://host/x.whl",
    f"see https://a:{SECRET}@x/y, ftp://b:{SECRET}@z and (https://h/?token={SECRET}).": (
        "see https://x/y, ftp://z and (https://h/)."
    ),
    f"'https://a:{SECRET}@x'@`https://b:{SECRET}@y`": "'https://x'@`https://y`",
}
USER_ALONE = {
    f"https://{SECRET}@host/simple": "https://host/simple",
    f"git+https://{SECRET}@host/repo.git@v1": "git+https://host/repo.git@v1",
    "ssh://alice@host/repo": "ssh://host/repo",
    f"user:{SECRET}@host:8265": "host:8265",
    f"https:/user:{SECRET}@host:8265": "https:/host:8265",
    f"name=https:user:{SECRET}@host": "name=https:host",
}
REFERENCES = {
    "https://${USER}:${TOKEN}@host/simple": "https://host/simple",
    "https://${TOKEN}@host/simple": "https://host/simple",
    "https://host/x?token=${TOKEN}": "https://host/x",
    "https://host/x?token={token}-of-yours": "https://host/x",
}
HARMLESS = [
    "s3://bucket/a@b",
    "s3://bucket/a:b@c",
    "http://127.0.0.1:8265/jobs/a@b",
    "http://[::1]:8265/a@b",
    "ssh://git@host/org/repo@v1",
    "hg+ssh://hg@host/repo",
    "git@host:org/repo.git",
    "abfss://container@account.dfs.core.windows.net/a",
    "file:///home/a@b/c:d@e",
    r"C:\Users\a@b",
    "C:/Users/a:b@c",
    "s3:/bucket/a@b",
    "file:/home/a:b@c",
    "/home/a@b",
    "name@3",
    "train.py --mail a@b.c --at 10:30",
    "",
]


@pytest.mark.parametrize(("text", "expected"), {**WITH_PASSWORD, **USER_ALONE, **REFERENCES}.items())
def test_nothing_that_grants_access_remains_of_a_url(text: str, expected: str) -> None:
    found = without_credentials(text)

    assert found == expected


@pytest.mark.parametrize("text", HARMLESS)
def test_a_text_without_credentials_remains_as_it_is(text: str) -> None:
    assert without_credentials(text) == text
    assert not has_credentials(text)
    assert not has_password(text)


@pytest.mark.parametrize("text", WITH_PASSWORD)
def test_passwords_and_signatures_are_found(text: str) -> None:
    assert has_password(text)
    assert has_credentials(text)


@pytest.mark.parametrize("text", USER_ALONE)
def test_a_user_alone_may_be_a_token_but_is_not_a_password(text: str) -> None:
    assert has_credentials(text)
    assert not has_password(text)


@pytest.mark.parametrize("text", REFERENCES)
def test_a_variable_in_a_url_is_not_a_credential(text: str) -> None:
    assert not has_password(text)
    assert not has_credentials(text)


def test_what_says_how_to_read_a_page_is_not_a_signature() -> None:
    assert not has_password("https://host/x?page=12345678&monkey=12345678#section=12345678")
