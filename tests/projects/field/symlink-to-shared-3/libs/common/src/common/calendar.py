DAY = "monday"
