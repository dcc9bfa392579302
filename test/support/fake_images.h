// SPDX-License-Identifier: Apache-2.0
// An ImageService for tests: images are added by hand, roots are names in a table.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "images/images.h"

namespace berth {

// Thread safe.
class FakeImages : public images::ImageService {
 public:
  // `directory` stands for the unpacked image.
  void Add(const std::string& name, const std::string& directory) {
    auto image = std::make_shared<images::Image>();
    image->id = "sha256:" + std::string(63, '0') + std::to_string(images_.size() % 10);
    image->repo_tags = {name};
    image->repo_digests = {name.substr(0, name.rfind(':')) + "@" + image->id};
    image->size = 1;
    image->config.cmd = {"/app"};
    images_[name] = {image, directory};
  }
  std::vector<std::string> Roots() {
    absl::MutexLock lock(&mutex_);
    std::vector<std::string> out;
    for (const auto& [id, image] : roots_) out.push_back(id);
    return out;
  }

  StatusOr<std::string> Pull(const Context&, const images::PullRequest&) override {
    return absl::UnimplementedError("fake");
  }
  Status ExplainPull(const Context&, const images::PullRequest&,
                     const images::PullTrace&) override {
    return absl::UnimplementedError("fake");
  }
  StatusOr<std::vector<std::string>> Import(const Context&, const std::string&,
                                            const std::string&) override {
    return absl::UnimplementedError("fake");
  }
  StatusOr<std::shared_ptr<const images::Image>> Find(const std::string& ref) const override {
    for (const auto& [name, entry] : images_) {
      if (name == ref || entry.image->id == ref) return entry.image;
    }
    return nullptr;
  }
  std::vector<std::shared_ptr<const images::Image>> List() const override {
    std::vector<std::shared_ptr<const images::Image>> out;
    for (const auto& [name, entry] : images_) out.push_back(entry.image);
    return out;
  }
  Status Remove(const Context&, const std::string&) override { return absl::OkStatus(); }
  StatusOr<images::FsUsage> GetFsUsage() override { return images::FsUsage(); }
  StatusOr<RootfsSpec> PrepareRootfs(const std::string& container_id,
                                     const std::string& image_id) override {
    absl::MutexLock lock(&mutex_);
    for (const auto& [name, entry] : images_) {
      if (entry.image->id != image_id) continue;
      roots_[container_id] = image_id;
      return RootfsSpec{{entry.directory}, "/upper", "/work"};
    }
    return absl::NotFoundError("image is gone");
  }
  StatusOr<RootfsSpec> PrepareVolume(const std::string& container_id,
                                     const std::string& image_id) override {
    absl::MutexLock lock(&mutex_);
    for (const auto& [name, entry] : images_) {
      if (entry.image->id != image_id) continue;
      volumes_[container_id].insert(image_id);
      return RootfsSpec{{entry.directory}, "", ""};
    }
    return absl::NotFoundError("image is gone");
  }
  size_t VolumesOf(const std::string& container_id) {
    absl::MutexLock lock(&mutex_);
    return volumes_[container_id].size();
  }
  Status RemoveRootfs(const std::string& container_id) override {
    absl::MutexLock lock(&mutex_);
    roots_.erase(container_id);
    volumes_.erase(container_id);
    return absl::OkStatus();
  }
  StatusOr<std::pair<uint64_t, uint64_t>> RootfsUsage(const std::string&) override {
    return std::pair<uint64_t, uint64_t>(0, 0);
  }
  Status Recover(const std::vector<std::string>& ids) override {
    absl::MutexLock lock(&mutex_);
    std::erase_if(roots_, [&](const auto& root) {
      return std::find(ids.begin(), ids.end(), root.first) == ids.end();
    });
    return absl::OkStatus();
  }

 private:
  struct Entry {
    std::shared_ptr<const images::Image> image;
    std::string directory;
  };
  std::map<std::string, Entry> images_;  // filled before the threads start
  absl::Mutex mutex_;
  std::map<std::string, std::string> roots_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::set<std::string>> volumes_ ABSL_GUARDED_BY(mutex_);  // by container
};

}  // namespace berth
