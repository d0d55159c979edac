"""Files as a request carries them: bytes as the body, or base64 in JSON (also as a ``data:`` URL)."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass

from zoo.errors import InvalidInput, TooLarge


@dataclass(frozen=True)
class Sent:
    """What kind of file is expected: ``noun`` names it in errors, ``kind`` in ``data:`` URLs (image, audio).

    ``most`` bytes are read; ``too_large`` and ``invalid`` are the codes of errors.
    """

    noun: str
    kind: str
    most: int
    too_large: str
    invalid: str

    def read(self, item: object) -> bytes:
        """The bytes of the file; raises ``TooLarge`` above ``most``, ``InvalidInput`` for what is no file."""
        if isinstance(item, str):
            item = self._from_base64(item)
        if not isinstance(item, bytes):
            message = f"inputs has to be a {self.noun}: its bytes as the body, or base64 in a JSON string (or a list)."
            raise InvalidInput(message, param="inputs")
        if len(item) > self.most:
            message = f"The {self.noun} has {len(item)} bytes; at most {self.most} are read. Save it smaller."
            raise TooLarge(message, code=self.too_large, param="inputs")
        if not item:
            message = f"The {self.noun} cannot be read: it has no bytes."
            raise InvalidInput(message, code=self.invalid, param="inputs")
        return item

    def _from_base64(self, text: str) -> bytes:
        if text[:8].lower().startswith(("http://", "https://")):
            message = f"inputs is a URL, and the service fetches nothing: send the {self.noun}, as bytes or base64."
            raise InvalidInput(message, code="url_not_allowed", param="inputs")
        if len(text) > self.most * 4 // 3 + 1024:
            message = f"The {self.noun} has {len(text)} characters of base64; at most {self.most} bytes are read."
            raise TooLarge(message, code=self.too_large, param="inputs")
        if text[:5].lower() == "data:":
            head, comma, text = text.partition(",")
            if not re.fullmatch(rf"data:{self.kind}/[\w.+-]{{1,40}};base64,", head[:64] + comma, re.IGNORECASE):
                message = (
                    f"inputs is a data: URL of something else than a {self.noun} in base64: "
                    f"send data:{self.kind}/…;base64,…"
                )
                raise InvalidInput(message, code="invalid_base64", param="inputs")
        if "\n" in text:  # lines of 76, as the command base64 writes them
            text = text.replace("\r", "").replace("\n", "")
        try:
            return base64.b64decode(text, validate=True)
        except ValueError:
            message = (
                f"inputs is no base64 (standard alphabet, padded with =): send the {self.noun}'s bytes or their base64."
            )
            raise InvalidInput(message, code="invalid_base64", param="inputs") from None
