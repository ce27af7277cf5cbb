class Row:
    name = "row"
