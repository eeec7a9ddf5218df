"""Who may ask, and how a request is refused.

On a loopback address: requests that name this machine as their host, so that other web pages cannot
reach the server through the browser. Elsewhere: requests with the server's token, as `?token=` of
the address that the server prints, and from then on as a cookie.
"""

import hashlib
import hmac
import ipaddress
import logging
import re
import secrets

from aiohttp import web

from siamjax.errors import UserError
from siamjax.integrations.serving.limits import Refusal

_POLICY = "default-src 'self' blob: data:; script-src 'self'; style-src 'self' 'unsafe-inline'"
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
_log = logging.getLogger(__name__)


class Access:
    """The middleware `guard` of a server.

    Attributes:
        token: that requests must carry; None on a loopback address.

    Args:
        host: the address that the server listens on.
    """

    def __init__(self, host: str):
        self.token = None if is_loopback(host) else secrets.token_urlsafe(18)
        self._hosts = {"localhost", "127.0.0.1", "[::1]", host, f"[{host}]"}
        # cookies know no ports: servers of one machine need names of their own
        self._cookie = "siamjax_" + hashlib.sha256((self.token or "").encode()).hexdigest()[:8]

    @web.middleware
    async def guard(self, request: web.Request, handler) -> web.StreamResponse:
        """Answers what may be answered; errors as one line of JSON, {"error": ...}."""
        try:
            self._check(request)
            response: web.StreamResponse
            if self.token and "token" in request.query and is_page(request.path):
                response = web.Response(status=303, headers={"Location": request.path})
                response.set_cookie(self._cookie, self.token, httponly=True, samesite="Lax")
            else:
                response = await handler(request)
        except Refusal as error:
            response = _error(str(error), error.status)
        except UserError as error:
            response = _error(str(error), 400)
        except web.HTTPException as error:
            response = _error(error.text or error.reason, error.status)
        except ConnectionError:
            raise  # nobody is there to be answered
        except Exception:
            _log.exception("%s %s", request.method, request.path)
            response = _error("the server failed at this; its log says how", 500)
        if not response.prepared:
            response.headers.update(_HEADERS)
            if request.can_read_body:  # the rest of what was refused is no new request
                response.force_close()
        return response

    def _check(self, request: web.Request) -> None:
        origin = request.headers.get("Origin")
        if origin is not None and origin.partition("://")[2] != request.host:
            raise Refusal("this server answers its own page only", 403)
        if self.token is None:
            if _name(request.host) not in self._hosts:
                raise Refusal("this server answers its own page only", 403)
        elif not self._knows(request):
            raise Refusal("open the address with the token that siamjax serve printed", 403)

    def _knows(self, request: web.Request) -> bool:
        given = request.query.get("token") or request.cookies.get(self._cookie, "")
        return hmac.compare_digest(given.encode("utf-8", "replace"), (self.token or "").encode())


def is_page(path: str) -> bool:
    """Whether a path is an address for people: the page, or that of a run."""
    return re.fullmatch(r"/|/runs/[\w-]+", path) is not None


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _name(host: str) -> str:
    """The name of "name:port"; IPv6 keeps its brackets."""
    return host if host.endswith("]") else host.rpartition(":")[0] or host


def _error(message: str, status: int) -> web.Response:
    return web.json_response({"error": message}, status=status)
