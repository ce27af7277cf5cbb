CODES = {"EUR", "CHF"}
