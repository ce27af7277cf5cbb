from django.http import JsonResponse

from orders.models import Order
from orders.serialisers import as_json


def index(request):
    return JsonResponse({"orders": [as_json(each) for each in Order.objects.all()]})
