// SPDX-License-Identifier: Apache-2.0
// The command line of berthd.
#pragma once

#include <string>

namespace berth::daemon {

enum class Command { kRun, kConfigDefault, kConfigCheck, kConfigDump, kVersion };

struct Options {
  Command command = Command::kRun;
  std::string listen = "/run/berth/berthd.sock";
  std::string root = "/var/lib/berth";
  std::string state = "/run/berth";
  std::string config = "/etc/berth/config.toml";
  bool config_given = false;  // then the file must exist
  std::string certs_dir = "/etc/berth/certs.d";
  std::string log_level;   // empty: the configuration's
  std::string log_format;  // empty: the configuration's
};

// Fills `options`. Returns -1 to go on, else the code to exit with: 0 after --help, 2 after an
// error, which it prints.
int ParseOptions(int argc, char** argv, Options* options);

}  // namespace berth::daemon
