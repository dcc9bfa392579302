# SPDX-License-Identifier: Apache-2.0
"""Containers that Debian's runc makes, on cgroup v2."""

MIB = 1 << 20


def refused_under_systemd(t):
    """True where the driver does not allow it, which is then checked."""
    t.handler = "runc"
    if t.driver != "systemd":
        return False
    pod = t.pod()
    t.fails("Unimplemented", "CreateContainer", {
        "podSandboxId": pod.id, "sandboxConfig": pod.config,
        "config": {"metadata": {"name": "c"}, "image": {"image": t.busybox}, "linux": {},
                   "command": ["true"]}}, part="cgroupfs")
    return True


def test_limits_and_updates(t):
    if refused_under_systemd(t):
        return
    script = "cat /proc/self/cgroup; exec sleep 1000"
    container = t.pod().create(["sh", "-c", script], linux={"resources": {
        "memoryLimitInBytes": 64 * MIB, "unified": {"memory.low": "4194304"}}})
    t.update(container, cpuQuota=20000, cpuPeriod=100000)
    container.start()
    t.update(container, memoryLimitInBytes=80 * MIB)
    found = [t.read(container, file) for file in ("memory.max", "memory.low", "cpu.max")]
    assert found == [str(80 * MIB), "4194304", "20000 100000"], found
    t.until(lambda: container.log_text() == "0::/\n", "its cgroup to be the root")


def test_oom(t):
    if refused_under_systemd(t):
        return
    container = t.pod().run(["dd", "if=/dev/zero", "of=/dev/null", "bs=200M"], linux={
        "resources": {"memoryLimitInBytes": 32 * MIB}})
    t.until(lambda: container.status["state"] == "CONTAINER_EXITED", "the end")
    status = container.status
    assert (status["reason"], status["exitCode"]) == ("OOMKilled", 137), status
