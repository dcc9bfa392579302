// SPDX-License-Identifier: Apache-2.0
// Names of cgroups, so that everything is found again by name after a restart. Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace berth::runtime {

struct CgroupPath {
  std::string parent;  // relative to a hierarchy's root, no slash at either end; may be empty
  std::string leaf;
  std::string slice;  // systemd driver: the unit the scope goes into; else empty
  std::string str() const { return parent.empty() ? leaf : parent + "/" + leaf; }
};

// cgroupfs driver: "/kubepods/burstable/pod<uid>" and "<id>". An empty parent is "/<instance>".
StatusOr<CgroupPath> CgroupfsPath(std::string_view instance, std::string_view parent,
                                  std::string_view id);
// systemd driver: the parent is a slice, or a path whose last component is one; the leaf is
// "<instance>-<id>.scope". An empty parent is "<instance>.slice".
StatusOr<CgroupPath> SystemdPath(std::string_view instance, std::string_view parent,
                                 std::string_view id);
// linux.cgroupsPath of an OCI configuration: a path, or "slice:prefix:name" under systemd.
StatusOr<CgroupPath> OciCgroupPath(bool systemd, std::string_view cgroups_path,
                                   std::string_view id);

// "a-b.slice" -> "a.slice/a-b.slice"; "-.slice" -> "". InvalidArgument for other names.
StatusOr<std::string> ExpandSlice(std::string_view slice);

}  // namespace berth::runtime
