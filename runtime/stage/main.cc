// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "runtime/stage/spawner.h"
#include "runtime/wire/monitor.h"

int main(int argc, char** argv) {
  if (argc == 1 && strcmp(argv[0], berth::wire::kSpawnerName) == 0) berth::stage::RunSpawner();
  return 64;
}
