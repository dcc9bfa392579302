// SPDX-License-Identifier: Apache-2.0
// What is refused at the edge, and in which words.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "cri/request_check.h"
#include "cri/test_configs.h"
#include "cri/translate_container.h"
#include "cri/translate_pod.h"
#include "test/support/status_matchers.h"

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"  // old clients send these

namespace berth::cri {
namespace {

using testing::HasSubstr;

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
      {"config.envs[0].value: with its key 131072 bytes",
       [](auto* c) { c->mutable_envs(0)->set_value(std::string(131072 - 4, 'x')); }},
      {"config.working_dir: longer than 4095 bytes",
       [](auto* c) { c->set_working_dir(std::string(4096, '/')); }},
      {"config.mounts[0].container_path: \"/a/../b\" contains ..",
       [](auto* c) { c->mutable_mounts(0)->set_container_path("/a/../b"); }},
      {"config.mounts[0].container_path: longer than 4095 bytes",
       [](auto* c) { c->mutable_mounts(0)->set_container_path(std::string(4095, 'x')); }},
      {"config.devices[0].container_path: \"dev/x\" is not an absolute path",
       [](auto* c) { c->mutable_devices(0)->set_container_path("dev/x"); }},
      {"config.devices[0].container_path: \"/dev/../etc\" contains ..",
       [](auto* c) { c->mutable_devices(0)->set_container_path("/dev/../etc"); }},
      {"config.log_path: \"/x\" is not a relative path", [](auto* c) { c->set_log_path("/x"); }},
      {"config.log_path: \"a/../../x\" contains ..", [](auto* c) { c->set_log_path("a/../../x"); }},
      {"config.stop_signal: unknown signal 66",
       [](auto* c) { c->set_stop_signal(static_cast<v1::Signal>(66)); }},
      {"config.linux.resources.cpu_period: -1 is below 0",
       [](auto* c) { c->mutable_linux()->mutable_resources()->set_cpu_period(-1); }},
      {"config.linux.resources.cpu_quota: -2 is below -1",
       [](auto* c) { c->mutable_linux()->mutable_resources()->set_cpu_quota(-2); }},
      {"config.linux.resources.cpu_period: 999 is not between 1000 and 1000000",
       [](auto* c) { c->mutable_linux()->mutable_resources()->set_cpu_period(999); }},
      {"config.linux.resources.cpu_period: 1000001 is not between",
       [](auto* c) { c->mutable_linux()->mutable_resources()->set_cpu_period(1000001); }},
      {"config.linux.resources.cpu_quota: 1 is below 1000",
       [](auto* c) { c->mutable_linux()->mutable_resources()->set_cpu_quota(1); }},
      {"config.linux.resources.cpu_shares: -1 is below 0",
       [](auto* c) { c->mutable_linux()->mutable_resources()->set_cpu_shares(-1); }},
      {"config.linux.resources.memory_limit_in_bytes: -2 is below -1",
       [](auto* c) { c->mutable_linux()->mutable_resources()->set_memory_limit_in_bytes(-2); }},
      {"config.linux.resources.memory_swap_limit_in_bytes: 9 is below memory_limit_in_bytes",
       [](auto* c) {
         c->mutable_linux()->mutable_resources()->set_memory_limit_in_bytes(10);
         c->mutable_linux()->mutable_resources()->set_memory_swap_limit_in_bytes(9);
       }},
      {"config.linux.resources.memory_swap_limit_in_bytes: limited while memory is not",
       [](auto* c) {
         c->mutable_linux()->mutable_resources()->set_memory_limit_in_bytes(-1);
         c->mutable_linux()->mutable_resources()->set_memory_swap_limit_in_bytes(9);
       }},
      {"config.linux.resources.cpuset_cpus: \"0-\" is not a list like 0-3,7",
       [](auto* c) { c->mutable_linux()->mutable_resources()->set_cpuset_cpus("0-"); }},
      {"config.linux.resources.cpuset_cpus: \"3-1\" is not",
       [](auto* c) { c->mutable_linux()->mutable_resources()->set_cpuset_cpus("3-1"); }},
      {"config.linux.resources.cpuset_cpus: \"65536\" is not",
       [](auto* c) { c->mutable_linux()->mutable_resources()->set_cpuset_cpus("65536"); }},
      {"config.linux.resources.cpuset_mems: \"0\\n1\" is not",
       [](auto* c) { c->mutable_linux()->mutable_resources()->set_cpuset_mems("0\n1"); }},
      {"config.linux.resources.hugepage_limits[0].page_size: \"../2MB\" is not a size like 2MB",
       [](auto* c) {
         c->mutable_linux()->mutable_resources()->mutable_hugepage_limits(0)->set_page_size(
             "../2MB");
       }},
      {"config.linux.resources.hugepage_limits[1].page_size: 2MB has a limit already",
       [](auto* c) {
         c->mutable_linux()->mutable_resources()->add_hugepage_limits()->set_page_size("2MB");
       }},
      {"config.linux.resources.unified[memory.high]: contains a control character",
       [](auto* c) {
         (*c->mutable_linux()->mutable_resources()->mutable_unified())["memory.high"] = "1\r";
       }},
      {"config.linux.resources.unified: \"a\\nb\" is not the name of a cgroup file",
       [](auto* c) {
         (*c->mutable_linux()->mutable_resources()->mutable_unified())["a\nb"] = "1";
       }},
      {"config.linux.security_context.masked_paths[0]: \"proc/kcore\" is not an absolute path",
       [](auto* c) {
         c->mutable_linux()->mutable_security_context()->add_masked_paths("proc/kcore");
       }},
      {"config.linux.security_context.readonly_paths[1]: \"/proc/../etc\" contains ..",
       [](auto* c) {
         c->mutable_linux()->mutable_security_context()->add_readonly_paths("/proc/sys");
         c->mutable_linux()->mutable_security_context()->add_readonly_paths("/proc/../etc");
       }},
      {"config.linux.security_context.run_as_user: 2147483648 is not between 0 and 2147483647",
       [](auto* c) {
         c->mutable_linux()->mutable_security_context()->mutable_run_as_user()->set_value(1ll
                                                                                          << 31);
       }},
      {"config.linux.security_context.seccomp_profile_path: \"localhost/x.json\" is none of",
       [](auto* c) {
         c->mutable_linux()->mutable_security_context()->set_seccomp_profile_path(
             "localhost/x.json");
       }},
      {"config.linux.security_context.apparmor_profile: \"localhost/\" is none of",
       [](auto* c) {
         c->mutable_linux()->mutable_security_context()->set_apparmor_profile("localhost/");
       }},
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
      {"config.linux.security_context.namespace_options.target_id: needs pid to be TARGET",
       [](auto* c) {
         c->mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_target_id(
             "id");
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
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(bad.message)))
        << bad.message;
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
      {"config.hostname: \"a\\nb\" holds what no host name does",
       [](auto* c) { c->set_hostname("a\nb"); }},
      {"config.log_directory: \"/a/../b\" contains ..",
       [](auto* c) { c->set_log_directory("/a/../b"); }},
      {"config.port_mappings[0].protocol: unknown protocol 3",
       [](auto* c) { c->mutable_port_mappings(0)->set_protocol(static_cast<v1::Protocol>(3)); }},
      {"config.port_mappings[0].host_port: 70000 is not a port",
       [](auto* c) { c->mutable_port_mappings(0)->set_host_port(70000); }},
      {"config.port_mappings[0].container_port: 0 is not a port",
       [](auto* c) {
         c->mutable_port_mappings(0)->set_host_port(80);
         c->mutable_port_mappings(0)->set_container_port(0);
       }},
      {"config.port_mappings[1].host_ip: \"localhost\" is not an IP address",
       [](auto* c) {
         c->add_port_mappings()->set_container_port(81);
         c->mutable_port_mappings(1)->set_host_ip("localhost");
       }},
      {"config.linux.cgroup_parent: \"/a/../../b\" contains ..",
       [](auto* c) { c->mutable_linux()->set_cgroup_parent("/a/../../b"); }},
      {"config.linux.cgroup_parent: \"/a\\nb\" contains a control character",
       [](auto* c) { c->mutable_linux()->set_cgroup_parent("/a\nb"); }},
      {"config.linux.sysctls: \"net.a\\x00\" contains a control character",
       [](auto* c) { (*c->mutable_linux()->mutable_sysctls())[std::string("net.a\0", 6)] = "1"; }},
      {"config.linux.sysctls[net.a]: contains a control character",
       [](auto* c) { (*c->mutable_linux()->mutable_sysctls())["net.a"] = "1\n2"; }},
      {"config.linux.security_context.namespace_options.pid: TARGET is for containers",
       [](auto* c) {
         c->mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_pid(
             v1::TARGET);
       }},
      {"config.linux.security_context.seccomp_profile_path: \"x\" is none of",
       [](auto* c) {
         c->mutable_linux()->mutable_security_context()->set_seccomp_profile_path("x");
       }},
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
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(bad.message)))
        << bad.message;
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
