from engine.pages import PAGES

SITE = PAGES
