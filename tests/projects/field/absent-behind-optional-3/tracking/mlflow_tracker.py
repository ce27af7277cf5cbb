from absent_mlflow import client
