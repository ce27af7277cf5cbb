ROUTES = ["/predict", "/health"]
