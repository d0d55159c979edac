"""What a command learns from a service that does not do what it is asked; apart from the client, which takes httpx."""

from __future__ import annotations

from zoo.errors import ZooError


class ServiceError(ZooError):
    """The service answered with an error; ``status`` is the HTTP status.

    ``file_id`` names the upload that was stored but rejected, so that its report can be read.
    """

    def __init__(self, message: str, *, status: int, code: str, file_id: str | None = None) -> None:
        super().__init__(message, code=code)
        self.status = status
        self.file_id = file_id


class NoService(ZooError):
    """Nothing answers at the address."""

    code = "no_service"
