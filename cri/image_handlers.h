// SPDX-License-Identifier: Apache-2.0
// The RPCs about images, those of berth.v1.Admin included.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/context.h"
#include "base/status.h"
#include "cri/api/berth/v1/admin.pb.h"
#include "cri/api/runtime/v1/api.pb.h"
#include "cri/chunks.h"
#include "images/images.h"

namespace berth::cri {

// Thread safe. List, Stream and GetStatus do not block, the others do.
class ImageHandlers {
 public:
  // handlers: those that PullImage accepts beside none.
  ImageHandlers(images::ImageService* service, std::vector<std::string> handlers)
      : service_(service), handlers_(std::move(handlers)) {}

  StatusOr<::runtime::v1::ListImagesResponse> List(const Context& context,
                                                   const ::runtime::v1::ListImagesRequest& request);
  StatusOr<ChunkSource<::runtime::v1::StreamImagesResponse>> Stream(
      const Context& context, const ::runtime::v1::StreamImagesRequest& request);
  StatusOr<::runtime::v1::ImageStatusResponse> GetStatus(
      const Context& context, const ::runtime::v1::ImageStatusRequest& request);
  StatusOr<::runtime::v1::PullImageResponse> Pull(const Context& context,
                                                  const ::runtime::v1::PullImageRequest& request);
  StatusOr<::runtime::v1::RemoveImageResponse> Remove(
      const Context& context, const ::runtime::v1::RemoveImageRequest& request);
  StatusOr<::runtime::v1::ImageFsInfoResponse> FsInfo(
      const Context& context, const ::runtime::v1::ImageFsInfoRequest& request);

  StatusOr<::berth::v1::ImportImageResponse> Import(const Context& context,
                                                    const ::berth::v1::ImportImageRequest& request);
  // OK with the pull's error in the response, but for what makes the request itself useless.
  StatusOr<::berth::v1::ExplainPullResponse> ExplainPull(
      const Context& context, const ::berth::v1::ExplainPullRequest& request);

 private:
  // All images, or the one that the filter names, if it is here.
  StatusOr<std::vector<std::shared_ptr<const images::Image>>> Select(
      const ::runtime::v1::ImageFilter& filter) const;

  images::ImageService* const service_;
  const std::vector<std::string> handlers_;
};

}  // namespace berth::cri
