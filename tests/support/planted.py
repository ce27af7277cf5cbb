"""Fake secrets, made on request, so that the repository itself contains no token."""

from __future__ import annotations

import random
import string

DIGITS, LETTERS = string.digits, string.ascii_letters
WORD = LETTERS + DIGITS
HEX = "0123456789abcdef"
BASE32 = string.ascii_uppercase + "234567"


def text(length: int, alphabet: str = WORD, seed: int = 5) -> str:
    """Returns meaningless characters, the same each time."""
    source = random.Random(f"{seed} {length} {alphabet}")  # noqa: S311 - the same each time
    return "".join(source.choice(alphabet) for _ in range(length))


def pem(kind: str, line_end: str = "\n") -> str:
    """Returns a PEM block: `RSA PRIVATE KEY`, `CERTIFICATE`."""
    dashes = "-" * 5
    lines = [text(64, seed=number) for number in range(8)]
    return line_end.join([f"{dashes}BEGIN {kind}{dashes}", *lines, f"{dashes}END {kind}{dashes}"])


def service_account() -> str:
    """Returns a service account key like one from Google's console."""
    site = "https://www.googleapis.com/oauth2/v1/certs"
    return (
        f'{{"type": "service_account", "project_id": "x", "private_key_id": "{text(40, HEX)}",'
        f' "private_key": "{pem("PRIVATE KEY", chr(92) + "n")}", "auth_provider_x509_cert_url": "{site}"}}'
    )


def jwt() -> str:
    """Returns a JSON web token with a header that says so."""
    return "ey" + f"JhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiI{text(30)}.{text(43)}"


def aws(seed: int = 5) -> str:
    """Returns Python that holds an access key with its secret."""
    return (
        f'aws_access_key_id = "AKI{"A"}{text(16, BASE32, seed)}"\n'
        f'aws_secret_access_key = "{text(40, seed=seed)}"\n'
    )


def github(seed: int = 5) -> str:
    """Returns a personal access token of GitHub."""
    return "gh" + f"p_{text(36, seed=seed)}"


def url(scheme: str, user: str = "svc", seed: int = 5) -> str:
    """Returns a URL with a password."""
    return f"{scheme}:" + f"//{user}:{text(16, seed=seed)}@db.internal:5432/x"


PLANTED: dict[str, str] = {
    "aws-access-token": aws(),
    "private-key": pem("OPENSSH PRIVATE KEY"),
    "gcp-api-key": f'KEY = "AI{"za"}{text(35)}"',
    "github-pat": f"TOKEN = '{github()}'",
    "github-fine-grained-pat": f'TOKEN = "github{"_pat_"}{text(82)}"',
    "gitlab-pat": f'TOKEN = "gl{"pat-"}{text(20)}"',
    "slack-bot-token": f'TOKEN = "xox{"b-"}{text(12, DIGITS)}-{text(12, DIGITS, 6)}-{text(24)}"',
    "huggingface-access-token": f'TOKEN = "h{"f_"}{text(34, LETTERS)}"',
    "pypi-upload-token": f"password = pypi{'-AgEIcHlwaS5vcmc'}{text(70)}",
    "npm-access-token": f'TOKEN = "np{"m_"}{text(36)}"',
    "openai-api-key": f'KEY = "sk{"-proj-"}{text(74)}T3Bl{"bkFJ"}{text(74, seed=6)}"',
    "anthropic-api-key": f'KEY = "sk{"-ant-api03-"}{text(93)}AA"',
    "stripe-access-token": f'KEY = "sk{"_live_"}{text(24)}"',
    "databricks-api-token": f'TOKEN = "da{"pi"}{text(32, HEX)}"',
    "weights-and-biases-api-key": f'WANDB_API_KEY = "{text(40, HEX)}"',
    "jwt": f'TOKEN = "{jwt()}"',
    "generic-credential-uri": f'URL = "{url("postgresql")}"',
}
"""Source that breaks a rule on its first line, by the name of the rule."""
