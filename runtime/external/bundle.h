// SPDX-License-Identifier: Apache-2.0
// The bundle from which an external OCI runtime makes a container: a directory with config.json
// and the root file system mounted. Its name derives from the container's ID, so that a restarted
// daemon finds and removes it without a record.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/status.h"
#include "runtime/spec/spec.h"

namespace berth::runtime {

// A name: holds no descriptor. Thread safe, but for two operations on one bundle.
class Bundle {
 public:
  // `state_dir` is the runtime's; the container's ID is 64 hexadecimal digits.
  Bundle(const std::string& state_dir, const std::string& container_id);

  const std::string& path() const { return path_; }
  // Where the pod's shared memory is mounted.
  std::string shm_path() const { return path_ + "/shm"; }
  // Written by the external runtime once the container's process exists.
  std::string pid_path() const { return path_ + "/pid"; }
  std::string log_path() const { return path_ + "/log"; }
  // What the external runtime keeps for itself.
  std::string root_path() const { return path_ + "/state"; }

  // Attaches the detached mounts (shm: -1 for none) and writes config.json. On failure nothing is
  // left.
  Status Create(const spec::Spec& spec, int root_mount, int shm_mount) const;
  // Unmounts and removes. A missing one is OK.
  Status Remove() const;

  // NotFound until it is written.
  StatusOr<pid_t> ReadPid() const;
  // The last message of the external runtime's own log, or empty.
  std::string LastMessage() const;

 private:
  std::string path_;
};

}  // namespace berth::runtime
