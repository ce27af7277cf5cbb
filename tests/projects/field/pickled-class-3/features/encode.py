def one_hot(vocabulary, word):
    return [int(word == each) for each in vocabulary]
