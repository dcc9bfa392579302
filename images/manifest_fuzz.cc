// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <string_view>

#include "images/manifest.h"
#include "images/platform.h"

using namespace berth::images;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 256u << 10) return 0;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  auto document = ParseManifest(text, "");
  Manifest manifest{.media_type = {},
                    .config = {.media_type = {},
                               .digest = berth::Digest::FromSha256({}),
                               .size = 0,
                               .platform = {}},
                    .layers = {}};
  if (document.ok()) {
    if (const Index* index = std::get_if<Index>(&*document)) {
      (void)ChoosePlatform(*index, HostPlatform());
    } else {
      manifest = std::get<Manifest>(*document);
      for (const Descriptor& layer : manifest.layers) (void)LayerCompression(layer.media_type);
    }
  }
  auto config = ParseImageConfig(text, manifest);
  if (config.ok()) (void)CheckPlatform(config->config, HostPlatform());
  return 0;
}
