import distutils.spawn
import os
import tempfile
from distutils import dir_util, log


def copy_all():
    log.set_verbosity(0)
    with tempfile.TemporaryDirectory() as place:
        copied = dir_util.copy_tree(os.path.dirname(__file__), place + "/copy")
    names = [os.path.basename(each) for each in copied if each.endswith(".py")]
    return sorted(names), distutils.spawn.find_executable("sh") is not None
