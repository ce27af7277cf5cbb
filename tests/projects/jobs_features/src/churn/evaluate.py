from churn.schema import TARGET


def summarise(models, table):
    right = [float((model.predict(table) == table[TARGET]).mean()) for model in models]
    return f"{len(models)} models, {min(right):.2f} at least"
