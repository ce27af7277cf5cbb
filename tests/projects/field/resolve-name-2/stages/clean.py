class Stage:
    name = "stage"
