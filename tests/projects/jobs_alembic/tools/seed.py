from warehouse.database import upgraded

with upgraded() as session:
    print(session)
