"""The outbox as every service has it by now; search itself gives no event to one service alone."""

from alembic import op

from quire_runtime import outbox

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the column."""
    op.execute(outbox.TARGET)


def downgrade() -> None:
    """Not taken back."""
    raise RuntimeError("not taken back: the previous release runs on this schema as it is")
