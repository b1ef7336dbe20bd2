// rope.c - rotary positions: pairs (j, j + h/2) of every head turn by position * frequency[j].
//
// A rotation's transpose is its inverse: backward turns dy by the opposite angle. Cosines and
// sines are taken in double, once per position that occurs (a batch has many rows and few
// positions), or once per row where positions are more scattered than that.
#include <math.h>

#include "ops/fast.h"

// Row `row` of the table: h/2 cosines, then h/2 sines.
static void fill_row(mg_turns *t, int64_t row, int32_t position) {
    const int64_t half = t->head_width / 2;
    float        *to   = t->table + row * 2 * half;
    for (int64_t j = 0; j < half; j++) {
        double angle = position * t->frequency[j];
        to[j]        = (float)cos(angle);
        to[half + j] = (float)sin(angle);
    }
}

const mg_turns *mg_rope_turns(mg_tape *tape, int64_t head_width, const int32_t *positions,
                              int64_t rows, const double *frequency) {
    MG_ASSERT(head_width > 0 && head_width % 2 == 0);
    mg_turns *t   = MG_NEW(tape->arena, mg_turns, 1);
    int32_t   low = INT32_MAX, high = 0;

    *t = (mg_turns){.head_width = head_width, .rows = rows, .positions = positions,
                    .frequency = frequency};
    if (tape->naive || rows == 0) return t;
    for (int64_t i = 0; i < rows; i++) {
        low  = positions[i] < low ? positions[i] : low;
        high = positions[i] > high ? positions[i] : high;
    }
    const bool    by_position = high - low < rows;
    const int64_t n           = by_position ? high - low + 1 : rows;

    t->table = mg_arena_alloc_raw(tape->arena, sizeof(float) * (size_t)(n * head_width));
    t->row   = mg_arena_alloc_raw(tape->arena, sizeof(int32_t) * (size_t)rows);
    for (int64_t i = 0; i < rows; i++)
        t->row[i] = by_position ? positions[i] - low : (int32_t)i;
    for (int64_t i = 0; i < n; i++)
        fill_row(t, i, by_position ? low + (int32_t)i : positions[i]);
    return t;
}

// The pair (a, b) turned: (a cos - b sin, a sin + b cos); by the opposite angle with direction -1.
typedef struct lane_pair {
    lanes a, b;
} lane_pair;

LANES_INLINE lane_pair turned(const float *head, const float *cosines, int64_t half, int64_t j,
                              float direction) {
    const int64_t left   = half - j;
    const lanes   cosine = lanes_load(cosines + j, left);
    const lanes   sine   = lanes_load(cosines + half + j, left) * direction;
    const lanes   a = lanes_load(head + j, left), b = lanes_load(head + half + j, left);
    return (lane_pair){a * cosine - b * sine, a * sine + b * cosine};
}

static void forward_piece(void *context, int64_t piece, int worker) {
    (void)worker;
    const mg_rope_call *c    = context;
    const mg_turns     *t    = c->turns;
    const int64_t       d = c->x->cols, h = t->head_width, half = h / 2, size = rows_per_piece(d);
    const int64_t       last = mg_piece_end(c->x->rows, size, piece);

    for (int64_t i = piece * size; i < last; i++)
        for (int64_t at = i * d; at < (i + 1) * d; at += h)
            for (int64_t j = 0; j < half; j += LANES) {
                lane_pair y = turned(mg_f32(c->x) + at, t->table + t->row[i] * h, half, j, 1);
                lanes_store(mg_f32(c->y) + at + j, half - j, y.a);
                lanes_store(mg_f32(c->y) + at + half + j, half - j, y.b);
            }
}

static void forward(mg_tape *tape, void *call) {
    const mg_rope_call *c = call;
    mg_team_run(tape->team, forward_piece, call,
                mg_pieces(c->x->rows, rows_per_piece(c->x->cols)));
}

static void backward_piece(void *context, int64_t piece, int worker) {
    (void)worker;
    const mg_rope_call *c    = context;
    const mg_turns     *t    = c->turns;
    const int64_t       d = c->x->cols, h = t->head_width, half = h / 2, size = rows_per_piece(d);
    const int64_t       last = mg_piece_end(c->x->rows, size, piece);

    for (int64_t i = piece * size; i < last; i++)
        for (int64_t at = i * d; at < (i + 1) * d; at += h)
            for (int64_t j = 0; j < half; j += LANES) {
                lane_pair g = turned(mg_grad_f32(c->y) + at, t->table + t->row[i] * h, half, j, -1);
                lanes_add_to(mg_grad_f32(c->x) + at + j, half - j, g.a);
                lanes_add_to(mg_grad_f32(c->x) + at + half + j, half - j, g.b);
            }
}

static void backward(mg_tape *tape, void *call) {
    const mg_rope_call *c = call;
    if (!mg_grad(c->x)) return;
    mg_team_run(tape->team, backward_piece, call,
                mg_pieces(c->x->rows, rows_per_piece(c->x->cols)));
}

mg_tensor *mg_rope_by(mg_tape *t, mg_tensor *x, const mg_turns *turns) {
    static const mg_paths paths = MG_PATHS(rope);
    mg_rope_call         *c     = MG_NEW(t->arena, mg_rope_call, 1);

    MG_ASSERT(x->rows == turns->rows && x->cols % turns->head_width == 0);
    *c = (mg_rope_call){.x = x, .y = mg_tape_tensor(t, x->rows, x->cols), .turns = turns};
    mg_path_run(t, &paths, c, c->y);
    return c->y;
}

mg_tensor *mg_rope(mg_tape *t, mg_tensor *x, int64_t head_width, const int32_t *positions,
                   const double *frequency) {
    return mg_rope_by(t, x, mg_rope_turns(t, head_width, positions, x->rows, frequency));
}
