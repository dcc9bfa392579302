// SPDX-License-Identifier: Apache-2.0
// Protobuf strings must be UTF-8: a Go client drops a whole answer that holds one that is not.
#pragma once

#include <string>
#include <string_view>

namespace berth::cri {

// True if `text` is well-formed UTF-8 (Unicode 15, table 3-7).
bool IsUtf8(std::string_view text);

// The same text with every ill-formed byte replaced by U+FFFD. Thread safe.
std::string ToUtf8(std::string text);

}  // namespace berth::cri
