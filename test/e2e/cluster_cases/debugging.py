# SPDX-License-Identifier: Apache-2.0
"""What an operator does with kubectl."""

import fcntl
import json
import os
import pty
import re
import select
import socket
import struct
import subprocess
import termios
import time

from harness import wait
from harness.kubernetes import ADDRESS

from .cluster import container


def test_exec_and_attach(k):
    pod = k.running(container("sh", "-c", "while read x; do echo got $x; done", stdin=True,
                              stdinOnce=True))
    assert k.exec(pod, "sh", "-c", "echo out; echo err >&2") == "out\n"
    result = k.kubernetes.run("exec", pod, "--", "sh", "-c", "exit 7", check=False)
    assert result.returncode == 7, result.stderr
    result = k.kubernetes.run("exec", "-i", pod, "--", "cat", stdin="some input\n")
    assert result.stdout == "some input\n", result
    result = k.kubernetes.run("attach", "-i", pod, stdin="one\ntwo\n")
    assert "got one\ngot two\n" in result.stdout, result


class Terminal:
    """kubectl in a terminal of its own."""

    def __init__(self, k, rows, columns, *arguments):
        self._terminal, far = pty.openpty()
        self.resize(rows, columns)

        def take():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self._client = k.start(*arguments, stdin=far, stdout=far, stderr=far, preexec_fn=take)
        os.close(far)
        self._text = ""

    def resize(self, rows, columns):
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text):
        os.write(self._terminal, text.encode())

    def expect(self, pattern, seconds=30):
        """Reads until the pattern is there, and forgets what is before its end."""
        end = time.monotonic() + seconds
        while not (found := re.search(pattern, self._text)):
            left = end - time.monotonic()
            assert left > 0, f"no {pattern} in {self._text!r}"
            if select.select([self._terminal], [], [], left)[0]:
                try:
                    self._text += os.read(self._terminal, 4096).decode(errors="replace")
                except OSError:  # nobody holds the other end any more
                    raise AssertionError(f"no {pattern} before the end: {self._text!r}") from None
        self._text = self._text[found.end():]
        return found

    def end(self):
        """Its exit code."""
        return self._client.wait(30)

    def close(self):
        self._client.kill()
        self._client.wait()
        os.close(self._terminal)


def test_exec_in_a_terminal(k):
    pod = k.running(container("sleep", "1000"))
    terminal = Terminal(k, 33, 101, "exec", "-it", pod, "--", "sh")
    try:
        terminal.expect("# ")
        terminal.type("tty; echo in-$((1 + 1))\n")
        terminal.expect(r"\n/dev/(pts/\d+|console)\r\nin-2\r\n")

        def sized(rows, columns):
            terminal.type("echo size=$(stty size)\n")
            return terminal.expect(r"\nsize=(\d+ \d+)\r\n")[1] == f"{rows} {columns}"

        # The size travels beside the text, so it may arrive after it.
        wait.until(lambda: sized(33, 101), 20, "the size of the window")
        terminal.resize(44, 120)
        wait.until(lambda: sized(44, 120), 20, "the new size of the window")
        terminal.type("sleep 1000\n")
        terminal.expect("sleep 1000\r\n")
        wait.until(lambda: k.exec(pod, "ps").count("sleep 1000") > 1, 20, "sleep to run")
        terminal.type("\x03")
        terminal.expect("# ")
        terminal.type("echo code=$?; exit 7\n")
        terminal.expect("\ncode=130\r\n")
        assert terminal.end() == 7
    finally:
        terminal.close()


def test_logs(k):
    pod = k.running(container("sh", "-c", "n=0; while true; do echo line $n; n=$((n+1)); "
                                          "sleep 0.05; done"))
    client = k.start("logs", "-f", pod)
    lines = [client.stdout.readline().decode() for _ in range(30)]
    client.kill()
    client.communicate()
    assert lines == [f"line {n}\n" for n in range(30)], lines
    assert k.log(pod, "--tail=1").startswith("line ")


def test_log_rotation(k):
    pod = k.running(container("sh", "-c", "while true; do head -c 3000 /dev/zero | tr '\\0' x; "
                                          "echo; sleep 0.02; done"))

    def rotated():
        for root, _, files in os.walk(os.path.join(k.kubernetes.work, "pod-logs")):
            if pod in root and len(files) > 1:
                return True
        return False

    wait.until(rotated, 60, "the log to be rotated")
    assert k.log(pod, "--tail=2").strip(), "a log after rotation"


def test_port_forward(k):
    pod = k.running(container("nc", "-ll", "-p", "8080", "-e", "cat"))
    client = k.start("port-forward", pod, ":8080")
    try:
        line = client.stdout.readline().decode()
        port = int(re.search(r"127\.0\.0\.1:(\d+)", line)[1])
        with socket.create_connection(("127.0.0.1", port), 10) as connection:
            connection.sendall(b"through the tunnel")
            connection.shutdown(socket.SHUT_WR)
            found = b"".join(iter(lambda: connection.recv(4096), b""))
            assert found == b"through the tunnel", found
    finally:
        client.kill()
        client.communicate()


def test_copy(k):
    pod = k.running(container("sleep", "1000"))
    path = os.path.join(k.node.tmp, "copied")
    with open(path, "wb") as f:
        f.write(os.urandom(3 << 20))
    k.kubectl("cp", path, f"{pod}:/tmp/there")
    k.kubectl("cp", f"{pod}:/tmp/there", path + ".back")
    subprocess.run(["cmp", path, path + ".back"], check=True)


def test_debug_with_an_ephemeral_container(k):
    pod = k.running(container("sleep", "4321"))
    k.kubectl("debug", pod, "--image", k.busybox, "--target", "main", "--container", "look",
              "--profile", "general", "--image-pull-policy", "IfNotPresent", "--",
              "sh", "-c", "ps; exec sleep 1000")
    wait.until(lambda: "running" in k.states(pod, "ephemeralContainerStatuses")
               .get("look", {}).get("state", {}), 60, "the ephemeral container")
    assert "sleep 4321" in wait.until(lambda: k.log(pod, "-c", "look"), 20, "its log")


def test_stats_summary(k):
    pod = k.running(container("sh", "-c", "while true; do :; done"))

    def counted():
        text = k.kubernetes.http(f"http://{ADDRESS}:10255/stats/summary")
        for row in json.loads(text or b"{}").get("pods", []):
            if row["podRef"]["name"] == pod and row.get("containers"):
                cpu = row["containers"][0].get("cpu", {})
                memory = row["containers"][0].get("memory", {})
                return cpu.get("usageCoreNanoSeconds") and memory.get("workingSetBytes")
        return None

    wait.until(counted, 60, "the pod in the summary")
