import importlib

from site_settings import INSTALLED_APPS

for app in INSTALLED_APPS:  # what Django's registry does, without Django
    for part in ("apps", "models"):
        name = app.removesuffix(".apps.ShopConfig")
        importlib.import_module(name + "." + part)  # raybundle: ignore
