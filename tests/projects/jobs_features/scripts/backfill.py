from churn.dataset import load

print(len(load()))
