// SPDX-License-Identifier: Apache-2.0
// The [handlers.NAME] tables of the configuration: reading and writing.
#pragma once

#include <string>
#include <string_view>
#include <vector>

// The error style of the including file is toml++'s without exceptions.
#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include "base/json.h"
#include "base/status.h"
#include "sandbox/handler.h"

namespace berth::daemon {

// What is wrong, and where in the file.
struct HandlerProblem {
  toml::source_region place;
  std::string what;  // empty: nothing
};

// Reads the table of tables into `handlers`, each key replacing what came before.
HandlerProblem ReadHandlers(const toml::node& node, std::vector<sandbox::Handler>* handlers);

// Commented keys as an example, then the tables that exist.
std::string HandlersToml(const std::vector<sandbox::Handler>& handlers);
json::Value HandlersJson(const std::vector<sandbox::Handler>& handlers);

}  // namespace berth::daemon
