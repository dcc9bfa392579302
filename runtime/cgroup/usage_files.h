// SPDX-License-Identifier: Apache-2.0
// The control files of one cgroup across hierarchies, for one reading: a directory is opened at its
// second file, since of most only one is read, and closed with the object, so that nothing is held
// between readings.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "base/unique_fd.h"
#include "runtime/cgroup/hierarchy.h"

namespace berth::runtime {

// Not thread safe.
class UsageFiles {
 public:
  // `path` is relative to each hierarchy's root. Both outlive the object.
  UsageFiles(const std::vector<Hierarchy>& hierarchies, const std::string& path);

  // nullptr if no hierarchy has the controller.
  const Hierarchy* With(std::string_view controller) const;
  // The v2 hierarchy, on a hybrid machine too.
  const Hierarchy* Unified() const;

  // The content, valid until the next call; what goes beyond 64 KiB is cut off. Empty if the file
  // does not exist or cannot be read.
  std::string_view Read(const Hierarchy& hierarchy, const char* file);
  // Names in the directory that begin with `prefix`.
  std::vector<std::string> List(const Hierarchy& hierarchy, std::string_view prefix);

  // The cgroup does not exist where CPU time or memory is counted, or was removed between two
  // files. Its absence elsewhere means nothing: on hybrid machines nobody has to make a pod's
  // cgroup in the v2 hierarchy.
  bool gone() const { return gone_; }

 private:
  bool IsCounted(const Hierarchy& hierarchy) const;
  // -1 if there is none.
  int DirOf(const Hierarchy& hierarchy);
  UniqueFd OpenFile(const Hierarchy& hierarchy, const char* file);

  const std::vector<Hierarchy>& hierarchies_;
  const std::string& path_;
  struct Dir {
    bool used = false;  // a file of it was opened
    bool tried = false;
    UniqueFd fd;
  };
  std::vector<Dir> dirs_;
  const std::unique_ptr<char[]> buffer_;
  bool gone_ = false;
};

}  // namespace berth::runtime
