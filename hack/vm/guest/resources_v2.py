# SPDX-License-Identifier: Apache-2.0
"""Limits on cgroup v2, through CreateContainer and UpdateContainerResources."""

import math
import os
import subprocess

from harness.client import CallError

MIB = 1 << 20
SLEEP = ["sleep", "1000"]
HUGE = "hugetlb.2MB"


def weight(shares):
    """The formula of KEP-2254."""
    power = math.log2(shares)
    return math.ceil(10 ** (power * power / 612 + 125 * power / 612 - 7 / 34))


def limits(**resources):
    return {"linux": {"resources": resources}}


def expect(t, container, **files):
    """Control files hold what they should; "_" in a name stands for its dots."""
    found = {name: t.read(container, name.replace("_", ".")) for name in files}
    wanted = {name: str(value) for name, value in files.items()}
    assert found == wanted, f"{found}; expected {wanted}"


def test_cpu(t):
    container = t.pod().run(SLEEP, **limits(cpuShares=2, cpuQuota=15500, cpuPeriod=100000))
    expect(t, container, cpu_weight=1, cpu_max="15500 100000")
    for shares, known in ((1024, 100), (262144, 10000), (512, None), (3, None)):
        t.update(container, cpuShares=shares)
        expect(t, container, cpu_weight=known or weight(shares), cpu_max="15500 100000")
    t.update(container, cpuPeriod=50000)
    expect(t, container, cpu_max="15500 50000")
    t.update(container, cpuQuota=-1)
    assert t.read(container, "cpu.max").startswith("max "), t.read(container, "cpu.max")


def test_memory_and_swap(t):
    pod = t.pod()
    plain = pod.run(SLEEP, **limits(memoryLimitInBytes=64 * MIB))
    expect(t, plain, memory_max=64 * MIB, memory_swap_max=0)
    t.update(plain, memoryLimitInBytes=96 * MIB)
    expect(t, plain, memory_max=96 * MIB, memory_swap_max=0)
    swapping = pod.run(SLEEP, **limits(memoryLimitInBytes=64 * MIB,
                                       memorySwapLimitInBytes=96 * MIB))
    expect(t, swapping, memory_max=64 * MIB, memory_swap_max=32 * MIB)
    # The sum was not mentioned: it stays.
    t.update(swapping, memoryLimitInBytes=80 * MIB)
    expect(t, swapping, memory_max=80 * MIB, memory_swap_max=16 * MIB)
    own = pod.run(SLEEP, **limits(memoryLimitInBytes=64 * MIB,
                                  unified={"memory.swap.max": str(8 * MIB)}))
    expect(t, own, memory_max=64 * MIB, memory_swap_max=8 * MIB)
    t.update(own, memoryLimitInBytes=80 * MIB)
    expect(t, own, memory_max=80 * MIB, memory_swap_max=8 * MIB)


def test_unified(t):
    unified = {"memory.high": str(60 * MIB), "memory.low": str(8 * MIB),
               "memory.min": str(4 * MIB), "memory.oom.group": "1", "pids.max": "33",
               "memory.swap.max": "0"}
    container = t.pod().run(SLEEP, **limits(memoryLimitInBytes=64 * MIB, unified=unified))
    for file, value in unified.items():
        assert t.read(container, file) == value, (file, t.read(container, file))
    t.update(container, unified={"memory.high": "max", "pids.max": "44"})
    expect(t, container, memory_high="max", memory_low=8 * MIB, memory_oom_group=1, pids_max=44,
           memory_max=64 * MIB)
    known = container.status["resources"]["linux"]["unified"]
    assert known == dict(unified, **{"memory.high": "max", "pids.max": "44"}), known


def test_bad_unified_key(t):
    pod = t.pod()
    for key, value in (("nonsense.max", "1"), ("memory/high", "1"), ("memory.nonsense", "1"),
                       ("memory.high", "many")):
        try:
            container = pod.create(SLEEP, **limits(unified={key: value}))
            # A scope has its files from the start on.
            assert t.driver == "systemd" and key.startswith("memory."), f"{key} was taken"
            container.start()
        except CallError as error:
            assert error.code in ("InvalidArgument", "FailedPrecondition"), error
            assert key in error.message, error
        else:
            raise AssertionError(f"{key} was taken")
    container = pod.run(SLEEP, **limits(cpuShares=512))
    before = t.read(container, "cpu.weight")
    t.fails("FailedPrecondition|InvalidArgument", "UpdateContainerResources", {
        "containerId": container.id,
        "linux": {"cpuShares": 2, "unified": {"memory.nonsense": "1"}}}, part="memory.nonsense")
    expect(t, container, cpu_weight=before)
    assert not container.status["resources"]["linux"].get("unified"), container.status


def test_cpuset(t):
    container = t.pod().run(SLEEP, **limits(cpusetCpus="0", cpusetMems="0"))
    expect(t, container, cpuset_cpus=0, cpuset_mems=0)
    assert container.output("nproc") == "1\n"
    t.update(container, cpusetCpus="1")
    expect(t, container, cpuset_cpus=1, cpuset_mems=0)
    t.update(container, cpusetCpus="0-1")
    assert container.output("nproc") == "2\n"
    t.fails("InvalidArgument|OutOfRange", "UpdateContainerResources", {
        "containerId": container.id, "linux": {"cpusetCpus": "77"}}, part="cpu.cpus")
    expect(t, container, cpuset_cpus="0-1")


def test_first_limits_of_a_running_container(t):
    """Their controllers may have been off until now."""
    container = t.pod().run(SLEEP)
    t.update(container, cpuShares=512, cpusetCpus="1")
    t.update(container, cpuQuota=20000, cpuPeriod=100000, memoryLimitInBytes=64 * MIB)
    expect(t, container, cpu_weight=weight(512), cpuset_cpus=1, cpu_max="20000 100000",
           memory_max=64 * MIB)
    t.pod().run(SLEEP)
    expect(t, container, cpu_weight=weight(512), cpuset_cpus=1, cpu_max="20000 100000")


def test_huge_pages(t):
    """Kubelet names every size of the machine, most of them with 0."""
    sizes = [{"pageSize": "2MB", "limit": str(4 * MIB)}, {"pageSize": "1GB", "limit": "0"}]
    pod = t.pod()
    container = pod.run(SLEEP, **limits(hugepageLimits=sizes))
    assert t.read(container, HUGE + ".max") == str(4 * MIB)
    assert t.read(container, HUGE + ".rsvd.max") == str(4 * MIB)
    t.update(container, hugepageLimits=[{"pageSize": "2MB", "limit": "0"}])
    assert t.read(container, HUGE + ".max") == "0"
    none = pod.run(SLEEP, **limits(hugepageLimits=[{"pageSize": "2MB", "limit": "0"}]))
    assert t.read(none, HUGE + ".max") == "0"


def test_update_before_start(t):
    """What kubelet's CPU and memory managers do between the two calls."""
    container = t.pod().create(SLEEP, **limits(
        cpuShares=512, memoryLimitInBytes=64 * MIB, unified={"memory.low": str(MIB)}))
    t.update(container, cpusetCpus="1", cpusetMems="0")
    t.update(container, cpuQuota=25000, cpuPeriod=100000, unified={"memory.high": str(32 * MIB)})
    t.fails("InvalidArgument", "UpdateContainerResources", {
        "containerId": container.id, "linux": {"unified": {"nonsense.max": "1"}}},
        part="nonsense.max")
    resources = container.status["resources"]["linux"]
    assert resources["cpusetCpus"] == "1" and int(resources["cpuQuota"]) == 25000, resources
    subprocess.run(["systemctl", "restart", "berthd"], check=True)
    container.start()
    expect(t, container, cpu_weight=weight(512), cpu_max="25000 100000", cpuset_cpus=1,
           cpuset_mems=0, memory_max=64 * MIB, memory_low=MIB, memory_high=32 * MIB)


def test_limit_below_usage_is_refused(t):
    command = "dd if=/dev/zero of=/dev/shm/file bs=1M count=40; echo full; exec sleep 1000"
    container = t.pod().run(["sh", "-c", command],
                            **limits(memoryLimitInBytes=80 * MIB, cpuShares=1024))
    t.until(lambda: "full" in container.log_text(), "memory to be in use")
    t.fails("FailedPrecondition", "UpdateContainerResources", {
        "containerId": container.id,
        "linux": {"memoryLimitInBytes": 16 * MIB, "cpuShares": 2}}, part="memory.limit")
    expect(t, container, memory_max=80 * MIB, cpu_weight=100)
    resources = container.status["resources"]["linux"]
    assert int(resources["memoryLimitInBytes"]) == 80 * MIB, resources
    assert container.output("echo", "alive") == "alive\n"
    t.update(container, memoryLimitInBytes=60 * MIB)
    expect(t, container, memory_max=60 * MIB, cpu_weight=100)


def test_a_reload_of_systemd_resets_nothing(t):
    # Not memory.oom.group: scopes have no property for it before systemd 253, which clears it.
    unified = {"memory.high": str(60 * MIB), "memory.low": str(8 * MIB),
               "memory.min": str(4 * MIB), "pids.max": "33"}
    container = t.pod().run(SLEEP, **limits(
        cpuShares=512, cpuQuota=25000, cpuPeriod=100000, cpusetCpus="0",
        memoryLimitInBytes=64 * MIB, memorySwapLimitInBytes=96 * MIB, unified=unified,
        hugepageLimits=[{"pageSize": "2MB", "limit": str(4 * MIB)}]))
    files = ("cpu.weight", "cpu.max", "cpuset.cpus", "memory.max", "memory.swap.max",
             HUGE + ".max", *unified)

    def state():
        return {file: t.read(container, file) for file in files}

    def reload():
        subprocess.run(["systemctl", "daemon-reload"], check=True)
        # A new unit makes systemd look at the whole tree again.
        subprocess.run(["systemd-run", "--wait", "-q", "--slice=berthtest.slice", "true"],
                       check=True)

    before = state()
    assert before["cpu.max"] == "25000 100000" and before["memory.low"] == str(8 * MIB), before
    reload()
    assert state() == before, f"{state()}; before: {before}"
    t.update(container, cpuQuota=30000, memoryLimitInBytes=72 * MIB, cpusetCpus="1",
             unified={"memory.high": str(50 * MIB), "pids.max": "44"})
    updated = state()
    assert updated["cpu.max"] == "30000 100000" and updated["pids.max"] == "44", updated
    reload()
    assert state() == updated, f"{state()}; before: {updated}"
    check_devices(container)


def check_devices(container):
    """A disk's node can be made and not opened; what every container has can be."""
    info = os.stat("/dev/vda")
    script = (f"mknod /tmp/disk b {os.major(info.st_rdev)} {os.minor(info.st_rdev)} && "
              "head -c 1 /tmp/disk; rm -f /tmp/disk; head -c 1 /dev/zero | wc -c")
    _, out, err = container.exec("sh", "-c", script)
    assert "not permitted" in err and out == "1\n", (out, err)


def test_devices(t):
    pod = t.pod()
    container = pod.run(SLEEP)
    check_devices(container)
    t.update(container, cpuShares=100)
    check_devices(container)


def test_cgroup_namespace(t):
    """A container sees its own cgroup as the root, cannot change it, and has its files."""
    container = t.pod().run(["sh", "-c", "cat /proc/self/cgroup; exec sleep 1000"],
                            **limits(memoryLimitInBytes=64 * MIB))
    t.until(lambda: container.log_text() == "0::/\n", "its cgroup to be the root")
    assert container.output("cat", "/sys/fs/cgroup/memory.max") == f"{64 * MIB}\n"
    code, _, err = container.exec("sh", "-c", "echo max >/sys/fs/cgroup/memory.max")
    assert code != 0 and "Read-only" in err, (code, err)


def test_oom_is_seen_each_time(t):
    """Also where systemd removes the scope at once."""
    pod = t.pod()
    command = ["dd", "if=/dev/zero", "of=/dev/null", "bs=200M"]
    group = "dd if=/dev/zero of=/dev/null bs=200M; sleep 1000"
    for number in range(8):
        whole = number % 2 == 1
        container = pod.run(["sh", "-c", group] if whole else command, **limits(
            memoryLimitInBytes=16 * MIB, unified={"memory.oom.group": "1"} if whole else {}))
        status = t.until(lambda c=container: (lambda s: s if s["state"] == "CONTAINER_EXITED"
                                              else None)(c.status), "the end")
        assert (status["reason"], status["exitCode"]) == ("OOMKilled", 137), status
        container.remove()
