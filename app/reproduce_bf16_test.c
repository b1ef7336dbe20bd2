// Goal:   the page of bf16 says of each stretch whether the two ways differ by more than seeds of f32 do.
// Method: cells made up here, of which a person can work out means and spreads.
#include "app/reproduce.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "app/app.h"
#include "app/reproduce_folder.h"
#include "core/file.h"

atomic_int mg_stop; // main.c's: nobody asks to stop here

static void put_losses(const char *cell, double loss_1, double loss_2) {
    const char *text = mg_path(&arena, "{\"loss_1\": {\"estimate\": %g, \"n\": 1}, \"loss_2\": {\"estimate\": %g, "
                                       "\"n\": 1}}", loss_1, loss_2);
    put(cell, text);
}

static const char *page(void) {
    char  *text;
    size_t size;
    ok(mg_reproduce_publish(folder, &mg_grid_bf16, &arena));
    ok(mg_file_read(mg_path(&arena, "%s/RESULTS.md", folder), 1 << 20, &arena, &text, &size));
    return text;
}

// f32's third seed has no bf16 beside it and counts in neither mean nor spread.
static void a_stretch_is_within_the_spread_of_f32_or_not(void **state) {
    (void)state;
    put_losses("sft-f32-1", 1.0, 1.0), put_losses("sft-f32-2", 1.5, 1.25), put_losses("sft-f32-3", 9, 9);
    put_losses("sft-bf16-1", 1.75, 1.5), put_losses("sft-bf16-2", 1.75, 1.5);
    const char *text = page();
    assert_non_null(strstr(text, "| sft loss_1 | 1.25 | 1.75 | +0.5 | 0.5 | 2 | yes |\n"));
    assert_non_null(strstr(text, "| sft loss_2 | 1.125 | 1.5 | +0.375 | 0.25 | 2 | no |\n"));
    assert_null(strstr(text, "| sft loss_3 | "));
    assert_null(strstr(text, "| ppo reward_1 | "));
    assert_non_null(strstr(text, "Within in 1 of 2 stretches."));
}

static void one_seed_has_no_spread(void **state) {
    (void)state;
    put_losses("sft-f32-1", 1, 1), put_losses("sft-bf16-1", 1, 1);
    const char *text = page();
    assert_null(strstr(text, "| sft loss_1 | 1 "));
    assert_non_null(strstr(text, "Within in 0 of 0 stretches."));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_stretch_is_within_the_spread_of_f32_or_not),
        TEST(one_seed_has_no_spread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
