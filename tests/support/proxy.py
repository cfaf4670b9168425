"""The proxy that users have, under the names that tests use."""

from dbpool.testing.proxying.messages import Do, Message, Rule, Way, let_all_pass
from dbpool.testing.proxying.proxy import FaultProxy as Proxy
from dbpool.testing.proxying.proxy import proxy_before, proxy_to
from dbpool.testing.proxying.session import Session

__all__ = ["Do", "Message", "Proxy", "Rule", "Session", "Way", "let_all_pass", "proxy_before", "proxy_to"]
