from tests.support.eachloop import pytest_asyncio_loop_factories as pytest_asyncio_loop_factories  # noqa: PLC0414 - a hook
