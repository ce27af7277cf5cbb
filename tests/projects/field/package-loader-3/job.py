import gettext
import string
from pkgutil import get_data

import jinja2

import mailer

loader = jinja2.ChoiceLoader([jinja2.FileSystemLoader("overrides"), jinja2.PackageLoader("mailer")])
text = jinja2.Environment(loader=loader).get_template("hello.txt").render(name="x")
print(text, mailer.subject("y"))
print(gettext.translation("mailer", localedir="locale", languages=["de"]).gettext("hello"))
print(string.Template(get_data("mailer", "forms/footer.txt").decode()).substitute(year=2026).strip())
