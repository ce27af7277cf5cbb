"""Tells by its path alone that a file holds secrets."""

from __future__ import annotations

import re

_TEMPLATES = frozenset(["dist", "example", "examples", "sample", "samples", "template", "tmpl", "j2", "pub"])
"""Words in a name that make it a form to fill in or a public key."""

_RULES: dict[str, str] = {
    "env-file": r"\.env(?![a-z0-9]).* | \.envrc | [^/]+\.env",
    "private-key": r"id_(rsa|dsa|ecdsa|ed25519|xmss)(_sk)?(?![a-z0-9]).* | [^/]+\.(pem|ppk|p8|pk8)",
    "key-store": r"[^/]+\.(p12|pfx|jks|jceks|keystore|kdbx)",
    "ssh-directory": r"\.ssh/(?!(known_hosts|config)$)[^/]+ | \.gnupg/.+",
    "cloud-credentials": r"""\.aws/.+ | \.azure/.+ | \.boto | \.s3cfg | \.databrickscfg | kaggle\.json
        | gcloud/(credentials|access_tokens)\.db | application_default_credentials\.json
        | credentials\.json | client[-_]secret[^/]*\.json | service[-_]account[^/]*\.json""",
    "cluster-credentials": r"\.kube/.+ | kubeconfig",
    "registry-credentials": r"\.docker/config\.json | \.docker(cfg|configjson) | \.pypirc | \.npmrc",
    "login-file": r"""[._]netrc | \.git-credentials | \.pgpass | pgpass\.conf | \.my\.cnf | \.mylogin\.cnf
        | \.htpasswd""",
    "vault-token": r"\.vault-token",
    "secret-file": r"""(secrets?|credentials?)/(.+/)?[^/.]+(\.(txt|key|token))?
        | \.(secrets?|credentials?)/(.+/)?[^/.]+(\.(txt|key|token|json|ya?ml|toml|ini))?
        | ([^/]*[._-])?(passwd|password|passphrase)(\.(txt|key))?
        | ([^/]*[._-])?(api|access|private|secret)[-_]?key(\.(txt|key))?
        | ([^/]*[._-])?(access|api|auth|bearer|gh|github|gitlab|hf|refresh|secret)[-_]token(\.(txt|key))?""",
    "settings-of-dynaconf": r"\.secrets(\.[^/]+)?\.(toml|tml|ya?ml|json|ini|conf|properties|py)",
}
"""By rule: paths in lower case, whole or behind a `/`."""

_SETS = "`--env NAME=VALUE` sets a variable, `--secret NAME=file:PATH` one that is secret; then"
_GIVES = "`--secret NAME=file:PATH` gives it to the job; then"
_PERHAPS = "`--secret NAME=file:PATH` gives it to the job, `include` and `{0}` bundle what is none; then"

NAME_RULES = frozenset(_RULES)
_EXPRESSIONS = {
    rule: re.compile(rf"(?:.*/)?(?:{expression})", re.VERBOSE | re.DOTALL)
    for rule, expression in _RULES.items()
}
_SOURCE = (".py", ".pyi", ".ipynb")
"""Files that are scanned for secrets themselves; but no module has a name that begins with a dot."""


def secret_name_rule(path: str) -> str | None:
    """Returns the rule by which the name of a file says that it holds secrets; None if it does not.

    Args:
        path: with `/`, relative or absolute; directories such as `.aws` count wherever they stand.
    """
    lowered = path.lower()
    name = lowered.rpartition("/")[2]
    source = lowered.endswith(_SOURCE) and not name.startswith(".")
    if source or not _TEMPLATES.isdisjoint(re.split(r"[._-]", name)):
        return None
    for rule, expression in _EXPRESSIONS.items():
        if expression.fullmatch(lowered):
            return rule
    return None


def secret_fault(path: str) -> tuple[str, str] | None:
    """Returns why a file with the name of a secret cannot travel, and what to do; None for any other.

    Args:
        path: as above.
    """
    rule = secret_name_rule(path)
    if rule == "env-file":
        return "it may hold secrets, and what it sets is not set in the job", _SETS
    if rule is None:
        return None
    allowance = f'allow-secrets = ["{path}:{rule}"]'
    gives = _PERHAPS.format(allowance) if rule == "secret-file" else _GIVES
    return f"its name is that of a secret ({rule})", gives


_PEM_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----")


def is_public_pem(data: bytes) -> bool:
    """Returns whether PEM text holds blocks, and only public ones: certificates, public keys, parameters."""
    kinds = [match[1] for match in _PEM_BLOCK.finditer(data)]
    return bool(kinds) and not any(b"PRIVATE" in kind for kind in kinds)
