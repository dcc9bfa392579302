// SPDX-License-Identifier: Apache-2.0
#include "images/fake.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "images/content/content_store.h"
#include "images/reference.h"

namespace berth::images {
namespace {

std::string Canonical(const std::string& reference) {
  auto parsed = Reference::Parse(reference);
  return parsed.ok() ? parsed->str() : reference;
}

}  // namespace

std::string FakeImageService::LowerOf(const std::string& image_id) const {
  return absl::StrCat(root_, "/lower/", image_id.substr(image_id.find(':') + 1).substr(0, 12));
}

std::string FakeImageService::Add(const std::string& name, ImageConfig config) {
  const std::string canonical = Canonical(name);
  auto image = std::make_shared<Image>();
  image->id = Sha256Of(canonical).str();
  image->size = 1000;
  image->config = std::move(config);
  image->config_json = "{}";
  image->diff_ids = {Sha256Of("layer of " + canonical).str()};
  if (auto reference = Reference::Parse(name); reference.ok()) {
    if (!reference->tagged().empty()) image->repo_tags = {reference->tagged()};
    image->repo_digests = {reference->WithDigest(Sha256Of("manifest of " + canonical))};
  }
  std::lock_guard lock(mutex_);
  std::string id = image->id;
  images_[id] = std::move(image);
  return id;
}

void FakeImageService::FailPull(const std::string& reference, Status status) {
  std::lock_guard lock(mutex_);
  failures_[Canonical(reference)] = std::move(status);
}

std::vector<std::string> FakeImageService::pulled() const {
  std::lock_guard lock(mutex_);
  return pulled_;
}

StatusOr<std::string> FakeImageService::Pull(const Context& context, const PullRequest& request) {
  RETURN_IF_ERROR(context.Check());
  RETURN_IF_ERROR(Reference::Parse(request.reference).status());
  {
    std::lock_guard lock(mutex_);
    pulled_.push_back(request.reference);
    auto it = failures_.find(Canonical(request.reference));
    if (it != failures_.end() && !it->second.ok()) return it->second;
  }
  ASSIGN_OR_RETURN(auto image, Find(request.reference));
  return image != nullptr ? image->id : Add(request.reference);
}

Status FakeImageService::ExplainPull(const Context&, const PullRequest&, const PullTrace&) {
  return absl::UnimplementedError("the fake has no registries");
}

StatusOr<std::vector<std::string>> FakeImageService::Import(const Context&, const std::string&,
                                                            const std::string&) {
  return absl::UnimplementedError("the fake image service imports nothing");
}

StatusOr<std::shared_ptr<const Image>> FakeImageService::Find(const std::string& reference) const {
  if (reference.empty()) return absl::InvalidArgumentError("image reference is empty");
  std::lock_guard lock(mutex_);
  const std::string canonical = Canonical(reference);
  for (const auto& [id, image] : images_) {
    auto has = [&](const std::vector<std::string>& names) {
      return std::find(names.begin(), names.end(), canonical) != names.end();
    };
    if (id == reference || has(image->repo_tags) || has(image->repo_digests)) return image;
    if (reference.size() >= 3 && id.substr(7).starts_with(reference)) return image;
  }
  return std::shared_ptr<const Image>();
}

std::vector<std::shared_ptr<const Image>> FakeImageService::List() const {
  std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<const Image>> images;
  for (const auto& [id, image] : images_) images.push_back(image);
  return images;
}

Status FakeImageService::Remove(const Context&, const std::string& reference) {
  ASSIGN_OR_RETURN(auto image, Find(reference));
  std::lock_guard lock(mutex_);
  if (image != nullptr) images_.erase(image->id);
  return absl::OkStatus();
}

StatusOr<FsUsage> FakeImageService::GetFsUsage() {
  std::lock_guard lock(mutex_);
  return FsUsage{root_, 1000 * images_.size(), images_.size(), absl::GetCurrentTimeNanos()};
}

StatusOr<RootfsSpec> FakeImageService::PrepareRootfs(const std::string& container_id,
                                                     const std::string& image_id) {
  {
    std::lock_guard lock(mutex_);
    if (!images_.contains(image_id)) {
      return absl::NotFoundError(absl::StrCat("image ", image_id, " does not exist"));
    }
  }
  RootfsSpec spec;
  spec.lower = {LowerOf(image_id)};
  spec.upper = absl::StrCat(root_, "/containers/", container_id, "/upper");
  spec.work = absl::StrCat(root_, "/containers/", container_id, "/work");
  for (const std::string& dir : {spec.lower[0], spec.upper, spec.work}) {
    RETURN_IF_ERROR(MakeDirs(dir, 0755));
  }
  return spec;
}

StatusOr<RootfsSpec> FakeImageService::PrepareVolume(const std::string&,
                                                     const std::string& image_id) {
  std::lock_guard lock(mutex_);
  if (!images_.contains(image_id)) {
    return absl::NotFoundError(absl::StrCat("image ", image_id, " does not exist"));
  }
  RootfsSpec spec;
  spec.lower = {LowerOf(image_id)};
  RETURN_IF_ERROR(MakeDirs(spec.lower[0], 0755));
  return spec;
}

Status FakeImageService::RemoveRootfs(const std::string& container_id) {
  return RemoveTree(AT_FDCWD, absl::StrCat(root_, "/containers/", container_id));
}

StatusOr<std::pair<uint64_t, uint64_t>> FakeImageService::RootfsUsage(
    const std::string& container_id) {
  struct stat info;
  std::string upper = absl::StrCat(root_, "/containers/", container_id, "/upper");
  if (stat(upper.c_str(), &info) != 0) return ErrnoError(errno, absl::StrCat("stat ", upper));
  return std::make_pair<uint64_t, uint64_t>(4096, 1);
}

Status FakeImageService::Recover(const std::vector<std::string>&) { return absl::OkStatus(); }

}  // namespace berth::images
