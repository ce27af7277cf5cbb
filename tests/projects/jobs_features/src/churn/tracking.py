from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from churn.serving.app import Server

LOGGER = logging.getLogger(__name__)


def log_fit(region: str, rows: int, server: Server | None = None) -> None:
    LOGGER.info("fitted %s with %d rows", region, rows)
