# SPDX-License-Identifier: Apache-2.0
"""What is used, on cgroup v2 and with pressure: ContainerStats, PodSandboxStats, metrics."""

import os
import re
import subprocess

MIB = 1 << 20
PRESSURE = ("cpu", "memory", "io")


def value(message):
    return int(message.get("value", 0))


def stats_of(t, container):
    return t.call("ContainerStats", {"containerId": container.id})["stats"]


def pod_stats_of(t, pod):
    return t.call("PodSandboxStats", {"podSandboxId": pod.id})["stats"]["linux"]


def pressure_file(directory, kind):
    """{"some": ns, "full": ns} as the kernel has it."""
    with open(os.path.join(directory, kind + ".pressure"), encoding="ascii") as f:
        return {word: int(total) * 1000
                for word, total in re.findall(r"^(\w+) .*total=(\d+)", f.read(), re.M)}


def check_pressure(t, directory, stats):
    """All three are there and lie between two readings of the kernel's own files."""
    before = {kind: pressure_file(directory, kind) for kind in PRESSURE}
    found = stats()
    after = {kind: pressure_file(directory, kind) for kind in PRESSURE}
    for kind in PRESSURE:
        psi = found[kind]["psi"]
        assert int(found[kind]["timestamp"]) > 0, found[kind]
        for name in ("Some", "Full"):
            total = int(psi[name].get("Total", 0))
            low, high = (row[kind].get(name.lower(), 0) for row in (before, after))
            assert low <= total <= high, (kind, name, low, total, high)
            assert 0 <= float(psi[name].get("Avg10", 0)) <= 100, psi


def test_container(t):
    command = "dd if=/dev/zero of=/file bs=1M count=3; exec sleep 1000"
    container = t.pod().run(["sh", "-c", command], linux={"resources": {
        "memoryLimitInBytes": 64 * MIB, "memorySwapLimitInBytes": 96 * MIB}})
    layer = t.until(lambda: stats_of(t, container).get("writableLayer"), "the layer's size")
    assert 3 * MIB <= value(layer["usedBytes"]) < 4 * MIB and value(layer["inodesUsed"]) >= 1, layer
    stats = stats_of(t, container)
    memory = stats["memory"]
    assert 0 < value(memory["workingSetBytes"]) <= value(memory["usageBytes"]) <= 64 * MIB, memory
    assert value(memory["availableBytes"]) == 64 * MIB - value(memory["workingSetBytes"]), memory
    assert value(memory["rssBytes"]) > 0 and value(memory["pageFaults"]) > 0, memory
    assert "majorPageFaults" in memory, memory
    assert value(stats["swap"]["swapUsageBytes"]) == 0, stats["swap"]
    assert value(stats["swap"]["swapAvailableBytes"]) == 32 * MIB, stats["swap"]
    assert value(stats["cpu"]["usageCoreNanoSeconds"]) > 0, stats["cpu"]
    check_pressure(t, t.group(container.id), lambda: stats_of(t, container))
    # Without a limit there is nothing that is available.
    free = stats_of(t, t.pod().run(["sleep", "1000"]))
    assert "availableBytes" not in free["memory"], free["memory"]


def test_pressure_rises(t):
    """Two that want one processor wait for it."""
    loop = "while :; do :; done"
    container = t.pod().run(["sh", "-c", f"({loop}) & {loop}"],
                            linux={"resources": {"cpusetCpus": "0"}})
    t.until(lambda: int(stats_of(t, container)["cpu"]["psi"]["Some"].get("Total", 0)) > 10_000_000,
            "pressure")
    check_pressure(t, t.group(container.id), lambda: stats_of(t, container))


def test_swap(t):
    """Memory that does not fit goes to the disk and is told apart."""
    path = "/var/swapfile"
    with open(path, "wb") as f:
        os.fchmod(f.fileno(), 0o600)
        os.posix_fallocate(f.fileno(), 0, 96 * MIB)
    subprocess.run(["mkswap", "-q", path], check=True)
    subprocess.run(["swapon", path], check=True)
    try:
        command = "dd if=/dev/zero of=/dev/shm/file bs=1M count=40; echo full; exec sleep 1000"
        container = t.pod().run(["sh", "-c", command], linux={"resources": {
            "memoryLimitInBytes": 24 * MIB, "memorySwapLimitInBytes": 88 * MIB}})
        t.until(lambda: "full" in container.log_text(), "memory to be in use")
        with open(os.path.join(t.group(container.id), "memory.swap.current"),
                  encoding="ascii") as f:
            used = int(f.read())
        assert used > 10 * MIB, used
        swap = stats_of(t, container)["swap"]
        assert abs(value(swap["swapUsageBytes"]) - used) < 4 * MIB, (swap, used)
        assert value(swap["swapAvailableBytes"]) == 64 * MIB - value(swap["swapUsageBytes"]), swap
        t.clean()
    finally:
        subprocess.run(["swapoff", path], check=True)
        os.unlink(path)


def test_pod(t):
    pod = t.pod()
    container = pod.run(["sh", "-c", "nc -ll -p 8080 -e cat & exec sleep 1000"])
    client = t.pod().run(["sleep", "1000"])
    t.until(lambda: client.exec("sh", "-c", f"echo hello | nc -w 5 {pod.ip} 8080")[1]
            == "hello\n", "an echo")
    linux = pod_stats_of(t, pod)
    assert value(linux["process"]["processCount"]) >= 2, linux["process"]
    assert value(linux["cpu"]["usageCoreNanoSeconds"]) > 0, linux["cpu"]
    assert value(linux["memory"]["workingSetBytes"]) > 0, linux["memory"]
    network = linux["network"]["defaultInterface"]
    assert network["name"] == "eth0" and value(network["rxBytes"]) > 100, network
    assert [c["attributes"]["id"] for c in linux["containers"]] == [container.id], linux
    # The pod's own numbers are of the cgroup above its containers'.
    above = os.path.dirname(t.group(container.id))
    check_pressure(t, above, lambda: pod_stats_of(t, pod))


def test_metrics(t):
    descriptors = {d["name"]: d["labelKeys"]
                   for d in t.call("ListMetricDescriptors")["descriptors"]}
    container = t.pod().run(["sleep", "1000"], linux={"resources": {
        "cpuQuota": 50000, "cpuPeriod": 100000, "memoryLimitInBytes": 64 * MIB}})
    pod = t.call("ListPodSandboxMetrics")["podMetrics"][0]
    rows = pod["containerMetrics"][0]["metrics"]
    assert pod["containerMetrics"][0]["containerId"] == container.id, pod
    found = {row["name"]: value(row["value"]) for row in rows}
    for row in rows + pod["metrics"]:
        assert len(descriptors[row["name"]]) == len(row["labelValues"]), row
    wanted = [f"container_pressure_{kind}_{word}_seconds_total" for kind in PRESSURE
              for word in ("stalled", "waiting")]
    wanted += ["container_cpu_usage_seconds_total", "container_memory_working_set_bytes",
               "container_processes", "container_threads_max", "container_oom_events_total",
               "container_memory_max_usage_bytes", "container_cpu_cfs_periods_total"]
    assert not [name for name in wanted if name not in found], sorted(found)
    assert found["container_spec_memory_limit_bytes"] == 64 * MIB, found
    assert found["container_spec_cpu_quota"] == 50000, found
    assert found["container_memory_max_usage_bytes"] > 0, found
