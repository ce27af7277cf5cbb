from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base


class Reading(Base):
    __tablename__ = "reading"
    id: Mapped[int] = mapped_column(primary_key=True)
    station: Mapped[str] = mapped_column(ForeignKey("station.name"))
    day: Mapped[int]
    celsius: Mapped[float]
