// SPDX-License-Identifier: Apache-2.0
#include "images/puller.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <set>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "images/failpoint.h"
#include "images/platform.h"
#include "images/snapshot/inherited_attributes.h"

namespace berth::images {
namespace {

constexpr int kMaxIndexDepth = 4;

unpack::Format FormatOf(Compression compression) {
  switch (compression) {
    case Compression::kGzip:
      return unpack::Format::kGzip;
    case Compression::kZstd:
      return unpack::Format::kZstd;
    case Compression::kNone:
      break;
  }
  return unpack::Format::kTar;
}

IndexRead Describe(const registry::Resolved& at, const Index& index, const Platform& host) {
  IndexRead told{at.descriptor.digest.str(),
                 at.descriptor.media_type,
                 at.descriptor.size,
                 at.endpoint,
                 ToString(host),
                 {}};
  const std::vector<Fit> fits = JudgePlatforms(index, host);
  for (size_t i = 0; i < fits.size(); ++i) {
    const Descriptor& entry = index.manifests[i];
    told.entries.push_back({.digest = entry.digest.str(),
                            .media_type = entry.media_type,
                            .size = entry.size,
                            .platform = entry.platform ? Shown(*entry.platform) : "",
                            .chosen = fits[i] == Fit::kChosen,
                            .verdict = std::string(ToString(fits[i]))});
  }
  return told;
}

}  // namespace

StatusOr<std::string> Puller::Run(const Context& context,
                                  const std::shared_ptr<registry::Client>& source,
                                  const NameImage& name_image) {
  ASSIGN_OR_RETURN(Target target, FindManifest(context, *source, PullTrace()));
  RETURN_IF_ERROR(ReadConfig(context, *source, &target));
  NewImage image;
  image.image.id = target.manifest.config.digest.str();
  ImageNames names = name_image(target.resolved);
  std::vector<std::string> all = names.tags;
  all.insert(all.end(), names.digests.begin(), names.digests.end());
  // The configuration's digest binds all diffIDs, so the same ID is the same content.
  ASSIGN_OR_RETURN(bool known, catalog_->AddNames(image.image.id, all));
  if (known) return image.image.id;

  ASSIGN_OR_RETURN(image.layers, GetLayers(context, source, target));
  ASSIGN_OR_RETURN(image.root, AddInherited(image.image.id, &image.layers));
  RETURN_IF_ERROR(context.Check());
  // Everything a row will name is on disk before the row.
  RETURN_IF_ERROR(layers_->Sync());
  Failpoint("images.synced");

  image.manifest = target.descriptor.digest;
  image.image.repo_tags = std::move(names.tags);
  image.image.repo_digests = std::move(names.digests);
  image.image.size = target.manifest_json.size() + target.config_json.size();
  for (const Descriptor& layer : target.manifest.layers) image.image.size += layer.size;
  for (const Digest& diff_id : target.config.diff_ids) {
    image.image.diff_ids.push_back(diff_id.str());
  }
  image.image.config = std::move(target.config.config);
  image.image.config_json = std::move(target.config_json);
  image.manifest_json = std::move(target.manifest_json);
  RETURN_IF_ERROR(Annotate(catalog_->Commit(image), "commit image"));
  return image.image.id;
}

std::optional<std::string> Puller::FindStored(const Descriptor& descriptor, size_t cap) const {
  if (descriptor.size > cap) return std::nullopt;
  StatusOr<std::string> stored = content_->Get(descriptor.digest, cap);
  // What was damaged on disk is fetched as if it was not there.
  if (!stored.ok() || stored->size() != descriptor.size) return std::nullopt;
  return *std::move(stored);
}

StatusOr<registry::Resolved> Puller::GetManifest(const Context& context, registry::Client& source,
                                                 const Descriptor& descriptor) const {
  std::optional<std::string> stored = FindStored(descriptor, kMaxManifestBytes);
  if (!stored.has_value()) return source.FetchManifest(context, descriptor);
  ASSIGN_OR_RETURN(ManifestDocument document, ParseManifest(*stored, descriptor.media_type));
  return registry::Resolved{descriptor, *std::move(stored), std::move(document), {}};
}

StatusOr<Puller::Target> Puller::FindManifest(const Context& context, registry::Client& source,
                                              const PullTrace& trace) const {
  const Platform host = HostPlatform();
  ASSIGN_OR_RETURN(registry::Resolved at, source.Resolve(context));
  const Digest resolved = at.descriptor.digest;
  bool from_index = false;
  for (int depth = 0;; ++depth) {
    const auto* index = std::get_if<Index>(&at.document);
    if (index == nullptr) break;
    if (depth == kMaxIndexDepth) return absl::DataLossError("image indexes are nested too deep");
    if (trace) trace(Describe(at, *index, host));
    ASSIGN_OR_RETURN(const Descriptor* chosen, ChoosePlatform(*index, host));
    from_index = true;
    ASSIGN_OR_RETURN(at, GetManifest(context, source, Descriptor(*chosen)));
  }
  if (trace) {
    trace(ManifestRead{at.descriptor.digest.str(), at.descriptor.media_type, at.descriptor.size,
                       at.endpoint});
  }
  Manifest manifest = std::get<Manifest>(std::move(at.document));
  // Before any byte of a layer is fetched: what cannot be unpacked fails now.
  for (const Descriptor& layer : manifest.layers) {
    RETURN_IF_ERROR(LayerCompression(layer.media_type).status());
  }
  return Target{resolved, at.descriptor, std::move(manifest), std::move(at.body), from_index, {},
                {}};
}

Status Puller::ReadConfig(const Context& context, registry::Client& source, Target* target) const {
  const Manifest& manifest = target->manifest;
  if (auto stored = FindStored(manifest.config, kMaxConfigBytes); stored.has_value()) {
    target->config_json = *std::move(stored);
  } else {
    ASSIGN_OR_RETURN(target->config_json,
                     source.FetchSmallBlob(context, manifest.config, kMaxConfigBytes));
  }
  ASSIGN_OR_RETURN(target->config, ParseImageConfig(target->config_json, manifest));
  if (target->from_index) return absl::OkStatus();
  return CheckPlatform(target->config.config, HostPlatform());
}

Status Puller::Explain(const Context& context, registry::Client& source,
                       const PullTrace& trace) const {
  ASSIGN_OR_RETURN(Target target, FindManifest(context, source, trace));
  if (!target.from_index || FindStored(target.manifest.config, kMaxConfigBytes).has_value()) {
    RETURN_IF_ERROR(ReadConfig(context, source, &target));
  }
  trace(Plan(target));
  return absl::OkStatus();
}

PullPlanned Puller::Plan(const Target& target) const {
  const Descriptor& config = target.manifest.config;
  PullPlanned plan;
  plan.image_id = config.digest.str();
  plan.image_here = catalog_->HasImage(plan.image_id);
  plan.config = {plan.image_id, config.media_type, config.size,
                 FindStored(config, kMaxConfigBytes).has_value()};
  plan.config_checked = !target.config_json.empty();
  std::set<Digest> counted;
  const auto count = [&](const Digest& digest, const BlobPlanned& blob) {
    if (blob.here || !counted.insert(digest).second) return;
    ++plan.blobs_to_fetch;
    plan.bytes_to_fetch += blob.size;
  };
  count(config.digest, plan.config);
  for (size_t i = 0; i < target.manifest.layers.size(); ++i) {
    const Descriptor& layer = target.manifest.layers[i];
    std::optional<Digest> diff_id;
    if (plan.config_checked) diff_id = target.config.diff_ids[i];
    const bool here = plan.image_here || catalog_->HasLayer(layer.digest, diff_id);
    plan.layers.push_back({layer.digest.str(), layer.media_type, layer.size, here});
    count(layer.digest, plan.layers.back());
  }
  return plan;
}

StatusOr<std::vector<Puller::Hold>> Puller::GetLayers(
    const Context& context, const std::shared_ptr<registry::Client>& source, const Target& target) {
  const size_t count = target.manifest.layers.size();
  std::vector<Hold> holds(count);
  std::mutex mutex;
  Status failed;
  std::atomic<size_t> next = 0;
  // One failure stops the others: nobody wants their layers any more.
  std::stop_source stop;
  std::stop_callback forward(context.stop(), [&stop] { stop.request_stop(); });
  Context inner(context.deadline(), stop.get_token());
  auto work = [&] {
    for (size_t i = next++; i < count; i = next++) {
      auto hold = GetLayer(inner, source, target.manifest.layers[i], target.config.diff_ids[i]);
      std::lock_guard lock(mutex);
      if (hold.ok()) {
        holds[i] = *std::move(hold);
        continue;
      }
      if (failed.ok()) failed = hold.status();
      stop.request_stop();
      return;
    }
  };
  std::vector<std::thread> threads;
  size_t workers = std::min<size_t>(count, static_cast<size_t>(std::max(options_.workers, 1)));
  for (size_t i = 0; i < workers; ++i) threads.emplace_back(work);
  for (std::thread& thread : threads) thread.join();
  if (!failed.ok()) return failed;
  return holds;
}

StatusOr<Puller::Hold> Puller::GetLayer(const Context& context,
                                        const std::shared_ptr<registry::Client>& source,
                                        const Descriptor& blob, const Digest& diff_id) {
  const std::string key = LayerKey(blob.digest, diff_id);
  if (Hold hold = catalog_->Hold(key); hold != nullptr) return hold;
  return layer_flights_.Do(context, key, [this, source, blob, diff_id](const Context& inner) {
    return MakeLayer(inner, *source, blob, diff_id);
  });
}

StatusOr<Puller::Hold> Puller::MakeLayer(const Context& context, registry::Client& source,
                                         const Descriptor& blob, const Digest& diff_id) {
  // Committed between the caller's look and this flight's start.
  if (Hold hold = catalog_->Hold(LayerKey(blob.digest, diff_id)); hold != nullptr) return hold;
  ASSIGN_OR_RETURN(auto file, content_->Begin(blob.digest, blob.size));
  RETURN_IF_ERROR(source.FetchBlob(
      context, blob, [&](std::span<const std::byte> bytes) { return file->Append(bytes); }));
  RETURN_IF_ERROR(file->Verify());
  auto hold = Unpack(context, *file, blob, diff_id, /*prefer_zlib=*/false);
  // isa-l refuses some streams that zlib reads; the blob is what its digest says, so try once more.
  if (absl::IsDataLoss(hold.status()) && absl::StrContains(hold.status().message(), "(igzip")) {
    hold = Unpack(context, *file, blob, diff_id, /*prefer_zlib=*/true);
  }
  if (!hold.ok()) return Annotate(hold.status(), absl::StrCat("layer ", blob.digest.str()));
  return hold;
}

StatusOr<Puller::Hold> Puller::Unpack(const Context& context, Ingest& file, const Descriptor& blob,
                                      const Digest& diff_id, bool prefer_zlib) {
  if (diff_id.algorithm() != "sha256") {
    return absl::UnimplementedError(absl::StrCat("diff_id ", diff_id.str(), " is not a sha256"));
  }
  ASSIGN_OR_RETURN(Compression compression, LayerCompression(blob.media_type));
  ASSIGN_OR_RETURN(LayerStore::Staging staging, layers_->Begin());
  auto attempt = [&]() -> StatusOr<Hold> {
    unpack::Request request;
    ASSIGN_OR_RETURN(request.blob_fd, file.Rewind());
    request.root_fd = staging.root.get();
    request.implicit_fd = staging.implicit.get();
    request.format = FormatOf(compression);
    request.prefer_zlib = prefer_zlib;
    request.limits = options_.limits;
    ASSIGN_OR_RETURN(unpack::Result result,
                     unpack::RunUnpacker(context, options_.unpacker_path, request));
    if (result.diff_id != diff_id) {
      return absl::DataLossError(absl::StrCat("content has the diffID ", result.diff_id.str(),
                                              ", the configuration says ", diff_id.str()));
    }
    Failpoint("images.unpacked");
    RETURN_IF_ERROR(layers_->Publish(staging.number));
    Failpoint("images.published");
    return catalog_->Register(
        {staging.number, LayerKey(blob.digest, diff_id), result.bytes, result.inodes});
  };
  auto hold = attempt();
  if (!hold.ok()) layers_->Discard(staging.number);
  return hold;
}

StatusOr<DirectoryAttributes> Puller::AddInherited(const std::string& image,
                                                   std::vector<Hold>* chain) {
  std::vector<int64_t> numbers;
  for (const Hold& hold : *chain) numbers.push_back(hold->row().number);
  ASSIGN_OR_RETURN(InheritedAttributes inherited, FindInherited(*layers_, numbers));
  if (inherited.directories.empty()) return inherited.root;
  // The chain of an image is bound by its ID, and so is what this layer holds.
  const std::string key = absl::StrCat("inherited+", image);
  Hold hold = catalog_->Hold(key);
  if (hold == nullptr) {
    ASSIGN_OR_RETURN(LayerStore::Staging staging, layers_->Begin());
    Status written = WriteInherited(*layers_, inherited, staging.root.get());
    if (written.ok()) written = layers_->Publish(staging.number);
    if (!written.ok()) {
      layers_->Discard(staging.number);
      return written;
    }
    hold = catalog_->Register({staging.number, key, 0, inherited.directories.size()});
  }
  chain->push_back(std::move(hold));
  return inherited.root;
}

}  // namespace berth::images
