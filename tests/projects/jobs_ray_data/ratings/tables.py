from pathlib import Path

import pandas as pd


def hotels():
    return pd.read_csv(Path(__file__).with_name("hotels.csv"))
