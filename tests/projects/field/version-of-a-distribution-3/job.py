import platform
from importlib import metadata

import pkg_resources

print(pkg_resources.get_distribution("tabulate").version)
pkg_resources.require("humanize>=4")
names = {file.name for file in metadata.files("lazy-loader")}
print("METADATA" in names, metadata.version(distribution_name="lazy_loader"))
