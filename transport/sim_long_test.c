// Goal:   a million histories (sim_test.c says what must hold).
#define SEEDS 1000000
#include "transport/sim_test.c" // the same test, longer
