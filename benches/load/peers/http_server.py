"""The standard library's own: http.server with a thread for each connection, HTTP/1.1, without its log.

Arguments: PORT ROOT
"""

import functools
import http.server
import sys


class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body leave in two writes: with Nagle's algorithm each kept-alive request takes 40 ms.
    disable_nagle_algorithm = True

    def end_headers(self):
        # It closes where the client asks for it, but doesn't say so, which clients take for a fault.
        if self.close_connection:
            self.send_header("Connection", "close")
        super().end_headers()

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 4096


Server(("127.0.0.1", int(sys.argv[1])), functools.partial(Handler, directory=sys.argv[2])).serve_forever()
