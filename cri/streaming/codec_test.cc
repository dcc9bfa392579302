// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <limits>

#include "cri/streaming/exit_status.h"
#include "cri/streaming/negotiate.h"
#include "cri/streaming/resize.h"
#include "cri/streaming/ws_channel_codec.h"

namespace berth::cri::streaming {
namespace {

TEST(ResizeTest, LastCompleteSizeWins) {
  ResizeReader reader;
  EXPECT_EQ(*reader.Feed(R"({"Wid)"), std::nullopt);
  const auto size = *reader.Feed(R"(th":1,"Height":2} {"Width":65535,"Height":0}{)");
  EXPECT_EQ(size->width, 65535);
  EXPECT_EQ(size->height, 0);
}

TEST(ResizeTest, WrongObjects) {
  for (const char* text : {"[]", R"({"Width":1})", R"({"Width":65536,"Height":1})",
                           R"({"Width":-1,"Height":1})", R"({"Width":"1","Height":1})"}) {
    EXPECT_FALSE(ResizeReader().Feed(text).ok()) << text;
  }
  EXPECT_FALSE(ResizeReader().Feed("{" + std::string(5000, ' ')).ok());
}

TEST(NegotiateTest, FirstOfTheClientsListThatIsKnown) {
  EXPECT_EQ(ChooseSpdyVersion(SplitList({"v5.channel.k8s.io, v3.channel.k8s.io", "channel.k8s.io"}))
                ->name,
            "v3.channel.k8s.io");
  EXPECT_EQ(ChooseSpdyVersion({"v5.channel.k8s.io"}), std::nullopt);
  EXPECT_EQ(ChooseWsVersion({})->name, "");
  EXPECT_TRUE(ChooseWsVersion({"v5.channel.k8s.io"})->half_close);
  EXPECT_TRUE(ChooseWsForwardVersion({"x", "SPDY/3.1+portforward.k8s.io"})->tunnel);
}

TEST(ChannelMessageTest, Forms) {
  EXPECT_EQ(ChannelMessageText(1, "ab", false), std::string("\1ab"));
  EXPECT_EQ(ChannelMessageText(1, "ab", true), "1YWI=");
  EXPECT_EQ(ParseChannelMessage("1YWI=", true)->data, "ab");
  EXPECT_FALSE(ParseChannelMessage("", false).ok());
  EXPECT_FALSE(ParseChannelMessage("xYWI=", true).ok());
  EXPECT_FALSE(ParseChannelMessage("1*", true).ok());
}

TEST(ExitStatusTest, Failure) {
  EXPECT_EQ(FailureText(StatusForm::kJson, absl::NotFoundError("gone")),
            R"({"metadata":{},"status":"Failure","reason":"InternalError","message":"gone",)"
            R"("code":500})");
  EXPECT_EQ(FailureText(StatusForm::kText, absl::NotFoundError("gone")), "gone");
}

}  // namespace
}  // namespace berth::cri::streaming
