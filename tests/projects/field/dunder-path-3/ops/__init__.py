import os
import sys

_base = os.path.abspath(os.path.join(os.path.dirname(__file__), ".."))
__path__.insert(0, os.path.join(_base, "build", "py%d" % sys.version_info[0]))
__path__ += [os.path.join(_base, "contrib")]
