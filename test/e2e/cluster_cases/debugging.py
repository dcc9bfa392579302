# SPDX-License-Identifier: Apache-2.0
"""What an operator does with kubectl."""

import json
import os
import re
import socket
import subprocess

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
