import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade():
    op.create_table(
        "reading",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("station", sa.String, sa.ForeignKey("station.name")),
        sa.Column("day", sa.Integer),
        sa.Column("celsius", sa.Float),
    )
