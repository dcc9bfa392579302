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

TEST(Json, StringsAreUtf8UnlessTheyMayBeBytes) {
  const std::string text = "{\"a\":\"\xff\x80\"}";
  EXPECT_FALSE(Parse(text, 100, "doc").ok());
  ASSERT_OK_AND_ASSIGN(Value value, Parse(text, 100, "doc", Strings::kAnyBytes));
  EXPECT_EQ(value.at("a").as_string(), "\xff\x80");
  EXPECT_EQ(Serialize(value), text);
}

TEST(Json, CapsSizeAndDepth) {
  EXPECT_FALSE(Parse("[1,2,3]", 3, "doc").ok());
  EXPECT_FALSE(Parse(std::string(100000, '['), 1 << 20, "doc").ok());
  EXPECT_FALSE(Parse("{} trailing", 100, "doc").ok());
  EXPECT_FALSE(Parse("{", 100, "doc").ok());
}

// Names that fall into one place of a hash table cost as much as the square of their number.
TEST(Json, CapsTheMembersOfAnObject) {
  auto object = [](size_t members) {
    std::string text = "{";
    for (size_t i = 0; i < members; ++i) {
      absl::StrAppend(&text, i == 0 ? "" : ",", "\"k", i, ":\\\"{\":[{\"a\":1},\"b:c\"]");
    }
    return text + "}";
  };
  EXPECT_OK(Parse(object(kMaxMembers), 8 << 20, "doc"));
  EXPECT_THAT(Parse(object(kMaxMembers + 1), 8 << 20, "doc"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("doc: an object of 32769")));
  EXPECT_THAT(Parse("[1," + object(kMaxMembers + 1) + "]", 8 << 20, "doc"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("members")));
}

}  // namespace
}  // namespace berth::json
