from sqlalchemy import func, select

from . import models


def warmest(session):
    return session.scalar(select(func.max(models.Reading.celsius)))
