# SPDX-License-Identifier: Apache-2.0
"""A node: the registry, one runtime and its clients in a private place, for the length of a run."""

import fcntl
import glob
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile

from . import leaks, procs, wait
from .client import Crictl, Raw
from .registry import Registry
from .runtimes import Berthd, Containerd

PREFIX = "berth-e2e."
BUSYBOX = "registry.k8s.io/e2e-test-images/busybox:1.29-2"


def tools_from_environment():
    """Paths of the programs, which the entry scripts hand over as BERTH_TOOL_NAME."""
    return {name[len("BERTH_TOOL_"):].lower().replace("_", "-"): path
            for name, path in os.environ.items() if name.startswith("BERTH_TOOL_")}


def instance_of(work):
    return "b" + work[-6:].replace("_", "x").lower()


def remove_cgroups(instance):
    for directory in reversed(procs.cgroups_named(instance)):
        try:
            os.rmdir(directory)
        except OSError as error:
            print(f"cgroup left: {error}", file=sys.stderr)


def sweep(base):
    """Removes what runs that were killed have left: their locks are free."""
    for work in glob.glob(os.path.join(base, PREFIX + "*")):
        try:
            lock = os.open(os.path.join(work, "lock"), os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            remove_cgroups(instance_of(work))
            shutil.rmtree(work, ignore_errors=True)
        except OSError:
            pass
        finally:
            os.close(lock)


class Node:
    """Context manager. Everything below `work` goes with it; an instance name is derived from it,
    so that cgroups and files of other runs on this machine are told apart."""

    def __init__(self, runtime="berthd", images=None, config="", keep=False,
                 root_size=None):
        base = os.environ.get("BERTH_TEST_DIR", "/var/tmp")
        sweep(base)
        self.work = tempfile.mkdtemp(prefix=PREFIX, dir=base)
        os.chmod(self.work, 0o755)
        if not keep:
            self._lock = os.open(os.path.join(self.work, "lock"),
                                 os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        self.instance = instance_of(self.work)
        self.tools = tools_from_environment()
        self.tmp = os.path.join(self.work, "tmp")
        os.mkdir(self.tmp)
        self.keep = keep
        self._images = images or os.environ.get("BERTH_TEST_IMAGES")
        self._registry = None
        self.raw = None
        self.streams = []
        if root_size:
            root = os.path.join(self.work,
                                "root" if runtime == "berthd" else "containerd-root")
            os.mkdir(root)
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=" + root_size, "tmpfs", root],
                           check=True)
        if runtime == "berthd":
            self.runtime = Berthd(self.work, self.tools, self.instance, config)
        else:
            self.runtime = Containerd(self.work, self.tools)
        self.crictl = Crictl(self.tools["crictl"], self.runtime.socket)

    def __enter__(self):
        try:
            if self._images:
                self._registry = Registry(self.work, os.path.join(self._images, "registry"))
            self.runtime.start()
            self.connect()
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def connect(self):
        if self.raw:
            self.raw.close()
        self.raw = Raw(self.tools["criraw"], self.runtime.socket)
        self.raw.call("Version")

    def close_streams(self):
        while self.streams:
            self.streams.pop().close()

    def own_pids(self):
        """The tests' own processes, which are no part of what the runtime may leave behind."""
        own = {1, os.getpid()}
        for helper in (self._registry, self.raw):
            if helper:
                own.add(helper.pid)
        parent = os.getppid()
        while parent > 1:
            own.add(parent)
            parent = procs.parent_of(parent)
        return own

    def warm_up(self):
        """One pod's life, so that what is made once and kept is there; then a snapshot."""
        self.raw.call("PullImage", {"image": {"image": BUSYBOX}})
        pod_config = {"metadata": {"name": "warm-up", "uid": "warm-up", "namespace": "default"},
                      "logDirectory": os.path.join(self.tmp, "warm-up"), "linux": {}}
        pod = self.raw.call("RunPodSandbox", {"config": pod_config})["podSandboxId"]
        container = self.raw.call("CreateContainer", {
            "podSandboxId": pod, "sandboxConfig": pod_config,
            "config": {"metadata": {"name": "warm-up"}, "image": {"image": BUSYBOX},
                       "command": ["sleep", "1000"], "logPath": "warm-up.log", "linux": {}}})
        self.raw.call("StartContainer", container)
        self.raw.call("ExecSync", dict(container, cmd=["true"], timeout="10"))
        self.raw.call("PodSandboxStats", {"podSandboxId": pod})
        self.crictl("ps")
        self.raw.call("StopPodSandbox", {"podSandboxId": pod})
        self.raw.call("RemovePodSandbox", {"podSandboxId": pod})
        # The baseline is taken when the asynchronous part of the removal is over as well.
        first = leaks.Snapshot(self)
        leaks.check(self, first)
        before = leaks.Snapshot(self)
        for kind in ("pods", "containers"):
            if before.counts[kind]:
                raise AssertionError(f"{kind} left after the first pod: {before.counts[kind]}")
        return before

    def __exit__(self, *_):
        self.close_streams()
        if self.raw:
            self.raw.close()
        try:
            if self.runtime.running():
                self.runtime.stop()
        finally:
            if self._registry:
                self._registry.stop()
            self._clean()

    def _clean(self):
        """Ends what outlives the runtime by design, then removes what the kernel would keep."""
        own = self.own_pids()

        def kill_the_rest():
            rest = [pid for pid in procs.pids() if pid not in own]
            for pid in rest:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            return not rest

        wait.until(kill_the_rest, 10, "the last processes to end")
        remove_cgroups(self.instance)
        for point, _ in reversed(procs.mounts_of("self")):
            if point.startswith((self.work + "/", "/run/")):
                subprocess.run(["umount", "-l", point], check=False)
        for link in json.loads(subprocess.run(["ip", "-json", "link"], capture_output=True,
                                              check=True, text=True).stdout):
            if link["ifname"] != "lo":
                subprocess.run(["ip", "link", "del", link["ifname"]], check=False,
                               stderr=subprocess.DEVNULL)
        subprocess.run(["nft", "flush", "ruleset"], check=False)
        for directory in ("/run/netns", "/run/" + self.instance):
            shutil.rmtree(directory, ignore_errors=True)
        if self.keep:
            print(f"kept: {self.work}", file=sys.stderr)
        else:
            shutil.rmtree(self.work, ignore_errors=True)

    def environment(self):
        """For programs that are run against this node."""
        return dict(os.environ, TMPDIR=self.tmp, BERTH_SOCKET=self.runtime.socket,
                    CONTAINER_RUNTIME_ENDPOINT="unix://" + self.runtime.socket,
                    IMAGE_SERVICE_ENDPOINT="unix://" + self.runtime.socket,
                    BERTH_NODE=json.dumps({"work": self.work, "log": self.runtime.log}))
