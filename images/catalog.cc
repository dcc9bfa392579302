// SPDX-License-Identifier: Apache-2.0
#include "images/catalog.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "images/failpoint.h"
#include "images/manifest.h"
#include "images/reference.h"

namespace berth::images {
namespace {

bool IsHex(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

std::vector<std::string> AllNames(const Image& image) {
  std::vector<std::string> names = image.repo_tags;
  names.insert(names.end(), image.repo_digests.begin(), image.repo_digests.end());
  return names;
}

}  // namespace

LayerHold::~LayerHold() { catalog_->Release(row_); }

std::string LayerKey(const Digest& blob, const Digest& diff_id) {
  return absl::StrCat(blob.str(), "+", diff_id.str());
}

StatusOr<std::unique_ptr<Catalog>> Catalog::Open(Database* database, ContentStore* content,
                                                 LayerStore* layers,
                                                 const std::vector<std::string>& pinned) {
  std::set<std::string> canonical;
  for (const std::string& name : pinned) {
    auto reference = Reference::Parse(name);
    if (!reference.ok()) return Annotate(reference.status(), "pinned image");
    canonical.insert(reference->digest().has_value() ? reference->WithDigest(*reference->digest())
                                                     : reference->tagged());
  }
  ASSIGN_OR_RETURN(Metadata metadata, Metadata::Open(database));
  std::unique_ptr<Catalog> catalog(new Catalog(metadata, content, layers, std::move(canonical)));
  RETURN_IF_ERROR(catalog->Load());
  return catalog;
}

Status Catalog::Load() {
  std::lock_guard lock(mutex_);
  ASSIGN_OR_RETURN(auto layers, metadata_.LoadLayers());
  for (LayerRow& row : layers) {
    std::string key = row.key;
    layer_states_[key] = {std::move(row), /*committed=*/true, 0};
  }
  ASSIGN_OR_RETURN(auto containers, metadata_.LoadContainers());
  for (ContainerRow& row : containers) containers_[row.id] = row.image;
  ASSIGN_OR_RETURN(auto images, metadata_.LoadImages());
  for (ImageRow& row : images) {
    auto image = LoadImage(row);
    if (!image.ok()) {
      // A damaged image must not keep the node down: it is as if it were not there, and pulling
      // it again repairs it.
      log::Error("images: ", row.id, " is unusable: ", image.status().message());
      if (!row.hidden) {
        row.hidden = true;
        row.names.clear();
      }
      images_[row.id].id = row.id;
    } else {
      images_[row.id] = *std::move(image);
    }
    std::string id = row.id;
    rows_[id] = std::move(row);
  }
  Rebuild();
  return absl::OkStatus();
}

StatusOr<Image> Catalog::LoadImage(const ImageRow& row) const {
  ASSIGN_OR_RETURN(Digest manifest_digest, Digest::Parse(row.manifest));
  ASSIGN_OR_RETURN(Digest config_digest, Digest::Parse(row.id));
  ASSIGN_OR_RETURN(std::string manifest_json, content_->Get(manifest_digest, kMaxManifestBytes));
  ASSIGN_OR_RETURN(ManifestDocument document, ParseManifest(manifest_json, ""));
  const auto* manifest = std::get_if<Manifest>(&document);
  if (manifest == nullptr) return absl::DataLossError("manifest is an index");
  Image image;
  ASSIGN_OR_RETURN(image.config_json, content_->Get(config_digest, kMaxConfigBytes));
  ASSIGN_OR_RETURN(ParsedConfig config, ParseImageConfig(image.config_json, *manifest));
  image.id = row.id;
  image.size = row.size;
  image.config = std::move(config.config);
  for (const Digest& diff_id : config.diff_ids) image.diff_ids.push_back(diff_id.str());
  return image;
}

std::shared_ptr<const Catalog::Snapshot> Catalog::Current() const {
  std::lock_guard lock(snapshot_mutex_);
  return snapshot_;
}

void Catalog::Rebuild() {
  auto next = std::make_shared<Snapshot>();
  for (const auto& [id, row] : rows_) {
    if (row.hidden) continue;
    auto image = std::make_shared<Image>(images_[id]);
    for (const std::string& name : row.names) {
      auto& list = name.find('@') == std::string::npos ? image->repo_tags : image->repo_digests;
      list.push_back(name);
      image->pinned = image->pinned || pinned_.contains(name);
    }
    next->images.push_back(image);
    for (const std::string& name : row.names) next->names[name] = image;
  }
  std::lock_guard lock(snapshot_mutex_);
  snapshot_ = std::move(next);
}

StatusOr<std::shared_ptr<const Image>> Catalog::Find(const std::string& reference) const {
  if (reference.empty()) return absl::InvalidArgumentError("image reference is empty");
  auto snapshot = Current();
  std::string_view hex = reference;
  if (hex.starts_with("sha256:")) hex.remove_prefix(7);
  // A name may look like an ID prefix ("beef"); the name then wins, as everywhere.
  if (auto parsed = Reference::Parse(reference); parsed.ok()) {
    std::string name =
        parsed->digest().has_value() ? parsed->WithDigest(*parsed->digest()) : parsed->tagged();
    auto it = snapshot->names.find(name);
    if (it != snapshot->names.end()) return it->second;
  }
  if (hex.size() < 3 || hex.size() > 128 || !IsHex(hex)) return std::shared_ptr<const Image>();
  std::shared_ptr<const Image> found;
  for (const auto& image : snapshot->images) {
    std::string_view id = image->id;
    if (!id.substr(id.find(':') + 1).starts_with(hex)) continue;
    if (found != nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat("image \"", reference, "\": an ambiguous prefix of IDs"));
    }
    found = image;
  }
  return found;
}

std::vector<std::shared_ptr<const Image>> Catalog::List() const { return Current()->images; }

std::shared_ptr<LayerHold> Catalog::HoldLocked(LayerState* state) {
  ++state->holds;
  return std::make_shared<LayerHold>(this, state->row);
}

std::shared_ptr<LayerHold> Catalog::Hold(const std::string& key) {
  std::lock_guard lock(mutex_);
  auto it = layer_states_.find(key);
  return it == layer_states_.end() ? nullptr : HoldLocked(&it->second);
}

bool Catalog::HasLayer(const Digest& blob, const std::optional<Digest>& diff_id) const {
  std::lock_guard lock(mutex_);
  if (diff_id) return layer_states_.contains(LayerKey(blob, *diff_id));
  const std::string any = absl::StrCat(blob.str(), "+");
  const auto it = layer_states_.lower_bound(any);
  return it != layer_states_.end() && it->first.starts_with(any);
}

std::shared_ptr<LayerHold> Catalog::Register(const LayerRow& row) {
  std::lock_guard lock(mutex_);
  auto [it, inserted] = layer_states_.try_emplace(row.key, LayerState{row, false, 0});
  if (!inserted) layers_->Discard(row.number);
  return HoldLocked(&it->second);
}

void Catalog::Release(const LayerRow& row) {
  std::lock_guard lock(mutex_);
  auto it = layer_states_.find(row.key);
  if (it == layer_states_.end() || --it->second.holds > 0 || it->second.committed) return;
  layers_->Discard(it->second.row.number);
  layer_states_.erase(it);
}

void Catalog::MoveNames(const std::string& id, const std::vector<std::string>& names) {
  for (auto& [other, row] : rows_) {
    std::erase_if(row.names, [&](const std::string& name) {
      return std::find(names.begin(), names.end(), name) != names.end();
    });
  }
  ImageRow& row = rows_[id];
  row.names.insert(row.names.end(), names.begin(), names.end());
  std::sort(row.names.begin(), row.names.end());
  row.names.erase(std::unique(row.names.begin(), row.names.end()), row.names.end());
  row.hidden = false;
}

bool Catalog::HasImage(const std::string& id) const {
  std::lock_guard lock(mutex_);
  return HasImageLocked(id);
}

bool Catalog::HasImageLocked(const std::string& id) const {
  // Damaged content has no parsed configuration; a new pull replaces it.
  const auto it = images_.find(id);
  return rows_.contains(id) && it != images_.end() && !it->second.config_json.empty();
}

StatusOr<bool> Catalog::AddNames(const std::string& id, const std::vector<std::string>& names) {
  std::lock_guard lock(mutex_);
  return AddNamesLocked(id, names);
}

StatusOr<bool> Catalog::AddNamesLocked(const std::string& id,
                                       const std::vector<std::string>& names) {
  if (!HasImageLocked(id)) return false;
  RETURN_IF_ERROR(metadata_.AddNames(id, names));
  MoveNames(id, names);
  Rebuild();
  return true;
}

Status Catalog::Commit(const NewImage& image) {
  ImageRow row;
  row.id = image.image.id;
  row.manifest = image.manifest->str();
  row.size = image.image.size;
  row.blob_bytes = image.manifest_json.size() + image.image.config_json.size();
  row.root_mode = image.root.mode;
  row.root_uid = image.root.uid;
  row.root_gid = image.root.gid;
  row.names = AllNames(image.image);
  ASSIGN_OR_RETURN(Digest config, Digest::Parse(row.id));

  std::lock_guard lock(mutex_);
  // Another reference to the same image may have got here first.
  ASSIGN_OR_RETURN(bool known, AddNamesLocked(row.id, row.names));
  if (known) return absl::OkStatus();
  RETURN_IF_ERROR(content_->Put(*image.manifest, image.manifest_json));
  RETURN_IF_ERROR(content_->Put(config, image.image.config_json));
  std::vector<LayerRow> fresh;
  for (const auto& hold : image.layers) {
    const LayerState& state = layer_states_.at(hold->row().key);
    row.chain.push_back(state.row.number);
    bool listed = std::any_of(fresh.begin(), fresh.end(), [&](const LayerRow& other) {
      return other.number == state.row.number;
    });
    if (!state.committed && !listed) fresh.push_back(state.row);
  }
  Failpoint("images.rows");
  RETURN_IF_ERROR(metadata_.PutImage(row, fresh));
  Failpoint("images.committed");
  for (const LayerRow& layer : fresh) layer_states_.at(layer.key).committed = true;
  Image plain = image.image;
  plain.repo_tags.clear();
  plain.repo_digests.clear();
  std::vector<std::string> names = std::move(row.names);
  row.names.clear();
  images_[row.id] = std::move(plain);
  std::string id = row.id;
  rows_[id] = std::move(row);
  MoveNames(id, names);
  Rebuild();
  return absl::OkStatus();
}

bool Catalog::UsedByContainer(const std::string& image) const {
  return std::any_of(containers_.begin(), containers_.end(),
                     [&](const auto& entry) { return entry.second == image; });
}

std::vector<int64_t> Catalog::DeadWithout(const std::string& image) const {
  std::set<int64_t> live;
  for (const auto& [id, row] : rows_) {
    if (id != image) live.insert(row.chain.begin(), row.chain.end());
  }
  std::vector<int64_t> dead;
  for (const auto& [key, state] : layer_states_) {
    if (state.committed && !live.contains(state.row.number)) dead.push_back(state.row.number);
  }
  return dead;
}

Status Catalog::Remove(const std::string& reference) {
  ASSIGN_OR_RETURN(auto image, Find(reference));
  if (image == nullptr) return absl::OkStatus();
  std::lock_guard lock(mutex_);
  return RemoveLocked(image->id);
}

Status Catalog::RemoveLocked(const std::string& id) {
  auto it = rows_.find(id);
  if (it == rows_.end()) return absl::OkStatus();
  const bool hide = UsedByContainer(id);
  std::vector<int64_t> dead;
  if (!hide) dead = DeadWithout(id);
  RETURN_IF_ERROR(metadata_.RemoveImage(id, hide, dead));
  Failpoint("images.removed");
  if (hide) {
    it->second.hidden = true;
    it->second.names.clear();
    Rebuild();
    return absl::OkStatus();
  }
  std::string manifest = it->second.manifest;
  rows_.erase(it);
  images_.erase(id);
  Rebuild();
  for (auto state = layer_states_.begin(); state != layer_states_.end();) {
    bool is_dead = std::find(dead.begin(), dead.end(), state->second.row.number) != dead.end();
    if (is_dead && state->second.holds == 0) {
      layers_->Discard(state->second.row.number);
      state = layer_states_.erase(state);
      continue;
    }
    // A pull that holds it commits it again, or its last hold discards it.
    if (is_dead) state->second.committed = false;
    ++state;
  }
  for (const std::string& text : {manifest, id}) {
    bool shared = std::any_of(rows_.begin(), rows_.end(), [&](const auto& entry) {
      return entry.second.manifest == text || entry.first == text;
    });
    auto digest = Digest::Parse(text);
    if (!shared && digest.ok()) RETURN_IF_ERROR(content_->Remove(*digest));
  }
  return absl::OkStatus();
}

StatusOr<Catalog::ContainerImage> Catalog::Attach(const std::string& container,
                                                  const std::string& image) {
  std::lock_guard lock(mutex_);
  auto used = containers_.find(container);
  auto it = rows_.find(image);
  if (it == rows_.end() || (it->second.hidden && used == containers_.end())) {
    return absl::NotFoundError(absl::StrCat("image ", image, " does not exist"));
  }
  if (used != containers_.end() && used->second != image) {
    return absl::FailedPreconditionError(
        absl::StrCat("container ", container, " already has a root of image ", used->second));
  }
  if (used == containers_.end()) {
    RETURN_IF_ERROR(metadata_.PutContainer({container, image}));
    containers_[container] = image;
  }
  return ContainerImage{it->second.chain, it->second};
}

Status Catalog::Detach(const std::string& container) {
  std::lock_guard lock(mutex_);
  auto it = containers_.find(container);
  if (it == containers_.end()) return absl::OkStatus();
  RETURN_IF_ERROR(metadata_.RemoveContainer(container));
  std::string image = it->second;
  containers_.erase(it);
  auto row = rows_.find(image);
  if (row != rows_.end() && row->second.hidden && !UsedByContainer(image)) {
    return RemoveLocked(image);
  }
  return absl::OkStatus();
}

std::vector<std::string> Catalog::Containers() const {
  std::lock_guard lock(mutex_);
  std::vector<std::string> ids;
  for (const auto& [id, image] : containers_) ids.push_back(id);
  return ids;
}

std::pair<uint64_t, uint64_t> Catalog::Usage() const {
  std::lock_guard lock(mutex_);
  uint64_t bytes = 0;
  uint64_t inodes = 0;
  for (const auto& [key, state] : layer_states_) {
    bytes += state.row.bytes;
    inodes += state.row.inodes + 1;
  }
  for (const auto& [id, row] : rows_) {
    bytes += row.blob_bytes;
    inodes += 2;
  }
  return {bytes, inodes};
}

Status Catalog::Sweep() {
  std::lock_guard lock(mutex_);
  std::vector<std::string> unused;
  for (const auto& [id, row] : rows_) {
    if (row.hidden && !UsedByContainer(id)) unused.push_back(id);
  }
  for (const std::string& id : unused) RETURN_IF_ERROR(RemoveLocked(id));
  std::set<int64_t> live;
  for (const auto& [key, state] : layer_states_) live.insert(state.row.number);
  RETURN_IF_ERROR(layers_->Sweep(live));
  return content_->Sweep([this](const Digest& digest) {
    return std::any_of(rows_.begin(), rows_.end(), [&](const auto& entry) {
      return entry.first == digest.str() || entry.second.manifest == digest.str();
    });
  });
}

}  // namespace berth::images
