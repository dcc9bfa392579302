// SPDX-License-Identifier: Apache-2.0
#include "cmd/berthd/options.h"

#include <CLI/CLI.hpp>

namespace berth::daemon {
namespace {

constexpr std::string_view kScheme = "unix://";

std::string MustBeAbsolute(const std::string& path) {
  return !path.empty() && path[0] == '/' ? "" : "\"" + path + "\" is not an absolute path";
}

}  // namespace

int ParseOptions(int argc, char** argv, Options* options) {
  CLI::App app{"Kubernetes container runtime (CRI v1) and node agent."};
  app.name("berthd");
  app.footer("Without a command: runs the daemon. SIGTERM ends it and leaves containers running.");
  app.add_option("--listen", options->listen, "Socket for the CRI, with or without unix://")
      ->transform([](const std::string& text) {
        return text.starts_with(kScheme) ? text.substr(kScheme.size()) : text;
      })
      ->check(MustBeAbsolute)
      ->capture_default_str();
  app.add_option("--root", options->root, "Images, writable layers and records")
      ->check(MustBeAbsolute)
      ->capture_default_str();
  app.add_option("--state", options->state, "What a reboot clears")
      ->check(MustBeAbsolute)
      ->capture_default_str();
  CLI::Option* config = app.add_option("--config", options->config, "Configuration file")
                            ->check(MustBeAbsolute)
                            ->capture_default_str();
  app.add_option("--certs-dir", options->certs_dir, "Registries: <host>/hosts.toml")
      ->check(MustBeAbsolute)
      ->capture_default_str();
  app.add_option("--log-level", options->log_level, "Overrides log.level")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}));
  app.add_option("--log-format", options->log_format, "Overrides log.format")
      ->check(CLI::IsMember({"text", "json"}));

  const auto set = [options](Command command) {
    return [options, command] { options->command = command; };
  };
  app.fallthrough();  // flags may follow the commands; inherited by those made from here on
  CLI::App* configs = app.add_subcommand("config", "Writes or checks configuration");
  configs->require_subcommand(1);
  configs->add_subcommand("default", "Prints the default configuration")
      ->callback(set(Command::kConfigDefault));
  configs->add_subcommand("check", "Reads the file and its drop-ins, reports the first error")
      ->callback(set(Command::kConfigCheck));
  configs->add_subcommand("dump", "Prints the configuration in force")
      ->callback(set(Command::kConfigDump));
  app.add_subcommand("version", "Prints the version")->callback(set(Command::kVersion));
  app.require_subcommand(0, 1);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  options->config_given = config->count() > 0;
  return -1;
}

}  // namespace berth::daemon
