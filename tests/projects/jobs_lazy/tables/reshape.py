def pivot(rows):
    return {name: values for name, *values in sorted(rows)}
