// SPDX-License-Identifier: Apache-2.0
// What a pull tells of itself: from images/pull_event.h to protobuf.
#pragma once

#include "cri/api/berth/v1/explain.pb.h"
#include "images/pull_event.h"

namespace berth::cri {

void ToPullStep(const images::PullEvent& event, ::berth::v1::PullStep* step);

}  // namespace berth::cri
