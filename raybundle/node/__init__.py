"""What travels to a node and runs there: standard library only, imports nothing of ours."""
