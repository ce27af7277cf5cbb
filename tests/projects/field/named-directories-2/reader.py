import os


def read() -> list[str]:
    paths = ["in.txt", os.path.join(os.environ["APP_HOME"], "me.txt")]
    paths += [os.path.join(os.environ["APP_DATA"], name) for name in sorted(os.listdir(os.environ["APP_DATA"]))]
    return [open(path).read().strip() for path in paths]
