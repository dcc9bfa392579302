# SPDX-License-Identifier: Apache-2.0
"""cases.py DRIVER: the cases that need a machine whose only cgroups are v2, against the berthd that
runs. Prints "ok NAME" or "FAILED NAME" for each and ends with "N passed, N failed"."""

import glob
import importlib
import os
import subprocess
import sys
import tempfile
import traceback
import types

for folder in ("test/e2e", "hack/images"):
    sys.path.insert(0, os.path.join("/tree/source", folder))
from harness import wait  # noqa: E402
from harness.case import Case  # noqa: E402
from harness.client import Crictl, Raw  # noqa: E402

SOCKET = "/run/berth/berthd.sock"
MODULES = ("resources_v2", "stats_v2", "external_v2", "apparmor")
SELINUX = {"systemd": ("selinux",), "cgroupfs": ("selinux_runc",)}
# Of a machine that is emulated.
PATIENCE = 60


class Guest(Case):
    """A case whose pods have a cgroup of their own, as kubelet gives them one."""

    def __init__(self, node, name, driver):
        super().__init__(node, name)
        self.driver = driver
        self._pods = 0

    def pod(self, linux=None, **config):
        self._pods += 1
        name = f"{self.name.replace('_', '').replace('/', '')}{self._pods}"
        parent = f"/berthtest/{name}"
        if self.driver == "systemd":
            parent = f"berthtest-{name}.slice"
        return super().pod(linux=dict({"cgroupParent": parent}, **(linux or {})), **config)

    def group(self, name):
        """The directory of a container's cgroup, by its ID; None if there is none."""
        found = [path for path in glob.glob(f"/sys/fs/cgroup/**/*{name}*", recursive=True)
                 if os.path.isdir(path)]
        return found[0] if found else None

    def read(self, container, file):
        """The value of a control file of a running container."""
        with open(os.path.join(self.group(container.id), file), encoding="ascii") as f:
            return f.read().strip()

    def update(self, container, **linux):
        self.call("UpdateContainerResources", {"containerId": container.id, "linux": linux})

    def until(self, condition, what):
        return wait.until(condition, PATIENCE, what)

    def clean(self):
        self.node.close_streams()
        for pod in self.call("ListPodSandbox").get("items", []):
            self.call("StopPodSandbox", {"podSandboxId": pod["id"]})
            self.call("RemovePodSandbox", {"podSandboxId": pod["id"]})
        left = glob.glob("/sys/fs/cgroup/**/" + "[0-9a-f]" * 64 + "*", recursive=True)
        left += glob.glob("/sys/fs/cgroup/**/berth-" + "[0-9a-f]" * 64 + "*", recursive=True)
        assert not left, f"cgroups left: {left}"


def run_case(node, name, function, driver):
    case = Guest(node, name, driver)
    try:
        try:
            function(case)
        finally:
            case.clean()
        return ""
    except Exception:  # the next case is worth a try
        return traceback.format_exc()


def main(driver):
    tmp = tempfile.mkdtemp(prefix="cases.")
    node = types.SimpleNamespace(
        raw=Raw("criraw", SOCKET), crictl=Crictl("crictl", SOCKET), tools={"criraw": "criraw"},
        tmp=tmp, streams=[], runtime=types.SimpleNamespace(name="berthd", socket=SOCKET))
    node.close_streams = lambda: [stream.close() for stream in node.streams]
    counts = {"ok": 0, "FAILED": 0}
    selinux = os.path.exists("/sys/fs/selinux/enforce")
    for module in SELINUX[driver] if selinux else MODULES:
        for name, function in vars(importlib.import_module(module)).items():
            if not name.startswith("test_"):
                continue
            detail = run_case(node, f"{module}/{name[5:]}", function, driver)
            result = "FAILED" if detail else "ok"
            counts[result] += 1
            print(f"{result} {driver}: {module}/{name[5:]}", flush=True)
            if detail:
                log = subprocess.run(["journalctl", "-u", "berthd", "--no-pager", "-n", "3"],
                                     capture_output=True, text=True, check=False).stdout
                print("  | " + (detail + log).replace("\n", "\n  | "), flush=True)
    node.raw.close()
    print(f"{counts['ok']} passed, {counts['FAILED']} failed")
    return 1 if counts["FAILED"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
