def run():
    print("clean")
