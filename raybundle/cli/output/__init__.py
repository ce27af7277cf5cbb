"""What commands print: text, JSON documents and logs."""
