// SPDX-License-Identifier: Apache-2.0
// Installed setuid root: shows whether a container process may gain privileges by executing it.
#include <stdio.h>
#include <unistd.h>

int main(void) {
  printf("Effective uid: %d\n", (int)geteuid());
  return 0;
}
