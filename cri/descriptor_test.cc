// SPDX-License-Identifier: Apache-2.0
// Our description of the CRI against the published one, from the pinned Go module k8s.io/cri-api.
#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>

#include "absl/strings/str_split.h"
#include "base/file.h"
#include "cri/api/berth/v1/explain.pb.h"
#include "cri/api/runtime/v1/api.pb.h"
#include "cri/redact.h"
#include "test/support/paths.h"
#include "test/support/status_matchers.h"

namespace berth::cri {
namespace {

namespace pb = google::protobuf;

// What the script prints, or nothing and its exit code.
std::string Output(const std::string& command, int* code) {
  std::string output;
  FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return output;
  char buffer[4096];
  while (const size_t size = std::fread(buffer, 1, sizeof(buffer), pipe)) {
    output.append(buffer, size);
  }
  const int status = ::pclose(pipe);
  *code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  while (output.ends_with("\n")) output.pop_back();
  return output;
}

class Errors : public pb::DescriptorPool::ErrorCollector {
 public:
  void AddError(const std::string&, const std::string& element, const pb::Message*, ErrorLocation,
                const std::string& message) override {
    ADD_FAILURE() << element << ": " << message;
  }
};

// Takes the option debug_redact, which protoc 3.21 does not know, out of a proto file and returns
// the full names of the fields that had it. None of them is in a nested message.
std::set<std::string> TakeRedactions(std::string* text) {
  static const std::regex message_line("message (\\w+) \\{");
  static const std::regex field_line("(\\w+) = \\d+ ?(\\[debug_redact = true\\])");
  std::set<std::string> redacted;
  std::string result;
  std::string message;
  for (const auto& piece : absl::StrSplit(*text, '\n')) {
    std::string line(piece);
    std::smatch match;
    if (std::regex_search(line, match, message_line)) message = match[1];
    if (std::regex_search(line, match, field_line)) {
      redacted.insert(absl::StrCat("runtime.v1.", message, ".", match[1].str()));
      line.erase(static_cast<size_t>(match.position(2)), match[2].str().size());
    }
    absl::StrAppend(&result, line, "\n");
  }
  *text = result;
  return redacted;
}

using Facts = std::map<std::string, std::string>;

void AddEnum(const pb::EnumDescriptor* type, Facts* facts) {
  for (int i = 0; i < type->value_count(); ++i) {
    const pb::EnumValueDescriptor* value = type->value(i);
    (*facts)[absl::StrCat("enum ", type->full_name(), ".", value->name())] =
        absl::StrCat(value->number(), value->options().deprecated() ? " deprecated" : "");
  }
}

void AddMessage(const pb::Descriptor* type, Facts* facts) {
  (*facts)["message " + type->full_name()] = type->options().deprecated() ? "deprecated" : "";
  for (int i = 0; i < type->field_count(); ++i) {
    const pb::FieldDescriptor* field = type->field(i);
    std::string fact =
        absl::StrCat(field->number(), field->is_repeated() ? " repeated " : " ", field->type_name(),
                     field->is_map() ? " map" : "", field->is_packed() ? " packed" : "",
                     field->has_presence() ? " presence" : "",
                     field->options().deprecated() ? " deprecated" : "");
    if (field->message_type() != nullptr) {
      absl::StrAppend(&fact, " ", field->message_type()->full_name());
    }
    if (field->enum_type() != nullptr) absl::StrAppend(&fact, " ", field->enum_type()->full_name());
    if (field->real_containing_oneof() != nullptr) absl::StrAppend(&fact, " oneof");
    (*facts)[absl::StrCat("field ", field->full_name())] = fact;
  }
  for (int i = 0; i < type->nested_type_count(); ++i) AddMessage(type->nested_type(i), facts);
  for (int i = 0; i < type->enum_type_count(); ++i) AddEnum(type->enum_type(i), facts);
}

Facts FactsOf(const pb::FileDescriptor* file) {
  Facts facts;
  facts["package"] = file->package();
  facts["syntax"] = pb::FileDescriptor::SyntaxName(file->syntax());
  for (int i = 0; i < file->message_type_count(); ++i) AddMessage(file->message_type(i), &facts);
  for (int i = 0; i < file->enum_type_count(); ++i) AddEnum(file->enum_type(i), &facts);
  for (int i = 0; i < file->service_count(); ++i) {
    const pb::ServiceDescriptor* service = file->service(i);
    for (int j = 0; j < service->method_count(); ++j) {
      const pb::MethodDescriptor* method = service->method(j);
      facts[absl::StrCat("rpc ", method->full_name())] = absl::StrCat(
          method->client_streaming() ? "stream " : "", method->input_type()->full_name(), " -> ",
          method->server_streaming() ? "stream " : "", method->output_type()->full_name());
    }
  }
  return facts;
}

TEST(DescriptorTest, IsThatOfThePublishedApi) {
  int code = -1;
  const std::string path = Output(TestSourceDir() + "/hack/tools/cri-proto 2>/dev/null", &code);
  if (code == 77) GTEST_SKIP() << "the Go module k8s.io/cri-api cannot be downloaded";
  ASSERT_EQ(code, 0);
  ASSERT_OK_AND_ASSIGN(std::string text, ReadFile(path, 4 << 20));

  const std::set<std::string> redacted = TakeRedactions(&text);
  const std::string directory = testing::TempDir() + "/cri-descriptor";
  ASSERT_OK(MakeDirs(directory, 0700));
  std::ofstream(directory + "/published.proto") << text;
  Output(absl::StrCat(BERTH_PROTOC " -I ", directory, " --descriptor_set_out ", directory,
                      "/set published.proto"),
         &code);
  ASSERT_EQ(code, 0);
  pb::FileDescriptorSet set;
  ASSERT_OK_AND_ASSIGN(const std::string bytes, ReadFile(directory + "/set", 4 << 20));
  ASSERT_TRUE(set.ParseFromString(bytes));
  ASSERT_EQ(set.file_size(), 1);
  pb::DescriptorPool pool;
  Errors errors;
  const pb::FileDescriptor* published = pool.BuildFileCollectingErrors(set.file(0), &errors);
  ASSERT_NE(published, nullptr);

  const Facts theirs = FactsOf(published);
  const Facts ours = FactsOf(::runtime::v1::VersionRequest::descriptor()->file());
  EXPECT_GT(ours.size(), 700u);
  for (const auto& [name, fact] : theirs) {
    const auto found = ours.find(name);
    if (found == ours.end()) {
      ADD_FAILURE() << name << " is missing";
    } else {
      EXPECT_EQ(found->second, fact) << name;
    }
  }
  for (const auto& [name, fact] : ours) EXPECT_TRUE(theirs.contains(name)) << name << " is ours";

  const std::set<std::string> secret(SecretFields().begin(), SecretFields().end());
  EXPECT_EQ(secret, redacted) << "what the API marks debug_redact is what redact.h hides";
}

TEST(RedactTest, SecretsAreNotPrinted) {
  ::runtime::v1::PullImageRequest request;
  request.mutable_image()->set_image("registry.example/app:1");
  request.mutable_auth()->set_username("jane");
  for (const std::string_view name : SecretFields()) {
    const pb::FieldDescriptor* field =
        pb::DescriptorPool::generated_pool()->FindFieldByName(std::string(name));
    ASSERT_NE(field, nullptr) << name;
    ::runtime::v1::AuthConfig::GetReflection()->SetString(request.mutable_auth(), field, "hunter2");
  }
  request.mutable_sandbox_config()->set_hostname("host");
  const std::string text = RedactedText(request);
  EXPECT_THAT(text, testing::HasSubstr("registry.example/app:1"));
  EXPECT_THAT(text, testing::HasSubstr("[REDACTED]"));
  EXPECT_THAT(text, testing::Not(testing::HasSubstr("hunter2")));
}

TEST(RedactTest, CredentialsOfAnExplanationAreNotPrinted) {
  ::berth::v1::ExplainPullRequest request;
  request.mutable_auth()->set_username("jane");
  request.mutable_auth()->set_password("hunter2");
  EXPECT_THAT(RedactedText(request), testing::HasSubstr("jane"));
  EXPECT_THAT(RedactedText(request), testing::Not(testing::HasSubstr("hunter2")));
}

TEST(RedactTest, EnvironmentIsNotPrintedAndTextIsBounded) {
  ::runtime::v1::CreateContainerRequest request;
  auto* env = request.mutable_config()->add_envs();
  env->set_key("TOKEN");
  env->set_value("hunter2");
  EXPECT_THAT(RedactedText(request), testing::HasSubstr("TOKEN"));
  EXPECT_THAT(RedactedText(request), testing::Not(testing::HasSubstr("hunter2")));
  request.mutable_config()->set_working_dir(std::string(10000, 'x'));
  EXPECT_LE(RedactedText(request, 100).size(), 103u);
}

}  // namespace
}  // namespace berth::cri
