# SPDX-License-Identifier: Apache-2.0
"""What containers and pods use, as crictl and kubelet ask for it."""

import os

from harness import wait

BURN = ["sh", "-c", "while true; do :; done"]


def value(message):
    return int(message["value"])


def test_container_stats(t):
    pod = t.pod()
    busy = pod.run(BURN, labels={"kind": "busy"})
    idle = pod.run(["sh", "-c", "dd if=/dev/zero of=/file bs=1M count=3; exec sleep 1000"],
                   linux={"resources": {"memoryLimitInBytes": str(64 << 20)}})

    def stats(container):
        return t.call("ContainerStats", {"containerId": container.id})["stats"]

    first = stats(busy)
    assert first["attributes"]["labels"] == {"kind": "busy"}, first
    assert int(first["cpu"]["timestamp"]) > 0 and int(first["memory"]["timestamp"]) > 0, first
    wait.until(lambda: value(stats(busy)["cpu"]["usageCoreNanoSeconds"])
               > value(first["cpu"]["usageCoreNanoSeconds"]) + 50_000_000, 20, "CPU time")
    memory = stats(idle)["memory"]
    assert value(memory["workingSetBytes"]) <= value(memory["usageBytes"]) <= 64 << 20, memory
    assert value(memory["availableBytes"]) == (64 << 20) - value(memory["workingSetBytes"]), memory
    # The sampler comes every ten seconds.
    wait.until(lambda: "usageNanoCores" in stats(busy)["cpu"], 25, "a first sample")
    rate = wait.until(lambda: value(stats(busy)["cpu"]["usageNanoCores"]), 25, "a rate")
    assert 10_000_000 < rate < 1_500_000_000, rate
    layer = wait.until(lambda: stats(idle).get("writableLayer"), 25, "the layer to be measured")
    assert 3 << 20 <= value(layer["usedBytes"]) < 4 << 20, layer
    assert value(layer["inodesUsed"]) >= 1 and int(layer["timestamp"]) > 0, layer
    found = t.call("ImageFsInfo")["imageFilesystems"][0]["fsId"]["mountpoint"]
    assert layer["fsId"]["mountpoint"] == found and os.path.isdir(found), (layer, found)

    listed = t.call("ListContainerStats", {"filter": {"labelSelector": {"kind": "busy"}}})["stats"]
    assert [s["attributes"]["id"] for s in listed] == [busy.id], listed
    listed = t.call("ListContainerStats", {"filter": {"podSandboxId": pod.id}})["stats"]
    assert {s["attributes"]["id"] for s in listed} == {busy.id, idle.id}, listed
    streamed = t.call("StreamContainerStats", {"filter": {"podSandboxId": pod.id}})
    assert {s["attributes"]["id"] for answer in streamed for s in answer["containerStats"]} \
        == {busy.id, idle.id}, streamed
    busy.stop()
    assert not stats(busy).get("cpu"), "what has ended uses nothing"
    t.fails("NotFound", "ContainerStats", {"containerId": "no-such"})
    t.fails("NotFound", "ContainerStats", {"containerId": ""})


def test_pod_stats(t):
    pod = t.pod(labels={"app": "web"})
    container = pod.run(["sh", "-c", "nc -ll -p 8080 -e cat & exec sleep 1000"])
    other = t.pod()
    client = other.run(["sleep", "1000"])
    wait.until(lambda: client.exec("sh", "-c", f"echo hello | nc -w 1 {pod.ip} 8080")[1]
               == "hello\n", 20, "an echo")
    stats = t.call("PodSandboxStats", {"podSandboxId": pod.id})["stats"]
    assert stats["attributes"]["labels"] == {"app": "web"}, stats
    linux = stats["linux"]
    network = linux["network"]["defaultInterface"]
    assert network["name"] == "eth0", network
    assert value(network["rxBytes"]) > 100 and value(network["txBytes"]) > 100, network
    assert [c["attributes"]["id"] for c in linux["containers"]] == [container.id], linux
    assert value(linux["process"]["processCount"]) >= 2, linux
    assert value(linux["memory"]["workingSetBytes"]) > 0, linux
    listed = t.call("ListPodSandboxStats", {"filter": {"id": pod.id}})["stats"]
    assert len(listed) == 1, listed
    streamed = t.call("StreamPodSandboxStats")
    assert len(streamed[0]["podSandboxStats"]) == 2, streamed
    other.stop()
    assert len(t.call("ListPodSandboxStats")["stats"]) == 1
    t.fails("FailedPrecondition", "PodSandboxStats", {"podSandboxId": other.id}, part="not ready")
    t.fails("NotFound", "PodSandboxStats", {"podSandboxId": "no-such"})
    host = t.host_pod()
    host.run(["sleep", "1000"])
    stats = t.call("PodSandboxStats", {"podSandboxId": host.id})["stats"]
    assert not stats["linux"].get("network"), stats


def test_metrics(t):
    descriptors = {d["name"]: d for d in t.call("ListMetricDescriptors")["descriptors"]}
    assert len(descriptors) == 56, len(descriptors)
    pod = t.pod()
    container = pod.run(["sleep", "1000"])
    rows = t.call("ListPodSandboxMetrics")["podMetrics"]
    assert [row["podSandboxId"] for row in rows] == [pod.id], rows
    metrics = rows[0]["metrics"] + rows[0]["containerMetrics"][0]["metrics"]
    assert rows[0]["containerMetrics"][0]["containerId"] == container.id
    for metric in metrics:
        keys = descriptors[metric["name"]]["labelKeys"]
        assert len(keys) == len(metric["labelValues"]), (keys, metric)
        labels = dict(zip(keys, metric["labelValues"]))
        assert labels["pod"] == pod.config["metadata"]["name"], metric
        assert int(metric["timestamp"]) > 0, metric
    found = {metric["name"]: value(metric["value"]) for metric in metrics}
    assert found["container_processes"] == 1 and found["container_file_descriptors"] >= 3, found
    assert found["container_memory_working_set_bytes"] > 0, found
    # What may be missing: no quota is set, nothing was read from a disk, the kernel may have no
    # pressure to tell.
    missing = {name for name in descriptors if name not in found}
    optional = ("container_spec_cpu_quota", "container_blkio", "container_fs_", "container_hugetlb",
                "container_pressure")
    assert not [name for name in missing if not name.startswith(optional)], missing
    streamed = t.call("StreamPodSandboxMetrics")
    assert streamed[0]["podSandboxMetrics"][0]["podSandboxId"] == pod.id, streamed


def test_crictl_stats(t):
    container = t.pod().run(["sleep", "1000"])
    assert container.id[:12] in t.crictl("stats"), t.crictl("stats")
    assert t.crictl.json("stats", "-o", "json", container.id)["stats"], "crictl stats"
    t.crictl("statsp")
    assert "container_memory_rss" in t.crictl("metricdescs")
    t.crictl("metricsp")
