# SPDX-License-Identifier: Apache-2.0
"""A kubelet without an API server: its pods are the files of a directory, its answers come from its
own ports."""

import json
import os
import subprocess

from .kubernetes import ADDRESS, Kubernetes


class StandaloneKubelet(Kubernetes):
    """Context manager. `tool` names the kubelet."""

    def __init__(self, node, tool="kubelet"):
        super().__init__(node)
        self.work = os.path.join(node.work, tool)
        self._tool = tool

    def version(self):
        return subprocess.run([self.node.tools[self._tool], "--version"], capture_output=True,
                              text=True, check=True).stdout.split()[1]

    def _start(self):
        self.start_kubelet(self._tool)
        self._await(lambda: self.http(f"http://{ADDRESS}:10255/healthz") == b"ok", 60, "kubelet")

    def put(self, pod):
        """Makes a pod's manifest; kubelet never sees a part of it."""
        path = self._path("manifests", pod["metadata"]["name"] + ".json")
        with open(self._path("new.json"), "w", encoding="utf-8") as f:
            json.dump(pod, f)
        os.rename(f.name, path)

    def remove(self, name):
        os.unlink(self._path("manifests", name + ".json"))

    def pods(self):
        """The pods and their status by name, a static pod's name ending with the node's."""
        answer = self.http(f"http://{ADDRESS}:10255/pods")
        return {pod["metadata"]["name"]: pod for pod in json.loads(answer or b"{}").get("items")
                or []}

    def logs(self, pod, container):
        """None while there is no log."""
        answer = self.http(f"https://{ADDRESS}:10250/containerLogs/default/{pod}/{container}")
        return answer and answer.decode()
