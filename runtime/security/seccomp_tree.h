// SPDX-License-Identifier: Apache-2.0
// A seccomp program in another shape. What the kernel does when it loads a filter (it translates
// each instruction and runs the filter for every call number of every architecture) grows with the
// number of instructions and with the length of the ways through them. libseccomp makes a leaf for
// each call; here neighbouring calls with one verdict share it.
#pragma once

#include <linux/filter.h>

#include <span>
#include <vector>

namespace berth::runtime {

// A program that gives the same verdict for every seccomp_data: a binary search over ranges of
// architectures, then of call numbers, and the old instructions from where they look at arguments.
// The old program itself if it has instructions that libseccomp does not make, or is no longer.
// Pure.
std::vector<sock_filter> ToRangeTree(std::span<const sock_filter> program);

}  // namespace berth::runtime
