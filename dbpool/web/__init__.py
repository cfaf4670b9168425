"""What a pool shows and says over HTTP: a status page, probes, and refusals that clients understand."""

from dbpool.web.app import status_app
from dbpool.web.shedding import Shedding

__all__ = ["Shedding", "status_app"]
