from . import report
from app import part

if __name__ == "__main__":
    print("SPEC", __spec__.name, part.NAME)
    report.everywhere("app", "app.part", "app.report")
