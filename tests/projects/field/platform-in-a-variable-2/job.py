import platform
import sys

_SYSTEM = platform.system().lower()
WINDOWS = sys.platform.startswith("win")
ON_APPLE_SILICON = sys.platform == "darwin" and platform.machine() == "arm64"

if WINDOWS:
    import pywintypes
    from absent_win.files import lock
else:
    from fcntl import flock as lock

if _SYSTEM == "darwin":
    from Foundation import NSBundle
elif _SYSTEM == "windows":
    import wmi

if ON_APPLE_SILICON:
    import absent_coreml

print(lock.__name__)
