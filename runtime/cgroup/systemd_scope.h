// SPDX-License-Identifier: Apache-2.0
// Transient scopes of systemd, over the system bus. Each call opens its own connection, waits for
// the unit's job and blocks at most half a minute. Thread safe: no state.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/status.h"
#include "runtime/spec/resources.h"

namespace berth::runtime {

struct UnitProperty {
  std::string name;
  std::variant<uint64_t, bool, std::string, std::vector<uint8_t>> value;

  bool operator==(const UnitProperty&) const = default;
};

// The limits as unit properties, so that a reload of systemd does not reset them. Pure. `unified`:
// v2, whose properties have other names.
StatusOr<std::vector<UnitProperty>> ScopeProperties(const spec::Resources& resources, bool unified);

// Starts `scope` in `slice` with one process in it, delegated. AlreadyExists if there is one.
Status StartScope(const std::string& scope, const std::string& slice, pid_t pid,
                  const std::vector<UnitProperty>& properties);
Status SetScopeProperties(const std::string& scope, const std::vector<UnitProperty>& properties);
// Stops it and forgets its failure. Missing is OK.
Status StopScope(const std::string& scope);

}  // namespace berth::runtime
