// SPDX-License-Identifier: Apache-2.0
#include "cmd/berthd/handler_keys.h"

#include <algorithm>
#include <optional>
#include <span>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace berth::daemon {
namespace {

using sandbox::Handler;
using sandbox::StringMap;
using Texts = std::vector<std::string>;
using Member = std::variant<std::string Handler::*, bool Handler::*, Texts Handler::*,
                            std::optional<Texts> Handler::*, StringMap Handler::*>;

struct HandlerKey {
  std::string_view name;
  Member member;
  std::string_view comment;
  std::string_view example;
};

constexpr HandlerKey kKeys[] = {
    {"runtime_path", &Handler::runtime_path,
     "An OCI runtime that makes the containers instead of berth.", "\"/usr/bin/crun\""},
    {"seccomp_profile", &Handler::seccomp_profile,
     "Stands for RuntimeDefault: a profile in OCI or Docker form.", "\"/etc/berth/seccomp.json\""},
    {"apparmor_profile", &Handler::apparmor_profile,
     "Stands for RuntimeDefault where there is AppArmor: the name of a loaded profile; empty: "
     "none.",
     "\"berth-default\""},
    {"sysctls", &Handler::sysctls, "Of pods, unless a pod sets the same name.",
     "{ \"net.core.somaxconn\" = \"1024\" }"},
    {"capabilities", &Handler::capabilities,
     "What a container has before its own additions and removals.", "[\"CHOWN\", \"KILL\"]"},
    {"pod_annotations", &Handler::pod_annotations,
     "Annotations of the pod that reach the OCI configuration; * is any text.",
     "[\"io.example.*\"]"},
    {"container_annotations", &Handler::container_annotations, "The same, of the container.",
     "[\"io.example.*\"]"},
    {"privileged_without_host_devices", &Handler::privileged_without_host_devices,
     "A privileged container sees only the devices that it asks for.", "true"},
    {"device_ownership_from_security_context", &Handler::device_ownership_from_security_context,
     "Devices that a container asks for belong to its run_as_user and run_as_group.", "true"},
    {"cgroup_writable", &Handler::cgroup_writable,
     "/sys/fs/cgroup can be written in any container.", "true"},
};

const char* ReadTexts(const toml::node& node, Texts* out) {
  static constexpr char kWrong[] = "must be an array of strings";
  const toml::array* array = node.as_array();
  if (array == nullptr) return kWrong;
  Texts texts;
  for (const toml::node& element : *array) {
    const toml::value<std::string>* text = element.as_string();
    if (text == nullptr) return kWrong;
    texts.push_back(text->get());
  }
  *out = std::move(texts);
  return "";
}

// Stores a value; the answer is what is wrong with it.
struct Reader {
  const toml::node& node;
  Handler* handler;

  const char* operator()(std::string Handler::*member) const {
    const toml::value<std::string>* text = node.as_string();
    if (text == nullptr) return "must be a string";
    handler->*member = text->get();
    return "";
  }
  const char* operator()(bool Handler::*member) const {
    const toml::value<bool>* flag = node.as_boolean();
    if (flag == nullptr) return "must be true or false";
    handler->*member = flag->get();
    return "";
  }
  const char* operator()(Texts Handler::*member) const {
    return ReadTexts(node, &(handler->*member));
  }
  const char* operator()(std::optional<Texts> Handler::*member) const {
    return ReadTexts(node, &(handler->*member).emplace());
  }
  const char* operator()(StringMap Handler::*member) const {
    static constexpr char kWrong[] = "must be a table of strings";
    const toml::table* table = node.as_table();
    if (table == nullptr) return kWrong;
    for (const auto& [name, value] : *table) {
      const toml::value<std::string>* text = value.as_string();
      if (text == nullptr) return kWrong;
      (handler->*member)[std::string(name.str())] = text->get();
    }
    return "";
  }
};

// As JSON, whose scalars and arrays are TOML's as well; null: not set.
struct Writer {
  const Handler& handler;
  static json::Value Array(const Texts& texts) {
    json::Array array;
    for (const std::string& text : texts) array.emplace_back(text);
    return array;
  }
  json::Value operator()(std::string Handler::*member) const {
    const std::string& text = handler.*member;
    return text.empty() ? json::Value() : json::Value(text);
  }
  json::Value operator()(bool Handler::*member) const {
    return handler.*member ? json::Value(true) : json::Value();
  }
  json::Value operator()(Texts Handler::*member) const {
    return (handler.*member).empty() ? json::Value() : Array(handler.*member);
  }
  json::Value operator()(std::optional<Texts> Handler::*member) const {
    const std::optional<Texts>& texts = handler.*member;
    return texts.has_value() ? Array(*texts) : json::Value();
  }
  json::Value operator()(StringMap Handler::*member) const {
    json::Object object;
    for (const auto& [name, value] : handler.*member) object[name] = value;
    return object.empty() ? json::Value() : json::Value(object);
  }
};

std::string TomlOf(const json::Value& value) {
  if (!value.is_object()) return json::Serialize(value);
  return absl::StrCat("{ ",
                      absl::StrJoin(value.get_object(), ", ",
                                    [](std::string* out, const auto& member) {
                                      absl::StrAppend(out,
                                                      json::Serialize(json::Value(member.key())),
                                                      " = ", json::Serialize(member.value()));
                                    }),
                      " }");
}

}  // namespace

HandlerProblem ReadHandlers(const toml::node& node, std::vector<Handler>* handlers) {
  const toml::table* tables = node.as_table();
  if (tables == nullptr) return {node.source(), "handlers: must be a table"};
  for (const auto& [name, inner] : *tables) {
    const std::string handler_name(name.str());
    const std::string full = "handlers." + handler_name;
    const toml::table* table = inner.as_table();
    if (table == nullptr) return {inner.source(), full + ": must be a table"};
    auto at = std::ranges::find(*handlers, handler_name, &Handler::name);
    if (at == handlers->end()) at = handlers->insert(at, Handler{.name = handler_name});
    for (const auto& [key_name, value] : *table) {
      const std::string key_text(key_name.str());
      const auto* key = std::ranges::find(kKeys, key_text, &HandlerKey::name);
      if (key == std::end(kKeys)) {
        return {key_name.source(), absl::StrCat(full, ".", key_text, ": unknown key")};
      }
      const std::string problem = std::visit(Reader{value, &*at}, key->member);
      if (!problem.empty()) {
        return {value.source(), absl::StrCat(full, ".", key_text, ": ", problem)};
      }
    }
  }
  return {};
}

std::string HandlersToml(const std::vector<Handler>& handlers) {
  std::string text =
      "\n# Runtime handlers (RuntimeClass.handler): \"berth\" always exists, and \"runc\" and "
      "\"crun\"\n# mean the default one unless they are defined.\n# [handlers.NAME]\n";
  for (const HandlerKey& key : kKeys) {
    absl::StrAppend(&text, "# # ", std::string(key.comment), "\n# ", std::string(key.name), " = ",
                    std::string(key.example), "\n");
  }
  for (const Handler& handler : handlers) {
    absl::StrAppend(&text, "\n[handlers.", handler.name, "]\n");
    for (const HandlerKey& key : kKeys) {
      const json::Value value = std::visit(Writer{handler}, key.member);
      if (value.is_null()) continue;
      absl::StrAppend(&text, std::string(key.name), " = ", TomlOf(value), "\n");
    }
  }
  return text;
}

json::Value HandlersJson(const std::vector<Handler>& handlers) {
  json::Object object;
  for (const Handler& handler : handlers) {
    json::Object members;
    for (const HandlerKey& key : kKeys) {
      json::Value value = std::visit(Writer{handler}, key.member);
      if (!value.is_null()) members[key.name] = std::move(value);
    }
    object[handler.name] = std::move(members);
  }
  return object;
}

}  // namespace berth::daemon
