"""aiohttp on uvloop: a static route over the root, which it sends by sendfile, and a fixed reply at /info.

Arguments: PORT ROOT WORKERS
"""

import os
import socket
import sys

import uvloop
from aiohttp import web

PORT, ROOT, WORKERS = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])


async def info(_):
    return web.Response(text="a fixed reply, made by the server alone\n")


def main():
    for _ in range(WORKERS - 1):
        if os.fork() == 0:
            break
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(("127.0.0.1", PORT))
    uvloop.install()
    app = web.Application()
    app.router.add_get("/info", info)
    app.router.add_static("/", ROOT)
    web.run_app(app, sock=listener, backlog=4096, access_log=None, print=None)


main()
