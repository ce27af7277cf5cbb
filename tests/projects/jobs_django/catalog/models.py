from django.db import models

from .pricing import rounded


class Product(models.Model):
    name = models.CharField(max_length=40, unique=True)
    cents = models.IntegerField()

    def raise_by(self, percent):
        self.cents = rounded(self.cents * (100 + percent) / 100)
        self.save()
