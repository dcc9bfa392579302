// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <boost/json/serialize.hpp>
#include <boost/json/string.hpp>
#include <boost/json/value.hpp>

namespace berth::log {
namespace {

std::atomic<bool> json_lines{false};

spdlog::level::level_enum ToSpdlog(Level level) {
  switch (level) {
    case Level::kDebug:
      return spdlog::level::debug;
    case Level::kInfo:
      return spdlog::level::info;
    case Level::kWarning:
      return spdlog::level::warn;
    case Level::kError:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

spdlog::logger& Logger() {
  static spdlog::logger* logger = [] {
    auto* made = new spdlog::logger("berth", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l %v");
    made->set_level(spdlog::level::info);
    made->flush_on(spdlog::level::debug);
    return made;
  }();
  return *logger;
}

}  // namespace

Status Configure(std::string_view level, std::string_view format) {
  spdlog::level::level_enum chosen;
  if (level == "debug") {
    chosen = spdlog::level::debug;
  } else if (level == "info") {
    chosen = spdlog::level::info;
  } else if (level == "warning") {
    chosen = spdlog::level::warn;
  } else if (level == "error") {
    chosen = spdlog::level::err;
  } else {
    return absl::InvalidArgumentError(absl::StrCat("log level \"", std::string(level),
                                                   "\": not one of debug, info, warning, error"));
  }
  if (format != "text" && format != "json") {
    return absl::InvalidArgumentError(
        absl::StrCat("log format \"", std::string(format), "\": not one of text, json"));
  }
  json_lines = format == "json";
  Logger().set_level(chosen);
  Logger().set_pattern(json_lines ? R"({"time":"%Y-%m-%dT%H:%M:%S.%e%z","level":"%l","msg":%v})"
                                  : "%Y-%m-%dT%H:%M:%S.%e%z %l %v");
  return absl::OkStatus();
}

bool Enabled(Level level) { return Logger().should_log(ToSpdlog(level)); }

void Write(Level level, std::string_view message) {
  if (json_lines) {
    boost::json::value text(boost::json::string_view(message.data(), message.size()));
    Logger().log(ToSpdlog(level), boost::json::serialize(text));
    return;
  }
  // A line break in foreign text must not forge a log line.
  std::string clean(message);
  for (char& c : clean) {
    if (c == '\n' || c == '\r') c = ' ';
  }
  Logger().log(ToSpdlog(level), clean);
}

}  // namespace berth::log
