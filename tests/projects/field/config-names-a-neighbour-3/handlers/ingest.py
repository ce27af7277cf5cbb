from absent_powertools import Logger

logger = Logger()


def handle(event, context):
    logger.info(event)
