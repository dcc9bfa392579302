// SPDX-License-Identifier: Apache-2.0
// The bandwidth that a pod's annotations ask for, as Kubernetes' traffic shaping describes:
// "kubernetes.io/ingress-bandwidth" and "kubernetes.io/egress-bandwidth", quantities of bits per
// second from 1k to 1P. Thread safe: pure functions.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/status.h"
#include "network/network.h"

namespace berth::sandbox {

// A Kubernetes quantity ("10M", "1.5Gi", "2e6", "500m"), rounded up to a whole number.
// InvalidArgument if it is none, is negative or does not fit.
StatusOr<uint64_t> ParseQuantity(std::string_view text);

// InvalidArgument naming the annotation.
StatusOr<network::Bandwidth> BandwidthOf(const std::map<std::string, std::string>& annotations);

}  // namespace berth::sandbox
