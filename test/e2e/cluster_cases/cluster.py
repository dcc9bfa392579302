# SPDX-License-Identifier: Apache-2.0
"""What a case gets: short words for the objects and the waiting that most cases need."""

import itertools
import json
import subprocess

from harness import wait
from harness.kubernetes import KubectlError
from harness.node import BUSYBOX

_serial = itertools.count(1)


class Skip(Exception):
    """Raised by a case that cannot run here; the text says why."""


def container(*command, name="main", **more):
    return dict({"name": name, "image": BUSYBOX, "command": list(command),
                 "imagePullPolicy": "IfNotPresent"}, **more)


class Cluster:
    """One case's view of a Kubernetes."""

    def __init__(self, kubernetes, name):
        self.kubernetes, self.node = kubernetes, kubernetes.node
        self.kubectl = kubernetes
        self.name = name
        self.busybox = BUSYBOX
        self._made = []

    def unique(self, word):
        return f"{word}{next(_serial)}"

    def make(self, item):
        """Creates an object; its name."""
        self.kubectl("create", "-f", "-", stdin=json.dumps(item))
        self._made.append((item["kind"], item["metadata"]["name"]))
        return item["metadata"]["name"]

    def pod(self, *containers, annotations=None, labels=None, **spec):
        """Creates a pod of these containers; its name."""
        name = self.unique("pod")
        return self.make({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "annotations": annotations or {}, "labels": labels or {}},
            "spec": dict({"restartPolicy": "Never", "terminationGracePeriodSeconds": 1,
                          "containers": list(containers)}, **spec)})

    def running(self, *containers, **spec):
        """A pod whose containers all are ready."""
        name = self.pod(*containers, **spec)
        self.await_ready(name)
        return name

    def status(self, pod):
        return self.kubectl.get("pod", pod)["status"]

    def states(self, pod, kind="containerStatuses"):
        """The status of each container, by name."""
        return {s["name"]: s for s in self.status(pod).get(kind, [])}

    def await_ready(self, pod, seconds=60):
        def ready():
            status = self.status(pod)
            assert status["phase"] != "Failed", status
            return all(s["ready"] for s in status.get("containerStatuses", [{"ready": False}]))

        wait.until(ready, seconds, f"{pod} to be ready")

    def await_phase(self, pod, phase, seconds=60):
        def reached():
            status = self.status(pod)
            assert status["phase"] in (phase, "Pending", "Running"), status
            return status["phase"] == phase

        wait.until(reached, seconds, f"{pod} to be {phase}")

    def await_gone(self, kind, name, seconds=60):
        wait.until(lambda: not self.exists(kind, name), seconds, f"{kind} {name} to be gone")

    def exists(self, kind, name):
        try:
            self.kubectl.get(kind, name)
            return True
        except KubectlError:
            return False

    def await_rolled_out(self, name, seconds=120):
        self.kubectl("rollout", "status", "deployment/" + name, f"--timeout={seconds}s",
                     timeout=seconds + 10)

    def log(self, pod, *options):
        return self.kubectl("logs", pod, *options)

    def run_to_end(self, *command, **spec):
        """The log of a pod with one container that succeeds."""
        more = spec.pop("container", {})
        name = self.pod(container(*command, **more), **spec)
        self.await_phase(name, "Succeeded")
        return self.log(name)

    def exec(self, pod, *command, options=()):
        return self.kubectl("exec", pod, *options, "--", *command)

    def start(self, *arguments, **options):
        """Starts kubectl and does not wait for it."""
        return subprocess.Popen(self.kubernetes.command(*arguments), **dict(
            {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE},
            **options))

    def container_ids(self, pod):
        return {name: state["containerID"] for name, state in self.states(pod).items()}

    def story(self):
        """What the cluster says of the objects of this case, for the report of a failure."""
        lines = []
        for kind, name in self._made[-3:]:
            result = self.kubernetes.run("describe", kind, name, check=False)
            lines.append(result.stdout[-2500:])
        return "\n".join(lines)

    def clean(self):
        for kind, name in reversed(self._made):
            self.kubernetes.run("delete", kind, name, "--ignore-not-found", "--wait=false",
                                "--grace-period=1")
        for kind, name in self._made:
            if kind == "Pod":
                self.await_gone(kind, name)
