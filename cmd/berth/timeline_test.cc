// SPDX-License-Identifier: Apache-2.0
#include "cmd/berth/timeline.h"

#include <gtest/gtest.h>

namespace berth {
namespace {

::berth::v1::TimelineResponse Timeline() {
  ::berth::v1::TimelineResponse timeline;
  timeline.set_pod_sandbox_id("p");
  const auto add = [&](const char* call, const char* container, const char* step, int64_t begin,
                       int64_t end) {
    auto* to = timeline.add_steps();
    to->set_call(call);
    to->set_container(container);
    to->set_step(step);
    to->set_begin_ns(begin);
    to->set_end_ns(end);
    return to;
  };
  add("RunPodSandbox", "", "pod-record", 1'000'000, 1'500'000);
  add("RunPodSandbox", "", "", 1'000'000, 3'000'000);
  add("StartContainer", "app", "", 4'000'000, 5'250'000)->set_failed(true);
  return timeline;
}

TEST(TimelineTest, TextShowsCallsBeforeTheirSteps) {
  EXPECT_EQ(TimelineText(Timeline()),
            "pod p\n"
            "     at ms    took ms\n"
            "     0.000      2.000  RunPodSandbox\n"
            "     0.000      0.500    pod-record\n"
            "     3.000      1.250  StartContainer app  (failed)\n"
            "     4.250             in all\n");
}

TEST(TimelineTest, TextOfAPodThatThisDaemonDidNotStart) {
  ::berth::v1::TimelineResponse empty;
  empty.set_pod_sandbox_id("p");
  EXPECT_EQ(TimelineText(empty), "pod p\nno steps: this daemon has not brought it up\n");
}

TEST(TimelineTest, Json) {
  ::berth::v1::TimelineResponse timeline = Timeline();
  timeline.mutable_steps()->DeleteSubrange(1, 2);
  timeline.set_dropped(2);
  EXPECT_EQ(TimelineJson(timeline),
            R"({"podSandboxId":"p","dropped":2,"steps":[{"call":"RunPodSandbox",)"
            R"("container":"","step":"pod-record","beginNs":1000000,"endNs":1500000,)"
            R"("failed":false}]})"
            "\n");
}

}  // namespace
}  // namespace berth
