TARGET = "left"

COLUMNS = {"region": str, "plan": str, "age": float, "calls": float, "spent": float, TARGET: int}
