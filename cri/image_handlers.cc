// SPDX-License-Identifier: Apache-2.0
#include "cri/image_handlers.h"

#include <algorithm>

#include "cri/request_check.h"
#include "cri/translate_explain.h"
#include "cri/translate_image.h"
#include "cri/utf8.h"

namespace berth::cri {
namespace {

Status CheckImage(bool has_image, const v1::ImageSpec& image) {
  if (!has_image) return Invalid("", "image", "must be set");
  if (image.image().empty()) return Invalid("image", "image", "must not be empty");
  return absl::OkStatus();
}

}  // namespace

StatusOr<std::vector<std::shared_ptr<const images::Image>>> ImageHandlers::Select(
    const v1::ImageFilter& filter) const {
  const std::string& wanted = filter.image().image();
  if (wanted.empty()) return service_->List();
  std::vector<std::shared_ptr<const images::Image>> selected;
  ASSIGN_OR_RETURN(std::shared_ptr<const images::Image> image, service_->Find(wanted));
  if (image != nullptr) selected.push_back(std::move(image));
  return selected;
}

StatusOr<v1::ListImagesResponse> ImageHandlers::List(const Context&,
                                                     const v1::ListImagesRequest& request) {
  ASSIGN_OR_RETURN(const auto selected, Select(request.filter()));
  v1::ListImagesResponse response;
  for (const auto& image : selected) ToImageProto(*image, response.add_images());
  return response;
}

StatusOr<ChunkSource<v1::StreamImagesResponse>> ImageHandlers::Stream(
    const Context&, const v1::StreamImagesRequest& request) {
  ASSIGN_OR_RETURN(auto selected, Select(request.filter()));
  return InChunks<v1::StreamImagesResponse>(
      std::move(selected),
      [](const std::shared_ptr<const images::Image>& image, v1::StreamImagesResponse* response) {
        v1::Image* to = response->add_images();
        ToImageProto(*image, to);
        return to;
      });
}

StatusOr<v1::ImageStatusResponse> ImageHandlers::GetStatus(const Context&,
                                                           const v1::ImageStatusRequest& request) {
  RETURN_IF_ERROR(CheckImage(request.has_image(), request.image()));
  ASSIGN_OR_RETURN(const std::shared_ptr<const images::Image> image,
                   service_->Find(request.image().image()));
  v1::ImageStatusResponse response;
  if (image == nullptr) return response;
  ToImageProto(*image, response.mutable_image());
  if (request.verbose()) (*response.mutable_info())["info"] = ImageInfoJson(*image);
  return response;
}

StatusOr<v1::PullImageResponse> ImageHandlers::Pull(const Context& context,
                                                    const v1::PullImageRequest& request) {
  RETURN_IF_ERROR(CheckImage(request.has_image(), request.image()));
  const std::string& handler = request.image().runtime_handler();
  if (!handler.empty() && std::ranges::find(handlers_, handler) == handlers_.end()) {
    return Invalid("image", "runtime_handler", absl::StrCat("no handler \"", handler, "\""));
  }
  images::PullRequest pull;
  pull.reference = request.image().image();
  if (request.has_auth()) pull.auth = FromAuth(request.auth());
  ASSIGN_OR_RETURN(std::string id, service_->Pull(context, pull));
  v1::PullImageResponse response;
  response.set_image_ref(std::move(id));
  return response;
}

StatusOr<v1::RemoveImageResponse> ImageHandlers::Remove(const Context& context,
                                                        const v1::RemoveImageRequest& request) {
  RETURN_IF_ERROR(CheckImage(request.has_image(), request.image()));
  RETURN_IF_ERROR(service_->Remove(context, request.image().image()));
  return v1::RemoveImageResponse();
}

StatusOr<v1::ImageFsInfoResponse> ImageHandlers::FsInfo(const Context&,
                                                        const v1::ImageFsInfoRequest&) {
  ASSIGN_OR_RETURN(const images::FsUsage usage, service_->GetFsUsage());
  v1::ImageFsInfoResponse response;
  ToFilesystem(usage, response.add_image_filesystems());
  return response;
}

StatusOr<::berth::v1::ImportImageResponse> ImageHandlers::Import(
    const Context& context, const ::berth::v1::ImportImageRequest& request) {
  if (request.path().empty() || request.path()[0] != '/') {
    return Invalid("", "path", absl::StrCat("\"", request.path(), "\" is not an absolute path"));
  }
  ASSIGN_OR_RETURN(const std::vector<std::string> ids,
                   service_->Import(context, request.path(), request.name()));
  ::berth::v1::ImportImageResponse response;
  for (const std::string& id : ids) response.add_image_ids(id);
  return response;
}

StatusOr<::berth::v1::ExplainPullResponse> ImageHandlers::ExplainPull(
    const Context& context, const ::berth::v1::ExplainPullRequest& request) {
  if (request.image().empty()) return Invalid("", "image", "must not be empty");
  if (request.timeout_ms() < 0) return Invalid("", "timeout_ms", "must not be negative");
  images::PullRequest pull;
  pull.reference = request.image();
  if (request.has_auth()) pull.auth = FromAuth(request.auth());
  Context bounded = context;
  if (request.timeout_ms() > 0) {
    bounded = context.WithDeadline(absl::Now() + absl::Milliseconds(request.timeout_ms()));
  }
  ::berth::v1::ExplainPullResponse response;
  const Status status = service_->ExplainPull(bounded, pull, [&](const images::PullEvent& event) {
    ToPullStep(event, response.add_steps());
  });
  // Nothing was found out, so there is nothing to show: a bad reference.
  if (!status.ok() && response.steps_size() == 0) return status;
  const bool named = IsNamedPullFailure(std::string(status.message()));
  response.set_code(static_cast<int>(named ? absl::StatusCode::kUnknown : status.code()));
  response.set_message(ToUtf8(std::string(status.message())));
  return response;
}

}  // namespace berth::cri
