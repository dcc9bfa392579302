// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <functional>
#include <set>
#include <type_traits>

#include "base/json.h"
#include "cri/request_check.h"
#include "cri/translate_container.h"
#include "cri/translate_image.h"
#include "cri/translate_pod.h"
#include "cri/utf8.h"
#include "test/support/status_matchers.h"

namespace berth::cri {
namespace {

namespace pb = google::protobuf;
using pb::FieldDescriptor;
using testing::HasSubstr;

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
          const bool option = field->name() == "mount_options";
          const bool permissions = field->name() == "permissions";
          const std::string text = option ? "nodev" : permissions ? "m" : "/changed";
          const bool relative = field->name() == "log_path";
          if (repeated) {
            r->AddString(parent, field, text);
          } else {
            r->SetString(parent, field, relative ? "changed" : text);
          }
          break;
        }
        case FieldDescriptor::CPPTYPE_INT64:
          repeated ? r->AddInt64(parent, field, 77) : r->SetInt64(parent, field, 77);
          break;
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

v1::PodSandboxConfig BasePod() {
  v1::PodSandboxConfig config;
  config.mutable_metadata()->set_name("pod");
  config.mutable_metadata()->set_namespace_("default");
  config.mutable_metadata()->set_uid("1234");
  config.add_port_mappings()->set_container_port(80);
  v1::LinuxSandboxSecurityContext* security = config.mutable_linux()->mutable_security_context();
  security->mutable_run_as_user()->set_value(5);
  security->mutable_run_as_group()->set_value(6);
  for (v1::LinuxContainerResources* resources :
       {config.mutable_linux()->mutable_overhead(), config.mutable_linux()->mutable_resources()}) {
    resources->add_hugepage_limits()->set_page_size("2MB");
  }
  return config;
}

v1::ContainerConfig BaseContainer() {
  v1::ContainerConfig config;
  config.mutable_metadata()->set_name("app");
  config.mutable_image()->set_image("sha256:abc");
  config.add_envs()->set_key("KEY");
  v1::Mount* mount = config.add_mounts();
  mount->set_container_path("/data");
  mount->set_host_path("/srv");
  config.add_devices()->set_host_path("/dev/null");
  config.add_cdi_devices()->set_name("vendor.com/class=one");
  config.mutable_linux()->mutable_resources()->add_hugepage_limits()->set_page_size("2MB");
  return config;
}

// A changed leaf must change the result, else it was forgotten.
TEST(CompletenessTest, EveryLeafOfAPodConfigArrives) {
  ASSERT_OK_AND_ASSIGN(const sandbox::PodConfig base, FromPodConfig(BasePod(), "config"));
  int leaves = 0;
  ForEachLeaf(
      v1::PodSandboxConfig::descriptor(), "", [](pb::Message* root) { return root; },
      [&](const std::string& name, const Setter& set) {
        if (name.starts_with("windows.")) return;
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

struct BadContainer {
  const char* message;
  std::function<void(v1::ContainerConfig*)> spoil;
};

TEST(ValidationTest, ContainerConfig) {
  const BadContainer cases[] = {
      {"config.metadata: must be set", [](auto* c) { c->clear_metadata(); }},
      {"config.metadata.name: must not be empty",
       [](auto* c) { c->mutable_metadata()->clear_name(); }},
      {"config.image: must be set", [](auto* c) { c->clear_image(); }},
      {"config.image.image: must not be empty", [](auto* c) { c->mutable_image()->clear_image(); }},
      {"config.envs[0].key: must not be empty", [](auto* c) { c->mutable_envs(0)->clear_key(); }},
      {"config.envs[0].key: \"A=B\" contains =",
       [](auto* c) { c->mutable_envs(0)->set_key("A=B"); }},
      {"config.envs[0].value: that of KEY contains a NUL byte",
       [](auto* c) { c->mutable_envs(0)->set_value(std::string("a\0b", 3)); }},
      {"config.mounts[0].container_path: must not be empty",
       [](auto* c) { c->mutable_mounts(0)->clear_container_path(); }},
      {"config.mounts[0].host_path: must not be empty",
       [](auto* c) { c->mutable_mounts(0)->clear_host_path(); }},
      {"config.mounts[0].host_path: \"srv\" is not an absolute path",
       [](auto* c) { c->mutable_mounts(0)->set_host_path("srv"); }},
      {"config.mounts[0].propagation: unknown propagation 9",
       [](auto* c) {
         c->mutable_mounts(0)->set_propagation(static_cast<v1::MountPropagation>(9));
       }},
      {"config.mounts[0].recursive_read_only: needs readonly",
       [](auto* c) { c->mutable_mounts(0)->set_recursive_read_only(true); }},
      {"config.mounts[0].recursive_read_only: needs private propagation",
       [](auto* c) {
         c->mutable_mounts(0)->set_recursive_read_only(true);
         c->mutable_mounts(0)->set_readonly(true);
         c->mutable_mounts(0)->set_propagation(v1::PROPAGATION_BIDIRECTIONAL);
       }},
      {"config.mounts[0].host_path: must be empty for a mount of an image",
       [](auto* c) { c->mutable_mounts(0)->mutable_image()->set_image("i"); }},
      {"config.mounts[0].readonly: must be true for a mount of an image",
       [](auto* c) {
         c->mutable_mounts(0)->clear_host_path();
         c->mutable_mounts(0)->mutable_image()->set_image("i");
       }},
      {"config.mounts[0].image_sub_path: needs image",
       [](auto* c) { c->mutable_mounts(0)->set_image_sub_path("x"); }},
      {"config.mounts[0].mount_options[0]: \"suid\" is not one of",
       [](auto* c) { c->mutable_mounts(0)->add_mount_options("suid"); }},
      {"config.devices[0].host_path: must not be empty",
       [](auto* c) { c->mutable_devices(0)->clear_host_path(); }},
      {"config.devices[0].permissions: \"rx\" has others than r, w and m",
       [](auto* c) { c->mutable_devices(0)->set_permissions("rx"); }},
      {"config.CDI_devices[0].name: must not be empty",
       [](auto* c) { c->mutable_cdi_devices(0)->clear_name(); }},
      {"config.log_path: \"/x\" is not a relative path", [](auto* c) { c->set_log_path("/x"); }},
      {"config.log_path: \"a/../../x\" contains ..", [](auto* c) { c->set_log_path("a/../../x"); }},
      {"config.stop_signal: unknown signal 66",
       [](auto* c) { c->set_stop_signal(static_cast<v1::Signal>(66)); }},
      {"config.linux.resources.cpu_period: -1 is below 0",
       [](auto* c) { c->mutable_linux()->mutable_resources()->set_cpu_period(-1); }},
      {"config.linux.resources.cpu_quota: -2 is below -1",
       [](auto* c) { c->mutable_linux()->mutable_resources()->set_cpu_quota(-2); }},
      {"config.linux.resources.oom_score_adj: 1001 is not between -1000 and 1000",
       [](auto* c) { c->mutable_linux()->mutable_resources()->set_oom_score_adj(1001); }},
      {"config.linux.resources.hugepage_limits[0].page_size: must not be empty",
       [](auto* c) {
         c->mutable_linux()->mutable_resources()->mutable_hugepage_limits(0)->clear_page_size();
       }},
      {"config.linux.resources.unified: \"a/b\" is not the name of a cgroup file",
       [](auto* c) { (*c->mutable_linux()->mutable_resources()->mutable_unified())["a/b"] = "1"; }},
      {"config.linux.security_context.run_as_username: excludes run_as_user",
       [](auto* c) {
         auto* security = c->mutable_linux()->mutable_security_context();
         security->set_run_as_username("u");
         security->mutable_run_as_user()->set_value(1);
       }},
      {"config.linux.security_context.run_as_group: needs run_as_user or run_as_username",
       [](auto* c) {
         c->mutable_linux()->mutable_security_context()->mutable_run_as_group()->set_value(1);
       }},
      {"config.linux.security_context.run_as_user: -1 is not between",
       [](auto* c) {
         c->mutable_linux()->mutable_security_context()->mutable_run_as_user()->set_value(-1);
       }},
      {"config.linux.security_context.supplemental_groups[0]: -3 is not between",
       [](auto* c) {
         c->mutable_linux()->mutable_security_context()->add_supplemental_groups(-3);
       }},
      {"config.linux.security_context.supplemental_groups_policy: unknown policy 5",
       [](auto* c) {
         c->mutable_linux()->mutable_security_context()->set_supplemental_groups_policy(
             static_cast<v1::SupplementalGroupsPolicy>(5));
       }},
      {"config.linux.security_context.namespace_options.network: must be POD or NODE, not TARGET",
       [](auto* c) {
         c->mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_network(
             v1::TARGET);
       }},
      {"config.linux.security_context.namespace_options.pid: unknown namespace mode 7",
       [](auto* c) {
         c->mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_pid(
             static_cast<v1::NamespaceMode>(7));
       }},
      {"config.linux.security_context.namespace_options.target_id: must be set",
       [](auto* c) {
         c->mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_pid(
             v1::TARGET);
       }},
      {"config.linux.security_context.seccomp.localhost_ref: \"x.json\" is not an absolute path",
       [](auto* c) {
         auto* profile = c->mutable_linux()->mutable_security_context()->mutable_seccomp();
         profile->set_profile_type(v1::SecurityProfile::Localhost);
         profile->set_localhost_ref("x.json");
       }},
      {"config.linux.security_context.apparmor.localhost_ref: must be set",
       [](auto* c) {
         c->mutable_linux()->mutable_security_context()->mutable_apparmor()->set_profile_type(
             v1::SecurityProfile::Localhost);
       }},
      {"config.linux.security_context.seccomp.profile_type: unknown type 4",
       [](auto* c) {
         c->mutable_linux()->mutable_security_context()->mutable_seccomp()->set_profile_type(
             static_cast<v1::SecurityProfile::ProfileType>(4));
       }},
  };
  ASSERT_OK(FromContainerConfig(BaseContainer(), "config"));
  for (const BadContainer& bad : cases) {
    v1::ContainerConfig config = BaseContainer();
    bad.spoil(&config);
    EXPECT_THAT(FromContainerConfig(config, "config"),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(bad.message)));
  }
}

struct BadPod {
  const char* message;
  std::function<void(v1::PodSandboxConfig*)> spoil;
};

TEST(ValidationTest, PodConfig) {
  const BadPod cases[] = {
      {"config.metadata: must be set", [](auto* c) { c->clear_metadata(); }},
      {"config.metadata.name: must not be empty",
       [](auto* c) { c->mutable_metadata()->clear_name(); }},
      {"config.metadata.namespace: must not be empty",
       [](auto* c) { c->mutable_metadata()->clear_namespace_(); }},
      {"config.metadata.uid: must not be empty",
       [](auto* c) { c->mutable_metadata()->clear_uid(); }},
      {"config.hostname: longer than 64 bytes",
       [](auto* c) { c->set_hostname(std::string(65, 'h')); }},
      {"config.log_directory: \"logs\" is not an absolute path",
       [](auto* c) { c->set_log_directory("logs"); }},
      {"config.port_mappings[0].protocol: unknown protocol 3",
       [](auto* c) { c->mutable_port_mappings(0)->set_protocol(static_cast<v1::Protocol>(3)); }},
      {"config.port_mappings[0].host_port: 70000 is not a port",
       [](auto* c) { c->mutable_port_mappings(0)->set_host_port(70000); }},
      {"config.port_mappings[0].container_port: 0 is not a port",
       [](auto* c) {
         c->mutable_port_mappings(0)->set_host_port(80);
         c->mutable_port_mappings(0)->set_container_port(0);
       }},
      {"config.linux.cgroup_parent: \"/a/../../b\" contains ..",
       [](auto* c) { c->mutable_linux()->set_cgroup_parent("/a/../../b"); }},
      {"config.linux.sysctls: a key is empty",
       [](auto* c) { (*c->mutable_linux()->mutable_sysctls())[""] = "1"; }},
      {"config.linux.security_context.run_as_group: needs run_as_user",
       [](auto* c) { c->mutable_linux()->mutable_security_context()->clear_run_as_user(); }},
      {"config.linux.security_context.namespace_options.userns_options.mode: must be POD or NODE",
       [](auto* c) {
         c->mutable_linux()
             ->mutable_security_context()
             ->mutable_namespace_options()
             ->mutable_userns_options()
             ->set_mode(v1::CONTAINER);
       }},
      {"config.linux.overhead.memory_limit_in_bytes: -2 is below -1",
       [](auto* c) { c->mutable_linux()->mutable_overhead()->set_memory_limit_in_bytes(-2); }},
  };
  ASSERT_OK(FromPodConfig(BasePod(), "config"));
  for (const BadPod& bad : cases) {
    v1::PodSandboxConfig config = BasePod();
    bad.spoil(&config);
    EXPECT_THAT(FromPodConfig(config, "config"),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(bad.message)));
  }
}

TEST(RequestCheckTest, NulBytesAreNamed) {
  v1::CreateContainerRequest request;
  *request.mutable_config() = BaseContainer();
  ASSERT_OK(CheckRequest(request));
  // A label is data, not an argument of a system call.
  (*request.mutable_config()->mutable_labels())["l"] = std::string("a\0b", 3);
  ASSERT_OK(CheckRequest(request));
  request.mutable_config()->mutable_mounts(0)->set_host_path(std::string("/srv\0x", 6));
  EXPECT_THAT(CheckRequest(request), StatusIs(absl::StatusCode::kInvalidArgument,
                                              "config.mounts[0].host_path: contains a NUL byte"));
  request.mutable_config()->mutable_mounts(0)->set_host_path("/srv");
  request.mutable_config()->add_command("sh");
  request.mutable_config()->add_command(std::string("\0", 1));
  EXPECT_THAT(CheckRequest(request), StatusIs(absl::StatusCode::kInvalidArgument,
                                              "config.command[1]: contains a NUL byte"));
}

}  // namespace
}  // namespace berth::cri
