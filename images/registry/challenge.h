// SPDX-License-Identifier: Apache-2.0
// The WWW-Authenticate header (RFC 9110 section 11.6.1). Pure, thread safe.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"

namespace berth::images::registry {

struct Challenge {
  std::string scheme;                                       // lower case
  std::vector<std::pair<std::string, std::string>> params;  // names in lower case

  // Empty if there is no such parameter.
  std::string_view Param(std::string_view name) const;
};

// All challenges of one header line. InvalidArgument if it is malformed or over 8 KiB.
StatusOr<std::vector<Challenge>> ParseChallenges(std::string_view header);

}  // namespace berth::images::registry
