import os
import sys

PY2 = sys.version_info[0] == 2
IS_WINDOWS = os.name == "nt"
IS_MAC = sys.platform in ("darwin", "ios")
IS_POSIX = not IS_WINDOWS
