// SPDX-License-Identifier: Apache-2.0
// berthd: the daemon. Exit codes: 0 stopped by a signal, 1 failed, 2 wrong usage.
#include <cstdio>

#include "base/log.h"
#include "cmd/berthd/config.h"
#include "cmd/berthd/daemon.h"
#include "cmd/berthd/options.h"

namespace berth::daemon {
namespace {

int Fail(const Status& status) {
  std::fprintf(stderr, "berthd: %s\n", std::string(status.message()).c_str());
  return 1;
}

int Run(const Options& options, const Config& config) {
  const std::string& level = options.log_level.empty() ? config.log_level : options.log_level;
  const std::string& format = options.log_format.empty() ? config.log_format : options.log_format;
  if (Status status = log::Configure(level, format); !status.ok()) return Fail(status);
  if (Status status = RunDaemon(options, config); !status.ok()) {
    log::Error(status.ToString());
    return 1;
  }
  return 0;
}

int Main(int argc, char** argv) {
  Options options;
  if (const int code = ParseOptions(argc, argv, &options); code >= 0) return code;
  if (options.command == Command::kVersion) {
    std::printf("berthd %s\n", BERTH_VERSION);
    return 0;
  }
  if (options.command == Command::kConfigDefault) {
    std::fputs(ConfigToml(Config()).c_str(), stdout);
    return 0;
  }
  const StatusOr<Config> config = LoadConfig(options.config, options.config_given);
  if (!config.ok()) return Fail(config.status());
  switch (options.command) {
    case Command::kConfigCheck:
      if (const Status status = HandlersOf(*config).status(); !status.ok()) return Fail(status);
      std::printf("%s: OK\n", options.config.c_str());
      return 0;
    case Command::kConfigDump:
      std::fputs(ConfigToml(*config).c_str(), stdout);
      return 0;
    default:
      return Run(options, *config);
  }
}

}  // namespace
}  // namespace berth::daemon

int main(int argc, char** argv) { return berth::daemon::Main(argc, argv); }
