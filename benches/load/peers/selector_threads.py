"""Threads with a selector and a port of their own each: PORT, PORT + 1 and so on.

Connections are kept; a reply is put together in memory and written as the socket takes it.
Arguments: PORT ROOT THREADS
"""

import os
import selectors
import socket
import sys
import threading

PORT, ROOT, THREADS = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])


class Client:
    def __init__(self, selector, connection):
        self.selector = selector
        self.connection = connection
        self.received = b""
        self.out = memoryview(b"")
        self.keep = True
        self.events = selectors.EVENT_READ
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(connection, self.events, self.step)

    def step(self):
        try:
            if not self.out:
                more = self.connection.recv(8192)
                if not more:
                    return self.close()
                self.received += more
            self.go_on()
        except BlockingIOError:
            pass
        except OSError:
            self.close()

    def go_on(self):
        while True:
            if self.out:
                try:
                    self.out = self.out[self.connection.send(self.out) :]
                except BlockingIOError:
                    pass
                if self.out:
                    return self.watch(selectors.EVENT_WRITE)
                if not self.keep:
                    return self.close()
            head, blank, rest = self.received.partition(b"\r\n\r\n")
            if not blank:
                return self.watch(selectors.EVENT_READ)
            self.received = rest
            self.out = memoryview(self.reply(head))

    def reply(self, head):
        parts = head.split(b"\r\n", 1)[0].split(b" ")
        fields = head.lower()
        self.keep = b"connection: close" not in fields and (
            parts[-1] == b"HTTP/1.1" or b"connection: keep-alive" in fields
        )
        connection = b"keep-alive" if self.keep else b"close"
        try:
            path = os.path.normpath(ROOT + parts[1].split(b"?")[0].decode("latin-1"))
            if not path.startswith(ROOT):
                raise FileNotFoundError(path)
            with open(path, "rb") as file:
                body = file.read()
        except (OSError, IndexError):
            return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: %s\r\n\r\n" % connection
        return (
            b"HTTP/1.1 200 OK\r\nServer: selectors\r\nContent-Type: text/html\r\n"
            b"Content-Length: %d\r\nConnection: %s\r\n\r\n%s" % (len(body), connection, body)
        )

    def watch(self, events):
        if events != self.events:
            self.events = events
            self.selector.modify(self.connection, events, self.step)

    def close(self):
        self.selector.unregister(self.connection)
        self.connection.close()


def work(port):
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(4096)
    listener.setblocking(False)
    selector = selectors.DefaultSelector()

    def accept():
        try:
            while True:
                Client(selector, listener.accept()[0])
        except BlockingIOError:
            pass

    selector.register(listener, selectors.EVENT_READ, accept)
    while True:
        for key, _ in selector.select():
            key.data()


threads = [threading.Thread(target=work, args=(PORT + number,)) for number in range(THREADS)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
