// SPDX-License-Identifier: Apache-2.0
// The daemon's configuration: one TOML file, then its drop-ins, then nothing else. Flags of the
// command line name paths and the log, and win.
//
// Strict: an unknown key, a wrong type or a value out of range is an error that names file and
// line. Adding a key is one row of the table in config_keys.cc.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "base/status.h"
#include "sandbox/handler.h"

namespace berth::daemon {

struct Config {
  // Keys that the files name, such as "network.subnet_v4".
  std::set<std::string> named;

  std::string instance = "berth";

  std::string log_level = "info";
  std::string log_format = "text";

  std::string network_mode = "builtin";
  std::string subnet_v4 = "10.88.0.0/16";
  std::string subnet_v6 = "fd42:be54::/64";
  int64_t mtu = 0;
  bool loopback_host_ports = true;

  std::string cgroup_driver = "auto";

  std::string selinux_mode = "auto";

  std::string streaming_address = "127.0.0.1";
  int64_t streaming_port = 0;
  std::string streaming_cert_file;
  std::string streaming_key_file;
  int64_t streaming_idle_minutes = 240;
  int64_t streaming_connections = 1000;

  int64_t max_concurrent_downloads = 3;
  int64_t max_layer_bytes = int64_t{64} << 30;
  int64_t max_layer_inodes = 4'000'000;
  std::vector<std::string> pinned;
  std::string sandbox_image = "registry.k8s.io/pause:3.10.1";

  int64_t work_threads = 16;
  int64_t stop_threads = 128;
  int64_t pull_threads = 4;
  int64_t max_queued = 1024;

  std::string default_handler = "berth";
  std::vector<sandbox::Handler> handlers;  // the tables of the file
};

// Reads `path`, then `path`.d/*.toml in lexical order, each key replacing what came before. A
// missing file is the defaults unless `must_exist`. InvalidArgument "<file>:<line>: ..." for what
// is wrong inside, NotFound for a file that must exist.
StatusOr<Config> LoadConfig(const std::string& path, bool must_exist);

// The handlers that the configuration describes: those of its tables and "berth". InvalidArgument
// for a default handler that does not exist and what sandbox::Handlers refuses.
StatusOr<sandbox::Handlers> HandlersOf(const Config& config);

// The configuration as TOML, each key with its comment.
std::string ConfigToml(const Config& config);
// The same as a JSON object, for verbose Status; holds "sandboxImage" where kubeadm looks for it.
std::string ConfigJson(const Config& config);

}  // namespace berth::daemon
