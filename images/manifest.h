// SPDX-License-Identifier: Apache-2.0
// The documents of an image (OCI image-spec: descriptor.md, manifest.md, image-index.md, config.md;
// Docker image manifest V2 schema 2), parsed from strangers' bytes.
//
// Everything here is pure and thread safe. A document that is not what it claims to be is DataLoss;
// a kind that berth does not support (schema 1, artifacts) is Unimplemented.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/digest.h"
#include "base/status.h"
#include "images/images.h"

namespace berth::images {

inline constexpr size_t kMaxManifestBytes = 4u << 20;
inline constexpr size_t kMaxConfigBytes = 8u << 20;
inline constexpr size_t kMaxLayers = 500;
inline constexpr size_t kMaxIndexEntries = 1000;
// No registry serves such a blob; keeps sums of sizes within 63 bits.
inline constexpr uint64_t kMaxBlobBytes = 1ull << 50;

inline constexpr std::string_view kOciManifestType = "application/vnd.oci.image.manifest.v1+json";
inline constexpr std::string_view kOciIndexType = "application/vnd.oci.image.index.v1+json";
inline constexpr std::string_view kDockerManifestType =
    "application/vnd.docker.distribution.manifest.v2+json";
inline constexpr std::string_view kDockerListType =
    "application/vnd.docker.distribution.manifest.list.v2+json";

struct Platform {
  std::string os;
  std::string architecture;
  std::string variant;

  bool operator==(const Platform&) const = default;
};
// "linux/arm64/v8".
std::string ToString(const Platform& platform);

// What points to a blob. `urls` of foreign layers are not kept: blobs come from the registry only.
struct Descriptor {
  std::string media_type;
  Digest digest;
  uint64_t size = 0;
  std::optional<Platform> platform;  // only in an index
};

struct Manifest {
  std::string media_type;
  Descriptor config;
  std::vector<Descriptor> layers;  // base first
};

struct Index {
  std::string media_type;
  std::vector<Descriptor> manifests;  // manifests or nested indexes
};

using ManifestDocument = std::variant<Manifest, Index>;

// At most kMaxManifestBytes. `content_type` is what the registry, the pointing descriptor or the
// layout said it is; empty or a generic type (application/json, application/octet-stream,
// text/plain) means unknown. The document's own mediaType must agree with it, and a document with
// the members of both kinds is refused.
StatusOr<ManifestDocument> ParseManifest(std::string_view body, std::string_view content_type);

enum class Compression { kNone, kGzip, kZstd };
// By media type. Unimplemented for what is not a file system layer.
StatusOr<Compression> LayerCompression(std::string_view media_type);

struct ParsedConfig {
  ImageConfig config;
  std::vector<Digest> diff_ids;  // as many as the manifest has layers
};
// At most kMaxConfigBytes.
StatusOr<ParsedConfig> ParseImageConfig(std::string_view body, const Manifest& manifest);

}  // namespace berth::images
