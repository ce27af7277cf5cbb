__all__ = ["exported", "value"]
value = 1
