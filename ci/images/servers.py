"""Servers on loopback that a pipe in a container meets instead of AWS: one that refuses everything, a proxy, a resolver.

Each is a context manager that stops by itself, and keeps what reached it.
"""

import contextlib
import http.server
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator

REFUSAL = b"<ErrorResponse><Error><Code>AccessDenied</Code><Message>not here</Message></Error></ErrorResponse>"


class Refusing(http.server.BaseHTTPRequestHandler):
    """Answers every request with AccessDenied, and a CONNECT with a closed door."""

    protocol_version = "HTTP/1.1"

    def answer(self, status: int, body: bytes) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.server.seen.append(f"{self.command} {self.headers.get('host')} {self.path}")
        self.send_response(status)
        self.send_header("content-type", "text/xml")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.answer(403, REFUSAL)

    do_GET = do_PUT = do_HEAD = do_POST

    def do_CONNECT(self) -> None:
        self.answer(502, b"")

    def log_message(self, *_: object) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    """Says nothing of clients that turn away from its certificate."""

    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def refusing(certificate: tuple[str, str] | None = None) -> Iterator[Server]:
    """A server on a free port; with a certificate and its key it speaks TLS. `seen` has its requests."""
    server = Server(("127.0.0.1", 0), Refusing)
    server.seen = []
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    with serving(server):
        yield server


class Resolver(socketserver.BaseRequestHandler):
    """Answers every question for an A record with 127.0.0.1, and all others with none."""

    def handle(self) -> None:
        question, connection = self.request
        end = question.index(b"\0", 12) + 5
        is_address = question[end - 4 : end - 2] == b"\0\x01"
        labels, at = [], 12
        while question[at]:
            labels.append(question[at + 1 : at + 1 + question[at]].decode())
            at += 1 + question[at]
        self.server.seen.append(".".join(labels))
        record = b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04" + socket.inet_aton("127.0.0.1")
        counts = b"\0\x01\0\x01\0\0\0\0" if is_address else b"\0\x01\0\0\0\0\0\0"
        answer = question[:2] + b"\x81\x80" + counts + question[12:end] + (record if is_address else b"")
        connection.sendto(answer, self.client_address)


@contextlib.contextmanager
def resolver(address: str) -> Iterator[socketserver.ThreadingUDPServer]:
    """A resolver at port 53 of an address in 127.0.0.0/8, since resolv.conf knows no other port."""
    server = socketserver.ThreadingUDPServer((address, 53), Resolver)
    server.seen = []
    with serving(server):
        yield server


@contextlib.contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


def port(server: socketserver.BaseServer) -> int:
    return server.server_address[1]
