"""Where checkpoints come from: the package index, the model hub, a local folder."""

from zoo.catalogue.sources.fetch import Fetched, fetch

__all__ = ["Fetched", "fetch"]
