"""The output of commands: text, JSON documents and logs."""
