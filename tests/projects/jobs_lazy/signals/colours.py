PALETTE = ["red"]
