// SPDX-License-Identifier: Apache-2.0
// An image as a volume: its layers, or a part of them, mounted read-only and detached. Thread safe:
// no state.
#pragma once

#include <string>

#include "base/mount_spec.h"
#include "base/status.h"
#include "base/unique_fd.h"
#include "runtime/mount/idmap.h"
#include "runtime/plan/mount_options.h"
#include "runtime/spec/spec.h"

namespace berth::runtime {

struct ImageVolume {
  UniqueFd mount;         // detached, read-only, with the options applied
  bool directory = true;  // what the mount point must be
};

// Option "subpath=PATH" of the mount: PATH is resolved inside the image, so that neither "..", nor
// an absolute path, nor a link of the image leads out of it. InvalidArgument for an unusable path
// and for a mount on /proc; NotFound or another error naming it if it does not lead anywhere. All
// messages begin with "ImageVolumeMountFailed", by which kubelet knows them. With a user namespace
// the files have the owners that it gives them, with `label` they have that SELinux context.
StatusOr<ImageVolume> OpenImageVolume(const spec::Mount& mount, const MountOptions& options,
                                      const RootfsSpec& layers, const UserNamespaceFd& user = {},
                                      const std::string& label = "");

}  // namespace berth::runtime
