# SPDX-License-Identifier: Apache-2.0
"""test_images.py LAYOUT BUSYBOX PROGRAMS: every image that critest and the e2e tests pull, as one
OCI layout. Prints "digest NAME" lines, the names being what a registry is to serve."""

import sys

from busybox_tree import GROUP, PASSWD, add_program, busybox, new_tree
from oci import Layout, Tree

E2E = "e2e-test-images/"
STAGING = "k8s-staging-cri-tools/"

NGINX = """daemon off;
user root;
worker_processes 1;
pid /var/run/nginx.pid;
error_log /dev/stderr;
events { worker_connections 64; }
http {
  access_log /dev/stdout;
  server { listen %d; listen [::]:%d; location / { root /usr/share/nginx/html; index index.html; } }
}
"""
HTTPD = """#!/bin/sh
echo "httpd: serving on port 80"
exec httpd -f -p 80 -h /usr/share/nginx/html
"""
ENV = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]


def nginx_tree(port):
    tree = new_tree()
    add_program(tree, "/usr/sbin/nginx", "usr/sbin/nginx")
    for name in ("body", "fastcgi", "proxy", "scgi", "uwsgi"):
        tree.dir("var/lib/nginx/" + name)
    tree.dir("var/log/nginx")
    tree.file("var/log/nginx/error.log")
    tree.file("etc/nginx/nginx.conf", NGINX % (port, port))
    tree.file("usr/share/nginx/html/index.html", "<h1>Welcome to nginx!</h1>\n")
    return tree


def main(path, busybox_program, programs):
    layout = Layout(path)
    base = layout.layer(busybox(busybox_program, static=False).done())

    def add(name, layers, **config):
        config = dict({"Env": ENV, "Cmd": ["sh"]}, **config)
        descriptor = layout.image(layers, config, names=[name])
        print(descriptor["digest"], name)
        return descriptor

    def with_file(name):
        return [base, layout.layer(Tree().file(name, name + "\n").done())]

    add(E2E + "busybox:1.29-2", [base])
    # Another image ID than 1.29-2, so that removing one leaves the other.
    for tag in ("1", "1-glibc", "1-musl", "1-uclibc", "1.35.0-glibc"):
        add("docker/library/busybox:" + tag, [base], Labels={"tag": tag})

    nginx = {"Entrypoint": ["/usr/sbin/nginx"], "Cmd": ["-e", "/dev/stderr"]}
    add(E2E + "nginx:1.14-2", [base, layout.layer(nginx_tree(80).done())], **nginx)
    add(STAGING + "hostnet-nginx-amd64:latest",
        [base, layout.layer(nginx_tree(12003).done())], **nginx)
    httpd = Tree().file("usr/local/bin/serve", HTTPD, mode=0o755)
    httpd.file("usr/share/nginx/html/index.html", "<h1>It works!</h1>\n")
    add(E2E + "httpd:2.4.39-4", [base, layout.layer(httpd.done())],
        Cmd=["/usr/local/bin/serve"])

    def static(name, mode):
        with open(f"{programs}/{name}", "rb") as f:
            return layout.layer(Tree().file(name, f.read(), mode=mode).done())

    add(E2E + "nonewprivs:1.3", [base, static("nonewprivs", 0o4755)],
        Entrypoint=["/nonewprivs"], Cmd=None)
    pause = static("pause", 0o755)
    for tag in ("3.9", "3.10", "3.10.1"):
        add("pause:" + tag, [pause], Entrypoint=["/pause"], Cmd=None, Labels={"tag": tag})

    add(STAGING + "test-image-latest:latest", with_file("test-image-latest"))
    for tag in ("test", "all"):
        add(STAGING + "test-image-tag:" + tag, with_file(tag))
    for number in ("1", "2", "3"):
        add(f"{STAGING}test-image-{number}:latest", with_file("test-image-" + number))
    same = with_file("same-image")
    for tag in ("1", "2", "3"):
        add(STAGING + "test-image-tags:" + tag, same)
    add(STAGING + "test-image-digest:latest", with_file("test-image-digest"))

    for name, user in (("uid", "1002"), ("username", "www-data"), ("uid-group", "1003:1004"),
                       ("username-group", "www-data:1004")):
        add(f"{STAGING}test-image-user-{name}:latest", [base], User=user, Labels={"user": user})
    group = Tree()
    group.file("etc/passwd", PASSWD + "default-user:x:1000:1000::/home/default-user:/bin/sh\n")
    group.file("etc/group",
               GROUP + "default-user:x:1000:\ngroup-defined-in-image:x:50000:default-user\n")
    add(STAGING + "test-image-predefined-group:latest", [base, layout.layer(group.done())],
        User="1000")


if __name__ == "__main__":
    main(*sys.argv[1:4])
