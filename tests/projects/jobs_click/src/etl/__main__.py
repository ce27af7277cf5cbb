from etl.main import cli

cli(prog_name="etl")
