# SPDX-License-Identifier: Apache-2.0
"""Runtime handlers: named profiles of the configuration that pods choose."""

import json
import subprocess

from harness.case import own_node

HARDENED = """
[handlers.hardened]
capabilities = ["CHOWN"]
sysctls = { "net.core.somaxconn" = "99" }
pod_annotations = ["io.example.*"]
cgroup_writable = true
"""


def capabilities(container):
    """The capability bits of the container's first process."""
    status = container.output("cat", "/proc/self/status")
    return next(int(line.split()[1], 16) for line in status.splitlines()
                if line.startswith("CapBnd:"))


@own_node(config=HARDENED)
def test_profile_applies_to_its_pods_only(t):
    plain = t.pod().run(["sleep", "1000"])
    t.handler = "hardened"
    pod = t.pod(annotations={"io.example.team": "red", "private": "x"})
    hardened = pod.run(["sleep", "1000"])
    assert pod.status["runtimeHandler"] == "hardened"
    assert capabilities(hardened) == 1 << 0, hex(capabilities(hardened))
    assert capabilities(plain) != capabilities(hardened)
    somaxconn = "/proc/sys/net/core/somaxconn"
    assert hardened.output("cat", somaxconn) == "99\n"
    assert plain.output("cat", somaxconn) != "99\n"
    info = t.call("ContainerStatus", {"containerId": hardened.id, "verbose": True})["info"]
    annotations = json.loads(info["info"])["runtimeSpec"]["annotations"]
    assert annotations["io.example.team"] == "red" and "private" not in annotations, annotations
    mounts = {line.split()[1]: line.split()[3].split(",")
              for line in hardened.output("cat", "/proc/mounts").splitlines()}
    assert "rw" in mounts["/sys/fs/cgroup"], mounts["/sys/fs/cgroup"]


@own_node(config=HARDENED)
def test_pod_setting_wins_over_the_profile(t):
    t.handler = "hardened"
    pod = t.pod(linux={"sysctls": {"net.core.somaxconn": "77"}})
    container = pod.run(["sleep", "1000"], linux={
        "securityContext": {"capabilities": {"addCapabilities": ["KILL"]}}})
    assert container.output("cat", "/proc/sys/net/core/somaxconn") == "77\n"
    assert capabilities(container) == (1 << 0) | (1 << 5), hex(capabilities(container))


@own_node(config=HARDENED + "[handlers.runc]\ncapabilities = []\n")
def test_names(t):
    """Aliases mean the default unless they are defined; others are refused by name."""
    handlers = [h["name"] for h in t.call("Status")["runtimeHandlers"]]
    assert sorted(handlers) == ["", "berth", "crun", "hardened", "runc"], handlers
    t.handler = "crun"
    assert capabilities(t.pod().run(["sleep", "1000"])) != 0
    t.handler = "runc"
    assert capabilities(t.pod().run(["sleep", "1000"])) == 0
    t.fails("InvalidArgument", "RunPodSandbox",
            {"config": t.pod_config(), "runtimeHandler": "kata"}, part="kata")


def test_bad_profile_is_refused_by_the_check(t):
    path = f"{t.tmp}/config.toml"
    for text, part in [("[handlers.a]\nfoo = 1\n", ":2: handlers.a.foo: unknown key"),
                       ("[handlers.a]\ncapabilities = ['FLY']\n", "handlers.a.capabilities"),
                       ("[handlers.a]\nseccomp_profile = '/no/such'\n",
                        "handlers.a.seccomp_profile"),
                       ("default_handler = 'kata'\n", "no [handlers.kata]")]:
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        check = subprocess.run([t.tools["berthd"], "config", "check", "--config", path],
                               capture_output=True, text=True, check=False)
        assert check.returncode == 1 and part in check.stderr, check
