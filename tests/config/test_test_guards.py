"""The guards that every test runs under really hold."""

import os
import socket
import urllib.request

import pytest

from tests.conftest import NetworkBlocked, is_loopback


@pytest.mark.parametrize(("host", "inside"), [
    ("127.0.0.1", True), ("127.8.9.1", True), ("::1", True), ("localhost", True), (None, True), (b"127.0.0.1", True),
    ("0.0.0.0", False), ("", False), ("192.0.2.1", False), ("::", False), ("example.org", False),
])
def test_loopback_is_told_from_the_rest(host, inside):
    assert is_loopback(host) is inside


@pytest.mark.parametrize("act", [
    lambda s: s.connect(("192.0.2.1", 80)), lambda s: s.connect_ex(("192.0.2.1", 80)), lambda s: s.bind(("0.0.0.0", 0)),
    lambda s: socket.create_connection(("192.0.2.1", 80)), lambda s: socket.getaddrinfo("example.org", 80),
    lambda s: urllib.request.urlopen("http://example.org"),
])
def test_leaving_the_machine_is_refused(act):
    with socket.socket() as sock, pytest.raises(NetworkBlocked):
        act(sock)


def test_datagrams_leaving_the_machine_are_refused():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, pytest.raises(NetworkBlocked):
        sock.sendto(b"x", ("192.0.2.1", 53))


def test_loopback_works():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        client.sendall(b"hello")
        with server.accept()[0] as peer:
            assert peer.recv(5) == b"hello"


def test_no_proxy_and_no_secret_of_the_machine_reaches_a_test():
    names = {name.lower() for name in os.environ}
    assert not names & {"http_proxy", "https_proxy", "all_proxy", "telegram_bot_token", "telegram_chat_id"}
    assert os.environ["NUMBA_CACHE_DIR"]
