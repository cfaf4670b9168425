"""The ledger of jobs: the jobs, their chunks that are done, their items that were put aside."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_NOW = sa.func.now()


def upgrade() -> None:
    op.create_table(
        "dbpool_job",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("sql", sa.Text, nullable=False),
        sa.Column("sql_hash", sa.LargeBinary, nullable=False),
        sa.Column("chunk_size", sa.Integer, nullable=False),
        sa.Column("total", sa.BigInteger),  # items; unknown until a source without a length has been read to its end
        sa.Column("settings", JSONB, nullable=False),
        sa.Column("state", sa.Text, nullable=False, server_default="new"),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), nullable=False, server_default=_NOW),
        sa.Column("updated_at", sa.TIMESTAMP(timezone=True), nullable=False, server_default=_NOW),
        # the run that has it, until it ends or its lease expires
        sa.Column("run", sa.Uuid),
        sa.Column("run_pid", sa.Integer),
        sa.Column("run_host", sa.Text),
        sa.Column("run_process", sa.Text),  # the process, as others on its machine can recognise it
        sa.Column("run_application", sa.Text),
        sa.Column("run_has_lock", sa.Boolean),
        sa.Column("run_started_at", sa.TIMESTAMP(timezone=True)),
        sa.Column("run_expires_at", sa.TIMESTAMP(timezone=True)),
        sa.UniqueConstraint("name", name="dbpool_job_name_key"),
        sa.CheckConstraint("chunk_size > 0", name="dbpool_job_chunk_size_check"),
        sa.CheckConstraint("state IN ('new', 'running', 'stopped', 'failed', 'done')", name="dbpool_job_state_check"),
    )
    op.create_table(
        "dbpool_job_chunk",
        _job("dbpool_job_chunk_job_fkey"),
        sa.Column("chunk", sa.BigInteger, nullable=False),  # from 0
        sa.Column("items", sa.Integer, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("stored_at", sa.TIMESTAMP(timezone=True), nullable=False, server_default=_NOW),
        sa.PrimaryKeyConstraint("job", "chunk", name="dbpool_job_chunk_pkey"),
    )
    op.create_table(
        "dbpool_job_reject",
        _job("dbpool_job_reject_job_fkey"),
        sa.Column("ord", sa.BigInteger, nullable=False),  # the item's number in the source, from 1
        sa.Column("params", sa.Text, nullable=False),  # JSON, but with what jsonb would refuse
        sa.Column("sqlstate", sa.Text),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("rejected_at", sa.TIMESTAMP(timezone=True), nullable=False, server_default=_NOW),
        sa.PrimaryKeyConstraint("job", "ord", name="dbpool_job_reject_pkey"),
    )


def downgrade() -> None:
    op.drop_table("dbpool_job_reject")
    op.drop_table("dbpool_job_chunk")
    op.drop_table("dbpool_job")


def _job(name: str) -> sa.Column[int]:
    """The job that a row belongs to: a run that goes on after its job was forgotten can store nothing more."""
    return sa.Column(
        "job", sa.BigInteger, sa.ForeignKey("dbpool_job.id", name=name, ondelete="CASCADE"), nullable=False
    )
