# SPDX-License-Identifier: Apache-2.0
"""What a case gets: short words for the things that most cases do."""

import base64
import itertools
import json
import os
import subprocess

from . import wait
from .client import CallError, Stream
from .fake_registry import FakeRegistry
from .node import BUSYBOX
from .registry import write_hosts

_serial = itertools.count(1)


def own_node(**options):
    """Marks a case that gets a node of its own (options of harness.node.Node)."""
    def mark(function):
        function.node_options = options
        return function
    return mark


class Skip(Exception):
    """Raised by a case that cannot run here; the text says why."""


class Pod:
    def __init__(self, case, config):
        self.case, self.config = case, config
        request = {"config": config}
        if case.handler:
            request["runtimeHandler"] = case.handler
        self.id = case.call("RunPodSandbox", request)["podSandboxId"]

    @property
    def status(self):
        return self.case.call("PodSandboxStatus", {"podSandboxId": self.id})["status"]

    @property
    def ip(self):
        return self.status["network"]["ip"]

    def create(self, command=(), image=BUSYBOX, **config):
        """Creates a container; further arguments are fields of ContainerConfig."""
        return Container(self, dict({"image": {"image": image}, "command": list(command)},
                                    **config))

    def run(self, command=(), **options):
        container = self.create(command, **options)
        container.start()
        return container

    def stop(self):
        self.case.call("StopPodSandbox", {"podSandboxId": self.id})

    def remove(self):
        self.case.call("RemovePodSandbox", {"podSandboxId": self.id})


class Container:
    def __init__(self, pod, config):
        self.pod, self.case = pod, pod.case
        number = next(_serial)
        self.config = dict({"metadata": {"name": f"c{number}"}, "logPath": f"c{number}.log",
                            "linux": {}}, **config)
        self.id = self.case.call("CreateContainer", {
            "podSandboxId": pod.id, "config": self.config,
            "sandboxConfig": pod.config})["containerId"]

    @property
    def log_path(self):
        return os.path.join(self.pod.config["logDirectory"], self.config["logPath"])

    def start(self):
        self.case.call("StartContainer", {"containerId": self.id})

    def stop(self, timeout=0):
        self.case.call("StopContainer", {"containerId": self.id, "timeout": str(timeout)})

    def remove(self):
        self.case.call("RemoveContainer", {"containerId": self.id})

    @property
    def status(self):
        return self.case.call("ContainerStatus", {"containerId": self.id})["status"]

    @property
    def pid(self):
        """The process ID on the node, out of the verbose status."""
        info = self.case.call("ContainerStatus", {"containerId": self.id, "verbose": True})["info"]
        return json.loads(info["info"])["pid"]

    def exec(self, *command, timeout=10):
        """(exit code, stdout, stderr) of a command in the container."""
        answer = self.case.call("ExecSync", {"containerId": self.id, "cmd": list(command),
                                             "timeout": str(timeout)})
        return (answer.get("exitCode", 0), self.case.text(answer.get("stdout")),
                self.case.text(answer.get("stderr")))

    def output(self, *command):
        """What a command prints in the container; it must succeed."""
        code, out, err = self.exec(*command)
        assert code == 0, f"{command}: exit code {code}: {err or out}"
        return out

    def wait(self, seconds=20):
        """Waits for the end of the container; its status."""
        def exited():
            status = self.status
            return status if status["state"] == "CONTAINER_EXITED" else None
        return wait.until(exited, seconds, "the container to exit")

    def log_lines(self):
        """(stream, tag, content) of each line of the log file."""
        with open(self.log_path, "rb") as f:
            lines = f.read().split(b"\n")
        assert lines[-1] == b"", "the log ends within a line"
        return [tuple(line.split(b" ", 3)[1:]) for line in lines[:-1]]

    def log_text(self):
        return b"".join(content + (b"\n" if tag == b"F" else b"")
                        for _, tag, content in self.log_lines()).decode()


class Case:
    """One case's view of the node."""

    def __init__(self, node, name):
        self.node, self.name = node, name
        self.crictl, self.tools = node.crictl, node.tools
        self.handler = ""
        self.busybox = BUSYBOX
        self.tmp = os.path.join(node.tmp, name.replace("/", "-"))
        os.makedirs(self.tmp)

    def call(self, method, request=None, **options):
        return self.node.raw.call(method, request, **options)

    def stream(self, method, request=None, **options):
        """A streaming call that goes on while the case does; ends with the case."""
        stream = Stream(self.tools["criraw"], self.node.runtime.socket, method, request, **options)
        self.node.streams.append(stream)
        return stream

    def background_raw(self, method, request):
        """A process that makes a call whose answer nobody waits for."""
        process = subprocess.Popen([self.tools["criraw"], "-socket", self.node.runtime.socket],
                                   stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        process.stdin.write(json.dumps(
            {"method": method, "request": request, "timeout_ms": 20000}) + "\n")
        process.stdin.close()
        return process

    def fails(self, code, method, request=None, part="", **options):
        """The message of a call that must fail with one of the codes ("NotFound|Unknown")."""
        try:
            answer = self.call(method, request, **options)
        except CallError as error:
            assert error.code in code.split("|"), f"{error}; expected {code}"
            assert error.message, f"{method}: {error.code} without a message"
            assert part.lower() in error.message.lower(), f"no {part!r} in: {error}"
            return error.message
        raise AssertionError(f"{method} {json.dumps(request)} succeeded with {answer}; "
                             f"expected {code}")

    def berth(self, *arguments, code=0, socket=None, **options):
        """(stdout, stderr) of `berth`, which must end with the exit code."""
        if self.node.runtime.name != "berthd":
            raise Skip("berth talks to berthd alone")
        command = [self.tools["berth"], "--socket", socket or self.node.runtime.socket, *arguments]
        result = subprocess.run(command, capture_output=True, text=True, check=False, **options)
        assert result.returncode == code, f"berth {arguments}: {result}"
        return result.stdout, result.stderr

    def pod_config(self, **config):
        number = next(_serial)
        logs = os.path.join(self.tmp, f"logs{number}")
        config = dict({"metadata": {"name": f"p{number}", "uid": f"u{number}", "namespace": "e2e"},
                       "logDirectory": logs, "linux": {}}, **config)
        os.makedirs(logs, exist_ok=True)
        return config

    def pod(self, **config):
        """Runs a pod; arguments are fields of PodSandboxConfig."""
        return Pod(self, self.pod_config(**config))

    def host_pod(self, **config):
        """A pod on the node's network, for cases that are not about networks."""
        return self.pod(linux={"securityContext": {"namespaceOptions": {"network": "NODE"}}},
                        **config)

    def file(self, name, document):
        """Writes a JSON file for crictl; its path."""
        path = os.path.join(self.tmp, name)
        with open(path, "w", encoding="utf-8") as f:
            json.dump(document, f)
        return path

    def crictl_pod(self, **config):
        """The path of a pod configuration in the form that crictl reads (snake case)."""
        number = next(_serial)
        logs = os.path.join(self.tmp, f"logs{number}")
        return self.file(f"pod{number}.json", dict({
            "metadata": {"name": f"p{number}", "uid": f"u{number}", "namespace": "e2e",
                         "attempt": 0},
            "log_directory": logs, "linux": {}}, **config))

    def crictl_container(self, *command, image=BUSYBOX, **config):
        number = next(_serial)
        return self.file(f"container{number}.json", dict({
            "metadata": {"name": f"c{number}", "attempt": 0}, "image": {"image": image},
            "command": list(command), "log_path": f"c{number}.log", "linux": {}}, **config))

    def registry(self):
        """A registry on the loopback device that can misbehave (harness/fake_registry.py)."""
        registry = FakeRegistry(os.path.join(self.tmp, f"registry{next(_serial)}"))
        if self.node.runtime.name == "containerd":
            # berthd tries HTTP after HTTPS on loopback addresses by itself.
            write_hosts(os.path.join(self.node.work, "certs.d"), registry.host,
                        f'server = "http://{registry.host}"\n')
        return registry

    @staticmethod
    def text(value):
        """Bytes of an answer (base64 in JSON) as text."""
        return base64.b64decode(value or "").decode(errors="replace")

    @staticmethod
    def bytes(text):
        """Text as a value of a bytes field."""
        return base64.b64encode(text.encode()).decode()

    def clean(self):
        """Ends streams, removes every pod and every image but the common one."""
        self.node.close_streams()
        for pod in self.call("ListPodSandbox").get("items", []):
            self.call("StopPodSandbox", {"podSandboxId": pod["id"]})
            self.call("RemovePodSandbox", {"podSandboxId": pod["id"]})
        for image in self.call("ListImages").get("images", []):
            if BUSYBOX not in image.get("repoTags", []):
                self.call("RemoveImage", {"image": {"image": image["id"]}})
