# SPDX-License-Identifier: Apache-2.0
"""A private place on this machine: network, mount, PID, IPC and UTS namespaces of its own, so that
a run disturbs nobody and its end ends everything that it started."""

import os
import signal
import socket
import subprocess
import sys

ENTERED = "BERTH_TEST_PLACE"
NODE_NAME = "berth-test"


def enter(script):
    """Runs the script (a path) again in a private place, unless this already is one.

    The first process there reaps orphans, as a machine's first process does, and goes when the
    script's own process has ended; the kernel then kills what is left.
    """
    if os.environ.get(ENTERED) == str(os.getppid()):
        _prepare()
        return
    if os.environ.get(ENTERED) == "first":
        _be_first()
    os.environ[ENTERED] = "first"
    os.execvp("unshare", ["unshare", "--net", "--mount", "--pid", "--ipc", "--uts", "--fork",
                          "--kill-child", "--mount-proc", "--propagation", "private",
                          sys.executable, script, *sys.argv[1:]])


def _be_first():
    child = os.fork()
    if child == 0:
        os.environ[ENTERED] = "1"
        os.execv(sys.executable, [sys.executable, *sys.argv])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, frame: os.kill(child, number))
    while True:
        pid, status = os.wait()
        if pid == child:
            sys.exit(os.waitstatus_to_exitcode(status) & 0xff)


def _mount(*arguments):
    subprocess.run(["mount", *arguments], check=True)


def _write(path, text):
    with open(path, "w", encoding="ascii") as f:
        f.write(text)


def _prepare():
    targets = {name: os.path.realpath("/etc/" + name) for name in ("resolv.conf", "hosts")}
    _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
    os.makedirs("/run/lock", exist_ok=True)
    socket.sethostname(NODE_NAME)
    # A look-up of the node's name must not wait for a resolver that does not answer.
    contents = {
        "resolv.conf": "nameserver 127.0.0.1\n",
        "hosts": f"127.0.0.1 localhost\n::1 localhost\n127.0.0.1 {NODE_NAME}\n",
    }
    for name, target in targets.items():
        _write("/run/" + name, contents[name])
        if not os.path.exists(target):
            os.makedirs(os.path.dirname(target), exist_ok=True)
            _write(target, "")
        _mount("--bind", "/run/" + name, target)
    # Mount propagation is part of the CRI; these peers end with the namespace.
    _mount("--make-rshared", "/")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for setting in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
        if os.path.exists("/proc/sys/net/" + setting):
            _write("/proc/sys/net/" + setting, "1")
    os.environ.pop("http_proxy", None)
    os.environ.pop("https_proxy", None)
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        del os.environ[name]
