from engine.ledger import entries

print(entries(2023))
