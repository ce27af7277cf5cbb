from django.db.models.signals import pre_save
from django.dispatch import receiver

from .models import Order


@receiver(pre_save, sender=Order)
def normalise(sender, instance, **_):
    instance.country = instance.country.upper()
