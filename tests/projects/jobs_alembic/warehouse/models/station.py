from sqlalchemy.orm import Mapped, mapped_column, relationship

from .base import Base


class Station(Base):
    __tablename__ = "station"
    name: Mapped[str] = mapped_column(primary_key=True)
    readings: Mapped[list["Reading"]] = relationship("Reading")  # noqa: F821
