// SPDX-License-Identifier: Apache-2.0
// What is stored of pods and containers: enough to undo, finish or rebuild any of them without a
// live descriptor.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sandbox/types.h"

namespace berth::sandbox {

// A record is written before the first side effect and erased after the last, so its phase is the
// intent:
//
//   (none) --create--> kCreating --done--> kLive --remove--> kRemoving --done--> (none)
//                          |                                     ^
//                          +------- failure or crash: undo ------+
enum class Phase : int { kCreating = 0, kLive = 1, kRemoving = 2 };

struct LeaseRecord {
  std::string interface;
  std::string mac;
  std::vector<std::string> addresses;
  std::vector<PortMapping> port_mappings;
  BERTH_FIELDS(BERTH_F(interface) BERTH_F(mac) BERTH_F(addresses) BERTH_F(port_mappings))
};

// The SELinux contexts of a pod; both empty if it is not confined.
struct LabelsRecord {
  std::string process;
  std::string mount;
  BERTH_FIELDS(BERTH_F(process) BERTH_F(mount))
};

struct PodRecord {
  std::string id;
  Phase phase = Phase::kCreating;
  PodState state = PodState::kNotReady;
  std::string boot_id;  // of the boot that made it
  int64_t created_at_ns = 0;
  std::string handler;  // as the request named it
  PodConfig config;
  std::optional<LeaseRecord> lease;    // set while the network is attached
  std::optional<LabelsRecord> labels;  // not set: made while SELinux was off
  BERTH_FIELDS(BERTH_F(id) BERTH_F(phase) BERTH_F(state) BERTH_F(boot_id) BERTH_F(created_at_ns)
                   BERTH_F(handler) BERTH_F(config) BERTH_F(lease) BERTH_F(labels))
};

struct ContainerRecord {
  std::string id;
  std::string pod_id;
  Phase phase = Phase::kCreating;
  ContainerState state = ContainerState::kCreated;
  std::string boot_id;
  uint32_t slot = 0;
  int64_t created_at_ns = 0;
  int64_t started_at_ns = 0;
  int64_t finished_at_ns = 0;
  int32_t exit_code = 0;
  std::string reason;
  std::string message;
  std::string image_id;
  std::string image_ref;
  std::string image_name;
  std::string log_path;     // absolute or empty
  std::string stop_signal;  // effective
  ContainerConfig config;
  Resources resources;  // in force
  ContainerUser user;
  std::string spec_json;  // OCI runtime-spec config.json
  BERTH_FIELDS(BERTH_F(id) BERTH_F(pod_id) BERTH_F(phase) BERTH_F(state) BERTH_F(boot_id)
                   BERTH_F(slot) BERTH_F(created_at_ns) BERTH_F(started_at_ns)
                       BERTH_F(finished_at_ns) BERTH_F(exit_code) BERTH_F(reason) BERTH_F(message)
                           BERTH_F(image_id) BERTH_F(image_ref) BERTH_F(image_name)
                               BERTH_F(log_path) BERTH_F(stop_signal) BERTH_F(config)
                                   BERTH_F(resources) BERTH_F(user) BERTH_F(spec_json))
};

// "name_namespace_uid_attempt": unique among pods.
std::string PodName(const PodMetadata& metadata);

}  // namespace berth::sandbox
