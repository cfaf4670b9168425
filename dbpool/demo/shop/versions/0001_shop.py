"""The demo's shop: customers, their orders, accounts to move money between."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "customers",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("region", sa.Text, nullable=False),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.UniqueConstraint("email", name="customers_email_key"),
        # keeps out what is surely no address; whether one exists only a sent message can tell
        sa.CheckConstraint("email ~ '^[^@[:space:]]+@[^@[:space:]]+$'", name="customers_email_check"),
    )
    op.create_table(
        "orders",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column(
            "customer_id",
            sa.BigInteger,
            sa.ForeignKey("customers.id", name="orders_customer_id_fkey", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("placed_at", sa.TIMESTAMP(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("status", sa.Text, nullable=False, server_default="new"),
        sa.Column("amount_cents", sa.BigInteger, nullable=False),
        sa.Column("note", sa.Text),
        sa.CheckConstraint("status IN ('new', 'paid', 'shipped', 'cancelled')", name="orders_status_check"),
        sa.CheckConstraint("amount_cents >= 0", name="orders_amount_cents_check"),
    )
    # the latest orders of one customer; it serves the foreign key too
    op.create_index("orders_customer_id_placed_at_idx", "orders", ["customer_id", sa.text("placed_at DESC")])
    op.create_index("orders_placed_at_idx", "orders", ["placed_at"])
    op.create_table(
        "accounts",
        sa.Column("id", sa.BigInteger, sa.Identity(always=False), primary_key=True),
        sa.Column("balance_cents", sa.BigInteger, nullable=False, server_default="0"),
        sa.CheckConstraint("balance_cents >= 0", name="accounts_balance_cents_check"),
    )


def downgrade() -> None:
    op.drop_table("accounts")
    op.drop_table("orders")
    op.drop_table("customers")
