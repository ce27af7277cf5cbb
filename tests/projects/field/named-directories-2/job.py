import os
from pathlib import Path

import sqlalchemy

ENGINE = sqlalchemy.create_engine(f"sqlite:///{Path(__file__).resolve().parent}/db/app.sqlite3")
os.environ["APP_HOME"] = os.path.join(os.path.dirname(os.path.abspath(__file__)), "home")
os.environ["APP_DATA"] = "tables"
os.chdir(Path(__file__).resolve().parent / "work")

import reader

with ENGINE.connect() as connection:
    print(connection.execute(sqlalchemy.text("select name from users")).scalar(), reader.read())
