# SPDX-License-Identifier: Apache-2.0
# A Runtime without processes, for the tests of the layers above.
berth_library(runtime_fake
  SOURCES fake.cc
  HEADERS fake.h runtime.h
  DEPS berth::base)
berth_test(runtime_fake_test SOURCES fake_test.cc DEPS berth::runtime_fake)
