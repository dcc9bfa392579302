// SPDX-License-Identifier: Apache-2.0
// From the monitor's exit record to what the layers above are told. Pure.
#pragma once

#include "runtime/runtime.h"
#include "runtime/wire/exit_record.h"

namespace berth::runtime {

// A process that ended with 0 was not ended by the OOM killer, whatever the counter says: one of
// its children was.
ExitInfo ExitInfoFrom(const wire::ExitRecord& record);

}  // namespace berth::runtime
