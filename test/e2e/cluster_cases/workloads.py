# SPDX-License-Identifier: Apache-2.0
"""Controllers, pods of several containers, and what pods are given."""

import base64
import json

from harness import wait

from .cluster import container


def deployment(name, replicas, *containers, **spec):
    labels = {"app": name}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
            "spec": {"replicas": replicas, "selector": {"matchLabels": labels},
                     "template": {"metadata": {"labels": labels},
                                  "spec": dict({"containers": list(containers),
                                                "terminationGracePeriodSeconds": 1}, **spec)}}}


def pods_of(k, app):
    return json.loads(k.kubectl("get", "pods", "-l", "app=" + app, "-o", "json"))["items"]


def test_deployment_and_rolling_update(k):
    name = k.make(deployment(k.unique("web"), 3, container("sleep", "1000")))
    k.await_rolled_out(name)
    old = {pod["metadata"]["name"] for pod in pods_of(k, name)}
    assert len(old) == 3, old
    k.kubectl("set", "env", "deployment/" + name, "VERSION=2")
    k.await_rolled_out(name)

    def replaced():
        now = pods_of(k, name)
        return len(now) == 3 and not old & {pod["metadata"]["name"] for pod in now} and now

    pod = wait.until(replaced, 60, "the old pods to be gone")[0]["metadata"]["name"]
    assert k.exec(pod, "sh", "-c", "echo $VERSION") == "2\n"
    k.kubectl("scale", "deployment", name, "--replicas=0")
    wait.until(lambda: not pods_of(k, name), 60, "no pod to be left")


def test_scale(k):
    """From nothing to thirty and back."""
    name = k.make(deployment(k.unique("many"), 0, container("sleep", "1000")))
    k.kubectl("scale", "deployment", name, "--replicas=30")
    k.await_rolled_out(name)
    k.kubectl("scale", "deployment", name, "--replicas=0")
    wait.until(lambda: not pods_of(k, name), 120, "no pod to be left")


def test_job(k):
    name = k.make({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": k.unique("job")},
                   "spec": {"completions": 3, "parallelism": 2, "template": {"spec": {
                       "restartPolicy": "Never",
                       "containers": [container("sh", "-c", "echo done")]}}}})
    k.kubectl("wait", "--for=condition=complete", "job/" + name, "--timeout=60s")
    assert "done" in k.kubectl("logs", "job/" + name)


def test_init_containers_and_sidecars(k):
    volume = {"name": "shared", "emptyDir": {}}
    mount = [{"name": "shared", "mountPath": "/shared"}]
    pod = k.pod(
        container("sh", "-c", "until grep -q side /shared/log; do sleep 0.1; done; cat /shared/log",
                  volumeMounts=mount),
        volumes=[volume], initContainers=[
            container("sh", "-c", "echo first > /shared/log", name="first", volumeMounts=mount),
            container("sh", "-c", "echo second >> /shared/log", name="second", volumeMounts=mount),
            container("sh", "-c", "echo side >> /shared/log; exec sleep 1000", name="side",
                      volumeMounts=mount, restartPolicy="Always")])
    k.await_phase(pod, "Succeeded")
    assert k.log(pod) == "first\nsecond\nside\n", k.log(pod)


def test_config_maps_secrets_tokens_and_downward(k):
    config = k.make({"apiVersion": "v1", "kind": "ConfigMap",
                     "metadata": {"name": k.unique("config")}, "data": {"key": "from config"}})
    secret = k.make({"apiVersion": "v1", "kind": "Secret",
                     "metadata": {"name": k.unique("secret")},
                     "data": {"key": base64.b64encode(b"from secret").decode()}})
    out = k.run_to_end(
        "sh", "-c",
        "cat /config/key; echo; cat /secret/key; echo; echo $FROM_CONFIG; echo $POD; "
        "cat /down/labels; echo; test -s /var/run/secrets/kubernetes.io/serviceaccount/token "
        "&& echo token; touch /secret/x 2>/dev/null || echo read-only",
        labels={"the": "label"},
        container={
            "env": [{"name": "FROM_CONFIG",
                     "valueFrom": {"configMapKeyRef": {"name": config, "key": "key"}}},
                    {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
            "volumeMounts": [{"name": n, "mountPath": "/" + n}
                             for n in ("config", "secret", "down")]},
        volumes=[{"name": "config", "configMap": {"name": config}},
                 {"name": "secret", "secret": {"secretName": secret}},
                 {"name": "down", "downwardAPI": {"items": [
                     {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}}])
    lines = out.splitlines()
    assert lines[:3] == ["from config", "from secret", "from config"], out
    assert lines[3].startswith("10.88."), out
    assert lines[4:] == ['the="label"', "token", "read-only"], out


def test_volumes(k):
    host = k.node.tmp
    out = k.run_to_end(
        "sh", "-c", "echo x > /dir/sub; cat /sub; grep ' /memory ' /proc/mounts | cut -d' ' -f1,3; "
                    "echo kept > /host/from-pod; touch /ro/x 2>/dev/null || echo read-only",
        container={"volumeMounts": [
            {"name": "dir", "mountPath": "/dir"}, {"name": "memory", "mountPath": "/memory"},
            {"name": "host", "mountPath": "/host"},
            {"name": "host", "mountPath": "/ro", "readOnly": True},
            {"name": "dir", "mountPath": "/sub", "subPath": "sub"}]},
        initContainers=[container("sh", "-c", "echo from init > /dir/sub", name="init",
                                  volumeMounts=[{"name": "dir", "mountPath": "/dir"}])],
        volumes=[{"name": "dir", "emptyDir": {}},
                 {"name": "memory", "emptyDir": {"medium": "Memory"}},
                 {"name": "host", "hostPath": {"path": host}}])
    assert out.splitlines() == ["x", "tmpfs tmpfs", "read-only"], out
    with open(host + "/from-pod", encoding="utf-8") as f:
        assert f.read() == "kept\n"


def test_host_network_ports_and_pid(k):
    out = k.run_to_end("sh", "-c", "ip -o addr show kube0 | grep -c 10.99.0.1",
                       hostNetwork=True)
    assert out.strip() == "1", out
    pod = k.running(container("sleep", "1000"), container("sleep", "2000", name="other"),
                    shareProcessNamespace=True)
    assert "sleep 2000" in k.exec(pod, "ps", options=("-c", "main"))
    server = k.running(container("nc", "-ll", "-p", "8080", "-e", "cat", ports=[
        {"containerPort": 8080, "hostPort": 18080}]))
    client = k.running(container("sleep", "1000"))

    def echoed():
        return "hello" in k.exec(client, "sh", "-c", "echo hello | nc -w 1 10.99.0.1 18080 || true")

    wait.until(echoed, 30, "an answer through the host port of " + server)
