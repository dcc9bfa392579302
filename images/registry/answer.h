// SPDX-License-Identifier: Apache-2.0
// From what a server answered to the codes and messages of client.h.
#pragma once

#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "base/status.h"
#include "images/registry/http.h"

namespace berth::images::registry {

inline constexpr std::string_view kUnavailablePrefix = "RegistryUnavailable: ";

// The registry's own words: its JSON errors, else the beginning of a text. Printable and bounded.
std::string ErrorText(const HttpResponse& response);

// Never OK: call it for what is not the awaited answer. `what` is operation and URL.
Status StatusOfResult(const HttpResult& result, std::string_view what);

// Whether asking the same server again may help.
bool IsTransient(const HttpResult& result);

// Retry-After in seconds or as a date; zero if absent or in the past.
absl::Duration RetryAfter(const HttpResponse& response, absl::Time now);

}  // namespace berth::images::registry
