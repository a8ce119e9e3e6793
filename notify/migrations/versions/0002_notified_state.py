"""What receivers were told of each state, under the name that the rest of the program gives it.

Revision ID: 0.1.1
Revises: 0.1
"""

from alembic import op

revision = "0.1.1"
down_revision = "0.1"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.rename_table("told", "notified_state")
