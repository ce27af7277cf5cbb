def write():
    print("disk")
