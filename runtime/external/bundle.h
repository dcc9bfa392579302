// SPDX-License-Identifier: Apache-2.0
// The bundle from which an external OCI runtime makes a container: a directory with config.json
// and the root file system mounted. Its name derives from the container's ID, so that a restarted
// daemon finds and removes it without a record.
#pragma once

#include <sys/types.h>

#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "runtime/spec/spec.h"

namespace berth::runtime {

// What goes into a bundle, detached. Volumes are images, by the index of their mount.
struct BundleMounts {
  struct Volume {
    UniqueFd mount;
    bool directory = true;  // what the mount point must be
  };
  UniqueFd root;
  UniqueFd shm;  // not set: none
  std::map<size_t, Volume> volumes;
};

// A name: holds no descriptor. Thread safe, but for two operations on one bundle.
class Bundle {
 public:
  // `state_dir` is the runtime's; the container's ID is 64 hexadecimal digits.
  Bundle(const std::string& state_dir, const std::string& container_id);

  const std::string& path() const { return path_; }
  // Where the pod's shared memory is mounted.
  std::string shm_path() const { return path_ + "/shm"; }
  // Where the volume of the specification's mount with this index is mounted.
  std::string volume_path(size_t index) const { return absl::StrCat(path_, "/volumes/", index); }
  // Written by the external runtime once the container's process exists.
  std::string pid_path() const { return path_ + "/pid"; }
  std::string log_path() const { return path_ + "/log"; }
  // What the external runtime keeps for itself.
  std::string root_path() const { return path_ + "/state"; }

  // Attaches the mounts. On failure nothing is left.
  Status Create(const BundleMounts& mounts) const;
  // Writes config.json, anew if there is one.
  Status WriteConfig(const spec::Spec& spec) const;
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
