// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <functional>
#include <set>
#include <type_traits>

#include "base/json.h"
#include "cri/test_configs.h"
#include "cri/translate_container.h"
#include "cri/translate_image.h"
#include "cri/translate_pod.h"
#include "cri/utf8.h"
#include "test/support/status_matchers.h"

namespace berth::cri {
namespace {

namespace pb = google::protobuf;
using pb::FieldDescriptor;

// Writes every member of a type of sandbox/types.h into one text.
class Dump {
 public:
  template <typename T>
  void operator()(const char* name, T& value) {
    text += absl::StrCat(name, "=");
    Put(value);
    text += ";";
  }
  std::string text;

 private:
  template <typename T>
  void Put(T& value) {
    if constexpr (std::is_enum_v<T>) {
      text += absl::StrCat(static_cast<int>(value));
    } else if constexpr (std::is_arithmetic_v<T>) {
      text += absl::StrCat(value);
    } else {
      value.Fields(*this);
    }
  }
  void Put(std::string& value) { text += absl::StrCat("\"", value, "\""); }
  template <typename A, typename B>
  void Put(std::pair<A, B>& value) {
    text += absl::StrCat(value.first, ":", value.second);
  }
  void Put(sandbox::StringMap& value) {
    for (auto& [key, text_value] : value) text += absl::StrCat(key, ":", text_value, ",");
  }
  template <typename T>
  void Put(std::optional<T>& value) {
    text += value.has_value() ? "set " : "unset";
    if (value.has_value()) Put(*value);
  }
  template <typename T>
  void Put(std::vector<T>& value) {
    for (T& element : value) {
      Put(element);
      text += ",";
    }
  }
};

template <typename T>
std::string Dumped(T value) {
  Dump dump;
  value.Fields(dump);
  return dump.text;
}

// A legal value of a member that is a string.
std::string AnotherText(const std::string& field) {
  static const auto* const kTexts =
      new std::map<std::string, std::string>{{"apparmor_profile", "unconfined"},
                                             {"cpuset_cpus", "0-1"},
                                             {"cpuset_mems", "0"},
                                             {"host_ip", "::1"},
                                             {"hostname", "changed"},
                                             {"log_path", "changed"},
                                             {"mount_options", "nodev"},
                                             {"page_size", "4KB"},
                                             {"permissions", "m"},
                                             {"seccomp_profile_path", "unconfined"}};
  const auto found = kTexts->find(field);
  return found == kTexts->end() ? "/changed" : found->second;
}

// Calls `visit` with a name and a function that sets that one leaf to something else than its
// value in any message of the type.
using Setter = std::function<void(pb::Message*)>;
void ForEachLeaf(const pb::Descriptor* type, const std::string& path,
                 const std::function<pb::Message*(pb::Message*)>& reach,
                 const std::function<void(const std::string&, const Setter&)>& visit) {
  for (int i = 0; i < type->field_count(); ++i) {
    const FieldDescriptor* field = type->field(i);
    const std::string name = path.empty() ? field->name() : path + "." + field->name();
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE && !field->is_map()) {
      ForEachLeaf(
          field->message_type(), name,
          [reach, field](pb::Message* root) {
            pb::Message* parent = reach(root);
            const pb::Reflection* reflection = parent->GetReflection();
            if (!field->is_repeated()) return reflection->MutableMessage(parent, field);
            if (reflection->FieldSize(*parent, field) > 0) {
              return reflection->MutableRepeatedMessage(parent, field, 0);
            }
            return reflection->AddMessage(parent, field);
          },
          visit);
      continue;
    }
    visit(name, [reach, field](pb::Message* root) {
      pb::Message* parent = reach(root);
      const pb::Reflection* r = parent->GetReflection();
      if (field->is_map()) {
        pb::Message* entry = r->AddMessage(parent, field);
        const pb::Descriptor* type_of = entry->GetDescriptor();
        entry->GetReflection()->SetString(entry, type_of->field(0), "added.key");
        entry->GetReflection()->SetString(entry, type_of->field(1), "added");
        return;
      }
      const bool repeated = field->is_repeated();
      switch (field->cpp_type()) {
        case FieldDescriptor::CPPTYPE_STRING: {
          const std::string text = AnotherText(field->name());
          if (repeated) {
            r->AddString(parent, field, text);
          } else {
            r->SetString(parent, field, text);
          }
          break;
        }
        case FieldDescriptor::CPPTYPE_INT64: {
          const int64_t value = field->name() == "oom_score_adj" ? 77 : 77000;
          repeated ? r->AddInt64(parent, field, value) : r->SetInt64(parent, field, value);
          break;
        }
        case FieldDescriptor::CPPTYPE_INT32:
          r->SetInt32(parent, field, 77);
          break;
        case FieldDescriptor::CPPTYPE_UINT32:
          r->SetUInt32(parent, field, 77);
          break;
        case FieldDescriptor::CPPTYPE_UINT64:
          r->SetUInt64(parent, field, 77);
          break;
        case FieldDescriptor::CPPTYPE_BOOL:
          r->SetBool(parent, field, !r->GetBool(*parent, field));
          break;
        case FieldDescriptor::CPPTYPE_ENUM:
          // The last value is legal wherever the base message below allows another at all.
          r->SetEnumValue(
              parent, field,
              field->name() == "network" || field->name() == "ipc" || field->name() == "mode" ? 2
                                                                                              : 1);
          break;
        default:
          FAIL() << field->full_name();
      }
    });
  }
}

// A changed leaf must change the result, else it was forgotten.
TEST(CompletenessTest, EveryLeafOfAPodConfigArrives) {
  ASSERT_OK_AND_ASSIGN(const sandbox::PodConfig base, FromPodConfig(BasePod(), "config"));
  int leaves = 0;
  ForEachLeaf(
      v1::PodSandboxConfig::descriptor(), "", [](pb::Message* root) { return root; },
      [&](const std::string& name, const Setter& set) {
        if (name.starts_with("windows.")) return;
        // Only containers may have one.
        if (name == "linux.security_context.namespace_options.target_id") return;
        ++leaves;
        v1::PodSandboxConfig changed = BasePod();
        set(&changed);
        const StatusOr<sandbox::PodConfig> result = FromPodConfig(changed, "config");
        ASSERT_TRUE(result.ok()) << name << ": " << result.status();
        EXPECT_NE(Dumped(*result), Dumped(base)) << name;
      });
  EXPECT_GT(leaves, 60);
}

TEST(CompletenessTest, EveryLeafOfAContainerConfigArrives) {
  ASSERT_OK_AND_ASSIGN(const sandbox::ContainerConfig base,
                       FromContainerConfig(BaseContainer(), "config"));
  // Leaves that are legal only together with others.
  const std::map<std::string, std::function<void(v1::ContainerConfig*)>> company = {
      {"linux.security_context.namespace_options.target_id",
       [](v1::ContainerConfig* c) {
         v1::NamespaceOption* options =
             c->mutable_linux()->mutable_security_context()->mutable_namespace_options();
         options->set_pid(v1::TARGET);
         options->set_target_id("id");
       }},
      {"mounts.recursive_read_only",
       [](v1::ContainerConfig* c) { c->mutable_mounts(0)->set_readonly(true); }},
      {"linux.security_context.run_as_group.value",
       [](v1::ContainerConfig* c) {
         c->mutable_linux()->mutable_security_context()->set_run_as_username("u");
       }},
  };
  int leaves = 0;
  ForEachLeaf(
      v1::ContainerConfig::descriptor(), "", [](pb::Message* root) { return root; },
      [&](const std::string& name, const Setter& set) {
        if (name.starts_with("windows.")) return;
        ++leaves;
        v1::ContainerConfig before = BaseContainer();
        if (name.starts_with("mounts.image")) {
          before.mutable_mounts(0)->clear_host_path();
          before.mutable_mounts(0)->set_readonly(true);
          before.mutable_mounts(0)->mutable_image()->set_image("sha256:def");
        }
        if (const auto found = company.find(name); found != company.end()) found->second(&before);
        ASSERT_OK_AND_ASSIGN(const sandbox::ContainerConfig plain,
                             FromContainerConfig(before, "config"));
        v1::ContainerConfig changed = before;
        set(&changed);
        const StatusOr<sandbox::ContainerConfig> result = FromContainerConfig(changed, "config");
        ASSERT_TRUE(result.ok()) << name << ": " << result.status();
        EXPECT_NE(Dumped(*result), Dumped(plain)) << name;
      });
  EXPECT_GT(leaves, 70);
}

TEST(StatusTest, MountsAndResourcesComeBackAsGiven) {
  v1::ContainerConfig config = BaseContainer();
  v1::Mount* mount = config.add_mounts();
  mount->set_container_path("/image");
  mount->set_readonly(true);
  mount->set_recursive_read_only(true);
  mount->mutable_image()->set_image("sha256:def");
  mount->mutable_image()->set_image_ref("sha256:fff");
  mount->set_image_sub_path("usr");
  mount->add_mount_options("noexec");
  mount->add_uidmappings()->set_length(9);
  mount->add_gidmappings()->set_host_id(8);
  v1::LinuxContainerResources* resources = config.mutable_linux()->mutable_resources();
  resources->set_cpu_quota(-1);
  resources->set_memory_limit_in_bytes(1 << 20);
  (*resources->mutable_unified())["memory.high"] = "max";
  (*config.mutable_labels())["a"] = "b";
  (*config.mutable_annotations())["c"] = "d";

  sandbox::ContainerStatus status;
  ASSERT_OK_AND_ASSIGN(status.config, FromContainerConfig(config, "config"));
  status.id = "id";
  status.resources = status.config.resources;
  status.image_name = "docker.io/library/app:1";
  status.stop_signal = "SIGRTMIN+3";
  status.message = "exec /bin/\xff: no such file";
  v1::ContainerStatus proto;
  ToContainerStatus(status, &proto);
  ASSERT_EQ(proto.mounts_size(), 2);
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(pb::util::MessageDifferencer::Equals(proto.mounts(i), config.mounts(i))) << i;
  }
  EXPECT_TRUE(pb::util::MessageDifferencer::Equals(proto.resources().linux(), *resources));
  EXPECT_EQ(proto.image().image(), "docker.io/library/app:1");
  EXPECT_EQ(proto.stop_signal(), v1::SIGNAL_SIGRTMINPLUS3);
  EXPECT_EQ(proto.message(), "exec /bin/\xef\xbf\xbd: no such file");
  EXPECT_EQ(proto.labels().at("a"), "b");
  EXPECT_EQ(proto.annotations().at("c"), "d");
  std::string bytes;
  EXPECT_TRUE(proto.SerializeToString(&bytes));
}

TEST(StatusTest, PodOptionsComeBackAsGiven) {
  v1::PodSandboxConfig config = BasePod();
  v1::NamespaceOption* options =
      config.mutable_linux()->mutable_security_context()->mutable_namespace_options();
  options->set_network(v1::NODE);
  options->set_pid(v1::CONTAINER);
  options->mutable_userns_options()->set_mode(v1::NODE);
  options->mutable_userns_options()->add_uids()->set_length(1);
  sandbox::PodStatus status;
  ASSERT_OK_AND_ASSIGN(status.config, FromPodConfig(config, "config"));
  status.ips = {"10.0.0.1", "fd00::1"};
  v1::PodSandboxStatus proto;
  ToPodStatus(status, &proto);
  EXPECT_TRUE(pb::util::MessageDifferencer::Equals(proto.linux().namespaces().options(), *options));
  EXPECT_TRUE(pb::util::MessageDifferencer::Equals(proto.metadata(), config.metadata()));
  EXPECT_EQ(proto.network().ip(), "10.0.0.1");
  ASSERT_EQ(proto.network().additional_ips_size(), 1);
  EXPECT_EQ(proto.network().additional_ips(0).ip(), "fd00::1");
}

TEST(SignalTest, EverySignalComesBack) {
  for (int number = v1::Signal_MIN; number <= v1::Signal_MAX; ++number) {
    ASSERT_OK_AND_ASSIGN(const std::string name, FromSignal(static_cast<v1::Signal>(number), ""));
    EXPECT_EQ(ToSignal(name), number) << name;
  }
  EXPECT_EQ(*FromSignal(v1::SIGNAL_SIGTERM, ""), "SIGTERM");
  EXPECT_EQ(*FromSignal(v1::SIGNAL_SIGRTMAXMINUS14, ""), "SIGRTMAX-14");
  EXPECT_EQ(*FromSignal(v1::SIGNAL_RUNTIME_DEFAULT, ""), "");
  EXPECT_FALSE(FromSignal(static_cast<v1::Signal>(66), "config").ok());
  EXPECT_EQ(ToSignal("SIGNONSENSE"), v1::SIGNAL_RUNTIME_DEFAULT);
}

TEST(ImageTest, UserIsANumberOrAName) {
  images::Image image;
  const auto translate = [&image](const std::string& user) {
    image.config.user = user;
    v1::Image proto;
    ToImageProto(image, &proto);
    return proto;
  };
  EXPECT_EQ(translate("1000:1000").uid().value(), 1000);
  EXPECT_EQ(translate("0").uid().value(), 0);
  EXPECT_TRUE(translate("0").has_uid());
  EXPECT_EQ(translate("nobody:nogroup").username(), "nobody");
  EXPECT_FALSE(translate("nobody").has_uid());
  EXPECT_FALSE(translate("").has_uid());
  EXPECT_EQ(translate("").username(), "");
}

TEST(Utf8Test, ReplacesWhatIsNotUtf8) {
  EXPECT_TRUE(IsUtf8("gr\xc3\xbc\xc3\x9f \xf0\x9f\x90\xb3"));
  EXPECT_EQ(ToUtf8("plain"), "plain");
  EXPECT_EQ(ToUtf8("a\xffz"), "a\xef\xbf\xbdz");
  for (const char* bad : {"\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\x80"}) {
    EXPECT_FALSE(IsUtf8(bad)) << testing::PrintToString(bad);
    EXPECT_TRUE(IsUtf8(ToUtf8(bad)));
  }
}

TEST(InfoTest, IsJsonEvenWithStrangeBytes) {
  sandbox::ContainerStatus status;
  status.pid = 42;
  status.spec_json = "{\"process\":{\"env\":[\"A=\xff\"]}}";
  ASSERT_OK_AND_ASSIGN(const json::Value info,
                       json::Parse(ContainerInfoJson(status), 1 << 20, "info"));
  EXPECT_EQ(info.at("pid").as_int64(), 42);
  EXPECT_TRUE(info.at("runtimeSpec").is_object());
}

}  // namespace
}  // namespace berth::cri
