from fleet.alpha import NAME as OTHER

NAME = f"beta after {OTHER}"
