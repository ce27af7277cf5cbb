from churn.features.text import Words


def test_words():
    assert Words()
