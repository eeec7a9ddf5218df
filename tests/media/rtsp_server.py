"""An RTSP server: `python rtsp_server.py PORT PIPELINE` serves rtsp://127.0.0.1:PORT/clip.

Needs the GStreamer RTSP server's Python bindings, which Debian's interpreter sees.
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

Gst.init(None)
server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service(sys.argv[1])
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch(sys.argv[2])
server.get_mount_points().add_factory("/clip", factory)
server.attach(None)
print("ready", flush=True)
GLib.MainLoop().run()
