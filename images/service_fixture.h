// SPDX-License-Identifier: Apache-2.0
// For tests: an image service on a directory of its own.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include "base/database.h"
#include "base/file.h"
#include "images/service.h"
#include "test/support/paths.h"
#include "test/support/status_matchers.h"

namespace berth::images {

class ServiceFixture : public testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/berth-images-test.XXXXXX";
    ASSERT_NE(mkdtemp(pattern), nullptr);
    dir_ = pattern;
    std::filesystem::create_directory(dir_ + "/root");
    Start();
  }
  void TearDown() override {
    Stop();
    EXPECT_OK(RemoveTree(AT_FDCWD, dir_));
  }

  // What a test wants otherwise; its directories are set.
  virtual void Configure(Options*) {}
  void Start() {
    ASSERT_OK_AND_ASSIGN(database_, Database::Open(dir_ + "/db"));
    Options options;
    options.root = dir_ + "/root";
    options.unpacker_path = TestBinaryDir() + "/bin/berth-unpack";
    options.certs_dir = dir_ + "/certs.d";
    Configure(&options);
    ASSERT_OK_AND_ASSIGN(service_, Service::Open(options, database_.get()));
  }
  void Stop() {
    service_.reset();
    database_.reset();
  }

  std::string dir_;
  std::unique_ptr<Database> database_;
  std::unique_ptr<Service> service_;
};

}  // namespace berth::images
