from django.db import models


class OrderQuerySet(models.QuerySet):
    def of(self, country):
        return self.filter(country=country)
