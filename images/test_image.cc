// SPDX-License-Identifier: Apache-2.0
#include "images/test_image.h"

#include <zlib.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "images/content/content_store.h"
#include "images/platform.h"

namespace berth::images {
namespace {

namespace fs = std::filesystem;

std::string Gzip(const std::string& plain) {
  z_stream stream = {};
  deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, plain.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(plain.data()));
  stream.avail_in = static_cast<uInt>(plain.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

void Write(const std::string& path, const std::string& bytes) {
  fs::create_directories(fs::path(path).parent_path());
  std::ofstream(path, std::ios::binary) << bytes;
}

std::string Joined(const std::vector<std::string>& parts) {
  std::string out;
  for (const std::string& part : parts) absl::StrAppend(&out, out.empty() ? "" : ",", part);
  return out;
}

}  // namespace

TestImage& TestImage::AddLayer(const std::string& tar, Packing packing) {
  Layer layer;
  layer.packing = packing;
  layer.blob = packing == kGzip ? Gzip(tar) : tar;
  layer.digest = Sha256Of(layer.blob).str();
  layer.diff_id = Sha256Of(tar).str();
  layers_.push_back(std::move(layer));
  return *this;
}

void TestImage::ForgeDiffId(size_t layer) { layers_[layer].diff_id = Sha256Of("forged").str(); }

void TestImage::DamageBlob(size_t layer) { layers_[layer].blob[0] ^= 1; }

std::string TestImage::config_json() const {
  std::vector<std::string> ids;
  for (const Layer& layer : layers_) ids.push_back(absl::StrCat("\"", layer.diff_id, "\""));
  Platform host = HostPlatform();
  return absl::StrCat("{\"architecture\":\"", host.architecture,
                      "\",\"os\":\"linux\",\"config\":{\"Entrypoint\":[\"/bin/run\"]},"
                      "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[",
                      Joined(ids), "]}}");
}

std::string TestImage::manifest_json() const {
  std::vector<std::string> layers;
  for (const Layer& layer : layers_) {
    layers.push_back(absl::StrCat("{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar",
                                  layer.packing == kGzip ? "+gzip" : "", "\",\"digest\":\"",
                                  layer.digest, "\",\"size\":", layer.blob.size(), "}"));
  }
  std::string config = config_json();
  return absl::StrCat("{\"schemaVersion\":2,\"mediaType\":\"", std::string(kOciManifestType),
                      "\",\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\","
                      "\"digest\":\"",
                      Sha256Of(config).str(), "\",\"size\":", config.size(), "},\"layers\":[",
                      Joined(layers), "]}");
}

std::string TestImage::id() const { return Sha256Of(config_json()).str(); }

std::string TestImage::manifest_digest() const { return Sha256Of(manifest_json()).str(); }

std::map<std::string, std::string> TestImage::Blobs() const {
  std::map<std::string, std::string> blobs;
  blobs[id()] = config_json();
  blobs[manifest_digest()] = manifest_json();
  for (const Layer& layer : layers_) blobs[layer.digest] = layer.blob;
  return blobs;
}

void TestImage::WriteOciLayout(const std::string& path) const {
  for (const auto& [digest, bytes] : Blobs())
    Write(path + "/blobs/sha256/" + digest.substr(7), bytes);
  Write(path + "/oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}");
  Write(path + "/index.json",
        absl::StrCat("{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"",
                     std::string(kOciManifestType), "\",\"digest\":\"", manifest_digest(),
                     "\",\"size\":", manifest_json().size(), "}]}"));
}

void TestImage::WriteDockerArchive(const std::string& path, const std::string& tag) const {
  std::vector<std::string> names;
  for (size_t i = 0; i < layers_.size(); ++i) {
    std::string name = absl::StrCat(i, "/layer.tar");
    Write(absl::StrCat(path, "/", name), layers_[i].blob);
    names.push_back(absl::StrCat("\"", name, "\""));
  }
  Write(path + "/config.json", config_json());
  Write(path + "/manifest.json", absl::StrCat("[{\"Config\":\"config.json\",\"RepoTags\":[\"", tag,
                                              "\"],\"Layers\":[", Joined(names), "]}]"));
}

}  // namespace berth::images
