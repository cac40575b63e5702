"""What unusual clients get, byte by byte; each row names the section of the RFC that it is about."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest

from support.serving import Threaded, threaded

HOST = b"Host: x\r\n"
LIVE = b"GET /health/live HTTP/1.1\r\n" + HOST
PROBE = LIVE + b"X-Request-ID: probe\r\n\r\n"
BODY = b'{"title": "a"}'
LENGTH = b"Content-Length: %d\r\n\r\n" % len(BODY)
INNER = b"GET /health/ready HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
CHUNKS = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
HALF_CLOSE = "half-close"
Piece = bytes | str


@dataclass(frozen=True)
class Row:
    """What is sent, and what comes of it.

    Attributes:
        rfc: The section that says so.
        pieces: Sent one by one; `POST` in them is the head of a request that makes a task.
        statuses: Of the responses, in order.
        open: Whether the connection takes another request then.
        tasks: How many were made.
    """

    rfc: str
    pieces: Sequence[Piece]
    statuses: Sequence[int]
    open: bool = True
    tasks: int = 0


UPGRADES = {
    "h2c": b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAA\r\n",
    "websocket": b"Connection: upgrade\r\nUpgrade: websocket\r\n",
    "unknown": b"Connection: keep-alive, Upgrade\r\nUpgrade: foo/2, bar\r\n",
    "lower case": b"connection: UPGRADE\r\nupgrade: H2C\r\n",
    "two fields": b"Connection: keep-alive\r\nConnection: upgrade\r\nUpgrade: h2c\r\nUpgrade: websocket\r\n",
    "no connection": b"Upgrade: h2c\r\n",
    "no upgrade": b"Connection: upgrade\r\n",
    "empty": b"Connection: upgrade\r\nUpgrade:\r\n",
}


def upgrade_rows() -> Iterator[tuple[str, Row]]:
    for name, upgrade in UPGRADES.items():
        head = b"POST " + upgrade
        rfc = "RFC 9110 7.8"
        yield f"{name}, one piece", Row(rfc, [head + LENGTH + BODY], [201], tasks=1)
        yield f"{name}, body later", Row(rfc, [head + LENGTH, BODY[:3], BODY[3:]], [201], tasks=1)
        yield f"{name}, chunked", Row(rfc, [head + CHUNKED + CHUNKS], [201], tasks=1)
        yield f"{name}, head in pieces", Row(rfc, [head[:-3], head[-3:] + LENGTH + BODY], [201], tasks=1)
        yield f"{name}, two", Row(rfc, [(head + LENGTH + BODY) * 2], [201, 201], tasks=2)
        get = LIVE + upgrade
        yield f"{name}, get and get", Row(rfc, [get + b"\r\n" + LIVE + b"\r\n"], [200, 200])
        yield f"{name}, get, then get", Row(rfc, [get + b"\r\n", LIVE + b"\r\n"], [200, 200])
        # A body that looks like a request is a body.
        length = b"Content-Length: %d\r\n\r\n" % len(INNER)
        yield f"{name}, request in body", Row(rfc, [head + length + INNER], [400])
        yield f"{name}, request in later body", Row(rfc, [head + length, INNER], [400])
        yield f"{name}, request in body of get", Row(rfc, [get + length, INNER], [200])
        yield f"{name}, closing", Row(rfc, [get + b"Connection: close\r\n\r\n"], [200], open=False)
        late: list[Piece] = [get + b"\r\n", HALF_CLOSE]
        yield f"{name}, half-closed", Row("RFC 9112 9.6", late, [200], open=False)


HOSTS_TAKEN = [b"x", b"x:80", b"x:", b"127.0.0.1:3000", b"[::1]", b"[::1]:3000", b"a_b.example.com.", b"%41"]
HOSTS_TAKEN += [b"[::ffff:192.0.2.1]", b"[v1.fe80::a+en1]", b"x:99999"]
HOSTS_REFUSED = [
    *(b"", b" ", b":80", b"x y", b"u@x", b"u:p@x", b"x/", b"x/y", b"x?y", b"x#y", b"x:y", b"x:1:2", b"[::1"),
    *(b"::1", b"http://x", b"\xc3\xa9", b"x\ty", b"%4", b"x, x", b"<x>", b"x\\y"),
    *(b"[]", b"[:::::]", b"[1]", b"[::1]x", b"[1.2.3.4]", b"[::12345]", b"[v1.]", b"[fe80::a%25en1]"),
]


def host_rows() -> Iterator[tuple[str, Row]]:
    rfc = "RFC 9112 3.2"
    for host in HOSTS_TAKEN:
        yield f"Host: {host!r}", Row(rfc, [b"GET /health/live HTTP/1.1\r\nHost: %b\r\n\r\n" % host], [200])
    for host in HOSTS_REFUSED:
        yield f"Host: {host!r}", Row(rfc, [b"GET /health/live HTTP/1.1\r\nHost: %b\r\n\r\n" % host], [400])
    old = b"GET /health/live HTTP/1.0\r\n"
    yield "no Host", Row(rfc, [b"GET /health/live HTTP/1.1\r\n\r\n"], [400])
    yield "no Host in 1.0", Row(rfc, [old + b"\r\n"], [200], open=False)
    yield "wrong Host in 1.0", Row(rfc, [old + b"Host: x y\r\n\r\n"], [400], open=False)
    yield "two Hosts", Row(rfc, [LIVE + b"Host: y\r\n\r\n"], [400])
    yield "one Host twice", Row(rfc, [LIVE + HOST + b"\r\n"], [400])
    yield "two Hosts in 1.0", Row(rfc, [old + HOST + HOST + b"\r\n"], [400], open=False)
    yield "no Host, a body", Row(rfc, [b"POST /tasks HTTP/1.1\r\n" + LENGTH + BODY], [400])
    rfc = "RFC 9112 3.2.2"
    absolute = b"GET http://y/health/live HTTP/1.1\r\n"
    yield "absolute form", Row(rfc, [absolute + HOST + b"\r\n"], [200])
    yield "absolute form without Host", Row(rfc, [absolute + b"\r\n"], [400])
    yield "absolute form of the root", Row(rfc, [b"GET http://y HTTP/1.1\r\n" + HOST + b"\r\n"], [200])
    yield "asterisk form", Row("RFC 9112 3.2.4", [b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n"], [404])


POST_TASK = b"POST " + LENGTH + BODY
BROKEN_CHUNK = b"POST " + CHUNKED + b"ZZ\r\n"


def half_close_rows() -> Iterator[tuple[str, Row]]:
    rfc = "RFC 9112 9.6"
    for count in (1, 2, 20):
        sent = (LIVE + b"\r\n") * count
        yield f"{count} GET", Row(rfc, [sent, HALF_CLOSE], [200] * count, open=False)
    yield "POST", Row(rfc, [POST_TASK, HALF_CLOSE], [201], open=False, tasks=1)
    yield "POST twice", Row(rfc, [POST_TASK * 2, HALF_CLOSE], [201, 201], open=False, tasks=2)
    yield "POST in pieces", Row(rfc, [b"POST " + LENGTH, BODY, HALF_CLOSE], [201], open=False, tasks=1)
    yield "chunked", Row(rfc, [b"POST " + CHUNKED + CHUNKS, HALF_CLOSE], [201], open=False, tasks=1)
    close = LIVE + b"Connection: close\r\n\r\n"
    yield "closing", Row(rfc, [close, HALF_CLOSE], [200], open=False)
    yield "nothing", Row(rfc, [HALF_CLOSE], [], open=False)
    rfc = "RFC 9112 8"
    yield "in a head", Row(rfc, [LIVE, HALF_CLOSE], [], open=False)
    yield "in a body", Row(rfc, [b"POST " + LENGTH + BODY[:3], HALF_CLOSE], [], open=False)
    yield "in chunks", Row(rfc, [b"POST " + CHUNKED + b"3\r\n{", HALF_CLOSE], [], open=False)
    yield "in a second head", Row(rfc, [POST_TASK + LIVE, HALF_CLOSE], [201], open=False, tasks=1)
    second = POST_TASK + b"POST " + LENGTH + BODY[:3]
    yield "in a second body", Row(rfc, [second, HALF_CLOSE], [201], open=False, tasks=1)


def pipeline_rows() -> Iterator[tuple[str, Row]]:
    rfc = "RFC 9112 9.3.2"
    get = LIVE + b"\r\n"
    yield "in order", Row(rfc, [get + POST_TASK + get + b"GET /x HTTP/1.1\r\n" + HOST + b"\r\n"],
                          [200, 201, 200, 404], tasks=1)  # fmt: skip
    yield "a hundred", Row(rfc, [get * 100], [200] * 100)
    yield "a hundred bodies", Row(rfc, [POST_TASK * 100], [201] * 100, tasks=100)
    yield "blank lines between", Row("RFC 9112 2.2", [get + b"\r\n\r\n\r\n" + get], [200, 200])
    yield "trailers between", Row("RFC 9112 7.1.2", [
        (b"POST " + CHUNKED + CHUNKS[:-2] + b"Host: y\r\nA: b\r\n\r\n") * 3], [201] * 3, tasks=3)  # fmt: skip
    one_byte = b"".join(b"1\r\n%c\r\n" % byte for byte in BODY) + b"0\r\n\r\n"
    yield "tiny chunks", Row("RFC 9112 7.1", [(b"POST " + CHUNKED + one_byte) * 3], [201] * 3, tasks=3)
    with_body = LIVE + b"Content-Length: 5\r\n\r\nhello"
    yield "GET with a body", Row("RFC 9110 9.3.1", [with_body * 3], [200] * 3)
    closing = get + LIVE + b"Connection: close\r\n\r\n" + POST_TASK
    yield "nothing after close", Row("RFC 9112 9.6", [closing], [200, 200], open=False)
    rfc = "RFC 9112 2.2"
    for name, broken in {
        "chunk": BROKEN_CHUNK,
        "field name": b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
        "version": b"GET / HTTP/9.9\r\n\r\n",
        "line": b"nonsense\r\n\r\n",
        "length": b"POST Content-Length: 1, 2\r\n\r\n",
        "both framings": b"POST Content-Length: 1\r\n" + CHUNKED,
    }.items():
        second = Row(rfc, [POST_TASK + broken], [201, 400], open=False, tasks=1)
        yield f"broken {name} second", second
        yield f"broken {name} later", Row(rfc, [POST_TASK, broken], [201, 400], open=False, tasks=1)
        yield f"broken {name} third", Row(rfc, [POST_TASK * 2 + broken + POST_TASK], [201, 201, 400],
                                          open=False, tasks=2)  # fmt: skip
        yield f"broken {name} alone", Row(rfc, [broken], [400], open=False)


def expect_rows() -> Iterator[tuple[str, Row]]:
    rfc = "RFC 9110 10.1.1"
    expect = b"Expect: 100-continue\r\n"
    yield "wanted", Row(rfc, [b"POST " + expect + LENGTH, BODY], [100, 201], tasks=1)
    yield "any case", Row(rfc, [b"POST Expect: 100-Continue\r\n" + LENGTH, BODY], [100, 201], tasks=1)
    yield "chunked", Row(rfc, [b"POST " + expect + CHUNKED, CHUNKS], [100, 201], tasks=1)
    too_long = b"POST " + expect + b"Content-Length: 2000000\r\n\r\n"
    # Whether the client sends the body now is not known, so the next request could not be found.
    yield "too long", Row(rfc, [too_long], [413], open=False)
    nobody = b"POST /tasks HTTP/1.1\r\n" + HOST + expect + LENGTH
    yield "not signed in", Row(rfc, [nobody], [401], open=False)
    yield "no such path", Row(rfc, [nobody.replace(b"/tasks", b"/x")], [404], open=False)
    yield "without a body", Row(rfc, [LIVE + expect + b"\r\n"], [200])
    old = b"POST /tasks HTTP/1.0\r\nAUTH" + expect
    yield "in 1.0", Row(rfc, [old + LENGTH + BODY], [201], open=False, tasks=1)
    yield "unknown", Row(rfc, [b"POST Expect: 200-ok\r\n" + LENGTH + BODY], [201], tasks=1)
    pipelined = LIVE + b"\r\nPOST " + expect + LENGTH
    yield "second", Row(rfc, [pipelined, BODY], [200, 100, 201], tasks=1)


def other_rows() -> Iterator[tuple[str, Row]]:
    connect = b"CONNECT x:443 HTTP/1.1\r\n" + HOST + b"\r\n"
    yield "CONNECT", Row("RFC 9110 9.3.6", [connect + LIVE + b"\r\n"], [501], open=False)
    yield "CONNECT a path", Row("RFC 9110 9.3.6", [connect.replace(b"x:443", b"/tasks")], [501], open=False)
    yield (
        "unknown method",
        Row("RFC 9110 9.1", [b"FOO /tasks HTTP/1.1\r\n" + HOST + b"\r\n"], [501], open=False),
    )
    yield (
        "method of others",
        Row("RFC 9110 15.5.6", [b"PROPFIND /tasks HTTP/1.1\r\n" + HOST + b"\r\n"], [405]),
    )
    rfc = "RFC 9112 6.1"
    coded = b"POST Transfer-Encoding: gzip, chunked\r\n\r\n" + CHUNKS
    yield "gzip, chunked", Row(rfc, [coded], [501])
    yield "gzip", Row("RFC 9112 6.3", [b"POST Transfer-Encoding: gzip\r\n\r\n"], [400], open=False)
    yield (
        "chunked, gzip",
        Row("RFC 9112 6.3", [coded.replace(b"gzip, chunked", b"chunked, gzip")], [400], open=False),
    )
    yield "TE", Row("RFC 9110 10.1.4", [LIVE + b"TE: gzip, chunked\r\n\r\n"], [200])
    slash = b"GET /health%2Flive HTTP/1.1\r\n" + HOST + b"\r\n"
    yield "encoded slash", Row("RFC 3986 2.2", [slash + slash.lower().replace(b"get", b"GET")
                                               .replace(b"http", b"HTTP")], [404, 404])  # fmt: skip
    letter = b"GET /he%61lth/live HTTP/1.1\r\n" + HOST + b"\r\n"
    yield "encoded letter", Row("RFC 3986 2.3", [letter], [200])


ROWS = {
    f"{group}: {name}": row
    for group, rows in {
        "Upgrade": upgrade_rows, "Host": host_rows, "half-close": half_close_rows,
        "pipeline": pipeline_rows, "Expect": expect_rows, "other": other_rows,
    }.items()
    for name, row in rows()
}  # fmt: skip


@pytest.fixture(scope="module")
def served() -> Iterator[Threaded]:
    with threaded() as opened:
        yield opened


def received(connection: socket.socket) -> tuple[list[int], bool]:
    """Return the statuses up to the probe's, and whether the probe was answered."""
    statuses: list[int] = []
    rest = b""
    while True:
        while (end := rest.find(b"\r\n\r\n")) >= 0:
            head = rest[:end].decode().lower()
            length = re.search(r"content-length: (\d+)", head)
            until = end + 4 + (int(length[1]) if length else 0)
            if len(rest) < until:
                break
            if "x-request-id: probe" in head:
                return statuses, True
            statuses.append(int(head.split()[1]))
            rest = rest[until:]
        try:
            more = connection.recv(65536)
        except ConnectionResetError:
            more = b""
        if not more:
            assert rest == b""
            return statuses, False
        rest += more


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_what_a_client_gets(served: Threaded, row: Row) -> None:
    token = b"Authorization: Bearer " + served.world.token("user").encode() + b"\r\n"
    post = b"POST /tasks HTTP/1.1\r\n" + HOST + token + b"Content-Type: application/json\r\n"
    before = len(served.world.store.tasks)
    with served.connect() as connection:
        for number, piece in enumerate(row.pieces):
            if number:
                # What is sent later arrives later, most times; what comes of it is the same.
                time.sleep(0.02)
            if isinstance(piece, str):
                connection.shutdown(socket.SHUT_WR)
            else:
                whole = re.sub(rb"POST (?!/)", lambda _: post, piece).replace(
                    b"AUTH", post.partition(HOST)[2]
                )
                connection.sendall(whole)
        if HALF_CLOSE not in row.pieces:
            try_to_send(connection, PROBE)
        statuses, is_open = received(connection)

    assert (statuses, is_open) == (list(row.statuses), row.open), row.rfc
    assert len(served.world.store.tasks) - before == row.tasks


def try_to_send(connection: socket.socket, data: bytes) -> None:
    try:
        connection.sendall(data)
    except OSError:
        # It has been closed already, as the row may expect.
        return
