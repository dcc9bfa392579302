// SPDX-License-Identifier: Apache-2.0
#include "images/manifest.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "base/json.h"

namespace berth::images {
namespace {

constexpr std::string_view kSchema1Prefix = "application/vnd.docker.distribution.manifest.v1+";

// Readers quote keys of the document: bounded and printable.
Status Corrupt(std::string_view what) {
  std::string message;
  for (char c : what.substr(0, 400)) message.push_back(c >= 0x20 && c < 0x7f ? c : '?');
  return absl::DataLossError(message);
}

// Readers report InvalidArgument; in a document from a registry that is damaged data, and
// InvalidArgument would blame the client's reference.
Status AsCorrupt(const Status& status) {
  return absl::IsInvalidArgument(status) ? Corrupt(std::string(status.message())) : status;
}

#define ASSIGN_OR_CORRUPT(lhs, expr) \
  ASSIGN_OR_CORRUPT_IMPL(BERTH_CONCAT(berth_corrupt_, __LINE__), lhs, expr)
#define ASSIGN_OR_CORRUPT_IMPL(tmp, lhs, expr)   \
  auto tmp = (expr);                             \
  if (!tmp.ok()) return AsCorrupt(tmp.status()); \
  lhs = *std::move(tmp)

// "application/json; charset=utf-8" -> "application/json".
std::string BareType(std::string_view content_type) {
  std::string bare(content_type.substr(0, content_type.find(';')));
  absl::StripAsciiWhitespace(&bare);
  absl::AsciiStrToLower(&bare);
  return bare;
}

bool IsGenericType(std::string_view type) {
  return type.empty() || type == "application/json" || type == "application/octet-stream" ||
         type == "text/plain" || type == "binary/octet-stream";
}

bool IsManifestType(std::string_view type) {
  return type == kOciManifestType || type == kDockerManifestType;
}
bool IsIndexType(std::string_view type) { return type == kOciIndexType || type == kDockerListType; }

// Media types end in messages and metadata: RFC 6838 names, nothing else.
bool IsMediaType(std::string_view type) {
  if (type.size() > 255) return false;
  return std::all_of(type.begin(), type.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
           std::string_view("/!#$&-^_.+").find(c) != std::string_view::npos;
  });
}

bool ConsumePrefix(std::string_view* text, std::string_view prefix) {
  if (!text->starts_with(prefix)) return false;
  text->remove_prefix(prefix.size());
  return true;
}

Status SchemaOne() {
  return absl::UnimplementedError(
      "manifest is Docker image manifest V2 schema 1, which is obsolete and not supported: push "
      "the "
      "image again with a current tool");
}

StatusOr<Descriptor> ParseDescriptor(const json::Reader& reader, bool in_index) {
  ASSIGN_OR_CORRUPT(std::string text, reader.String("digest"));
  auto digest = Digest::Parse(text);
  if (!digest.ok()) {
    return Corrupt(absl::StrCat(reader.path(), ".digest: ", digest.status().message()));
  }
  Descriptor result{.media_type = {}, .digest = *std::move(digest), .size = 0, .platform = {}};
  ASSIGN_OR_CORRUPT(result.media_type, reader.String("mediaType"));
  if (!IsMediaType(result.media_type)) {
    return Corrupt(absl::StrCat(reader.path(), ".mediaType: not a media type"));
  }
  ASSIGN_OR_CORRUPT(int64_t size, reader.Int("size"));
  if (size < 0 || static_cast<uint64_t>(size) > kMaxBlobBytes) {
    return Corrupt(absl::StrCat(reader.path(), ".size: ", size, " is out of range"));
  }
  result.size = static_cast<uint64_t>(size);
  if (!in_index) return result;
  ASSIGN_OR_CORRUPT(auto platform, reader.Child("platform"));
  if (platform) {
    Platform& p = result.platform.emplace();
    ASSIGN_OR_CORRUPT(p.os, platform->StringOr("os", ""));
    ASSIGN_OR_CORRUPT(p.architecture, platform->StringOr("architecture", ""));
    ASSIGN_OR_CORRUPT(p.variant, platform->StringOr("variant", ""));
  }
  return result;
}

StatusOr<ManifestDocument> ParseImageManifest(const json::Reader& root, std::string media_type) {
  ASSIGN_OR_CORRUPT(auto config, root.Child("config"));
  if (!config) return Corrupt("manifest.config: missing");
  if (!root.Has("layers")) return Corrupt("manifest.layers: missing");
  ASSIGN_OR_RETURN(Descriptor config_descriptor, ParseDescriptor(*config, /*in_index=*/false));
  if (config_descriptor.size > kMaxConfigBytes) {
    return Corrupt(absl::StrCat("manifest.config.size: ", config_descriptor.size,
                                " bytes are more than ", kMaxConfigBytes));
  }
  Manifest manifest{
      .media_type = std::move(media_type), .config = std::move(config_descriptor), .layers = {}};
  ASSIGN_OR_CORRUPT(auto layers, root.Objects("layers"));
  if (layers.size() > kMaxLayers) {
    return Corrupt(
        absl::StrCat("manifest.layers: ", layers.size(), " layers are more than ", kMaxLayers));
  }
  for (const json::Reader& layer : layers) {
    ASSIGN_OR_RETURN(Descriptor descriptor, ParseDescriptor(layer, /*in_index=*/false));
    manifest.layers.push_back(std::move(descriptor));
  }
  return ManifestDocument(std::move(manifest));
}

StatusOr<ManifestDocument> ParseIndex(const json::Reader& root, std::string media_type) {
  Index index{.media_type = std::move(media_type), .manifests = {}};
  ASSIGN_OR_CORRUPT(auto entries, root.Objects("manifests"));
  if (entries.size() > kMaxIndexEntries) {
    return Corrupt(absl::StrCat("manifest.manifests: ", entries.size(), " entries are more than ",
                                kMaxIndexEntries));
  }
  for (const json::Reader& entry : entries) {
    ASSIGN_OR_RETURN(Descriptor descriptor, ParseDescriptor(entry, /*in_index=*/true));
    index.manifests.push_back(std::move(descriptor));
  }
  return ManifestDocument(std::move(index));
}

// The keys of a JSON map, as Docker writes sets ({"80/tcp": {}}).
StatusOr<std::vector<std::string>> Keys(const json::Reader& reader, std::string_view key) {
  std::vector<std::string> keys;
  ASSIGN_OR_CORRUPT(auto set, reader.Child(key));
  if (!set) return keys;
  for (const auto& member : set->object()) keys.emplace_back(member.key());
  return keys;
}

Status ReadProcess(const json::Reader& reader, ImageConfig* config) {
  ASSIGN_OR_CORRUPT(config->user, reader.StringOr("User", ""));
  ASSIGN_OR_CORRUPT(config->env, reader.Strings("Env"));
  ASSIGN_OR_CORRUPT(config->entrypoint, reader.Strings("Entrypoint"));
  ASSIGN_OR_CORRUPT(config->cmd, reader.Strings("Cmd"));
  ASSIGN_OR_CORRUPT(config->working_dir, reader.StringOr("WorkingDir", ""));
  ASSIGN_OR_CORRUPT(config->stop_signal, reader.StringOr("StopSignal", ""));
  ASSIGN_OR_RETURN(config->volumes, Keys(reader, "Volumes"));
  ASSIGN_OR_RETURN(config->exposed_ports, Keys(reader, "ExposedPorts"));
  ASSIGN_OR_CORRUPT(config->labels, reader.StringMap("Labels"));
  return absl::OkStatus();
}

}  // namespace

std::string ToString(const Platform& platform) {
  std::string text = absl::StrCat(platform.os, "/", platform.architecture);
  if (!platform.variant.empty()) absl::StrAppend(&text, "/", platform.variant);
  return text;
}

StatusOr<ManifestDocument> ParseManifest(std::string_view body, std::string_view content_type) {
  std::string outer = BareType(content_type);
  if (outer.starts_with(kSchema1Prefix)) return SchemaOne();
  ASSIGN_OR_CORRUPT(json::Value value, json::Parse(body, kMaxManifestBytes, "manifest"));
  ASSIGN_OR_CORRUPT(json::Reader root, json::Reader::Create(value, "manifest"));
  ASSIGN_OR_CORRUPT(int64_t version, root.IntOr("schemaVersion", 0));
  if (version == 1) return SchemaOne();
  if (version != 2) return Corrupt(absl::StrCat("manifest.schemaVersion: ", version, " is not 2"));
  // Presence counts, even as null: another reader may see it differently (CVE-2021-41190).
  const json::Object& object = root.object();
  bool as_index = object.contains("manifests");
  bool as_manifest = object.contains("layers") || object.contains("config");
  if (object.contains("fsLayers")) {
    return Corrupt("manifest has the members of schema 1 and of schema 2");
  }
  if (as_index && as_manifest) {
    return Corrupt(
        "manifest has the members of an index (manifests) and of an image (config, "
        "layers)");
  }
  if (!as_index && !as_manifest) {
    return Corrupt("manifest has neither config and layers nor manifests");
  }
  ASSIGN_OR_CORRUPT(std::string inner, root.StringOr("mediaType", ""));
  if (!IsMediaType(inner)) return Corrupt("manifest.mediaType: not a media type");
  if (!IsGenericType(outer) && !inner.empty() && inner != outer) {
    return Corrupt(absl::StrCat("manifest.mediaType: ", inner, " was served as ",
                                IsMediaType(outer) ? outer : "an unknown type"));
  }
  std::string type = !inner.empty() ? inner : IsGenericType(outer) ? "" : outer;
  if (type.empty()) type = as_index ? kOciIndexType : kOciManifestType;
  if (as_index ? !IsIndexType(type) : !IsManifestType(type)) {
    bool known = IsIndexType(type) || IsManifestType(type);
    if (known || !IsMediaType(type)) {
      return Corrupt(absl::StrCat("manifest has the members of an ", as_index ? "index" : "image",
                                  " but another type"));
    }
    return absl::UnimplementedError(absl::StrCat("manifest type ", type, " is not supported"));
  }
  return as_index ? ParseIndex(root, std::move(type)) : ParseImageManifest(root, std::move(type));
}

StatusOr<Compression> LayerCompression(std::string_view media_type) {
  std::string_view rest = media_type;
  if (ConsumePrefix(&rest, "application/vnd.oci.image.layer.")) {
    ConsumePrefix(&rest, "nondistributable.");
    if (rest == "v1.tar") return Compression::kNone;
    if (rest == "v1.tar+gzip") return Compression::kGzip;
    if (rest == "v1.tar+zstd") return Compression::kZstd;
  } else if (ConsumePrefix(&rest, "application/vnd.docker.image.rootfs.")) {
    ConsumePrefix(&rest, "foreign.");
    if (rest == "diff.tar") return Compression::kNone;
    if (rest == "diff.tar.gzip") return Compression::kGzip;
    if (rest == "diff.tar.zstd") return Compression::kZstd;
  }
  return absl::UnimplementedError(
      absl::StrCat("media type \"", std::string(media_type), "\" is not a file system layer"));
}

StatusOr<ParsedConfig> ParseImageConfig(std::string_view body, const Manifest& manifest) {
  ASSIGN_OR_CORRUPT(json::Value value, json::Parse(body, kMaxConfigBytes, "image config"));
  ASSIGN_OR_CORRUPT(json::Reader root, json::Reader::Create(value, "image config"));
  ParsedConfig result;
  ASSIGN_OR_CORRUPT(result.config.architecture, root.StringOr("architecture", ""));
  ASSIGN_OR_CORRUPT(result.config.os, root.StringOr("os", ""));
  ASSIGN_OR_CORRUPT(auto process, root.Child("config"));
  if (process) RETURN_IF_ERROR(ReadProcess(*process, &result.config));
  ASSIGN_OR_CORRUPT(auto rootfs, root.Child("rootfs"));
  if (!rootfs) return Corrupt("image config.rootfs: missing");
  ASSIGN_OR_CORRUPT(std::string type, rootfs->StringOr("type", "layers"));
  if (type != "layers") return Corrupt("image config.rootfs.type: not \"layers\"");
  ASSIGN_OR_CORRUPT(auto diff_ids, rootfs->Strings("diff_ids"));
  if (diff_ids.size() != manifest.layers.size()) {
    return Corrupt(absl::StrCat("image config.rootfs.diff_ids: ", diff_ids.size(), " entries for ",
                                manifest.layers.size(), " layers"));
  }
  for (size_t i = 0; i < diff_ids.size(); ++i) {
    auto digest = Digest::Parse(diff_ids[i]);
    if (!digest.ok()) {
      return Corrupt(
          absl::StrCat("image config.rootfs.diff_ids[", i, "]: ", digest.status().message()));
    }
    result.diff_ids.push_back(*std::move(digest));
  }
  return result;
}

#undef ASSIGN_OR_CORRUPT
#undef ASSIGN_OR_CORRUPT_IMPL

}  // namespace berth::images
