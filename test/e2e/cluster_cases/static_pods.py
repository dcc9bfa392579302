# SPDX-License-Identifier: Apache-2.0
"""Pods that a kubelet without an API server runs from files."""

from harness import wait
from harness.place import NODE_NAME

from .cluster import container


def static_pod(kubelet):
    """The life of a static pod; `kubelet` is a StandaloneKubelet."""
    raw = kubelet.node.raw
    name = "static-" + NODE_NAME
    kubelet.put({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "static"}, "spec": {
        "terminationGracePeriodSeconds": 1, "containers": [
            container("sh", "-c", "echo it runs; exec sleep 1000"),
            container("sh", "-c", "test -e /kept/x || { touch /kept/x; echo first; exit 3; }; "
                                  "echo second; exec sleep 1000", name="again",
                      volumeMounts=[{"name": "kept", "mountPath": "/kept"}])],
        "volumes": [{"name": "kept", "emptyDir": {}}]}})

    def running():
        status = kubelet.pods().get(name, {}).get("status", {})
        states = {s["name"]: s for s in status.get("containerStatuses", [])}
        return (status.get("phase") == "Running" and len(states) == 2
                and all("running" in s["state"] for s in states.values())
                and states["again"]["restartCount"] == 1 and dict(status, states=states))

    status = wait.until(running, 90, "the static pod to run\n" + kubelet.tail("kubelet"))
    assert status["podIP"].startswith("10.88."), status
    ended = status["states"]["again"]["lastState"]["terminated"]
    assert ended["exitCode"] == 3, ended
    assert status["states"]["main"]["restartCount"] == 0, status
    assert kubelet.logs(name, "main") == "it runs\n"
    assert kubelet.logs(name, "again") == "second\n"
    pods = raw.call("ListPodSandbox")["items"]
    assert [pod["metadata"]["name"] for pod in pods] == [name], pods
    kubelet.remove("static")
    wait.until(lambda: not kubelet.pods(), 60, "kubelet to forget the pod")
    # kubelet removes what has ended once a minute; the harness does not wait for that.
    wait.until(lambda: all(c["state"] == "CONTAINER_EXITED"
                           for c in raw.call("ListContainers").get("containers", [])),
               30, "the containers to end")
    wait.until(lambda: all(pod["state"] == "SANDBOX_NOTREADY"
                           for pod in raw.call("ListPodSandbox").get("items", [])),
               30, "the pod to be stopped")
