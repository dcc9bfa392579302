// SPDX-License-Identifier: Apache-2.0
// Every string of every method of the API, one after the other, too long, with a NUL byte and not
// UTF-8: each is refused by name, and nothing below hears of it.
#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cri/api/runtime/v1/api.pb.h"
#include "cri/request_check.h"
#include "cri/test_server.h"

namespace berth::cri {
namespace {

namespace pb = google::protobuf;
namespace v1 = ::runtime::v1;
using grpc::StatusCode;
using pb::FieldDescriptor;
using testing::HasSubstr;

// One string of a request: how a refusal names it, and how to set it.
struct Leaf {
  std::string path;
  const FieldDescriptor* field;
  std::function<void(pb::Message*, const std::string&)> set;
};

void FindLeaves(const pb::Descriptor* type, const std::string& path,
                const std::function<pb::Message*(pb::Message*)>& reach, std::vector<Leaf>* leaves) {
  for (int i = 0; i < type->field_count(); ++i) {
    const FieldDescriptor* field = type->field(i);
    const std::string base = path.empty() ? field->name() : path + "." + field->name();
    const std::string name = field->is_repeated() && !field->is_map() ? base + "[0]" : base;
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE && !field->is_map()) {
      FindLeaves(
          field->message_type(), name,
          [reach, field](pb::Message* root) {
            pb::Message* parent = reach(root);
            const pb::Reflection* reflection = parent->GetReflection();
            return field->is_repeated() ? reflection->AddMessage(parent, field)
                                        : reflection->MutableMessage(parent, field);
          },
          leaves);
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_STRING || field->is_map()) {
      leaves->push_back({name, field, [reach, field](pb::Message* root, const std::string& text) {
                           pb::Message* parent = reach(root);
                           const pb::Reflection* reflection = parent->GetReflection();
                           if (field->is_map()) {
                             pb::Message* entry = reflection->AddMessage(parent, field);
                             const pb::Descriptor* of = entry->GetDescriptor();
                             entry->GetReflection()->SetString(entry, of->map_key(), "key");
                             entry->GetReflection()->SetString(entry, of->map_value(), text);
                           } else if (field->is_repeated()) {
                             reflection->AddString(parent, field, text);
                           } else {
                             reflection->SetString(parent, field, text);
                           }
                         }});
    }
  }
}

class HostileTest : public testing::Test {
 protected:
  HostileTest() {
    const auto note = [this](auto&&...) -> Status {
      ++heard_;
      return absl::InternalError("heard");
    };
    server_.pods.run_pod = note;
    server_.pods.stop_pod = note;
    server_.pods.remove_pod = note;
    server_.pods.get_pod = note;
    server_.pods.create_container = note;
    server_.pods.start_container = note;
    server_.pods.stop_container = note;
    server_.pods.remove_container = note;
    server_.pods.get_container = note;
    server_.pods.update = note;
    server_.pods.update_pod = note;
    server_.pods.reopen_log = note;
    server_.pods.exec_sync = note;
    server_.pods.set_ranges = note;
    server_.images.pull = note;
    server_.pods.list_pods = [this](auto&&...) {
      ++heard_;
      return std::vector<sandbox::PodStatus>();
    };
    server_.pods.list_containers = [this](auto&&...) {
      ++heard_;
      return std::vector<sandbox::ContainerStatus>();
    };
    server_.pods.EndSubscriptions();  // or that stream would go on for ever
    const pb::FileDescriptor* file = v1::VersionRequest::descriptor()->file();
    for (int i = 0; i < file->service_count(); ++i) {
      for (int j = 0; j < file->service(i)->method_count(); ++j) {
        methods_.push_back(file->service(i)->method(j));
      }
    }
  }

  grpc::Status Call(const pb::MethodDescriptor* method, const std::string& bytes) {
    const grpc::Slice slice(bytes);
    const grpc::ByteBuffer request(&slice, 1);
    const std::string name = absl::StrCat(method->service()->name(), "/", method->name());
    if (method->server_streaming()) {
      return server_.Stream<grpc::ByteBuffer>(name, request,
                                              [](const grpc::ByteBuffer&) { return true; });
    }
    grpc::ByteBuffer response;
    return server_.Call(name, request, &response);
  }

  // Sets each string of each method to `text` and gives the answer to `check`, unless the method
  // is not built.
  void ForEachLeaf(const std::string& text,
                   const std::function<void(const Leaf&, const grpc::Status&)>& check) {
    for (const pb::MethodDescriptor* method : methods_) {
      std::vector<Leaf> leaves;
      FindLeaves(
          method->input_type(), "", [](pb::Message* root) { return root; }, &leaves);
      for (const Leaf& leaf : leaves) {
        SCOPED_TRACE(method->name() + " " + leaf.path);
        const std::unique_ptr<pb::Message> request(
            pb::MessageFactory::generated_factory()->GetPrototype(method->input_type())->New());
        leaf.set(request.get(), text);
        const grpc::Status status = Call(method, request->SerializeAsString());
        ++calls_;
        if (status.error_code() == StatusCode::UNIMPLEMENTED) {
          EXPECT_THAT(status.error_message(), HasSubstr(method->name()));
          continue;
        }
        check(leaf, status);
      }
    }
  }

  TestServer server_;
  std::vector<const pb::MethodDescriptor*> methods_;
  std::atomic<int> heard_ = 0;
  int calls_ = 0;
};

bool IsData(const FieldDescriptor* field) {
  return field->is_map() && field->name() != "sysctls" && field->name() != "unified" &&
         field->name() != "options";
}

TEST_F(HostileTest, TooLongStringsAreNamed) {
  ForEachLeaf(std::string(1 << 20, 'x'), [](const Leaf& leaf, const grpc::Status& status) {
    EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT) << status.error_message();
    EXPECT_EQ(status.error_message(),
              leaf.field->is_map()
                  ? leaf.path + "[\"key\"]: 1048579 bytes long; the limit is 524288"
                  : leaf.path + ": 1048576 bytes long; the limit is 131072");
  });
  EXPECT_EQ(heard_, 0);
  EXPECT_GT(calls_, 200);
}

TEST_F(HostileTest, NulBytesAreNamed) {
  ForEachLeaf(std::string("a\0b", 3), [this](const Leaf& leaf, const grpc::Status& status) {
    // Labels and the like are data; so are values of the environment, until they are looked at.
    if (IsData(leaf.field) || leaf.field->type() == FieldDescriptor::TYPE_BYTES) {
      heard_ = 0;
      return;
    }
    EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT) << status.error_message();
    EXPECT_EQ(status.error_message(), leaf.path + ": contains a NUL byte");
    EXPECT_EQ(heard_, 0);
  });
}

TEST_F(HostileTest, StringsThatAreNotUtf8AreNamed) {
  ForEachLeaf("\xff\xfe", [this](const Leaf& leaf, const grpc::Status& status) {
    if (leaf.field->type() == FieldDescriptor::TYPE_BYTES) {
      heard_ = 0;
      return;
    }
    EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT) << status.error_message();
    const std::string name = leaf.field->is_map()
                                 ? leaf.field->message_type()->full_name() + ".value"
                                 : leaf.field->full_name();
    EXPECT_EQ(status.error_message(), name + ": not UTF-8");
    EXPECT_EQ(heard_, 0);
  });
}

TEST_F(HostileTest, BytesThatAreNoMessageAreRefused) {
  for (const pb::MethodDescriptor* method : methods_) {
    const grpc::Status status = Call(method, "\xff\xff\xff");
    EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT) << method->name();
    EXPECT_EQ(status.error_message(), "request: not a message of this method") << method->name();
  }
  EXPECT_EQ(methods_.size(), 43u);
  EXPECT_EQ(heard_, 0);
}

TEST_F(HostileTest, UnknownMethodsStayUnimplemented) {
  grpc::ByteBuffer response;
  const grpc::Slice slice("");
  EXPECT_EQ(server_.Call("RuntimeService/NoSuchMethod", grpc::ByteBuffer(&slice, 1), &response)
                .error_code(),
            StatusCode::UNIMPLEMENTED);
}

TEST_F(HostileTest, MessagesThatAreTooLargeAreRefused) {
  v1::RunPodSandboxRequest request;
  for (int i = 0; i < 200; ++i) {
    (*request.mutable_config()->mutable_labels())[absl::StrCat(i)] = std::string(110 << 10, 'x');
  }
  v1::RunPodSandboxResponse response;
  const grpc::Status status = server_.Call("RuntimeService/RunPodSandbox", request, &response);
  EXPECT_EQ(status.error_code(), StatusCode::RESOURCE_EXHAUSTED) << status.error_message();
  EXPECT_THAT(status.error_message(), HasSubstr("larger than max"));
  EXPECT_EQ(heard_, 0);
  // The connection is as good as before.
  v1::VersionResponse version;
  EXPECT_TRUE(server_.Call("RuntimeService/Version", v1::VersionRequest(), &version).ok());
}

TEST_F(HostileTest, LongNamesAreNoFault) {
  server_.pods.run_pod = [](const Context&, const sandbox::PodConfig& config, const std::string&) {
    return config.metadata->name;
  };
  v1::RunPodSandboxRequest request;
  v1::PodSandboxMetadata* metadata = request.mutable_config()->mutable_metadata();
  metadata->set_name(std::string(300, 'n'));
  metadata->set_namespace_(std::string(300, 's'));
  metadata->set_uid(std::string(300, 'u'));
  (*request.mutable_config()->mutable_annotations())["all"] = std::string(256 << 10, 'a');
  v1::RunPodSandboxResponse response;
  EXPECT_TRUE(server_.Call("RuntimeService/RunPodSandbox", request, &response).ok());
  EXPECT_EQ(response.pod_sandbox_id(), std::string(300, 'n'));
}

}  // namespace
}  // namespace berth::cri
