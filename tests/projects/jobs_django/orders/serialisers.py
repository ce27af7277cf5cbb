def as_json(order):
    return {"country": order.country, "pieces": order.pieces}
