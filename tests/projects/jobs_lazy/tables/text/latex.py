def render(wide):
    return "\\begin{table}"
