// bench_cases.c - the rows: what is measured, and what is wanted of it.
//
// Wanted are ratios to the peer where there is one. Sources of the work: docs/BENCHMARKS.md.
#include "app/bench.h"

#define FORWARD (2 * MG_BENCH_WEIGHTS) // useful operations a token; attention is left out, as is usual
#define TRAIN   (6 * MG_BENCH_WEIGHTS) // forward, and twice that backward

// Multiply-adds of a row of a batch through networks of 256 x 256 that see 11 numbers and give 3: of TD3 8 passes
// through a critic's weights but for 2 dx of its first layer, one through the policy's, and in every second step 3
// of the policy's, but for a dx, and 2 of a critic's; SAC moves its policy in every step, through both critics.
#define CRITIC (14.0 * 256 + 256 * 256 + 256)
#define POLICY(out) (11.0 * 256 + 256 * 256 + 256 * (out))
#define TD3 (512 * (POLICY(3) + 8 * CRITIC - 2 * 14 * 256 + (3 * POLICY(3) - 11 * 256 + 2 * CRITIC) / 2))
#define SAC (512 * (POLICY(6) + 8 * CRITIC - 2 * 14 * 256 + 3 * POLICY(6) - 11 * 256 + 4 * CRITIC))

// In the order in which they are measured. Each list ends with what it leaves zero.
const mg_bench_case mg_bench_cases[] = {
    {"peak_f32_1", "GFLOP/s", "multiply-adds in registers, one thread", &mg_bench_peak_work, .variant = 1,
     .peak = MG_PEAK_F32},
    {"peak_f32", "GFLOP/s", "the same with all threads", &mg_bench_peak_work, .peak = MG_PEAK_F32,
     .is_peak = true},
    {"peak_bf16_1", "GFLOP/s", "bf16 products, in registers or the library's: the better; one thread",
     &mg_bench_peak_work, .variant = 1, .compute = MG_COMPUTE_BF16, .peak = MG_PEAK_BF16},
    {"peak_bf16", "GFLOP/s", "the same with all threads", &mg_bench_peak_work, .compute = MG_COMPUTE_BF16,
     .peak = MG_PEAK_BF16, .is_peak = true},
    {"read", "GB/s", "reading 256 MiB of memory, all threads", &mg_bench_bandwidth_work},
    {"train_f32", "tok/s", "training steps, 6 layers, width 256, 16 x 128 tokens", &mg_bench_train_work,
     .peak = MG_PEAK_F32, .flops = TRAIN, .wanted = 1.5, .peer = "train_f32"},
    {"train_bf16", "tok/s", "the same, products of bf16", &mg_bench_train_work, .compute = MG_COMPUTE_BF16,
     .peak = MG_PEAK_BF16, .flops = TRAIN, .wanted = 2, .peer = "train_bf16"},
    {"generate_1_f32", "tok/s", "128 new tokens, one sequence", &mg_bench_generate_work, .variant = 1,
     .peak = MG_PEAK_F32, .flops = FORWARD, .wanted = 6, .peer = "generate_1"},
    {"generate_64_f32", "tok/s", "the same for 64 sequences", &mg_bench_generate_work, .variant = 64,
     .peak = MG_PEAK_F32, .flops = FORWARD, .wanted = 3.5, .peer = "generate_64"},
    {"generate_1_bf16", "tok/s", "one sequence, products of bf16", &mg_bench_generate_work, .variant = 1,
     .compute = MG_COMPUTE_BF16, .peak = MG_PEAK_BF16, .flops = FORWARD, .wanted = 6, .peer = "generate_1"},
    {"generate_64_bf16", "tok/s", "64 sequences, products of bf16", &mg_bench_generate_work, .variant = 64,
     .compute = MG_COMPUTE_BF16, .peak = MG_PEAK_BF16, .flops = FORWARD, .wanted = 3.5, .peer = "generate_64"},
    {"generate_1_llama_cpp", "tok/s", "generate_1_f32 once more, beside llama.cpp", &mg_bench_generate_work,
     .variant = 1, .peak = MG_PEAK_F32, .flops = FORWARD, .peer = "generate_llama_cpp"},
    {"loop_grpo", "tok/s", "whole GRPO updates: 64 answers of 32 to prompts of 96, 4 steps each",
     &mg_bench_loop_work, .word = "grpo", .wanted = 5, .peer = "grpo"},
    {"loop_grpo_bf16", "tok/s", "the same, products of bf16", &mg_bench_loop_work, .word = "grpo",
     .compute = MG_COMPUTE_BF16, .wanted = 5, .peer = "grpo"},
    {"loop_products", "share", "of loop_grpo: threads' time in products of matrices",
     &mg_bench_products_work, .word = "grpo", .wanted = 0.6},
    {"loop_ppo", "tok/s", "loop_grpo by PPO, with its critic", &mg_bench_loop_work, .word = "ppo"},
    {"loop_drpo", "tok/s", "loop_grpo by DR-PO, half of the answers begun by a reference",
     &mg_bench_loop_work, .word = "drpo"},
    {"td3_f32", "updates/s", "gradient steps of TD3: 256 x 256, batches of 256 of a million transitions",
     &mg_bench_control_work, .word = "td3", .peak = MG_PEAK_F32, .flops = TD3, .wanted = 2.3, .peer = "td3"},
    {"td3_bf16", "updates/s", "the same, products of bf16", &mg_bench_control_work, .word = "td3",
     .compute = MG_COMPUTE_BF16, .peak = MG_PEAK_BF16, .flops = TD3, .wanted = 3.5, .peer = "td3"},
    {"sac_f32", "updates/s", "gradient steps of SAC, beside the peer's of TD3", &mg_bench_control_work, .word = "sac",
     .peak = MG_PEAK_F32, .flops = SAC, .wanted = 1.7, .peer = "td3"},
    {"sac_bf16", "updates/s", "the same, products of bf16", &mg_bench_control_work, .word = "sac",
     .compute = MG_COMPUTE_BF16, .peak = MG_PEAK_BF16, .flops = SAC, .wanted = 1.7, .peer = "td3"},
    {"watch_physics", "ns", "a physics step under the watch", &mg_bench_watch_work, .variant = 0, .time = true},
    {"watch_call", "ns", "a call with evidence and 290 bytes of text", &mg_bench_watch_work, .variant = 1,
     .time = true},
    {"watch_checked", "ns", "the same, its arguments checked against a schema", &mg_bench_watch_work,
     .variant = 2, .time = true},
    {"record_full", "records/s", "durable records of calls, of one core", &mg_bench_record_work, .variant = 0},
    {"record_replayable", "records/s", "the same, replayable ones", &mg_bench_record_work, .variant = 1},
    {"robot_physics", "share", "hopper: of a step that is judged and recorded, what it takes alone",
     &mg_bench_physics_work, .variant = 1, .word = "td3", .wanted = 0.97},
    {"robot_td3_f32", "steps/s", "hopper and TD3, an update behind each step", &mg_bench_robot_work, .word = "td3",
     .wanted = 3, .peer = "sb3_td3"},
    {"robot_td3_bf16", "steps/s", "the same, products of bf16", &mg_bench_robot_work, .word = "td3",
     .compute = MG_COMPUTE_BF16, .wanted = 4, .peer = "sb3_td3"},
    {"robot_sac_f32", "steps/s", "hopper and SAC, an update behind each step", &mg_bench_robot_work, .word = "sac",
     .wanted = 4, .peer = "sb3_sac"},
    {"robot_sac_bf16", "steps/s", "the same, products of bf16", &mg_bench_robot_work, .word = "sac",
     .compute = MG_COMPUTE_BF16, .wanted = 4, .peer = "sb3_sac"},
    {"start", "ms", "starting the program, to its end", &mg_bench_start_work, .time = true},
    {0}};

_Static_assert(sizeof mg_bench_cases / sizeof *mg_bench_cases <= MG_BENCH_CASES_MAX, "a row too many");
