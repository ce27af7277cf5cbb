from cluster.session import connect, ray

connect()
rows = ray.data.range(3).map(lambda row: {"id": row["id"] * 2}).take_all()
print("SUM", sum(row["id"] for row in rows))
