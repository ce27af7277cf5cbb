"""Finds and removes tokens, and the credentials in URLs, wherever they are in a text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_URL = re.compile(
    r"""(?P<scheme>[a-z][a-z0-9+.-]{1,30})://
        (?: (?P<login> [^/?#\s'"`<>]*                                     # up to the last `@` before the path
                     | [^/?#\s'"`<>@:\[\]]+:(?!\d*[/?#,])[^\s'"`<>]* )@ )?  # a password with `/`, `?` or `#`
        (?P<place>[^?#\s'"`<>]*)
        (?P<query>[?#][^\s'"`<>]*?(?=[).,;:\]]*(?:[\s'"`<>]|$)))?
      | (?<![^\s'"`<>]) (?:(?P<start>[^\s'"`<>/\\@:]{2,}:/?))?           # a URL without `//`
        (?P<bare>[^\s'"`<>/\\@:]+:[^\s'"`<>/\\]+)@
    """,
    re.VERBOSE | re.IGNORECASE,
)
_LOGIN = re.compile(r"(?<=://)[^/\s:@]*:(?P<password>[^/\s@]+)@")
"""A password with quotes or brackets, or with digits first, in a URL that is a whole value."""
_SIGNATURE = re.compile(
    r"[?&;#](?:[\w.-]*[._-])?"
    r"(?:sig|signature|credential|token|password|secret|(?:api|access|secret)[_-]?key)"
    r"=([^&;#]{8,})",
    re.IGNORECASE,
)
"""A parameter that makes the URL itself grant access: of S3, GCS and Azure, and tokens in general."""
_REFERENCE = re.compile(r"\$\{\w+\}")
"""A variable in place of the value: pip, uv and Ray replace it."""
_PLACEHOLDER = re.compile(r"[${%*]")
_PUBLIC_USERS = frozenset({"git", "hg"})
"""Users of version control servers that identify themselves by keys."""
_CONTAINERS = frozenset({"abfs", "abfss", "wasb", "wasbs"})
"""Schemes of Azure, whose URLs have a container in the place of the user."""

_TOKEN = re.compile(
    r"""  -----BEGIN\ [A-Z ]*PRIVATE\ KEY
      | (?<![A-Za-z0-9])(
            (AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])        # AWS
          | gh[opsur]_[A-Za-z0-9]{36}                     # GitHub
          | github_pat_[A-Za-z0-9_]{22}
          | glpat-[A-Za-z0-9_-]{20}                       # GitLab
          | hf_[A-Za-z0-9]{30}                            # Hugging Face
          | xox[abeoprs]-[A-Za-z0-9-]{10}                 # Slack
          | sk-([A-Za-z0-9]+-)*[A-Za-z0-9]{20}            # OpenAI and those who follow it
          | sk-(?=[\w-]*[A-Z])(?=[\w-]*[0-9])[\w-]{20}
          | AIza[A-Za-z0-9_-]{35}                         # Google
          | eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.                  # a JSON web token
        )
    """,
    re.VERBOSE,
)
"""Tokens that their shape gives away."""


def has_token(text: str) -> bool:
    """Returns whether a part of `text` has the shape of a token or of a private key."""
    return _TOKEN.search(text) is not None


def masked(text: str) -> str:
    """Returns `text` with `…` in place of tokens, and of passwords and signatures in URLs."""
    for each in sorted(set(passwords_in(text)), key=len, reverse=True):
        text = text if _REFERENCE.fullmatch(each) else text.replace(each, "…")
    return _TOKEN.sub("…", text)


def without_credentials(text: str) -> str:
    """Returns `text` without the users, passwords, queries and fragments of its URLs."""
    return _URL.sub(_public, _LOGIN.sub("", text))


def has_credentials(text: str) -> bool:
    """Returns whether a URL in `text` has a user, password or signature that is not a variable."""
    logins = [found["login"] or found["bare"] for found in _URL.finditer(text) if not _is_public(found)]
    return any(login and "${" not in login for login in logins) or has_password(text)


def has_password(text: str) -> bool:
    """Returns whether a URL in `text` has a password or signature that is not a variable."""
    return any(not _REFERENCE.fullmatch(each) for each in passwords_in(text))


def passwords_in(text: str) -> Iterator[str]:
    """Yields the passwords and signatures of the URLs in `text`."""
    yield from (found["password"] for found in _LOGIN.finditer(text))
    for found in _URL.finditer(text):
        yield from filter(None, [(found["login"] or "").partition(":")[2]])
        for value in _SIGNATURE.findall(found["query"] or ""):
            yield from [] if _PLACEHOLDER.match(value) else [value]


def _public(found: re.Match[str]) -> str:
    if found["bare"]:
        return found["start"] or ""
    login = f"{found['login']}@" if _is_public(found) else ""
    return f"{found['scheme']}://{login}{found['place']}"


def _is_public(found: re.Match[str]) -> bool:
    login = found["login"]
    if not login or ":" in login:
        return False
    return login in _PUBLIC_USERS or found["scheme"].lower() in _CONTAINERS
