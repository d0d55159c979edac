"""What connections and the application tell each other beside ASGI's messages: names in a request's ``state``."""

from __future__ import annotations

SHEDDING = "shedding"
"""The application's ``LoadShedding``, which each connection asks."""

LEFT = "left"
"""What a request in work wants to have called when its caller leaves."""
