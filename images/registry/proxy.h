// SPDX-License-Identifier: Apache-2.0
// Which proxy a URL is asked through: by the variables http_proxy, https_proxy, all_proxy and
// no_proxy, in lower case or in upper case, with libcurl's meaning of them.
#pragma once

#include <string>

#include "images/registry/url.h"

namespace berth::images::registry {

struct Proxy {
  std::string url;       // empty: none. May hold a password: never for a message
  std::string variable;  // that named it
  // Why there is none although `variable` names one: the entry of no_proxy, or "loopback".
  std::string exception;

  // The URL without user and password, printable.
  std::string shown() const;
};

// Reads the environment at each call. Loopback addresses are never asked through a proxy.
//
// no_proxy is a list, divided by commas or spaces, of domains (which stand for what is below them
// too, with or without a leading dot), addresses, and ranges like 10.0.0.0/8; "*" is everything.
Proxy ChooseProxy(const Url& url);

}  // namespace berth::images::registry
