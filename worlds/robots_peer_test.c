// robots_peer_test.c - the robots against Gymnasium as it runs here, on seeds that no file names: the traces that
// tools/robots_peer.py wrote into MG_PEER_DIR/robots before, to the bit, as library, libc and processor are the same.
#include <glob.h>

#include "worlds/robots_trace.h"

static void gymnasium_comes_out_again(void **state) {
    (void)state;
    const char *folder = getenv("MG_PEER_DIR");
    char        pattern[4096];
    mg_arena    arena;
    glob_t      found;
    if (!folder) fail_msg("MG_PEER_DIR is not set; wanted the folder of `tools/peers.sh write`");
    snprintf(pattern, sizeof pattern, "%s/robots/*.trace", folder);
    if (glob(pattern, 0, NULL, &found)) fail_msg("%s: found no trace, wanted those of tools/robots_peer.py", pattern);
    assert_int_equal(mg_arena_init(&arena, "test", 64 << 20), MG_OK);
    for (size_t i = 0; i < found.gl_pathc; i++) assert_true(trace_play(found.gl_pathv[i], &arena));
    assert_true(found.gl_pathc >= 8);
    print_message("%zu traces\n", found.gl_pathc);
    globfree(&found);
    mg_arena_release(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(gymnasium_comes_out_again)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
