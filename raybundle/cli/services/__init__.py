"""CI services: what they read of a command's output, and what they tell it."""
