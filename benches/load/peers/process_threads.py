"""Processes that are forked before the first client, and in each a new thread for every request.

A connection serves one request and is closed. Arguments: PORT ROOT WORKERS
"""

import os
import socket
import sys
import threading

PORT, ROOT, WORKERS = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])


def serve(client):
    with client:
        try:
            head = b""
            while b"\r\n\r\n" not in head:
                more = client.recv(8192)
                if not more:
                    return
                head += more
            target = head.split(b" ", 2)[1].split(b"?")[0].decode("latin-1")
            path = os.path.normpath(ROOT + target)
            if not path.startswith(ROOT) or not os.path.isfile(path):
                client.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                return
            with open(path, "rb") as file:
                length = os.fstat(file.fileno()).st_size
                client.sendall(
                    b"HTTP/1.1 200 OK\r\nServer: threads\r\nContent-Type: text/html\r\n"
                    b"Content-Length: %d\r\nConnection: close\r\n\r\n" % length
                )
                client.sendfile(file)
        except (OSError, IndexError):
            pass


def main():
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", PORT))
    listener.listen(4096)
    for _ in range(WORKERS - 1):
        if os.fork() == 0:
            break
    while True:
        client, _ = listener.accept()
        threading.Thread(target=serve, args=(client,), daemon=True).start()


main()
