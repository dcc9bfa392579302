# SPDX-License-Identifier: Apache-2.0
# berth::grpc and berth::protobuf: gRPC without TLS (the socket is local), dynamic or static.
#
# Debian's CMake targets name shared libraries only and pkg-config's static list of
# grpc++_unsecure lacks c-ares, so the static line is made here from that of grpc++.
find_package(Protobuf REQUIRED)

add_library(berth_protobuf INTERFACE)
add_library(berth::protobuf ALIAS berth_protobuf)
add_library(berth_grpc INTERFACE)
add_library(berth::grpc ALIAS berth_grpc)

if(NOT BERTH_STATIC_GRPC)
  pkg_check_modules(GRPC_UNSECURE REQUIRED IMPORTED_TARGET grpc++_unsecure)
  target_link_libraries(berth_protobuf INTERFACE protobuf::libprotobuf)
  target_link_libraries(berth_grpc INTERFACE PkgConfig::GRPC_UNSECURE berth_protobuf)
  return()
endif()

# berth_static_line(<variable> <module>..): linker flags that take every library of the modules
# that has a static form in that form.
function(berth_static_line variable)
  execute_process(COMMAND ${PKG_CONFIG_EXECUTABLE} --static --libs-only-l ${ARGN}
    OUTPUT_VARIABLE line OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  separate_arguments(flags UNIX_COMMAND "${line}")
  list(REMOVE_DUPLICATES flags)
  set(result)
  foreach(flag IN LISTS flags)
    string(REGEX REPLACE "^-l" "" library "${flag}")
    # TLS stays out; the rest of these belong to libc.
    if(library MATCHES "^(ssl|crypto|dl|rt|m|pthread|z)$")
      continue()
    endif()
    if(library STREQUAL "grpc++")
      set(library grpc++_unsecure)
    elseif(library STREQUAL "grpc")
      set(library grpc_unsecure)
    endif()
    find_library(static_${library} NAMES lib${library}.a NO_CACHE)
    if(static_${library})
      list(APPEND result -l:lib${library}.a)
    else()
      list(APPEND result -l${library})
    endif()
  endforeach()
  list(REMOVE_DUPLICATES result)
  # One item, so that CMake neither reorders nor removes a part of the group.
  list(JOIN result "," result)
  set(${variable} "-Wl,--start-group,${result},--end-group" -lz PARENT_SCOPE)
endfunction()

berth_static_line(BERTH_PROTOBUF_LINE protobuf)
berth_static_line(BERTH_GRPC_LINE grpc++ protobuf libcares)
target_link_libraries(berth_protobuf INTERFACE "${BERTH_PROTOBUF_LINE}" Threads::Threads)
target_link_libraries(berth_grpc INTERFACE "${BERTH_GRPC_LINE}" Threads::Threads)
target_link_options(berth_grpc INTERFACE -static-libstdc++ -static-libgcc)
