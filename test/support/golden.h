// SPDX-License-Identifier: Apache-2.0
// Compares a text with test/golden/<name>. BERTH_UPDATE_GOLDEN=1 rewrites the file instead: look
// at the difference before committing it.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include "test/support/paths.h"

namespace berth {

inline testing::AssertionResult MatchesGolden(const std::string& name, const std::string& text) {
  // One member a line, so that differences are readable.
  std::string shown;
  for (size_t i = 0; i < text.size(); ++i) {
    shown += text[i];
    if (text[i] == ',' && i + 1 < text.size() && (text[i + 1] == '"' || text[i + 1] == '{')) {
      shown += '\n';
    }
  }
  shown += '\n';
  const std::string path = TestSourceDir() + "/test/golden/" + name;
  if (std::getenv("BERTH_UPDATE_GOLDEN") != nullptr) {
    std::ofstream(path, std::ios::binary) << shown;
    return testing::AssertionSuccess();
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) return testing::AssertionFailure() << path << ": cannot be read";
  std::string want((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (want == shown) return testing::AssertionSuccess();
  return testing::AssertionFailure() << path << " differs; got:\n" << shown;
}

}  // namespace berth
