def answer():
    import late

    return late.VALUE
