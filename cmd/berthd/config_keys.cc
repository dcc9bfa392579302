// SPDX-License-Identifier: Apache-2.0
#include "cmd/berthd/config_keys.h"

namespace berth::daemon {
namespace {

const ConfigKey kKeys[] = {
    {"", "instance", &Config::instance,
     "Bridge, nft table and cgroup root are named after it, so that several daemons can run side\n"
     "by side: a lower-case letter, then up to nine lower-case letters or digits."},

    {"", "default_handler", &Config::default_handler,
     "The runtime handler of pods that name none."},

    {"log", "level", &Config::log_level, "debug, info, warning or error.", 0, 0,
     "debug|info|warning|error"},
    {"log", "format", &Config::log_format, "text, or json for one object per line.", 0, 0,
     "text|json"},

    {"network", "mode", &Config::network_mode, "builtin: a bridge of berth's own.", 0, 0,
     "builtin"},
    {"network", "subnet_v4", &Config::subnet_v4,
     "Addresses of pods. While a file names neither subnet, the node's pod range that kubelet "
     "tells\n"
     "takes their place."},
    {"network", "subnet_v6", &Config::subnet_v6, "Addresses of pods; empty: no IPv6.", 0, 0, "?"},
    {"network", "mtu", &Config::mtu, "0: that of the interface of the default route.", 0, 65535},
    {"network", "loopback_host_ports", &Config::loopback_host_ports,
     "Host ports answer on 127.0.0.1 too."},

    {"cgroup", "driver", &Config::cgroup_driver,
     "auto (systemd if it is process 1, else cgroupfs), systemd or cgroupfs.", 0, 0,
     "auto|systemd|cgroupfs"},

    {"selinux", "mode", &Config::selinux_mode,
     "auto (label pods where the kernel has SELinux and a policy is loaded) or off.", 0, 0,
     "auto|off"},

    {"streaming", "address", &Config::streaming_address,
     "Where exec, attach and port-forward are served; kubelet connects from this machine."},
    {"streaming", "port", &Config::streaming_port, "0: any that is free.", 0, 65535},
    {"streaming", "cert_file", &Config::streaming_cert_file,
     "With key_file: TLS, with files in PEM form, read again when they change.", 0, 0, "?"},
    {"streaming", "key_file", &Config::streaming_key_file, "The key of cert_file.", 0, 0, "?"},
    {"streaming", "idle_minutes", &Config::streaming_idle_minutes,
     "A connection on which nothing moves for so long is closed.", 1, 100'000},
    {"streaming", "connections", &Config::streaming_connections, "At most so many at once.", 1,
     100'000},

    {"images", "max_concurrent_downloads", &Config::max_concurrent_downloads,
     "Layers downloaded at once, for each pull.", 1, 64},
    {"images", "max_layer_bytes", &Config::max_layer_bytes,
     "A layer that unpacks to more is refused.", 1 << 20, INT64_MAX},
    {"images", "max_layer_inodes", &Config::max_layer_inodes, "A layer with more files is refused.",
     1, INT64_MAX},
    {"images", "pinned", &Config::pinned, "Images that kubelet's garbage collection spares."},
    {"images", "sandbox_image", &Config::sandbox_image,
     "berth needs no pause image; kubeadm asks for the name of one."},

    {"limits", "work_threads", &Config::work_threads, "Creates, starts and removals at once.", 1,
     1024},
    {"limits", "stop_threads", &Config::stop_threads,
     "Stops and execs at once; a stop takes its whole grace period.", 1, 4096},
    {"limits", "pull_threads", &Config::pull_threads, "Pulls and imports at once.", 1, 256},
    {"limits", "max_queued", &Config::max_queued,
     "Requests that wait for a thread; more are refused, for each of the three.", 1, 65536},
};

}  // namespace

std::span<const ConfigKey> ConfigKeys() { return kKeys; }

}  // namespace berth::daemon
