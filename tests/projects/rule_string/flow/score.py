def run():
    print("score")
