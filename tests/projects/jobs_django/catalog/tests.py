from django.test import TestCase

from catalog.models import Product


class ProductTest(TestCase):
    def test_nothing_is_there(self):
        self.assertEqual(Product.objects.count(), 0)
