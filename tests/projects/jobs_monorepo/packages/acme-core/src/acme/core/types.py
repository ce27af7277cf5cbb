from dataclasses import dataclass


@dataclass(frozen=True)
class Visit:
    shop: str
    minutes: float
