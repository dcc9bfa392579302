# SPDX-License-Identifier: Apache-2.0
"""Probes, hooks, ends, limits, restarts."""

import json
import time

from harness import wait

from .cluster import container


def probe(handler, **more):
    return dict({"periodSeconds": 1, "failureThreshold": 1, **handler}, **more)


def test_probes(k):
    script = ("mkdir /www; echo ok > /www/health; httpd -p 8080 -h /www; "
              "sleep 1; touch /started; exec sleep 1000")
    pod = k.pod(container(
        "sh", "-c", script,
        startupProbe=probe({"exec": {"command": ["test", "-e", "/started"]}}, failureThreshold=30),
        readinessProbe=probe({"httpGet": {"path": "/health", "port": 8080}}),
        livenessProbe=probe({"tcpSocket": {"port": 8080}})), restartPolicy="Always")
    k.await_ready(pod)
    k.exec(pod, "rm", "/www/health")
    wait.until(lambda: not k.states(pod)["main"]["ready"], 30, "the pod to be unready")
    k.exec(pod, "killall", "httpd")
    wait.until(lambda: k.states(pod)["main"]["restartCount"] > 0, 60, "a restart")


def test_grpc_probes(k):
    pod = k.pod(container(
        "/grpchealth", "9000",
        volumeMounts=[{"name": "server", "mountPath": "/grpchealth", "readOnly": True}],
        startupProbe=probe({"grpc": {"port": 9000}}, failureThreshold=30),
        readinessProbe=probe({"grpc": {"port": 9000, "service": "ready"}}),
        livenessProbe=probe({"grpc": {"port": 9000, "service": "alive"}})),
        restartPolicy="Always", volumes=[{"name": "server", "hostPath": {
            "path": k.node.tools["grpchealth"], "type": "File"}}])
    k.await_ready(pod)
    k.exec(pod, "kill", "-USR1", "1")
    wait.until(lambda: not k.states(pod)["main"]["ready"], 30, "the pod to be unready")
    assert k.states(pod)["main"]["restartCount"] == 0
    k.exec(pod, "kill", "-USR2", "1")
    wait.until(lambda: k.states(pod)["main"]["restartCount"] > 0, 60, "a restart")
    k.await_ready(pod)


def test_hooks_and_graceful_delete(k):
    path = k.node.tmp
    pod = k.running(
        container("sh", "-c", "trap 'echo term >> /host/hooks; exit 0' TERM; "
                              "while true; do sleep 0.1; done",
                  lifecycle={"postStart": {"exec": {"command": [
                      "sh", "-c", "echo start > /host/hooks"]}},
                      "preStop": {"exec": {"command": ["sh", "-c", "echo stop >> /host/hooks"]}}},
                  volumeMounts=[{"name": "host", "mountPath": "/host"}]),
        volumes=[{"name": "host", "hostPath": {"path": path}}], terminationGracePeriodSeconds=20)
    start = time.monotonic()
    k.kubectl("delete", "pod", pod, timeout=60)
    assert time.monotonic() - start < 15, "it ended by itself"
    with open(path + "/hooks", encoding="utf-8") as f:
        assert f.read() == "start\nstop\nterm\n"


def test_crash_back_off(k):
    pod = k.pod(container("sh", "-c", "exit 3"), restartPolicy="Always")

    def backs_off():
        state = k.states(pod).get("main", {})
        return state.get("state", {}).get("waiting", {}).get("reason") == "CrashLoopBackOff" and state

    state = wait.until(backs_off, 60, "CrashLoopBackOff")
    assert state["lastState"]["terminated"]["exitCode"] == 3, state


def test_image_pull_back_off(k):
    pod = k.pod(dict(container("true"), image="registry.k8s.io/no/such:image"))

    def reason():
        waiting = k.states(pod).get("main", {}).get("state", {}).get("waiting", {})
        return waiting.get("reason") == "ImagePullBackOff"

    wait.until(reason, 60, "ImagePullBackOff")


def test_termination_messages(k):
    out = k.pod(container("sh", "-c", "echo from file > /dev/termination-log; exit 4"))
    k.await_phase(out, "Failed")
    ended = k.states(out)["main"]["state"]["terminated"]
    assert (ended["exitCode"], ended["message"]) == (4, "from file\n"), ended
    out = k.pod(container("sh", "-c", "echo from log; exit 5",
                          terminationMessagePolicy="FallbackToLogsOnError"))
    k.await_phase(out, "Failed")
    ended = k.states(out)["main"]["state"]["terminated"]
    assert (ended["exitCode"], ended["message"]) == (5, "from log\n"), ended


def test_out_of_memory(k):
    pod = k.pod(container("sh", "-c", "tail -c 200000000 /dev/zero > /dev/null; exit $?",
                          resources={"limits": {"memory": "32Mi", "cpu": "500m"}}))
    k.await_phase(pod, "Failed")
    ended = k.states(pod)["main"]["state"]["terminated"]
    assert ended["reason"] == "OOMKilled", ended


def test_in_place_resize(k):
    pod = k.running(container("sleep", "1000", resources={
        "requests": {"cpu": "100m", "memory": "32Mi"}, "limits": {"cpu": "200m", "memory": "64Mi"}}))
    before = k.container_ids(pod)
    k.kubectl("patch", "pod", pod, "--subresource", "resize", "--patch", json.dumps(
        {"spec": {"containers": [{"name": "main", "resources": {
            "requests": {"cpu": "150m", "memory": "48Mi"},
            "limits": {"cpu": "300m", "memory": "96Mi"}}}]}}))

    def resized():
        limits = k.states(pod)["main"].get("resources", {}).get("limits", {})
        return limits == {"cpu": "300m", "memory": "96Mi"}

    wait.until(resized, 60, "the new limits")
    assert k.container_ids(pod) == before
    assert k.states(pod)["main"]["restartCount"] == 0


def test_security_contexts(k):
    out = k.run_to_end(
        "sh", "-c", "id -u; id -G; ls -ldn /dir | tr -s ' ' | cut -d' ' -f4; "
                    "touch /x 2>/dev/null || echo read-only; grep -E 'CapEff|Seccomp:' "
                    "/proc/self/status",
        container={"volumeMounts": [{"name": "dir", "mountPath": "/dir"}], "securityContext": {
            "readOnlyRootFilesystem": True, "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]}}},
        securityContext={"runAsUser": 1000, "runAsGroup": 2000, "fsGroup": 3000,
                         "seccompProfile": {"type": "RuntimeDefault"}},
        volumes=[{"name": "dir", "emptyDir": {}}])
    lines = out.split()
    assert lines[:5] == ["1000", "2000", "3000", "3000", "read-only"], out
    assert lines[5:] == ["CapEff:", "0000000000000000", "Seccomp:", "2"], out


def test_user_namespaces(k):
    out = k.run_to_end("sh", "-c", "id -u; cat /proc/self/uid_map", hostUsers=False)
    inside, outside, count = map(int, out.split()[1:4])
    assert out.split()[0] == "0" and inside == 0 and outside >= 65536 and count == 65536, out


def test_runtime_class(k):
    name = k.make({"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass",
                   "metadata": {"name": k.unique("class")}, "handler": "runc"})
    assert k.run_to_end("echo", "ran", runtimeClassName=name) == "ran\n"


def test_restarts_of_kubelet_and_runtime(k):
    """Nothing that runs is touched by a restart of those who manage it."""
    pod = k.running(container("sh", "-c", "n=0; while true; do echo $n; n=$((n+1)); sleep 0.1; done"),
                    restartPolicy="Always")
    before = k.container_ids(pod)
    k.kubernetes.stop_part("kubelet")
    k.kubernetes.start_kubelet()
    k.kubernetes.await_node()
    k.node.runtime.stop()
    k.node.runtime.start()
    k.node.connect()
    k.kubernetes.await_node()
    k.await_ready(pod)
    assert k.container_ids(pod) == before
    assert k.states(pod)["main"]["restartCount"] == 0
    wait.until(lambda: k.kubernetes.run("logs", pod, check=False).returncode == 0, 30,
               "kubelet to serve logs again")
    lines = k.log(pod).splitlines()
    assert lines == [str(n) for n in range(len(lines))] and len(lines) > 10, lines[-5:]
    assert k.exec(pod, "echo", "well") == "well\n"
