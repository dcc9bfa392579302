# SPDX-License-Identifier: Apache-2.0
"""What kubelet tells the node: its pod range, and the sums of resized pods."""

import ipaddress
import json

from harness.case import own_node


def tell(t, cidr):
    return t.call("UpdateRuntimeConfig",
                  {"runtimeConfig": {"networkConfig": {"podCidr": cidr}}})


def refused(t, codes, cidr, part):
    t.fails(codes, "UpdateRuntimeConfig",
            {"runtimeConfig": {"networkConfig": {"podCidr": cidr}}}, part=part)


@own_node()
def test_the_nodes_pod_range(t):
    tell(t, "")
    for cidr, part in (("10.244.3.0", "10.244.3.0"), ("10.244.3.7/24", "10.244.3.7/24"),
                       ("10.244.3.0/24,10.244.4.0/24", "same family"), ("x", "x")):
        refused(t, "InvalidArgument", cidr, part)
    refused(t, "Unimplemented", "fd00:3::/64", "IPv4")
    pod = t.pod()
    refused(t, "FailedPrecondition", "10.244.3.0/24", "attached")
    assert ipaddress.ip_address(pod.ip) in ipaddress.ip_network("10.88.0.0/16")
    pod.remove()
    tell(t, "10.244.3.0/24,fd00:3::/64")
    tell(t, "fd00:3::/64,10.244.3.0/24")
    for restarted in (False, True):
        if restarted:
            t.node.runtime.stop()
            t.node.runtime.start()
            t.node.connect()
        pods = [t.pod(), t.pod()]
        for pod in pods:
            network = pod.status["network"]
            assert ipaddress.ip_address(network["ip"]) in ipaddress.ip_network("10.244.3.0/24")
            assert ipaddress.ip_address(network["additionalIps"][0]["ip"]) in \
                ipaddress.ip_network("fd00:3::/64")
        # The range in force is no change, pods or not.
        tell(t, "10.244.3.0/24,fd00:3::/64")
        pods[1].run(["sleep", "1000"]).output("ping", "-c", "1", "-W", "5", pods[0].ip)
        for pod in pods:
            pod.remove()
    tell(t, "10.244.5.0/24")
    pod = t.pod()
    status = pod.status["network"]
    assert status["ip"].startswith("10.244.5.") and not status["additionalIps"], status
    pod.remove()
    tell(t, "10.88.0.0/16,fd42:be54::/64")


@own_node(config='[network]\nsubnet_v4 = "10.77.0.0/16"\n')
def test_a_configured_range_stays(t):
    refused(t, "FailedPrecondition", "10.244.3.0/24", "10.77.0.0/16")
    tell(t, "10.77.0.0/16,fd42:be54::/64")
    assert t.pod().ip.startswith("10.77.")


@own_node()
def test_the_sums_of_a_resized_pod(t):
    pod = t.pod()
    t.call("UpdatePodSandboxResources", {
        "podSandboxId": pod.id, "overhead": {"cpuShares": "20"},
        "resources": {"cpuQuota": "50000", "cpuPeriod": "100000",
                      "memoryLimitInBytes": str(64 << 20)}})
    t.call("UpdatePodSandboxResources", {
        "podSandboxId": pod.id, "resources": {"cpuQuota": "70000", "cpuPeriod": "100000"}})
    for restarted in (False, True):
        if restarted:
            t.node.runtime.kill()
            t.node.runtime.start()
            t.node.connect()
        info = json.loads(t.call("PodSandboxStatus", {"podSandboxId": pod.id, "verbose": True})[
            "info"]["info"])
        assert info["resources"]["cpuQuota"] == 70000, info
        assert info["resources"]["memoryLimitInBytes"] == 0, info
        assert info["overhead"]["cpuShares"] == 20, info
    t.fails("NotFound", "UpdatePodSandboxResources", {"podSandboxId": "none", "resources": {}})
    t.fails("NotFound", "UpdatePodSandboxResources", {"podSandboxId": "", "resources": {}})
