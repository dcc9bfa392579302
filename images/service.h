// SPDX-License-Identifier: Apache-2.0
// The ImageService that images.h promises: wires the catalog, the stores and the puller.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "images/catalog.h"
#include "images/content/content_store.h"
#include "images/images.h"
#include "images/puller.h"
#include "images/reference.h"
#include "images/registry/client.h"
#include "images/single_flight.h"
#include "images/snapshot/layer_store.h"
#include "images/snapshot/rootfs_store.h"

namespace berth::images {

// Thread safe, as ImageService says.
class Service : public ImageService {
 public:
  using MakeClient = std::function<StatusOr<std::unique_ptr<registry::Client>>(
      const Reference&, const std::optional<AuthConfig>&, const PullTrace&)>;

  static StatusOr<std::unique_ptr<Service>> Open(const Options& options, Database* database);

  StatusOr<std::string> Pull(const Context& context, const PullRequest& request) override;
  Status ExplainPull(const Context& context, const PullRequest& request,
                     const PullTrace& trace) override;
  StatusOr<std::vector<std::string>> Import(const Context& context, const std::string& path,
                                            const std::string& name) override;
  StatusOr<std::shared_ptr<const Image>> Find(const std::string& reference) const override;
  std::vector<std::shared_ptr<const Image>> List() const override;
  Status Remove(const Context& context, const std::string& reference) override;
  StatusOr<FsUsage> GetFsUsage() override;
  StatusOr<RootfsSpec> PrepareRootfs(const std::string& container_id,
                                     const std::string& image_id) override;
  StatusOr<RootfsSpec> PrepareVolume(const std::string& container_id,
                                     const std::string& image_id) override;
  Status RemoveRootfs(const std::string& container_id) override;
  StatusOr<std::pair<uint64_t, uint64_t>> RootfsUsage(const std::string& container_id) override;
  Status Recover(const std::vector<std::string>& container_ids) override;

  // Before the first Pull.
  void SetClientForTest(MakeClient make_client) { make_client_ = std::move(make_client); }
  LayerStore& layers_for_test() { return *layers_; }

 private:
  explicit Service(Options options);
  // Layer directories, top first.
  std::vector<std::string> PathsOf(const ImageRow& row) const;
  StatusOr<std::vector<std::string>> ImportDirectory(const Context& context, UniqueFd dir,
                                                     const std::string& name);

  const Options options_;
  MakeClient make_client_;
  // Each uses those above it, so it goes before them.
  std::unique_ptr<ContentStore> content_;
  std::unique_ptr<LayerStore> layers_;
  std::unique_ptr<RootfsStore> rootfs_;
  std::unique_ptr<Catalog> catalog_;
  std::unique_ptr<Puller> puller_;
  SingleFlight<std::string> pulls_;
};

}  // namespace berth::images
