// SPDX-License-Identifier: Apache-2.0
// Which image of an index runs on this machine. Pure but for HostPlatform; thread safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "images/manifest.h"

namespace berth::images {

// linux, and the architecture berth was built for; the variant is the highest this CPU runs:
// amd64 v1 to v4 (x86-64 microarchitecture levels), arm64 v8.
Platform HostPlatform();

// For people: bounded and printable, whatever a stranger's document says.
std::string Shown(const Platform& platform);

// What an entry of an index is to a machine.
enum class Fit {
  kChosen,
  kRuns,     // but another one fits better, or as well and comes before
  kOther,    // for another system or architecture
  kTooHigh,  // for a variant above the machine's
  kUnnamed,  // names no platform, and is not the only image
  kNoImage,  // an attestation ("unknown/unknown")
};
// For people: "chosen", "another system".
std::string_view ToString(Fit fit);

// One for each entry of `index`. At most one is chosen, the one that fits `host` best: same
// architecture, the highest variant not above the host's, the first of equals. An index whose only
// image names no platform offers that one.
std::vector<Fit> JudgePlatforms(const Index& index, const Platform& host);

// The entry that JudgePlatforms has chosen; NotFound listing what is offered. The result points
// into `index`; it may be a nested index.
StatusOr<const Descriptor*> ChoosePlatform(const Index& index, const Platform& host);

// For an image that came without an index: NotFound if its configuration is for another system.
Status CheckPlatform(const ImageConfig& config, const Platform& host);

}  // namespace berth::images
