from registry import job


@job
def charge():
    return "charged"
