// SPDX-License-Identifier: Apache-2.0
#include "cri/translate_explain.h"

#include <string>

#include "cri/utf8.h"

namespace berth::cri {
namespace {

using ::berth::v1::PullStep;

void Fill(const images::ReferenceRead& from, PullStep* step) {
  auto* to = step->mutable_reference();
  to->set_given(ToUtf8(from.given));
  to->set_canonical(from.canonical);
  to->set_registry(from.registry);
  to->set_repository(from.repository);
  to->set_tag(from.tag);
  to->set_digest(from.digest);
  to->set_default_registry(from.default_registry);
  to->set_default_namespace(from.default_namespace);
  to->set_default_tag(from.default_tag);
}

void Fill(const images::CredentialsRead& from, PullStep* step) {
  auto* to = step->mutable_credentials();
  to->set_kind(from.kind);
  to->set_host(from.host);
}

void Fill(const images::ConfigurationFound& from, PullStep* step) {
  auto* to = step->mutable_configuration();
  for (const std::string& path : from.looked_for) to->add_looked_for(ToUtf8(path));
  to->set_directory(ToUtf8(from.directory));
  to->set_hosts_file(ToUtf8(from.hosts_file));
}

void Fill(const images::EndpointFound& from, PullStep* step) {
  auto* to = step->mutable_endpoint();
  to->set_url(from.url);
  to->set_registry_itself(from.registry_itself);
  to->set_only_if_unreachable(from.only_if_unreachable);
  to->set_can_resolve(from.can_resolve);
  to->set_can_pull(from.can_pull);
  to->set_ns(from.ns);
  to->set_skip_verify(from.skip_verify);
  for (const std::string& path : from.ca_files) to->add_ca_files(ToUtf8(path));
  to->set_client_certificate(ToUtf8(from.client_certificate));
  for (const std::string& name : from.headers) to->add_headers(name);
  to->set_connect_timeout_ms(from.connect_timeout_ms);
  to->set_proxy(from.proxy);
  to->set_proxy_variable(from.proxy_variable);
  to->set_proxy_exception(from.proxy_exception);
  to->set_gets_credentials(from.gets_credentials);
}

void Fill(const images::EndpointSkipped& from, PullStep* step) {
  step->mutable_skipped()->set_url(from.url);
  step->mutable_skipped()->set_reason(from.reason);
}

void Fill(const images::RequestMade& from, PullStep* step) {
  auto* to = step->mutable_request();
  to->set_url(from.url);
  to->set_ns(from.ns);
  to->set_authorization(from.authorization);
  to->set_status(from.status);
  to->set_error(ToUtf8(from.error));
  to->set_media_type(from.media_type);
  to->set_digest(from.digest);
  to->set_size(from.size);
  to->set_redirect(from.redirect);
}

void Fill(const images::ChallengeMet& from, PullStep* step) {
  auto* to = step->mutable_challenge();
  to->set_url(from.url);
  for (const images::ChallengeShown& challenge : from.challenges) {
    auto* shown = to->add_challenges();
    shown->set_scheme(challenge.scheme);
    shown->set_realm(challenge.realm);
    shown->set_service(challenge.service);
    shown->set_scope(challenge.scope);
  }
  to->set_answer(from.answer);
  to->set_reason(from.reason);
}

void Fill(const images::TokenRequested& from, PullStep* step) {
  auto* to = step->mutable_token();
  to->set_url(from.url);
  to->set_method(from.method);
  to->set_service(from.service);
  to->set_scope(from.scope);
  to->set_credentials(from.credentials);
  to->set_status(from.status);
  to->set_error(ToUtf8(from.error));
}

void Fill(const images::RetryAwaited& from, PullStep* step) {
  step->mutable_retry()->set_wait_ms(from.wait_ms);
}

void Fill(const images::EndpointFailed& from, PullStep* step) {
  auto* to = step->mutable_failed();
  to->set_url(from.url);
  to->set_code(from.code);
  to->set_message(ToUtf8(from.message));
}

void Fill(const images::IndexRead& from, PullStep* step) {
  auto* to = step->mutable_index();
  to->set_digest(from.digest);
  to->set_media_type(from.media_type);
  to->set_size(from.size);
  to->set_endpoint(from.endpoint);
  to->set_platform(from.platform);
  for (const images::IndexEntryJudged& entry : from.entries) {
    auto* judged = to->add_entries();
    judged->set_digest(entry.digest);
    judged->set_media_type(entry.media_type);
    judged->set_size(entry.size);
    judged->set_platform(entry.platform);
    judged->set_chosen(entry.chosen);
    judged->set_verdict(entry.verdict);
  }
}

void Fill(const images::ManifestRead& from, PullStep* step) {
  auto* to = step->mutable_manifest();
  to->set_digest(from.digest);
  to->set_media_type(from.media_type);
  to->set_size(from.size);
  to->set_endpoint(from.endpoint);
}

void FillBlob(const images::BlobPlanned& from, ::berth::v1::PlannedBlob* to) {
  to->set_digest(from.digest);
  to->set_media_type(from.media_type);
  to->set_size(from.size);
  to->set_here(from.here);
}

void Fill(const images::PullPlanned& from, PullStep* step) {
  auto* to = step->mutable_plan();
  to->set_image_id(from.image_id);
  to->set_image_here(from.image_here);
  FillBlob(from.config, to->mutable_config());
  to->set_config_checked(from.config_checked);
  for (const images::BlobPlanned& layer : from.layers) FillBlob(layer, to->add_layers());
  to->set_blobs_to_fetch(from.blobs_to_fetch);
  to->set_bytes_to_fetch(from.bytes_to_fetch);
}

}  // namespace

void ToPullStep(const images::PullEvent& event, PullStep* step) {
  std::visit([step](const auto& from) { Fill(from, step); }, event);
}

}  // namespace berth::cri
