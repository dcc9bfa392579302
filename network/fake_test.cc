// SPDX-License-Identifier: Apache-2.0
#include "network/network_conformance.h"
#include "network/ranged.h"

namespace berth::network {
namespace {

INSTANTIATE_TEST_SUITE_P(Ranged, NetworkConformance,
                         testing::Values(ConformanceParam{
                             "ranged", [] {},
                             [] {
                               return Ranged::Create(
                                   {},
                                   [](const BuiltinOptions&) -> StatusOr<std::unique_ptr<Network>> {
                                     return CreateFake();
                                   },
                                   [](const BuiltinOptions&) { return absl::OkStatus(); });
                             },
                             [] { return UniqueFd(); }}));
INSTANTIATE_TEST_SUITE_P(Fake, NetworkConformance,
                         testing::Values(ConformanceParam{
                             "fake", [] {},
                             []() -> StatusOr<std::unique_ptr<Network>> { return CreateFake(); },
                             [] { return UniqueFd(); }}));

}  // namespace
}  // namespace berth::network
