def who():
    return "lib.inner"
