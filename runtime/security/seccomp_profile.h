// SPDX-License-Identifier: Apache-2.0
// Seccomp profiles: the built-in RuntimeDefault one, and profiles in OCI or Docker JSON form for
// Localhost. The result depends on the container's capabilities, as both forms allow.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"
#include "runtime/spec/seccomp.h"

namespace berth::runtime {

inline constexpr size_t kMaxSeccompProfileBytes = 1 << 20;

// RuntimeDefault: calls not listed fail with EPERM; clone3 with ENOSYS, so that the C library falls
// back to clone, whose flags can be checked. `bounding` are the container's capability bits.
spec::Seccomp DefaultSeccompProfile(uint64_t bounding);

// Resolves a profile for this architecture, the running kernel and `bounding`. Accepts the OCI
// section and Docker's superset: archMap, defaultErrnoRet, includes, excludes, single "name".
// InvalidArgument naming the member.
StatusOr<spec::Seccomp> ParseSeccompProfile(std::string_view text, uint64_t bounding);

// The same from a file named by an absolute path. InvalidArgument if it is not absolute.
StatusOr<spec::Seccomp> LoadSeccompProfile(const std::string& path, uint64_t bounding);

}  // namespace berth::runtime
