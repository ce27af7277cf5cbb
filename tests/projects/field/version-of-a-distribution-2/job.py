import importlib.metadata as md

from report import banner

print(banner())
print(md.distribution("tabulate").metadata["Name"], any("MarkupSafe" in each for each in md.requires("Jinja2")))
