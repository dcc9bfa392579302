# SPDX-License-Identifier: Apache-2.0
"""The runtimes that can be run in a place: berthd, and containerd as a peer."""

import json
import os
import signal
import subprocess

from . import registry, wait
from .client import Raw


class Runtime:
    """A daemon with everything it owns below one work directory."""

    name = ""

    def __init__(self, work, tools):
        self.work = work
        self.tools = tools
        self.log = os.path.join(work, self.name + ".log")
        self._process = None

    def command(self):
        raise NotImplementedError

    @property
    def pid(self):
        return self._process.pid

    def spawn(self):
        """Starts the daemon without waiting for it."""
        with open(self.log, "a", encoding="utf-8") as log:
            self._process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log,
                                             stderr=subprocess.STDOUT)

    def start(self, seconds=20):
        self.spawn()
        self.await_ready(seconds)

    def await_ready(self, seconds=20):
        def ready():
            if self._process.poll() is not None:
                raise AssertionError(f"{self.name} ended with {self._process.returncode}:\n"
                                     + self.log_tail())
            return os.path.exists(self.socket)

        wait.until(ready, seconds, f"{self.socket} to appear")
        raw = Raw(self.tools["criraw"], self.socket)
        try:
            def answers():
                ready()
                return "response" in raw.answer("Version", timeout=1)

            wait.until(answers, seconds, f"{self.name} to answer Version\n" + self.log_tail())
        finally:
            raw.close()

    def stop(self, seconds=20):
        """Asks the daemon to end; its exit status. What it leaves running keeps running."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired as error:
                self.kill()
                raise AssertionError(f"{self.name} did not end {seconds} s after SIGTERM") from error
        return self._process.returncode

    def kill(self):
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def running(self):
        return self._process is not None and self._process.poll() is None

    def log_tail(self, lines=30):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return "".join(f.readlines()[-lines:])


class Berthd(Runtime):
    name = "berthd"

    def __init__(self, work, tools, instance, config="", root=None):
        super().__init__(work, tools)
        self.instance = instance
        self.state = os.path.join("/run", instance)
        self.root = root or os.path.join(work, "root")
        self.socket = os.path.join(self.state, "berthd.sock")
        self.certs = os.path.join(work, "certs.d")
        self.config = os.path.join(work, "config.toml")
        registry.write_mirrors(self.certs)
        with open(self.config, "w", encoding="utf-8") as f:
            f.write(f'instance = "{instance}"\n' + config)

    def command(self):
        return [self.tools["berthd"], "--listen", self.socket, "--root", self.root, "--state",
                self.state, "--config", self.config, "--certs-dir", self.certs]


CONTAINERD = """version = 3
root = "{work}/containerd-root"
state = "/run/containerd-peer"
disabled_plugins = ["io.containerd.nri.v1.nri"]
[grpc]
  address = "{socket}"
[plugins.'io.containerd.cri.v1.images'.registry]
  config_path = "{work}/certs.d"
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "registry.k8s.io/pause:3.10"
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
[plugins.'io.containerd.cri.v1.runtime'.containerd]
  default_runtime_name = "runc"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
  BinaryName = "{runc}"
[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ["/usr/lib/cni"]
  conf_dir = "{work}/net.d"
"""


class Containerd(Runtime):
    """containerd with runc and the plugins bridge, host-local and portmap."""

    name = "containerd"

    def __init__(self, work, tools):
        super().__init__(work, tools)
        self.socket = "/run/containerd-peer/containerd.sock"
        self.root = os.path.join(work, "containerd-root")
        registry.write_mirrors(os.path.join(work, "certs.d"))
        os.makedirs(os.path.join(work, "net.d"), exist_ok=True)
        ranges = [[{"subnet": "10.246.0.0/16"}], [{"subnet": "fd00:246::/64"}]]
        with open(os.path.join(work, "net.d/10-peer.conflist"), "w", encoding="utf-8") as f:
            json.dump({"cniVersion": "1.0.0", "name": "peer", "plugins": [
                {"type": "bridge", "bridge": "peer0", "isGateway": True, "ipMasq": True,
                 "ipam": {"type": "host-local", "ranges": ranges,
                          "dataDir": "/run/containerd-peer/ipam",
                          "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]}},
                {"type": "portmap", "capabilities": {"portMappings": True}}]}, f)
        with open(os.path.join(work, "containerd.toml"), "w", encoding="utf-8") as f:
            f.write(CONTAINERD.format(work=work, socket=self.socket, runc=tools["runc"]))

    def spawn(self):
        # The daemon finds its shim by PATH.
        path = os.path.dirname(self.tools["containerd-shim-runc-v2"])
        if path not in os.environ["PATH"].split(":"):
            os.environ["PATH"] += ":" + path
        super().spawn()

    def command(self):
        return [self.tools["containerd"], "--config", os.path.join(self.work, "containerd.toml"),
                "--log-level", "warn"]
