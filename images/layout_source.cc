// SPDX-License-Identifier: Apache-2.0
#include "images/layout_source.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/file.h"
#include "base/json.h"
#include "base/sys.h"
#include "images/content/content_store.h"
#include "images/reference.h"

namespace berth::images {
namespace {

constexpr size_t kChunkBytes = 256 * 1024;
constexpr size_t kMaxArchiveImages = 1000;

// The directory, shared by the sources of all its images.
class LayoutDirectory {
 public:
  explicit LayoutDirectory(UniqueFd fd) : fd_(std::move(fd)) {}

  // A regular file beneath the directory. The type is known before the file is opened: opening a
  // device or a FIFO has effects of its own.
  StatusOr<UniqueFd> Open(const std::string& path) const {
    constexpr uint64_t kResolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
    ASSIGN_OR_RETURN(UniqueFd found, sys::OpenAt2(fd_.get(), path, O_PATH, kResolve));
    struct stat info;
    if (fstat(found.get(), &info) != 0) return ErrnoError(errno, absl::StrCat("stat ", path));
    if (!S_ISREG(info.st_mode)) {
      return absl::DataLossError(absl::StrCat(path, " is no regular file"));
    }
    return sys::Open(absl::StrCat("/proc/self/fd/", found.get()), O_RDONLY);
  }

  StatusOr<std::string> Read(const std::string& path, size_t cap) const {
    ASSIGN_OR_RETURN(UniqueFd file, Open(path));
    return ReadAll(file.get(), cap, path);
  }

 private:
  const UniqueFd fd_;
};

StatusOr<size_t> ReadChunk(int fd, std::vector<std::byte>* buffer) {
  for (;;) {
    ssize_t n = read(fd, buffer->data(), buffer->size());
    if (n >= 0) return static_cast<size_t>(n);
    if (errno != EINTR) return ErrnoError(errno, "read blob");
  }
}

class LayoutSource : public registry::Client {
 public:
  // `paths`: where blobs are, if not at blobs/<algorithm>/<hex>.
  LayoutSource(std::shared_ptr<LayoutDirectory> directory, Descriptor root, std::string root_body,
               std::map<std::string, std::string> paths)
      : directory_(std::move(directory)),
        root_(std::move(root)),
        root_body_(std::move(root_body)),
        paths_(std::move(paths)) {}

  StatusOr<registry::Resolved> Resolve(const Context& context) override {
    if (root_body_.empty()) return FetchManifest(context, root_);
    ASSIGN_OR_RETURN(ManifestDocument document, ParseManifest(root_body_, root_.media_type));
    return registry::Resolved{root_, root_body_, std::move(document), "archive"};
  }

  StatusOr<registry::Resolved> FetchManifest(const Context& context,
                                             const Descriptor& descriptor) override {
    ASSIGN_OR_RETURN(std::string body, FetchSmallBlob(context, descriptor, kMaxManifestBytes));
    ASSIGN_OR_RETURN(ManifestDocument document, ParseManifest(body, descriptor.media_type));
    return registry::Resolved{descriptor, std::move(body), std::move(document), "layout"};
  }

  Status FetchBlob(const Context& context, const Descriptor& descriptor,
                   const registry::BlobSink& sink) override {
    ASSIGN_OR_RETURN(UniqueFd file, directory_->Open(PathOf(descriptor.digest)));
    struct stat info;
    if (fstat(file.get(), &info) != 0) return ErrnoError(errno, "stat blob");
    if (static_cast<uint64_t>(info.st_size) != descriptor.size) {
      return absl::DataLossError(absl::StrCat("blob ", descriptor.digest.str(), " has ",
                                              info.st_size, " bytes instead of ", descriptor.size));
    }
    std::vector<std::byte> buffer(kChunkBytes);
    for (;;) {
      RETURN_IF_ERROR(context.Check());
      ASSIGN_OR_RETURN(size_t count, ReadChunk(file.get(), &buffer));
      // Ingest, the sink, hashes: a file needs no second look.
      if (count == 0) return absl::OkStatus();
      RETURN_IF_ERROR(sink(std::span<const std::byte>(buffer.data(), count)));
    }
  }

  StatusOr<std::string> FetchSmallBlob(const Context& context, const Descriptor& descriptor,
                                       size_t cap) override {
    RETURN_IF_ERROR(context.Check());
    if (descriptor.size > cap) {
      return absl::DataLossError(absl::StrCat("blob ", descriptor.digest.str(), " has ",
                                              descriptor.size, " bytes, more than ", cap));
    }
    ASSIGN_OR_RETURN(std::string body, directory_->Read(PathOf(descriptor.digest), cap));
    ASSIGN_OR_RETURN(Digest found, HashLike(descriptor.digest, body));
    if (found != descriptor.digest || body.size() != descriptor.size) {
      return absl::DataLossError(
          absl::StrCat("blob ", descriptor.digest.str(), " is not what its descriptor says"));
    }
    return body;
  }

 private:
  std::string PathOf(const Digest& digest) const {
    auto it = paths_.find(digest.str());
    if (it != paths_.end()) return it->second;
    return absl::StrCat("blobs/", std::string(digest.algorithm()), "/", std::string(digest.hex()));
  }

  const std::shared_ptr<LayoutDirectory> directory_;
  const Descriptor root_;
  const std::string root_body_;  // empty: a blob
  const std::map<std::string, std::string> paths_;
};

StatusOr<std::vector<LayoutImage>> OpenOciLayout(
    const std::shared_ptr<LayoutDirectory>& directory) {
  ASSIGN_OR_RETURN(std::string text, directory->Read("index.json", kMaxManifestBytes));
  ASSIGN_OR_RETURN(ManifestDocument document, ParseManifest(text, ""));
  const auto* index = std::get_if<Index>(&document);
  if (index == nullptr) return absl::DataLossError("index.json is no image index");
  // The names are annotations, which Index does not keep.
  ASSIGN_OR_RETURN(json::Value value, json::Parse(text, kMaxManifestBytes, "index.json"));
  ASSIGN_OR_RETURN(json::Reader reader, json::Reader::Create(value, "index.json"));
  ASSIGN_OR_RETURN(auto entries, reader.Objects("manifests"));
  std::map<std::string, LayoutImage> images;  // by digest: one image may be listed per name
  for (const json::Reader& entry : entries) {
    ASSIGN_OR_RETURN(std::string digest_text, entry.String("digest"));
    ASSIGN_OR_RETURN(auto annotations, entry.StringMap("annotations"));
    LayoutImage& image = images[digest_text];
    image.has_digest = true;
    for (const auto& [key, text_name] : annotations) {
      bool full = key == "io.containerd.image.name";
      // "1.2" or "latest" alone names no image; only a full reference does.
      full = full || (key == "org.opencontainers.image.ref.name" &&
                      text_name.find_first_of("/:") != std::string::npos);
      if (!full) continue;
      auto reference = Reference::Parse(text_name);
      if (reference.ok() && !reference->tagged().empty()) {
        image.names.push_back(reference->tagged());
      }
    }
  }
  std::vector<LayoutImage> result;
  for (const Descriptor& descriptor : index->manifests) {
    auto it = images.find(descriptor.digest.str());
    if (it == images.end()) continue;
    it->second.source = std::make_shared<LayoutSource>(directory, descriptor, "",
                                                       std::map<std::string, std::string>());
    result.push_back(std::move(it->second));
    images.erase(it);
  }
  return result;
}

struct HashedFile {
  Digest digest;
  uint64_t size;
  std::string_view media_type;
};

StatusOr<HashedFile> HashFile(const LayoutDirectory& directory, const std::string& path) {
  ASSIGN_OR_RETURN(UniqueFd file, directory.Open(path));
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> hash(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  EVP_DigestInit_ex(hash.get(), EVP_sha256(), nullptr);
  std::vector<std::byte> buffer(kChunkBytes);
  uint64_t size = 0;
  std::string_view media_type = "application/vnd.oci.image.layer.v1.tar";
  for (;;) {
    ASSIGN_OR_RETURN(size_t count, ReadChunk(file.get(), &buffer));
    if (count == 0) break;
    std::string_view head(reinterpret_cast<const char*>(buffer.data()), count);
    if (size == 0 && head.starts_with("\x1f\x8b")) {
      media_type = "application/vnd.oci.image.layer.v1.tar+gzip";
    } else if (size == 0 && head.starts_with("\x28\xb5\x2f\xfd")) {
      media_type = "application/vnd.oci.image.layer.v1.tar+zstd";
    }
    size += count;
    EVP_DigestUpdate(hash.get(), buffer.data(), count);
  }
  unsigned char raw[32];
  EVP_DigestFinal_ex(hash.get(), raw, nullptr);
  return HashedFile{Digest::FromSha256(raw), size, media_type};
}

// One entry of manifest.json: makes the manifest that a registry would have.
StatusOr<LayoutImage> OpenArchiveImage(const std::shared_ptr<LayoutDirectory>& directory,
                                       const json::Reader& entry) {
  ASSIGN_OR_RETURN(std::string config_path, entry.String("Config"));
  ASSIGN_OR_RETURN(auto layer_paths, entry.Strings("Layers"));
  if (layer_paths.size() > kMaxLayers) {
    return absl::DataLossError(absl::StrCat("manifest.json: more than ", kMaxLayers, " layers"));
  }
  std::map<std::string, std::string> paths;
  ASSIGN_OR_RETURN(HashedFile config, HashFile(*directory, config_path));
  paths[config.digest.str()] = config_path;
  std::vector<std::string> layers;
  for (const std::string& path : layer_paths) {
    ASSIGN_OR_RETURN(HashedFile layer, HashFile(*directory, path));
    paths[layer.digest.str()] = path;
    layers.push_back(absl::StrCat("{\"mediaType\":\"", std::string(layer.media_type),
                                  "\",\"digest\":\"", layer.digest.str(),
                                  "\",\"size\":", layer.size, "}"));
  }
  std::string body = absl::StrCat(
      "{\"schemaVersion\":2,\"mediaType\":\"", std::string(kOciManifestType),
      "\",\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":\"",
      config.digest.str(), "\",\"size\":", config.size, "},\"layers\":[",
      absl::StrJoin(layers, ","), "]}");
  Descriptor root = {std::string(kOciManifestType), Sha256Of(body), body.size(), std::nullopt};
  LayoutImage image;
  ASSIGN_OR_RETURN(auto tags, entry.Strings("RepoTags"));
  for (const std::string& tag : tags) {
    ASSIGN_OR_RETURN(Reference reference, Reference::Parse(tag));
    if (!reference.tagged().empty()) image.names.push_back(reference.tagged());
  }
  image.source =
      std::make_shared<LayoutSource>(directory, std::move(root), std::move(body), std::move(paths));
  return image;
}

}  // namespace

StatusOr<std::vector<LayoutImage>> OpenLayout(UniqueFd directory_fd) {
  auto directory = std::make_shared<LayoutDirectory>(std::move(directory_fd));
  if (directory->Open("index.json").ok()) return OpenOciLayout(directory);
  auto text = directory->Read("manifest.json", kMaxManifestBytes);
  if (absl::IsNotFound(text.status())) {
    return absl::UnimplementedError(
        "neither an OCI layout (index.json) nor a docker archive "
        "(manifest.json)");
  }
  if (!text.ok()) return text.status();
  ASSIGN_OR_RETURN(json::Value value, json::Parse(*text, kMaxManifestBytes, "manifest.json"));
  if (!value.is_array()) return absl::DataLossError("manifest.json is no array");
  if (value.get_array().size() > kMaxArchiveImages) {
    return absl::DataLossError("manifest.json lists too many images");
  }
  std::vector<LayoutImage> images;
  for (const json::Value& item : value.get_array()) {
    ASSIGN_OR_RETURN(json::Reader entry, json::Reader::Create(item, "manifest.json"));
    ASSIGN_OR_RETURN(LayoutImage image, OpenArchiveImage(directory, entry));
    images.push_back(std::move(image));
  }
  return images;
}

}  // namespace berth::images
