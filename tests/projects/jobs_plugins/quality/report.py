def as_line(found):
    return " ".join(f"{name}:{','.join(failed) or 'ok'}" for name, failed in found)
