// SPDX-License-Identifier: Apache-2.0
#include "sandbox/resource_class.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "test/support/status_matchers.h"

namespace berth::sandbox {
namespace {

Status Check(const StringMap& pod, const StringMap& container) {
  PodConfig pod_config;
  pod_config.annotations = pod;
  ContainerConfig config;
  config.metadata = {.name = "web"};
  config.annotations = container;
  return CheckResourceClasses(pod_config, config);
}

TEST(ResourceClassTest, WhoAsksForOneIsRefusedByName) {
  const std::pair<StringMap, StringMap> cases[] = {
      {{{"rdt.resources.beta.kubernetes.io/pod", "gold"}}, {}},
      {{{"rdt.resources.beta.kubernetes.io/container.web", "gold"}}, {}},
      {{{"blockio.resources.beta.kubernetes.io/pod", "gold"}}, {}},
      {{{"blockio.resources.beta.kubernetes.io/container.web", "gold"}}, {}},
      {{}, {{"io.kubernetes.cri.rdt-class", "gold"}}},
      {{}, {{"io.kubernetes.cri.blockio-class", "gold"}}},
  };
  for (const auto& [pod, container] : cases) {
    const std::string& key = (pod.empty() ? container : pod).begin()->first;
    EXPECT_THAT(Check(pod, container),
                StatusIs(absl::StatusCode::kFailedPrecondition,
                         testing::AllOf(testing::HasSubstr(key), testing::HasSubstr("gold"))));
  }
}

TEST(ResourceClassTest, NoClassAndOtherContainersAreFine) {
  EXPECT_OK(Check({}, {}));
  EXPECT_OK(Check({{"rdt.resources.beta.kubernetes.io/container.db", "gold"}}, {}));
  EXPECT_OK(Check({}, {{"io.kubernetes.cri.rdt-class", ""}}));
  // This container is taken out of its pod's class.
  EXPECT_OK(Check({{"rdt.resources.beta.kubernetes.io/pod", "gold"},
                   {"rdt.resources.beta.kubernetes.io/container.web", ""}},
                  {}));
}

}  // namespace
}  // namespace berth::sandbox
