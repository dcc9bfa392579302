# SPDX-License-Identifier: Apache-2.0
"""The registry that serves the test images, and the mirror configuration that leads to it."""

import os
import subprocess

from . import wait

ADDRESS = "127.0.0.1:5000"
MIRRORED = ("registry.k8s.io", "k8s.gcr.io", "gcr.io", "public.ecr.aws")

CONFIG = """version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage:
  filesystem: {{rootdirectory: {storage}}}
  maintenance: {{readonly: {{enabled: true}}}}
http: {{addr: "{address}"}}
"""
HOSTS = """server = "https://{host}"

[host."http://{address}"]
  capabilities = ["pull", "resolve"]
"""


class Registry:
    """Debian's docker-registry over a storage directory that it does not change."""

    def __init__(self, work, storage):
        config = os.path.join(work, "registry.yml")
        with open(config, "w", encoding="utf-8") as f:
            f.write(CONFIG.format(storage=storage, address=ADDRESS))
        with open(os.path.join(work, "registry.log"), "w", encoding="utf-8") as log:
            self._process = subprocess.Popen(["docker-registry", "serve", config], stdout=log,
                                             stderr=subprocess.STDOUT)
        wait.until(lambda: wait.connects(ADDRESS), 20, "docker-registry to listen")

    @property
    def pid(self):
        return self._process.pid

    def stop(self):
        self._process.terminate()
        self._process.wait()


def write_mirrors(directory):
    """Writes hosts.toml files by which the well-known hosts are served from the local registry."""
    for host in MIRRORED:
        write_hosts(directory, host, HOSTS.format(host=host, address=ADDRESS))


def write_hosts(directory, host, text):
    os.makedirs(os.path.join(directory, host), exist_ok=True)
    with open(os.path.join(directory, host, "hosts.toml"), "w", encoding="utf-8") as f:
        f.write(text)
