// SPDX-License-Identifier: Apache-2.0
// An ImageService in memory for tests of other folders: images are added by hand or appear when
// pulled, roots are plain directories.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "images/images.h"

namespace berth::images {

// Thread safe.
class FakeImageService : public ImageService {
 public:
  // `root`: an existing directory. Lower, upper and work directories are made below it; the lower
  // directory of an image is <root>/lower/<first 12 digits of the ID>, which the test may fill.
  explicit FakeImageService(std::string root) : root_(std::move(root)) {}

  // An image whose ID is the digest of its name; returns it. `config` as a container would use it.
  std::string Add(const std::string& name, ImageConfig config = {});
  // The status that Pull of this spelling answers from now on; OK clears it.
  void FailPull(const std::string& reference, Status status);
  std::vector<std::string> pulled() const;
  // Where a test puts the files of an image.
  std::string LowerOf(const std::string& image_id) const;

  // Adds what is missing.
  StatusOr<std::string> Pull(const Context& context, const PullRequest& request) override;
  // Unimplemented.
  Status ExplainPull(const Context& context, const PullRequest& request,
                     const PullTrace& trace) override;
  // Unimplemented.
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

 private:
  const std::string root_;
  mutable std::mutex mutex_;
  // Owned by the fake and by callers of Find and List.
  std::map<std::string, std::shared_ptr<const Image>> images_;  // by ID
  std::map<std::string, Status> failures_;
  std::vector<std::string> pulled_;
};

}  // namespace berth::images
