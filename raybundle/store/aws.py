"""Finds endpoint, region and credentials of an S3 store, configured as for AWS's own tools."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raybundle.errors import UNREADABLE, StoreAccessError, UsageError
from raybundle.formats.credentials import without_credentials

if TYPE_CHECKING:
    import configparser
    from collections.abc import Callable, Mapping

    from botocore.credentials import Credentials
    from obstore.store import S3Credential

_SECRETS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
_SERVER = re.compile(
    r"https?://(?:[\w.~!$&'()*+,;=:%-]+@)?(?:[\w.-]+|\[[0-9a-f:.]+\])(?::(?P<port>\d{1,5}))?(?:/[!#-;=?-_a-~]*)?",
    re.ASCII | re.IGNORECASE,
)
"""The URL of a server; obstore panics at others."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LARGEST_PORT = 65535
DEFAULT_REGION = "us-east-1"
"""The default of obstore and of most S3-compatible servers."""

CREDENTIALS_TTL = timedelta(minutes=5)
"""How long a client keeps temporary credentials; botocore renews them 10 minutes before they end."""


@dataclass(frozen=True, slots=True)
class BucketAccess:
    """How to reach a bucket."""

    endpoint: str | None
    """None for AWS itself."""
    region: str
    certificates: Path | None
    """PEM file of certificate authorities to trust in addition to the system's."""
    source: str
    """Where the credentials come from, in words; holds no part of them."""
    credentials: Callable[[], S3Credential]


def find_access(environ: Mapping[str, str], profile: str | None) -> BucketAccess:
    """Returns how to reach a bucket, from the environment and `~/.aws`.

    As in boto3, an explicit `profile` comes before keys in the environment, and those before AWS_PROFILE.
    Without keys in the environment, botocore is imported.

    Raises:
        UsageError: A profile does not exist, a file cannot be read, or no request can have a value.
        StoreAccessError: There are no credentials, or they cannot be obtained.
    """
    settings = _profile_settings(environ, profile)
    endpoint = _find_endpoint(environ, settings)
    region = _first(environ, "AWS_REGION", "AWS_DEFAULT_REGION") or settings.get("region") or DEFAULT_REGION
    _refuse_control("AWS_REGION or region", region)
    source, credentials = _find_credentials(environ, profile)
    certificates = environ.get("AWS_CA_BUNDLE") or settings.get("ca_bundle")
    return BucketAccess(endpoint, region, Path(certificates) if certificates else None, source, credentials)


def _find_endpoint(environ: Mapping[str, str], settings: Mapping[str, str]) -> str | None:
    if environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        return None
    named = _first(environ, "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
    found = named or settings.get("s3.endpoint_url") or settings.get("endpoint_url")
    match = _SERVER.fullmatch(found or "http://-")
    if match is None or int(match["port"] or 0) > _LARGEST_PORT:
        shown = without_credentials(found or "")
        raise UsageError(
            f"{shown!r} (AWS_ENDPOINT_URL or endpoint_url) is not the URL of a server",
            hint="write http:// or https:// and the host, such as http://minio:9000",
        )
    return found


def _refuse_control(name: str, *values: str | None) -> None:
    """Refuses what cannot be in the header of a request: most often the end of a line."""
    if any(_CONTROL.search(value or "") for value in values):
        raise UsageError(
            f"{name} has a control character, such as the end of a line", hint="set it again without that"
        )


def _find_credentials(
    environ: Mapping[str, str], profile: str | None
) -> tuple[str, Callable[[], S3Credential]]:
    access_key, secret = environ.get("AWS_ACCESS_KEY_ID"), environ.get("AWS_SECRET_ACCESS_KEY")
    if not (access_key and secret) or profile:
        return _chain(environ, profile or _first(environ, "AWS_PROFILE", "AWS_DEFAULT_PROFILE"))
    for name in _SECRETS:
        _refuse_control(name, environ.get(name))
    fixed: S3Credential = {
        "access_key_id": access_key,
        "secret_access_key": secret,
        "token": environ.get("AWS_SESSION_TOKEN") or None,
        "expires_at": None,
    }
    return "AWS_ACCESS_KEY_ID in the environment", lambda: fixed


def _chain(environ: Mapping[str, str], profile: str | None) -> tuple[str, Callable[[], S3Credential]]:
    """Asks botocore: files, SSO, roles, containers, instance metadata."""
    # Takes 0.3 s of CPU; a run with keys in the environment skips it.
    import botocore.exceptions  # noqa: PLC0415
    import botocore.session  # noqa: PLC0415

    session = botocore.session.Session(profile=profile)
    session.set_config_variable("config_file", str(_config_file(environ)))
    session.set_config_variable("credentials_file", str(_credentials_file(environ)))
    try:
        credentials = session.get_credentials()
        if credentials is not None:
            _refuse_control(
                f"a key of profile {profile or 'default'}", *credentials.get_frozen_credentials()[:3]
            )
    except botocore.exceptions.ProfileNotFound as error:
        raise UsageError(
            f"no AWS profile {profile!r} in {_config_file(environ)} or {_credentials_file(environ)}",
            hint="choose a profile that `aws configure list-profiles` prints",
        ) from error
    except (
        botocore.exceptions.BotoCoreError,
        OSError,
        *UNREADABLE,
    ) as error:  # of what a program prints, too
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise StoreAccessError(
            f"cannot get AWS credentials for profile {profile or 'default'}: {reason}",
            hint="sign in again (`aws sso login`), or check the profile with `aws sts get-caller-identity`",
        ) from error
    if credentials is None:
        raise _no_credentials(environ)
    return f"profile {profile or 'default'} ({credentials.method})", lambda: _current(credentials)


def _current(credentials: Credentials) -> S3Credential:
    frozen = credentials.get_frozen_credentials()
    return {
        "access_key_id": frozen.access_key or "",
        "secret_access_key": frozen.secret_key or "",
        "token": frozen.token,
        "expires_at": datetime.now(timezone.utc) + CREDENTIALS_TTL,
    }


def _no_credentials(environ: Mapping[str, str]) -> StoreAccessError:
    return StoreAccessError(
        "no AWS credentials: looked in the environment, "
        f"{_credentials_file(environ)}, {_config_file(environ)}, container and instance roles",
        hint="set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    )


def _profile_settings(environ: Mapping[str, str], profile: str | None) -> dict[str, str]:
    """Returns region, endpoint_url, ca_bundle and `s3.endpoint_url` of the profile.

    https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html
    """
    name = profile or _first(environ, "AWS_PROFILE", "AWS_DEFAULT_PROFILE") or "default"
    config = _read_ini(_config_file(environ))
    settings = _section(config, "default" if name == "default" else f"profile {name}")
    settings |= _section(_read_ini(_credentials_file(environ)), name)
    services = _nested(_section(config, f"services {settings.get('services', '')}").get("s3", ""))
    own = services or _nested(settings.get("s3", ""))
    return settings | {f"s3.{key}": value for key, value in own.items()}


def _nested(text: str) -> dict[str, str]:
    """Reads an indented block, which configparser returns as one value of several lines."""
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {key.strip(): value.strip() for key, _, value in pairs}


def _section(parser: configparser.RawConfigParser | None, name: str) -> dict[str, str]:
    return dict(parser.items(name)) if parser is not None and parser.has_section(name) else {}


def _read_ini(path: Path) -> configparser.RawConfigParser | None:
    if not path.is_file():
        return None
    import configparser  # noqa: PLC0415 - most runs on a cluster have no such file

    parser: Any = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeError, configparser.Error) as error:
        raise UsageError(f"cannot read {path}: {error}".replace("\n", " ")) from error
    found: configparser.RawConfigParser = parser
    return found


def _config_file(environ: Mapping[str, str]) -> Path:
    return _aws_file(environ, "AWS_CONFIG_FILE", "config")


def _credentials_file(environ: Mapping[str, str]) -> Path:
    return _aws_file(environ, "AWS_SHARED_CREDENTIALS_FILE", "credentials")


def _aws_file(environ: Mapping[str, str], variable: str, name: str) -> Path:
    home = Path(environ["HOME"]) if environ.get("HOME") else Path.home()
    named = environ.get(variable)
    if not named:
        return home / ".aws" / name
    return home / named[2:] if named.startswith("~/") else Path(named)


def _first(environ: Mapping[str, str], *names: str) -> str | None:
    return next((environ[name] for name in names if environ.get(name)), None)
