"""The history of runs in a store: a record before each submission, events after it, and marks to list."""
