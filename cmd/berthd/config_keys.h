// SPDX-License-Identifier: Apache-2.0
// The table of configuration keys that reading and writing share.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "cmd/berthd/config.h"

namespace berth::daemon {

using Member = std::variant<std::string Config::*, int64_t Config::*, bool Config::*,
                            std::vector<std::string> Config::*>;

struct ConfigKey {
  std::string_view table;  // empty: top level
  std::string_view name;
  Member member;
  std::string_view comment;
  // For numbers.
  int64_t least = 0;
  int64_t most = 0;
  // For texts: "a|b|c" are the choices; empty: anything that is not empty; "?": anything.
  std::string_view choices = {};
};

// Grouped by table, the top level first.
std::span<const ConfigKey> ConfigKeys();

}  // namespace berth::daemon
