from __future__ import annotations

import re
from typing import Any

import pytest

from raybundle.cluster.runtime_env import SECRETS, WAITING, render_runtime_env
from raybundle.cluster.secrets import arguments_warning, parse_secrets, refuse_literals, refuse_sent
from raybundle.errors import UsageError
from raybundle.model import Digest
from raybundle.node import raybundle_secrets
from raybundle.submission.options import JobOptions

HEX = "0123456789abcdef" * 4
DIGEST = Digest(f"sha256:{HEX}")
MIXED = "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1eF3hJ5"
"""36 characters, as the random part of many tokens."""


def render(env: dict[str, str], secrets: dict[str, str], **more: Any) -> dict[str, Any]:
    return render_runtime_env(DIGEST, "b00", "gcs://bundle.zip", env, secrets, **more)


def test_secrets_are_read_as_references_by_name() -> None:
    words = ["TOKEN=file:/run/secrets/a token=1", "_DB2=env:NODE_DB", "HF_TOKEN=env:HF_TOKEN"]

    assert parse_secrets(words) == {
        "TOKEN": "file:/run/secrets/a token=1",
        "_DB2": "env:NODE_DB",
        "HF_TOKEN": "env:HF_TOKEN",
    }


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["CANARY"], "number 1 has no NAME=REFERENCE"),
        (["OK=env:OK", "CANARY="], "number 2 has no NAME=REFERENCE"),
        (["CANARY=="], "number 1 has no NAME=REFERENCE"),
        (["=CANARY"], "number 1 has no NAME=REFERENCE"),
        (["1CANARY=env:X"], "number 1 has no NAME=REFERENCE"),
        (["CAN-ARY+/=env:X"], "number 1 has no NAME=REFERENCE"),
        (["TOKEN=CANARY"], "TOKEN=…`: expected `file:` or `env:`"),
        (["TOKEN=CANARY:/CANARY"], "TOKEN=…`: expected `file:` or `env:`"),
        (["TOKEN=File:/CANARY"], "TOKEN=…`: expected `file:` or `env:`"),
        (["TOKEN=file:CANARY"], "absolute path"),
        (["TOKEN=file:~/CANARY"], "absolute path"),
        (["TOKEN=file:"], "absolute path"),
        (["TOKEN=file:/CANARY/$HOME"], "a `$`"),
        (["TOKEN=file:/CANARY\nPATH file:/x"], "control character"),
        (["TOKEN=file:/CANARY\udcff"], "not UTF-8"),
        (["TOKEN=env:CANARY-CANARY"], "name of a variable"),
        (["TOKEN=env:"], "name of a variable"),
        (["TOKEN=file:/CANARY", "TOKEN=file:/CANARY"], "TOKEN=…` is given twice"),
        (["PYTHONPATH=file:/CANARY"], "PYTHONPATH=…`: this variable belongs"),
        (["RAYBUNDLE_DIGEST=file:/CANARY"], "RAYBUNDLE_DIGEST=…`: this variable belongs"),
        (["RAY_AUTH_TOKEN=file:/CANARY"], "RAY_AUTH_TOKEN=…`: this variable belongs"),
        (["PATH=file:/CANARY"], "PATH=…`: this variable belongs"),
    ],
)
def test_what_is_no_reference_is_refused_and_never_repeated(words: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)) as caught:
        parse_secrets(words)

    assert "CANARY" not in f"{caught.value} {caught.value.hint} {caught.value.__cause__}"


SECRET_NAMES = """
TOKEN GITHUB_TOKEN github_token NGROK_AUTHTOKEN TOKEN_2 PGPASSWORD DB_PASSWD CLIENT_SECRET CREDENTIALS APIKEY
apiKey OPENAI_API_KEY AWS_SECRET_ACCESS_KEY DEPLOY_PRIVATE_KEY SECRET_KEY SSH_PASSPHRASE STORAGE_ACCOUNT_KEY
"""


@pytest.mark.parametrize("name", SECRET_NAMES.split())
def test_a_name_that_ends_as_those_of_secrets_do_refuses_a_literal(name: str) -> None:
    with pytest.raises(UsageError, match=rf"in {name}: every client") as caught:
        refuse_literals({name: "hunter2-hunter2", "PLAIN": "hunter2-hunter2"})

    assert "hunter2" not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize(
    "value",
    [
        "-----BEGIN PRIVATE KEY-----\nMIIE\n",
        '{"private_key": "-----BEGIN RSA PRIVATE KEY-----\\nMIIE"}',
        "AKIAIOSFODNN7EXAMPLE",
        "key=ASIAIOSFODNN7EXAMPLE;",
        f"ghp_{MIXED}",
        f"gho_{MIXED}",
        f"github_pat_{MIXED}",
        f"Bearer glpat-{MIXED[:20]}",
        f"hf_{MIXED[:34]}",
        "xoxb-123456789012-abcdefghij",
        "xoxp-123456789012-abcdefghij",
        f"sk-{MIXED}",
        f"sk-proj-a_B3-{MIXED}",
        f"sk-or-v1-{HEX}",
        f"AIza{MIXED[:35]}",
        f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.{MIXED}",
        "postgres://user:hunter2@db/x",
        "redis://:hunter2@cache:6379/0",
        f"https://{MIXED}:x-oauth-basic@github.com/a/b",
    ],
)
@pytest.mark.parametrize("name", ["SETTING", "KEY_FILE", "KEY_ID", "SERVICE_URL"])
def test_a_value_in_the_shape_of_a_secret_is_refused_under_any_name(name: str, value: str) -> None:
    with pytest.raises(UsageError, match=rf"in {name}: every client") as caught:
        refuse_literals({name: value})

    assert value not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TOKENIZERS_PARALLELISM", "true"),
        ("MAX_TOKENS", "4096"),
        ("STOP_TOKENS", "<|endoftext|>,<|im_end|>"),
        ("EOS_TOKEN", "<|endoftext|>"),
        ("MASK_TOKEN", "[UNUSED_1]"),
        ("TOKEN_COUNT", "12345678"),
        ("MAX_TOKEN", "12345678"),
        ("USE_TOKEN", "false"),
        ("TOKEN", "short"),
        ("SECRET_NAME", "projects/team/my-secret"),
        ("PASSWORD_POLICY", "at-least-twelve"),
        ("SECRETS_BACKEND", "aws-secrets-manager"),
        ("TOKEN_URL", "https://login.example.org/oauth/token"),
        ("TOKEN_FILE", "/run/secrets/token"),
        ("TOKEN", "/run/secrets/token"),
        ("DB_PASSWORD", "vault://secret/db#password"),
        ("DB_PASSWORD", "arn:aws:secretsmanager:eu-central-1:1:secret:db"),
        ("DB_PASSWORD", "${NODE_DB_PASSWORD}"),
        ("DATABASE_URL", "postgres://user:${DB_PASSWORD}@db/x"),
        ("DATABASE_URL", "postgres://user@db:5432/x"),
        ("PROXY", "http://proxy:3128/a@b"),
        ("GOOGLE_APPLICATION_CREDENTIALS", "/etc/gcp/key.json"),
        ("API_KEY_ID", "team-key-number-7"),
        ("AWS_ACCESS_KEY_ID", ""),
        ("PRIMARY_KEY", "customer_identifier"),
        ("SORT_KEY", "created_at_descending"),
        ("MODEL", "sk-learn-gradient-boosting-v2"),
        ("RUN", "disk-0123456789abcdef0123456789abcdef"),
        ("HF_HUB", "hf_transfer_is_enabled_for_everything"),
        ("COMMIT", HEX),
        ("KEY", "-----BEGIN PUBLIC KEY-----\nMIIB\n"),
    ],
)
def test_what_is_no_secret_travels(name: str, value: str) -> None:
    refuse_literals({name: value})


def test_all_literals_are_refused_at_once() -> None:
    env = {"B_TOKEN": "hunter2-hunter2", "A_URL": "amqp://u:hunter2@q", "PLAIN": "x"}

    with pytest.raises(UsageError, match="in A_URL, B_TOKEN: every client"):
        refuse_literals(env)


def test_a_value_that_starts_like_a_variable_is_still_a_literal() -> None:
    with pytest.raises(UsageError, match="in DB_PASSWORD"):
        refuse_literals({"DB_PASSWORD": "$ecret_password"})


def test_a_runtime_env_without_secrets_is_as_it_was() -> None:
    assert render({"A": "1"}, {}) == {
        "working_dir": "gcs://bundle.zip",
        "env_vars": {"A": "1", "RAYBUNDLE_BOOT": "b00", "RAYBUNDLE_DIGEST": DIGEST},
        "worker_process_setup_hook": "raybundle_boot.ready",
    }


def test_a_runtime_env_has_the_references_in_one_order() -> None:
    secrets = {"B": "env:C", "A": "file:/run/a b", "C": "env:C"}

    variables = render({}, secrets)["env_vars"]

    assert variables[SECRETS] == "A file:/run/a b\nB env:C\nC env:C"
    assert variables["A"] == "raybundle-secret file:/run/a b"
    assert variables["B"] == "raybundle-secret env:C"
    assert "C" not in variables
    assert str(render({}, dict(reversed(secrets.items())))) == str(render({}, secrets))


def test_the_boot_and_the_client_write_references_alike() -> None:
    assert raybundle_secrets.WAITING == WAITING


@pytest.mark.parametrize(
    ("env", "secrets", "message"),
    [
        ({"A": "1", "B": "2"}, {"B": "env:X", "A": "env:X"}, "both `env` and `--secret` set A, B"),
        ({"NODE": "1"}, {"A": "env:NODE"}, "secret A is read from the variable NODE, which this job sets"),
        ({}, {"A": "env:B", "B": "file:/b"}, "secret A is read from the variable B, which this job sets"),
        ({"PYTHONPATH": "/x"}, {}, "`env` sets PYTHONPATH, which the bundle owns"),
        ({SECRETS: "A file:/x"}, {}, f"`env` sets {SECRETS}, which the bundle owns"),
    ],
)
def test_variables_that_are_set_in_two_ways_are_refused(
    env: dict[str, str], secrets: dict[str, str], message: str
) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        render(env, secrets)


def test_what_the_user_passes_lies_below_what_the_bundle_sets() -> None:
    passed = {"pip": ["x"], "working_dir": "/theirs", "env_vars": {"A": "below", "D": "4"}}

    rendered = render({"A": "1"}, {"S": "env:S"}, passed=passed)

    assert rendered["pip"] == ["x"]
    assert rendered["working_dir"] == "gcs://bundle.zip"
    assert rendered["env_vars"] == {
        "A": "1",
        "D": "4",
        SECRETS: "S env:S",
        "RAYBUNDLE_BOOT": "b00",
        "RAYBUNDLE_DIGEST": DIGEST,
    }
    assert passed["env_vars"] == {"A": "below", "D": "4"}
    with pytest.raises(UsageError, match="both `env` and `--secret` set D"):
        render({}, {"D": "env:D"}, passed=passed)


@pytest.mark.parametrize(
    ("sent", "place"),
    [
        ({"pip": ["--index-url=https://me:CANARY@host/simple"]}, "runtime_env.pip"),
        ({"pip": {"packages": ["x @ https://CANARY@host/x.whl"]}}, "runtime_env.pip.packages"),
        ({"uv": {"uv_pip_install_options": ["--index=https://CANARY@host"]}}, "uv_pip_install_options"),
        ({"conda": {"dependencies": [{"pip": [f"hf_{MIXED}"]}]}}, "runtime_env.conda.dependencies.pip"),
        ({"config": {"api_key": "CANARYCANARY"}}, "runtime_env.config.api_key"),
        ({"config": {f"ghp_{MIXED}": 1}}, "a key of runtime_env.config"),
        ({"nsight": {"o": f"hf_{MIXED}"}}, "runtime_env.nsight.o"),
    ],
)
def test_a_secret_at_any_depth_of_a_runtime_env_is_refused_by_its_place(
    sent: dict[str, Any], place: str
) -> None:
    with pytest.raises(UsageError, match=place) as refusal:
        refuse_sent({"runtime_env": sent})
    assert "CANARY" not in f"{refusal.value}{refusal.value.hint}"
    assert MIXED not in str(refusal.value)


@pytest.mark.parametrize(
    "sent",
    [
        {"pip": ["--index-url=https://${USER}:${PASSWORD}@host/simple", "humanize==4.9"]},
        {"pip": ["x @ git+https://git@github.com/a/x", "y @ git+ssh://git@github.com/a/y"]},
        {"config": {"setup_timeout_seconds": 600, "eager_install": True}},
        {"uv": {"packages": ["a"], "uv_check": True}, "worker_process_setup_hook": "a.token"},
    ],
)
def test_a_runtime_env_without_secrets_is_sent(sent: dict[str, Any]) -> None:
    refuse_sent({"runtime_env": sent})


@pytest.mark.parametrize(
    ("words", "numbers"),
    [
        (["--api-key", "CANARYCANARY"], "2"),
        (["--api-key=CANARYCANARY", "x"], "1"),
        (["x", f"hf_{MIXED}", "redis://a:CANARY@host"], "2, 3"),
        (["+db.password=CANARYCANARY", "lr=0.1", "-D", "api_key=CANARYCANARY"], "1, 4"),
        (["model.tokens=4096000000", "pad_token=<|endoftext|>", "token=${TOKEN}"], None),
        (["--token", "--verbose"], None),
        (["--token-file=/run/secret/token", "--tokens", "4096", "--token", "${TOKEN}"], None),
    ],
)
def test_arguments_that_look_like_a_secret_are_numbered(words: list[str], numbers: str | None) -> None:
    warning = arguments_warning(words)

    assert (warning and warning.text.split(" of ")[0]) == (numbers and f"argument {numbers}")


@pytest.mark.parametrize(("length", "refused"), [(200, False), (201, True), (4000, True)])
def test_an_id_that_would_leave_its_job_pending_is_refused(length: int, refused: bool) -> None:
    options = JobOptions(submission_id="a" * length)
    if not refused:
        options.check()
        return
    with pytest.raises(UsageError, match=f"has {length} characters, and an id has at most 200"):
        options.check()
