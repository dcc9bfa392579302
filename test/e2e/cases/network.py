# SPDX-License-Identifier: Apache-2.0
"""The built-in network, seen from pods and from the node."""

import ipaddress
import os
import subprocess
import urllib.request

from harness import wait
from harness.case import own_node

NGINX = "registry.k8s.io/e2e-test-images/nginx:1.14-2"


def fetch(url):
    with urllib.request.urlopen(url, timeout=5) as answer:
        return answer.read().decode()


def serving_pod(t, **config):
    t.call("PullImage", {"image": {"image": NGINX}})
    pod = t.pod(**config)
    container = pod.run(image=NGINX)
    wait.until(lambda: container.exec("cat", "/var/run/nginx.pid")[0] == 0, 10, "nginx to start")
    return pod


def test_both_address_families(t):
    network = t.pod().status["network"]
    addresses = [network["ip"]] + [row["ip"] for row in network.get("additionalIps", [])]
    assert [ipaddress.ip_address(a).version for a in addresses] == [4, 6], addresses


def test_pod_reaches_pod_and_node_reaches_pod(t):
    server = serving_pod(t)
    client = t.pod().run(["sleep", "1000"])
    network = server.status["network"]
    for address in (network["ip"], f"[{network['additionalIps'][0]['ip']}]"):
        assert "nginx" in client.output("wget", "-q", "-O", "-", f"http://{address}/"), address
        assert "nginx" in fetch(f"http://{address}/"), address


def test_host_port_also_on_loopback(t):
    serving_pod(t, portMappings=[{"containerPort": 80, "hostPort": 18080}])
    assert "nginx" in fetch("http://127.0.0.1:18080/")


def test_host_port_is_free_again(t):
    for _ in range(2):
        pod = serving_pod(t, portMappings=[{"containerPort": 80, "hostPort": 18081}])
        assert "nginx" in fetch("http://127.0.0.1:18081/")
        pod.stop()
        pod.remove()
    assert not wait.connects("127.0.0.1:18081")


def test_addresses_are_distinct(t):
    addresses = [t.pod().ip for _ in range(20)]
    assert len(set(addresses)) == 20, addresses


def test_hostname_and_resolver(t):
    container = t.pod(hostname="some-name", dnsConfig={
        "servers": ["10.9.8.7"], "searches": ["example.org"], "options": ["ndots:3"]}).run(
            ["sleep", "1000"])
    assert container.output("hostname") == "some-name\n"
    lines = container.output("cat", "/etc/resolv.conf").split("\n")
    for line in ("nameserver 10.9.8.7", "search example.org", "options ndots:3"):
        assert line in lines, lines


@own_node()
def test_bandwidth_is_limited(t):
    """By annotations, in both directions, over a restart; gone with the pod."""
    def limits():
        return subprocess.run(["tc", "qdisc", "show"], check=True, capture_output=True,
                              text=True).stdout

    pod = t.pod(annotations={"kubernetes.io/ingress-bandwidth": "8M",
                             "kubernetes.io/egress-bandwidth": "2Mi"})
    assert " rate 8Mbit " in limits() and " rate 2097Kbit " in limits(), limits()
    t.node.runtime.kill()
    t.node.runtime.start()
    t.node.connect()
    assert " rate 2097Kbit " in limits(), limits()
    pod.stop()
    wait.until(lambda: "tbf" not in limits(), 2, "the limits to go")
    for key in ("ingress", "egress"):
        name = f"kubernetes.io/{key}-bandwidth"
        t.fails("InvalidArgument", "RunPodSandbox", {"config": t.pod_config(
            annotations={name: "fast"})}, part=f'config.annotations["{name}"]')


def test_host_network(t):
    container = t.host_pod().run(["sleep", "1000"], linux={"securityContext": {
        "namespaceOptions": {"network": "NODE"}}})
    inside = os.readlink(f"/proc/{container.pid}/ns/net")
    assert inside == os.readlink("/proc/self/ns/net")


def test_network_namespace_has_a_name(t):
    pod = t.pod()
    names = os.listdir("/run/netns")
    shown = [subprocess.run(["nsenter", f"--net=/run/netns/{name}", "ip", "-o", "addr"], check=True,
                            capture_output=True, text=True).stdout for name in names]
    assert any(pod.ip + "/" in text for text in shown), shown


def test_stopped_pod_has_no_link(t):
    def links():
        return subprocess.run(["ip", "-brief", "link", "show", "type", "veth"], check=True,
                              capture_output=True, text=True).stdout

    pod = t.pod()
    assert links(), "a pod has a link while it runs"
    pod.stop()
    wait.until(lambda: not links(), 1, "the link to go")
    assert not pod.status.get("network", {}).get("ip")
