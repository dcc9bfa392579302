// SPDX-License-Identifier: Apache-2.0
#include "sandbox/pod_files.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"
#include "test/support/status_matchers.h"

namespace berth::sandbox {
namespace {

TEST(PodFiles, RendersResolvConf) {
  DnsConfig dns{{"10.0.0.1", "fd00::1"}, {"a.example", "b.example"}, {"ndots:5", "rotate"}};
  EXPECT_EQ(RenderResolvConf(dns),
            "search a.example b.example\nnameserver 10.0.0.1\nnameserver fd00::1\n"
            "options ndots:5 rotate\n");
  EXPECT_EQ(RenderResolvConf({}), "");
}

TEST(PodFiles, TheHostNameIsThePodsUnlessItUsesTheNodesNetwork) {
  PodConfig config;
  EXPECT_EQ(HostnameOf("0123456789abcdef", config), "0123456789ab");
  config.hostname = "web-0";
  EXPECT_EQ(HostnameOf("0123456789abcdef", config), "web-0");
  config.security.namespaces.network = NamespaceMode::kNode;
  char name[256] = "";
  ASSERT_EQ(gethostname(name, sizeof name), 0);
  EXPECT_EQ(HostnameOf("0123456789abcdef", config), name);
}

TEST(PodFiles, RefusesForgedLines) {
  for (const DnsConfig& dns :
       {DnsConfig{{"1.1.1.1\nnameserver 6.6.6.6"}, {}, {}}, DnsConfig{{}, {"a b"}, {}},
        DnsConfig{{}, {}, {"x\ty"}}, DnsConfig{{""}, {}, {}}}) {
    EXPECT_THAT(ValidateDns(dns), StatusIs(absl::StatusCode::kInvalidArgument,
                                           testing::HasSubstr("config.dns_config.")));
  }
}

TEST(PodFiles, WritesTheThreeFiles) {
  char pattern[] = "/tmp/berth-pod-files.XXXXXX";
  ASSERT_NE(mkdtemp(pattern), nullptr);
  std::string dir = std::string(pattern) + "/pod";
  PodConfig config;
  config.dns = DnsConfig{{"192.0.2.1"}, {}, {}};
  ASSERT_OK(WritePodFiles(dir, config, "web-0", /*host_network=*/false));
  ASSERT_OK(WriteHosts(dir, config, "web-0", {"192.0.2.9", "fd00::9"}));
  EXPECT_EQ(*ReadFile(dir + "/resolv.conf", 1000), "nameserver 192.0.2.1\n");
  EXPECT_EQ(*ReadFile(dir + "/hostname", 1000), "web-0\n");
  EXPECT_THAT(*ReadFile(dir + "/hosts", 1000), testing::HasSubstr("fd00::9\tweb-0\n"));
  EXPECT_OK(RemoveTree(AT_FDCWD, pattern));
}

}  // namespace
}  // namespace berth::sandbox
