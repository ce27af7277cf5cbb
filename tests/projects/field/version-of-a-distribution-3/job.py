import platform
from importlib import metadata

import pkg_resources

print(pkg_resources.get_distribution("tabulate").version)
pkg_resources.require("humanize>=4")
print(metadata.files("lazy-loader")[0].name, metadata.version(distribution_name="lazy_loader"))
