import psycopg

from .base import Backend


class PostgresBackend(Backend):
    connect = psycopg.connect
