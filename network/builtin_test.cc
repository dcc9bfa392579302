// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <iterator>
#include <sstream>
#include <thread>

#include "absl/time/clock.h"
#include "base/json.h"
#include "base/netns_thread.h"
#include "network/network_conformance.h"
#include "network/test_namespace.h"
#include "test/support/paths.h"

namespace berth::network {
namespace {

using testing::HasSubstr;
using testing::Not;

ConformanceParam BuiltinParam() {
  return {"builtin", EnterFreshNamespaceForTest, [] { return CreateBuiltin({}); },
          MakeNamespaceForTest};
}
INSTANTIATE_TEST_SUITE_P(Builtin, NetworkConformance, testing::Values(BuiltinParam()));

std::string Links() { return RunForTest({"ip", "-o", "link"}); }
std::string Table() { return RunForTest({"nft", "list", "table", "inet", "berth"}); }

// The kernel ends namespaces one after the other, in its own time.
bool VethsGoAway() {
  return WithinForTest(absl::Seconds(30), [] { return Links().find("veth") == std::string::npos; });
}

struct TestPod {
  UniqueFd netns;
  Lease lease;
  std::string v4() const { return lease.addresses.at(0); }
  std::string v6() const { return lease.addresses.at(1); }
};

class BuiltinTest : public testing::Test {
 protected:
  void SetUp() override { EnterFreshNamespaceForTest(); }

  void Make(const BuiltinOptions& options = {}) {
    ASSERT_OK_AND_ASSIGN(network_, CreateBuiltin(options));
    ASSERT_OK(network_->Recover({}));
  }
  TestPod Attach(unsigned number, std::vector<PortMapping> mappings = {}) {
    TestPod pod;
    pod.netns = MakeNamespaceForTest();
    auto lease = network_->Attach(context_, {PodId(number), pod.netns.get(), std::move(mappings)});
    EXPECT_OK(lease);
    if (lease.ok()) pod.lease = *lease;
    return pod;
  }

  Context context_;
  std::unique_ptr<Network> network_;
};

// A second machine: a namespace joined to this one by a veth, 198.51.100.1 and 2001:db8::1 here,
// .2 and ::2 there, without any route to the pods.
UniqueFd MakeOutside() {
  UniqueFd outside = MakeNamespaceForTest();
  std::string path = absl::StrCat("/proc/", getpid(), "/fd/", outside.get());
  RunForTest({"ip", "link", "add", "up0", "type", "veth", "peer", "name", "out0", "netns", path});
  RunForTest({"ip", "addr", "add", "198.51.100.1/24", "dev", "up0"});
  RunForTest({"ip", "addr", "add", "2001:db8::1/64", "dev", "up0", "nodad"});
  RunForTest({"ip", "link", "set", "up0", "up"});
  RunInForTest(outside.get(), {"ip", "addr", "add", "198.51.100.2/24", "dev", "out0"});
  RunInForTest(outside.get(), {"ip", "addr", "add", "2001:db8::2/64", "dev", "out0", "nodad"});
  RunInForTest(outside.get(), {"ip", "link", "set", "out0", "up"});
  return outside;
}

TEST_F(BuiltinTest, PodsReachEachOtherAndTheGateway) {
  Make();
  TestPod one = Attach(1);
  TestPod two = Attach(2);
  EchoForTest server(two.netns.get(), SOCK_STREAM, 8000, "two");
  EXPECT_EQ(AskForTest(one.netns.get(), SOCK_STREAM, {two.v4(), 8000}), "two " + one.v4());
  EXPECT_EQ(AskForTest(one.netns.get(), SOCK_STREAM, {two.v6(), 8000}), "two " + one.v6());
  EXPECT_EQ(AskForTest(two.netns.get(), SOCK_STREAM, {"127.0.0.1", 8000}), "two 127.0.0.1");
  // The host reaches pods, from the gateway's address.
  EXPECT_EQ(AskForTest(-1, SOCK_STREAM, {two.v4(), 8000}), "two 10.88.0.1");
  EXPECT_EQ(AskForTest(-1, SOCK_STREAM, {two.v6(), 8000}), "two fd42:be54::1");
  // No address is tentative: a server may bind as its first act.
  EXPECT_THAT(RunInForTest(one.netns.get(), {"ip", "-6", "addr", "show", "eth0"}),
              testing::AllOf(HasSubstr(one.v6()), Not(HasSubstr("tentative"))));
  EXPECT_THAT(RunInForTest(one.netns.get(), {"ip", "link", "show", "eth0"}),
              HasSubstr(one.lease.mac));
}

TEST_F(BuiltinTest, CountersAreThoseThatThePodSees) {
  Make();
  TestPod one = Attach(1);
  TestPod two = Attach(2);
  EchoForTest server(two.netns.get(), SOCK_STREAM, 8000, "two");
  EXPECT_EQ(AskForTest(one.netns.get(), SOCK_STREAM, {two.v4(), 8000}), "two " + one.v4());
  // What else the kernel sends by itself (neighbours, groups) goes on, so the pod is asked before
  // and after.
  auto counter = [&](size_t column) {
    const std::string table = RunInForTest(one.netns.get(), {"cat", "/proc/net/dev"});
    std::istringstream line(table.substr(table.find("eth0:") + 5));
    uint64_t value = 0;
    for (size_t i = 0; i <= column; ++i) line >> value;
    return value;
  };
  constexpr size_t kReceived = 0, kSent = 8;
  const auto rx = counter(kReceived), tx = counter(kSent);
  EXPECT_GT(rx, 0u);
  EXPECT_GT(tx, 0u);
  // One pod, many with everything, and many without what was dropped: different questions.
  const std::vector<std::string> alone = {PodId(1)}, both = {PodId(1), PodId(2)};
  for (const auto& [pods, detail] :
       {std::pair(alone, UsageDetail::kStats), std::pair(both, UsageDetail::kStats),
        std::pair(alone, UsageDetail::kAll), std::pair(both, UsageDetail::kAll)}) {
    ASSERT_OK_AND_ASSIGN(auto usage, network_->ReadUsage(pods, detail));
    ASSERT_EQ(usage.size(), pods.size());
    const InterfaceUsage& eth0 = usage[PodId(1)];
    EXPECT_EQ(eth0.name, "eth0");
    EXPECT_GE(eth0.rx_bytes, rx);
    EXPECT_LE(eth0.rx_bytes, counter(kReceived));
    EXPECT_GE(eth0.tx_bytes, tx);
    EXPECT_LE(eth0.tx_bytes, counter(kSent));
    EXPECT_GT(eth0.rx_packets, 0u);
    EXPECT_GT(eth0.tx_packets, 0u);
    EXPECT_EQ(eth0.rx_errors, 0u);
  }
}

TEST_F(BuiltinTest, PodsAreMasqueradedToTheOutsideOnly) {
  Make();
  UniqueFd outside = MakeOutside();
  TestPod pod = Attach(1);
  EchoForTest server(outside.get(), SOCK_STREAM, 8000, "outside");
  EXPECT_EQ(AskForTest(pod.netns.get(), SOCK_STREAM, {"198.51.100.2", 8000}),
            "outside 198.51.100.1");
  EXPECT_EQ(AskForTest(pod.netns.get(), SOCK_STREAM, {"2001:db8::2", 8000}), "outside 2001:db8::1");
}

TEST_F(BuiltinTest, HostPortsAnswerEverywhere) {
  Make();
  UniqueFd outside = MakeOutside();
  TestPod pod = Attach(1, {{Protocol::kTcp, 8000, 80, ""},
                           {Protocol::kUdp, 8000, 53, ""},
                           {Protocol::kTcp, 8000, 81, "198.51.100.1"},
                           {Protocol::kTcp, 8000, 82, "127.0.0.1"}});
  TestPod other = Attach(2);
  EchoForTest tcp(pod.netns.get(), SOCK_STREAM, 8000, "pod");
  EchoForTest udp(pod.netns.get(), SOCK_DGRAM, 8000, "pod");
  auto ask = [](int netns, const char* address, uint16_t port, int type = SOCK_STREAM) {
    return AskForTest(netns, type, {address, port});
  };
  // From the outside, with the client's address kept.
  EXPECT_EQ(ask(outside.get(), "198.51.100.1", 80), "pod 198.51.100.2");
  EXPECT_EQ(ask(outside.get(), "2001:db8::1", 80), "pod 2001:db8::2");
  EXPECT_EQ(ask(outside.get(), "198.51.100.1", 53, SOCK_DGRAM), "pod 198.51.100.2");
  EXPECT_EQ(ask(outside.get(), "198.51.100.1", 81), "pod 198.51.100.2");
  EXPECT_THAT(ask(outside.get(), "2001:db8::1", 81), HasSubstr("error"));
  EXPECT_THAT(ask(outside.get(), "198.51.100.1", 82), HasSubstr("error"));
  // From the host itself.
  EXPECT_EQ(ask(-1, "127.0.0.1", 80), "pod 10.88.0.1");
  EXPECT_EQ(ask(-1, "127.0.0.1", 82), "pod 10.88.0.1");
  EXPECT_EQ(ask(-1, "127.0.0.1", 53, SOCK_DGRAM), "pod 10.88.0.1");
  EXPECT_EQ(ask(-1, "198.51.100.1", 81), "pod 198.51.100.1");
  EXPECT_THAT(ask(-1, "127.0.0.1", 81), HasSubstr("error"));
  // From another pod and from the pod itself.
  EXPECT_EQ(ask(other.netns.get(), "10.88.0.1", 80), "pod 10.88.0.1");
  EXPECT_EQ(ask(pod.netns.get(), "10.88.0.1", 80), "pod 10.88.0.1");
  EXPECT_EQ(ask(pod.netns.get(), "fd42:be54::1", 80), "pod fd42:be54::1");
  // After Detach nothing answers, not even to a flow that was tracked.
  ASSERT_OK(network_->Detach(context_, PodId(1)));
  EXPECT_THAT(ask(outside.get(), "198.51.100.1", 80), HasSubstr("error"));
  EXPECT_THAT(ask(-1, "127.0.0.1", 53, SOCK_DGRAM), HasSubstr("error"));
  EXPECT_THAT(Table(), Not(HasSubstr(pod.v4())));
}

TEST_F(BuiltinTest, AUdpClientThatKeepsSendingFollowsThePort) {
  Make();
  UniqueFd outside = MakeOutside();
  TestPod one = Attach(1, {{Protocol::kUdp, 8000, 53, ""}});
  EchoForTest first(one.netns.get(), SOCK_DGRAM, 8000, "one");
  FlowForTest flow(outside.get(), {"198.51.100.1", 53});
  EXPECT_EQ(flow.Ask(), "one 198.51.100.2");
  ASSERT_OK(network_->Detach(context_, PodId(1)));
  TestPod two = Attach(2, {{Protocol::kUdp, 8000, 53, ""}});
  EchoForTest second(two.netns.get(), SOCK_DGRAM, 8000, "two");
  EXPECT_EQ(flow.Ask(), "two 198.51.100.2");
}

TEST_F(BuiltinTest, LoopbackOfTheHostIsClosedToPods) {
  Make();
  TestPod pod = Attach(1);
  UniqueFd self(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  EchoForTest host(self.get(), SOCK_STREAM, 9000, "host");
  ASSERT_EQ(AskForTest(-1, SOCK_STREAM, {"127.0.0.1", 9000}), "host 127.0.0.1");
  // CVE-2020-8558: a pod routes 127.0.0.1 to the node and answers to martians are allowed there.
  int netns = pod.netns.get();
  RunInForTest(netns, {"ip", "link", "set", "lo", "down"});
  RunInForTest(netns, {"sysctl", "-qw", "net.ipv4.conf.eth0.route_localnet=1"});
  RunInForTest(netns, {"ip", "route", "flush", "table", "local"});
  RunInForTest(netns, {"ip", "route", "add", "local", pod.v4(), "dev", "eth0", "table", "local"});
  RunInForTest(netns, {"ip", "route", "add", "127.0.0.1", "via", "10.88.0.1", "dev", "eth0", "src",
                       pod.v4()});
  EXPECT_THAT(AskForTest(netns, SOCK_STREAM, {"127.0.0.1", 9000}), HasSubstr("error"));
  // The same attack works once the guard is gone, so the test can fail.
  RunForTest({"nft", "flush", "chain", "inet", "berth", "guard"});
  EXPECT_THAT(AskForTest(netns, SOCK_STREAM, {"127.0.0.1", 9000}), HasSubstr("host"));
}

TEST_F(BuiltinTest, TheLoopbackOptionIsHonoured) {
  BuiltinOptions options;
  options.loopback_host_ports = false;
  Make(options);
  UniqueFd outside = MakeOutside();
  TestPod pod = Attach(1, {{Protocol::kTcp, 8000, 80, ""}});
  EchoForTest tcp(pod.netns.get(), SOCK_STREAM, 8000, "pod");
  EXPECT_EQ(AskForTest(outside.get(), SOCK_STREAM, {"198.51.100.1", 80}), "pod 198.51.100.2");
  EXPECT_THAT(AskForTest(-1, SOCK_STREAM, {"127.0.0.1", 80}), HasSubstr("error"));
  EXPECT_THAT(network_->Attach(context_, {PodId(2), -1, {{Protocol::kTcp, 1, 2, "127.0.0.1"}}}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("loopback_host_ports")));
}

TEST_F(BuiltinTest, AFullRangeIsNamedAndAnAddressComesBack) {
  BuiltinOptions options;
  options.subnet_v4 = "10.99.0.0/30";
  Make(options);
  TestPod pod = Attach(1);
  EXPECT_EQ(pod.v4(), "10.99.0.2");
  UniqueFd netns = MakeNamespaceForTest();
  EXPECT_THAT(network_->Attach(context_, {PodId(2), netns.get(), {}}),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("10.99.0.0/30")));
  // Attach waits for the kernel to confirm the removal, whoever brings it about.
  ASSERT_OK(network_->Detach(context_, PodId(1)));
  ASSERT_OK_AND_ASSIGN(Lease again, network_->Attach(context_, {PodId(2), netns.get(), {}}));
  EXPECT_EQ(again.addresses[0], "10.99.0.2");
  EXPECT_THAT(RunInForTest(pod.netns.get(), {"ip", "-o", "link"}), Not(HasSubstr("eth0")));
}

TEST_F(BuiltinTest, DetachDoesNotWaitAndLeavesNothing) {
  Make();
  TestPod dying = Attach(1);
  TestPod held = Attach(2);
  ASSERT_OK(network_->Detach(context_, PodId(1)));
  ASSERT_OK(network_->Detach(context_, PodId(2)));
  dying.netns.reset();
  // The second namespace is still held by us.
  EXPECT_TRUE(VethsGoAway()) << Links();
}

TEST_F(BuiltinTest, AFailedAttachLeavesNothing) {
  Make();
  UniqueFd netns = MakeNamespaceForTest();
  RunInForTest(netns.get(), {"ip", "link", "add", "eth0", "type", "bridge"});
  EXPECT_THAT(network_->Attach(context_, {PodId(1), netns.get(), {{Protocol::kTcp, 1, 80, ""}}}),
              StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr("veth")));
  UniqueFd file(open("/dev/null", O_RDONLY | O_CLOEXEC));
  EXPECT_FALSE(network_->Attach(context_, {PodId(1), file.get(), {}}).ok());
  EXPECT_THAT(Links(), Not(HasSubstr("veth")));
  EXPECT_THAT(Table(), Not(HasSubstr("10.88.0.2")));
  TestPod next = Attach(2, {{Protocol::kTcp, 1, 80, ""}});
  EXPECT_OK(network_->Detach(context_, PodId(2)));
  EXPECT_OK(network_->TearDown());
}

TEST_F(BuiltinTest, ManyPodsInParallelLeaveNothing) {
  Make();
  constexpr unsigned kPods = 64, kThreads = 8;
  std::vector<UniqueFd> netns(kPods);
  for (UniqueFd& fd : netns) fd = MakeNamespaceForTest();
  std::vector<std::string> addresses(kPods);
  auto in_parallel = [&](const std::function<void(unsigned)>& each) {
    std::atomic<unsigned> next = 0;
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < kThreads; ++i) {
      threads.emplace_back([&] {
        for (unsigned pod = next++; pod < kPods; pod = next++) each(pod);
      });
    }
    for (std::thread& thread : threads) thread.join();
  };
  in_parallel([&](unsigned pod) {
    auto port = static_cast<uint16_t>(10000 + pod);
    auto lease = network_->Attach(context_,
                                  {PodId(pod), netns[pod].get(), {{Protocol::kTcp, 80, port, ""}}});
    ASSERT_OK(lease);
    addresses[pod] = lease->addresses[0];
  });
  EXPECT_EQ(std::set<std::string>(addresses.begin(), addresses.end()).size(), kPods);
  in_parallel([&](unsigned pod) { ASSERT_OK(network_->Detach(context_, PodId(pod))); });
  netns.clear();
  EXPECT_TRUE(VethsGoAway()) << Links();
  EXPECT_THAT(Table(), Not(HasSubstr("tcp . 10")));
  EXPECT_OK(network_->TearDown());
  EXPECT_THAT(Links(), Not(HasSubstr("berth0")));
  EXPECT_EQ(RunForTest({"nft", "list", "tables"}), "");
}

TEST_F(BuiltinTest, RecoverRemovesUnknownPodsOfThisInstanceOnly) {
  Make();
  BuiltinOptions other_options;
  other_options.instance = "other";
  other_options.subnet_v4 = "10.89.0.0/16";
  other_options.subnet_v6 = "fd42:be55::/64";
  ASSERT_OK_AND_ASSIGN(auto other, CreateBuiltin(other_options));
  ASSERT_OK(other->Recover({}));
  TestPod known = Attach(1, {{Protocol::kTcp, 8000, 80, ""}});
  TestPod unknown = Attach(2, {{Protocol::kTcp, 8000, 81, ""}});
  TestPod also_unknown = Attach(3);
  UniqueFd foreign = MakeNamespaceForTest();
  ASSERT_OK(other->Attach(context_, {PodId(2), foreign.get(), {{Protocol::kTcp, 1, 82, ""}}}));
  EchoForTest tcp(known.netns.get(), SOCK_STREAM, 8000, "known");

  network_.reset();  // a crash: nothing is told to the kernel
  ASSERT_OK_AND_ASSIGN(network_, CreateBuiltin({}));
  // Host ports work in between.
  EXPECT_EQ(AskForTest(-1, SOCK_STREAM, {"127.0.0.1", 80}), "known 10.88.0.1");
  ASSERT_OK(network_->Recover({known.lease}));
  EXPECT_EQ(AskForTest(-1, SOCK_STREAM, {"127.0.0.1", 80}), "known 10.88.0.1");
  EXPECT_THAT(RunInForTest(known.netns.get(), {"ip", "-o", "link"}), HasSubstr("eth0"));
  EXPECT_THAT(RunInForTest(unknown.netns.get(), {"ip", "-o", "link"}), Not(HasSubstr("eth0")));
  EXPECT_THAT(RunInForTest(also_unknown.netns.get(), {"ip", "-o", "link"}), Not(HasSubstr("eth0")));
  EXPECT_THAT(RunInForTest(foreign.get(), {"ip", "-o", "link"}), HasSubstr("eth0"));
  EXPECT_THAT(Table(), Not(HasSubstr(unknown.v4())));
  EXPECT_THAT(RunForTest({"nft", "list", "table", "inet", "other"}), HasSubstr("10.89.0.2"));
  // A pod of before the crash is detached from its ID.
  ASSERT_OK(network_->Detach(context_, PodId(1)));
  known.netns.reset();
  ASSERT_OK(other->Detach(context_, PodId(2)));
  EXPECT_TRUE(VethsGoAway()) << Links();
}

TEST_F(BuiltinTest, AnOverlapIsRefusedAndNamed) {
  RunForTest({"ip", "link", "add", "lan0", "type", "bridge"});
  RunForTest({"ip", "addr", "add", "10.88.7.1/24", "dev", "lan0"});
  RunForTest({"ip", "link", "set", "lan0", "up"});
  EXPECT_THAT(CreateBuiltin({}),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("10.88.7.0/24")));
  EXPECT_THAT(Links(), Not(HasSubstr("berth0")));
}

TEST_F(BuiltinTest, TheMtuFollowsTheDefaultRoute) {
  RunForTest({"ip", "link", "add", "lan0", "mtu", "1400", "type", "bridge"});
  RunForTest({"ip", "addr", "add", "198.51.100.1/24", "dev", "lan0"});
  RunForTest({"ip", "link", "set", "lan0", "up"});
  RunForTest({"ip", "route", "add", "default", "via", "198.51.100.2"});
  Make();
  TestPod pod = Attach(1);
  EXPECT_THAT(RunInForTest(pod.netns.get(), {"ip", "link", "show", "eth0"}), HasSubstr("mtu 1400"));
}

TEST_F(BuiltinTest, StatusTellsOfForwardingAndOfALostBridge) {
  RunForTest({"sysctl", "-qw", "net.ipv4.ip_forward=0"});
  Make();
  EXPECT_THAT(network_->GetStatus().message, HasSubstr("ip_forward"));
  RunForTest({"ip", "link", "del", "berth0"});
  EXPECT_TRUE(WithinForTest(absl::Seconds(1), [&] { return !network_->GetStatus().ready; }));
  EXPECT_EQ(network_->GetStatus().reason, "BridgeGone");
}

TEST_F(BuiltinTest, AFlushedRuleSetIsRebuiltByTheNextHostPort) {
  Make();
  TestPod one = Attach(1, {{Protocol::kTcp, 8000, 80, ""}});
  EchoForTest tcp(one.netns.get(), SOCK_STREAM, 8000, "one");
  RunForTest({"nft", "flush", "ruleset"});
  TestPod two = Attach(2, {{Protocol::kTcp, 8000, 81, ""}});
  EXPECT_EQ(AskForTest(-1, SOCK_STREAM, {"127.0.0.1", 80}), "one 10.88.0.1");
  RunForTest({"nft", "flush", "ruleset"});
  EXPECT_OK(network_->Detach(context_, PodId(2)));
  EXPECT_EQ(AskForTest(-1, SOCK_STREAM, {"127.0.0.1", 80}), "one 10.88.0.1");
}

TEST_F(BuiltinTest, WorksWithoutIpv6Range) {
  BuiltinOptions options;
  options.subnet_v6 = "";
  Make(options);
  TestPod pod = Attach(1, {{Protocol::kTcp, 8000, 80, ""}});
  EXPECT_EQ(pod.lease.addresses.size(), 1u);
  EchoForTest tcp(pod.netns.get(), SOCK_STREAM, 8000, "pod");
  EXPECT_EQ(AskForTest(-1, SOCK_STREAM, {"127.0.0.1", 80}), "pod 10.88.0.1");
}

// CVE-2020-10749: a neighbour's router advertisement takes over the traffic of pods that have no
// IPv6 address of their own.
TEST_F(BuiltinTest, NoNeighbourBecomesARouter) {
  BuiltinOptions without_v6;
  without_v6.subnet_v6 = "";
  for (const BuiltinOptions& options : {BuiltinOptions(), without_v6}) {
    network_.reset();
    EnterFreshNamespaceForTest();
    Make(options);
    TestPod pod = Attach(1);
    for (const char* name : {"accept_ra", "autoconf"}) {
      const std::string file = std::string("/proc/sys/net/ipv6/conf/eth0/") + name;
      EXPECT_EQ(RunInForTest(pod.netns.get(), {"cat", file}), "0\n") << name;
    }
  }
}

TEST_F(BuiltinTest, LoopbackAloneComesUp) {
  UniqueFd netns = MakeNamespaceForTest();
  ASSERT_OK(BringUpLoopback(netns.get()));
  EXPECT_THAT(RunInForTest(netns.get(), {"ip", "link", "show", "lo"}), HasSubstr("LOWER_UP"));
}

std::string ReadGolden(const std::string& name) {
  std::ifstream in(TestSourceDir() + "/network/testdata/" + name);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

TEST_F(BuiltinTest, TheTableMatchesItsGoldenFile) {
  Make();
  TestPod pod = Attach(1, {{Protocol::kTcp, 8000, 80, ""},
                           {Protocol::kUdp, 8001, 53, "198.51.100.1"},
                           {Protocol::kSctp, 8002, 90, "2001:db8::1"}});
  // One object a line, without the handles, which change.
  std::string json = RunForTest({"nft", "-j", "list", "table", "inet", "berth"});
  ASSERT_OK_AND_ASSIGN(json::Value value, json::Parse(json, 1 << 20, "nft listing"));
  std::string listing;
  for (json::Value& entry : value.as_object()["nftables"].as_array()) {
    auto& member = *entry.as_object().begin();
    if (member.key() == "metainfo") continue;
    member.value().as_object().erase("handle");
    absl::StrAppend(&listing, json::Serialize(entry), "\n");
  }
  if (getenv("BERTH_UPDATE_GOLDEN") != nullptr) {
    std::ofstream(TestSourceDir() + "/network/testdata/table.json") << listing;
  }
  EXPECT_EQ(listing, ReadGolden("table.json"));
}

}  // namespace
}  // namespace berth::network

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (geteuid() != 0) {
    fprintf(stderr, "needs root\n");
    return 77;
  }
  return RUN_ALL_TESTS();
}
