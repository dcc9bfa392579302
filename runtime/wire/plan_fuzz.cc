// SPDX-License-Identifier: Apache-2.0
// Whatever the bytes: Validate stays inside them, and so does everything that a valid plan names.
#include "runtime/wire/plan.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace {

// Reads every byte of the slice, so that a sanitizer sees one that lies outside.
unsigned Sum(const berth::wire::PlanView& view, berth::wire::Slice slice) {
  unsigned sum = 0;
  for (uint32_t i = 0; i < slice.size; ++i) {
    sum += static_cast<unsigned char>(view.bytes[slice.offset + i]);
  }
  return sum;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // Exactly as long as the input, and aligned.
  std::unique_ptr<char[]> plan(new char[size]);
  if (size > 0) memcpy(plan.get(), data, size);
  berth::wire::PlanView view = {};
  if (!berth::wire::Validate(plan.get(), size, &view)) {
    if (view.header != nullptr) abort();
    return 0;
  }
  volatile unsigned sum = 0;
  for (uint32_t i = 0; i < view.header->step_count; ++i) {
    const berth::wire::Step& step = view.steps[i];
    sum = sum + Sum(view, step.a) + Sum(view, step.b);
    if (step.fd != berth::wire::kNoFd && static_cast<uint32_t>(step.fd) >= view.header->fd_count) {
      abort();
    }
  }
  return 0;
}
