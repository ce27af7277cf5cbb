def rounded(cents):
    return int(cents // 5 * 5)
