def clean(text):
    return f"clean {text}"
