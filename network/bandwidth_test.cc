// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "base/json.h"
#include "network/network.h"
#include "network/test_namespace.h"
#include "test/support/status_matchers.h"

namespace berth::network {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

// The kernel ends namespaces, and the network removes what is left, in their own time.
constexpr absl::Duration kPatience = absl::Seconds(30);
constexpr Bandwidth kBoth = {.ingress = 8'000'000, .egress = 2'000'000};

std::string Shapers() { return RunForTest({"ip", "-brief", "link", "show", "type", "ifb"}); }
std::string Limits() { return RunForTest({"tc", "qdisc", "show"}); }

class BandwidthTest : public testing::Test {
 protected:
  void SetUp() override {
    EnterFreshNamespaceForTest();
    ASSERT_OK_AND_ASSIGN(network_, CreateBuiltin({}));
    ASSERT_OK(network_->Recover({}));
  }
  StatusOr<Lease> Attach(Bandwidth bandwidth) {
    netns_ = MakeNamespaceForTest();
    return network_->Attach(Context(), {PodId(1), netns_.get(), {}, bandwidth});
  }

  std::unique_ptr<Network> network_;
  UniqueFd netns_;
};

TEST_F(BandwidthTest, EachDirectionHasItsLimit) {
  ASSERT_OK_AND_ASSIGN(Lease lease, Attach(kBoth));
  EXPECT_EQ(lease.bandwidth.egress, kBoth.egress);
  EXPECT_THAT(RunForTest({"sh", "-c", "tc qdisc show | grep 'dev veth'"}),
              HasSubstr(" rate 8Mbit "));
  EXPECT_THAT(RunForTest({"sh", "-c", "tc qdisc show | grep 'dev ifb'"}),
              HasSubstr(" rate 2Mbit "));
  // What the pod sends passes the interface that limits it, and arrives.
  EchoForTest server(netns_.get(), SOCK_STREAM, 8000, "pod");
  EXPECT_EQ(AskForTest(-1, SOCK_STREAM, {lease.addresses.at(0), 8000}), "pod 10.88.0.1");
  ASSERT_OK_AND_ASSIGN(
      json::Value links,
      json::Parse(RunForTest({"ip", "-j", "-s", "link", "show", "type", "ifb"}), 1 << 20, "links"));
  ASSERT_EQ(links.as_array().size(), 1u);
  EXPECT_GE(links.as_array()[0].at("stats64").at("tx").at("packets").as_int64(), 3);
}

TEST_F(BandwidthTest, ARateBeyond32BitsIsKept) {
  ASSERT_OK(Attach({.ingress = 100'000'000'000, .egress = 0}).status());
  EXPECT_THAT(Limits(), HasSubstr(" rate 100Gbit "));
  EXPECT_THAT(Shapers(), IsEmpty());
}

TEST_F(BandwidthTest, WithoutALimitThereIsNone) {
  ASSERT_OK(Attach({}).status());
  EXPECT_THAT(Limits(), AllOf(Not(HasSubstr("tbf")), Not(HasSubstr("ingress"))));
  EXPECT_THAT(Shapers(), IsEmpty());
}

TEST_F(BandwidthTest, DetachLeavesNothing) {
  ASSERT_OK(Attach(kBoth).status());
  ASSERT_OK(network_->Detach(Context(), PodId(1)));
  netns_.reset();
  EXPECT_TRUE(WithinForTest(kPatience, [] { return Shapers().empty(); })) << Shapers();
  // At once again, while the old interface may still be on its way out.
  ASSERT_OK(Attach(kBoth).status());
  ASSERT_OK(network_->Detach(Context(), PodId(1)));
  ASSERT_OK(Attach(kBoth).status());
  EXPECT_THAT(Limits(), HasSubstr(" rate 2Mbit "));
}

TEST_F(BandwidthTest, RecoverKeepsThoseOfKnownPodsOnly) {
  ASSERT_OK_AND_ASSIGN(Lease lease, Attach(kBoth));
  network_.reset();
  ASSERT_OK_AND_ASSIGN(network_, CreateBuiltin({}));
  ASSERT_OK(network_->Recover({lease}));
  EXPECT_THAT(Limits(), HasSubstr(" rate 2Mbit "));
  ASSERT_OK(network_->Detach(Context(), lease.pod_id));
  EXPECT_TRUE(WithinForTest(kPatience, [] { return Shapers().empty(); })) << Shapers();

  ASSERT_OK(Attach(kBoth).status());
  network_.reset();
  ASSERT_OK_AND_ASSIGN(network_, CreateBuiltin({}));
  ASSERT_OK(network_->Recover({}));
  EXPECT_THAT(Shapers(), IsEmpty());
}

}  // namespace
}  // namespace berth::network
