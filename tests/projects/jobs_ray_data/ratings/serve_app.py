from ratings.http import ROUTES

APP = ROUTES
