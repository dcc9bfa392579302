// SPDX-License-Identifier: Apache-2.0
// How the end of an exec or attach is told on the error channel.
#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"

namespace berth::cri::streaming {

// JSON: a metav1.Status (v4 and v5). Text: nothing after success, else words (v1 to v3).
enum class StatusForm { kText, kJson };

std::string ExitText(StatusForm form, int32_t exit_code);
// The process did not run or its end is not known. Not for OK.
std::string FailureText(StatusForm form, const Status& failure);

}  // namespace berth::cri::streaming
