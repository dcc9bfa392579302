#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A Kubernetes of one node on this runtime: held for hack/cluster, or with the cases of
cluster_cases/ run against it."""

import argparse
import importlib
import json
import os
import pkgutil
import signal
import sys
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
import cluster_cases  # noqa: E402
from cluster_cases.cluster import Cluster, Skip  # noqa: E402
from cluster_cases.static_pods import static_pod  # noqa: E402
from harness import leaks, place  # noqa: E402
from harness.kubernetes import Kubernetes  # noqa: E402
from harness.node import Node  # noqa: E402
from harness.standalone import StandaloneKubelet  # noqa: E402

# Those of Kubernetes 1.37 that are off by default and change what kubelet asks of a runtime.
GATES = ("ContainerStopSignals,ImageVolumeWithDigest,VolumeBindMountOptions,"
         "UserNamespacesHostNetworkSupport,EventedPLEG,CRIListStreaming,PodAndContainerStatsFromCRI")


def hold(arguments):
    """Starts all of it, writes what a client needs to the file, and waits to be told to end."""
    def end(number, _):
        raise SystemExit(128 + number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    with Node(arguments.runtime, config=arguments.config) as node:
        node.warm_up()
        with Kubernetes(node) as kubernetes:
            with open(arguments.ready + ".new", "w", encoding="utf-8") as f:
                json.dump({"kubeconfig": kubernetes.kubeconfig, "work": node.work,
                           "kubectl": node.tools["kubectl"],
                           "endpoint": "unix://" + node.runtime.socket}, f)
            os.rename(arguments.ready + ".new", arguments.ready)
            while True:
                signal.pause()


def find_cases(patterns):
    for module_info in pkgutil.iter_modules(cluster_cases.__path__):
        module = importlib.import_module("cluster_cases." + module_info.name)
        for name, function in vars(module).items():
            if name.startswith("test_") and callable(function):
                name = f"{module_info.name}/{name[5:]}"
                if not patterns or any(pattern in name for pattern in patterns):
                    yield name, function


def run_case(kubernetes, name, function):
    """(result, detail) of a case; what it has made is removed."""
    cluster = Cluster(kubernetes, name)
    result, detail = "ok", ""
    try:
        function(cluster)
    except Skip as reason:
        result, detail = "skip", str(reason)
    except AssertionError as error:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__)
                  if "/cluster_cases/" in frame.filename]
        where = f"\n  at {os.path.basename(frames[-1].filename)}:{frames[-1].lineno}: " \
            f"{frames[-1].line}" if frames else ""
        result, detail = "FAIL", str(error) + where + "\n" + cluster.story()
    except Exception:  # the next case is worth a try
        result, detail = "FAIL", traceback.format_exc() + cluster.story()
    try:
        cluster.clean()
    except Exception as error:
        result, detail = "FAIL", f"{detail}\nnot cleaned: {error}"
    return result, detail


def run_static_pods(node, patterns, tell):
    for tool in ("kubelet", "kubelet-1-34"):
        kubelet = StandaloneKubelet(node, tool)
        name = "static_pods/kubelet_" + kubelet.version()
        if patterns and not any(pattern in name for pattern in patterns):
            continue
        start = time.monotonic()
        try:
            with kubelet:
                static_pod(kubelet)
            tell("ok", name, start)
        except Exception:  # the next one is worth a try
            tell("FAIL", name, start, traceback.format_exc())


def run_cases(arguments):
    counts = {"ok": 0, "FAIL": 0, "skip": 0}

    def tell(result, name, start, detail=""):
        counts[result] += 1
        print(f"{result:4} cluster: {name} {time.monotonic() - start:.2f} s"
              + (f": {detail}" if detail else ""), flush=True)

    with Node(arguments.runtime, config=arguments.config) as node:
        before = node.warm_up()
        start = time.monotonic()
        names = GATES if arguments.gates == "all" else arguments.gates
        gates = dict.fromkeys(filter(None, names.split(",")), True)
        with Kubernetes(node, gates) as kubernetes:
            tell("ok", "node is ready", start)
            for name, function in find_cases(arguments.pattern):
                start = time.monotonic()
                result, detail = run_case(kubernetes, name, function)
                tell(result, name, start, detail)
        if not gates:
            run_static_pods(node, arguments.pattern, tell)
        start = time.monotonic()
        left = leaks.check(node, before) if node.runtime.running() else ["berthd has ended"]
        if left:
            tell("FAIL", "nothing is left", start, "\n  ".join([""] + left[:30]))
        else:
            tell("ok", "nothing is left", start)
    print(f"cluster: {counts['ok']} passed, {counts['FAIL']} failed, {counts['skip']} skipped")
    return 1 if counts["FAIL"] else 0


def main():
    parser = argparse.ArgumentParser(prog="hack/cluster")
    parser.add_argument("--runtime", choices=("berthd", "containerd"), default="berthd")
    parser.add_argument("--config", default="", help="lines added to berthd's configuration")
    parser.add_argument("--ready", help="hold the cluster; this file tells that it is ready")
    parser.add_argument("--gates", default="", help="feature gates of kubelet to turn on, or all")
    parser.add_argument("pattern", nargs="*")
    arguments = parser.parse_args()
    place.enter(os.path.abspath(__file__))
    return hold(arguments) if arguments.ready else run_cases(arguments)


if __name__ == "__main__":
    sys.exit(main())
