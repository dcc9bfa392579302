// SPDX-License-Identifier: Apache-2.0
// Images: protobuf to images/images.h and back.
#pragma once

#include <string>

#include "base/status.h"
#include "cri/api/runtime/v1/api.pb.h"
#include "cri/translate_common.h"
#include "images/images.h"

namespace berth::cri {

images::AuthConfig FromAuth(const v1::AuthConfig& from);

void ToImageProto(const images::Image& from, v1::Image* to);
void ToFilesystem(const images::FsUsage& from, v1::FilesystemUsage* to);
// JSON for people: the verbose information of an image.
std::string ImageInfoJson(const images::Image& image);

}  // namespace berth::cri
