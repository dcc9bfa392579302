// SPDX-License-Identifier: Apache-2.0
#include "sandbox/user_namespace.h"

#include "sandbox/spec_builder.h"
#include "test/support/status_matchers.h"

namespace berth::sandbox {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;

UserNamespace Good() { return {NamespaceMode::kPod, {{100000, 0, 65536}}, {{200000, 0, 65536}}}; }

PodConfig PodWith(const UserNamespace& userns) {
  PodConfig pod;
  pod.security.namespaces.userns = userns;
  return pod;
}

TEST(UserNamespace, OneMappingFromZeroOfOneLength) {
  NamespaceOptions options;
  EXPECT_OK(CheckUserNamespace(options));
  options.userns = Good();
  EXPECT_OK(CheckUserNamespace(options));
  options.userns->mode = NamespaceMode::kNode;
  options.userns->uids.clear();
  EXPECT_OK(CheckUserNamespace(options));
  auto refused = [](auto change, const char* why) {
    NamespaceOptions bad;
    bad.userns = Good();
    change(bad);
    EXPECT_THAT(CheckUserNamespace(bad),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(why)));
  };
  refused(
      [](auto& o) {
        o.userns->uids.push_back({5, 70000, 1});
      },
      "userns_options.uids: needs exactly one mapping, has 2");
  refused([](auto& o) { o.userns->gids.clear(); }, "userns_options.gids: needs exactly one");
  refused([](auto& o) { o.userns->uids[0].container_id = 1; }, "uids: does not map container ID 0");
  refused([](auto& o) { o.userns->uids[0].length = 0; }, "uids: maps no ID");
  refused([](auto& o) { o.userns->gids[0].length = 5; }, "gids: not as long as");
  refused([](auto& o) { o.userns->uids[0].host_id = 4294967295u - 65536; },
          "uids: reaches beyond the last ID");
  refused([](auto& o) { o.userns->mode = NamespaceMode::kContainer; }, "userns_options.mode");
  refused([](auto& o) { o.pid = NamespaceMode::kNode; }, "namespace_options.pid: NODE");
  refused([](auto& o) { o.ipc = NamespaceMode::kNode; }, "namespace_options.ipc: NODE");
}

TEST(UserNamespace, ContainersHaveTheirPods) {
  const PodConfig pod = PodWith(Good());
  ContainerConfig container;
  EXPECT_OK(CheckUserNamespaceOf(container, pod));
  container.security.namespaces.userns = Good();
  EXPECT_OK(CheckUserNamespaceOf(container, pod));
  EXPECT_THAT(CheckUserNamespaceOf(container, PodConfig()),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("not those of the pod")));
  container.security.namespaces.userns->uids[0].host_id++;
  EXPECT_THAT(CheckUserNamespaceOf(container, pod),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("not those of the pod")));
  container.security.namespaces.userns = UserNamespace{NamespaceMode::kNode, {}, {}};
  EXPECT_THAT(CheckUserNamespaceOf(container, pod),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("not those of the pod")));
  container.security.namespaces.userns.reset();
  container.security.namespaces.pid = NamespaceMode::kNode;
  EXPECT_THAT(CheckUserNamespaceOf(container, pod),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("pid: NODE")));
}

TEST(UserNamespace, MountsAreMappedAsThePod) {
  const UserNamespace userns = Good();
  ContainerConfig container;
  container.mounts.resize(2);
  container.mounts[1].uid_mappings = userns.uids;
  container.mounts[1].gid_mappings = userns.gids;
  EXPECT_OK(CheckUserNamespaceOf(container, PodWith(userns)));
  EXPECT_THAT(CheckUserNamespaceOf(container, PodConfig()),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("mounts[1].uidMappings")));
  container.mounts[1].gid_mappings[0].length--;
  EXPECT_THAT(CheckUserNamespaceOf(container, PodWith(userns)),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("mounts[1].gidMappings")));
  container.mounts[1].gid_mappings.clear();
  EXPECT_THAT(CheckUserNamespaceOf(container, PodWith(userns)),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("mounts[1].gidMappings")));
}

TEST(UserNamespace, DefaultMountsFollow) {
  UserNamespace small = Good();
  small.uids[0].length = small.gids[0].length = 5;
  PodConfig pod = PodWith(small);
  pod.security.namespaces.network = NamespaceMode::kNode;
  ContainerConfig container;
  const Handler handler{.name = "berth", .apparmor_profile = ""};
  const images::ImageConfig image;
  SpecInput input;
  input.handler = &handler;
  input.image = &image;
  input.pod = &pod;
  input.container = &container;
  ASSERT_OK_AND_ASSIGN(auto mounts, BuildMounts(input));
  int seen = 0;
  for (const auto& mount : mounts) {
    // Group 5 is not among five IDs.
    if (mount.destination == "/dev/pts") {
      ++seen;
      EXPECT_THAT(mount.options, Not(Contains("gid=5")));
    }
    // The node's network namespace does not lend its sysfs.
    if (mount.destination == "/sys") {
      ++seen;
      EXPECT_EQ(mount.type, "bind");
      EXPECT_THAT(mount.options, Contains("ro"));
    }
  }
  EXPECT_EQ(seen, 2);
  EXPECT_EQ(HostRoot(pod), std::pair(100000u, 200000u));
  EXPECT_EQ(HostRoot(PodConfig()), std::pair(0u, 0u));
}

}  // namespace
}  // namespace berth::sandbox
