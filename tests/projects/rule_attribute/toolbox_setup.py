__import__("toolbox." + "".join(["s", "aw"]))  # raybundle: ignore
