class Net:
    name = "net"
