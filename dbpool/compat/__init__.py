"""A pool that takes the place of asyncpg's own, for code that was written for that one."""
