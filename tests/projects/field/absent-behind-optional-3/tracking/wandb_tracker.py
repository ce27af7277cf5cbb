import absent_wandb


class Tracker:
    run = absent_wandb.run
