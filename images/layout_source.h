// SPDX-License-Identifier: Apache-2.0
// Images in a directory: an OCI image layout (image-spec, image-layout.md) or an unpacked docker
// archive (manifest.json of "docker save"), offered as a source of the same shape as a registry.
// The directory is a stranger's: every path is resolved beneath it, only regular files are read.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/unique_fd.h"
#include "images/registry/client.h"

namespace berth::images {

struct LayoutImage {
  // Owned by the import and by layers that a pull waits for.
  std::shared_ptr<registry::Client> source;
  std::vector<std::string> names;  // canonical: tagged, or with a digest
  bool has_digest = false;         // the digest of `source` is one that a registry would know
};

// DataLoss for a malformed layout, Unimplemented for a directory that is neither kind.
StatusOr<std::vector<LayoutImage>> OpenLayout(UniqueFd directory_fd);

}  // namespace berth::images
