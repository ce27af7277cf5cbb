"""Backtests every installed model, each on a node of its own."""

import sys

from forecast.backtest import backtest
from forecast.registry import names
from forecast.spread import spread

if __name__ == "__main__":
    errors = spread(backtest, names("forecast.models"), local="--local" in sys.argv)
    print("BACKTEST", " ".join(f"{name}={error:.2f}" for name, error in errors))
