from __future__ import annotations

import pytest

from raybundle.resolve.files.secret_names import is_public_pem, secret_name_rule
from tests.support.planted import pem

SECRET = {
    "env-file": [".env", "a/.env.local", ".ENV", ".envrc", "prod.env"],
    "private-key": ["id_rsa", "id_ed25519", "id_ecdsa_sk", "id_rsa.old", "certs/server.pem", "a.ppk", "a.p8"],
    "key-store": ["a.p12", "a.pfx", "a.jks", "a.kdbx"],
    "ssh-directory": [".ssh/work", "home/.ssh/authorized_keys2", ".gnupg/secring.gpg"],
    "cloud-credentials": [
        *(".aws/credentials", ".aws/sso/cache/x.json", ".azure/msal_token_cache.json", "credentials.json"),
        *("service-account-prod.json", "service_account.json", "client_secret_1.json", ".databrickscfg"),
        *("gcloud/credentials.db", "kaggle.json", ".boto"),
    ],
    "cluster-credentials": [".kube/config", "kubeconfig"],
    "registry-credentials": [".docker/config.json", ".pypirc", ".npmrc"],
    "login-file": [".netrc", "_netrc", ".git-credentials", ".pgpass", ".my.cnf", ".htpasswd"],
    "vault-token": [".vault-token"],
    "secret-file": [
        *(
            "secrets/db_password",
            ".secrets/token",
            "app/.secrets/prod/db.yaml",
            "secret/key.txt",
            "a/credentials/x",
        ),
        *("db_password", "etc/password.txt", "api_key", "openai-api-key.txt", "hf_token", "a/auth_token.txt"),
    ],
    "settings-of-dynaconf": [".secrets.toml", "config/.secrets.yaml", ".secrets.local.toml", "a/.secrets.py"],
}
HARMLESS = [
    *(".env.example", ".env.sample", "a/.env.template", "example.env", "credentials.example.json", ".envoy"),
    *("id_rsa.pub", "id_map.json", "id_rsa.py", "ids.csv", ".ssh/known_hosts", ".ssh/work.pub"),
    *("env.py", "pkg/credentials.py", "config.json", "docker/config.json", "kube/config", "aws/a.csv"),
    *("service_accounts.py", "server.crt", "keys.txt", "netrc", "settings.env.py", "data.key"),
    *(
        "secrets/README.md",
        "secrets/__init__.py",
        "secrets/schema.sql",
        "pkg/secrets/rules.json",
        "secrets/db.yaml.example",
        "secrets/.gitkeep",
    ),
    *(
        "passwords.txt",
        "password.csv",
        "tokens.txt",
        "special_token.json",
        "token",
        "keys/api",
        "end_token.bin",
    ),
    *("service-account-sample.json", "environment", ".secrets.example.toml", "secrets.toml", "secrets.py"),
]


@pytest.mark.parametrize(("rule", "path"), [(rule, path) for rule, paths in SECRET.items() for path in paths])
def test_a_name_says_that_a_file_holds_secrets(rule: str, path: str) -> None:
    assert secret_name_rule(path) == rule


@pytest.mark.parametrize("path", HARMLESS)
def test_a_name_that_only_resembles_one_is_left_alone(path: str) -> None:
    assert secret_name_rule(path) is None


@pytest.mark.parametrize(
    ("data", "public"),
    [
        (pem("CERTIFICATE"), True),
        (pem("CERTIFICATE") + "\n" + pem("PUBLIC KEY"), True),
        (pem("CERTIFICATE") + "\n" + pem("RSA PRIVATE KEY"), False),
        (pem("ENCRYPTED PRIVATE KEY"), False),
        ("anything else", False),
    ],
)
def test_certificates_are_public_and_a_key_among_them_is_not(data: str, *, public: bool) -> None:
    assert is_public_pem(data.encode()) is public
