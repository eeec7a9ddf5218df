"""Files behind http addresses, fetched whole before they are read."""

import http.client
import logging
import shutil
import tempfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from siamjax.errors import UserError

_log = logging.getLogger(__name__)
# content without an end, and lists of addresses, which FFmpeg follows
_LIVE = ("multipart/", "application/vnd.apple.mpegurl", "application/x-mpegurl", "audio/mpegurl")
_RESERVED = "/%:!$&'()*+,;=~@?"  # characters of an address that stand for themselves


def quoted(address: str) -> str:
    """An address with all characters that it may not hold as such, a space or an umlaut, quoted."""
    parts = urlsplit(address)
    path, query = (quote(part, safe=_RESERVED) for part in (parts.path, parts.query))
    return urlunsplit(parts._replace(path=path, query=query))


def shown(address: str) -> str:
    """An address without user, password and query, for messages."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def download(address: str, timeout: float) -> IO[bytes] | None:
    """Fetches a file to a temporary one, which is gone when it is closed; tries twice.

    Args:
        address: http or https, quoted; user and password in it are used.
        timeout: seconds to wait for an answer, and for each part of it.

    Returns:
        The file, with the suffix that the address has; None where the server announces no length:
        a live stream, or a list of streams.

    Raises:
        UserError: no answer, or an error in place of the file.
    """
    opener, plain = _opener(address)
    suffix = Path(unquote(urlsplit(address).path)).suffix
    file = tempfile.NamedTemporaryFile(prefix="siamjax-", suffix=suffix)  # noqa: SIM115
    for _ in range(2):
        try:
            with opener.open(plain, timeout=timeout) as answer:
                kind = answer.headers.get_content_type()
                if "Content-Length" not in answer.headers or kind.startswith(_LIVE):
                    return None
                file.seek(0)
                file.truncate()
                shutil.copyfileobj(answer, file)
            left = int(answer.length or 0)
        except urllib.error.HTTPError as error:
            raise UserError(f"{shown(address)}: {error.code} {error.reason}") from error
        except (OSError, http.client.HTTPException) as error:
            left, reason = 1, getattr(error, "reason", error)
            if not file.tell():
                raise UserError(f"{shown(address)}: no answer ({reason})") from error
        file.flush()
        if not left:
            return file
    _log.warning("%s: broke off twice; what came is used", shown(address))
    return file


def _opener(address: str) -> tuple[urllib.request.OpenerDirector, str]:
    """What fetches an address, and the address without user and password."""
    parts = urlsplit(address)
    place = parts.netloc.rpartition("@")[2]
    plain = urlunsplit(parts._replace(netloc=place))
    passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    if parts.username is not None:
        user, password = unquote(parts.username), unquote(parts.password or "")
        passwords.add_password(None, plain, user, password)
    handlers = urllib.request.HTTPBasicAuthHandler, urllib.request.HTTPDigestAuthHandler
    return urllib.request.build_opener(*(handler(passwords) for handler in handlers)), plain
