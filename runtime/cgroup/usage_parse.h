// SPDX-License-Identifier: Apache-2.0
// The kernel's control files with statistics, as text to numbers. Pure. What does not look like
// the kernel's form reads as absent; nothing here fails.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

#include "base/usage.h"

namespace berth::runtime {

// A file of one number; "max" and garbage are no number.
std::optional<uint64_t> ParseNumber(std::string_view text);
// "key value" on each line.
void ParseKeyed(std::string_view text,
                const std::function<void(std::string_view key, uint64_t value)>& each);
// "some avg10=0.00 avg60=0.00 avg300=0.00 total=0" and "full ..."; the latter may be missing.
std::optional<Pressure> ParsePressure(std::string_view text);
// v2 io.stat: "8:0 rbytes=1 wbytes=2 rios=3 wios=4 ...".
std::vector<BlockIoUsage> ParseIoStat(std::string_view text);
// v1 blkio.throttle.io_service_bytes_recursive and io_serviced_recursive: "8:0 Read 1".
std::vector<BlockIoUsage> ParseBlkio(std::string_view bytes, std::string_view operations);

}  // namespace berth::runtime
