from worker import app

app.loader.import_default_modules()
print(sorted(n for n in app.tasks if not n.startswith("celery.")))
print(app.tasks["reports.daily"].apply(args=(3,)).get())
