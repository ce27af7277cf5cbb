import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade():
    op.create_table("station", sa.Column("name", sa.String, primary_key=True))
