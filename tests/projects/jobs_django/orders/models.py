from django.db import models

from orders.managers import OrderQuerySet


class Order(models.Model):
    product = models.ForeignKey("catalog.Product", on_delete=models.CASCADE)
    country = models.CharField(max_length=2)
    pieces = models.IntegerField()

    objects = OrderQuerySet.as_manager()
