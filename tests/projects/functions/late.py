WORD = "late"


class NoSuchPlace(Exception):
    def __init__(self, place, reason):
        super().__init__(f"{place}: {reason}")
        self.place = place
