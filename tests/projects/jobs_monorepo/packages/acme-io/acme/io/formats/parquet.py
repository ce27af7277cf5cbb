import pyarrow.parquet

read = pyarrow.parquet.read_table
