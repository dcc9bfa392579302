// SPDX-License-Identifier: Apache-2.0
// What every implementation of Network promises, as a value-parameterised suite. Instantiate it
// with a name and a factory; kernel-backed implementations bring a namespace factory of their own.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <ostream>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/unique_fd.h"
#include "network/network.h"
#include "network/test_namespace.h"
#include "test/support/status_matchers.h"

namespace berth::network {

struct ConformanceParam {
  std::string name;
  // Puts the thread into a fresh environment in which `make` works.
  std::function<void()> prepare;
  std::function<StatusOr<std::unique_ptr<Network>>()> make;
  // A pod's namespace; an empty one will do where none is needed.
  std::function<UniqueFd()> make_netns;
};
inline void PrintTo(const ConformanceParam& param, std::ostream* out) { *out << param.name; }

class NetworkConformance : public testing::TestWithParam<ConformanceParam> {
 protected:
  void SetUp() override {
    GetParam().prepare();
    ASSERT_OK_AND_ASSIGN(network_, GetParam().make());
    ASSERT_OK(network_->Recover({}));
  }

  AttachRequest Request(unsigned number, std::vector<PortMapping> mappings = {}) {
    netns_.push_back(GetParam().make_netns());
    AttachRequest request;
    request.pod_id = PodId(number);
    request.netns_fd = netns_.back().get();
    request.port_mappings = std::move(mappings);
    return request;
  }

  Context context_;
  std::unique_ptr<Network> network_;
  std::vector<UniqueFd> netns_;
};

TEST_P(NetworkConformance, IsReadyAndAttachesWithDistinctAddresses) {
  EXPECT_TRUE(network_->GetStatus().ready);
  std::set<std::string> seen;
  for (unsigned pod = 1; pod <= 3; ++pod) {
    ASSERT_OK_AND_ASSIGN(Lease lease, network_->Attach(context_, Request(pod)));
    EXPECT_EQ(lease.pod_id, PodId(pod));
    EXPECT_EQ(lease.interface, "eth0");
    EXPECT_EQ(lease.mac.size(), 17u);
    ASSERT_FALSE(lease.addresses.empty());
    EXPECT_EQ(lease.addresses[0].find(':'), std::string::npos) << "IPv4 first";
    for (const std::string& address : lease.addresses) {
      EXPECT_TRUE(seen.insert(address).second) << address;
    }
  }
}

TEST_P(NetworkConformance, DetachIsIdempotentAndUnknownPodsAreFine) {
  EXPECT_OK(network_->Detach(context_, PodId(9)));
  ASSERT_OK(network_->Attach(context_, Request(1)));
  EXPECT_OK(network_->Detach(context_, PodId(1)));
  EXPECT_OK(network_->Detach(context_, PodId(1)));
}

TEST_P(NetworkConformance, TellsTheUsageOfAttachedPods) {
  for (unsigned pod = 1; pod <= 2; ++pod) ASSERT_OK(network_->Attach(context_, Request(pod)));
  ASSERT_OK_AND_ASSIGN(auto usage,
                       network_->ReadUsage({PodId(1), PodId(2), PodId(3)}, UsageDetail::kStats));
  ASSERT_EQ(usage.size(), 2u);
  EXPECT_EQ(usage[PodId(1)].name, "eth0");
  ASSERT_OK(network_->Detach(context_, PodId(1)));
  ASSERT_OK_AND_ASSIGN(usage, network_->ReadUsage({PodId(1)}, UsageDetail::kStats));
  EXPECT_TRUE(usage.empty());
  ASSERT_OK_AND_ASSIGN(usage, network_->ReadUsage({}, UsageDetail::kStats));
  EXPECT_TRUE(usage.empty());
}

TEST_P(NetworkConformance, AnAddressRestsBeforeItIsLeasedAgain) {
  ASSERT_OK_AND_ASSIGN(Lease first, network_->Attach(context_, Request(1)));
  ASSERT_OK(network_->Detach(context_, PodId(1)));
  netns_.clear();
  ASSERT_OK_AND_ASSIGN(Lease second, network_->Attach(context_, Request(2)));
  EXPECT_NE(first.addresses, second.addresses);
}

TEST_P(NetworkConformance, APortBelongsToOnePod) {
  PortMapping mapping{Protocol::kTcp, 80, 8080, ""};
  ASSERT_OK_AND_ASSIGN(Lease lease, network_->Attach(context_, Request(1, {mapping})));
  ASSERT_EQ(lease.port_mappings.size(), 1u);
  EXPECT_EQ(lease.port_mappings[0].host_port, 8080);
  EXPECT_THAT(network_->Attach(context_, Request(2, {mapping})),
              StatusIs(absl::StatusCode::kAlreadyExists, testing::HasSubstr("TCP *:8080")));
  // The wildcard overlaps every address.
  EXPECT_THAT(network_->Attach(context_, Request(2, {{Protocol::kTcp, 80, 8080, "192.0.2.77"}})),
              StatusIs(absl::StatusCode::kAlreadyExists, testing::HasSubstr("192.0.2.77:8080")));
  // Another protocol is another port; a failed Attach holds nothing.
  EXPECT_OK(network_->Attach(context_, Request(2, {{Protocol::kUdp, 80, 8080, ""}})));
  ASSERT_OK(network_->Detach(context_, PodId(1)));
  EXPECT_OK(network_->Attach(context_, Request(3, {mapping})));
}

TEST_P(NetworkConformance, DifferentHostAddressesShareAPort) {
  EXPECT_OK(network_->Attach(context_, Request(1, {{Protocol::kTcp, 80, 53, "192.0.2.77"}})));
  EXPECT_OK(network_->Attach(context_, Request(2, {{Protocol::kTcp, 80, 53, "192.0.2.78"}})));
}

TEST_P(NetworkConformance, RefusesBadRequests) {
  using absl::StatusCode;
  auto attach = [&](PortMapping mapping) {
    return network_->Attach(context_, Request(1, {std::move(mapping)}));
  };
  EXPECT_THAT(attach({Protocol::kTcp, 0, 80, ""}),
              StatusIs(StatusCode::kInvalidArgument,
                       testing::HasSubstr("port_mappings[0].container_port")));
  EXPECT_THAT(
      attach({Protocol::kTcp, 80, 0, ""}),
      StatusIs(StatusCode::kInvalidArgument, testing::HasSubstr("port_mappings[0].host_port")));
  EXPECT_THAT(attach({Protocol::kTcp, 80, 80, "localhost"}),
              StatusIs(StatusCode::kInvalidArgument, testing::HasSubstr("localhost")));
  EXPECT_THAT(network_->Attach(context_, Request(1, {{Protocol::kTcp, 80, 80, ""},
                                                     {Protocol::kTcp, 81, 80, ""}})),
              StatusIs(StatusCode::kInvalidArgument, testing::HasSubstr("twice")));
  AttachRequest request = Request(1);
  request.pod_id = "../etc";
  EXPECT_THAT(network_->Attach(context_, request),
              StatusIs(StatusCode::kInvalidArgument, testing::HasSubstr("pod_id")));
  EXPECT_THAT(network_->Detach(context_, ""),
              StatusIs(StatusCode::kInvalidArgument, testing::HasSubstr("pod_id")));
  // Nothing of all that stayed behind.
  EXPECT_OK(network_->TearDown());
}

TEST_P(NetworkConformance, AttachAgainStartsOver) {
  AttachRequest request = Request(1, {{Protocol::kTcp, 80, 8080, ""}});
  ASSERT_OK(network_->Attach(context_, request));
  request.port_mappings = {{Protocol::kTcp, 80, 8081, ""}};
  ASSERT_OK(network_->Attach(context_, request));
  EXPECT_OK(network_->Attach(context_, Request(2, {{Protocol::kTcp, 80, 8080, ""}})));
}

TEST_P(NetworkConformance, ACancelledContextAttachesNothing) {
  std::stop_source source;
  source.request_stop();
  Context cancelled(absl::InfiniteFuture(), source.get_token());
  EXPECT_THAT(network_->Attach(cancelled, Request(1)),
              StatusIs(absl::StatusCode::kCancelled, testing::_));
  EXPECT_OK(network_->TearDown());
}

TEST_P(NetworkConformance, TearDownWaitsForPods) {
  ASSERT_OK(network_->Attach(context_, Request(1)));
  EXPECT_THAT(network_->TearDown(),
              StatusIs(absl::StatusCode::kFailedPrecondition, testing::HasSubstr("1 pods")));
  ASSERT_OK(network_->Detach(context_, PodId(1)));
  EXPECT_OK(network_->TearDown());
  EXPECT_FALSE(network_->GetStatus().ready);
  EXPECT_FALSE(network_->GetStatus().reason.empty());
}

TEST_P(NetworkConformance, RangesChangeWhileNoPodIsAttached) {
  using absl::StatusCode;
  EXPECT_THAT(network_->SetRanges({}), StatusIs(StatusCode::kUnimplemented, testing::_));
  EXPECT_THAT(network_->SetRanges({"fd00::/64"}), StatusIs(StatusCode::kUnimplemented, testing::_));
  EXPECT_THAT(network_->SetRanges({"198.51.100.0/33"}),
              StatusIs(StatusCode::kInvalidArgument, testing::HasSubstr("198.51.100.0/33")));
  EXPECT_THAT(network_->SetRanges({"198.51.100.0/24", "203.0.113.0/24"}),
              StatusIs(StatusCode::kInvalidArgument, testing::HasSubstr("same family")));
  ASSERT_OK(network_->Attach(context_, Request(1)));
  EXPECT_THAT(network_->SetRanges({"198.51.100.0/24"}),
              StatusIs(StatusCode::kFailedPrecondition, testing::HasSubstr("1 pods")));
  ASSERT_OK(network_->Detach(context_, PodId(1)));
  EXPECT_OK(network_->SetRanges({"198.51.100.0/24"}));
  EXPECT_TRUE(network_->GetStatus().ready);
  EXPECT_OK(network_->Attach(context_, Request(2)));
}

TEST_P(NetworkConformance, RecoveredLeasesKeepAddressAndPorts) {
  ASSERT_OK_AND_ASSIGN(Lease kept,
                       network_->Attach(context_, Request(1, {{Protocol::kTcp, 80, 8080, ""}})));
  ASSERT_OK(network_->Attach(context_, Request(2, {{Protocol::kTcp, 80, 8081, ""}})));
  network_.reset();
  ASSERT_OK_AND_ASSIGN(network_, GetParam().make());
  ASSERT_OK(network_->Recover({kept}));
  EXPECT_THAT(network_->Attach(context_, Request(3, {{Protocol::kTcp, 80, 8080, ""}})),
              StatusIs(absl::StatusCode::kAlreadyExists, testing::HasSubstr(PodId(1))));
  for (unsigned pod = 3; pod < 8; ++pod) {
    ASSERT_OK_AND_ASSIGN(Lease lease, network_->Attach(context_, Request(pod)));
    EXPECT_NE(lease.addresses, kept.addresses);
  }
  // The port of a pod that nobody remembered is free.
  EXPECT_OK(network_->Attach(context_, Request(20, {{Protocol::kTcp, 80, 8081, ""}})));
}

}  // namespace berth::network
