// SPDX-License-Identifier: Apache-2.0
// Builds small images for tests: layers from tar bytes, then an OCI layout, a docker archive or the
// blobs for a fake registry.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace berth::images {

class TestImage {
 public:
  enum Packing { kPlain, kGzip };

  TestImage& AddLayer(const std::string& tar, Packing packing = kPlain);
  // The configuration claims another diffID.
  void ForgeDiffId(size_t layer);
  // The blob's bytes change, its descriptor does not.
  void DamageBlob(size_t layer);

  std::string config_json() const;
  std::string manifest_json() const;
  std::string id() const;
  std::string manifest_digest() const;
  // By digest: configuration, manifest, layers.
  std::map<std::string, std::string> Blobs() const;

  void WriteOciLayout(const std::string& path) const;
  void WriteDockerArchive(const std::string& path, const std::string& tag) const;

 private:
  struct Layer {
    std::string blob;
    std::string digest;
    std::string diff_id;
    Packing packing;
  };
  std::vector<Layer> layers_;
};

}  // namespace berth::images
