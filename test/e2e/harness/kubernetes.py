# SPDX-License-Identifier: Apache-2.0
"""A Kubernetes of one node around the runtime of a Node: etcd, the control plane and kubelet, all in
the place that the node is in. Everything below `work` goes with the node."""

import json
import os
import secrets
import ssl
import subprocess
import urllib.error
import urllib.request

from . import procs, wait
from .place import NODE_NAME

ADDRESS = "10.99.0.1"
LINK = "kube0"
SERVER = f"https://{ADDRESS}:6443"
PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet",
            "kubectl")


class KubectlError(Exception):
    def __init__(self, arguments, result):
        super().__init__(f"kubectl {' '.join(arguments)}: exit {result.returncode}: "
                         f"{result.stderr.strip() or result.stdout.strip()}")
        self.stderr = result.stderr


class Kubernetes:
    """Context manager. `gates` are feature gates of kubelet, by name."""

    def __init__(self, node, gates=None):
        self.node = node
        self.work = os.path.join(node.work, "kubernetes")
        self.gates = gates or {}
        self.kubeconfig = os.path.join(self.work, "kubeconfig")
        self.cgroup = f"{node.instance}kube"
        self._processes = {}
        self._token = secrets.token_hex(16)

    # --- parts

    def _path(self, *names):
        return os.path.join(self.work, *names)

    def log(self, name):
        return self._path(name + ".log")

    def start_part(self, name, *arguments, tool=None):
        with open(self.log(name), "a", encoding="utf-8") as log:
            self._processes[name] = subprocess.Popen(
                [self.node.tools[tool or name], *arguments], stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT)

    def stop_part(self, name, kill=False):
        process = self._processes.pop(name, None)
        if not process:
            return
        process.kill() if kill else process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def tail(self, name, lines=15):
        with open(self.log(name), encoding="utf-8", errors="replace") as f:
            return f"--- {name}\n" + "".join(f.readlines()[-lines:])

    def _await(self, condition, seconds, what):
        def checked():
            for name, process in self._processes.items():
                if process.poll() is not None:
                    raise AssertionError(f"{name} ended with {process.returncode}\n"
                                         + self.tail(name))
            return condition()

        try:
            return wait.until(checked, seconds, what)
        except AssertionError as error:
            raise AssertionError(f"{error}\n" + "".join(map(self.tail, self._processes))) from None

    # --- life

    def __enter__(self):
        os.makedirs(self._path("manifests"))
        try:
            self._make_link()
            self._make_files()
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start(self):
        self._start_control_plane()
        self.start_kubelet()
        self.await_node()

    def __exit__(self, *_):
        if "kube-apiserver" in self._processes and "kubelet" in self._processes:
            subprocess.run([self.node.tools["kubectl"], "--kubeconfig", self.kubeconfig, "delete",
                            "--all", "--wait=false", "deployments,jobs,daemonsets,pods"],
                           capture_output=True, check=False)
        for name in ("kubelet", "kube-scheduler", "kube-controller-manager", "kube-apiserver",
                     "etcd"):
            self.stop_part(name, kill=True)
        self._remove_pods()
        subprocess.run(["ip", "link", "del", LINK], check=False, stderr=subprocess.DEVNULL)
        # kubelet's own rules, which it leaves.
        for family in ("ip", "ip6"):
            for table in ("filter", "mangle", "nat"):
                subprocess.run(["nft", "delete", "table", family, table], check=False,
                               stderr=subprocess.DEVNULL)
        for point, _ in reversed(procs.mounts_of("self")):
            if point.startswith(self.work + "/"):
                subprocess.run(["umount", "-l", point], check=False)
        for directory in reversed(procs.cgroups_named(self.cgroup)):
            try:
                os.rmdir(directory)
            except OSError:
                pass

    def _remove_pods(self):
        raw = self.node.raw
        if not self.node.runtime.running() or not raw:
            return
        for pod in raw.call("ListPodSandbox").get("items", []):
            raw.call("StopPodSandbox", {"podSandboxId": pod["id"]})
            raw.call("RemovePodSandbox", {"podSandboxId": pod["id"]})

    def _make_link(self):
        # kubelet wants an address that is not loopback, and a default route.
        for command in (("link", "add", LINK, "type", "bridge"),
                        ("address", "add", ADDRESS + "/24", "dev", LINK),
                        ("link", "set", LINK, "up"),
                        ("route", "add", "default", "via", "10.99.0.2", "dev", LINK)):
            subprocess.run(["ip", *command], check=True)

    def _make_files(self):
        subprocess.run(["openssl", "genrsa", "-out", self._path("sa.key"), "2048"], check=True,
                       stderr=subprocess.DEVNULL)
        self._write("tokens.csv", f'{self._token},admin,admin,"system:masters"\n')
        self._write("kubeconfig", json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": SERVER,
                                                      "insecure-skip-tls-verify": True}}],
            "users": [{"name": "admin", "user": {"token": self._token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}]}))
        self._write("kubelet.json", json.dumps(self.kubelet_configuration()))
        for root in procs.cgroup_roots():
            directory = os.path.join(root, self.cgroup)
            os.makedirs(directory, exist_ok=True)
            for name in ("cpuset.cpus", "cpuset.mems"):
                # v1: nothing can run in a cpuset that has none.
                if os.path.exists(os.path.join(directory, name)):
                    with open(os.path.join(directory, name), "w", encoding="ascii") as f:
                        f.write(procs.read(os.path.join(root, name)))

    def kubelet_configuration(self):
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
            "containerRuntimeEndpoint": "unix://" + self.node.runtime.socket,
            "staticPodPath": self._path("manifests"), "failCgroupV1": False,
            "cgroupDriver": "cgroupfs", "cgroupRoot": "/" + self.cgroup,
            "enforceNodeAllocatable": [], "failSwapOn": False, "address": ADDRESS,
            "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
            "authorization": {"mode": "AlwaysAllow"}, "readOnlyPort": 10255,
            "fileCheckFrequency": "1s", "syncFrequency": "1s", "nodeStatusUpdateFrequency": "1s",
            "evictionHard": {"memory.available": "10Mi", "nodefs.available": "1%",
                             "imagefs.available": "1%"},
            "podLogsDir": self._path("pod-logs"), "containerLogMaxSize": "100Ki",
            "containerLogMaxFiles": 3, "containerLogMonitorInterval": "3s", "maxPods": 200,
            "serializeImagePulls": False, "featureGates": self.gates}

    def _write(self, name, text):
        with open(self._path(name), "w", encoding="utf-8") as f:
            f.write(text)

    def _start_control_plane(self):
        self.start_part("etcd", "--data-dir", self._path("etcd"), "--unsafe-no-fsync",
                        "--listen-client-urls", "http://127.0.0.1:2379",
                        "--advertise-client-urls", "http://127.0.0.1:2379",
                        "--listen-peer-urls", "http://127.0.0.1:2380", "--log-level", "error")
        key = self._path("sa.key")
        self.start_part(
            "kube-apiserver", "--etcd-servers", "http://127.0.0.1:2379", "--cert-dir",
            self._path("apiserver"), "--bind-address", ADDRESS, "--advertise-address", ADDRESS,
            "--service-account-key-file", key, "--service-account-signing-key-file", key,
            "--service-account-issuer", "https://kubernetes.default.svc",
            "--service-cluster-ip-range", "10.96.0.0/16", "--token-auth-file",
            self._path("tokens.csv"), "--authorization-mode", "Node,RBAC", "--allow-privileged",
            "--kubelet-preferred-address-types", "InternalIP")
        self._await(lambda: self.http(SERVER + "/readyz") == b"ok", 90, "the API server")
        own = ("--kubeconfig", self.kubeconfig, "--leader-elect=false")
        self.start_part("kube-controller-manager", *own, "--service-account-private-key-file", key,
                        "--root-ca-file", self._path("apiserver", "apiserver.crt"),
                        "--use-service-account-credentials", "--cert-dir", self._path("manager"))
        self.start_part("kube-scheduler", *own, "--cert-dir", self._path("scheduler"))

    def start_kubelet(self, alone=None):
        """With the API server; or `alone`, the name of the program."""
        server = () if alone else ("--kubeconfig", self.kubeconfig)
        self.start_part("kubelet", "--config", self._path("kubelet.json"), *server, "--root-dir",
                        self._path("kubelet"), "--cert-dir", self._path("kubelet-pki"),
                        "--node-ip", ADDRESS, "--hostname-override", NODE_NAME, tool=alone)

    def await_node(self, seconds=90):
        def ready():
            try:
                node = self.get("node", NODE_NAME)
                self.get("serviceaccount", "default")
            except KubectlError:
                return False
            return any(c["type"] == "Ready" and c["status"] == "True"
                       for c in node["status"].get("conditions", []))

        self._await(ready, seconds, "the node to be ready")

    # --- use

    def http(self, url, seconds=10):
        """What the URL answers; None if nobody answers well."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        request = urllib.request.Request(url, headers={"Authorization": "Bearer " + self._token})
        try:
            with urllib.request.urlopen(request, timeout=seconds, context=context) as answer:
                return answer.read()
        except (OSError, urllib.error.URLError):
            return None

    def command(self, *arguments):
        return [self.node.tools["kubectl"], "--kubeconfig", self.kubeconfig, *map(str, arguments)]

    def run(self, *arguments, stdin="", check=True, timeout=120):
        result = subprocess.run(self.command(*arguments), input=stdin, capture_output=True,
                                text=True, timeout=timeout, check=False)
        if check and result.returncode != 0:
            raise KubectlError(list(map(str, arguments)), result)
        return result

    def __call__(self, *arguments, **options):
        return self.run(*arguments, **options).stdout

    def get(self, kind, name):
        return json.loads(self("get", kind, name, "-o", "json"))

    def apply(self, *objects):
        for item in objects:
            self("apply", "-f", "-", stdin=json.dumps(item))
