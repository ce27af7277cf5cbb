"""Makes archive members with fixed metadata, so that the same files give the same bytes."""

from __future__ import annotations

import zipfile

_TIME = (1980, 1, 1, 0, 0, 0)
_MODES = {False: 0o100644, True: 0o100755}
_UNIX = 3


def member_info(
    name: str, *, executable: bool = False, compression: int = zipfile.ZIP_DEFLATED
) -> zipfile.ZipInfo:
    """Returns the metadata of a member; time, system and owner are the same everywhere."""
    info = zipfile.ZipInfo(name, _TIME)
    info.create_system = _UNIX
    info.external_attr = _MODES[executable] << 16
    info.compress_type = compression
    return info
