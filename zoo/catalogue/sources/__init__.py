"""Where checkpoints come from: the package index, the model hub, a local folder."""

from zoo.catalogue.sources.fetch import Fetched, fetch
from zoo.catalogue.sources.ready_made import GraphWish, ReadyMade

__all__ = ["Fetched", "GraphWish", "ReadyMade", "fetch"]
