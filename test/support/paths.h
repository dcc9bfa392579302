// SPDX-License-Identifier: Apache-2.0
// Where a test finds what it needs beside it. Linked from one small source, so that the compiler
// cache serves every other source of a test to every checkout.
#pragma once

#include <string>

namespace berth {

// The root of the sources, absolute.
std::string TestSourceDir();
// The root of the build, absolute. What is installed is in bin below it.
std::string TestBinaryDir();

}  // namespace berth
