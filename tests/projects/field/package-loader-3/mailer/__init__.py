from jinja2 import Environment, PackageLoader

_subjects = Environment(loader=PackageLoader(__name__, package_path="subjects"))


def subject(name):
    return _subjects.get_template("welcome.txt").render(name=name)
