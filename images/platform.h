// SPDX-License-Identifier: Apache-2.0
// Which image of an index runs on this machine. Pure but for HostPlatform; thread safe.
#pragma once

#include "base/status.h"
#include "images/manifest.h"

namespace berth::images {

// linux, and the architecture berth was built for; the variant is the highest this CPU runs:
// amd64 v1 to v4 (x86-64 microarchitecture levels), arm64 v8.
Platform HostPlatform();

// The entry of `index` that fits `host` best: same architecture, the highest variant not above the
// host's, the first of equals. An index whose only image names no platform offers that one.
// Attestations ("unknown/unknown") are no images. NotFound listing what is offered. The result
// points into `index`; it may be a nested index.
StatusOr<const Descriptor*> ChoosePlatform(const Index& index, const Platform& host);

// For an image that came without an index: NotFound if its configuration is for another system.
Status CheckPlatform(const ImageConfig& config, const Platform& host);

}  // namespace berth::images
