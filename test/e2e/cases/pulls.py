# SPDX-License-Identifier: Apache-2.0
"""Pulling from registries that refuse, break off or lie. A failed pull leaves nothing."""

import json
import os
import time

from harness import wait
from harness.fake_registry import (is_blob, is_manifest, silence_fault, status_fault,
                                   token_fault)
from oci import MANIFEST, Tree, encode, sha256


def stored_files(t):
    """Every file below the storage root but the database's own."""
    found = []
    for directory, _, names in os.walk(t.node.runtime.root):
        found += [os.path.join(directory, name) for name in names if ".db" not in name]
    return sorted(found)


def refused(t, reference, codes, part="", seconds=60, **request):
    """A pull that must fail, and must leave the storage root as it was."""
    def images():
        return sorted(image["id"] for image in t.call("ListImages").get("images", []))

    known = images()
    before = stored_files(t)
    message = t.fails(codes, "PullImage", dict({"image": {"image": reference}}, **request),
                      part=part, timeout=seconds)
    assert images() == known
    if t.node.runtime.name == "berthd":
        wait.until(lambda: stored_files(t) == before, 1, "the failed pull's files to go")
    return message


def pulled(t, reference, **request):
    return t.call("PullImage", dict({"image": {"image": reference}}, **request))["imageRef"]


def test_unknown_image(t):
    with t.registry() as registry:
        reference = f"{registry.host}/test/absent:latest"
        assert "absent" in refused(t, reference, "NotFound")


def test_bad_references(t):
    for reference in ("", "UPPER/case", "a b", "x:", "x@sha256:12", "x@md5:abcd", ":tag", "x//y",
                      "-x", "x:" + "t" * 129, "localhost:99999999/x", "x@sha256:" + "g" * 64):
        refused(t, reference, "InvalidArgument")


def test_unauthorized_and_forbidden(t):
    with t.registry() as registry:
        reference = registry.small("x")
        registry.fault = status_fault(401)
        refused(t, reference, "Unauthenticated")
        registry.fault = status_fault(403, message="not for you")
        refused(t, reference, "PermissionDenied", part="not for you")


def test_too_many_requests(t):
    with t.registry() as registry:
        reference = registry.small("x")
        registry.fault = status_fault(429, "TOOMANYREQUESTS", "slow down", Retry_After="0")
        refused(t, reference, "ResourceExhausted", part="slow down")


def test_server_errors_are_registry_unavailable(t):
    with t.registry() as registry:
        reference = registry.small("x")
        for code in (500, 502, 503):
            registry.fault = status_fault(code, "UNKNOWN", "broken")
            message = refused(t, reference, "Unknown")
            assert message.startswith("RegistryUnavailable: "), message


def test_a_passing_server_error_is_tried_again(t):
    with t.registry() as registry:
        reference = registry.small("x")
        left = [2]

        def fault(handler):
            if is_blob(handler) and left[0] > 0:
                left[0] -= 1
                handler.send(503)
                return True
            return False

        registry.fault = fault
        assert pulled(t, reference).startswith("sha256:") and left == [0]


def test_no_registry_there(t):
    with t.registry() as registry:
        reference = registry.small("x")
    message = refused(t, reference, "Unknown")
    assert message.startswith("RegistryUnavailable: "), message


def test_gone_in_the_middle_of_a_blob(t):
    with t.registry() as registry:
        reference = registry.image("x", Tree().file("data", os.urandom(1 << 20)).done())

        def fault(handler):
            if is_blob(handler):
                body = registry.blob(handler.path.rsplit("/", 1)[1])
                handler.send(200, body[:len(body) // 2], length=len(body))
                return True
            return False

        registry.fault = fault
        refused(t, reference, "Unknown|DataLoss")
        registry.fault = None
        pulled(t, reference)


def test_gone_for_good_in_the_middle(t):
    with t.registry() as registry:
        reference = registry.image("x", Tree().file("data", os.urandom(1 << 20)).done())
        registry.fault = lambda handler: is_blob(handler) and (handler.cut(), True)[1]
        refused(t, reference, "Unknown")


def test_truncated_blob(t):
    with t.registry() as registry:
        reference = registry.image("x", Tree().file("data", os.urandom(4096)).done())

        def fault(handler):
            if is_blob(handler):
                handler.send(200, registry.blob(handler.path.rsplit("/", 1)[1])[:-1])
                return True
            return False

        registry.fault = fault
        refused(t, reference, "DataLoss|Unknown")


def test_corrupt_blob(t):
    with t.registry() as registry:
        reference = registry.image("x", Tree().file("data", os.urandom(4096)).done())

        def fault(handler):
            if is_blob(handler):
                body = bytearray(registry.blob(handler.path.rsplit("/", 1)[1]))
                body[len(body) // 2] ^= 1
                handler.send(200, bytes(body))
                return True
            return False

        registry.fault = fault
        refused(t, reference, "DataLoss", part="sha256:")


def test_longer_blob_than_promised(t):
    with t.registry() as registry:
        reference = registry.small("x")

        def fault(handler):
            if is_blob(handler):
                handler.send(200, registry.blob(handler.path.rsplit("/", 1)[1]) + b"more")
                return True
            return False

        registry.fault = fault
        refused(t, reference, "DataLoss")


def test_manifest_with_another_digest(t):
    with t.registry() as registry:
        registry.small("x")
        refused(t, f"{registry.host}/test/x@sha256:{'0' * 64}", "NotFound|DataLoss|Unknown")
        other = json.loads(registry.blob(registry._tags["x"]["digest"]))
        other["annotations"] = {"changed": "yes"}

        def fault(handler):
            if is_manifest(handler):
                handler.send(200, encode(other), Content_Type=MANIFEST)
                return True
            return False

        registry.fault = fault
        refused(t, f"{registry.host}/test/x@{registry._tags['x']['digest']}", "DataLoss")


def test_bad_manifests(t):
    with t.registry() as registry:
        for number, body in enumerate((b"", b"{", b"[]", b"null", b'{"schemaVersion": 2}',
                                       b'{"schemaVersion": 2, "config": 7, "layers": {}}',
                                       b"[" * 100000, b'{"schemaVersion":2,"layers":[]}',
                                       b" " * (9 << 20))):
            reference = registry.publish(f"x{number}", registry.layout.blob(body, MANIFEST))
            refused(t, reference, "DataLoss|InvalidArgument|Unimplemented")


def test_wrong_diff_id(t):
    with t.registry() as registry:
        layer, _ = registry.layout.layer(Tree().file("a", "b").done())
        reference = registry.publish(
            "x", registry.layout.image([(layer, sha256(b"something else"))]))
        refused(t, reference, "DataLoss")


def test_layer_that_is_no_tar(t):
    with t.registry() as registry:
        for number, tar in enumerate((b"not a tar", os.urandom(2048),
                                      Tree().file("a", "b" * 9000).done()[:3000])):
            refused(t, registry.image(f"x{number}", tar), "DataLoss|InvalidArgument")


def test_other_platform_only(t):
    with t.registry() as registry:
        layer = registry.layout.layer(Tree().file("a", "b").done())
        manifest = registry.layout.image([layer], architecture="s390x")
        index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
                 "manifests": [dict(manifest, platform={"architecture": "s390x", "os": "linux"})]}
        reference = registry.publish("x", registry.layout.blob(encode(index), index["mediaType"]))
        refused(t, reference, "NotFound", part="s390x")


def test_token(t):
    with t.registry() as registry:
        reference = registry.small("x")
        registry.fault = token_fault(registry)
        pulled(t, reference)
        assert any(path.startswith("/token") for _, path, _ in registry.requests)


def test_token_for_a_user(t):
    with t.registry() as registry:
        reference = registry.small("x")
        registry.fault = token_fault(registry, user="me:secret-word")
        refused(t, reference, "Unauthenticated")
        message = refused(t, reference, "Unauthenticated",
                          auth={"username": "me", "password": "wrong-word"})
        assert "wrong-word" not in message
        pulled(t, reference, auth={"username": "me", "password": "secret-word"})
        with open(t.node.runtime.log, encoding="utf-8", errors="replace") as f:
            text = f.read()
        assert "secret-word" not in text and "wrong-word" not in text, "a secret is in the log"


def test_credentials_do_not_follow_a_redirect(t):
    with t.registry() as registry, t.registry() as other:
        reference = registry.small("x")
        other.small("x")

        def fault(handler):
            if handler.headers.get("Authorization") is None:
                handler.send_errors(401, "UNAUTHORIZED", "no", WWW_Authenticate='Basic realm="x"')
                return True
            if is_blob(handler):
                handler.send(307, Location=f"http://{other.host}{handler.path}")
                return True
            return False

        registry.fault = fault
        pulled(t, reference, auth={"username": "me", "password": "secret"})
        assert other.requests and not any(row[2] for row in other.requests), other.requests


def test_deadline_is_kept(t):
    with t.registry() as registry:
        reference = registry.small("x")
        registry.fault = silence_fault(is_blob, 5)
        start = time.monotonic()
        refused(t, reference, "DeadlineExceeded", seconds=0.5)
        assert time.monotonic() - start < 3


def test_a_layer_is_transferred_once(t):
    with t.registry() as registry:
        layer = registry.layout.layer(Tree().file("data", os.urandom(1 << 20)).done())
        first = registry.publish("first", registry.layout.image([layer]))
        second = registry.publish("second", registry.layout.image([layer], {"Cmd": ["x"]}))
        for reference in (first, first, second):
            pulled(t, reference)
        transfers = [row for row in registry.requests if row[1].endswith(layer[0]["digest"])]
        assert len(transfers) == 1, transfers
