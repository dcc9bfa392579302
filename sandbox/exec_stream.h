// SPDX-License-Identifier: Apache-2.0
// An exec'd process with its streams, as streams.h describes it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/context.h"
#include "base/status.h"
#include "runtime/runtime.h"
#include "sandbox/streams.h"

namespace berth::sandbox {

// [blocks] Errors as of Runtime::StartExec. `runtime` outlives the result.
StatusOr<std::unique_ptr<ExecStream>> StartExecStream(const Context& context,
                                                      runtime::Runtime* runtime,
                                                      const std::string& container_id,
                                                      const std::vector<std::string>& command,
                                                      const StreamSelection& selection,
                                                      const Streams::TakeEnds& early);

}  // namespace berth::sandbox
