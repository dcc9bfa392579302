// SPDX-License-Identifier: Apache-2.0
// The zlib dictionary of SPDY/3 header blocks (SPDY protocol draft 3, section 2.6.10.1).
#pragma once

#include <string>

namespace berth::cri::streaming {

// 1423 bytes. Thread safe.
const std::string& SpdyDictionary();

}  // namespace berth::cri::streaming
