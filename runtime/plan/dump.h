// SPDX-License-Identifier: Apache-2.0
// A plan as text, one step a line: for tests and for reading what would be done. Pure.
#pragma once

#include <string>

#include "runtime/plan/builder.h"

namespace berth::runtime {

// The plan must be valid; otherwise the text says so.
std::string DumpPlan(const Plan& plan);

// "kAttach" for Op::kAttach; "op 99" for what is not known.
std::string OpName(wire::Op op);

}  // namespace berth::runtime
