#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A Deployment scaled from nothing to many pods and back, timed on the same Kubernetes with one
runtime after the other; hack/cluster scale is its front door."""

import argparse
import json
import os
import statistics
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
from harness import place, wait  # noqa: E402
from harness.kubernetes import SERVER, Kubernetes  # noqa: E402
from harness.node import BUSYBOX, Node  # noqa: E402

NAME = "scaled"
# Ends by itself when it is told to, so that no grace period is measured.
COMMAND = ["sh", "-c", "trap 'exit 0' TERM; sleep 100000 & wait"]
DEPLOYMENT = {
    "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": NAME},
    "spec": {"replicas": 0, "selector": {"matchLabels": {"app": NAME}},
             "template": {"metadata": {"labels": {"app": NAME}},
                          "spec": {"containers": [{"name": "main", "image": BUSYBOX,
                                                   "imagePullPolicy": "IfNotPresent",
                                                   "command": COMMAND}]}}}}
LIMIT = 900


def ask(kubernetes, path):
    answer = kubernetes.http(SERVER + path)
    return json.loads(answer) if answer else None


def ready(kubernetes):
    found = ask(kubernetes, f"/apis/apps/v1/namespaces/default/deployments/{NAME}")
    return found["status"].get("readyReplicas", 0) if found else -1


def pods(kubernetes):
    found = ask(kubernetes, f"/api/v1/namespaces/default/pods?labelSelector=app%3D{NAME}")
    return len(found["items"]) if found else -1


def timed(kubernetes, replicas, count):
    """The seconds from the order until count() says that it has been carried out."""
    start = time.monotonic()
    kubernetes("scale", "deployment", NAME, f"--replicas={replicas}")
    wait.until(lambda: count(kubernetes) == replicas or time.sleep(0.1), LIMIT,
               f"{replicas} pods")
    return time.monotonic() - start


def measure(name, count, rounds):
    """[(seconds up, seconds down)] with one runtime; a first round of one pod is not counted."""
    with Node(name) as node:
        node.raw.call("PullImage", {"image": {"image": BUSYBOX}})
        with Kubernetes(node) as kubernetes:
            kubernetes.apply(DEPLOYMENT)
            rows = []
            for number, replicas in enumerate([1] + [count] * rounds):
                row = (timed(kubernetes, replicas, ready), timed(kubernetes, 0, pods))
                if number:
                    rows.append(row)
                    print(f"{name}: 0 -> {count} in {row[0]:.1f} s, back in {row[1]:.1f} s",
                          flush=True)
            return rows


def main():
    parser = argparse.ArgumentParser(prog="hack/cluster scale")
    parser.add_argument("--pods", type=int, default=90)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=("berthd", "containerd"))
    arguments = parser.parse_args()
    place.enter(os.path.abspath(__file__))
    names = [arguments.only] if arguments.only else ["berthd", "containerd"]
    found = {name: measure(name, arguments.pods, arguments.rounds) for name in names}
    print(f"\n{'median of ' + str(arguments.rounds) + ', s':24}"
          + "".join(f"{name:>12}" for name in names)
          + (f"{'times better':>16}" if len(names) == 2 else ""))
    for index, title in enumerate((f"0 -> {arguments.pods} pods ready",
                                   f"{arguments.pods} -> 0 pods left")):
        middles = [statistics.median(row[index] for row in found[name]) for name in names]
        print(f"{title:24}" + "".join(f"{middle:12.1f}" for middle in middles)
              + (f"{middles[1] / middles[0]:16.1f}" if len(names) == 2 else ""))
    return 0


if __name__ == "__main__":
    sys.exit(main())
