"""Processes that are forked before the first client, and in each a coroutine of uvloop for every client.

The head is read to its blank line, the file opened, and sent by sendfile, or read and written in pieces of 64 KiB.
Connections are kept. Arguments: PORT ROOT WORKERS sendfile|read
"""

import asyncio
import os
import socket
import sys

import uvloop

PORT, ROOT, WORKERS, MEANS = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]
PIECE = 64 * 1024


async def until_writable(loop, client):
    ready = loop.create_future()
    number = client.fileno()
    loop.add_writer(number, lambda: ready.done() or ready.set_result(None))
    try:
        await ready
    finally:
        loop.remove_writer(number)


async def send_by_sendfile(loop, client, file, length):
    offset = 0
    while offset < length:
        try:
            sent = os.sendfile(client.fileno(), file, offset, length - offset)
        except BlockingIOError:
            await until_writable(loop, client)
            continue
        if sent == 0:
            raise ConnectionError("the file became shorter")
        offset += sent


async def send_by_copying(loop, client, file, length):
    left = length
    while left > 0:
        piece = os.read(file, min(PIECE, left))
        if not piece:
            raise ConnectionError("the file became shorter")
        await loop.sock_sendall(client, piece)
        left -= len(piece)


send_body = send_by_sendfile if MEANS == "sendfile" else send_by_copying


async def answer(loop, client, head):
    """One reply; true when the connection goes on."""
    line, _, fields = head.partition(b"\r\n")
    parts = line.split(b" ")
    if len(parts) != 3 or parts[0] not in (b"GET", b"HEAD"):
        await loop.sock_sendall(client, b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        return False
    fields = fields.lower()
    keep = b"connection: close" not in fields and (parts[2] == b"HTTP/1.1" or b"connection: keep-alive" in fields)
    connection = b"keep-alive" if keep else b"close"
    path = os.path.normpath(ROOT + parts[1].split(b"?")[0].decode("latin-1"))
    try:
        if not path.startswith(ROOT):
            raise FileNotFoundError(path)
        file = os.open(path, os.O_RDONLY)
    except OSError:
        reply = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: %s\r\n\r\n" % connection
        await loop.sock_sendall(client, reply)
        return keep
    try:
        length = os.fstat(file).st_size
        reply = b"HTTP/1.1 200 OK\r\nServer: prefork\r\nContent-Type: text/html\r\nContent-Length: %d\r\nConnection: %s\r\n\r\n"
        await loop.sock_sendall(client, reply % (length, connection))
        if parts[0] == b"GET":
            await send_body(loop, client, file, length)
    finally:
        os.close(file)
    return keep


async def serve(loop, client):
    received = b""
    try:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while True:
            end = received.find(b"\r\n\r\n")
            if end < 0:
                more = await loop.sock_recv(client, 8192)
                if not more:
                    return
                received += more
                continue
            head, received = received[:end], received[end + 4 :]
            if not await answer(loop, client, head):
                return
    except OSError:
        pass
    finally:
        client.close()


async def work(listener):
    loop = asyncio.get_running_loop()
    tasks = set()
    while True:
        client, _ = await loop.sock_accept(listener)
        task = loop.create_task(serve(loop, client))
        tasks.add(task)
        task.add_done_callback(tasks.discard)


def main():
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", PORT))
    listener.listen(4096)
    listener.setblocking(False)
    for _ in range(WORKERS - 1):
        if os.fork() == 0:
            break
    uvloop.install()
    asyncio.run(work(listener))


main()
