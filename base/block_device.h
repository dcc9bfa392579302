// SPDX-License-Identifier: Apache-2.0
// Names of block devices.
#pragma once

#include <cstdint>
#include <string>

namespace berth {

// "/dev/sda1" for the device's number, as sysfs calls it; "major:minor" where there is no such
// device, as behind overlay or tmpfs. Thread safe.
std::string BlockDeviceName(uint32_t major, uint32_t minor);

}  // namespace berth
