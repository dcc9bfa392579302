// SPDX-License-Identifier: Apache-2.0
#include "test/support/paths.h"

namespace berth {

std::string TestSourceDir() { return BERTH_SOURCE_DIR; }
std::string TestBinaryDir() { return BERTH_BINARY_DIR; }

}  // namespace berth
