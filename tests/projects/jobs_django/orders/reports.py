from django.db.models import F, Sum

from orders.models import Order


def total_of(country):
    orders = Order.objects.of(country)
    return orders.aggregate(total=Sum(F("pieces") * F("product__cents")))["total"]
