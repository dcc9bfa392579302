// SPDX-License-Identifier: Apache-2.0
#include "network/network_conformance.h"

namespace berth::network {
namespace {

INSTANTIATE_TEST_SUITE_P(Fake, NetworkConformance,
                         testing::Values(ConformanceParam{
                             "fake", [] {},
                             []() -> StatusOr<std::unique_ptr<Network>> { return CreateFake(); },
                             [] { return UniqueFd(); }}));

}  // namespace
}  // namespace berth::network
