import django
from django.conf import settings

settings.configure(INSTALLED_APPS=["shop", "billing.apps.BillingConfig"])
django.setup()

from django.utils.module_loading import autodiscover_modules

import registry

autodiscover_modules("jobs")
print(sorted(registry.JOBS))
