"""SQLAlchemy on the pool: needs the extra ``dbpool[sqlalchemy]``."""
