"""SQLAlchemy on the pool: needs the extra ``dbpool[sqlalchemy]``."""

from dbpool.sqlalchemy.engine import create_engine as create_engine
