from django.core.management.base import BaseCommand

from catalog.models import Product


class Command(BaseCommand):
    def add_arguments(self, parser):
        parser.add_argument("percent", type=int)

    def handle(self, *args, **options):
        for product in Product.objects.all():
            product.raise_by(options["percent"])
