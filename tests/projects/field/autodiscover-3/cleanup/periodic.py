from celery import shared_task


@shared_task(name="cleanup.run")
def run():
    return "clean"
