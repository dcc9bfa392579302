# SPDX-License-Identifier: Apache-2.0
"""Exec, attach and port-forward with the real crictl, over SPDY and WebSocket."""

import contextlib
import fcntl
import hashlib
import json
import os
import pty
import re
import signal
import socket
import struct
import subprocess
import termios
import threading

from harness import wait

TRANSPORTS = ("spdy", "websocket")
LARGE = 500 << 20
PIECE = bytes(range(256)) * 4096  # 1 MiB


def exec_(t, transport, container, *command, options=(), data=None):
    """(exit code of crictl, stdout, stderr) of crictl exec, as bytes."""
    process = t.crictl.open("exec", "--transport", transport, *options, container.id, *command,
                            stdin=subprocess.DEVNULL if data is None else subprocess.PIPE)
    out, err = process.communicate(data, timeout=60)
    return process.returncode, out, err


def test_exec(t):
    container = t.host_pod().run(["sleep", "1000"])
    for transport in TRANSPORTS:
        code, out, err = exec_(t, transport, container, "sh", "-c", "echo out; echo err >&2")
        assert (code, out) == (0, b"out\n") and b"err\n" in err, (transport, code, out, err)
        code, _, err = exec_(t, transport, container, "sh", "-c", "exit 42")
        assert code == 1 and b"exit code 42" in err, (transport, code, err)
        code, _, err = exec_(t, transport, container, "sh", "-c", "kill -9 $$")
        assert code == 1 and b"exit code 137" in err, (transport, code, err)
        code, _, err = exec_(t, transport, container, "no-such-command")
        assert code == 1 and b"no-such-command" in err, (transport, code, err)
        # The end of the input reaches the process, and its answer comes after.
        code, out, err = exec_(t, transport, container, "sh", "-c", "cat; echo end",
                               options=["-i"], data=b"input\n")
        assert (code, out) == (0, b"input\nend\n"), (transport, code, out, err)
        # A process that reads nothing ends although its client has much to say.
        code, _, err = exec_(t, transport, container, "true", options=["-i"], data=PIECE * 4)
        assert code == 0, (transport, code, err)


@contextlib.contextmanager
def terminal(columns, rows):
    """(our side, the other side) of a terminal of this size."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    try:
        yield master, slave
    finally:
        os.close(master)
        os.close(slave)


def read_until(fd, pattern, seconds=20):
    """What comes from fd until the pattern matches."""
    seen = b""
    os.set_blocking(fd, False)

    def found():
        nonlocal seen
        with contextlib.suppress(BlockingIOError):
            seen += os.read(fd, 65536)
        return re.search(pattern, seen)

    try:
        wait.until(found, seconds, f"{pattern!r} from the terminal")
    except AssertionError as error:
        raise AssertionError(f"{error}; it has {seen[-500:]!r}") from None
    return seen


def in_terminal(t, master, slave, *arguments):
    # The terminal is the client's controlling one: it reads sizes from it.
    return t.crictl.open(*arguments, stdin=slave, stdout=slave, stderr=slave,
                         preexec_fn=lambda: (os.setsid(),
                                             fcntl.ioctl(slave, termios.TIOCSCTTY, 0)))


def test_terminals(t):
    container = t.host_pod().run(["sleep", "1000"])
    for transport in TRANSPORTS:
        with terminal(77, 33) as (master, slave):
            client = in_terminal(t, master, slave, "exec", "--transport", transport, "-it",
                                 container.id, "sh")
            read_until(master, rb"# ")
            os.write(master, b"test -t 0 && stty size\n")
            read_until(master, rb"33 77\r\n")
            fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 11, 99, 0, 0))
            client.send_signal(signal.SIGWINCH)
            # The new size travels on another stream than the command.
            os.write(master, b"until stty size | grep -q 99; do sleep 0.01; done; stty size\n")
            read_until(master, rb"11 99\r\n")
            os.write(master, b"sleep 4321\n")
            wait.until(lambda: "sleep 4321" in container.output("ps"), 20, "the program to run")
            os.write(master, b"\x03")  # interrupts the program, not the client
            read_until(master, rb"\^C\r\n.*# ")
            os.write(master, b"exit 5\n")
            read_until(master, rb"exit code 5")
            assert client.wait(20) == 1, transport


def test_attach(t):
    pod = t.host_pod()
    for transport in TRANSPORTS:
        container = pod.run(["sh", "-c", "while read x; do echo got $x; echo err $x >&2; done; "
                                         "echo end; exit 3"], stdin=True, stdinOnce=True)
        client = t.crictl.open("attach", "--transport", transport, "-i", container.id,
                               stdin=subprocess.PIPE)
        out, err = client.communicate(b"one\ntwo\n", timeout=30)
        assert out == b"got one\ngot two\nend\n", (transport, out, err)
        assert b"err one\nerr two\n" in err, (transport, err)
        assert container.wait()["exitCode"] == 3
        assert "end" in container.log_text()


def test_attach_leaves_a_container_its_input(t):
    """Without stdin_once clients come and go."""
    container = t.host_pod().run(["sh", "-c", "while read x; do echo got $x; done; echo end"],
                                 stdin=True)
    for number in ("1", "2"):
        client = t.crictl.open("attach", "-i", container.id, stdin=subprocess.PIPE)
        client.stdin.write(number.encode() + b"\n")
        client.stdin.flush()
        assert client.stdout.readline() == f"got {number}\n".encode()
        client.kill()
        client.communicate()
    assert container.status["state"] == "CONTAINER_RUNNING"


def test_attach_terminal(t):
    container = t.host_pod().run(["sh"], stdin=True, tty=True)
    for transport in TRANSPORTS:
        with terminal(60, 20) as (master, slave):
            client = in_terminal(t, master, slave, "attach", "--transport", transport, "-it",
                                 container.id)
            os.write(master, b"until stty size | grep -q 60; do sleep 0.01; done; stty size\n")
            read_until(master, rb"20 60\r\n")
            client.kill()
            client.wait()
    assert container.status["state"] == "CONTAINER_RUNNING"


def test_many_attach_and_one_that_sleeps(t):
    """Every client sees all of it, and who does not read disturbs nobody."""
    container = t.host_pod().run(
        ["sh", "-c", "while read x && [ $x != go ]; do echo tick; done; seq 1 1000000"],
        stdin=True)
    clients = [t.crictl.open("attach", "--transport", TRANSPORTS[n % 2], container.id)
               for n in range(6)]
    writer = t.crictl.open("attach", "-i", container.id, stdin=subprocess.PIPE,
                           stdout=subprocess.DEVNULL)
    ticked, outputs = [threading.Event() for _ in clients], [b""] * len(clients)
    asleep = threading.Event()

    def read(index):
        assert clients[index].stdout.readline() == b"tick\n"
        ticked[index].set()
        if index > 0 or asleep.wait(60):
            outputs[index] = clients[index].communicate(timeout=60)[0]

    readers = [threading.Thread(target=read, args=(index,)) for index in range(len(clients))]
    for reader in readers:
        reader.start()

    def tick():
        writer.stdin.write(b"tick\n")
        writer.stdin.flush()
        return all(event.is_set() for event in ticked)

    wait.until(tick, 20, "all clients to be attached")
    clients[0].send_signal(signal.SIGSTOP)
    writer.stdin.write(b"go\n")
    writer.stdin.close()
    assert container.wait(60)["exitCode"] == 0
    clients[0].send_signal(signal.SIGCONT)
    asleep.set()
    for reader in readers:
        reader.join()
    writer.wait(20)
    expected = "".join(f"{n}\n" for n in range(1, 1000001)).encode()
    for output in outputs[1:]:
        assert output.replace(b"tick\n", b"") == expected, len(output)


def test_what_an_exec_leaves_running_is_not_waited_for(t):
    container = t.host_pod().run(["sleep", "1000"])
    for transport in TRANSPORTS:
        code, out, _ = exec_(t, transport, container, "sh", "-c", "sleep 1000 & echo done")
        assert (code, out) == (0, b"done\n"), (transport, code, out)
    assert container.output("sh", "-c", "ps | grep -c '[s]leep 1000'").strip() >= "2"


def test_exec_ends_with_its_client(t):
    container = t.host_pod().run(["sleep", "1000"])
    for transport in TRANSPORTS:
        client = t.crictl.open("exec", "--transport", transport, container.id, "sh", "-c",
                               "echo here; exec sleep 4321")
        assert client.stdout.readline() == b"here\n"
        client.kill()
        client.communicate()
        wait.until(lambda: "4321" not in container.output("ps"), 20, "the exec to be killed")


def pattern(size):
    for start in range(0, size, len(PIECE)):
        yield PIECE[:size - start]


def feed(stream, size):
    with contextlib.suppress(BrokenPipeError):
        for piece in pattern(size):
            stream.write(piece)
        stream.close()


def digest_of(pieces):
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def read_pieces(stream):
    return iter(lambda: stream.read(1 << 20), b"")


def test_large_exec(t):
    """500 MiB there and back through one exec, not a byte lost."""
    container = t.host_pod().run(["sleep", "1000"])
    for transport in TRANSPORTS:
        client = t.crictl.open("exec", "--transport", transport, "-i", container.id, "cat",
                               stdin=subprocess.PIPE)
        writer = threading.Thread(target=feed, args=(client.stdin, LARGE))
        writer.start()
        found = digest_of(read_pieces(client.stdout))
        writer.join()
        assert client.wait(20) == 0, client.stderr.read()
        assert found == digest_of(pattern(LARGE)), transport


@contextlib.contextmanager
def forwarded(t, transport, pod, port):
    """The address at which crictl forwards to the pod's port."""
    client = t.crictl.open("port-forward", "--transport", transport, pod.id, f"0:{port}")
    try:
        line = client.stdout.readline().decode()
        match = re.search(r"127\.0\.0\.1:(\d+)", line)
        assert match, (line, client.poll())
        yield ("127.0.0.1", int(match[1]))
    finally:
        client.kill()
        client.communicate()


def test_port_forward(t):
    pods = {"own network": t.pod(), "the node's network": t.host_pod()}
    for name, pod in pods.items():
        port = "8090" if name == "own network" else "18090"
        listen(pod, port)
        for transport in TRANSPORTS:
            with forwarded(t, transport, pod, port) as address:
                for number in range(3):
                    text = f"{name} {transport} {number}".encode()
                    with socket.create_connection(address, 10) as connection:
                        connection.sendall(text)
                        connection.shutdown(socket.SHUT_WR)
                        found = b"".join(iter(lambda c=connection: c.recv(65536), b""))
                        assert found == text, (found, text)


def listen(pod, port):
    """A container that echoes what comes to the port, of each client."""
    container = pod.run(["nc", "-ll", "-p", port, "-e", "cat"])
    row = f":{int(port):04X} "
    wait.until(lambda: row in container.output("cat", "/proc/net/tcp", "/proc/net/tcp6"), 20,
               "the port to be open")


def test_large_port_forward(t):
    """500 MiB there and back through one connection, not a byte lost."""
    pod = t.pod()
    listen(pod, "8090")
    for transport in TRANSPORTS:
        with forwarded(t, transport, pod, "8090") as address:
            with socket.create_connection(address, 60) as connection:
                stream = connection.makefile("rwb", buffering=0)

                def write(out=stream, end=connection):
                    for piece in pattern(LARGE):
                        end.sendall(piece)
                    end.shutdown(socket.SHUT_WR)

                writer = threading.Thread(target=write)
                writer.start()
                found = digest_of(read_pieces(stream))
                writer.join()
                assert found == digest_of(pattern(LARGE)), transport


def test_nobody_listens(t):
    pod = t.pod()
    pod.run(["sleep", "1000"])
    with forwarded(t, "spdy", pod, 9) as address:
        with socket.create_connection(address, 20) as connection:
            with contextlib.suppress(ConnectionError):
                assert connection.recv(1) == b""


def http(address, request):
    with socket.create_connection(address, 10) as connection:
        connection.sendall(request.encode())
        return b"".join(iter(lambda: connection.recv(65536), b"")).decode()


UPGRADE = "Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v9\r\n"


def test_urls(t):
    """A URL is good for one connection, and tells nothing."""
    container = t.host_pod().run(["sleep", "1000"])
    request = {"containerId": container.id, "cmd": ["true"], "stdout": True}
    url = t.call("Exec", request)["url"]
    match = re.fullmatch(r"http://(127\.0\.0\.1):(\d+)(/exec/[A-Za-z0-9_-]{22})", url)
    assert match, url
    address, path = (match[1], int(match[2])), match[3]
    host = f"Host: {match[1]}\r\n"
    answer = http(address, f"PUT {path} HTTP/1.1\r\n{host}\r\n")
    assert answer.startswith("HTTP/1.1 405 "), answer
    answer = http(address, f"GET {path} HTTP/1.1\r\n{host}{UPGRADE}\r\n")
    assert answer.startswith("HTTP/1.1 403 ") and "v4.channel.k8s.io" in answer, answer
    answer = http(address, f"GET {path} HTTP/1.1\r\n{host}{UPGRADE}\r\n")
    assert answer.startswith("HTTP/1.1 404 "), answer
    answer = http(address, f"GET /exec/{'x' * 22} HTTP/1.1\r\n{host}{UPGRADE}\r\n")
    assert answer.startswith("HTTP/1.1 404 "), answer
    answer = http(address, "GARBAGE\r\n\r\n")
    assert answer.startswith("HTTP/1.1 400 ") or answer == "", answer


def test_wrong_requests(t):
    pod = t.host_pod()
    container = pod.create(["sleep", "1000"])
    good = {"containerId": container.id, "cmd": ["true"], "stdout": True}
    t.fails("FailedPrecondition", "Exec", good, part="not running")
    t.fails("FailedPrecondition", "Attach", {"containerId": container.id, "stdout": True})
    t.fails("InvalidArgument", "Exec", dict(good, cmd=[]), part="cmd")
    t.fails("InvalidArgument", "Exec", dict(good, containerId=""), part="container_id")
    t.fails("InvalidArgument", "Exec", dict(good, stdout=False), part="stdout")
    t.fails("InvalidArgument", "Exec", dict(good, tty=True, stderr=True), part="tty")
    t.fails("NotFound", "Exec", dict(good, containerId="0" * 64))
    t.fails("NotFound", "Attach", {"containerId": "0" * 64, "stdout": True})
    t.fails("NotFound", "PortForward", {"podSandboxId": "0" * 64, "port": [80]})
    t.fails("InvalidArgument", "PortForward", {"podSandboxId": pod.id, "port": [70000]},
            part="port")
    pod.stop()
    t.fails("FailedPrecondition", "PortForward", {"podSandboxId": pod.id, "port": [80]},
            part="not ready")


def foreign(t, request, protocol, data=b""):
    """What the npm package ws sees of an exec."""
    script = os.path.join(os.path.dirname(__file__), "../clients/exec_ws.js")
    result = subprocess.run(
        ["/usr/bin/node", script, t.call("Exec", request)["url"], *protocol], input=data,
        capture_output=True, timeout=60, check=False,
        env={"NODE_PATH": "/usr/share/nodejs", "PATH": os.environ["PATH"]})
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_foreign_client(t):
    """A client of another origin: Node's ws, with each form of the protocol."""
    container = t.host_pod().run(["sleep", "1000"])
    request = {"containerId": container.id, "stdout": True, "stderr": True, "stdin": True,
               "cmd": ["sh", "-c", "read x; echo got $x; echo err >&2; exit 6"]}
    for protocol in ("v5.channel.k8s.io", "v4.channel.k8s.io", "v4.base64.channel.k8s.io"):
        seen = foreign(t, request, [protocol], b"input\n")
        assert seen["protocol"] == protocol and seen["pong"] and seen["error"] is None, seen
        assert seen["channels"]["1"] == "got input\n", seen
        assert seen["channels"]["2"] == "err\n", seen
        status = json.loads(seen["channels"]["3"])
        assert status["details"]["causes"] == [{"reason": "ExitCode", "message": "6"}], seen
        assert seen["code"] == 1000, seen
    seen = foreign(t, request, [], b"input\n")
    assert seen["channels"]["1"] == "got input\n", seen
    # With v5 the end of the input is told.
    seen = foreign(t, dict(request, cmd=["sh", "-c", "cat; echo end"]), ["v5.channel.k8s.io"],
                   b"some text\n" * 10000)
    assert seen["channels"]["1"] == "some text\n" * 10000 + "end\n", seen["error"]
    assert json.loads(seen["channels"]["3"])["status"] == "Success", seen["channels"]["3"]
    assert foreign(t, request, ["v9.channel.k8s.io"])["error"], "an unknown protocol is refused"
