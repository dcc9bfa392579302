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
# A user and the password that its line of an htpasswd file stands for.
USER, PASSWORD = "reader", "a-secret-word"
HTPASSWD = USER + ":$2b$04$berthberthberthberthbe9MDo/xFgDdBgM4jCkuAVEMZU8E.sBH6\n"
HOSTS = """server = "https://{host}"

[host."http://{address}"]
  capabilities = ["pull", "resolve"]
"""


class Registry:
    """Debian's docker-registry over a storage directory that it does not change; with `asks`, only
    for USER."""

    def __init__(self, work, storage, address=ADDRESS, asks=False):
        config = os.path.join(work, "registry.yml")
        with open(config, "w", encoding="utf-8") as f:
            f.write(CONFIG.format(storage=storage, address=address))
            if asks:
                passwords = os.path.join(work, "htpasswd")
                f.write(f"auth: {{htpasswd: {{realm: test, path: {passwords}}}}}\n")
                with open(passwords, "w", encoding="utf-8") as words:
                    words.write(HTPASSWD)
        with open(os.path.join(work, "registry.log"), "w", encoding="utf-8") as log:
            self._process = subprocess.Popen(["docker-registry", "serve", config], stdout=log,
                                             stderr=subprocess.STDOUT)
        wait.until(lambda: wait.connects(address), 20, "docker-registry to listen")

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
