"""The explorer's server: who may ask, who leaves early, and the page that needs no server."""

import base64
import os
import socket
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from bokeh.server.views.ws import WSHandler
from bokeh.util.token import generate_jwt_token, generate_session_id

from looprate.figures.explorer import static
from looprate.figures.explorer.__main__ import main as explorer
from looprate.figures.explorer.guard import _Socket

ROOT = Path(__file__).resolve().parent.parent
ASKED = (
    "GET /ws HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Protocol: {words}\r\n{more}\r\n"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A running server: its port, and the file of what it says of errors."""
    log = tmp_path_factory.mktemp("server") / "log"
    command = [sys.executable, "-m", "looprate.figures.explorer", "--no-browser"]
    with (
        log.open("w") as place,
        subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=place, text=True
        ) as child,
    ):
        yield urlsplit(child.stdout.readline().split()[0]).port, log
        child.terminate()


def asked(port, words, *, host=None, more=""):
    """Open a connection, ask for a websocket, and return the connection."""
    key = base64.b64encode(os.urandom(16)).decode()
    made = socket.create_connection(("127.0.0.1", port))
    text = ASKED.format(host=host or f"127.0.0.1:{port}", key=key, words=words, more=more)
    made.sendall(text.encode())
    return made


def status(connection):
    """Return the status of the answer."""
    connection.settimeout(30)
    with connection:
        return int(connection.recv(99).split()[1])


def token():
    """Return what the page's script sends, for a session that is not there yet."""
    none = {"headers": {}, "cookies": {}, "arguments": {}}
    return generate_jwt_token(generate_session_id(), extra_payload=none)


def page(port, host):
    """Return the status of the page asked for by a name."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/", headers={"Host": host})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:{port}", "127.0.0.1.evil.example", "[", "x@y:z", "0.0.0.0"],
)
def test_a_name_that_is_not_this_machine_s_gets_nothing(server, host):  # DNS rebinding
    port, _ = server
    name = host.format(port=port)
    assert page(port, name) in (400, 403)
    assert status(asked(port, f"bokeh, {token()}", host=name)) in (400, 403)


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "[::1]"])
def test_names_of_this_machine_are_answered(server, name):
    assert page(server[0], f"{name}:{server[0]}") == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "http://127.0.0.1:1", "null"])
def test_a_websocket_from_another_origin_is_refused(server, origin):
    port, _ = server
    assert status(asked(port, f"bokeh, {token()}", more=f"Origin: {origin}\r\n")) == 403
    own = f"Origin: http://127.0.0.1:{port}\r\n"
    assert status(asked(port, f"bokeh, {token()}", more=own)) == 101


def test_connections_closed_before_their_session_exists_leave_no_traceback(server):  # F6
    port, log = server
    for words in ("bokeh", "bokeh, junk", "a, b", "bokeh, " + "A" * 4000):
        status(asked(port, words))
    for k in range(24):
        made = asked(port, f"bokeh, {token()}")
        if k % 2:  # at once and rudely
            made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        time.sleep(0.004 * (k % 6))
        made.close()
    assert page(port, f"localhost:{port}") == 200
    said = log.read_text()
    assert "Traceback" not in said
    assert "WARNING" not in said


def test_a_connection_that_is_gone_when_it_opens_is_left_alone():  # F6
    gone = _Socket.__new__(_Socket)
    gone.ws_connection, gone.connection = None, None
    gone._token = token()
    assert gone.open() is None
    gone.on_close()
    with pytest.raises(AssertionError):  # what it is kept from
        WSHandler.open.__wrapped__(gone)


# -- the page without a server ---------------------------------------------------------------------
@pytest.mark.parametrize("target", ["no-such-target", "formula: snh(x)", "nowhere.py:f"])
def test_a_static_page_of_no_target_is_refused_in_one_line(target, tmp_path, capsys):  # R28
    assert explorer(["--static", str(tmp_path / "new"), "--target", target]) == 2
    out, error = capsys.readouterr()
    assert (out, error.count("\n")) == ("", 1)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("target", "named"),
    [("context-max", "the largest"), ("others-mean", "others-mean"), ("", "the mean")],
)
def test_a_static_page_begins_with_its_target(target, named, tmp_path, monkeypatch):  # R28
    shown = []
    examples = {"the mean": "mean-field", "the largest": "context-max", "a": "formula: x"}
    monkeypatch.setattr(static, "EXAMPLES", examples)
    monkeypatch.setattr(static, "precomputed", lambda text, *rest: shown.append(text) or {})
    monkeypatch.setattr(static, "_document", lambda data, *rest, **more: list(data))
    monkeypatch.setattr(static, "file_html", lambda names, *rest, **more: "\n".join(names))
    file = static.write_static(tmp_path, target=target)
    names = file.read_text().split("\n")
    assert names[0] == named
    assert set(names) >= {"the mean", "the largest"}
    assert "a" not in names
    assert len(set(shown)) == len(names)


def test_what_a_function_prints_is_no_part_of_the_answer(tmp_path, monkeypatch, capsys):
    (tmp_path / "own.py").write_text("def shout(x):\n    print('hello')\n    return x ** 2\n")
    monkeypatch.setattr(static, "precomputed", lambda text, *rest: {})
    monkeypatch.setattr(static, "_document", lambda *rest, **more: None)
    monkeypatch.setattr(static, "file_html", lambda *rest, **more: "")
    own = f"{tmp_path / 'own.py'}:shout"
    assert explorer(["--static", str(tmp_path / "new"), "--target", own]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'new/explorer.html'}\n"


def test_a_page_is_served_before_what_is_slow_to_load():
    slow = ("torch", "sympy", "matplotlib", "scipy.optimize", "scipy.special", "scipy.stats")
    code = (
        "import sys; import looprate.figures.explorer.server\n"
        f"assert not set({slow!r}) & set(sys.modules), set({slow!r}) & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
