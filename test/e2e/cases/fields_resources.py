# SPDX-License-Identifier: Apache-2.0
"""LinuxContainerResources, when a container is made and when it is changed."""

import os

from cases.fields_container import refused
from harness import wait
from harness.case import Skip, own_node

MIB = 1 << 20
UNIFIED = os.path.exists("/sys/fs/cgroup/cgroup.controllers")


def setting(container, v1, v2):
    """A control file as the container sees it; v1 is CONTROLLER/FILE."""
    return container.output("cat", "/sys/fs/cgroup/" + (v2 if UNIFIED else v1)).strip()


def memory_limit(container):
    return setting(container, "memory/memory.limit_in_bytes", "memory.max")


def quota(container):
    if UNIFIED:
        return setting(container, "", "cpu.max")
    return " ".join(setting(container, f"cpu/cpu.cfs_{name}_us", "")
                    for name in ("quota", "period"))


def cpus(container):
    return setting(container, "cpuset/cpuset.cpus", "cpuset.cpus")


def linux(**resources):
    return {"linux": {"resources": resources}}


def update(t, container, **resources):
    t.call("UpdateContainerResources", {"containerId": container.id, "linux": resources})


def told(container):
    """The limits in the status, without what is not set."""
    return {name: value for name, value in container.status["resources"]["linux"].items()
            if value and (value != "0" or name.startswith("cpuset"))}


def test_limits_and_their_status(t):
    limits = {"cpuPeriod": "50000", "cpuQuota": "25000", "cpuShares": "512",
              "memoryLimitInBytes": str(64 * MIB), "oomScoreAdj": "500", "cpusetCpus": "0",
              "cpusetMems": "0"}
    container = t.pod().run(["sleep", "1000"], **linux(**limits))
    assert memory_limit(container) == str(64 * MIB)
    assert quota(container) == "25000 50000"
    assert setting(container, "cpu/cpu.shares", "cpu.weight") == ("59" if UNIFIED else "512")
    assert cpus(container) == "0"
    assert setting(container, "cpuset/cpuset.mems", "cpuset.mems") == "0"
    assert told(container) == limits, told(container)
    # Not specified is not limited, and -1 says so.
    pod = t.pod()
    for given in ({}, {"cpuQuota": "-1", "memoryLimitInBytes": "-1",
                       "memorySwapLimitInBytes": "-1"}):
        free = pod.run(["sleep", "1000"], **linux(**given))
        assert quota(free).split()[0] in ("-1", "max") and told(free) == given
        limit = memory_limit(free)
        assert limit == "max" or int(limit) > 1 << 60, limit


def test_oom_score(t):
    """Of the first process and of every exec."""
    pod = t.pod()
    for score in (0, 500, 1000):
        container = pod.run(["sleep", "1000"], **linux(oomScoreAdj=str(score)))
        with open(f"/proc/{container.pid}/oom_score_adj", encoding="utf-8") as f:
            assert int(f.read()) == score
        assert container.output("cat", "/proc/self/oom_score_adj") == f"{score}\n"


def test_hugepages(t):
    """Kubelet sends every size with 0; a limit needs the controller."""
    sizes = [name.removeprefix("hugepages-").removesuffix("kB")
             for name in os.listdir("/sys/kernel/mm/hugepages")]
    names = [f"{int(kb) >> 20}GB" if int(kb) >= 1 << 20 else f"{int(kb) >> 10}MB" for kb in sizes]
    pod = t.pod()
    zero = [{"pageSize": name, "limit": "0"} for name in names]
    container = pod.run(["sleep", "1000"], **linux(hugepageLimits=zero))
    update(t, container, hugepageLimits=zero, cpuShares="300")
    assert [row["pageSize"] for row in container.status["resources"]["linux"]["hugepageLimits"]] \
        == names
    container.remove()
    with open("/proc/cgroups", encoding="utf-8") as f:
        controller = any(line.startswith("hugetlb\t") for line in f)
    some = [{"pageSize": names[0], "limit": str(1 << 30)}]
    if controller:
        pod.create(["true"], **linux(hugepageLimits=some)).remove()
    else:
        refused(t, pod, "hugepageLimits", code="FailedPrecondition", **linux(hugepageLimits=some))
    where = "config.linux.resources.hugepage_limits"
    for rows, part in (([{"pageSize": "", "limit": "0"}], f"{where}[0].page_size"),
                       ([{"pageSize": "2mb", "limit": "0"}], f"{where}[0].page_size"),
                       (zero + zero, f"{where}[{len(zero)}].page_size")):
        refused(t, pod, part, **linux(hugepageLimits=rows))


def test_unified_without_cgroup_v2(t):
    if UNIFIED:
        raise Skip("this machine has cgroup v2: the VM's resources_v2 shows what unified does")
    pod = t.pod()
    for key in ("memory.high", "memory.oom.group", "memory.swap.max", "cpu.weight"):
        message = refused(t, pod, key, **linux(unified={key: "1"}))
        assert "unified" in message, message
    container = pod.run(["sleep", "1000"], **linux(cpuShares="300"))
    t.fails("InvalidArgument", "UpdateContainerResources", {
        "containerId": container.id, "linux": {"cpuShares": "400",
                                               "unified": {"memory.high": "1"}}},
        part="memory.high")
    assert setting(container, "cpu/cpu.shares", "") == "300"


def test_absurd_limits_are_refused_by_name(t):
    huge = str((1 << 63) - 1)
    least = str(-(1 << 63))
    pod = t.pod()
    container = pod.create(["true"])
    for name, field, values in (
            ("cpuPeriod", "cpu_period", ("-1", "999", "1000001", huge, least)),
            ("cpuQuota", "cpu_quota", ("-2", "1", "999", least)),
            ("cpuShares", "cpu_shares", ("-1", least)),
            ("memoryLimitInBytes", "memory_limit_in_bytes", ("-2", "1", least)),
            ("memorySwapLimitInBytes", "memory_swap_limit_in_bytes", ("-2", least)),
            ("oomScoreAdj", "oom_score_adj", ("-1001", "1001", huge, least)),
            ("cpusetCpus", "cpuset_cpus", (" ", "0-", "a", "1-0", "0\n", "-1", "0,,1", "99999")),
            ("cpusetMems", "cpuset_mems", ("0-", "x"))):
        for value in values:
            for method, request, where in (
                    ("CreateContainer",
                     {"podSandboxId": pod.id, "sandboxConfig": pod.config, "config": dict(
                         {"metadata": {"name": "bad"}, "image": {"image": t.busybox}},
                         **linux(**{name: value}))}, f"config.linux.resources.{field}"),
                    ("UpdateContainerResources",
                     {"containerId": container.id, "linux": {name: value}}, f"linux.{field}")):
                message = t.fails("InvalidArgument", method, request)
                assert message.startswith(where + ":"), message
    for key in ("a/b", "", ".x", "../x.y", "a\nb", "cgroup.procs", "cgroup.freeze"):
        t.fails("InvalidArgument", "CreateContainer", {
            "podSandboxId": pod.id, "sandboxConfig": pod.config, "config": dict(
                {"metadata": {"name": "bad"}, "image": {"image": t.busybox}},
                **linux(unified={key: "1"}))}, part="unified")
    # What only the kernel knows: no such CPU, a share above the largest.
    for given, part in (({"cpusetCpus": "4095"}, "cpus"), ({"cpusetMems": "4095"}, "mems"),
                        ({"memoryLimitInBytes": str(64 * MIB),
                          "memorySwapLimitInBytes": str(32 * MIB)}, "swap")):
        t.fails("InvalidArgument", "CreateContainer", {
            "podSandboxId": pod.id, "sandboxConfig": pod.config, "config": dict(
                {"metadata": {"name": "bad"}, "image": {"image": t.busybox}},
                **linux(**given))}, part=part)
    for given in ({"cpuShares": huge}, {"memoryLimitInBytes": huge}, {"cpuShares": "1"}):
        pod.create(["true"], **linux(**given)).remove()


@own_node()
def test_updates_before_and_after_the_start(t):
    pod = t.pod()
    container = pod.create(["sleep", "1000"], **linux(
        cpuQuota="50000", cpuPeriod="100000", memoryLimitInBytes=str(64 * MIB)))
    update(t, container, cpusetCpus="0", cpuShares="300")
    update(t, container, memoryLimitInBytes=str(96 * MIB))
    expected = {"cpuQuota": "50000", "cpuPeriod": "100000", "cpuShares": "300", "cpusetCpus": "0",
                "memoryLimitInBytes": str(96 * MIB)}
    assert told(container) == expected, told(container)
    t.node.runtime.kill()
    t.node.runtime.start()
    t.node.connect()
    container.start()
    assert memory_limit(container) == str(96 * MIB) and cpus(container) == "0"
    assert quota(container) == "50000 100000" and told(container) == expected
    # Up and down, in one piece and in several.
    update(t, container, memoryLimitInBytes=str(32 * MIB), cpuQuota="20000")
    update(t, container, cpuPeriod="50000")
    update(t, container, cpuQuota="-1")
    update(t, container)
    assert memory_limit(container) == str(32 * MIB)
    assert quota(container) in ("-1 50000", "max 50000")
    expected.update(cpuQuota="-1", cpuPeriod="50000", memoryLimitInBytes=str(32 * MIB))
    assert told(container) == expected, told(container)
    # The score of running processes is not changed, and is not said to be.
    update(t, container, oomScoreAdj="900")
    assert "oomScoreAdj" not in told(container)
    with open(f"/proc/{container.pid}/oom_score_adj", encoding="utf-8") as f:
        assert int(f.read()) == 0
    container.stop()
    t.fails("FailedPrecondition", "UpdateContainerResources",
            {"containerId": container.id, "linux": {"cpuShares": "100"}})


def test_an_update_is_all_or_nothing(t):
    before = {"cpuQuota": "50000", "cpuPeriod": "100000", "cpuShares": "300",
              "memoryLimitInBytes": str(64 * MIB)}
    pod = t.pod()
    created = pod.create(["sleep", "1000"], **linux(**before))
    for container in (created, pod.run(["sleep", "1000"], **linux(**before))):
        for wrong, part in (({"cpusetCpus": "4095"}, "cpus"), ({"cpuPeriod": "7"}, "cpu_period"),
                            ({"memoryLimitInBytes": "1"}, "memory_limit_in_bytes"),
                            ({"unified": {"no.such": "1"}}, "no.such")):
            t.fails("InvalidArgument", "UpdateContainerResources", {
                "containerId": container.id, "linux": dict(
                    {"cpuShares": "999", "cpuQuota": "70000",
                     "memoryLimitInBytes": str(80 * MIB)}, **wrong)}, part=part)
            assert told(container) == before, (wrong, told(container))
        if container is created:
            created.start()
        assert quota(container) == "50000 100000"
        assert memory_limit(container) == str(64 * MIB)
        assert setting(container, "cpu/cpu.shares", "cpu.weight") == ("36" if UNIFIED else "300")


def test_a_memory_limit_below_what_is_used_is_refused(t):
    container = t.pod().run(
        ["sh", "-c", "head -c 24000000 /dev/zero > /dev/shm/x; echo up; exec sleep 1000"],
        **linux(memoryLimitInBytes=str(64 * MIB)))
    wait.until(lambda: "up" in container.log_text(), 20, "the memory to be used")
    message = t.fails("FailedPrecondition", "UpdateContainerResources", {
        "containerId": container.id, "linux": {"memoryLimitInBytes": str(16 * MIB),
                                               "cpuQuota": "70000"}})
    assert "usage" in message, message
    assert memory_limit(container) == str(64 * MIB)
    assert quota(container).split()[0] in ("-1", "max")
    update(t, container, memoryLimitInBytes=str(48 * MIB))
    assert memory_limit(container) == str(48 * MIB)
