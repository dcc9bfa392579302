// SPDX-License-Identifier: Apache-2.0
// Does nothing until it is told to end: the program of the pause images.
#include <signal.h>
#include <unistd.h>

static void End(int signal) {
  (void)signal;
  _exit(0);
}

int main(void) {
  signal(SIGINT, End);
  signal(SIGTERM, End);
  for (;;) pause();
}
