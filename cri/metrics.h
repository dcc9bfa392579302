// SPDX-License-Identifier: Apache-2.0
// Metrics as cAdvisor names them, which kubelet passes on to Prometheus.
#pragma once

#include <string>

#include "cri/api/runtime/v1/api.pb.h"
#include "sandbox/stats.h"

namespace berth::cri {

// Every metric that ToPodMetrics may tell, with the keys of its labels in their order.
void ToMetricDescriptors(::runtime::v1::ListMetricDescriptorsResponse* to);

// What a pod and its containers use, read with UsageDetail::kAll. What is not known is left out.
// Values are whole numbers: seconds are cut.
// `filesystem` is where writable layers lie.
void ToPodMetrics(const sandbox::PodStats& from, const std::string& filesystem,
                  ::runtime::v1::PodSandboxMetrics* to);

}  // namespace berth::cri
