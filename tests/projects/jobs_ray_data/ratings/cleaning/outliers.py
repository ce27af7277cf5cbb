def drop(batch):
    return batch
