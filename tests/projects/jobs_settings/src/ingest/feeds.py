FEEDS = ["people", "orders", "visits"]
