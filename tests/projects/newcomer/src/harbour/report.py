import jinja2

TEMPLATES = jinja2.Environment(loader=jinja2.PackageLoader("harbour", "templates"))


def report(rows, names):
    return TEMPLATES.get_template("report.txt.j2").render(rows=rows, names=names).strip()
