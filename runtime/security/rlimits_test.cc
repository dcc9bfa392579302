// SPDX-License-Identifier: Apache-2.0
#include "runtime/security/rlimits.h"

#include <sys/resource.h>

#include "test/support/status_matchers.h"

namespace berth::runtime {
namespace {

TEST(Rlimits, StrictKeepsWhatIsAsked) {
  ASSERT_OK_AND_ASSIGN(auto limits,
                       ResolveRlimits({{"RLIMIT_NOFILE", 1, UINT64_MAX}}, LimitPolicy::kStrict));
  EXPECT_EQ(limits, (std::vector<ResolvedRlimit>{{RLIMIT_NOFILE, 1, UINT64_MAX}}));
}

TEST(Rlimits, ClampedLimitsCanBeSet) {
  ASSERT_OK_AND_ASSIGN(auto limits,
                       ResolveRlimits({{"RLIMIT_NOFILE", 1 << 19, 1 << 19}}, LimitPolicy::kClamp));
  ASSERT_EQ(limits.size(), 1u);
  rlimit old;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
  rlimit now = {limits[0].soft, limits[0].hard};
  now.rlim_max = std::max(now.rlim_max, old.rlim_max);  // keep the test's own room
  EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &now), 0);
  setrlimit(RLIMIT_NOFILE, &old);
}

TEST(Rlimits, RefusesUnknownAndDuplicate) {
  EXPECT_FALSE(ResolveRlimits({{"NOFILE", 1, 1}}, LimitPolicy::kClamp).ok());
  EXPECT_FALSE(
      ResolveRlimits({{"RLIMIT_AS", 1, 1}, {"RLIMIT_AS", 2, 2}}, LimitPolicy::kClamp).ok());
}

TEST(OomScore, StaysInRange) {
  EXPECT_EQ(*ResolveOomScoreAdj(5000, LimitPolicy::kStrict), 1000);
  EXPECT_EQ(*ResolveOomScoreAdj(-998, LimitPolicy::kStrict), -998);
  EXPECT_EQ(*ResolveOomScoreAdj(1000, LimitPolicy::kClamp), 1000);
}

}  // namespace
}  // namespace berth::runtime
