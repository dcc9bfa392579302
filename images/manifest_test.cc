// SPDX-License-Identifier: Apache-2.0
#include "images/manifest.h"

#include "test/support/status_matchers.h"

namespace berth::images {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
constexpr auto kCorrupt = absl::StatusCode::kDataLoss;

std::string Hex(char c) { return "sha256:" + std::string(64, c); }
std::string Pointer(const std::string& type, char digit, const std::string& more = "") {
  return R"({"mediaType":")" + type + R"(","digest":")" + Hex(digit) + R"(","size":7)" + more + "}";
}
const std::string kConfig = Pointer("application/vnd.oci.image.config.v1+json", 'c');
const std::string kLayer = Pointer("application/vnd.oci.image.layer.v1.tar+gzip", '1');
std::string Image(const std::string& type, const std::string& layers) {
  return R"({"schemaVersion":2,)" + (type.empty() ? "" : R"("mediaType":")" + type + R"(",)") +
         R"("config":)" + kConfig + R"(,"layers":[)" + layers + "]}";
}
const std::string kOci(kOciManifestType);
const std::string kDocker(kDockerManifestType);

TEST(Manifest, Image) {
  for (const std::string& type : {kOci, kDocker}) {
    ASSERT_OK_AND_ASSIGN(auto document,
                         ParseManifest(Image(type, absl::StrCat(kLayer, ",", kLayer)), type));
    const Manifest& manifest = std::get<Manifest>(document);
    EXPECT_EQ(manifest.media_type, type);
    EXPECT_EQ(manifest.config.digest.str(), Hex('c'));
    ASSERT_EQ(manifest.layers.size(), 2u);
    EXPECT_EQ(manifest.layers[1].size, 7u);
  }
}

TEST(Manifest, TypeFromOutsideOrGuessed) {
  ASSERT_OK_AND_ASSIGN(auto served, ParseManifest(Image("", kLayer), kDocker + "; charset=utf-8"));
  EXPECT_EQ(std::get<Manifest>(served).media_type, kDocker);
  for (const char* generic : {"", "application/json", "text/plain", "application/octet-stream"}) {
    ASSERT_OK_AND_ASSIGN(auto guessed, ParseManifest(Image("", kLayer), generic));
    EXPECT_EQ(std::get<Manifest>(guessed).media_type, kOci);
    ASSERT_OK_AND_ASSIGN(auto own, ParseManifest(Image(kDocker, kLayer), generic));
    EXPECT_EQ(std::get<Manifest>(own).media_type, kDocker);
  }
}

TEST(Manifest, IndexWithPlatforms) {
  std::string entry =
      Pointer(kOci, '2', R"(,"platform":{"os":"linux","architecture":"arm64","variant":"v8"})");
  for (std::string_view type : {kOciIndexType, kDockerListType}) {
    std::string body = R"({"schemaVersion":2,"mediaType":")" + std::string(type) +
                       R"(","manifests":[)" + entry + "," + Pointer(kOci, '3') + "]}";
    ASSERT_OK_AND_ASSIGN(auto document, ParseManifest(body, type));
    const Index& index = std::get<Index>(document);
    ASSERT_EQ(index.manifests.size(), 2u);
    EXPECT_EQ(ToString(*index.manifests[0].platform), "linux/arm64/v8");
    EXPECT_FALSE(index.manifests[1].platform.has_value());
  }
}

// CVE-2021-41190: one document must not be two things to two readers.
TEST(Manifest, ConfusionIsRefused) {
  std::string both =
      R"({"schemaVersion":2,"manifests":[],"config":)" + kConfig + R"(,"layers":[]})";
  EXPECT_THAT(ParseManifest(both, ""), StatusIs(kCorrupt, HasSubstr("members of an index")));
  EXPECT_THAT(ParseManifest(R"({"schemaVersion":2,"manifests":[],"layers":null})", ""),
              StatusIs(kCorrupt, HasSubstr("members of an index")));
  EXPECT_THAT(ParseManifest(Image(kOci, kLayer), kDocker),
              StatusIs(kCorrupt, HasSubstr("was served as")));
  EXPECT_THAT(ParseManifest(Image(std::string(kOciIndexType), kLayer), ""),
              StatusIs(kCorrupt, HasSubstr("members of an image")));
  EXPECT_THAT(ParseManifest(R"({"schemaVersion":2,"manifests":[]})", kOci),
              StatusIs(kCorrupt, HasSubstr("members of an index")));
  EXPECT_THAT(ParseManifest(R"({"schemaVersion":2,"layers":[],"fsLayers":[]})", ""),
              StatusIs(kCorrupt, HasSubstr("schema 1")));
}

TEST(Manifest, NotSupported) {
  constexpr auto kCode = absl::StatusCode::kUnimplemented;
  EXPECT_THAT(ParseManifest(R"({"schemaVersion":1,"fsLayers":[]})", ""),
              StatusIs(kCode, HasSubstr("schema 1")));
  EXPECT_THAT(ParseManifest("{}", "application/vnd.docker.distribution.manifest.v1+prettyjws"),
              StatusIs(kCode, HasSubstr("schema 1")));
  EXPECT_THAT(ParseManifest(Image("application/vnd.other+json", kLayer), ""),
              StatusIs(kCode, HasSubstr("application/vnd.other+json")));
}

TEST(Manifest, Malformed) {
  auto with_layer = [](const std::string& layer) { return Image(kOci, layer); };
  const std::pair<std::string, std::string> cases[] = {
      {"", "bad JSON"},
      {"[]", "not an object"},
      {std::string(100000, '['), "bad JSON"},
      {R"({"schemaVersion":3})", "schemaVersion"},
      {R"({"schemaVersion":2})", "neither"},
      {R"({"schemaVersion":2,"config":{}})", "layers: missing"},
      {R"({"schemaVersion":2,"layers":[]})", "config: missing"},
      {with_layer("7"), "layers[0]: not an object"},
      {with_layer(R"({"mediaType":"a/b","digest":"sha256:x","size":1})"), "layers[0].digest"},
      {with_layer(R"({"mediaType":"a/b","digest":"../../x","size":1})"), "layers[0].digest"},
      {with_layer(R"({"mediaType":"a/b","digest":")" + Hex('1') + R"(","size":-1})"), "size: -1"},
      {with_layer(R"({"mediaType":"a/b","digest":")" + Hex('1') + R"(","size":1e3})"), "size"},
      {with_layer(R"({"mediaType":"a/b","digest":")" + Hex('1') + R"("})"), "size: missing"},
      {with_layer(R"({"mediaType":"a/b","digest":")" + Hex('1') +
                  R"(","size":9000000000000000000})"),
       "out of range"},
      {with_layer(R"({"mediaType":"a\nb","digest":")" + Hex('1') + R"(","size":1})"),
       "not a media type"},
  };
  for (const auto& [body, want] : cases) {
    EXPECT_THAT(ParseManifest(body, ""), StatusIs(kCorrupt, HasSubstr(want))) << body.substr(0, 99);
  }
}

TEST(Manifest, Caps) {
  std::string layers = kLayer;
  for (size_t i = 1; i < kMaxLayers; ++i) layers += "," + kLayer;
  EXPECT_OK(ParseManifest(Image(kOci, layers), ""));
  EXPECT_THAT(ParseManifest(Image(kOci, layers + "," + kLayer), ""),
              StatusIs(kCorrupt, HasSubstr("501 layers")));
  EXPECT_THAT(ParseManifest(std::string(kMaxManifestBytes + 1, ' '), ""),
              StatusIs(kCorrupt, HasSubstr("limit")));
  std::string big = Image(kOci, kLayer);
  big.replace(big.find(R"("size":7)"), 8, R"("size":9000000)");
  EXPECT_THAT(ParseManifest(big, ""), StatusIs(kCorrupt, HasSubstr("config.size")));
}

TEST(Manifest, ForeignLayersComeFromTheRegistry) {
  std::string foreign = Pointer("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", '1',
                                R"(,"urls":["http://elsewhere.example/blob"])");
  ASSERT_OK_AND_ASSIGN(auto document, ParseManifest(Image(kOci, foreign), ""));
  EXPECT_THAT(LayerCompression(std::get<Manifest>(document).layers[0].media_type), IsOk());
}

TEST(Manifest, LayerTypes) {
  const std::pair<std::string, Compression> cases[] = {
      {"application/vnd.oci.image.layer.v1.tar", Compression::kNone},
      {"application/vnd.oci.image.layer.v1.tar+gzip", Compression::kGzip},
      {"application/vnd.oci.image.layer.v1.tar+zstd", Compression::kZstd},
      {"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", Compression::kGzip},
      {"application/vnd.docker.image.rootfs.diff.tar", Compression::kNone},
      {"application/vnd.docker.image.rootfs.diff.tar.gzip", Compression::kGzip},
  };
  for (const auto& [type, want] : cases) {
    ASSERT_OK_AND_ASSIGN(Compression got, LayerCompression(type));
    EXPECT_EQ(got, want) << type;
  }
  EXPECT_THAT(LayerCompression("application/vnd.in-toto+json"),
              StatusIs(absl::StatusCode::kUnimplemented, HasSubstr("in-toto")));
}

TEST(ImageConfig, Parsed) {
  ASSERT_OK_AND_ASSIGN(auto document, ParseManifest(Image(kOci, kLayer), ""));
  const Manifest& manifest = std::get<Manifest>(document);
  std::string body = R"({"architecture":"amd64","os":"linux","config":{"User":"1:2",
    "Env":["A=b"],"Entrypoint":["/e"],"Cmd":null,"WorkingDir":"/w","StopSignal":"SIGINT",
    "Volumes":{"/v":{}},"ExposedPorts":{"80/tcp":{}},"Labels":{"k":"v"}},
    "rootfs":{"type":"layers","diff_ids":[")" +
                     Hex('d') + R"("]}})";
  ASSERT_OK_AND_ASSIGN(ParsedConfig parsed, ParseImageConfig(body, manifest));
  EXPECT_EQ(parsed.config.architecture, "amd64");
  EXPECT_EQ(parsed.config.user, "1:2");
  EXPECT_THAT(parsed.config.env, ElementsAre("A=b"));
  EXPECT_THAT(parsed.config.entrypoint, ElementsAre("/e"));
  EXPECT_THAT(parsed.config.cmd, ElementsAre());
  EXPECT_EQ(parsed.config.working_dir, "/w");
  EXPECT_EQ(parsed.config.stop_signal, "SIGINT");
  EXPECT_THAT(parsed.config.volumes, ElementsAre("/v"));
  EXPECT_THAT(parsed.config.exposed_ports, ElementsAre("80/tcp"));
  EXPECT_THAT(parsed.config.labels, ElementsAre(testing::Pair("k", "v")));
  ASSERT_EQ(parsed.diff_ids.size(), 1u);
  EXPECT_EQ(parsed.diff_ids[0].str(), Hex('d'));
}

TEST(ImageConfig, Refused) {
  ASSERT_OK_AND_ASSIGN(auto document, ParseManifest(Image(kOci, kLayer), ""));
  const Manifest& manifest = std::get<Manifest>(document);
  const std::pair<std::string, std::string> cases[] = {
      {"{}", "rootfs: missing"},
      {R"({"rootfs":{"diff_ids":[]}})", "0 entries for 1 layers"},
      {R"({"rootfs":{"diff_ids":["x"]}})", "diff_ids[0]"},
      {R"({"rootfs":{"type":"other","diff_ids":["x"]}})", "rootfs.type"},
      {R"({"config":{"Env":[1]},"rootfs":{}})", "config.Env[0]"},
      {R"({"config":{"Labels":{"a\nb":1}},"rootfs":{}})", "a?b"},
      {std::string(kMaxConfigBytes + 1, ' '), "limit"},
  };
  for (const auto& [body, want] : cases) {
    EXPECT_THAT(ParseImageConfig(body, manifest), StatusIs(kCorrupt, HasSubstr(want)));
  }
}

}  // namespace
}  // namespace berth::images
