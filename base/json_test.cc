// SPDX-License-Identifier: Apache-2.0
#include "base/json.h"

#include "test/support/status_matchers.h"

namespace berth::json {
namespace {

using testing::HasSubstr;

TEST(Json, NamesThePathOfAWrongValue) {
  ASSERT_OK_AND_ASSIGN(Value value, Parse(R"({"a":{"b":[{"c":1},{"c":"x"}]}})", 1000, "doc"));
  ASSERT_OK_AND_ASSIGN(Reader root, Reader::Create(value, "doc"));
  ASSERT_OK_AND_ASSIGN(auto a, root.Child("a"));
  ASSERT_TRUE(a.has_value());
  ASSERT_OK_AND_ASSIGN(auto items, a->Objects("b"));
  EXPECT_EQ(*items[0].Int("c"), 1);
  EXPECT_THAT(items[1].Int("c"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("doc.a.b[1].c")));
  EXPECT_THAT(root.String("zz"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("doc.zz: missing")));
}

TEST(Json, CapsSizeAndDepth) {
  EXPECT_FALSE(Parse("[1,2,3]", 3, "doc").ok());
  EXPECT_FALSE(Parse(std::string(100000, '['), 1 << 20, "doc").ok());
  EXPECT_FALSE(Parse("{} trailing", 100, "doc").ok());
  EXPECT_FALSE(Parse("{", 100, "doc").ok());
}

}  // namespace
}  // namespace berth::json
