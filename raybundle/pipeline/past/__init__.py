"""The stories about past runs: find one, complete its record, repeat it."""
