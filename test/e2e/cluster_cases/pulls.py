# SPDX-License-Identifier: Apache-2.0
"""Images that not everybody may have."""

import base64
import json
import os

from harness import wait
from harness.registry import PASSWORD, USER, Registry

from .cluster import container

PRIVATE = "127.0.0.1:5001"
IMAGE = PRIVATE + "/e2e-test-images/busybox:1.29-2"
CAUSE = "status 401: UNAUTHORIZED: authentication required"


def secret_for(k, user, password):
    auth = base64.b64encode(f"{user}:{password}".encode()).decode()
    config = json.dumps({"auths": {PRIVATE: {"auth": auth}}}).encode()
    return k.make({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": k.unique("pull")},
                   "type": "kubernetes.io/dockerconfigjson",
                   "data": {".dockerconfigjson": base64.b64encode(config).decode()}})


def refused(k, **spec):
    """What the pod's status says of the pull that was refused; kubelet then backs off."""
    pod = k.pod(dict(container("true"), image=IMAGE, imagePullPolicy="Always"), **spec)
    waiting = {}

    def reached(reason):
        waiting.update(k.states(pod).get("main", {}).get("state", {}).get("waiting", {}))
        return waiting.get("reason") == reason and dict(waiting)

    message = wait.until(lambda: reached("ErrImagePull"), 60, "ErrImagePull")["message"]
    wait.until(lambda: reached("ImagePullBackOff"), 60, "ImagePullBackOff")
    return message


def test_pull_secrets(k):
    work = os.path.join(k.node.tmp, "private")
    os.mkdir(work)
    registry = Registry(work, os.path.join(os.environ["BERTH_TEST_IMAGES"], "registry"), PRIVATE,
                        asks=True)
    try:
        message = refused(k)
        assert PRIVATE in message and CAUSE in message, message
        wrong = secret_for(k, USER, "not-this-word")
        message = refused(k, imagePullSecrets=[{"name": wrong}])
        assert PRIVATE in message and CAUSE in message, message
        assert "not-this-word" not in message, message
        right = secret_for(k, USER, PASSWORD)
        pod = k.pod(dict(container("echo", "mine"), image=IMAGE, imagePullPolicy="Always"),
                    imagePullSecrets=[{"name": right}])
        k.await_phase(pod, "Succeeded")
        assert k.log(pod) == "mine\n"
        with open(k.node.runtime.log, encoding="utf-8", errors="replace") as f:
            text = f.read()
        assert PASSWORD not in text and "not-this-word" not in text, "a secret is in the log"
    finally:
        registry.stop()
        k.node.raw.call("RemoveImage", {"image": {"image": IMAGE}})
