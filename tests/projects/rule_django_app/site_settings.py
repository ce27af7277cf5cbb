INSTALLED_APPS = ["shop.apps.ShopConfig", "stock"]
