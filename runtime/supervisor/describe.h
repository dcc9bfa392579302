// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "base/status.h"
#include "runtime/wire/plan.h"

namespace berth::runtime {

// The error for a step that failed: names the step and its operand, with errno's code. `plan` is
// the encoded plan. Thread safe.
Status DescribeFailure(std::string_view plan, const wire::StepFailure& failure);

}  // namespace berth::runtime
