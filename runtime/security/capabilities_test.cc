// SPDX-License-Identifier: Apache-2.0
#include "runtime/security/capabilities.h"

#include <sys/capability.h>

#include "runtime/spec/names.h"
#include "test/support/status_matchers.h"

namespace berth::runtime {
namespace {

using testing::HasSubstr;

constexpr uint64_t kAll = (uint64_t{1} << spec::kCapabilityCount) - 1;
constexpr uint64_t Bit(int number) { return uint64_t{1} << number; }

TEST(Capabilities, NumbersAgreeWithTheHeaders) {
  for (int i = 0; i < spec::kCapabilityCount; ++i) {
    char* name = cap_to_name(i);
    ASSERT_NE(name, nullptr);
    std::string upper = name;
    cap_free(name);
    for (char& c : upper) c = static_cast<char>(toupper(c));
    EXPECT_EQ(spec::CapabilityName(i), upper);
  }
}

TEST(Capabilities, DefaultHasFourteen) {
  EXPECT_EQ(__builtin_popcountll(DefaultCapabilities()), 14);
  EXPECT_TRUE(DefaultCapabilities() & Bit(CAP_NET_RAW));
  EXPECT_FALSE(DefaultCapabilities() & Bit(CAP_SYS_ADMIN));
  EXPECT_EQ(AvailableCapabilities() & ~kAll, 0u);
}

TEST(Capabilities, AddAndDrop) {
  struct Case {
    std::vector<std::string> add, drop;
    uint64_t want;
  };
  const uint64_t base = DefaultCapabilities();
  for (const Case& c : std::initializer_list<Case>{
           {{}, {}, base},
           {{"SYS_ADMIN"}, {}, base | Bit(CAP_SYS_ADMIN)},
           {{"cap_sys_admin"}, {"CAP_CHOWN"}, (base | Bit(CAP_SYS_ADMIN)) & ~Bit(CAP_CHOWN)},
           {{"ALL"}, {}, kAll},
           {{"all"}, {"SYS_ADMIN"}, kAll & ~Bit(CAP_SYS_ADMIN)},
           {{}, {"ALL"}, 0},
           {{"NET_ADMIN"}, {"ALL"}, Bit(CAP_NET_ADMIN)},
           {{"ALL", "CHOWN"}, {"ALL"}, Bit(CAP_CHOWN)},
           {{"CHOWN"}, {"CHOWN"}, base & ~Bit(CAP_CHOWN)}}) {
    CapabilityRequest request;
    request.add = c.add;
    request.drop = c.drop;
    ASSERT_OK_AND_ASSIGN(CapabilitySets sets, ResolveCapabilities(request, kAll));
    EXPECT_EQ(sets.bounding, c.want);
    EXPECT_EQ(sets.effective, c.want);
    EXPECT_EQ(sets.permitted, c.want);
    EXPECT_EQ(sets.inheritable, 0u);
    EXPECT_EQ(sets.ambient, 0u);
  }
}

TEST(Capabilities, AmbientIsInEverySet) {
  CapabilityRequest request;
  request.drop = {"ALL"};
  request.add_ambient = {"NET_BIND_SERVICE"};
  ASSERT_OK_AND_ASSIGN(CapabilitySets sets, ResolveCapabilities(request, kAll));
  uint64_t bit = Bit(CAP_NET_BIND_SERVICE);
  EXPECT_EQ(sets, (CapabilitySets{bit, bit, bit, bit, bit}));
}

TEST(Capabilities, PrivilegedIsWhatIsAvailable) {
  CapabilityRequest request;
  request.privileged = true;
  request.drop = {"ALL"};
  ASSERT_OK_AND_ASSIGN(CapabilitySets sets, ResolveCapabilities(request, kAll & ~Bit(24)));
  EXPECT_EQ(sets.bounding, kAll & ~Bit(24));
  EXPECT_EQ(sets.inheritable, 0u);
}

TEST(Capabilities, RefusesUnknownNames) {
  for (const char* name : {"FLY", "", "CAP_", "CAP_CAP_CHOWN", "21", "CHOWN\n"}) {
    CapabilityRequest request;
    request.add = {name};
    EXPECT_THAT(ResolveCapabilities(request, kAll),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("unknown capability")))
        << name;
  }
}

TEST(Capabilities, SpecIsCutToWhatIsAvailable) {
  spec::Capabilities caps;
  caps.bounding = caps.permitted = {"CAP_CHOWN", "CAP_SYS_RESOURCE"};
  uint64_t missing = 0;
  ASSERT_OK_AND_ASSIGN(CapabilitySets sets, CapabilitiesFromSpec(caps, Bit(CAP_CHOWN), &missing));
  EXPECT_EQ(sets.bounding, Bit(CAP_CHOWN));
  EXPECT_EQ(missing, Bit(CAP_SYS_RESOURCE));
  EXPECT_EQ(CapabilitiesToSpec(sets).bounding, std::vector<std::string>{"CAP_CHOWN"});
  caps.ambient = {"chown"};
  EXPECT_FALSE(CapabilitiesFromSpec(caps, kAll, nullptr).ok());
}

}  // namespace
}  // namespace berth::runtime
