"""What a fake server is to do, under the names that tests use."""

from dbpool.testing.fake.script import NEVER, Reply, Script

__all__ = ["NEVER", "Reply", "Script"]
