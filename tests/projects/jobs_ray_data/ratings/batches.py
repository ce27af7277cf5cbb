def clean(batch):
    from ratings.cleaning.missing import fill

    return fill(batch)
