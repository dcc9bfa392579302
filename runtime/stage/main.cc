// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "runtime/stage/spawner.h"

int main(int argc, char** argv) {
  if (argc == 1 && strcmp(argv[0], "berth-spawner") == 0) berth::stage::RunSpawner();
  return 64;
}
