// SPDX-License-Identifier: Apache-2.0
#include "cmd/berthd/config.h"

#include <dirent.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/file.h"
#include "base/json.h"
#include "cmd/berthd/config_keys.h"
#include "cmd/berthd/handler_keys.h"

namespace berth::daemon {
namespace {

constexpr size_t kMaxFile = 1 << 20;

std::string NameOf(const ConfigKey& key) {
  return key.table.empty() ? std::string(key.name)
                           : absl::StrCat(std::string(key.table), ".", std::string(key.name));
}

// An error at a place of a file.
Status ErrorAt(const std::string& file, const toml::source_region& place, const std::string& why) {
  return absl::InvalidArgumentError(absl::StrCat(file, ":", place.begin.line, ": ", why));
}

bool IsInstance(const std::string& text) {
  if (text.empty() || text.size() > 10 || text[0] < 'a' || text[0] > 'z') return false;
  return std::ranges::all_of(
      text, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); });
}

// Why a text may not be this key's value; empty if it may.
std::string TextProblem(const ConfigKey& key, const std::string& text) {
  if (key.name == "instance" && !IsInstance(text)) {
    return "must be a lower-case letter and up to nine lower-case letters or digits";
  }
  if (key.choices == "?") return "";
  if (key.choices.empty()) return text.empty() ? "must not be empty" : "";
  const std::vector<std::string> choices = absl::StrSplit(std::string(key.choices), '|');
  if (std::ranges::find(choices, text) != choices.end()) return "";
  return absl::StrCat("\"", text, "\" is not one of ", absl::StrJoin(choices, ", "));
}

// Stores a value, or says what is wrong with it.
struct Reader {
  const ConfigKey& key;
  const toml::node& node;
  Config* config;

  std::string operator()(std::string Config::*member) const {
    const toml::value<std::string>* text = node.as_string();
    if (text == nullptr) return "must be a string";
    std::string problem = TextProblem(key, text->get());
    if (problem.empty()) config->*member = text->get();
    return problem;
  }
  std::string operator()(int64_t Config::*member) const {
    const toml::value<int64_t>* number = node.as_integer();
    if (number == nullptr) return "must be an integer";
    if (number->get() < key.least || number->get() > key.most) {
      return absl::StrCat(number->get(), " is not between ", key.least, " and ", key.most);
    }
    config->*member = number->get();
    return "";
  }
  std::string operator()(bool Config::*member) const {
    const toml::value<bool>* flag = node.as_boolean();
    if (flag == nullptr) return "must be true or false";
    config->*member = flag->get();
    return "";
  }
  std::string operator()(std::vector<std::string> Config::*member) const {
    const toml::array* array = node.as_array();
    if (array == nullptr) return "must be an array of strings";
    std::vector<std::string> texts;
    for (const toml::node& element : *array) {
      const toml::value<std::string>* text = element.as_string();
      if (text == nullptr) return "must be an array of strings";
      texts.push_back(text->get());
    }
    config->*member = std::move(texts);
    return "";
  }
};

Status ReadTable(const std::string& file, const toml::table& table, std::string_view table_name,
                 Config* config) {
  for (const auto& [name, node] : table) {
    const std::string_view text = name.str();
    const std::string full = table_name.empty()
                                 ? std::string(text)
                                 : absl::StrCat(std::string(table_name), ".", std::string(text));
    if (table_name.empty() && text == "handlers") {
      const HandlerProblem problem = ReadHandlers(node, &config->handlers);
      if (!problem.what.empty()) return ErrorAt(file, problem.place, problem.what);
      continue;
    }
    const auto keys = ConfigKeys();
    if (table_name.empty() && std::ranges::any_of(keys, [text](const ConfigKey& key) {
          return !key.table.empty() && key.table == text;
        })) {
      const toml::table* inner = node.as_table();
      if (inner == nullptr) return ErrorAt(file, node.source(), full + ": must be a table");
      RETURN_IF_ERROR(ReadTable(file, *inner, text, config));
      continue;
    }
    const auto key = std::ranges::find_if(keys, [&](const ConfigKey& candidate) {
      return candidate.table == table_name && candidate.name == text;
    });
    if (key == keys.end()) return ErrorAt(file, name.source(), full + ": unknown key");
    const std::string problem = std::visit(Reader{*key, node, config}, key->member);
    if (!problem.empty()) {
      return ErrorAt(file, node.source(), absl::StrCat(full, ": ", problem));
    }
    config->named.insert(full);
  }
  return absl::OkStatus();
}

Status ReadConfigFile(const std::string& file, Config* config) {
  ASSIGN_OR_RETURN(const std::string text, ReadFile(file, kMaxFile));
  const toml::parse_result result = toml::parse(std::string_view(text), std::string_view(file));
  if (!result) {
    return ErrorAt(file, result.error().source(), std::string(result.error().description()));
  }
  return ReadTable(file, result.table(), "", config);
}

// *.toml of a directory, sorted; none if there is no such directory.
StatusOr<std::vector<std::string>> DropIns(const std::string& directory) {
  std::vector<std::string> files;
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(directory.c_str()), ::closedir);
  if (dir == nullptr) {
    if (errno == ENOENT) return files;
    return ErrnoError(errno, absl::StrCat("open directory ", directory));
  }
  while (const dirent* entry = ::readdir(dir.get())) {
    const std::string_view name = entry->d_name;
    if (name.ends_with(".toml") && !name.starts_with(".")) {
      files.push_back(absl::StrCat(directory, "/", entry->d_name));
    }
  }
  std::ranges::sort(files);
  return files;
}

std::string Quote(const std::string& text) {
  return json::Serialize(json::Value(text));  // JSON's escapes are a subset of TOML's
}

struct TomlWriter {
  const Config& config;
  std::string operator()(std::string Config::*member) const { return Quote(config.*member); }
  std::string operator()(int64_t Config::*member) const { return absl::StrCat(config.*member); }
  std::string operator()(bool Config::*member) const { return config.*member ? "true" : "false"; }
  std::string operator()(std::vector<std::string> Config::*member) const {
    return absl::StrCat(
        "[",
        absl::StrJoin(config.*member, ", ",
                      [](std::string* out, const std::string& text) { out->append(Quote(text)); }),
        "]");
  }
};

struct JsonWriter {
  const Config& config;
  json::Value operator()(std::string Config::*member) const { return json::Value(config.*member); }
  json::Value operator()(int64_t Config::*member) const { return json::Value(config.*member); }
  json::Value operator()(bool Config::*member) const { return json::Value(config.*member); }
  json::Value operator()(std::vector<std::string> Config::*member) const {
    json::Array array;
    for (const std::string& text : config.*member) array.emplace_back(text);
    return array;
  }
};

}  // namespace

StatusOr<Config> LoadConfig(const std::string& path, bool must_exist) {
  Config config;
  if (Status status = ReadConfigFile(path, &config); !status.ok()) {
    if (must_exist || status.code() != absl::StatusCode::kNotFound) return status;
  }
  ASSIGN_OR_RETURN(const std::vector<std::string> files, DropIns(path + ".d"));
  for (const std::string& file : files) RETURN_IF_ERROR(ReadConfigFile(file, &config));
  return config;
}

StatusOr<sandbox::Handlers> HandlersOf(const Config& config) {
  std::vector<sandbox::Handler> handlers = config.handlers;
  if (std::ranges::find(handlers, "berth", &sandbox::Handler::name) == handlers.end()) {
    handlers.insert(handlers.begin(), sandbox::Handler{.name = "berth"});
  }
  const auto standard =
      std::ranges::find(handlers, config.default_handler, &sandbox::Handler::name);
  if (standard == handlers.end()) {
    return absl::InvalidArgumentError(
        absl::StrCat("default_handler: there is no [handlers.", config.default_handler, "]"));
  }
  std::rotate(handlers.begin(), standard, standard + 1);
  return sandbox::Handlers::Create(std::move(handlers));
}

std::string ConfigToml(const Config& config) {
  std::string text;
  std::string_view table;
  for (const ConfigKey& key : ConfigKeys()) {
    if (key.table != table) {
      table = key.table;
      absl::StrAppend(&text, "\n[", std::string(table), "]\n");
    }
    for (const auto& line : absl::StrSplit(std::string(key.comment), '\n')) {
      absl::StrAppend(&text, "# ", line, "\n");
    }
    absl::StrAppend(&text, std::string(key.name), " = ", std::visit(TomlWriter{config}, key.member),
                    "\n");
  }
  absl::StrAppend(&text, HandlersToml(config.handlers));
  return text;
}

std::string ConfigJson(const Config& config) {
  json::Object object;
  for (const ConfigKey& key : ConfigKeys()) {
    object[NameOf(key)] = std::visit(JsonWriter{config}, key.member);
  }
  object["handlers"] = HandlersJson(config.handlers);
  object["sandboxImage"] = config.sandbox_image;
  return json::Serialize(object);
}

}  // namespace berth::daemon
