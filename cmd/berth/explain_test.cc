// SPDX-License-Identifier: Apache-2.0
#include "cmd/berth/explain.h"

#include <gtest/gtest.h>

#include "test/support/status_matchers.h"

namespace berth {
namespace {

using testing::HasSubstr;
using testing::Not;

::berth::v1::ExplainPullResponse Whole() {
  ::berth::v1::ExplainPullResponse response;
  auto* reference = response.add_steps()->mutable_reference();
  reference->set_canonical("docker.io/library/app:latest");
  reference->set_registry("docker.io");
  reference->set_tag("latest");
  reference->set_default_registry(true);
  reference->set_default_namespace(true);
  reference->set_default_tag(true);
  auto* credentials = response.add_steps()->mutable_credentials();
  credentials->set_kind("user name and password");
  credentials->set_host("docker.io");
  response.add_steps()->mutable_configuration()->set_hosts_file("/c/docker.io/hosts.toml");
  auto* mirror = response.add_steps()->mutable_endpoint();
  mirror->set_url("https://m.example/v2");
  mirror->set_can_pull(true);
  mirror->set_ns("docker.io");
  mirror->set_skip_verify(true);
  mirror->add_ca_files("/a.pem");
  mirror->add_ca_files("/b.pem");
  mirror->set_client_certificate("/c.pem");
  mirror->add_headers("x-a");
  mirror->set_connect_timeout_ms(1500);
  mirror->set_proxy("http://p.example:3128");
  mirror->set_proxy_variable("HTTPS_PROXY");
  auto* up = response.add_steps()->mutable_endpoint();
  up->set_url("https://registry-1.docker.io/v2");
  up->set_registry_itself(true);
  up->set_can_pull(true);
  up->set_can_resolve(true);
  up->set_connect_timeout_ms(30000);
  up->set_proxy_variable("HTTPS_PROXY");
  up->set_proxy_exception("NO_PROXY docker.io");
  up->set_gets_credentials(true);
  auto* skipped = response.add_steps()->mutable_skipped();
  skipped->set_url("https://m.example/v2");
  skipped->set_reason("it may not resolve tags");
  auto* request = response.add_steps()->mutable_request();
  request->set_url("https://r/v2/x");
  request->set_status(401);
  request->set_error("UNAUTHORIZED: log in");
  auto* challenge = response.add_steps()->mutable_challenge();
  auto* bearer = challenge->add_challenges();
  bearer->set_scheme("bearer");
  bearer->set_realm("https://auth/token");
  bearer->set_service("r");
  bearer->set_scope("repository:x:pull");
  challenge->add_challenges()->set_scheme("basic");
  challenge->set_answer("bearer");
  auto* token = response.add_steps()->mutable_token();
  token->set_method("GET");
  token->set_url("https://auth/token");
  token->set_service("r");
  token->set_scope("repository:x:pull");
  token->set_credentials("user name and password");
  token->set_status(200);
  response.add_steps()->mutable_retry()->set_wait_ms(200);
  request = response.add_steps()->mutable_request();
  request->set_url("https://r/v2/x");
  request->set_ns("docker.io");
  request->set_authorization("Bearer");
  request->set_status(200);
  request->set_media_type("application/json");
  request->set_digest("sha256:1");
  request->set_size(12);
  auto* index = response.add_steps()->mutable_index();
  index->set_digest("sha256:1");
  index->set_media_type("application/json");
  index->set_size(12);
  index->set_endpoint("https://r/v2");
  index->set_platform("linux/amd64/v3");
  auto* entry = index->add_entries();
  entry->set_platform("linux/arm64");
  entry->set_digest("sha256:2");
  entry->set_verdict("another system");
  entry = index->add_entries();
  entry->set_platform("linux/amd64");
  entry->set_digest("sha256:3");
  entry->set_verdict("chosen");
  entry->set_chosen(true);
  auto* manifest = response.add_steps()->mutable_manifest();
  manifest->set_digest("sha256:3");
  manifest->set_media_type("application/json");
  manifest->set_size(34);
  auto* plan = response.add_steps()->mutable_plan();
  plan->set_image_id("sha256:4");
  plan->mutable_config()->set_digest("sha256:4");
  plan->mutable_config()->set_size(5);
  plan->add_layers()->set_digest("sha256:5");
  plan->mutable_layers(0)->set_size(67);
  plan->mutable_layers(0)->set_here(true);
  plan->set_blobs_to_fetch(1);
  plan->set_bytes_to_fetch(5);
  return response;
}

TEST(ExplainTest, Text) {
  EXPECT_EQ(
      ExplainText(Whole()),
      R"(image       docker.io/library/app:latest (by default: registry docker.io, library/, tag latest)
credentials user name and password, for docker.io only
configured  /c/docker.io/hosts.toml
endpoint 1  https://m.example/v2
            mirror; pull only; ?ns=docker.io; certificate not verified; CA /a.pem, /b.pem; client certificate /c.pem; header x-a; connect within 1.5s; proxy http://p.example:3128 (HTTPS_PROXY)
endpoint 2  https://registry-1.docker.io/v2
            the registry itself; connect within 30s; no proxy (HTTPS_PROXY is set, but NO_PROXY docker.io); gets the credentials
skipped     https://m.example/v2: it may not resolve tags
GET         https://r/v2/x
            status 401: UNAUTHORIZED: log in
challenge   bearer, realm https://auth/token, service r, scope repository:x:pull
            basic
            answer: bearer
token       GET https://auth/token with user name and password, service r, scope repository:x:pull
            status 200
retry       after 200 ms
GET         https://r/v2/x?ns=docker.io with Bearer
            status 200: sha256:1, application/json, 12 bytes
index       sha256:1, application/json, 12 bytes
            from https://r/v2
            this machine is linux/amd64/v3
               linux/arm64          sha256:2  another system
            -> linux/amd64          sha256:3  chosen
manifest    sha256:3, application/json, 34 bytes
            it is here
config      sha256:4            5 bytes  to fetch, not looked at for this
layer       sha256:5           67 bytes  is here
result      a pull would fetch 1 of 2 blobs, 5 bytes, as image sha256:4
)");
}

TEST(ExplainTest, TextOfFailures) {
  ::berth::v1::ExplainPullResponse response;
  auto* reference = response.add_steps()->mutable_reference();
  reference->set_canonical("r.example/app:1@sha256:1");
  reference->set_tag("1");
  reference->set_digest("sha256:1");
  response.add_steps()->mutable_credentials();
  auto* configuration = response.add_steps()->mutable_configuration();
  configuration->add_looked_for("/c/r.example");
  configuration->add_looked_for("/c/_default");
  response.add_steps()->mutable_request()->set_url("https://r.example/v2/x");
  response.mutable_steps(3)->mutable_request()->set_error("connection refused");
  auto* failed = response.add_steps()->mutable_failed();
  failed->set_code("UNAVAILABLE");
  failed->set_message("GET https://r.example/v2/x: connection refused");
  response.mutable_steps()->Add();
  response.set_code(5);
  response.set_message("no such image");
  EXPECT_EQ(ExplainText(response),
            R"(image       r.example/app:1@sha256:1
            the digest is asked for, the tag is not
credentials none
configured  none; looked for /c/r.example, /c/_default
GET         https://r.example/v2/x
            no answer: connection refused
failed      UNAVAILABLE: GET https://r.example/v2/x: connection refused
?           a step that this program does not know
result      a pull would fail with NOT_FOUND
)");
}

TEST(ExplainTest, AnImageThatIsHere) {
  ::berth::v1::ExplainPullResponse response;
  auto* plan = response.add_steps()->mutable_plan();
  plan->set_image_here(true);
  plan->set_config_checked(true);
  plan->mutable_config()->set_digest("sha256:1");
  plan->mutable_config()->set_here(true);
  EXPECT_EQ(ExplainText(response),
            "config      sha256:1            0 bytes  is here\n"
            "result      the image is here; a pull would fetch nothing and give it this name\n");
}

TEST(ExplainTest, Json) {
  ::berth::v1::ExplainPullResponse response;
  response.add_steps()->mutable_skipped()->set_url("https://m.example/v2");
  auto* plan = response.add_steps()->mutable_plan();
  plan->set_bytes_to_fetch(uint64_t{1} << 60);
  plan->add_layers()->set_here(true);
  auto* configuration = response.add_steps()->mutable_configuration();
  configuration->add_looked_for("/c");
  response.set_code(5);
  response.set_message("no \"such\" image");
  EXPECT_EQ(ExplainJson(response),
            R"({"steps":[{"skipped":{"url":"https://m.example/v2","reason":""}},)"
            R"({"plan":{"imageId":"","imageHere":false,"configChecked":false,"layers":[)"
            R"({"digest":"","mediaType":"","size":0,"here":true}],"blobsToFetch":0,)"
            R"("bytesToFetch":1152921504606846976}},)"
            R"({"configuration":{"lookedFor":["/c"],"directory":"","hostsFile":""}}],)"
            R"("code":5,"message":"no \"such\" image"})"
            "\n");
}

TEST(ExplainTest, Creds) {
  EXPECT_EQ(ParseCreds("user:pass:word")->username(), "user");
  EXPECT_EQ(ParseCreds("user:pass:word")->password(), "pass:word");
  EXPECT_EQ(ParseCreds("user")->password(), "");
  for (const char* text : {":s3cret", ""}) {
    EXPECT_THAT(ParseCreds(text),
                StatusIs(absl::StatusCode::kInvalidArgument, Not(HasSubstr("s3cret"))));
  }
}

}  // namespace
}  // namespace berth
