# SPDX-License-Identifier: Apache-2.0
# One way to declare a library, a test and a fuzzer, so that warnings, sanitizers and header checks
# are the same everywhere.

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  foreach(lang C CXX)
    if(NOT CMAKE_${lang}_COMPILER_LAUNCHER)
      set(CMAKE_${lang}_COMPILER_LAUNCHER ${CMAKE_SOURCE_DIR}/cmake/compile ${CMAKE_SOURCE_DIR})
    endif()
  endforeach()
endif()
find_program(MOLD_PROGRAM mold)

add_library(berth_flags INTERFACE)
target_compile_options(berth_flags INTERFACE
  -Wall -Wextra -Wshadow -Wnon-virtual-dtor -fstack-protector-strong
  $<$<BOOL:${BERTH_WERROR}>:-Werror>
  $<$<CXX_COMPILER_ID:Clang>:-Wthread-safety>
  # g++ 12 sees overlap in std::string's own operator+ (GCC bug 105651).
  $<$<AND:$<CXX_COMPILER_ID:GNU>,$<NOT:$<CONFIG:Debug>>>:-Wno-restrict>
  $<$<NOT:$<CONFIG:Debug>>:-D_FORTIFY_SOURCE=2>)
target_compile_definitions(berth_flags INTERFACE _GLIBCXX_ASSERTIONS)
# Libraries find each other's headers as "folder/header.h".
target_include_directories(berth_flags INTERFACE ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR})
if(BERTH_SANITIZE)
  # grpc::Service hands its vtable to code built without -fsanitize=vptr.
  add_compile_options(-fsanitize=${BERTH_SANITIZE} -fno-omit-frame-pointer -fno-sanitize=vptr)
  add_link_options(-fsanitize=${BERTH_SANITIZE})
endif()
if(BERTH_FUZZ)
  # Coverage of the code under test, which is in libraries, guides the fuzzer.
  add_compile_options(-fsanitize=fuzzer-no-link)
  add_link_options(-fsanitize=fuzzer-no-link)
endif()
if(MOLD_PROGRAM AND NOT CMAKE_BUILD_TYPE STREQUAL "Release")
  add_link_options(-fuse-ld=mold)
endif()
if(CMAKE_BUILD_TYPE STREQUAL "Release")
  add_link_options(-Wl,-z,relro,-z,now -Wl,--gc-sections)
  add_compile_options(-ffunction-sections -fdata-sections)
endif()

# What most sources and headers include, and what tests do, parsed once. It changes seldom and names
# nothing of ours, so that the compiler cache serves every checkout. hack/tidy compiles without it:
# a source names what it needs. Not in release builds: g++ 12 warns of what it inlines from such a
# header as if it were ours, and there is less to gain beside the optimiser.
set(BERTH_PRECOMPILED
  <algorithm> <atomic> <cstdint> <functional> <map> <memory> <mutex> <optional> <set> <span> <string>
  <string_view> <thread> <utility> <vector>
  <absl/base/thread_annotations.h> <absl/status/status.h> <absl/status/statusor.h>
  <absl/strings/str_cat.h> <absl/strings/str_join.h> <absl/strings/str_split.h>
  <absl/synchronization/mutex.h> <absl/time/clock.h> <absl/time/time.h>)
add_library(berth_pch OBJECT EXCLUDE_FROM_ALL ${CMAKE_SOURCE_DIR}/cmake/pch.cc)
target_link_libraries(berth_pch PRIVATE berth_flags)
target_precompile_headers(berth_pch PRIVATE ${BERTH_PRECOMPILED})
# As position independent as what uses it.
add_executable(berth_test_pch EXCLUDE_FROM_ALL ${CMAKE_SOURCE_DIR}/cmake/pch.cc)
target_link_libraries(berth_test_pch PRIVATE berth_flags GTest::gmock)
target_precompile_headers(berth_test_pch PRIVATE ${BERTH_PRECOMPILED} <gmock/gmock.h> <gtest/gtest.h>)

# berth_library(<name> SOURCES .. HEADERS .. [DEPS ..] [PRIVATE_DEPS ..] [PRECOMPILE ..])
# Makes the static library berth_<name>, alias berth::<name>. Headers are checked to be
# self-contained by the target all_verify_interface_header_sets.
function(berth_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;HEADERS;DEPS;PRIVATE_DEPS;PRECOMPILE" ${ARGN})
  add_library(berth_${name} STATIC ${arg_SOURCES})
  add_library(berth::${name} ALIAS berth_${name})
  target_sources(berth_${name} PUBLIC FILE_SET HEADERS BASE_DIRS ${CMAKE_SOURCE_DIR}
    FILES ${arg_HEADERS})
  set_target_properties(berth_${name} PROPERTIES VERIFY_INTERFACE_HEADER_SETS ON)
  target_link_libraries(berth_${name} PUBLIC berth_flags ${arg_DEPS} PRIVATE ${arg_PRIVATE_DEPS})
  if(arg_PRECOMPILE)
    target_precompile_headers(berth_${name} PRIVATE ${arg_PRECOMPILE})
  elseif(NOT CMAKE_BUILD_TYPE STREQUAL "Release")
    target_precompile_headers(berth_${name} REUSE_FROM berth_pch)
  endif()
endfunction()

# The only source of a test that knows where the checkout is.
add_library(berth_test_paths STATIC EXCLUDE_FROM_ALL ${CMAKE_SOURCE_DIR}/test/support/paths.cc)
target_include_directories(berth_test_paths PRIVATE ${CMAKE_SOURCE_DIR})
target_compile_definitions(berth_test_paths PRIVATE BERTH_SOURCE_DIR="${CMAKE_SOURCE_DIR}"
  BERTH_BINARY_DIR="${CMAKE_BINARY_DIR}")

# berth_test(<name> SOURCES .. DEPS .. [ROOT] [TIMEOUT s])
# A googletest program. ROOT: needs root; such a test exits 77 with a reason where it cannot run.
function(berth_test name)
  cmake_parse_arguments(arg "ROOT" "TIMEOUT" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE berth_flags ${arg_DEPS} berth_test_paths GTest::gmock
    GTest::gtest_main)
  if(BERTH_SANITIZE STREQUAL "thread")
    target_sources(${name} PRIVATE ${CMAKE_SOURCE_DIR}/test/support/tsan_mutex.cc)
    target_link_libraries(${name} PRIVATE absl::synchronization ${CMAKE_DL_LIBS})
  endif()
  if(NOT CMAKE_BUILD_TYPE STREQUAL "Release")
    target_precompile_headers(${name} REUSE_FROM berth_test_pch)
  endif()
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES SKIP_RETURN_CODE 77)
  if(arg_ROOT)
    set_tests_properties(${name} PROPERTIES LABELS root)
  else()
    set_tests_properties(${name} PROPERTIES LABELS unit)
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  set_tests_properties(${name} PROPERTIES TIMEOUT ${arg_TIMEOUT})
endfunction()

# berth_fuzz(<name> CORPUS <dir below test/corpus> SOURCES .. DEPS ..)
# The source defines LLVMFuzzerTestOneInput. With BERTH_FUZZ a libFuzzer program, which hack/fuzz
# finds in <build>/fuzzers; always a test that replays the corpus.
if(BERTH_FUZZ)
  file(WRITE ${CMAKE_BINARY_DIR}/fuzzers "")
endif()
function(berth_fuzz name)
  cmake_parse_arguments(arg "" "CORPUS" "SOURCES;DEPS" ${ARGN})
  if(BERTH_FUZZ)
    file(APPEND ${CMAKE_BINARY_DIR}/fuzzers "${name} ${arg_CORPUS} ${CMAKE_CURRENT_BINARY_DIR}\n")
    add_executable(${name} ${arg_SOURCES})
    target_link_libraries(${name} PRIVATE berth_flags ${arg_DEPS})
    target_compile_options(${name} PRIVATE -fsanitize=fuzzer)
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  endif()
  add_executable(${name}_replay ${arg_SOURCES} ${CMAKE_SOURCE_DIR}/test/support/replay_main.cc)
  target_link_libraries(${name}_replay PRIVATE berth_flags ${arg_DEPS})
  add_test(NAME ${name}_replay COMMAND ${name}_replay ${CMAKE_SOURCE_DIR}/test/corpus/${arg_CORPUS})
  set_tests_properties(${name}_replay PROPERTIES LABELS unit TIMEOUT 120)
endfunction()
