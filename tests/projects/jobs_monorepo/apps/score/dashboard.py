from acme.web.pages import PAGES

print(PAGES)
