import logging


class Shorten(logging.Filter):
    def __init__(self, limit):
        super().__init__()
        self.limit = limit

    def filter(self, record):
        record.msg = record.msg[: self.limit]
        return True
