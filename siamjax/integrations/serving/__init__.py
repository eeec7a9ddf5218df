"""The tracker in a browser (`siamjax serve`); `server` has the addresses."""

from siamjax.integrations.serving.limits import Limits
from siamjax.integrations.serving.listen import run
from siamjax.integrations.serving.server import Server

__all__ = ["Limits", "Server", "run"]
