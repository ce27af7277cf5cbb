"""Curves for the notebook."""

import matplotlib.pyplot as plt

from churn.dataset import load


def ages():
    plt.hist(load()["age"])
