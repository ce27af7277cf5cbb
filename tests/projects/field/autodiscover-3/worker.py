from celery import Celery

APPS = ("reports", "cleanup")

app = Celery("worker", broker="memory://", backend="cache+memory://")
app.autodiscover_tasks(packages=APPS, related_name="periodic")
