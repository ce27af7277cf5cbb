PAGES = ["index"]
