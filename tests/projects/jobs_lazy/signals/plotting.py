from signals.colours import PALETTE

COLOUR = PALETTE[0]
