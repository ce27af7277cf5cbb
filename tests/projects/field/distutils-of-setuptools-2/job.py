import os
from distutils.util import strtobool

print(bool(strtobool(os.environ.get("USE_GPU", "no"))))
