"""What a pool shows and says over HTTP: a status page, probes, and refusals that clients understand."""

from dbpool.web.shedding import Shedding

__all__ = ["Shedding"]
