from importlib.metadata import PackageNotFoundError, version

PACKAGES = ["humanize", "tabulate"]


def banner():
    lines = []
    for package in PACKAGES:
        try:
            lines.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            lines.append(f"{package} missing")
    return ", ".join(lines)
