from api import users
import api.orders as orders

print(users.VERSION, orders.VERSION)
