// SPDX-License-Identifier: Apache-2.0
// From a source (registry, layout, archive) to a committed image: choose the platform, fetch and
// verify, unpack each layer in its own confined process, compare diffIDs, commit.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/context.h"
#include "images/catalog.h"
#include "images/content/content_store.h"
#include "images/manifest.h"
#include "images/pull_event.h"
#include "images/registry/client.h"
#include "images/single_flight.h"
#include "images/snapshot/layer_store.h"
#include "images/unpack/launcher.h"

namespace berth::images {

struct PullerOptions {
  std::string unpacker_path;
  int workers = 3;  // layers of one image at a time
  unpack::Limits limits;
};

struct ImageNames {
  std::vector<std::string> tags;
  std::vector<std::string> digests;
};

// Thread safe. Everything given to the constructor outlives it.
class Puller {
 public:
  Puller(PullerOptions options, Catalog* catalog, ContentStore* content, LayerStore* layers)
      : options_(std::move(options)), catalog_(catalog), content_(content), layers_(layers) {}

  // Names of the image, given the digest of what the reference resolved to.
  using NameImage = std::function<ImageNames(const Digest& resolved)>;

  // Blocks; returns the image ID. Codes as ImageService::Pull. On failure only layers that another
  // pull waits for stay. `source` is shared with layers that another pull goes on waiting for
  // after this one was cancelled.
  StatusOr<std::string> Run(const Context& context, const std::shared_ptr<registry::Client>& source,
                            const NameImage& name_image);

  // Blocks. The part of Run before the first change and the first layer. The configuration is
  // fetched only where the image's platform is in doubt without it.
  Status Explain(const Context& context, registry::Client& source, const PullTrace& trace) const;

 private:
  struct Target {
    Digest resolved;  // what the reference named: an index, or the manifest itself
    Descriptor descriptor;
    Manifest manifest;
    std::string manifest_json;
    bool from_index = false;  // which has named its platform
    std::string config_json;
    ParsedConfig config;
  };
  using Hold = std::shared_ptr<LayerHold>;

  // The blob of `descriptor` as the content store has it; empty if it must be fetched.
  std::optional<std::string> FindStored(const Descriptor& descriptor, size_t cap) const;
  StatusOr<registry::Resolved> GetManifest(const Context& context, registry::Client& source,
                                           const Descriptor& descriptor) const;
  // The image's manifest, without its configuration.
  StatusOr<Target> FindManifest(const Context& context, registry::Client& source,
                                const PullTrace& trace) const;
  // Adds the configuration.
  Status ReadConfig(const Context& context, registry::Client& source, Target* target) const;
  PullPlanned Plan(const Target& target) const;
  StatusOr<std::vector<Hold>> GetLayers(const Context& context,
                                        const std::shared_ptr<registry::Client>& source,
                                        const Target& target);
  StatusOr<Hold> GetLayer(const Context& context, const std::shared_ptr<registry::Client>& source,
                          const Descriptor& blob, const Digest& diff_id);
  StatusOr<Hold> MakeLayer(const Context& context, registry::Client& source, const Descriptor& blob,
                           const Digest& diff_id);
  StatusOr<Hold> Unpack(const Context& context, Ingest& file, const Descriptor& blob,
                        const Digest& diff_id, bool prefer_zlib);
  // Appends the layer of inherited attributes if the image needs one.
  StatusOr<DirectoryAttributes> AddInherited(const std::string& image, std::vector<Hold>* chain);

  const PullerOptions options_;
  Catalog* const catalog_;
  ContentStore* const content_;
  LayerStore* const layers_;
  SingleFlight<Hold> layer_flights_;
};

}  // namespace berth::images
