from .base import Base


class Audit(Base):
    __tablename__ = "audit"
