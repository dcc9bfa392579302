// SPDX-License-Identifier: Apache-2.0
#include "cmd/berth/timeline.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "base/json.h"

namespace berth {
namespace {

using Step = ::berth::v1::TimelineStep;

double Milliseconds(int64_t ns) { return static_cast<double>(ns) / 1e6; }

// Steps end before their call does, and are recorded so: a reader wants the call first.
std::vector<Step> InOrder(const ::berth::v1::TimelineResponse& timeline) {
  std::vector<Step> steps(timeline.steps().begin(), timeline.steps().end());
  std::stable_sort(steps.begin(), steps.end(), [](const Step& a, const Step& b) {
    if (a.begin_ns() != b.begin_ns()) return a.begin_ns() < b.begin_ns();
    return a.step().empty() && !b.step().empty();
  });
  return steps;
}

}  // namespace

std::string TimelineText(const ::berth::v1::TimelineResponse& timeline) {
  const std::vector<Step> steps = InOrder(timeline);
  if (steps.empty()) {
    return absl::StrFormat("pod %s\nno steps: this daemon has not brought it up\n",
                           timeline.pod_sandbox_id());
  }
  std::string out =
      absl::StrFormat("pod %s\n%10s %10s\n", timeline.pod_sandbox_id(), "at ms", "took ms");
  int64_t end = 0;
  for (const Step& step : steps) {
    const std::string what =
        step.step().empty() ? step.call() + (step.container().empty() ? "" : " " + step.container())
                            : "  " + step.step();
    absl::StrAppendFormat(
        &out, "%10.3f %10.3f  %s%s\n", Milliseconds(step.begin_ns() - steps.front().begin_ns()),
        Milliseconds(step.end_ns() - step.begin_ns()), what, step.failed() ? "  (failed)" : "");
    end = std::max(end, step.end_ns());
  }
  if (timeline.dropped() > 0) {
    absl::StrAppendFormat(&out, "%d later steps were not kept\n", timeline.dropped());
  }
  absl::StrAppendFormat(&out, "%10.3f             in all\n",
                        Milliseconds(end - steps.front().begin_ns()));
  return out;
}

std::string TimelineJson(const ::berth::v1::TimelineResponse& timeline) {
  json::Array steps;
  for (const Step& step : InOrder(timeline)) {
    json::Object row;
    row["call"] = step.call();
    row["container"] = step.container();
    row["step"] = step.step();
    row["beginNs"] = static_cast<int64_t>(step.begin_ns());
    row["endNs"] = static_cast<int64_t>(step.end_ns());
    row["failed"] = step.failed();
    steps.emplace_back(std::move(row));
  }
  json::Object out;
  out["podSandboxId"] = timeline.pod_sandbox_id();
  out["dropped"] = static_cast<int64_t>(timeline.dropped());
  out["steps"] = std::move(steps);
  return json::Serialize(out) + "\n";
}

}  // namespace berth
