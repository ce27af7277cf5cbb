from forecast.http import serve


def main():
    serve()
