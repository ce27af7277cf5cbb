import logging


class LineFormatter(logging.Formatter):
    def format(self, record):
        return f"LINE {record.getMessage()}"
